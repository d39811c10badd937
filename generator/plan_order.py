"""Which shots are planned, and in which order: each after the shot that it is made from."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from media.errors import UsageError
from storyboards.film import Shot
from storyboards.shot_names import shot_named

if TYPE_CHECKING:
    from generator.plan import ShotJob

__all__ = ["parent_of", "parents_first", "wanted_shots", "without_idle_parents"]


def parent_of(shot: Shot) -> str:
    """The shot whose take this one is made from, or nothing."""
    if shot.source is not None:
        return ""
    if shot.edit is not None:
        return shot.edit.shot
    if shot.continues is not None and shot.continues.mode != "cut":
        return shot.continues.shot
    return ""


def wanted_shots(shots: Sequence[Shot], only: tuple[str, ...]) -> frozenset[str]:
    """The ids of those named in `only`, or of all shots; UsageError for one that is not there."""
    return frozenset(shot_named(shots, name).id for name in only) or frozenset(
        shot.id for shot in shots
    )


def parents_first(shots: Sequence[Shot], wanted: Set[str]) -> list[Shot]:
    """The wanted shots and those they go on from, each after its parent."""
    by_id = {shot.id: shot for shot in shots}
    ordered: dict[str, Shot] = {}
    for shot in shots:
        chain: dict[str, Shot] = {}
        at: Shot | None = shot if shot.id in wanted else None
        while at is not None and at.id not in ordered:
            if at.id in chain:
                raise UsageError("shots go on from each other in a circle", where=at.id)
            chain[at.id] = at
            at = by_id.get(parent_of(at))
        ordered.update((one.id, one) for one in reversed(chain.values()))
    return list(ordered.values())


def without_idle_parents(jobs: Sequence[ShotJob], wanted: frozenset[str]) -> tuple[ShotJob, ...]:
    """Jobs of the wanted shots, and of other shots only the takes that those go on from."""
    needed = {job.key for job in jobs if job.shot_id in wanted}
    by_key = {job.key: job for job in jobs}
    for key in list(needed):
        parent = by_key[key].waits_for
        while parent and parent not in needed:
            needed.add(parent)
            parent = by_key[parent].waits_for
    return tuple(job for job in jobs if job.shot_id in wanted or job.key in needed)
