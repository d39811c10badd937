"""Nodes against the schema: pydantic's findings in our words, at their place in the file."""

from __future__ import annotations

import re
import types
import typing
from functools import lru_cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from storyboards.fields import did_you_mean
from storyboards.marks import Loc, Marks, Problems
from storyboards.schema import StoryboardText
from storyboards.yaml_nodes import Node, Sequence, plain_value

__all__ = ["Finding", "describe", "findings", "report"]

Finding = dict[str, Any]
"""One error of pydantic's: `loc`, `type`, `input`, `ctx`."""

_SCALAR_TYPES = {"string_type", "int_type", "float_type", "bool_type"}
_MAX_LISTED = 12


def findings(root: Node) -> tuple[StoryboardText | None, list[Finding]]:
    """The storyboard, or everything that pydantic finds wrong with it."""
    try:
        return StoryboardText.model_validate(plain_value(root)), []
    except ValidationError as error:
        found = error.errors(include_url=False)
    marks = Marks("", root)
    return None, [dict(each) for each in found if not _is_echo(dict(each), marks)]


def report(found: list[Finding], problems: Problems) -> None:
    """Every finding as one problem; the branches of a union together make one."""
    groups: dict[tuple[Any, ...], list[Finding]] = {}
    for finding in found:
        steps = tuple(part for part, _ in problems.marks.walk(finding["loc"]))
        whole = finding["loc"] if finding["type"] in ("missing", "extra_forbidden") else ()
        groups.setdefault((steps, whole), []).append(finding)
    for number, group in enumerate(groups.values()):
        if problems.many:
            problems.add(group[0]["loc"], f"and {len(groups) - number} more problems like these")
            return
        finding = next((each for each in group if each["type"] != "literal_error"), group[0])
        what = _union(group) if len(group) > 1 else _sentence(finding)
        _place(finding, what, problems)


