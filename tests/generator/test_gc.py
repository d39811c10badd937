"""Clearing the store: nothing that is kept, in use or new goes."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from generator.gc import PHASES, plan_gc, run_gc
from media.files import file_lock
from media.store import MANIFEST, ContentStore

OLD = time.time() - 100 * 86_400


def keys(count: int) -> list[str]:
    return [hashlib.sha256(bytes([n])).hexdigest() for n in range(count)]


@pytest.fixture
def stores(tmp_path: Path) -> list[ContentStore]:
    made = [ContentStore(tmp_path, kind) for kind in ("takes", "sounds")]
    for store in made:
        for key in keys(3):
            entry = store.make(key, lambda folder: {"at": (folder / "a").write_bytes(bytes(100))})
            os.utime(entry.folder / MANIFEST, (OLD, OLD))
    return made


def test_a_plan_removes_nothing_and_a_run_what_was_planned(stores: list[ContentStore]) -> None:
    kept, *others = keys(3)
    plan = plan_gc(stores, {kept})
    assert sorted(entry.key for entry in plan.entries) == sorted(others * 2)
    assert plan.size_bytes > 400
    assert all(len(list(store.keys())) == 3 for store in stores)
    done = run_gc(plan)
    assert (done.removed, done.kept, done.size_bytes) == (4, 0, plan.size_bytes)
    assert all(list(store.keys()) == [kept] for store in stores)


def test_what_is_new_stays(stores: list[ContentStore]) -> None:
    stores[0].touch(keys(3)[0])
    assert len(plan_gc(stores[:1], ()).entries) == 2
    assert len(plan_gc(stores[:1], (), older_than_days=0).entries) == 3


def test_what_is_used_or_locked_after_planning_stays(stores: list[ContentStore]) -> None:
    first, second, third = keys(3)
    plan = plan_gc(stores[:1], ())
    assert stores[0].find(first) is not None
    with file_lock(stores[0]._lock(second)):
        done = run_gc(plan)
    assert (done.removed, done.kept) == (1, 2)
    assert not stores[0].peek(third)
    assert stores[0].peek(first)
    assert stores[0].peek(second)


def test_what_was_put_aside_goes(stores: list[ContentStore]) -> None:
    key = keys(3)[0]
    (stores[0].entry_folder(key) / "a").write_bytes(b"damaged")
    assert stores[0].find(key) is None
    plan = plan_gc(stores, keys(3))
    assert len(plan.litter) == 1
    run_gc(plan)
    assert not plan.litter[0].exists()


def test_what_phases_made_goes_first_and_after_a_day(tmp_path: Path) -> None:
    stores = [ContentStore(tmp_path, kind) for kind in ("takes", *PHASES)]
    for store in stores:
        for days, key in zip((0.5, 2, 40), keys(3), strict=True):
            entry = store.make(key, lambda folder: {"at": (folder / "a").write_bytes(b"a")})
            then = time.time() - days * 86_400
            os.utime(entry.folder / MANIFEST, (then, then))
    _, two_days, old = keys(3)
    planned = [(entry.store.kind, entry.key) for entry in plan_gc(stores, ()).entries]
    phases = [(kind, key) for kind in PHASES for key in sorted((two_days, old))]
    assert planned == [*phases, ("takes", old)]
    at_once = plan_gc(stores, (), older_than_days=0)
    assert len(at_once.entries) == 9
