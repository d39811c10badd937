"""The lock file beside the storyboard: picks, retakes and approvals, to read, diff and commit.

    budget: {usd: 12.4, gpu_seconds: 3600, approved: "mara, 2026-11-21 15:02 UTC"}
    sc010/sh0010: {take: 1, key: '0f3a5c71d2e4', approved: "mara, 2026-11-21 15:40 UTC"}
    sc010/sh0020: {retakes: ["slower, less smile"]}

A line a shot, so that two people's choices merge where they are about different shots. What is
approved is what stands beside `approved`: the quote, or the take with that key.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from media.errors import Problem, StoryboardError, translate_os_errors
from media.files import write_atomic
from storyboards.film import Film, film_shots

__all__ = [
    "KEY_CHARS",
    "MOST_TAKES",
    "ApprovedBudget",
    "Choices",
    "Pick",
    "picks_path",
    "read_choices",
    "write_choices",
]

KEY_CHARS = 12
"""Of a key's start: enough to tell the takes of any film apart, short enough to read."""
MOST_TAKES = 64
"""Of one shot, retakes included."""
MOST_NOTE_CHARS = 400

_MAX_BYTES = 2_000_000
_BUDGET = "budget"
"""No shot is called this: a shot's name has its scene and a slash."""

_HEADER = """\
# Takes chosen for {name}. `takeboard pick` writes this file; read, edit and commit it freely.
# `key` says which take was meant: once the shot has changed, the pick no longer counts.
"""


@dataclass(frozen=True, slots=True)
class Pick:
    """What was chosen for a shot."""

    take: int = 0
    """Counted from 1; 0: nobody has picked one."""
    key: str = ""
    """The start of the take's key, or empty."""
    approved: str = ""
    """Who approved this take and when, or empty."""
    retakes: tuple[str, ...] = ()
    """Takes asked for beyond the storyboard's, each with its note or an empty one."""


@dataclass(frozen=True, slots=True)
class ApprovedBudget:
    """A quote that somebody said yes to."""

    usd: float
    gpu_seconds: float
    approved: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """Everything that the file says."""

    shots: Mapping[str, Pick] = field(default_factory=dict)
    budget: ApprovedBudget | None = None


def picks_path(film: Film) -> Path:
    """Where the film's picks are: `film.picks.yaml`, with the variant's name before `.picks`."""
    variant = f".{film.variant}" if film.variant else ""
    return film.path.with_name(f"{film.path.stem}{variant}.picks.yaml")


def read_choices(film: Film) -> Choices:
    """What was chosen; nothing when there is no file. StoryboardError tells wrong lines."""
    path = picks_path(film)
    with translate_os_errors("read the picks", path):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return Choices()
    return _parse(data, str(path))


def write_choices(film: Film, choices: Choices) -> None:
    """Write the file, sorted by shot; shots that are gone stay, with a note."""
    write_atomic(picks_path(film), "".join(_lines(film, choices)))


def _lines(film: Film, choices: Choices) -> Iterator[str]:
    yield _HEADER.format(name=film.path.name)
    if choices.budget is not None:
        quote = choices.budget
        fields = [f"usd: {quote.usd!r}", f"gpu_seconds: {quote.gpu_seconds!r}"]
        fields += [f"approved: {_quoted(quote.approved)}"] if quote.approved else []
        yield f"{_BUDGET}: {{{', '.join(fields)}}}\n"
    known = {shot.id for shot in film_shots(film)}
    for shot_id, pick in sorted(choices.shots.items()):
        note = "" if shot_id in known else "  # not in the storyboard now"
        yield f"{shot_id}: {{{', '.join(_fields(pick))}}}{note}\n"


def _fields(pick: Pick) -> Iterator[str]:
    if pick.take:
        yield f"take: {pick.take}"
    if pick.key:
        yield f"key: {pick.key!r}"
    if pick.approved:
        yield f"approved: {_quoted(pick.approved)}"
    if pick.retakes:
        yield f"retakes: [{', '.join(map(_quoted, pick.retakes))}]"


def _quoted(text: str) -> str:
    # A JSON string is a YAML one once nothing unprintable is in it.
    return json.dumps("".join(sign for sign in text if sign.isprintable()), ensure_ascii=False)