def describe(value: object) -> str:
    """What was found, short enough for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, str):
        shown = value if len(value) <= 40 else f"{value[:37]}..."
        return '"' + shown.replace("\n", " ") + '"'
    return str(value)


def _is_echo(finding: Finding, marks: Marks) -> bool:
    """A list that pydantic calls too short only because its members were refused."""
    if finding["type"] != "too_short":
        return False
    node = marks.node(finding["loc"])
    return isinstance(node, Sequence) and len(node.members) >= finding["ctx"]["min_length"]


def _place(finding: Finding, what: str, problems: Problems) -> None:
    loc: Loc = finding["loc"]
    if finding["type"] == "extra_forbidden":
        problems.add_at_key(loc, _unknown_key(loc))
    elif loc and loc[-1] == "[key]":
        problems.add_at_key(loc[:-1], what)
    else:
        problems.add(loc, what)


def _unknown_key(loc: Loc) -> str:
    model = _model_at(loc[:-1])
    fields = _field_names(model) if model else ()
    name = str(loc[-1])
    hint = did_you_mean(name, list(fields))
    listed = ", ".join(fields[:_MAX_LISTED]) + (", ..." if len(fields) > _MAX_LISTED else "")
    expected = "" if hint or not listed else f", expected one of {listed}"
    quotes = "; text with a comma in { } needs quotes" if " " in name else ""
    return f"unknown key {describe(name)}{expected}{hint}{quotes}"


def _union(group: list[Finding]) -> str:
    kinds = {finding["type"] for finding in group}
    if kinds >= _SCALAR_TYPES:
        return f"expected text, a number, true or false, got {describe(group[0]['input'])}"
    sentences = [_sentence(each) for each in group if each["type"] != "literal_error"]
    words = [each["ctx"]["expected"] for each in group if each["type"] == "literal_error"]
    if not sentences:
        return _sentence(group[0])
    alternative = "".join(f" or {word}" for word in words).replace("'", '"')
    if ", got" in sentences[0]:
        return sentences[0].replace(", got", f"{alternative}, got", 1)
    return sentences[0] + alternative


def _sentence(finding: Finding) -> str:
    kind, value, ctx = finding["type"], finding["input"], finding.get("ctx", {})
    if kind == "missing":
        name = finding["loc"][-1]
        if isinstance(name, int):
            return f"expected more values, got {len(value)}"
        return f'the key "{name}" is missing, expected it here'
    if kind == "value_error":
        return str(ctx["error"]) + _time_hint(value, str(ctx["error"]))
    if kind == "literal_error":
        return _one_of(ctx["expected"], value)
    if kind in _WANTED:
        return f"expected {_WANTED[kind]}, got {describe(value)}{_truth_hint(kind, value)}"
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"expected {words} {ctx[key]:g}, got {describe(value)}"
    if kind in ("too_long", "too_short"):
        words, key = ("at most", "max_length") if kind == "too_long" else ("at least", "min_length")
        count = len(value) if isinstance(value, (list, tuple, dict)) else ctx["actual_length"]
        return f"expected {words} {ctx[key]} of them, got {count}"
    return f"{finding['msg'][:1].lower()}{finding['msg'][1:]}, got {describe(value)}"


_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "tuple_type": "a list",
    "list_type": "a list",
    "finite_number": "a finite number",
}
_LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def _one_of(expected: str, value: object) -> str:
    words = re.findall(r"'([^']*)'", expected) or re.findall(r"[\w.]+", expected)
    hint = did_you_mean(value, words) if isinstance(value, str) else ""
    choice = words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    return f"expected {choice}, got {describe(value)}{hint}"


def _truth_hint(kind: str, value: object) -> str:
    if kind != "bool_type" or not isinstance(value, str):
        return ""
    if value.lower() in ("yes", "on", "y"):
        return ", did you mean true?"
    return ", did you mean false?" if value.lower() in ("no", "off", "n") else ""


def _time_hint(value: object, sentence: str) -> str:
    """`1:30` is a number in YAML 1.1 and a clock in films; the language wants its seconds."""
    if not isinstance(value, str) or not sentence.startswith("expected seconds"):
        return ""
    clock = re.fullmatch(r"(?:(\d{1,2}):)?(\d{1,2}):(\d{2})", value.strip(), re.ASCII)
    if clock:
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return f', did you mean "{hours * 3600 + minutes * 60 + seconds}s"?'
    number = re.match(r"\s*(\d+(?:\.\d+)?)\s*(sec|second|fr|frame|min|minute)", value, re.ASCII)
    if not number:
        return ""
    if number[2].startswith("min"):
        return f', did you mean "{float(number[1]) * 60:g}s"?'
    return f', did you mean "{number[1]}{number[2][0]}"?'


def _model_at(loc: Loc) -> type[BaseModel] | None:
    """The model whose key was refused, found by walking the annotations along `loc`."""
    here: Any = StoryboardText
    for part in loc:
        models = _models_in(here)
        if models:
            annotations = [_annotation(model, str(part)) for model in models]
            here = next((each for each in annotations if each is not None), here)
        else:
            here = _member_type(here)
    models = _models_in(here)
    while not models and here is not None and (inner := _member_type(here)) is not None:
        here, models = inner, _models_in(inner)
    return models[0] if models else None


def _annotation(model: type[BaseModel], name: str) -> Any:
    for field_name, field in model.model_fields.items():
        if name in (field_name, field.alias):
            return field.annotation
    return None


def _branches(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is typing.Annotated:
        return _branches(get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [each for branch in get_args(annotation) for each in _branches(branch)]
    return [annotation]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    return [
        each
        for each in _branches(annotation)
        if isinstance(each, type) and issubclass(each, BaseModel)
    ]


def _member_type(annotation: Any) -> Any:
    for branch in _branches(annotation):
        arguments = [each for each in get_args(branch) if each is not Ellipsis]
        if get_origin(branch) in (dict, tuple, list) and arguments:
            return arguments[-1]
    return None


@lru_cache(maxsize=64)
def _field_names(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())
