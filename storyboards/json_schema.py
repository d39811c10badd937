"""The language as JSON Schema (draft 2020-12), for autocompletion in editors.

`python -m storyboards.json_schema` prints what storyboards/takeboard.schema.json holds; a test
keeps the two the same. What a schema cannot say (names that must be defined, files that must be
there, times inside a shot) is left to the checks.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from storyboards.field_notes import FIELD_NOTES
from storyboards.schema import StoryboardText

__all__ = ["schema_text", "storyboard_schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TEMPLATE = {"type": "string", "pattern": r"\{[{%]"}
"""A `{{ variable }}` may stand for any single value."""


def storyboard_schema() -> dict[str, Any]:
    """The JSON Schema of a storyboard file."""
    schema = StoryboardText.model_json_schema(by_alias=True, mode="validation")
    models = {"StoryboardText": schema, **schema["$defs"]}
    for name, model in models.items():
        notes = FIELD_NOTES[name]
        for field, part in model.get("properties", {}).items():
            model["properties"][field] = _described(part, notes[field], name, field)
    return {"$schema": _DIALECT, **schema, "title": "Takeboard storyboard"}


def schema_text() -> str:
    """The schema as the file that is committed."""
    return json.dumps(storyboard_schema(), indent=2, ensure_ascii=False) + "\n"


def _described(part: dict[str, Any], note: str, model: str, field: str) -> dict[str, Any]:
    """The field with its note, without titles that only repeat its name, open to templates."""
    described = {key: value for key, value in part.items() if key != "title"}
    described["description"] = note
    literal = model == "StoryboardText" and field in ("version", "variables", "variants")
    if literal or _is_collection(described):
        return described
    kept: dict[str, Any] = {
        key: described.pop(key) for key in ("description", "default") if key in described
    }
    choices = described.pop("anyOf", None) or [described]
    return {**kept, "anyOf": [*choices, _TEMPLATE]}


def _is_collection(part: dict[str, Any]) -> bool:
    """Whether only a list or mapping can stand here, never a single value."""
    if "anyOf" in part:
        return all(_is_collection(choice) for choice in part["anyOf"] if choice != {"type": "null"})
    return part.get("type") in ("array", "object") or "$ref" in part


if __name__ == "__main__":
    sys.stdout.write(schema_text())
