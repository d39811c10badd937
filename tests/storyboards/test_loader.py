"""Reading storyboards: what is text stays text, what is hostile is refused, all in one go."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.errors import StoryboardError
from storyboards import yaml_nodes
from storyboards.loader import MAX_BYTES, load_storyboard
from storyboards.resolve import load_film
from storyboards.variables import render_text

GOOD = """\
version: 1
variables: {count: 2, name: Mara}
project: {code: LHT, title: 1984}
cast: {mara: {description: woman}}
scenes:
  - id: sc010
    slugline: EXT. PIER - DUSK
    shots:
      - id: sh0010
        takes: "{{ count }}"
        action: "{{ name }} waits."
        dialogue:
          - {who: mara, line: No, langs: {no: Nei, fr: 42}}
          - {who: mara, line: "{{ count }}"}
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "storyboard.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_words_that_yaml_1_1_takes_for_something_else_are_text(tmp_path: Path) -> None:
    loaded = load_storyboard(write(tmp_path, GOOD))
    lines = loaded.text.scenes[0].shots[0].dialogue
    assert lines[0].line == "No"
    assert {lang: each.line for lang, each in lines[0].langs.items()} == {"no": "Nei", "fr": "42"}
    assert loaded.text.project.title == "1984"


def test_a_whole_template_may_stand_for_a_number_and_for_text(tmp_path: Path) -> None:
    shot = load_storyboard(write(tmp_path, GOOD), variables={"count": 3}).text.scenes[0].shots[0]
    assert shot.takes is not None
    assert shot.takes.count == 3
    assert shot.dialogue[1].line == "3"
    assert shot.action == "Mara waits."


def test_a_value_cannot_add_keys_or_lines(tmp_path: Path) -> None:
    sly = 'x"\n        takes: 64\n# {{ count }}'
    shot = load_storyboard(write(tmp_path, GOOD), variables={"name": sly}).text.scenes[0].shots[0]
    assert shot.action == f"{sly} waits."
    assert shot.takes is not None
    assert shot.takes.count == 2


def test_an_undeclared_variable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoryboardError, match='did you mean "count"'):
        load_storyboard(write(tmp_path, GOOD), variables={"cuont": 3})


def test_aliases_and_merges_are_understood(tmp_path: Path) -> None:
    text = GOOD.replace("cast: {", "cast: {tom: &t {description: man, height_m: 2}, ada: {<<: *t, "
                        "description: girl}, ")  # fmt: skip
    cast = load_storyboard(write(tmp_path, text)).text.cast
    assert (cast["ada"].description, cast["ada"].height_m) == ("girl", 2)


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"\xef\xbb\xbfversion: 1\n", "byte order mark"),
        ("version: 1\n".encode("utf-16"), "byte order mark"),
        ("title: caf\xe9\n".encode("latin-1"), ":1:11: storyboard: expected UTF-8, got the byte"),
        (b"a: 1\nb: \x00\n", ":2:4: storyboard: expected printable text, got the character U+0000"),
        (b"x" * (MAX_BYTES + 1), "at most 8 MiB"),
    ],
)
def test_what_is_not_plain_text_is_refused(tmp_path: Path, content: bytes, phrase: str) -> None:
    with pytest.raises(StoryboardError, match=re.escape(phrase)):
        load_storyboard(write(tmp_path, content))


def test_missing_files_folders_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, phrase in (("no.yaml", "no such file"), ("", "a folder"), ("pipe", "a pipe")):
        with pytest.raises(StoryboardError, match=phrase):
            load_storyboard(tmp_path / name)


def test_an_alias_bomb_is_refused_before_it_goes_off(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 12):
        bomb += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    with pytest.raises(StoryboardError, match="values with aliases written out"):
        load_storyboard(write(tmp_path, bomb))


def test_very_deep_nesting_does_not_exhaust_the_stack(tmp_path: Path) -> None:
    for opening in ("[", "{a: ", "- ", "? "):
        with pytest.raises(StoryboardError):
            load_storyboard(write(tmp_path, opening * 100_000))


