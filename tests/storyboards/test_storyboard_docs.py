"""docs/storyboard.md names every field and word of the language, and its examples are right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from storyboards import words
from storyboards.field_notes import FIELD_NOTES
from storyboards.json_schema import storyboard_schema
from storyboards.loader import load_storyboard
from storyboards.resolve import load_film

PAGE = (Path(__file__).parents[2] / "docs" / "storyboard.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
WHOLE = [block for block in BLOCKS if block.startswith("version:")]
PARTS = [block for block in BLOCKS if re.match(r"[a-z]+:", block) and block not in WHOLE]
SHOTS = [block for block in BLOCKS if re.match(r" {6,8}\S", block)]
FRAME = {
    "version": 1,
    "project": {"code": "A", "title": "T"},
    "scenes": [{"id": "sc", "slugline": "s", "shots": [{"id": "a"}]}],
}


def complaints(board: dict[str, Any]) -> list[str]:
    errors = Draft202012Validator(storyboard_schema()).iter_errors(board)
    return [f"{error.json_path}: {error.message}"[:300] for error in errors]


@pytest.mark.parametrize("model", FIELD_NOTES)
def test_every_field_is_documented_with_its_note(model: str) -> None:
    for field, note in FIELD_NOTES[model].items():
        inherited = model in ("SceneText", "ShotText") and field in FIELD_NOTES["Inherited"]
        row = rf"^\| `{field}` \| [^|]* \| {re.escape(note)} \|$"
        assert inherited or re.search(row, PAGE, re.M), f"{model}.{field}"
        assert re.search(rf"(?<!\w){field}:\s", "".join(BLOCKS)), f"no example of {model}.{field}"


@pytest.mark.parametrize(
    "aliases",
    [
        words.SHOT_SIZE_ALIASES,
        words.ANGLE_ALIASES,
        words.CAMERA_MOVE_ALIASES,
        words.TRANSITION_ALIASES,
    ],
    ids=["size", "angle", "camera", "transition"],
)
def test_every_word_and_alias_is_documented(aliases: dict[str, Any]) -> None:
    for alias, word in aliases.items():
        assert re.search(rf"^\| `{word.value}` \| .*`{alias}`.* \|$", PAGE, re.M), alias


@pytest.mark.parametrize("block", WHOLE)
def test_whole_storyboards_load(block: str, tmp_path: Path) -> None:
    path = tmp_path / "storyboard.yaml"
    path.write_text(block, encoding="utf-8")
    assert load_film(path).scenes


@pytest.mark.parametrize("block", PARTS)
def test_parts_are_well_formed(block: str, tmp_path: Path) -> None:
    part = yaml.safe_load(block)
    if "scenes" in part:
        part["scenes"][0]["shots"] = [{"id": "a"}]
    if set(part) <= set(FIELD_NOTES["StoryboardText"]):
        assert complaints({**FRAME, **part}) == []
        path = tmp_path / "storyboard.yaml"
        path.write_text(yaml.safe_dump({**FRAME, **part}), encoding="utf-8")
        load_storyboard(path)


@pytest.mark.parametrize("block", SHOTS)
def test_parts_of_shots_are_well_formed(block: str, tmp_path: Path) -> None:
    shot = yaml.safe_load(block)
    shot = {"id": "a", **(shot[0] if isinstance(shot, list) else shot)}
    scene = {"id": "sc", "slugline": "s", "shots": [shot]}
    assert complaints({**FRAME, "scenes": [scene]}) == []
    path = tmp_path / "storyboard.yaml"
    path.write_text(yaml.safe_dump({**FRAME, "scenes": [scene]}), encoding="utf-8")
    load_storyboard(path)


def test_the_examples_are_really_found() -> None:
    assert (len(WHOLE), len(PARTS) >= 10, len(SHOTS) >= 10) == (2, True, True)
