"""Picks: a file that people read, edit and merge."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.picks import Pick, load_picks, pick_take, picks_path, save_picks
from media.errors import StoryboardError, UsageError
from storyboards.film import Film
from tests.factories import make_film, make_shot


@pytest.fixture
def film(tmp_path: Path) -> Film:
    shots = [make_shot("sc010/sh0020", take_count=4), make_shot("sc010/sh0010")]
    return make_film(shots, path=tmp_path / "film.yaml")


def test_the_file_can_be_read(film: Film) -> None:
    save_picks(film, {"sc990/sh0010": Pick(2)})
    pick_take(film, "sc010/sh0020", 3, "1a2b3c4d5e6f7a8b")
    pick_take(film, "sc010/sh0010", 1)
    assert picks_path(film).name == "film.picks.yaml"
    lines = picks_path(film).read_text().splitlines()
    assert lines[0].startswith("# Takes chosen for film.yaml.")
    assert lines[2:] == [
        "sc010/sh0010: {take: 1}",
        "sc010/sh0020: {take: 3, key: '1a2b3c4d5e6f'}",
        "sc990/sh0010: {take: 2}  # not in the storyboard now",
    ]
    assert load_picks(film)["sc010/sh0020"] == Pick(3, "1a2b3c4d5e6f")


def test_no_file_is_no_picks(film: Film) -> None:
    assert load_picks(film) == {}
    picks_path(film).write_text("")
    assert load_picks(film) == {}


def test_the_short_form(film: Film) -> None:
    picks_path(film).write_text("sc010/sh0020: 3\n")
    assert load_picks(film) == {"sc010/sh0020": Pick(3)}


def test_only_takes_of_the_film(film: Film) -> None:
    with pytest.raises(UsageError, match='did you mean "sc010/sh0020"'):
        pick_take(film, "sc010/sh002", 1)
    with pytest.raises(UsageError, match="expected a take from 1 to 4, got 5"):
        pick_take(film, "sc010/sh0020", 5)
    assert not picks_path(film).exists()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: {take: 0}\nb: x\n", "film.picks.yaml:1:4: a: expected a take from 1 to 64"),
        ("a: 1\nb: [1]\n", "film.picks.yaml:2:4: b: expected {take: NUMBER"),
        ("a: {take: 1, shot: 2}\n", "film.picks.yaml:1:4: a: expected {take: NUMBER"),
        ("a: 1\na: 2\n", "film.picks.yaml:2:1: a: this shot is here twice"),
        ("- a\n", "film.picks.yaml:1:1: picks: expected shots"),
        ("a: {take: 1\n<<<<<<< HEAD\n", "film.picks.yaml:3:1: picks: expected ','"),
        ("a: {take: ٣}\n", "film.picks.yaml:1:4: a: expected a take"),
    ],
)
def test_errors_say_where(film: Film, text: str, where: str) -> None:
    picks_path(film).write_text(text)
    with pytest.raises(StoryboardError) as caught:
        load_picks(film)
    assert where in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_picks_or_problems(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    film = make_film(path=tmp_path_factory.getbasetemp() / "any.yaml")
    picks_path(film).write_bytes(data)
    with suppress(StoryboardError):
        assert all(0 <= pick.take <= 64 for pick in load_picks(film).values())
