"""The chosen takes: a lock file beside the storyboard that a person can read, diff and commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from media.errors import Problem, StoryboardError, UsageError, translate_os_errors
from media.files import write_atomic
from storyboards.fields import did_you_mean
from storyboards.film import Film, film_shots

__all__ = ["Pick", "load_picks", "pick_take", "picks_path", "save_picks"]

_KEY_CHARS = 12
_MAX_BYTES = 2_000_000

_HEADER = """\
# Takes chosen for {name}. `takeboard pick` writes this file; read, edit and commit it freely.
# `key` says which take was meant: once the shot has changed, the pick no longer counts.
"""


@dataclass(frozen=True, slots=True)
class Pick:
    """A chosen take, counted from 1; `key` is the start of its key, or empty."""

    take: int
    key: str = ""


def picks_path(film: Film) -> Path:
    """Where the film's picks are: `film.picks.yaml`, with the variant's name before `.picks`."""
    variant = f".{film.variant}" if film.variant else ""
    return film.path.with_name(f"{film.path.stem}{variant}.picks.yaml")


def load_picks(film: Film) -> Mapping[str, Pick]:
    """Picks by shot; none when there is no file. StoryboardError tells lines that are wrong."""
    path = picks_path(film)
    with translate_os_errors("read the picks", path):
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return {}
    return _parse(text, str(path))


def pick_take(film: Film, shot_id: str, take: int, key: str = "") -> Pick:
    """Choose a take and write it down; `key` is that take's planned key."""
    shots = {shot.id: shot for shot in film_shots(film)}
    if shot_id not in shots:
        raise UsageError(
            f'there is no shot "{shot_id}" in the film{did_you_mean(shot_id, list(shots))}'
        )
    count = shots[shot_id].take_count
    if not 1 <= take <= count:
        raise UsageError(f"expected a take from 1 to {count}, got {take}", where=shot_id)
    pick = Pick(take, key[:_KEY_CHARS])
    save_picks(film, {**load_picks(film), shot_id: pick})
    return pick


def save_picks(film: Film, picks: Mapping[str, Pick]) -> None:
    """Write the lock file, sorted by shot; picks of shots that are gone stay, with a note."""
    known = {shot.id for shot in film_shots(film)}
    lines = [_HEADER.format(name=film.path.name)]
    for shot_id, pick in sorted(picks.items()):
        key = f", key: {pick.key!r}" if pick.key else ""
        note = "" if shot_id in known else "  # not in the storyboard now"
        lines.append(f"{shot_id}: {{take: {pick.take}{key}}}{note}\n")
    write_atomic(picks_path(film), "".join(lines))


def _parse(data: bytes, file: str) -> Mapping[str, Pick]:
    try:
        if len(data) > _MAX_BYTES:
            raise StoryboardError([Problem(file, 1, 1, "picks", "expected less than 2 MB")])
        root = yaml.compose(data.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise StoryboardError([Problem(file, 1, 1, "picks", "expected UTF-8 text")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = str(getattr(error, "problem", None) or "expected YAML")
        raise StoryboardError([Problem(file, line, column, "picks", what)]) from None
    except RecursionError:
        raise StoryboardError([Problem(file, 1, 1, "picks", "too deep")]) from None
    if root is None:
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise StoryboardError([_problem(file, root, "picks", "expected shots and their takes")])
    picks: dict[str, Pick] = {}
    problems: list[Problem] = []
    for name, value in root.value:
        shot_id = str(name.value)
        found = _read_pick(value)
        if isinstance(found, str):
            problems.append(_problem(file, value, shot_id, found))
        elif shot_id in picks:
            problems.append(_problem(file, name, shot_id, "this shot is here twice"))
        else:
            picks[shot_id] = found
    if problems:
        raise StoryboardError(problems)
    return picks


def _read_pick(node: Any) -> Pick | str:
    """The pick, or what is wrong with it. `sh0020: 3` is short for `sh0020: {take: 3}`."""
    expected = "expected {take: NUMBER, key: START_OF_ITS_KEY}"
    if isinstance(node, yaml.ScalarNode):
        fields = {"take": node.value}
    elif isinstance(node, yaml.MappingNode):
        fields = {}
        for name, value in node.value:
            if not isinstance(value, yaml.ScalarNode) or name.value not in ("take", "key"):
                return f"{expected}, got {str(name.value)[:40]!r}"
            fields[name.value] = value.value
    else:
        return expected
    take = fields.get("take", "")
    if not (take.isascii() and take.isdigit() and 1 <= int(take[:9]) <= 64):
        return f"expected a take from 1 to 64, got {take[:40]!r}"
    return Pick(int(take), fields.get("key", "")[:_KEY_CHARS])


def _problem(file: str, node: Any, path: str, what: str) -> Problem:
    mark = node.start_mark
    return Problem(file, mark.line + 1, mark.column + 1, path, what)
