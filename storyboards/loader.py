"""A storyboard file as checked text: every problem in one go, each with its line and column."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from media.errors import Problem, StoryboardError
from storyboards.fields import did_you_mean
from storyboards.marks import Loc, Marks, Problems, one_line
from storyboards.repair import repaired, text_where_text_is_wanted
from storyboards.schema import StoryboardText, VariableValue
from storyboards.validation import describe, findings, report
from storyboards.variables import has_template, is_one_template, render_text
from storyboards.yaml_nodes import Mapping as MappingNode
from storyboards.yaml_nodes import Node, Scalar, Sequence, compose, resolve_plain

__all__ = ["LoadedStoryboard", "Reading", "load_storyboard", "read_storyboard", "read_text"]

MAX_BYTES = 8 * 2**20
"""Largest storyboard: a hundred times a feature film's."""

_LITERAL_KEYS = ("version", "variables", "variants")
"""What is read before variables have values."""

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class LoadedStoryboard:
    """A storyboard whose every field is well formed, with the places of its fields."""

    text: StoryboardText
    marks: Marks
    path: Path
    folder: Path
    names: Names
    damaged: frozenset[int] = frozenset()
    """Nodes (by identity) that lost a field because it was wrong: not to be judged further."""


@dataclass(frozen=True, slots=True)
class Names:
    """Every name that the file defines, also where what it stands for is wrong."""

    cast: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    looks: tuple[str, ...] = ()
    shots: frozenset[str] = frozenset()


@dataclass(slots=True)
class Reading:
    """A storyboard as far as it can be read, with what is wrong with the rest."""

    loaded: LoadedStoryboard | None = None
    problems: list[Problem] = field(default_factory=list)


def load_storyboard(
    path: Path | str, *, variables: Mapping[str, VariableValue] | None = None
) -> LoadedStoryboard:
    """The storyboard at `path` with its variables filled in.

    StoryboardError carries every malformed field; whether names, files and times fit together
    is checked when the film is resolved.
    """
    reading = read_storyboard(Path(path), variables or {})
    if reading.problems or reading.loaded is None:
        raise StoryboardError(reading.problems)
    return reading.loaded


def read_storyboard(path: Path, variables: Mapping[str, VariableValue]) -> Reading:
    """As much of the storyboard as makes sense, and every malformed field."""
    reading = Reading()

    def report_at(line: int, column: int, what: str) -> None:
        reading.problems.append(Problem(str(path), line, column, "storyboard", one_line(what)))

    text = read_text(path, reading.problems)
    root = compose(text, report_at) if text is not None else None
    if root is None:
        return reading
    marks = Marks(str(path), root)
    problems = Problems(marks)
    if not isinstance(root, MappingNode):
        problems.add((), f"expected a mapping such as version: 1, got {_kind(root)}")
        reading.problems.extend(problems.found)
        return reading
    _fill_in(root, variables, problems)
    storyboard, found = findings(root)
    if found:
        storyboard, found = text_where_text_is_wanted(root, found)
    names, damaged = _names(root), frozenset[int]()
    if found:
        report(found, problems)
        storyboard, later, damaged = repaired(root, found)
        report(later, problems)
    reading.problems = sorted({*reading.problems, *problems.found})
    if storyboard is not None:
        folder = path.parent
        reading.loaded = LoadedStoryboard(storyboard, marks, path, folder, names, damaged)
    return reading


def read_text(path: Path, problems: list[Problem], what: str = "storyboard") -> str | None:
    """The file's text, if it is a file of UTF-8 text of a sensible size."""
    try:
        content = _content(path)
        text = content.decode()
        if unprintable := _UNPRINTABLE.search(text):
            place = _place_of(text[: unprintable.start()])
            raise _UnreadableError(
                f"expected printable text, got the character U+{ord(unprintable[0]):04X}", *place
            )
    except UnicodeDecodeError as error:
        line, column = _place_of(content[: error.start].decode(errors="replace"))
        wrong = f"expected UTF-8, got the byte 0x{content[error.start]:02X}; save the file as UTF-8"
        problems.append(Problem(str(path), line, column, what, wrong))
    except _UnreadableError as error:
        problems.append(Problem(str(path), error.line, error.column, what, error.what))
    else:
        return text
    return None


