"""What LTX-2 is told, against prompts that were read and approved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from generator.prompts import write_prompt
from storyboards.fields import Angle, ShotSize
from storyboards.film import SoundCue, SpokenLine
from storyboards.shot_schema import Camera
from tests.factories import (
    make_character,
    make_line,
    make_location,
    make_look,
    make_shot,
    make_staged,
)

GOLDENS = Path(__file__).parent / "goldens" / "prompts_ltx2.txt"

MARA = make_character("mara", description="woman in her 60s, long grey braid, yellow oilskin coat")
TOMAS = make_character("tomas", description="man in his 20s, duffel coat, rust scarf")
GALLERY = make_location(description="the iron gallery outside the lantern of a lighthouse")
DUSK = make_look(prompt="blue hour light, 35mm grain")


def in_french(text: str, **changes: Any) -> SpokenLine:
    return replace(make_line(**changes), text={"fr": text})


SHOTS: dict[str, Any] = {
    "a dialogue close-up": make_shot(
        size=ShotSize.MCU,
        camera=Camera(move=("push_in",), lens_mm=50),
        location=GALLERY,
        look=DUSK,
        cast=(make_staged(MARA, depth="near"),),
        action="Mara grips the rail and turns to us.",
        dialogue=(make_line("It never went out.", character=MARA),),
        ambience=(SoundCue("surf", None, 0, None, 0.0),),
        sfx=(SoundCue("rail creak", None, 12, None, 0.0),),
    ),
    "an establishing shot": make_shot(
        slugline="EXT. HEADLAND - DUSK",
        size=ShotSize.ELS,
        angle=Angle.LOW,
        camera=Camera(move=("crane_up", "pan_left"), lens_mm=24),
        look=DUSK,
        action="The lighthouse rises against the last light, its beam turning.",
        prompt="Dune grass bends in the wind.",
    ),
    "two people": make_shot(
        slugline="INT. LAMP ROOM - NIGHT",
        size=ShotSize.MS,
        cast=(
            make_staged(TOMAS, position="left", facing="right", enters="left"),
            make_staged(
                MARA, position="right", facing="away", depth="far", action="polishing brass"
            ),
        ),
        action="Tomas stops at the door. Mara does not turn round at once.",
        dialogue=(
            in_french("C'est ce soir.", character=TOMAS, delivery="gently"),
            in_french("Quarante ans.", character=MARA, delivery=""),
        ),
    ),
    "lines that are dubbed": make_shot(
        cast=(make_staged(MARA),),
        audio="voice",
        dialogue=(make_line("It never went out.", character=MARA),),
        ambience=(SoundCue("surf", None, 0, None, 0.0),),
    ),
}


@pytest.mark.parametrize("name", SHOTS)
def test_prompts_are_as_approved(name: str) -> None:
    lang = "fr" if name == "two people" else "en"
    written = write_prompt(SHOTS[name], lang, "ltx2")
    approved = dict(
        entry.split("\n", 1) for entry in GOLDENS.read_text().strip().split("\n\n") if entry
    )
    assert written == approved[name].strip()


def test_a_sound_that_is_kept_is_named_and_one_that_is_not_is_not() -> None:
    assert "rail creak" in write_prompt(SHOTS["a dialogue close-up"], "en", "ltx2")
    dubbed = write_prompt(SHOTS["lines that are dubbed"], "en", "ltx2")
    assert "surf" not in dubbed
    assert "It never went out" not in dubbed
    assert "lips moving" in dubbed
