"""The main path: a storyboard becomes a finished film.

plan → cap → approve → render what is missing → approve → sound → cut → deliver → report

Nothing here knows Prefect. `produce.py` and `preview.py` call it inside a flow when a server is
there to record it, and the command line calls it directly when none is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from editor.timeline import ClipMedia
from flows.ahead import AheadCut
from flows.artifacts import record_film, record_plan_table
from flows.costs import cost_record
from flows.cutting import cut_film
from flows.delivery_folder import hold_delivery_folder
from flows.finishing import Finishing
from flows.made import Delivered, MadeFilm
from flows.options import FilmOptions, FilmRun
from flows.planning import plan_film
from flows.report import write_report
from flows.room import CutMaterial
from flows.shots import BesideShots, RenderedShots, render_shots, waits_elsewhere
from flows.whole import damaged_jobs, with_damaged
from generator.plan import Plan, ShotJob, retake_notes, total_quote
from generator.promises import allowance
from generator.requests import assets_for
from generator.takes import Take, TakeStore, record_plan
from media.errors import BudgetError
from media.patience import patient
from storyboards.film import Film, film_shots

__all__ = ["cut_material", "make_film"]


def make_film(film: Film, options: FilmOptions, run: FilmRun) -> MadeFilm:
    """Render what is missing and cut the film.

    Raises BudgetError before a cap is passed, WaitingError where a person has to approve first,
    RenderError (after everything else was rendered), MediaError, StoreError or CancelledError.
    Whatever was finished is kept.
    """
    with patient(run.stop.is_set):
        return _made(film, options, run)


def _made(film: Film, options: FilmOptions, run: FilmRun) -> MadeFilm:
    started = time.monotonic()
    store = TakeStore(options.store)
    readiness = run.elsewhere.readiness(film) if run.elsewhere and not options.preview else None
    with run.turns.turn(run.stop.is_set, "plan"):
        plan = with_damaged(plan_film(film, options, readiness), store, run)
    with allowance(plan, store, run.stop.is_set) as allowed:
        finishing = Finishing(plan, options)
        record_plan_table(plan, run.recorder)
        run.approval.require_budget(plan, options, run.recorder)
        record_plan(plan, store)
        ahead = None if allowed.held else _cut_ahead(plan, allowed.jobs, finishing, options, run)
        with cost_record(plan, allowed, store, run.recorder):
            shots = render_shots(plan, allowed.jobs, store, options, run, ahead)
    _refuse_held(len(allowed.held), len(plan.jobs), film)
    made = [job for job in allowed.jobs if job.key in shots.takes]

    def require_whole() -> None:
        made.extend(_made_again(plan, shots, store, options, run))
        finishing.finish_picked(shots.takes, run)

    def told(deliveries: tuple[Delivered, ...]) -> MadeFilm:
        return _told(finishing.film, plan, made, shots, deliveries, options, started)

    if options.only:
        return told(())
    run.approval.require_picks(plan, shots.takes, options, run.recorder)
    with hold_delivery_folder(options.out, options.store, run.stop):
        material = cut_material(plan, shots.takes, finishing)
        finished = told(cut_film(finishing.film, material, options, run, require_whole))
        write_report(finished)
    record_film(finished, run.recorder)
    return finished


def cut_material(plan: Plan, takes: Mapping[str, Take], finishing: Finishing) -> CutMaterial:
    """What the cutting room receives: each shot's picked take, finished."""
    media: dict[str, ClipMedia] = {}
    slated: set[str] = set()
    for shot in film_shots(plan.film):
        job = plan.job(shot.id)
        media[shot.id] = finishing.media(shot, takes[job.key])
        if job.backend == "animatic":
            slated.add(shot.id)
    return CutMaterial(
        media=media,
        slated=frozenset(slated),
        native=frozenset(shot for shot, one in media.items() if one.sound is not None),
        assets=assets_for(plan.film),
        notes=retake_notes(plan),
    )


def _cut_ahead(
    plan: Plan,
    jobs: Sequence[ShotJob],
    finishing: Finishing,
    options: FilmOptions,
    run: FilmRun,
) -> BesideShots | None:
    """Cutting while shots are rendered, where rendering leaves the CPU something to do.

    Not while the picks are still to be approved: what is cut could be other takes.
    """
    waits = "picks" in plan.film.approve and not options.preview
    if options.only or waits or not waits_elsewhere(jobs):
        return None
    ahead = AheadCut(plan, finishing, options, run)
    return BesideShots(ahead.work(job.key for job in jobs), ahead.enough)


def _made_again(
    plan: Plan, shots: RenderedShots, store: TakeStore, options: FilmOptions, run: FilmRun
) -> tuple[ShotJob, ...]:
    """Read every take once before the film is cut from it, and make anew what is damaged."""
    jobs = damaged_jobs(plan, shots.takes.keys(), store, run)
    if jobs:
        plan = replace(plan, jobs=jobs)
        with allowance(plan, store, run.stop.is_set) as allowed:
            run.approval.require_budget(plan, options, run.recorder)
            render_shots(plan, allowed.jobs, store, options, run)
        _refuse_held(len(allowed.held), len(jobs), plan.film)
    return jobs


def _refuse_held(held: int, of: int, film: Film) -> None:
    if held:
        raise BudgetError(
            f"{held} of {of} takes are held back by the budget",
            where=film.path.name,
            todo="raise the budget and run again: what was rendered is kept",
        )


def _told(
    film: Film,
    plan: Plan,
    made: Sequence[ShotJob],
    shots: RenderedShots,
    deliveries: tuple[Delivered, ...],
    options: FilmOptions,
    started: float,
) -> MadeFilm:
    keys = {job.key for job in made}
    anew = {job.key: job for job in made}
    return MadeFilm(
        film=film,
        plan=replace(plan, jobs=tuple(_as_made(job, anew) for job in plan.jobs)),
        rendered=len(keys),
        reused=len(shots.takes.keys() - keys),
        deliveries=deliveries,
        report=options.out / "report.html",
        wall_seconds=time.monotonic() - started,
        clean=not options.slates,
        failed=shots.failed,
        spent=total_quote(made),
    )


def _as_made(job: ShotJob, made: Mapping[str, ShotJob]) -> ShotJob:
    """The job with the state that its take was made in, also when that was seen late."""
    if job.key not in made:
        return job
    return replace(job, state=made[job.key].state, stale_reason=made[job.key].stale_reason)
