"""Takes that rotted on the disk: found, put aside, and made again in the same run."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from flows.options import FilmRun
from generator.plan import Plan, ShotJob
from generator.takes import TakeStore

__all__ = ["DAMAGED", "damaged_jobs", "with_damaged"]

DAMAGED = "the take was damaged on the disk"
"""Why a take is made again whose shot has not changed."""


def with_damaged(plan: Plan, store: TakeStore, run: FilmRun) -> Plan:
    """The plan with the takes that are there but not whole planned again.

    Only a take that another goes on from now is read through; the others are read before they
    are cut (`damaged_jobs`), and not when nothing is.
    """
    while True:
        parents = {job.waits_for for job in plan.missing}
        cached = {job.key for job in plan.jobs if job.state == "cached"}
        damaged = {key for key in cached if store.find(key, verify=key in parents) is None}
        if not damaged:
            return plan
        plan = _again(plan, damaged, run)


def damaged_jobs(
    plan: Plan, takes: Set[str], store: TakeStore, run: FilmRun
) -> tuple[ShotJob, ...]:
    """Every one of `takes` read through: jobs that make those anew that are not what was written.

    A take comes before those that go on from it. What they go on from is whole or among them.
    """
    damaged = {key for key in takes if store.find(key) is None}
    if not damaged:
        return ()
    there = tuple(replace(job, state="cached") for job in plan.jobs if job.key in takes)
    return with_damaged(_again(replace(plan, jobs=there), damaged, run), store, run).missing


def _again(plan: Plan, damaged: Set[str], run: FilmRun) -> Plan:
    for job in {job.key: job for job in plan.jobs if job.key in damaged}.values():
        run.progress.note(
            f"{job.shot_id} take {job.take}: {DAMAGED} and has been put aside; it is made again"
        )
    return replace(
        plan,
        jobs=tuple(
            replace(job, state="stale", stale_reason=DAMAGED) if job.key in damaged else job
            for job in plan.jobs
        ),
    )
