"""What Wan is told, against prompts that were read and approved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from generator.prompts import write_prompt
from storyboards.fields import Angle, ShotSize
from storyboards.shot_schema import Camera
from tests.factories import (
    make_character,
    make_line,
    make_location,
    make_look,
    make_shot,
    make_staged,
)

GOLDENS = Path(__file__).parent / "goldens" / "prompts_wan.txt"

MARA = make_character("mara", description="a woman in her 60s, long grey braid, yellow oilskin")
TOMAS = make_character("tomas", description="a man in his 20s, duffel coat, rust scarf")

SHOTS: dict[str, Any] = {
    "a body at work": make_shot(
        size=ShotSize.MCU,
        camera=Camera(move=("push_in",), lens_mm=50),
        location=make_location(description="an iron gallery outside the lantern"),
        look=make_look(prompt="blue hour light, 35mm grain"),
        cast=(make_staged(MARA, depth="near", action="knuckles whiten, the shoulders drop"),),
        action="Mara grips the rail and turns to us.",
        dialogue=(make_line("It never went out.", character=MARA),),
    ),
    "a place without people": make_shot(
        slugline="EXT. HEADLAND - DAWN",
        size=ShotSize.ELS,
        angle=Angle.OVERHEAD,
        camera=Camera(move=("crane_up", "pan_left"), lens_mm=24),
        action="Waves break over the rocks and run back.",
        prompt="Dune grass bends in the wind.",
    ),
    "two people": make_shot(
        slugline="INT. LAMP ROOM - NIGHT",
        size=ShotSize.LS,
        cast=(
            make_staged(TOMAS, position="left", facing="right", enters="left"),
            make_staged(MARA, position="right", facing="away", depth="far", exits="right"),
        ),
        action="Tomas stops at the door.",
    ),
}


@pytest.mark.parametrize("name", SHOTS)
def test_prompts_are_as_approved(name: str) -> None:
    approved = dict(
        entry.split("\n", 1) for entry in GOLDENS.read_text().strip().split("\n\n") if entry
    )
    assert write_prompt(SHOTS[name], "en", "wan") == approved[name].strip()


def test_a_body_comes_before_its_looks_and_its_place() -> None:
    written = write_prompt(SHOTS["a body at work"], "en", "wan")
    order = ["grips the rail", "knuckles whiten", "yellow oilskin", "iron gallery", "pushes in"]
    assert sorted(order, key=written.index) == order


def test_a_place_without_people_comes_first() -> None:
    written = write_prompt(SHOTS["a place without people"], "en", "wan")
    assert written.index("headland") < written.index("Waves")


def test_words_spoken_are_not_written_into_a_silent_picture() -> None:
    written = write_prompt(SHOTS["a body at work"], "en", "wan")
    assert "It never went out" not in written
    assert "lips moving" in written
