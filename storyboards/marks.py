"""Where each field stands in the file, and the problems found there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from media.errors import Problem
from storyboards.yaml_nodes import Mapping, Node, Scalar, Sequence

__all__ = ["Loc", "Marks", "Problems", "one_line"]

MANY = 500

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")

Loc = tuple[str | int, ...]
"""Keys and places in lists, from the root: `("scenes", 0, "shots", 2, "duration")`."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The storyboard's nodes, asked by location."""

    file: str
    root: Node

    def walk(self, loc: Loc) -> list[tuple[str | int, Node]]:
        """The steps from the root along `loc` as far as the file has them.

        Steps that stand only in the model (a field that a shorthand left out, a list around a
        single value, a branch of a union) are passed over.
        """
        node, steps = self.root, []
        for part in loc:
            if isinstance(node, Mapping) and part in node.entries:
                node = node.entries[str(part)].node
            elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.members):
                node = node.members[part]
            else:
                continue
            steps.append((part, node))
        return steps

    def node(self, loc: Loc) -> Node:
        """The deepest node along `loc`."""
        steps = self.walk(loc)
        return steps[-1][1] if steps else self.root

    def path(self, loc: Loc) -> str:
        """`scenes.sc010.shots.sh0020.duration`: members of a list go by their id."""
        node, names = self.root, ""
        for part, child in self.walk(loc):
            if isinstance(node, Sequence) and isinstance(part, int):
                name = _id_of(child)
                names += f".{name}" if name else f"[{node.places[part]}]"
            else:
                names += f".{part}"
            node = child
        path = names.lstrip(".")
        return one_line(path) or "storyboard"

    def problem(self, loc: Loc, what: str) -> Problem:
        """`what` at the value that `loc` names."""
        node = self.node(loc)
        return Problem(self.file, node.line, node.column, self.path(loc), one_line(what))

    def problem_at_key(self, loc: Loc, what: str) -> Problem:
        """`what` at the last key of `loc` rather than at its value."""
        parent = self.node(loc[:-1])
        entry = parent.entries.get(str(loc[-1])) if isinstance(parent, Mapping) else None
        if entry is None:
            return self.problem(loc, what)
        return Problem(self.file, entry.line, entry.column, self.path(loc), one_line(what))

    def line(self, loc: Loc) -> int:
        """Line of the value that `loc` names."""
        return self.node(loc).line


@dataclass(slots=True)
class Problems:
    """Problems as they are found; the same one is kept once."""

    marks: Marks
    found: dict[Problem, None] = field(default_factory=dict)

    @property
    def many(self) -> bool:
        """More than anybody reads: time to stop searching for what was meant."""
        return len(self.found) >= MANY

    def add(self, loc: Loc, what: str) -> None:
        """`what` is wrong at `loc`."""
        self.found[self.marks.problem(loc, what)] = None

    def add_at_key(self, loc: Loc, what: str) -> None:
        """`what` is wrong with the key that `loc` ends in."""
        self.found[self.marks.problem_at_key(loc, what)] = None


def one_line(text: str) -> str:
    """`text` without line breaks and without characters that would steer a terminal."""
    return _CONTROLS.sub(" ", text)


def _id_of(node: Node) -> str:
    if not isinstance(node, Mapping):
        return ""
    for key in ("id", "name"):
        entry = node.entries.get(key)
        if entry is not None and isinstance(entry.node, Scalar):
            return entry.node.text[:40]
    return ""
