"""Render the takes that a plan lacks, as many at a time as the machine has room for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from flows.options import FilmOptions, FilmRun
from flows.pool import Outcome, Work, run_all
from generator.backends.base import RenderTools
from generator.backends.registry import backend_named
from generator.plan import Plan, ShotJob
from generator.rendering import render_take, tools_for
from generator.takes import Take, TakeStore
from media.errors import RenderError, StoreError, TakeboardError

__all__ = ["render_shots"]


def render_shots(
    plan: Plan, jobs: Sequence[ShotJob], store: TakeStore, options: FilmOptions, run: FilmRun
) -> Mapping[str, Take]:
    """Every take of the plan by key: those that were there, and `jobs`, made now.

    When some fail the others are finished first; then the error of the first is raised.
    """
    run.progress.stage("shots", sum(job.request.num_frames for job in jobs))
    ahead = {job.key for job in jobs}
    work = {
        job.key: Work(
            _recorded(job, plan, store, run), (job.waits_for,) if job.waits_for in ahead else ()
        )
        for job in jobs
    }
    outcome = run_all(work, jobs=options.jobs, stop=run.stop)
    _require_all(plan, outcome, run)
    takes = dict(outcome.done)
    for job in plan.jobs:
        if job.key not in takes and job.state == "cached":
            takes[job.key] = _kept(job, store)
    return takes


def _recorded(job: ShotJob, plan: Plan, store: TakeStore, run: FilmRun) -> Callable[[], Take]:
    """Rendering `job`, recorded as a task."""

    def render() -> Take:
        shown = 0

        def on_step(done: int, total: int) -> None:
            nonlocal shown
            frames = job.request.num_frames * done // max(total, 1)
            run.progress.advance("shots", frames - shown, job.shot_id)
            shown = frames

        given = RenderTools({}, {}, run.stop.is_set, on_step)
        take = render_take(
            job, backend_named(job.backend), store, tools_for(job, plan.film, store, given)
        )
        on_step(1, 1)
        return take

    facts: dict[str, str | int | float] = {
        "shot": job.shot_id,
        "take": job.take,
        "backend": job.backend,
        "frames": job.request.num_frames,
        "key": job.key[:12],
    }
    name = f"{plan.film.code} {job.shot_id} take {job.take}"
    return run.recorder.task("render shot", name, render, facts)


def _kept(job: ShotJob, store: TakeStore) -> Take:
    take = store.find(job.key, verify=False)
    if take is None:
        reasons = [damage.reason for damage in store.entries.damage if damage.key == job.key]
        raise StoreError(
            f"the take was damaged on the disk ({reasons[0]}) and has been put aside"
            if reasons
            else "the take was in the store when the film was planned and is not now",
            where=f"{job.shot_id} take {job.take}",
            todo="run again: it will be rendered",
        )
    return take


def _require_all(plan: Plan, outcome: Outcome[Take], run: FilmRun) -> None:
    if not outcome.failed:
        return
    shots = {job.key: f"{job.shot_id} take {job.take}" for job in plan.jobs}
    for error in outcome.failed.values():
        run.progress.note(f"failed: {error}")
    for key, need in outcome.left_out.items():
        run.progress.note(f"left out: {shots[key]} goes on from {shots[need]}")
    first = next(iter(outcome.failed.values()))
    lost = len(outcome.failed) + len(outcome.left_out)
    kind: type[TakeboardError] = RenderError if isinstance(first, RenderError) else type(first)
    raise kind(
        f"{lost} of {len(plan.jobs)} takes could not be made; the first: {first.what}",
        where=first.where,
        todo=first.todo or "every finished take is kept: mend it and run again",
    )
