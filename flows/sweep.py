"""Which takes, sounds and segments a storyboard's films still use, and deleting the rest.

Kept whatever their age: everything that any variant, its preview, or another storyboard in the
same store uses. Sounds, segments, finished takes and prepared references of other storyboards are
known only by their use, so those are kept by age alone; they are made again without a model being
asked. So are generations of several shots, which nobody needs once their takes are cut. What lies
between the phases of a take goes after a day, as do tickets of takes that are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flows.cutting import used_in_cut
from flows.finishing import Finishing
from flows.options import FilmOptions
from flows.planning import plan_film
from flows.room import CutMaterial
from generator.finish import FINISHED
from generator.gc import PHASES, plan_gc, run_gc
from generator.history import keys_of_others, shot_keys
from generator.plan import Plan, retake_notes
from generator.references import REFERENCES
from generator.shot_groups import GENERATIONS
from generator.tickets import ASSETS, TICKETS
from media.shared_store import address_of
from media.store import ContentStore
from storyboards.film import Film, film_shots

__all__ = ["KINDS", "sweep"]

KINDS = ("takes", "sounds", "segments", FINISHED, REFERENCES, GENERATIONS, *PHASES, TICKETS, ASSETS)


def sweep(
    films: Sequence[tuple[Film, FilmOptions]], *, older_than_days: int, run: bool
) -> dict[str, Any]:
    """What would be deleted, ready for JSON; with `run`, it is deleted."""
    root = films[0][1].store
    stores = [ContentStore(root, kind) for kind in KINDS]
    keep: set[str] = set()
    for film, options in films:
        keep |= keys_of_others(stores[0], film)
        for preview in (False, True):
            keep |= _used(film, replace(options, preview=preview))
    plan = plan_gc(stores, keep, older_than_days=older_than_days)
    freed = run_gc(plan).size_bytes if run else plan.size_bytes
    return {
        "store": address_of(root),
        "deleted": run,
        "mb": round(freed / 1e6, 1),
        "litter": len(plan.litter),
        "entries": [
            {"kind": one.store.kind, "key": one.key, "mb": round(one.size_bytes / 1e6, 1)}
            for one in plan.entries
        ],
    }


def _used(film: Film, options: FilmOptions) -> set[str]:
    plan = plan_film(film, options)
    finishing = Finishing(plan, options)
    keys = {job.key for job in plan.jobs} | finishing.finished_keys()
    if not options.preview:
        keys |= _made_elsewhere(plan, options)
    material = _planned_material(plan, finishing)
    for slates in (True, False):
        keys |= used_in_cut(finishing.film, material, replace(options, slates=slates))
    return keys


def _made_elsewhere(plan: Plan, options: FilmOptions) -> set[str]:
    """The latest take of each, which the farm may have planned for models that are not here."""
    latest = shot_keys(ContentStore(options.store, "takes"), plan.film)
    found = (latest.get(f"{job.shot_id}#{job.take}", ()) for job in plan.jobs)
    return {keys[0] for keys in found if keys}


def _planned_material(plan: Plan, finishing: Finishing) -> CutMaterial:
    """The material as it would be: segments are keyed by their takes, rendered or not."""
    jobs = {job.shot_id: plan.job(job.shot_id) for job in plan.jobs}
    media = {shot.id: finishing.media(shot) for shot in film_shots(plan.film)}
    animatic = frozenset(shot for shot, job in jobs.items() if job.backend == "animatic")
    native = frozenset(shot for shot, job in jobs.items() if job.request.audio == "native")
    return CutMaterial(media, animatic, native, {}, retake_notes(plan))
