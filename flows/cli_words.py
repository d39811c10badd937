"""Options that several commands share, and what is made of their words."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from media.errors import UsageError
from media.shared_store import local_root

__all__ = [
    "AllVariants",
    "FilmPath",
    "JsonFlag",
    "Only",
    "OutFolder",
    "QuietFlag",
    "Sets",
    "ShotName",
    "StoreFolder",
    "VariantName",
    "named",
    "pairs",
    "print_json",
    "variables",
]

FilmPath = Annotated[Path, typer.Argument(metavar="FILM", help="The storyboard, a YAML file.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Give a variable a value; repeatable."),
]
ShotName = Annotated[
    str, typer.Argument(metavar="SHOT", help="Such as sc010/sh0020, or sh0020 where it is clear.")
]
VariantName = Annotated[
    str | None, typer.Option("--variant", metavar="NAME", help="A row of the variants table.")
]
AllVariants = Annotated[
    bool, typer.Option("--all-variants", help="One film for every row of the variants table.")
]
StoreFolder = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="STORE",
        parser=local_root,
        help="Where takes are, a folder or s3://BUCKET/PREFIX; default .takeboard beside FILM.",
    ),
]
OutFolder = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Where films go; default deliveries/CODE by FILM."),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="SHOT", help="Render just this shot; repeatable. No cut."),
]


def variables(sets: Sequence[str] | None) -> Mapping[str, str]:
    """Values by name, from NAME=VALUE each. UsageError for what is not that."""
    return pairs(sets, "--set", "NAME=VALUE")


def pairs(texts: Sequence[str] | None, option: str, expected: str) -> Mapping[str, str]:
    """What stands after the `=` of each text, by what stands before it.

    UsageError for a text that is not as `expected` of the `option`.
    """
    given = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"expected {expected}, got {text!r}", where=option)
        given[name.strip()] = value
    return given


def named(names: Sequence[str] | None) -> tuple[str, ...]:
    """What a repeatable option was given."""
    return tuple(names or ())


def print_json(facts: object) -> None:
    """For programs."""
    sys.stdout.write(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