def test_all_errors_come_in_one_go_over_shape_names_and_times(tmp_path: Path) -> None:
    text = GOOD.replace("title: 1984", "titel: x").replace("takes:", "look: dusk\n        taks:")
    text = text.replace("who: mara, line: No", "who: maro, line: No, at: 5 sec")
    text += "      - {id: sh0010, duration: 1s, sfx: [{cue: x, at: 2s}]}\n      - 5\n"
    with pytest.raises(StoryboardError) as caught:
        load_film(write(tmp_path, text))
    assert [(each.line, each.what.split(",")[0]) for each in caught.value.problems] == [
        (3, 'the key "title" is missing'),
        (3, 'unknown key "titel"'),
        (10, 'unknown look "dusk"'),
        (11, 'unknown key "taks"'),
        (14, 'unknown cast member "maro"'),
        (14, 'expected seconds or frames'),
        (16, 'the shot "sh0010" is here twice'),
        (16, "expected a time inside the shot of 24 frames"),
        (17, "expected a mapping (key: value)"),
    ]  # fmt: skip


def test_a_scene_of_pure_python_yaml_reads_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, GOOD)
    fast = load_storyboard(path).text
    monkeypatch.setattr(yaml_nodes, "_Loader", yaml_nodes.yaml.SafeLoader)
    assert load_storyboard(path).text == fast
    for wrong in ("a: 'x", "a:\n\tb: 1", "a: [1", "a: b: c", "a: *x", "a: @x", "%x", "a: !x 1"):
        with pytest.raises(StoryboardError):
            load_storyboard(write(tmp_path, wrong))


@pytest.mark.parametrize(
    "template",
    [
        "{{ 2 ** 999999999 }}",
        "{{ 'x' * 999999999 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ ''.join(['x']) }}",
        "{{ x.__class__ }}",
        "{{ x['__class__'] }}",
        "{{ x|attr('upper') }}",
        "{{ x|center(999999999) }}",
        "{{ 2.5|round(999999999, 'floor') }}",
        "{% for i in range(10) %}x{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set x = 1 %}",
        "{{ self }}",
        "{{ lipsum() }}",
        "{{ 1 / 0 }}",
        "{{ " + "(" * 4000,
        "{{ x }}" * 2000,
    ],
)
def test_templates_cannot_run_away(template: str) -> None:
    with pytest.raises(ValueError, match=r"expected|template|unknown"):
        render_text(template, {"x": "y"})


def test_templates_choose_and_count() -> None:
    values = {"n": 3, "name": "mug"}
    assert render_text("{% if n > 2 %}many{% else %}few{% endif %}", values) == "many"
    assert render_text("{{ n * 2 }} {{ name|title }}s{{ tail|default('!') }}", values) == "6 Mugs!"


_PIECES = st.sampled_from(
    ["version: 1", "project:", "  code: A", "scenes:", "  - id: sc", "    shots:", "- ", "? ", ": ",
     "[", "]", "{", "}", ",", "&a ", "*a", "!x ", "'", '"', "|", ">", "#", "%", "@", "`", "\t",
     "\n", "\n  ", "\n    ", "<<: ", "---", "...", "{{ x }}", "{% if %}", ".nan", "1:30", "yes",
     "0x1", "999999999999999999999", "é", "\x85", "\u2028", "\ufeff", "\x00", "~", "null"]
)  # fmt: skip
_YAMLISH = st.one_of(
    st.text(max_size=200),
    st.lists(st.one_of(_PIECES, st.text(max_size=4)), max_size=40).map("".join),
    st.tuples(st.integers(0, len(GOOD)), st.integers(0, 30), st.lists(_PIECES, max_size=3)).map(
        lambda cut: GOOD[: cut[0]] + "".join(cut[2]) + GOOD[cut[0] + cut[1] :]
    ),
)


@given(text=_YAMLISH)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_loads_or_says_where_it_is_wrong(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text.encode(errors="surrogatepass"))
    try:
        load_film(path)
        problems: list[str] = []
    except StoryboardError as error:
        problems = str(error).splitlines() or ["an error that says nothing"]
    for line in problems:
        assert re.match(re.escape(str(path)) + r":[1-9]\d*:[1-9]\d*: \S.*: \S", line), line


def test_a_file_of_nothing_but_mistakes_is_not_all_read_out(tmp_path: Path) -> None:
    keys = "".join(f"versio{number}: 1\n" for number in range(5000))
    with pytest.raises(StoryboardError, match=r"and 450[0-9] more problems") as caught:
        load_storyboard(write(tmp_path, GOOD + keys))
    assert len(caught.value.problems) == 501
