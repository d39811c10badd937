"""The words a model is given: a template per backend, filled with the shot in film words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError
from jinja2.exceptions import TemplateNotFound

from generator.backends.base import ListedShot
from media.errors import RenderError
from storyboards.fields import Angle, CameraMove, ShotSize
from storyboards.film import Shot

__all__ = ["negative_prompt", "write_prompt", "write_shot_list"]

_FOLDER = Path(__file__).resolve().parents[1] / "templates" / "prompts"

SIZE_WORDS: Mapping[ShotSize, str] = {
    ShotSize.ECU: "extreme close-up",
    ShotSize.CU: "close-up",
    ShotSize.MCU: "medium close-up",
    ShotSize.MS: "medium shot",
    ShotSize.MLS: "medium long shot",
    ShotSize.LS: "long shot",
    ShotSize.ELS: "extreme long shot",
    ShotSize.OTS: "over-the-shoulder shot",
    ShotSize.POV: "point-of-view shot",
    ShotSize.INSERT: "insert, detail",
}
ANGLE_WORDS: Mapping[Angle, str] = {
    Angle.EYE: "",
    Angle.LOW: "low angle",
    Angle.HIGH: "high angle",
    Angle.OVERHEAD: "from overhead",
    Angle.GROUND: "from ground level",
    Angle.DUTCH: "dutch angle",
}


def write_prompt(shot: Shot, lang: str, backend_id: str) -> str:
    """The prompt for `backend_id`, one line, from its own template or from base.j2."""
    try:
        text = _template(backend_id).render(
            shot=shot,
            lang=lang,
            size=SIZE_WORDS[shot.size],
            angle=ANGLE_WORDS[shot.angle],
            moves=[_move_words(move) for move in shot.camera.move],
            slugline=shot.slugline,
            location=shot.location,
            look=shot.look,
            cast=shot.cast,
            dialogue=shot.dialogue if shot.audio == "native" else (),
        )
    except TemplateError as error:
        raise RenderError(
            f"the prompt template cannot be filled: {error}",
            where=f"{_template(backend_id).name}, {shot.id}",
        ) from error
    return " ".join(text.split())


def write_shot_list(shots: Sequence[ListedShot], backend_id: str) -> str:
    """The prompt for several shots at once, from their own; in the backend's way if it has one."""
    template = _template(f"{backend_id}_shot_list", "shot_list")
    try:
        return " ".join(template.render(shots=shots).split())
    except TemplateError as error:
        raise RenderError(
            f"the shot list cannot be filled: {error}", where=str(template.name)
        ) from error


def negative_prompt(shot: Shot) -> str:
    """What the shot and its look keep out of the picture."""
    look = shot.look.negative if shot.look else ""
    terms = (term.strip() for term in f"{shot.negative},{look}".split(","))
    return ", ".join(dict.fromkeys(term for term in terms if term))


@cache
def _template(name: str, otherwise: str = "base") -> Template:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        return environment.select_template([f"{name}.j2", f"{otherwise}.j2"])
    except (TemplateNotFound, TemplateError) as error:
        raise RenderError(f"the prompt template is missing or broken: {error}") from error


def _move_words(move: CameraMove) -> str:
    return f"camera {move.value.replace('_', ' ')}"
