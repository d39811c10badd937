"""Clearing the store: first a plan of what would go, then, if somebody says so, its removal.

What lies between the phases of a take (embeddings, latents) goes first and after a day: it is of
use only until the take is in the store, and is never named by a storyboard. So are tickets, the
files that they name, and what a video server sent.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from generator.backends.video_api.ledger import Ledger
from generator.local.phases import LATENTS, PROMPTS
from generator.tickets import ASSETS, TICKETS, assets_of_tickets
from media.store import ContentStore

__all__ = ["PHASES", "GcDone", "GcEntry", "GcPlan", "plan_gc", "run_gc"]

PHASES = (LATENTS, PROMPTS)
"""Kinds of the store that hold what phases made, in the order in which they go."""

_DAY_S = 86_400.0
_BRIEF_DAYS = 1.0
"""How long what is of use only until a take is made is kept, once nothing needs it."""


@dataclass(frozen=True, slots=True)
class GcEntry:
    """An entry that nothing names and that was not used lately."""

    store: ContentStore
    key: str
    size_bytes: int
    last_used: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class GcPlan:
    """What would be removed."""

    entries: tuple[GcEntry, ...]
    litter: tuple[Path, ...]
    """Damaged entries put aside, what killed runs left, and what belongs to fetched films."""
    stores: tuple[ContentStore, ...]
    size_bytes: int
    """Of the entries."""
    made_at: float


@dataclass(frozen=True, slots=True)
class GcDone:
    """What was removed, and how many entries were kept because somebody used them meanwhile."""

    removed: int
    kept: int
    size_bytes: int


def plan_gc(
    stores: Sequence[ContentStore],
    keep_keys: Collection[str],
    *,
    older_than_days: float = 30.0,
) -> GcPlan:
    """Entries outside `keep_keys` that were last used longer ago than that. Removes nothing.

    A ticket's file is kept while a ticket names it, and a ticket as long as its take would be. Of
    PHASES, tickets of takes that are there, and files that no ticket names, a day is enough. What
    was put there within the last day for a take to be made is never removed: a farm may be at it.
    """
    made_at = time.time()
    ordered = sorted(stores, key=lambda store: store.kind not in PHASES)
    entries = tuple(
        GcEntry(store, key, store.size_bytes(key), store.last_used(key))
        for store in ordered
        for key, days in _unused(store, frozenset(keep_keys), older_than_days)
        if store.last_used(key) < made_at - days * _DAY_S
    )
    litter = tuple(path for store in stores for path in store.litter())
    litter += tuple(path for ledger in _ledgers(stores) for path in ledger.litter())
    size_bytes = sum(entry.size_bytes for entry in entries)
    return GcPlan(entries, litter, tuple(stores), size_bytes, made_at)


def run_gc(plan: GcPlan) -> GcDone:
    """Remove what the plan names, except what is locked or was used after it was planned."""
    removed = size_bytes = 0
    for entry in plan.entries:
        # Strictly what was planned: an entry used since then has another time.
        freed = entry.store.remove(entry.key, used_before=entry.last_used + 1e-6)
        removed += freed is not None
        size_bytes += freed or 0
    for store in plan.stores:
        size_bytes += store.sweep()
    for ledger in _ledgers(plan.stores):
        size_bytes += ledger.sweep()
    return GcDone(removed, len(plan.entries) - removed, size_bytes)


def _unused(
    store: ContentStore, keep: frozenset[str], older_than_days: float
) -> Iterator[tuple[str, float]]:
    """Keys that are not kept, in order, and after how many days they go."""
    takes = ContentStore(store.root, "takes")
    kept = keep | assets_of_tickets(store.root) if store.kind == ASSETS else keep
    days = {
        **dict.fromkeys(PHASES, min(older_than_days, _BRIEF_DAYS)),
        TICKETS: max(older_than_days, _BRIEF_DAYS),
        ASSETS: _BRIEF_DAYS,
    }.get(store.kind, older_than_days)
    for key in sorted(store.keys()):
        if store.kind == TICKETS and takes.peek(key):
            yield key, min(older_than_days, _BRIEF_DAYS)
        elif key not in kept:
            yield key, days


def _ledgers(stores: Sequence[ContentStore]) -> Iterator[Ledger]:
    """What is kept of jobs at video servers, beside the takes."""
    return (Ledger(store.root) for store in stores if store.kind == "takes")
