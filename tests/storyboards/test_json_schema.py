"""The committed JSON Schema is current, and says yes to what loads."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from storyboards.field_notes import FIELD_NOTES
from storyboards.json_schema import schema_text, storyboard_schema
from storyboards.resolve import load_film

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "storyboards" / "examples").glob("*/*.yaml"))


class TextLoader(yaml.SafeLoader):
    """YAML without the words and clocks of YAML 1.1, as the language reads it."""


TextLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith((":bool", ":timestamp"))]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def validator() -> Draft202012Validator:
    return Draft202012Validator(storyboard_schema())


def minimal(**shot: Any) -> dict[str, Any]:
    shots = [{"id": "a", **shot}]
    return {
        "version": 1,
        "project": {"code": "A", "title": "T"},
        "scenes": [{"id": "sc", "slugline": "s", "shots": shots}],
    }


def test_the_committed_schema_is_current() -> None:
    committed = files("storyboards").joinpath("takeboard.schema.json").read_text("utf-8")
    assert committed == schema_text(), "run python -m storyboards.json_schema"


def test_it_is_a_schema_that_describes_every_field() -> None:
    schema = storyboard_schema()
    Draft202012Validator.check_schema(schema)
    models = {"StoryboardText": schema, **schema["$defs"]}
    assert set(models) == set(FIELD_NOTES)
    for name, model in models.items():
        assert set(model["properties"]) == set(FIELD_NOTES[name])
        assert model["description"], name
        assert all(part["description"] for part in model["properties"].values()), name


@pytest.mark.parametrize(
    "shot",
    [
        {"camera": "push_in"},
        {"camera": {"move": ["pan", "tilt"]}},
        {"cast": ["mara", {"who": "tom", "position": "left"}]},
        {"takes": 3},
        {"takes": "{{ takes }}"},
        {"size": "wide", "duration": 4},
        {"sfx": "creak", "ambience": ["surf", {"file": "a.wav"}]},
        {"join": "b", "transition_out": "dissolve", "backend": "auto"},
        {"dialogue": [{"who": "mara", "line": "x", "langs": {"fr": "y"}}]},
    ],
)
def test_shorthands_are_valid(shot: dict[str, Any]) -> None:
    assert [error.message for error in validator().iter_errors(minimal(**shot))] == []


@pytest.mark.parametrize(
    "shot",
    [{"camera": "pushin"}, {"cast": "mara"}, {"takes": 0}, {"durtion": "4s"}, {"sfx": [1] * 65}],
)
def test_mistakes_are_not(shot: dict[str, Any]) -> None:
    assert list(validator().iter_errors(minimal(**shot)))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_is_valid(path: Path) -> None:
    board = yaml.load(path.read_text("utf-8"), TextLoader)
    assert load_film(path).scenes
    assert [error.message for error in validator().iter_errors(board)] == []


def test_there_is_an_example() -> None:
    assert EXAMPLES


def test_the_schema_is_json_with_an_end() -> None:
    assert json.loads(schema_text())["$schema"].endswith("2020-12/schema")
