"""YAML text as nodes that know their line and column; every problem found, nothing executed.

The parser's events are read one by one instead of its ready-made trees: that bounds the depth
and the number of nodes before they exist, and lets duplicate keys be reported with both lines.

Plain words are read by the core schema of YAML 1.2, not by 1.1: `no`, `on`, `1:30`, `16:9` and
`2026-11-21` are text, because a line of dialogue may well say "No".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from storyboards.yaml_complaints import in_plain_words

__all__ = [
    "MAX_DEPTH",
    "MAX_NODES",
    "Entry",
    "Mapping",
    "Node",
    "Scalar",
    "ScalarValue",
    "Sequence",
    "compose",
    "plain_value",
    "resolve_plain",
]

MAX_DEPTH = 32
"""Deepest nesting; a whole storyboard needs nine levels."""

MAX_NODES = 500_000
"""Most values after aliases are written out: a film of 2,000 rich shots has some 150,000."""

ScalarValue: TypeAlias = str | int | float | bool | None
Report: TypeAlias = Callable[[int, int, str], None]
"""Takes line and column (from 1) and what is wrong."""

# CSafeLoader has no types of its own, and is absent where PyYAML was built without libyaml.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)
_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


@dataclass(slots=True, eq=False)
class Scalar:
    """A single value: as written, and as read."""

    line: int
    column: int
    text: str
    value: ScalarValue


@dataclass(slots=True, eq=False)
class Sequence:
    """A list; `places` are the places that its members had in the file."""

    line: int
    column: int
    members: list[Node] = field(default_factory=list)
    places: list[int] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Entry:
    """A value under a key, with the place of the key."""

    line: int
    column: int
    node: Node


@dataclass(slots=True, eq=False)
class Mapping:
    """Keys and values in the order of the file."""

    line: int
    column: int
    entries: dict[str, Entry] = field(default_factory=dict)


Node: TypeAlias = Scalar | Sequence | Mapping


def compose(text: str, report: Report) -> Node | None:
    """The one document of `text`; None when it is empty or cannot be read at all."""
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:
        report(*in_plain_words(error, text))
        return None
    try:
        return _Composer(loader, report).document()
    except yaml.YAMLError as error:
        report(*in_plain_words(error, text))
    except _TooMuchError as error:
        report(error.line, error.column, error.what)
    finally:
        loader.dispose()
    return None


def plain_value(node: Node) -> Any:
    """Dictionaries, lists and scalars as pydantic reads them."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain_value(member) for member in node.members]
    return {key: plain_value(entry.node) for key, entry in node.entries.items()}


