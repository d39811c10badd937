"""The fields of the form that starts a film in Prefect's UI, with their titles there.

Every field is a plain one: a field that may be null is drawn as a choice of types. So empty text,
an empty list and 0 stand for "not given".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from flows.farm.names import Urgency

__all__ = [
    "NO_VARIABLES",
    "EveryVariant",
    "Jobs",
    "OnlyShots",
    "OutFolder",
    "Slates",
    "StoreFolder",
    "Storyboard",
    "TakesUrgency",
    "Variables",
    "VariantName",
    "pasted_path",
]


NO_VARIABLES: Mapping[str, str] = {}
"""Of a film whose storyboard's own values stand."""


def _titled(title: str, **more: Any) -> Any:
    # Prefect gives each field the parameter's name as its title; what is extra comes after that.
    return Field(json_schema_extra={"title": title, **more})


def pasted_path(text: str | Path) -> Path:
    """The path without what a person pastes or types around it: blanks, a new line, quotes."""
    return Path(str(text).strip().strip("\"'").strip())


_ShotName = Annotated[str, StringConstraints(pattern=r"^[^/\s]+(/[^/\s]+)?$")]

Storyboard = Annotated[Path, BeforeValidator(pasted_path), _titled("Storyboard", minLength=1)]
VariantName = Annotated[str, _titled("Variant")]
EveryVariant = Annotated[bool, _titled("Every variant")]
Variables = Annotated[Mapping[str, str], _titled("Variables")]
OnlyShots = Annotated[tuple[_ShotName, ...], _titled("Only these shots")]
TakesUrgency = Annotated[Urgency, _titled("Urgency")]
OutFolder = Annotated[str, _titled("Folder for the films")]
StoreFolder = Annotated[str, _titled("Take store")]
Slates = Annotated[bool, _titled("Slates")]
Jobs = Annotated[int, Field(ge=0, le=256), _titled("Shots at a time")]
