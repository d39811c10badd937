"""Clearing the store: first a plan of what would go, then, if somebody says so, its removal."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from media.store import ContentStore

__all__ = ["GcDone", "GcEntry", "GcPlan", "plan_gc", "run_gc"]

_DAY_S = 86_400.0


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
    """Damaged entries put aside, and what killed runs left."""
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
    """Entries outside `keep_keys` that were last used longer ago than that. Removes nothing."""
    made_at = time.time()
    before = made_at - older_than_days * _DAY_S
    keep = frozenset(keep_keys)
    entries = tuple(
        GcEntry(store, key, store.size_bytes(key), store.last_used(key))
        for store in stores
        for key in sorted(set(store.keys()) - keep)
        if store.last_used(key) < before
    )
    litter = tuple(path for store in stores for path in store.litter())
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
    return GcDone(removed, len(plan.entries) - removed, size_bytes)
