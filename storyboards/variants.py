"""A table of variants: one film a row, from YAML or CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from media.errors import Problem, StoryboardError
from storyboards.fields import did_you_mean
from storyboards.loader import read_text
from storyboards.marks import one_line
from storyboards.schema import VariableValue
from storyboards.yaml_nodes import Mapping as MappingNode
from storyboards.yaml_nodes import Node, Scalar, Sequence, compose, resolve_plain

__all__ = ["MAX_ROWS", "Variant", "load_variants"]

MAX_ROWS = 1000

_NAME = "name"


@dataclass(frozen=True, slots=True)
class Variant:
    """A row of the table."""

    name: str
    values: Mapping[str, VariableValue]


@dataclass(frozen=True, slots=True)
class _Cell:
    line: int
    column: int
    """Of the character in YAML, of the cell in CSV, from 1."""
    value: object
    text: str


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    column: int
    name: _Cell | None
    cells: Mapping[str, _Cell]


def load_variants(
    path: Path | str, declared: Mapping[str, VariableValue] | None = None
) -> tuple[Variant, ...]:
    """The rows of the table at `path`; StoryboardError carries everything wrong with it.

    `declared` are the storyboard's variables: a row may leave one out, which keeps its value
    there, but may not name others nor give text for a number.
    """
    table = _Table(Path(path), declared)
    text = read_text(table.path, table.problems, "variants")
    rows: list[_Row] = []
    if text is not None:
        is_csv = table.path.suffix.lower() == ".csv"
        rows = table.csv_rows(text) if is_csv else table.yaml_rows(text)
    variants = table.variants(rows)
    if table.problems:
        raise StoryboardError(table.problems)
    return variants


class _Table:
    """A table being read, with its problems."""

    def __init__(self, path: Path, declared: Mapping[str, VariableValue] | None) -> None:
        self.path, self.declared = path, declared
        self.problems: list[Problem] = []

    def csv_rows(self, text: str) -> list[_Row]:
        """Rows under a header; a field may hold line breaks inside quotes."""
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows: list[_Row] = []
        try:
            header = [cell.strip() for cell in next(reader, [])]
            self._check_header(header)
            line = reader.line_num + 1
            for cells in reader:
                if cells and len(rows) <= MAX_ROWS:
                    rows.append(self._csv_row(header, cells, line))
                line = reader.line_num + 1
        except csv.Error as error:
            self._add(reader.line_num or 1, 1, "variants", f"this is not CSV: {error}")
        return rows

    def yaml_rows(self, text: str) -> list[_Row]:
        """A list of mappings with names, or a mapping from name to mapping."""
        root = compose(text, lambda line, column, what: self._add(line, column, "variants", what))
        if isinstance(root, MappingNode):
            named = [
                (_Cell(entry.line, entry.column, name, name), entry.node)
                for name, entry in root.entries.items()
            ]
            return [self._yaml_row(node, name) for name, node in named]
        if isinstance(root, Sequence):
            return [self._yaml_row(node, None) for node in root.members]
        if root is not None:
            self._add(1, 1, "variants", "expected a list of rows or a mapping of names to rows")
        return []

    def variants(self, rows: list[_Row]) -> tuple[Variant, ...]:
        """The rows, named and checked."""
        if len(rows) > MAX_ROWS:
            what = f"expected at most {MAX_ROWS} rows, got more"
            self._add(rows[MAX_ROWS].line, 1, "variants", what)
        elif not rows and not self.problems:
            self._add(1, 1, "variants", "expected at least one row, got none")
        found: list[Variant] = []
        first_lines: dict[str, int] = {}
        for number, row in enumerate(rows, start=1):
            name = self._name(row, number)
            # Names become file names, which some disks compare without case.
            if name.lower() in first_lines:
                first = first_lines[name.lower()]
                cell = row.name or row
                what = f'the name "{name}" is here twice, first in line {first}'
                self._add(cell.line, cell.column, name, what)
            first_lines.setdefault(name.lower(), row.line)
            values = {key: self._value(name, key, cell) for key, cell in row.cells.items()}
            found.append(Variant(name, {k: v for k, v in values.items() if v is not None}))
        return tuple(found)

    def _check_header(self, header: list[str]) -> None:
        if not any(header):
            self._add(1, 1, "variants", "expected a header row with the names of the variables")
        for place, name in enumerate(header):
            if not name:
                self._add(1, place + 1, "variants", f"column {place + 1} has no name")
            elif name in header[:place]:
                self._add(1, place + 1, f"variants.{name}", f'the column "{name}" is here twice')

    def _csv_row(self, header: list[str], cells: list[str], line: int) -> _Row:
        if len(cells) != len(header):
            what = f"expected {len(header)} cells as in the header, got {len(cells)}"
            self._add(line, 1, "variants", what)
        placed = {
            name: _Cell(line, place + 1, cell.strip(), cell.strip())
            for place, (name, cell) in enumerate(zip(header, cells, strict=False))
            if name
        }
        name = placed.pop(_NAME, None) if header and header[0] == _NAME else None
        return _Row(line, 1, name, placed)

    def _yaml_row(self, node: Node, name: _Cell | None) -> _Row:
        if not isinstance(node, MappingNode):
            self._add(node.line, node.column, "variants", "expected a row such as {title: Mug}")
            return _Row(node.line, node.column, name, {})
        cells: dict[str, _Cell] = {}
        for key, entry in node.entries.items():
            place = entry.node.line, entry.node.column
            if isinstance(entry.node, Scalar):
                cells[key] = _Cell(*place, entry.node.value, entry.node.text)
            else:
                cells[key] = _Cell(*place, [], "")
        if name is None:
            name = cells.pop(_NAME, None)
        return _Row(node.line, node.column, name, cells)

    def _name(self, row: _Row, number: int) -> str:
        if row.name is None:
            return f"{number:03}"
        name = row.name.text
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name, re.ASCII):
            what = f"expected a name of letters, digits, _, - and dots, got {name[:40]!r}"
            self._add(row.name.line, row.name.column, "variants", what)
        return name

    def _value(self, row: str, key: str, cell: _Cell) -> VariableValue | None:
        path, value = f"{row}.{key}", cell.value
        known = self.declared
        if known is not None and key not in known:
            listed = ", ".join(known) or "none"
            hint = did_you_mean(key, list(known))
            what = f'unknown variable "{key}", expected one of {listed}{hint}'
            self._add(cell.line, cell.column, path, what)
            return None
        if value is None or value == "":
            self._add(cell.line, cell.column, path, "expected a value, got nothing")
            return None
        if not isinstance(value, (str, int, float, bool)):
            what = "expected text, a number, true or false, got a list or mapping"
            self._add(cell.line, cell.column, path, what)
            return None
        return self._like_declared(value, key, cell, path)

    def _like_declared(
        self, value: VariableValue, key: str, cell: _Cell, path: str
    ) -> VariableValue | None:
        """`value` as the kind of thing that the storyboard declares; CSV has only text."""
        model = None if self.declared is None else self.declared[key]
        if isinstance(model, str):
            return cell.text
        if isinstance(value, str) and self.path.suffix.lower() == ".csv":
            try:
                plain = resolve_plain(value)
            except ValueError as error:
                self._add(cell.line, cell.column, path, str(error))
                return None
            value = value if plain is None else plain
        if model is None:
            return value
        wanted = "true or false" if isinstance(model, bool) else "a number"
        fits = isinstance(value, bool) == isinstance(model, bool) and not isinstance(value, str)
        if not fits:
            self._add(cell.line, cell.column, path, f"expected {wanted}, got {value!r}")
        return value

    def _add(self, line: int, column: int, path: str, what: str) -> None:
        self.problems.append(Problem(str(self.path), line, column, one_line(path), one_line(what)))