def resolve_plain(text: str) -> ScalarValue:
    """What unquoted `text` says; ValueError for infinity, NaN and numbers beyond reason."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INT.fullmatch(text):
        if len(text) > 18:
            raise ValueError(f"expected a number of at most 18 digits, got {len(text)} of them")
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return number
    elif not _NOT_FINITE.fullmatch(text):
        return text
    raise ValueError(f"expected a finite number, got {text[:40]}")


class _TooMuchError(Exception):
    """The text cannot be read any further."""

    def __init__(self, line: int, column: int, what: str) -> None:
        self.line, self.column, self.what = line, column, what
        super().__init__(what)


class _Composer:
    """Events to nodes, with anchors and counts."""

    def __init__(self, loader: Any, report: Report) -> None:
        self._next: Callable[[], Any] = loader.get_event
        self._report = report
        self._anchors: dict[str, tuple[Node | None, int]] = {}
        self._num_nodes = 0

    def document(self) -> Node | None:
        self._next()  # the start of the stream
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            self._report(1, 1, "expected a storyboard, got an empty file")
            return None
        root = self._node(self._next(), 0)
        self._next()  # the end of the document
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            line, column = _place(event)
            self._report(line, column, 'expected one document in the file, got another after "---"')
        return root

    def _node(self, event: Any, depth: int) -> Node:
        self._num_nodes += 1
        line, column = _place(event)
        if self._num_nodes > MAX_NODES:
            raise _TooMuchError(
                line, column, f"expected at most {MAX_NODES} values with aliases written out"
            )
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, line, column)
        if depth > MAX_DEPTH:
            raise _TooMuchError(
                line, column, f"expected at most {MAX_DEPTH} levels of nesting, got more"
            )
        before = self._num_nodes
        if event.anchor:
            self._anchors[event.anchor] = (None, 0)
        node = self._content(event, depth, line, column)
        if event.anchor:
            self._anchors[event.anchor] = (node, self._num_nodes - before + 1)
        return node

    def _content(self, event: Any, depth: int, line: int, column: int) -> Node:
        if event.tag is not None and not _is_text_tag(event.tag):
            self._report(line, column, f"expected no tag, got {event.tag[:60]!r}; leave it out")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, line, column)
        if isinstance(event, yaml.SequenceStartEvent):
            sequence = Sequence(line, column)
            for member in self._until(yaml.SequenceEndEvent):
                sequence.members.append(self._node(member, depth + 1))
            sequence.places = list(range(len(sequence.members)))
            return sequence
        mapping, merged = Mapping(line, column), set[str]()
        for key in self._until(yaml.MappingEndEvent):
            self._entry(mapping, merged, key, depth)
        return mapping

    def _until(self, end: type) -> Iterator[Any]:
        while not isinstance(event := self._next(), end):
            yield event

    def _alias(self, event: Any, line: int, column: int) -> Node:
        node, num_nodes = self._anchors.get(event.anchor, (None, -1))
        if num_nodes < 0:
            raise _TooMuchError(line, column, f"the alias *{event.anchor} names no anchor above it")
        if node is None:
            raise _TooMuchError(line, column, f"the alias *{event.anchor} contains itself")
        self._num_nodes += num_nodes
        if self._num_nodes > MAX_NODES:
            raise _TooMuchError(
                line, column, f"expected at most {MAX_NODES} values with aliases written out"
            )
        return node

    def _scalar(self, event: Any, line: int, column: int) -> Scalar:
        if event.style or event.tag is not None:
            return Scalar(line, column, event.value, event.value)
        try:
            return Scalar(line, column, event.value, resolve_plain(event.value))
        except ValueError as error:
            self._report(line, column, str(error))
            return Scalar(line, column, event.value, None)

    def _entry(self, mapping: Mapping, merged: set[str], key_event: Any, depth: int) -> None:
        key = self._node(key_event, depth + 1)
        line, column = _place(key_event)
        node = self._node(self._next(), depth + 1)
        if not isinstance(key, Scalar):
            hint = '; a template needs quotes: "{{ name }}"' if isinstance(key, Mapping) else ""
            self._report(line, column, f"expected a word as key, got a list or mapping{hint}")
        elif not isinstance(key.value, str):
            self._report(
                line,
                column,
                f'expected text as key, got {key.text}; put it in quotes: "{key.text}"',
            )
        elif key.value == "<<":
            merged |= self._merge(mapping, node, line, column)
        elif key.value in mapping.entries and key.value not in merged:
            first = mapping.entries[key.value].line
            self._report(
                line, column, f'the key "{key.value}" is here twice, first in line {first}'
            )
        else:
            merged.discard(key.value)
            mapping.entries[key.value] = Entry(line, column, node)

    def _merge(self, mapping: Mapping, node: Node, line: int, column: int) -> set[str]:
        """The keys taken over from anchored mappings; a key written out overrules them."""
        taken: set[str] = set()
        for source in node.members if isinstance(node, Sequence) else [node]:
            if not isinstance(source, Mapping):
                self._report(line, column, "expected an alias of a mapping after <<")
                continue
            missing = {
                key: entry for key, entry in source.entries.items() if key not in mapping.entries
            }
            mapping.entries.update(missing)
            taken |= missing.keys()
        return taken


def _place(event: Any) -> tuple[int, int]:
    mark = event.start_mark
    return mark.line + 1, mark.column + 1


def _is_text_tag(tag: str) -> bool:
    return tag in ("!", "tag:yaml.org,2002:str")