def _parse(data: bytes, file: str) -> Choices:
    root = _root(data, file)
    if root is None:
        return Choices()
    if not isinstance(root, yaml.MappingNode):
        raise StoryboardError([_problem(file, root, "picks", "expected shots and their takes")])
    shots: dict[str, Pick] = {}
    budget: ApprovedBudget | None = None
    problems: list[Problem] = []
    for name, value in root.value:
        shot_id = str(name.value)
        try:
            if shot_id in shots or (shot_id == _BUDGET and budget is not None):
                value = name
                raise _WrongError("this shot is here twice")
            if shot_id == _BUDGET:
                budget = _read_budget(value)
            else:
                shots[shot_id] = _read_pick(value)
        except _WrongError as wrong:
            problems.append(_problem(file, value, shot_id, str(wrong)))
    if problems:
        raise StoryboardError(problems)
    return Choices(shots, budget)


def _root(data: bytes, file: str) -> Any:
    """The file's first node, or None for an empty file."""
    try:
        if len(data) > _MAX_BYTES:
            raise StoryboardError([Problem(file, 1, 1, "picks", "expected less than 2 MB")])
        return yaml.compose(data.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise StoryboardError([Problem(file, 1, 1, "picks", "expected UTF-8 text")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = str(getattr(error, "problem", None) or "expected YAML")
        raise StoryboardError([Problem(file, line, column, "picks", what)]) from None
    except RecursionError:
        raise StoryboardError([Problem(file, 1, 1, "picks", "too deep")]) from None


class _WrongError(Exception):
    """What is wrong with a line."""


def _read_pick(node: Any) -> Pick:
    """`sh0020: 3` is short for `sh0020: {take: 3}`."""
    expected = "expected {take: NUMBER, key: START_OF_ITS_KEY}"
    if isinstance(node, yaml.ScalarNode):
        return Pick(_take(node.value))
    fields = _nodes(node, ("take", "key", "approved", "retakes"), expected)
    retakes = _notes(fields["retakes"]) if "retakes" in fields else ()
    pick = Pick(
        _take(_text(fields.get("take"), expected)) if "take" in fields or not retakes else 0,
        _text(fields.get("key"), expected)[:KEY_CHARS],
        _text(fields.get("approved"), expected),
        retakes,
    )
    if pick.approved and not (pick.take and pick.key):
        raise _WrongError("expected a take and its key beside approved")
    return pick


def _read_budget(node: Any) -> ApprovedBudget:
    expected = "expected {usd: NUMBER, gpu_seconds: NUMBER, approved: WHO AND WHEN}"
    fields = _nodes(node, ("usd", "gpu_seconds", "approved"), expected)
    return ApprovedBudget(
        _amount(_text(fields.get("usd"), expected)),
        _amount(_text(fields.get("gpu_seconds"), expected)),
        _text(fields.get("approved"), expected),
    )


def _nodes(node: Any, known: tuple[str, ...], expected: str) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise _WrongError(expected)
    fields: dict[str, Any] = {}
    for name, value in node.value:
        if name.value not in known:
            raise _WrongError(f"{expected}, got {str(name.value)[:40]!r}")
        fields[name.value] = value
    return fields


def _text(node: Any, expected: str) -> str:
    if node is None:
        return ""
    if not isinstance(node, yaml.ScalarNode):
        raise _WrongError(expected)
    return str(node.value)


def _take(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_TAKES):
        raise _WrongError(f"expected a take from 1 to {MOST_TAKES}, got {text[:40]!r}")
    return int(text)


def _notes(node: Any) -> tuple[str, ...]:
    expected = "expected retakes: [NOTE, ...], each a note or an empty text"
    if not isinstance(node, yaml.SequenceNode) or len(node.value) > MOST_TAKES:
        raise _WrongError(expected)
    notes = tuple(_text(one, expected) for one in node.value)
    if any(len(note) > MOST_NOTE_CHARS for note in notes):
        raise _WrongError(f"expected notes of at most {MOST_NOTE_CHARS} characters")
    return notes


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = -1.0
    if not (math.isfinite(amount) and amount >= 0):
        raise _WrongError(f"expected a number from 0 up, got {text[:40]!r}")
    return amount


def _problem(file: str, node: Any, path: str, what: str) -> Problem:
    mark = node.start_mark
    return Problem(file, mark.line + 1, mark.column + 1, path, what)
