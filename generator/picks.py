"""The chosen takes, shot by shot (`generator/picks_file.py` is the file that they are in)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from generator.picks_file import KEY_CHARS, Pick, picks_path, read_choices, write_choices
from media.errors import UsageError
from storyboards.film import Film, Shot, film_shots
from storyboards.shot_names import shot_named

__all__ = [
    "Pick",
    "load_picks",
    "pick_take",
    "picks_path",
    "require_shot",
    "require_take",
    "save_picks",
]


def load_picks(film: Film) -> Mapping[str, Pick]:
    """Picks by shot; none when there is no file. StoryboardError tells lines that are wrong."""
    return read_choices(film).shots


def pick_take(film: Film, shot_id: str, take: int, key: str = "") -> Pick:
    """Choose a take and write it down; `key` is that take's planned key.

    The shot's approval goes with the pick that was approved; its retakes stay.
    """
    require_take(film, shot_id, take)
    choices = read_choices(film)
    before = choices.shots.get(shot_id, Pick())
    pick = Pick(take, key[:KEY_CHARS], retakes=before.retakes)
    write_choices(film, replace(choices, shots={**choices.shots, shot_id: pick}))
    return pick


def require_take(film: Film, shot_id: str, take: int) -> None:
    """UsageError when the shot has no take of that number, asked-for retakes included."""
    asked = load_picks(film).get(shot_id, Pick()).retakes
    count = require_shot(film, shot_id).take_count + len(asked)
    if not 1 <= take <= count:
        raise UsageError(f"expected a take from 1 to {count}, got {take}", where=shot_id)


def save_picks(film: Film, picks: Mapping[str, Pick]) -> None:
    """Write the picks; an approved budget stays as it is."""
    write_choices(film, replace(read_choices(film), shots=picks))


def require_shot(film: Film, name: str) -> Shot:
    """The shot of that name; UsageError, with the name that was meant, when there is none."""
    return shot_named(film_shots(film), name)
