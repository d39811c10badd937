"""Jinja2 in a storyboard: single scalars with variables in them, and nothing that can run away.

Only expressions, `if` and a few filters are understood: no loops, calls, attributes, powers or
imports. What is left takes time and memory in proportion to the text, which is bounded.
Values are put in after the YAML was read, so that no value can add a key or move a line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from storyboards.fields import did_you_mean
from storyboards.schema import VariableValue

__all__ = ["MAX_RENDERED", "has_template", "is_one_template", "render_text"]

MAX_TEMPLATE = 8000
MAX_RENDERED = 8000
"""Longest text before and after, in characters; no field takes more than 4,000."""

_FILTERS = (
    "abs", "capitalize", "d", "default", "float", "int", "length", "lower", "title", "trim",
    "upper",
)  # fmt: skip
_TESTS = ("defined", "undefined", "number", "string", "odd", "even", "eq", "ne", "lt", "gt", "in")
_MAX_DIGITS = 6

_UNDERSTOOD: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.List,
    nodes.Tuple, nodes.Filter, nodes.Test, nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv,
    nodes.Mod, nodes.Neg, nodes.Pos, nodes.Concat, nodes.Keyword,
)  # fmt: skip


class _Desk(ImmutableSandboxedEnvironment):
    """A sandbox in which only numbers are multiplied and divided."""

    intercepted_binops = frozenset({"*", "/", "//", "%"})

    def call_binop(
        self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any
    ) -> Any:
        for operand in (left, right):
            if not isinstance(operand, (int, float)):
                raise SecurityError(f'expected a number beside "{operator}"')
        return super().call_binop(context, operator, left, right)


def has_template(text: str) -> bool:
    """Whether `text` contains anything for Jinja2."""
    return "{{" in text or "{%" in text or "{#" in text


def is_one_template(text: str) -> bool:
    """Whether the whole of `text` is a single `{{ ... }}`, so that it may stand for a number."""
    inside = text.strip()
    return inside.startswith("{{") and inside.endswith("}}") and inside.count("{{") == 1


def render_text(text: str, values: Mapping[str, VariableValue]) -> str:
    """`text` with the variables filled in; ValueError in words for a person."""
    if len(text) > MAX_TEMPLATE:
        raise ValueError(f"expected a template of at most {MAX_TEMPLATE} characters")
    try:
        desk = _desk()
        tree = desk.parse(text)
        _require_understood(tree, values)
        rendered = desk.from_string(tree).render(dict(values))
    except jinja2.UndefinedError as error:
        raise ValueError(f"template: {error}") from None
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(
            f"expected a Jinja2 template, got {_shown(text)}: {error.message}"
        ) from None
    except SecurityError as error:
        raise ValueError(f"template: {error}") from None
    except (
        jinja2.TemplateError, ArithmeticError, TypeError, RecursionError, SyntaxError, MemoryError,
    ) as error:  # fmt: skip
        reason = str(error) or type(error).__name__
        raise ValueError(f"the template {_shown(text)} fails: {reason}") from None
    if len(rendered) > MAX_RENDERED:
        raise ValueError(
            f"expected at most {MAX_RENDERED} characters from the template, got {len(rendered)}"
        )
    return rendered


@lru_cache(maxsize=1)
def _desk() -> _Desk:
    desk = _Desk(undefined=jinja2.StrictUndefined, autoescape=False, cache_size=0)
    filters: dict[str, Callable[..., Any]] = {name: desk.filters[name] for name in _FILTERS}
    desk.filters = {**filters, "round": _round}
    desk.tests = {name: desk.tests[name] for name in _TESTS}
    desk.globals = {}
    return desk


def _round(value: float, digits: int = 0) -> float:
    # Jinja2's own takes any number of digits, and computes a power of ten with them.
    rounded = round(value, max(0, min(digits, _MAX_DIGITS)))
    return int(rounded) if digits == 0 else rounded


def _require_understood(tree: nodes.Template, values: Mapping[str, VariableValue]) -> None:
    for node in tree.find_all(nodes.Node):
        if isinstance(node, nodes.Name):
            if node.name not in values and not _is_guarded(tree, node):
                known = sorted(values)
                listed = ", ".join(known[:20]) or "none are declared"
                raise ValueError(
                    f'unknown variable "{node.name}", expected one of variables: {listed}'
                    f"{did_you_mean(node.name, known)}"
                )
        elif isinstance(node, nodes.Filter) and node.name not in (*_FILTERS, "round"):
            raise ValueError(f"expected one of the filters {', '.join(_FILTERS)}, got {node.name}")
        elif not isinstance(node, (*_UNDERSTOOD, nodes.EvalContextModifier)):
            raise ValueError(
                "expected variables, arithmetic, filters and if in a template, "
                f"got {type(node).__name__.lower()}"
            )


def _is_guarded(tree: nodes.Template, name: nodes.Name) -> bool:
    """Whether `default` or a test for being defined stands directly on the name."""
    guards = [
        *(each for each in tree.find_all(nodes.Filter) if each.name in ("default", "d")),
        *(each for each in tree.find_all(nodes.Test) if each.name in ("defined", "undefined")),
    ]
    return any(guard.node is name for guard in guards)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
