"""The main path: a storyboard becomes a finished film.

load → plan → cap → render what is missing → sound → cut → deliver → report

Nothing here knows Prefect. `produce.py` and `preview.py` call it inside a flow when a server is
there to record it, and the command line calls it directly when none is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from editor.timeline import ClipMedia
from flows.cutting import CuttingRoom, Delivered, cut_film
from flows.pool import Outcome, Work, run_all
from flows.progress import Progress
from flows.recorder import Recorder
from flows.report import write_report
from generator.backends.registry import backends_for
from generator.picks import load_picks
from generator.plan import Plan, ShotJob, plan_dict, plan_shots, require_budget
from generator.requests import assets_for
from generator.takes import Take, TakeStore, render_take
from media.errors import RenderError, TakeboardError
from media.video import DELIVERY, DRAFT
from storyboards.film import Film, film_shots
from storyboards.resolve import load_film

__all__ = ["FilmOptions", "FilmRun", "MadeFilm", "make_film", "plan_film"]

PREVIEW_LINES = 360
"""Shorter side of a preview, in pixels: small enough to draw several times faster than it plays."""


@dataclass(frozen=True, slots=True)
class FilmOptions:
    """What the person asked for."""

    store: Path
    out: Path
    jobs: int
    only: tuple[str, ...] = ()
    """Shots to render; nothing is cut then."""
    preview: bool = False
    slates: bool = True


@dataclass(frozen=True, slots=True)
class FilmRun:
    """How this run is shown, recorded and stopped."""

    progress: Progress = field(default_factory=Progress)
    recorder: Recorder = field(default_factory=Recorder)
    stop: Event = field(default_factory=Event)


def make_film(film: Film, options: FilmOptions, run: FilmRun) -> MadeFilm:
    """Render what is missing and cut the film.

    Raises BudgetError before anything is spent, RenderError (after everything else was
    rendered), MediaError, StoreError or CancelledError. Whatever was finished is kept.
    """
    started = time.monotonic()
    plan = plan_film(film, options)
    require_budget(plan, film.budget)
    record_plan(plan, run.recorder)
    takes = render_shots(plan, options, run)
    deliveries = () if options.only else cut_film(film, picked_media(plan, takes), options, run)
    missing = sum(job.state != "cached" for job in plan.jobs)
    made = MadeFilm(
        film=film,
        plan=plan,
        rendered=missing,
        reused=len(plan.jobs) - missing,
        deliveries=deliveries,
        report=options.out / "report.html",
        wall_seconds=time.monotonic() - started,
        clean=not options.slates,
    )
    write_report(made)
    record_film(made, run.recorder)
    return made


def plan_film(film: Film, options: FilmOptions) -> Plan:
    """The plan for `film` as these options would make it."""
    return plan_shots(
        film,
        TakeStore(options.store),
        load_picks(film),
        size=preview_size(film.size) if options.preview else None,
        backend="animatic" if options.preview else None,
        only=options.only,
    )


def preview_size(size: tuple[int, int]) -> tuple[int, int]:
    """`size` scaled so that its shorter side has at most PREVIEW_LINES, in even numbers."""
    scale = min(1.0, PREVIEW_LINES / min(size))
    width, height = (max(64, round(side * scale / 2) * 2) for side in size)
    return width, height


def _render_shots(
    film: Film, plan: Plan, store: TakeStore, options: FilmOptions, run: FilmRun
) -> Mapping[str, Take]:
    assets = assets_for(film)
    ahead = [job for job in plan.jobs if job.state != "cached"]
    total_frames = sum(job.request.num_frames for job in ahead)
    run.progress.stage("shots", total_frames)

    def work_for(job: ShotJob) -> Work[Take]:
        def render() -> Take:
            done = 0

            def on_step(step: int, total: int) -> None:
                nonlocal done
                frames = job.request.num_frames * step // max(total, 1)
                run.progress.advance("shots", frames - done, job.shot)
                done = frames

            take = render_take(
                job, store, assets=assets, should_stop=run.stop.is_set, on_step=on_step
            )
            on_step(1, 1)
            return take

        facts = {
            "shot": job.shot,
            "take": job.take,
            "backend": job.backend.id,
            "frames": job.request.num_frames,
            "key": job.key[:12],
        }
        name = f"{film.code} {job.shot} take {job.take}"
        recorded = run.recorder.task("render shot", name, render, facts)
        needs = (job.waits_for,) if any(job.waits_for == other.key for other in ahead) else ()
        return Work(recorded, needs)

    outcome = run_all({job.key: work_for(job) for job in ahead}, jobs=options.jobs, stop=run.stop)
    _require_all(plan, outcome, run)
    kept = {job.key: store.require(job.key) for job in plan.jobs if job.state == "cached"}
    return kept | outcome.done


def _require_all(plan: Plan, outcome: Outcome[Take], run: FilmRun) -> None:
    if not outcome.failed:
        return
    shots = {job.key: job for job in plan.jobs}
    for key, error in outcome.failed.items():
        run.progress.note(f"{shots[key].shot} take {shots[key].take} failed: {error}")
    for key, need in outcome.left_out.items():
        run.progress.note(f"{shots[key].shot} was left out: it continues {shots[need].shot}")
    first = next(iter(outcome.failed.values()))
    lost = len(outcome.failed) + len(outcome.left_out)
    raise _same_kind(first)(
        f"{lost} of {len(plan.jobs)} takes could not be made; the first: {first.what}",
        where=first.where,
        todo=first.todo or "mend it and run again: every finished take is kept",
    )


def _same_kind(error: TakeboardError) -> type[TakeboardError]:
    return RenderError if isinstance(error, RenderError) else type(error)


def _picked_media(plan: Plan, takes: Mapping[str, Take]) -> Mapping[str, ClipMedia]:
    media = {}
    for shot in film_shots(plan.film):
        take = takes[plan.picked[shot.id]]
        media[shot.id] = ClipMedia(
            take.picture, take.key, take.num_frames, take.size, take.fps, sound=take.sound
        )
    return media


def _record_plan(plan: Plan, recorder: Recorder) -> None:
    table = plan_dict(plan)
    recorder.table("plan", table["jobs"], f"Plan of {plan.film.title}")
    if table["losses"]:
        recorder.table("loss-report", table["losses"], "What the film will not show")
