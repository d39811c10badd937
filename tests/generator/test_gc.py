"""Clearing the store: nothing that is kept, in use or new goes."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from generator.backends.video_api.ledger import Ledger, Row
from generator.gc import PHASES, plan_gc, run_gc
from generator.plan import plan_shots
from generator.takes import TakeStore
from generator.tickets import ASSETS, TICKETS, publish_ticket
from media.files import file_lock, sha256_file
from media.store import MANIFEST, ContentStore
from storyboards.film import Asset, Film, Keyframe
from tests.factories import make_film, make_shot
from tests.fakes import FakeBackend

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


def published(tmp_path: Path, days: float) -> tuple[TakeStore, Film, str, str]:
    """A ticket and its file, last used so long ago: the store, the film and the two keys."""
    board = tmp_path / "board.png"
    board.write_bytes(b"a picture")
    asset = Asset(board, sha256_file(board))
    film = make_film([make_shot(keyframes=(Keyframe(0, asset, 1.0),))], size=(64, 36))
    store = TakeStore(tmp_path / "store")
    (job,) = plan_shots(film, {"fake": FakeBackend()}, store.entries, {}).jobs
    publish_ticket(job, film, store)
    age(store, days)
    return store, film, job.key, asset.sha256


def age(store: TakeStore, days: float) -> None:
    then = time.time() - days * 86_400
    for manifest in store.entries.root.glob(f"*/??/*/{MANIFEST}"):
        os.utime(manifest, (then, then))


def going(store: TakeStore, keep: set[str], *, older_than_days: float = 30) -> list[str]:
    """Kinds of what would go."""
    kinds = ("takes", TICKETS, ASSETS)
    stores = [ContentStore(store.entries.root, kind) for kind in kinds]
    plan = plan_gc(stores, keep, older_than_days=older_than_days)
    return [entry.store.kind for entry in plan.entries]


def test_a_ticket_is_kept_until_its_take_is_there(tmp_path: Path) -> None:
    store, _, key, _ = published(tmp_path, days=40)
    assert going(store, {key}, older_than_days=0) == []
    assert going(store, set()) == [TICKETS]
    store.entries.make(key, lambda folder: {})
    age(store, days=0.5)
    assert going(store, {key}) == []
    age(store, days=2)
    assert going(store, {key}) == [TICKETS]


def test_a_file_is_kept_while_a_ticket_names_it(tmp_path: Path) -> None:
    store, film, key, digest = published(tmp_path, days=2)
    assert going(store, set()) == []
    tickets = ContentStore(store.entries.root, TICKETS)
    assert tickets.remove(key, used_before=time.time())
    assert going(store, set()) == [ASSETS]
    stores = [ContentStore(store.entries.root, kind) for kind in (TICKETS, ASSETS)]
    assert run_gc(plan_gc(stores, ())).removed == 1
    assert not ContentStore(store.entries.root, ASSETS).peek(digest)
    (job,) = plan_shots(film, {"fake": FakeBackend()}, store.entries, {}).jobs
    publish_ticket(job, film, store)
    age(store, days=0.5)
    assert going(store, set()) == []


def test_films_of_a_server_go_when_their_take_is_there(tmp_path: Path) -> None:
    takes, ledger = ContentStore(tmp_path, "takes"), Ledger(tmp_path)
    made, waiting, forgotten = keys(3)
    now = time.time()
    for key, asked_at in [(made, now), (waiting, now), (forgotten, now - 20 * 86_400)]:
        ledger.write(Row(key=key, take=key, server="http://127.0.0.1:8000", asked_at=asked_at))
        ledger.film(key).write_bytes(bytes(1000))
    takes.make(made, lambda folder: {})
    plan = plan_gc([takes], {made})
    gone = {made, forgotten}
    assert {path.stem for path in plan.litter} == gone
    assert all(ledger.film(key).exists() for key in keys(3))
    assert run_gc(plan).size_bytes > 2000
    assert [key for key in keys(3) if ledger.film(key).exists()] == [waiting]
    assert ledger.read(waiting) is not None
    assert plan_gc([takes], {made}).litter == ()
