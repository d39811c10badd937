"""What a YAML parser complains about, in words for a person."""

from __future__ import annotations

import re

import yaml

__all__ = ["in_plain_words"]

# (in the context, in the problem, what to say, whether the context says where); the first fits.
# libyaml and PyYAML's own parser word some of them differently.
_COMPLAINTS: tuple[tuple[str, str, str, bool], ...] = (
    ("quoted scalar", "end of stream", "a quote is opened here and never closed", True),
    ("quoted scalar", "document indicator", "a quote is opened here and never closed", True),
    ("quoted scalar", "escape", "expected an escape that YAML knows, such as \\n; in 'single "
     "quotes' a backslash is only a backslash", False),
    ("", r"\t", "expected spaces, got a tab; YAML is indented with spaces", False),
    ("", "tab character", "expected spaces, got a tab; YAML is indented with spaces", False),
    ("", "mapping values are not allowed", "did not expect a colon here; put text that contains "
     '": " in quotes, and check the indentation', False),
    ("", "expected ':'", 'expected "key: value", got a line without a colon', True),
    ("flow sequence", "", "expected a comma or ] in the list that is opened here", True),
    ("flow mapping", "", "expected a comma or } in the mapping that is opened here", True),
    ("flow node", "", "expected a value, got a bracket or the end; put text in quotes", False),
    ("block mapping", "", 'expected "key: value" at the indentation of the lines above', False),
    ("block collection", "", 'expected "- " at the indentation of the lines above', False),
    ("block sequence", "", 'expected "- " at the indentation of the lines above', False),
    ("", "cannot start any token", "expected text in quotes when it starts with such a sign",
     False),
    ("block scalar", "", "expected only an indicator such as | or > on this line", False),
    ("tag", "", "expected no tag; put text that starts with ! in quotes", False),
    ("", "undefined tag handle", "expected no tag; put text that starts with ! in quotes", False),
    ("anchor", "", "expected a name after &; put text that starts with & in quotes", False),
    ("alias", "", "expected a name after *; put text that starts with * in quotes", False),
    ("directive", "", "expected no line that starts with %", False),
    ("", "document start", "expected one storyboard; check the indentation of this line", False),
)  # fmt: skip


def in_plain_words(error: yaml.YAMLError, text: str) -> tuple[int, int, str]:
    """Line, column (from 1) and what is wrong."""
    if isinstance(error, yaml.MarkedYAMLError):
        context, problem = error.context or "", error.problem or ""
        if _is_tab(error.problem_mark, text):
            # libyaml does not say which character it is that cannot start a token.
            problem = "tab character"
        for in_context, in_problem, what, at_context in _COMPLAINTS:
            if in_context in context and in_problem in problem:
                mark = error.context_mark if at_context else error.problem_mark
                mark = mark or error.problem_mark or error.context_mark
                return (*_place(mark), what)
        mark = error.problem_mark or error.context_mark
        return (*_place(mark), f"this is not YAML: {problem or context}")
    position = getattr(error, "position", 0)
    before = text[: position if isinstance(position, int) else 0]
    line = before.count("\n") + 1
    reason = re.sub(r"\s+", " ", str(getattr(error, "reason", "") or error))[:120]
    return line, len(before) - before.rfind("\n"), f"this is not YAML: {reason}"


def _place(mark: yaml.Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def _is_tab(mark: yaml.Mark | None, text: str) -> bool:
    lines = text.split("\n")
    if mark is None or mark.line >= len(lines):
        return False
    return lines[mark.line][mark.column : mark.column + 1] == "\t"
