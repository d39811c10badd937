"""Render the takes that a plan lacks, as many at a time as wherever they are made has room for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Event, Lock
from typing import TypeVar

from flows.artifacts import record_failures
from flows.options import FilmOptions, FilmRun
from flows.pool import CPU, Lane, Outcome, Work, run_all
from flows.watched import watched_take
from generator.backends.base import Backend, RenderTools
from generator.backends.registry import InstalledBackends
from generator.grouping import setup_of, warm_order
from generator.plan import Plan, ShotJob
from generator.rendering import prepare_takes, render_take, tools_for
from generator.requests import assets_for
from generator.takes import Take, TakeStore
from media.errors import CancelledError, RenderError, StoreError, TakeboardError, UsageError

__all__ = ["AHEAD", "BesideShots", "RenderedShots", "render_shots", "waits_elsewhere"]

T = TypeVar("T")

DEVICE, REMOTE, FARM = "device", "remote", "farm"
AHEAD = "ahead"
"""Of optional work that waits for its turn: it must not keep takes out of their lane meanwhile."""

_LANES: Mapping[str, int] = {DEVICE: 2, REMOTE: 4}
"""Takes at a time besides those drawn on the CPU. On a device one is decoded and encoded while
the next is denoised, which the backends see to; a service takes a few requests at a time."""


@dataclass(frozen=True, slots=True)
class BesideShots:
    """Optional work for cores that have nothing to do, and what is set when the shots are done."""

    work: Mapping[str, Work[Take | None]]
    enough: Event


@dataclass(frozen=True, slots=True)
class RenderedShots:
    """Every take that is there, by key, and in words those that the film does without."""

    takes: Mapping[str, Take]
    failed: tuple[str, ...] = ()


def render_shots(
    plan: Plan,
    jobs: Sequence[ShotJob],
    store: TakeStore,
    options: FilmOptions,
    run: FilmRun,
    beside: BesideShots | None = None,
) -> RenderedShots:
    """Every take of the plan: those that were there, and `jobs`, made now.

    When some fail the others are finished first. A take that is not the pick is then done
    without, and said; for a picked one the error of the first that failed is raised.
    """
    run.progress.stage("shots", sum(job.request.num_frames for job in jobs))
    desk = _Desk(plan, jobs, store, run)
    outcome: Outcome[Take | None] = run_all(
        {**desk.work(), **(beside.work if beside else {})},
        jobs=options.jobs,
        stop=run.stop,
        lanes={**_LANES, AHEAD: options.jobs, **desk.farm_lane()},
        enough=beside.enough if beside else None,
    )
    failed = _failures(plan, outcome, run, strict=bool(options.only))
    takes = {key: made for key, made in outcome.done.items() if made is not None}
    lost = outcome.failed.keys() | outcome.left_out.keys()
    for job in plan.jobs:
        if job.key not in takes and job.key not in lost and job.state == "cached":
            takes[job.key] = _kept(job, store)
    return RenderedShots(takes, failed)


def waits_elsewhere(jobs: Sequence[ShotJob]) -> bool:
    """Whether some of the jobs leave the CPU free: made on a device, or far away."""
    backends = InstalledBackends()
    return any(_lane(backends[name]) != CPU for name in {job.backend for job in jobs})


class _Desk:
    """The work of one run: each backend once, so that what it keeps is found again."""

    def __init__(self, plan: Plan, jobs: Sequence[ShotJob], store: TakeStore, run: FilmRun) -> None:
        self.plan, self.store, self.run = plan, store, run
        self.assets = assets_for(plan.film)
        backends = InstalledBackends()
        self.backends = {job.backend: backends[job.backend] for job in jobs}
        self.lanes = {name: _lane(backend) for name, backend in self.backends.items()}
        if run.elsewhere is not None:
            self.lanes = {name: FARM if at == DEVICE else at for name, at in self.lanes.items()}
        on_device = [job for job in jobs if self.lanes[job.backend] == DEVICE]
        others = [job for job in jobs if self.lanes[job.backend] != DEVICE]
        self.jobs = (*warm_order(on_device), *others)
        self.keys = frozenset(job.key for job in jobs)
        self._counting, self._made = Lock(), 0

    def farm_lane(self) -> Mapping[str, Lane]:
        """The lane of what is made elsewhere, if anything is."""
        jobs = [job for job in self.jobs if self.lanes[job.backend] == FARM]
        return {FARM: self.run.elsewhere.lane(jobs)} if self.run.elsewhere and jobs else {}

    def work(self) -> dict[str, Work[Take | None]]:
        """A piece for each take, named by its key, after one for what a backend's takes share."""
        return dict(self._pieces())

    def _pieces(self) -> Iterator[tuple[str, Work[Take | None]]]:
        prepared: set[str] = set()
        first_of: dict[str, str] = {}
        for job in self.jobs:
            lane = self.lanes[job.backend]
            # The first of a generation makes it for all that are cut from it.
            first = first_of.setdefault(job.generation, job.key) if job.generation else ""
            needs = tuple(({job.waits_for, first} - {job.key}) & self.keys)
            if lane == FARM and self.run.elsewhere is not None:
                made = self.run.elsewhere.rendering(job, self.plan.film, self.store)
                yield job.key, Work(self._counted(made), needs, lane)
                continue
            setup = setup_of(job) if lane == DEVICE else ""
            preparing = f"prepare {job.backend}"
            if job.backend not in prepared:
                prepared.add(job.backend)
                yield (
                    preparing,
                    Work(self._in_turn(lane, self._preparing(job.backend)), (), lane, setup),
                )
            made = self._counted(self._in_turn(lane, self._rendering(job)))
            yield job.key, Work(made, (preparing, *needs), lane, setup)

    def _in_turn(self, lane: str, make: Callable[[], T]) -> Callable[[], T]:
        """`make`, which waits for its turn where it needs a core."""
        return self.run.turns.taking(make, self.run.stop.is_set) if lane == CPU else make

    def _counted(self, make: Callable[[], Take]) -> Callable[[], Take]:
        """`make`, and one take more to be told of."""

        def making() -> Take:
            take = make()
            with self._counting:
                self._made += 1
                self.run.progress.takes(self._made, len(self.jobs))
            return take

        return making

    def _preparing(self, name: str) -> Callable[[], None]:
        """What the backend's takes share, made at once; each take does without it as well."""
        jobs = [job for job in self.jobs if job.backend == name]
        run, backend = self.run, self.backends[name]

        def prepare() -> None:
            tools = RenderTools({}, {}, run.stop.is_set)
            try:
                prepare_takes(jobs, backend, self.assets, self.store, tools)
            except (CancelledError, UsageError):
                raise  # a wrong setting is as wrong for each of them
            except TakeboardError as error:
                run.progress.note(
                    f"{name}: could not prepare its {len(jobs)} takes at once ({error}); "
                    "each is prepared by itself"
                )

        if self.lanes[name] != DEVICE:
            return prepare
        facts: dict[str, str | int | float] = {"backend": name, "takes": len(jobs)}
        return run.recorder.task("prepare", f"{self.plan.film.code} {name}", prepare, facts)

    def _rendering(self, job: ShotJob) -> Callable[[], Take]:
        """Rendering `job`, recorded as a task."""
        plan, store, run = self.plan, self.store, self.run

        def make(on_step: Callable[[int, int], None]) -> Take:
            shown = 0

            def step(done: int, total: int) -> None:
                nonlocal shown
                on_step(done, total)
                # A model counts its own steps before its frames are counted.
                frames = max(shown, job.request.num_frames * done // max(total, 1))
                run.progress.advance("shots", frames - shown, job.shot_id)
                shown = frames

            given = RenderTools({}, {}, run.stop.is_set, step)
            tools = tools_for(job, self.assets, store, given)
            take = render_take(job, self.backends[job.backend], store, tools)
            frames = job.request.num_frames
            step(frames, frames)
            return take

        def render() -> Take:
            return watched_take(plan.film.code, job, run.recorder, make)

        facts: dict[str, str | int | float] = {
            "shot": job.shot_id,
            "take": job.take,
            "backend": job.backend,
            "frames": job.request.num_frames,
            "key": job.key[:12],
        }
        name = f"{plan.film.code} {job.shot_id} take {job.take}"
        return run.recorder.task("render shot", name, render, facts)


def _lane(backend: Backend) -> str:
    capabilities = backend.capabilities
    if capabilities.remote or capabilities.usd_per_second > 0:
        return REMOTE
    return DEVICE if capabilities.gpu_seconds_per_second > 0 else CPU


def _kept(job: ShotJob, store: TakeStore) -> Take:
    take = store.find(job.key, verify=False)
    if take is None:
        raise StoreError(
            "the take was in the store when the film was planned and is not now",
            where=f"{job.shot_id} take {job.take}",
            todo="run again: it will be rendered",
        )
    return take


def _failures(
    plan: Plan, outcome: Outcome[Take | None], run: FilmRun, *, strict: bool
) -> tuple[str, ...]:
    """What could not be made, in words; raised where the film needs it, or when `strict`."""
    record_failures(plan, outcome.failed, outcome.left_out, run.recorder)
    if not outcome.failed:
        return ()
    shots = {job.key: f"{job.shot_id} take {job.take}" for job in plan.jobs}
    lost = shots.keys() & (outcome.failed.keys() | outcome.left_out.keys())
    needed = {job.key for job in plan.jobs if plan.picked.get(job.shot_id) == job.take}
    said = [f"failed: {error}" for error in outcome.failed.values()]
    said += [
        f"left out: {shots[key]} needs {shots[need]}"
        for key, need in outcome.left_out.items()
        if key in shots and need in shots
    ]
    for line in said:
        run.progress.note(line)
    if not strict and not lost & needed:
        return tuple(said)
    errors = [error for key, error in outcome.failed.items() if strict or key in needed]
    first = next(iter(errors or outcome.failed.values()))
    kind: type[TakeboardError] = RenderError if isinstance(first, RenderError) else type(first)
    raise kind(
        f"{len(lost)} of {len(plan.jobs)} takes could not be made; the first: {first.what}",
        where=first.where,
        todo=first.todo or "every finished take is kept: mend it and run again",
    )
