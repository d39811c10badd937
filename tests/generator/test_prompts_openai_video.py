"""What a model behind a server is told, against prompts that were read and approved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from generator.prompts import write_prompt
from storyboards.fields import Angle, ShotSize
from storyboards.film import SoundCue
from storyboards.shot_schema import Camera
from tests.factories import (
    make_character,
    make_line,
    make_location,
    make_look,
    make_shot,
    make_staged,
)

GOLDENS = Path(__file__).parent / "goldens" / "prompts_openai_video.txt"

MARA = make_character("mara", description="woman in her 60s, long grey braid, yellow oilskin coat")
SURF = SoundCue("surf", None, 0, None, 0.0)
CREAK = SoundCue("rail creak", None, 12, None, 0.0)

SHOTS: dict[str, Any] = {
    "a line that the model speaks": make_shot(
        size=ShotSize.MCU,
        camera=Camera(move=("push_in",), lens_mm=50),
        location=make_location(description="the iron gallery outside a lighthouse's lantern"),
        look=make_look(prompt="blue hour light, 35mm grain"),
        cast=(make_staged(MARA, facing="left", enters="right", action="gripping the rail"),),
        action="Mara turns to us.",
        dialogue=(make_line("It never went out.", character=MARA),),
        ambience=(SURF,),
        sfx=(CREAK,),
    ),
    "a line that is dubbed": make_shot(
        cast=(make_staged(MARA),),
        audio="voice",
        dialogue=(make_line("It never went out.", character=MARA),),
        ambience=(SURF,),
    ),
    "nobody there": make_shot(
        size=ShotSize.ELS,
        angle=Angle.LOW,
        camera=Camera(move=("crane_up", "pan_left"), lens_mm=24),
        prompt="Dune grass bends in the wind.",
    ),
}


def test_prompts_are_as_approved() -> None:
    written = "".join(
        f"# {name}\n{write_prompt(shot, 'en', 'openai_video')}\n\n" for name, shot in SHOTS.items()
    )
    assert written == GOLDENS.read_text()
