"""What a storyboard asks for and nothing here does: said before anything is spent."""

from __future__ import annotations

from collections.abc import Iterator

from generator.backends.base import Backend, Loss
from storyboards.film import Film, Shot
from storyboards.shot_schema import Checks

__all__ = ["HONOURED_EXPORTS", "film_losses", "shot_losses"]

HONOURED_EXPORTS = frozenset({"otio", "edl", "fcp7xml", "contact_sheet"})


def film_losses(film: Film) -> tuple[Loss, ...]:
    """Of the film as a whole."""
    return tuple(_of_film(film))


def shot_losses(shot: Shot, backend: Backend) -> tuple[Loss, ...]:
    """Of one shot, beyond what its backend's `snap` says."""
    return tuple(_of_shot(shot, backend))


def _of_film(film: Film) -> Iterator[Loss]:
    for name in film.exports:
        if name not in HONOURED_EXPORTS:
            yield Loss(f"exports.{name}", "this export is not made yet")


def _of_shot(shot: Shot, backend: Backend) -> Iterator[Loss]:
    if shot.checks != Checks():
        yield Loss("checks", "takes are not scored, and none is made again")
    if shot.group and backend.capabilities.shots_per_generation < 2:
        yield Loss("group", f"{backend.id} makes one shot at a time")
    if shot.source is not None:
        return
    able = backend.capabilities
    # What is drawn has no sound to be missed.
    if shot.audio == "native" and not able.native_audio and not able.stand_in:
        yield Loss("audio", f"{backend.id} is silent; the sound modules make the sound")
    for one in shot.cast:
        for lora, _ in one.character.loras:
            if lora.base not in (None, backend.id):
                field = f"cast.{one.character.id}.lora"
                yield Loss(field, f"made for {lora.base}, not for {backend.id}")
