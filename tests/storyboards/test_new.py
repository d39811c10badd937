"""New storyboards load as they are, and nothing is written over."""

from __future__ import annotations

from pathlib import Path

import pytest

from media.errors import TakeboardError, UsageError
from storyboards.film import cut_of
from storyboards.new import new_storyboard, template_names
from storyboards.resolve import load_films


def test_there_are_three_templates() -> None:
    assert template_names() == ("ad", "film", "music_video")


@pytest.mark.parametrize("template", ["ad", "film", "music_video"])
@pytest.mark.parametrize("title", ["Plain", 'A "quoted": title, # 1', "No", "été 海"])
def test_a_new_storyboard_loads(tmp_path: Path, template: str, title: str) -> None:
    path = new_storyboard(tmp_path / "deep" / "film", template, title=title, code="007")
    for film in load_films(path):
        assert (film.title, film.code) == (title, "007")
        assert cut_of(film).num_frames > 100
    assert (path.parent / "takeboard.schema.json").is_file()


def test_the_advertisement_makes_a_film_for_each_row(tmp_path: Path) -> None:
    path = new_storyboard(tmp_path / "ad", "ad", title="Mugs", code="MUG")
    films = load_films(path)
    assert [film.variant for film in films] == ["trail-mug", "city-mug", "kids-mug"]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    mine = tmp_path / "film"
    mine.mkdir()
    (mine / "storyboard.yaml").write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        new_storyboard(mine, "film", title="x", code="x")
    assert (mine / "storyboard.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("template", "title", "code", "phrase"),
    [
        ("flim", "x", "x", 'did you mean "film"'),
        ("../film", "x", "x", "no template"),
        ("film", "", "x", "expected a title"),
        ("film", "{{ x }}", "x", "expected a title"),
        ("film", "a\nb", "x", "expected a title"),
        ("film", "x", "../x", "short code"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, template: str, title: str, code: str, phrase: str
) -> None:
    with pytest.raises(UsageError, match=phrase):
        new_storyboard(tmp_path / "film", template, title=title, code=code)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(TakeboardError, match="cannot make a folder"):
        new_storyboard(tmp_path / "file" / "film", "film", title="x", code="x")
