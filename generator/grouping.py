"""The order in which takes are made so that a model, once warm, makes all of its shots.

Loading a model of tens of gigabytes takes longer than many a shot, setting adapters takes seconds,
and a compiled model is compiled anew for every shape. So takes are grouped by model, then by
adapters, then by shape; a take that goes on from another still comes after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from generator.plan import ShotJob

__all__ = ["setup_of", "warm_order"]

_Group = tuple[object, object, object]
"""Model, adapters, shape: what costs most to change comes first."""


def warm_order(jobs: Sequence[ShotJob]) -> tuple[ShotJob, ...]:
    """The jobs in the order to make them in; those of one group stay in the order given.

    A model is begun when everything that its takes go on from is made or its own, if there is
    such a model: it is then never needed again. What the jobs go on from outside of `jobs` is
    taken to be there.
    """
    waiting = {job.key: job for job in jobs}
    ready: dict[_Group, list[str]] = {}
    after: dict[str, list[str]] = {}
    for job in jobs:
        if job.waits_for in waiting:
            after.setdefault(job.waits_for, []).append(job.key)
        else:
            ready.setdefault(_group(job), []).append(job.key)
    ordered: list[ShotJob] = []
    place = {key: index for index, key in enumerate(waiting)}
    group: _Group = (None, None, None)
    while ready:
        group = _next_group(ready, group, waiting, place)
        key = min(ready[group], key=lambda key: place[key])
        ready[group].remove(key)
        if not ready[group]:
            del ready[group]
        ordered.append(waiting.pop(key))
        for child in after.get(key, ()):
            ready.setdefault(_group(waiting[child]), []).append(child)
    return tuple(ordered)


def setup_of(job: ShotJob) -> str:
    """What must be loaded for a job, as a name: equal for jobs that find the same model warm.

    `wan@1+3f2a` with its adapters after a space: a machine whose weights are others cannot make it.
    """
    loras = ",".join(f"{lora.sha256[:12]}x{lora.weight:g}" for lora in job.request.loras)
    return f"{job.backend}@{job.revision.replace(' ', '_')} {loras}".rstrip()


def _group(job: ShotJob) -> _Group:
    request = job.request
    return job.backend, setup_of(job), (request.size, request.num_frames, request.profile)


def _next_group(
    ready: Mapping[_Group, Sequence[str]],
    current: _Group,
    waiting: Mapping[str, ShotJob],
    place: Mapping[str, int],
) -> _Group:
    """The group that changes least; where something must change, one that can be finished."""
    groups = list(ready)
    for level in (1, 2, 3):
        kept = [group for group in groups if group[:level] == current[:level]]
        if not kept and len({group[:level] for group in groups}) > 1:
            first = {group: min(place[key] for key in ready[group]) for group in groups}
            chosen = min(groups, key=lambda g: (not _finishes(g, level, waiting), first[g]))
            kept = [group for group in groups if group[:level] == chosen[:level]]
        groups = kept or groups
    return groups[0]


def _finishes(group: _Group, level: int, waiting: Mapping[str, ShotJob]) -> bool:
    """Whether nothing that is left of the group goes on from what is left of another."""
    mine = [job for job in waiting.values() if _group(job)[:level] == group[:level]]
    parents = [waiting[job.waits_for] for job in mine if job.waits_for in waiting]
    return all(_group(parent)[:level] == group[:level] for parent in parents)
