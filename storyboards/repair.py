"""A storyboard without its malformed fields, so that the rest of it can still be checked."""

from __future__ import annotations

from itertools import count

from storyboards.marks import Marks
from storyboards.schema import StoryboardText
from storyboards.validation import Finding, findings
from storyboards.yaml_nodes import Entry, Mapping, Node, Scalar, Sequence

__all__ = ["repaired", "text_where_text_is_wanted"]

_MAX_ROUNDS = 6

_STAND_INS: dict[str, str | int] = {
    "version": 1,
    "code": "X",
    "title": "x",
    "description": "x",
    "slugline": "x",
    "text": "x",
    "line": "x",
    "id": "x",
}
"""What stands for a required field that is missing or malformed; never seen by anybody."""


def text_where_text_is_wanted(
    root: Node, found: list[Finding]
) -> tuple[StoryboardText | None, list[Finding]]:
    """The findings left when unquoted numbers and truth values may also be text.

    `title: 1984` and `line: true` are what they look like to a person.
    """
    marks = Marks("", root)
    changed: dict[int, tuple[Scalar, object]] = {}
    for finding in found:
        node = marks.node(finding["loc"])
        if isinstance(node, Scalar) and isinstance(node.value, (int, float)):
            changed.setdefault(id(node), (node, node.value))
            node.value = node.text
    if not changed:
        return None, found
    storyboard, left = findings(root)
    wrong = {id(marks.node(finding["loc"])) for finding in left}
    kept = [(node, value) for key, (node, value) in changed.items() if key in wrong]
    for node, value in kept:
        node.value = value  # type: ignore[assignment]
    return findings(root) if kept else (storyboard, left)


def repaired(
    root: Mapping, found: list[Finding]
) -> tuple[StoryboardText | None, list[Finding], frozenset[int]]:
    """The storyboard without what was found, findings that only show now, and what was damaged.

    A rule over a whole mapping (either this or that) runs only when its fields are sound, so a
    later round may find more; what merely follows from a removal is not reported again.
    """
    later: list[Finding] = []
    damaged: set[int] = set()
    numbers = count()
    for _ in range(_MAX_ROUNDS):
        marks = Marks("", root)
        # All places first: they are counted in the tree as it was when they were found.
        wrong = [(finding, [(None, root), *marks.walk(finding["loc"])]) for finding in found]
        for finding, steps in wrong:
            damaged.update(id(node) for _, node in steps)
            _remove(finding, steps, numbers)
        storyboard, found = findings(root)
        if storyboard is not None:
            return storyboard, later, frozenset(damaged)
        fresh = Marks("", root)
        for finding in found:
            touched = {id(node) for _, node in fresh.walk(finding["loc"])[-1:]} & damaged
            if not touched and finding["type"] != "missing":
                later.append(finding)
    return None, later, frozenset(damaged)


def _remove(
    finding: Finding, steps: list[tuple[str | int | None, Node]], numbers: count[int]
) -> None:
    """Take the malformed value out of the mapping or list that holds it."""
    if finding["type"] == "missing" and isinstance(steps[-1][1], Mapping):
        key = str(finding["loc"][-1])
        stand_in = _stand_in(key, steps[-1][1], numbers)
        if stand_in is not None:
            steps[-1][1].entries[key] = Entry(1, 1, stand_in)
            return
    if len(steps) < 2:
        return
    (part, node), holder = steps[-1], steps[-2][1]
    if isinstance(holder, Mapping):
        entry = holder.entries.get(str(part))
        if entry is not None and entry.node is node:
            del holder.entries[str(part)]
    elif isinstance(holder, Sequence):
        kept = [place for place, member in enumerate(holder.members) if member is not node]
        holder.places[:] = [holder.places[place] for place in kept]
        holder.members[:] = [holder.members[place] for place in kept]


def _stand_in(key: str, holder: Mapping, numbers: count[int]) -> Node | None:
    if key == "project":
        return Mapping(holder.line, holder.column)
    if key not in _STAND_INS:
        return None
    value = _STAND_INS[key]
    if key == "id":
        value = f"x-{next(numbers)}"
    return Scalar(holder.line, holder.column, str(value), value)
