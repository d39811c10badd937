"""Wrong storyboards: each error at its exact place, in words for a person.

`§` stands before the character that the error must point at; it is taken out before loading.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from media.errors import StoryboardError
from storyboards.resolve import load_film

HEAD = "version: 1\nproject: {code: A, title: T}\n"
CAST = "cast: {mara: {description: x}, tom: {description: y, refs: {}}}\n"
SCENE = "scenes:\n  - id: sc\n    slugline: s\n    shots:\n"
SHOT = SCENE + "      - id: a\n"
REST = CAST + SHOT


def film(*shots: str, top: str = "") -> str:
    """A storyboard whose shots a, b, ... have the lines given."""
    text = HEAD + CAST + top + SCENE
    for name, lines in zip("abcdef", shots, strict=False):
        text += f"      - id: {name}\n"
        text += "".join(f"        {line}\n" for line in lines.splitlines())
    return text


def shot_is(line: str) -> str:
    return film(line)


def top_is(text: str) -> str:
    return film("", top=text)


WRONG = {
    # YAML itself
    "tab": ("version: 1\nproject:\n§\tcode: A\n", "got a tab"),
    "open quote": (HEAD + "budget: §'x\n", "never closed"),
    "two colons": (HEAD + "budget: a§: b\n", "in quotes"),
    "open bracket": (HEAD + "exports: §[otio\nscenes: 1\n", "comma or ]"),
    "duplicate key": (HEAD + "§project: {code: B, title: T}\n" + REST, "twice, first in line 2"),
    "alias of nothing": (HEAD + "budget: §*b\n", "names no anchor"),
    "alias in itself": (HEAD + "budget: &b {usd: §*b}\n", "contains itself"),
    "tag": (HEAD + "budget: §!!python/object:os.system {}\n" + REST, "expected no tag"),
    "number as key": (HEAD + "cast: {§1: {description: x}}\n" + SHOT, "text as key, got 1"),
    "nan": (HEAD + "budget: {usd: §.nan}\n" + REST, "expected a finite number"),
    "infinity": (HEAD + "budget: {usd: §-.inf}\n" + REST, "expected a finite number"),
    "deep": (HEAD + "budget: " + "[" * 32 + "§[" + "]" * 33 + "\n", "32 levels"),
    "two documents": (film("") + "§---\na: 1\n", "one document"),
    "empty": ("§", "got an empty file"),
    "a list": ("§- 1\n", "expected a mapping"),
    "bare template": (shot_is("takes: {§{ n }}"), "a template needs quotes"),
    "sign at the start": (shot_is("action: §@x"), "in quotes"),
    # shape
    "no project": ("§version: 1\n" + CAST + SCENE + "      - id: a\n", '"project" is missing'),
    "no scenes": ("§" + HEAD, '"scenes" is missing'),
    "version": ("version: §2\n" + film("")[11:], "expected 1, got 2"),
    "unknown key": (shot_is("§durtion: 4s"), 'did you mean "duration"?'),
    "unknown key at the top": (top_is("§casting: {}\n"), 'unknown key "casting"'),
    "unknown key in a list": (shot_is("cast: [{who: mara, §facin: left}]"), '"facing"?'),
    "text for a mapping": (top_is("budget: §lots\n"), "expected a mapping"),
    "number for a mapping": (top_is("looks: {l: §5}\n"), "expected a mapping (key: value), got 5"),
    "mapping for a list": (shot_is("dialogue: §{who: mara, line: x}"), "expected a list"),
    "mapping for text": (shot_is("action: §{a: b}"), "expected text, got a mapping"),
    "nothing for text": (shot_is("dialogue: [{who: mara, line: §}]"), "expected text"),
    "yes for true": (top_is("deliverables: [{name: a, stems: §yes}]\n"), "did you mean true?"),
    "half a take": (shot_is("takes: §1.5"), "expected a whole number"),
    "too many takes": (shot_is("takes: §65"), "expected at most 64"),
    "seeds": (shot_is("takes: §{count: 3, seeds: [1]}"), "expected 3 seeds, got 1"),
    "two origins": (
        film("", "source: q.mp4\njoin: a").replace("- id: b", "- §id: b"),
        "one origin",
    ),
    "move and path": (
        shot_is("camera: §{move: pan, path: [{at: 0s}, {at: 1s}]}"),
        "either move or path",
    ),
    "box": (
        shot_is("motion: {regions: [{box: [0, 0, 1, §2], trajectory: [[0, 0], [1, 1]]}]}"),
        "expected at most 1, got 2",
    ),
    "options": (shot_is("options: {a: §[1]}"), "expected text, a number, true or false"),
    # words
    "shot size": (shot_is("size: §XXS"), "expected one of ECU, CU"),
    "camera move": (shot_is("camera: §pushin"), 'did you mean "push_in"?'),
    "transition": (shot_is("transition_out: §disolve"), 'did you mean "dissolve"?'),
    "literal": (shot_is("audio: §nativ"), 'did you mean "native"?'),
    "id": (film("").replace("id: a", "id: §4a"), "starts with a letter"),
    "long text": (shot_is("action: §" + "x" * 4001), "at most 4000 characters"),
    "control character": (shot_is('action: §"a\\x07"'), "U+0007"),
    # numbers, times, sizes
    "unit": (shot_is("duration: §4 sec"), 'did you mean "4s"?'),
    "clock": (shot_is("duration: §1:30"), 'did you mean "90s"?'),
    "zero": (shot_is("duration: §0s"), "expected more than zero"),
    "negative": (shot_is("duration: §-2s"), "expected more than zero"),
    "hours": (shot_is("duration: §2000000s"), "at most one hour"),
    "long shot": (shot_is("duration: §601s"), "at most 10 minutes"),
    "no frame": (shot_is("duration: §1ms"), "at least one frame"),
    "half a frame": (shot_is("duration: §1.5f"), "whole number of frames"),
    "odd size": (
        HEAD.replace("title: T", "title: T, size: §1281x720") + film("")[len(HEAD) :],
        "even",
    ),
    "fps": (HEAD.replace("title: T", "title: T, fps: §0") + film("")[len(HEAD) :], "frame rate"),
    "aspect": (top_is("deliverables: [{name: a, aspect: §wide}]\n"), "expected an aspect"),
    # names
    "cast": (shot_is("cast: [§maro]"), 'unknown cast member "maro"'),
    "speaker": (shot_is("dialogue: [{who: §tim, line: Hi}]"), 'did you mean "tom"?'),
    "location": (shot_is("location: §here"), "unknown location"),
    "look in defaults": (top_is("defaults: {look: §dusk}\n"), 'unknown look "dusk"'),
    "view": (shot_is("cast: [{who: tom, ref: §front}]"), "unknown reference of tom"),
    "twice in the cast": (shot_is("cast: [tom, §tom]"), "twice"),
    "shot twice": (film("", "").replace("id: b", "id: §a"), "twice, first in line 8"),
    "music from": (top_is("music: {m: {prompt: x, from: §sc/z}}\n"), 'unknown shot "sc/z"'),
    "music backwards": (
        film("", "", top="music: {m: {prompt: x, from: sc/b, to: §sc/a}}\n"),
        "comes before",
    ),
    # files
    "missing file": (shot_is("frames: §no.png"), 'there is no file "no.png"'),
    "outside": (shot_is("frames: {last: §../x.png}"), "leads outside"),
    "absolute": (shot_is("frames: §/etc/passwd"), "leads outside"),
    "address": (shot_is("source: §https://a.b/c.mp4"), "save the file there first"),
    "folder": (shot_is("frames: §sub"), "it is a folder"),
    "empty file": (shot_is("frames: §empty.png"), "it is empty"),
    "not a picture": (shot_is("frames: §text.png"), "expected a picture"),
    "not a clip": (shot_is("source: §text.png"), "expected a clip"),
    "not a LUT": (top_is("looks: {l: {lut: §text.png}}\n"), "LUT_3D_SIZE"),
    "not weights": (
        top_is("").replace("x}", "x, lora: §text.png}", 1),
        "safetensors",
    ),
    "link out": (shot_is("frames: §link.png"), "through a link"),
    "near name": (shot_is("frames: §txt.png"), 'did you mean "text.png"?'),
    # edges
    "dissolve too long": (
        film("duration: 1s\ntransition_out: {type: dissolve, duration: §13f}", "duration: 4s"),
        "at most 12 frames, half of sc/a",
    ),
    "dissolve into a short shot": (
        film("duration: 4s\ntransition_out: {type: dissolve, duration: §13f}", "duration: 1s"),
        "half of sc/b",
    ),
    "fades too long": (
        film("duration: 1s\ntransition_in: {type: fade, duration: 14f}\n"
             "transition_out: {type: fade, duration: §14f}"),
        "got 28",
    ),
    "dissolve to nothing": (film("transition_out: §dissolve"), "got the last shot"),
    "dissolve from nothing": (film("transition_in: §wipe"), "got the first shot"),
    "two transitions": (
        film("transition_out: wipe", "transition_in: §dissolve"),
        "one transition between sc/a and sc/b",
    ),
    "fade into a dissolve": (
        film("transition_out: dissolve", "transition_in: §fade"),
        "expected no fade after the dissolve from sc/a",
    ),
    "fade under an l_cut": (
        film("transition_out: l_cut", "transition_in: §{type: fade, duration: 4f}"),
        "expected no fade after the l_cut from sc/a",
    ),
    "long cut": (film("transition_out: {type: cut, duration: §3f}"), "no duration for a cut"),
    "join itself": (film("join: §a"), "the shot itself"),
    "join forward": (film("join: {from: §b}", ""), "comes later"),
    "join unknown": (film("", "join: §c"), 'unknown shot "c"'),
    "circle": (
        film("edit: {from: §b, operation: remove, instruction: x}",
             "edit: {from: a, operation: relight, instruction: x}"),
        "sc/a → sc/b → sc/a",
    ),
    "edit of a take that is not": (
        film("", "edit: {from: a, take: §2, operation: remove, instruction: x}"),
        "one of the 1 takes",
    ),
    "first frame of a join": (film("", "join: a\nframes: {first: §p.png}"), "frames.first or a j"),
    "group apart": (film("group: g", "", "group: §g"), "to be neighbours"),
    # times
    "late line": (
        shot_is("duration: 1s\ndialogue: [{who: mara, line: x, at: §2s}]"),
        "start inside the shot of 24 frames",
    ),
    "line over a line": (
        shot_is("dialogue: [{who: mara, line: A long line.}, {who: tom, line: x, at: §0.6s}]"),
        "after the lines before",
    ),
    "late sound": (shot_is("duration: 1s\nsfx: [{cue: x, at: §1s}]"), "frame 24"),
    "late title": (shot_is("titles: [{text: x, at: §9s}]"), "inside the shot"),
    "long title": (shot_is("titles: [{text: x, duration: §9s}]"), "title to end inside"),
    "late key": (
        shot_is("duration: 1s\ncamera: {path: [{at: 0s}, {at: §2s}]}"),
        "inside the shot sc/a",
    ),
    "keys out of order": (shot_is("camera: {path: [{at: 1s}, {at: §1s}]}"), "after the key"),
    "late frame": (
        shot_is("duration: 1s\nframes: {mid: [{at: §24f, image: p.png}]}"),
        "inside the shot of 24",
    ),
    "two pictures on a frame": (
        shot_is("duration: 1s\nframes: {first: p.png, mid: [{at: §0s, image: p.png}]}"),
        "two pictures",
    ),
    # deliverables
    "deliverable of nothing": (
        top_is("deliverables: [{name: a, shots: §[]}]\n"),
        "a film of none",
    ),
    "deliverables of one name": (
        top_is("deliverables: [{name: a}, {name: §A}]\n"),
        "twice",
    ),
    "language": (
        film("dialogue: [{who: mara, line: x}]", top="deliverables: [{name: a, langs: §fr}]\n"),
        "got none in it for sc/a line 1",
    ),
    "captions": (top_is("deliverables: [{name: a, captions: [§sub]}]\n"), "expected one of none"),
    "slow interpolation": (top_is("finish: {interpolate_fps: §12}\n"), "at least the project's"),
    # templates
    "unknown variable": (
        film('action: §"{{ prodct }}"', top="variables: {product: x}\n"),
        'did you mean "product"?',
    ),
    "loop": (shot_is('action: §"{% for x in range(10) %}x{% endfor %}"'), "got for"),
    "dunder": (shot_is('''action: §"{{ ''.__class__ }}"'''), "got getattr"),
    "repeated text": (shot_is('''action: §"{{ 'x' * 999999999 }}"'''), "expected a number"),
    "open template": (shot_is('action: §"{{ x"'), "expected a Jinja2 template"),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    (folder / "sub").mkdir()
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("this is no picture")
    outside = tmp_path_factory.mktemp("outside") / "x.png"
    outside.write_bytes(b"x")
    (folder / "link.png").symlink_to(outside)
    Image.new("RGB", (8, 8)).save(folder / "p.png")
    return folder


@pytest.mark.parametrize("name", WRONG)
def test_the_error_names_the_place_and_what_was_expected(name: str, folder: Path) -> None:
    text, phrase = WRONG[name]
    before, marked, _ = text.partition("§")
    assert marked, "the case says nowhere where its error is"
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    path = folder / "storyboard.yaml"
    path.write_text(text.replace("§", ""), encoding="utf-8")
    with pytest.raises(StoryboardError) as caught:
        load_film(path)
    found = [(each.line, each.column, each.what) for each in caught.value.problems]
    assert any(
        (at_line, at_column) == (line, column) and phrase in what
        for at_line, at_column, what in found
    ), f"expected {line}:{column} {phrase!r}, got\n{caught.value}"
    assert len(found) == 1, f"expected one problem, got\n{caught.value}"


def test_there_are_many_ways_to_be_wrong() -> None:
    assert len(WRONG) > 100
