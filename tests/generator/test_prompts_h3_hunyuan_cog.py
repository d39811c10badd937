"""What MiniMax-H3, HunyuanVideo and CogVideoX are told, against prompts that were approved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from generator.prompts import write_prompt
from storyboards.fields import Angle, CameraMove, ShotSize
from storyboards.shot_schema import Camera
from tests.factories import (
    make_character,
    make_line,
    make_location,
    make_look,
    make_shot,
    make_staged,
)

GOLDENS = Path(__file__).parent / "goldens" / "prompts_h3_hunyuan_cog.txt"
BACKENDS = ("minimax_h3", "hunyuanvideo", "cogvideox")

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
        dialogue=(
            make_line("Is it lit?", character=TOMAS, delivery=""),
            make_line("Always.", character=MARA),
        ),
    ),
}


def approved() -> dict[str, str]:
    entries = GOLDENS.read_text().strip().split("\n\n")
    return dict(entry.split("\n", 1) for entry in entries)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", SHOTS)
def test_prompts_are_as_approved(name: str, backend: str) -> None:
    assert write_prompt(SHOTS[name], "en", backend) == approved()[f"{backend}: {name}"].strip()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_place_without_people_comes_before_what_happens(backend: str) -> None:
    written = write_prompt(SHOTS["a place without people"], "en", backend)
    assert written.index("headland") < written.index("Waves")


def test_a_body_moves_before_it_is_described() -> None:
    written = write_prompt(SHOTS["a body at work"], "en", "cogvideox")
    order = ["grips the rail", "knuckles whiten", "yellow oilskin", "iron gallery", "pushes in"]
    assert sorted(order, key=written.index) == order


def test_only_the_model_with_sound_is_given_words() -> None:
    shot = SHOTS["two people"]
    spoken = write_prompt(shot, "en", "minimax_h3")
    assert "Tomas (S1) says: <d>[English] Is it lit?</d>" in spoken
    assert "Mara (S2) says, quiet: <d>[English] Always.</d>" in spoken
    for silent in ("hunyuanvideo", "cogvideox"):
        written = write_prompt(shot, "en", silent)
        assert "Always" not in written
        assert '"' not in written


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("move", CameraMove)
def test_every_move_has_a_verb(move: CameraMove, backend: str) -> None:
    assert "The camera " in write_prompt(make_shot(camera=Camera(move=(move,))), "en", backend)
