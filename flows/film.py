"""The main path: a storyboard becomes a finished film.

plan → cap → render what is missing → sound → cut → deliver → report

Nothing here knows Prefect. `produce.py` and `preview.py` call it inside a flow when a server is
there to record it, and the command line calls it directly when none is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from editor.timeline import ClipMedia
from flows.artifacts import record_film, record_plan_table
from flows.cutting import cut_film
from flows.delivery_folder import hold_delivery_folder
from flows.made import Delivered, MadeFilm
from flows.options import FilmOptions, FilmRun
from flows.planning import plan_film
from flows.report import write_report
from flows.room import CutMaterial
from flows.shots import render_shots
from generator.budget import Allowance, require_budget
from generator.plan import Plan
from generator.requests import assets_for
from generator.takes import Take, TakeStore, record_plan, spent_usd
from media.errors import BudgetError, StoreError
from storyboards.film import Film, Shot, film_shots

__all__ = ["cut_material", "make_film", "shot_media"]


def make_film(film: Film, options: FilmOptions, run: FilmRun) -> MadeFilm:
    """Render what is missing and cut the film.

    Raises BudgetError before a cap is passed, RenderError (after everything else was rendered),
    MediaError, StoreError or CancelledError. Whatever was finished is kept.
    """
    started = time.monotonic()
    store = TakeStore(options.store)
    plan = plan_film(film, options)
    allowed = require_budget(plan, film.budget, spent_usd=spent_usd(film, store))
    record_plan_table(plan, run.recorder)
    record_plan(plan, store)
    takes = render_shots(plan, allowed.jobs, store, options, run)
    if allowed.held:
        raise BudgetError(
            f"{len(allowed.held)} of {len(plan.jobs)} takes are held back by the budget",
            where=film.path.name,
            todo="raise the budget and run again: what was rendered is kept",
        )
    if options.only:
        return _made(plan, allowed, (), options, started)
    with hold_delivery_folder(options.out, options.store, run.stop):
        material = cut_material(plan, takes)
        deliveries = cut_film(film, material, options, run, lambda: _require_whole(takes, store))
        made = _made(plan, allowed, deliveries, options, started)
        write_report(made)
    record_film(made, run.recorder)
    return made


def cut_material(plan: Plan, takes: Mapping[str, Take]) -> CutMaterial:
    """What the cutting room receives: each shot's picked take."""
    media: dict[str, ClipMedia] = {}
    slated: set[str] = set()
    for shot in film_shots(plan.film):
        job = plan.job(shot.id)
        media[shot.id] = shot_media(shot, takes[job.key])
        if job.backend == "animatic":
            slated.add(shot.id)
    return CutMaterial(
        media=media,
        slated=frozenset(slated),
        native=frozenset(shot for shot, one in media.items() if one.sound is not None),
        assets=assets_for(plan.film),
    )


def shot_media(shot: Shot, take: Take) -> ClipMedia:
    """What the cut uses of a shot's take."""
    # Sound of the model's own is heard only where the storyboard asks for it.
    sound = take.sound if shot.audio == "native" else None
    return ClipMedia(take.picture, take.key, take.num_frames, take.size, take.fps, sound=sound)


def _made(
    plan: Plan,
    allowed: Allowance,
    deliveries: tuple[Delivered, ...],
    options: FilmOptions,
    started: float,
) -> MadeFilm:
    return MadeFilm(
        film=plan.film,
        plan=plan,
        rendered=len(allowed.jobs),
        reused=len({job.key for job in plan.jobs}) - len(allowed.jobs),
        deliveries=deliveries,
        report=options.out / "report.html",
        wall_seconds=time.monotonic() - started,
        clean=not options.slates,
    )


def _require_whole(takes: Mapping[str, Take], store: TakeStore) -> None:
    """Read every take once before the film is cut from it; damaged ones are put aside."""
    damaged = [key for key in takes if store.find(key) is None]
    if damaged:
        raise StoreError(
            f"{len(damaged)} takes were damaged on the disk and have been put aside",
            where=str(store.entries.folder),
            todo="run again: they will be rendered anew",
        )
