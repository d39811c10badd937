"""The plan of a film, pictures and sound, as these options would make it. Renders nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flows.finishing import finish_losses
from flows.options import FilmOptions, preview_size
from generator.backends.base import Loss
from generator.backends.registry import InstalledBackends
from generator.picks import load_picks
from generator.plan import Plan, PlanSettings, plan_shots
from generator.requests import Raster
from generator.sound.plan import plan_sound
from generator.takes import TakeStore
from storyboards.film import Film, cut_of

if TYPE_CHECKING:
    from flows.farm.readiness import FarmReadiness

__all__ = ["plan_film"]


def plan_film(film: Film, options: FilmOptions, readiness: FarmReadiness | None = None) -> Plan:
    """The plan for `film` as these options would make it.

    With `readiness`, what needs a device is planned for the machines of the farm.
    """
    settings = PlanSettings(only=options.only)
    if options.preview:
        raster = Raster(preview_size(film.size), film.fps)
        settings = replace(settings, raster=raster, backend="animatic")
        readiness = None
    store = TakeStore(options.store)
    elsewhere = readiness.backends() if readiness is not None else None
    backends = InstalledBackends() if elsewhere is None else elsewhere
    plan = plan_shots(film, backends, store.entries, load_picks(film), settings)
    if elsewhere is not None:
        plan = replace(plan, notes=plan.notes + elsewhere.notes(film))
    losses = _sound_losses(plan)
    if not options.preview:
        losses += finish_losses(plan)
    return replace(plan, losses=plan.losses + losses)


def _sound_losses(plan: Plan) -> tuple[Loss, ...]:
    """What the storyboard wants heard and nobody can make, over all deliverables, each once."""
    native = frozenset(job.shot_id for job in plan.jobs if job.request.audio == "native")
    losses: dict[Loss, None] = {}
    for deliverable in plan.film.deliverables:
        cut = cut_of(plan.film, deliverable.shots)
        for lang in deliverable.langs:
            for lost in plan_sound(plan.film, cut, lang, native=native).losses:
                losses[Loss(f"{lost.shot} {lost.field}".strip(), lost.reason)] = None
    return tuple(losses)