class _UnreadableError(Exception):
    """The file is not text that can be read."""

    def __init__(self, what: str, line: int = 1, column: int = 1) -> None:
        self.what, self.line, self.column = what, line, column
        super().__init__(what)


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or a pipe"
            raise _UnreadableError(f"expected a file, got {kind}")
        if status.st_size > MAX_BYTES:
            raise _UnreadableError(
                f"expected at most {MAX_BYTES >> 20} MiB, got {status.st_size >> 20} MiB"
            )
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise _UnreadableError(f"cannot read the file: {reason}") from None
    if content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise _UnreadableError(
            "expected UTF-8 without a byte order mark; save the file as plain UTF-8"
        )
    return content


def _place_of(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _kind(node: Node) -> str:
    return "a list" if isinstance(node, Sequence) else describe(getattr(node, "value", None))


def _fill_in(root: MappingNode, variables: Mapping[str, VariableValue], problems: Problems) -> None:
    """Render the templates of all values, each once even when aliases repeat it."""
    declared = _declared(root)
    for name in variables:
        if name not in declared:
            hint = did_you_mean(name, list(declared))
            listed = ", ".join(declared) or "none"
            problems.add_at_key(
                ("variables",), f'unknown variable "{name}", expected one of {listed}{hint}'
            )
    values = {**declared, **variables}
    done: set[int] = set()
    for key, entry in root.entries.items():
        if key not in _LITERAL_KEYS:
            _fill_in_node(entry.node, (key,), values, problems, done)


def _declared(root: MappingNode) -> dict[str, VariableValue]:
    entry = root.entries.get("variables")
    if entry is None or not isinstance(entry.node, MappingNode):
        return {}
    members = {name: each.node for name, each in entry.node.entries.items()}
    return {
        name: "" if node.value is None else node.value
        for name, node in members.items()
        if isinstance(node, Scalar)
    }


def _fill_in_node(
    node: Node,
    loc: Loc,
    values: Mapping[str, VariableValue],
    problems: Problems,
    done: set[int],
) -> None:
    if isinstance(node, Scalar):
        if isinstance(node.value, str) and has_template(node.value) and id(node) not in done:
            done.add(id(node))
            _fill_in_scalar(node, loc, values, problems)
        return
    if id(node) in done:
        return
    done.add(id(node))
    if isinstance(node, Sequence):
        for index, member in enumerate(node.members):
            _fill_in_node(member, (*loc, index), values, problems, done)
    else:
        for key, entry in node.entries.items():
            _fill_in_node(entry.node, (*loc, key), values, problems, done)


def _fill_in_scalar(
    node: Scalar, loc: Loc, values: Mapping[str, VariableValue], problems: Problems
) -> None:
    whole = is_one_template(node.text)
    try:
        node.text = node.value = render_text(node.text, values)
        if whole and "\n" not in node.text:
            node.value = resolve_plain(node.text)
    except ValueError as error:
        problems.add(loc, str(error))


def _names(root: MappingNode) -> Names:
    def keys(section: str) -> tuple[str, ...]:
        entry = root.entries.get(section)
        known = isinstance(entry and entry.node, MappingNode)
        return tuple(entry.node.entries) if known else ()  # type: ignore[union-attr]

    shots: set[str] = set()
    for scene in _members(root, "scenes"):
        for shot in _members(scene, "shots"):
            shots.add(f"{_text(scene, 'id')}/{_text(shot, 'id')}")
    return Names(keys("cast"), keys("locations"), keys("looks"), frozenset(shots))


def _members(node: Node, key: str) -> list[Node]:
    entry = node.entries.get(key) if isinstance(node, MappingNode) else None
    return entry.node.members if entry and isinstance(entry.node, Sequence) else []


def _text(node: Node, key: str) -> str:
    entry = node.entries.get(key) if isinstance(node, MappingNode) else None
    return entry.node.text if entry and isinstance(entry.node, Scalar) else ""
