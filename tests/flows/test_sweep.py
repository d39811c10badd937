"""Sweeping a film's store: what its farm still needs stays."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from films import BOARD, write_film

from flows.options import FilmOptions
from flows.planning import plan_film
from flows.sweep import sweep
from generator.takes import TakeStore, record_plan
from generator.tickets import ASSETS, TICKETS, publish_ticket, read_ticket
from media.store import MANIFEST, ContentStore
from storyboards.resolve import load_film


@pytest.fixture(autouse=True)
def no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAKEBOARD_MODELS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def test_takes_that_the_farm_made_last_stay(tmp_path: Path) -> None:
    film = load_film(write_film(tmp_path))
    options = FilmOptions(store=tmp_path / "store", out=tmp_path / "out", jobs=2)
    store = TakeStore(options.store)
    plan = plan_film(film, options)
    farm_keys = {"a" * 64, "b" * 64}
    for made, old in (("a", "c"), ("b", "d")):
        for key in (old * 64, made * 64):  # as planned for models that this machine lacks
            store.entries.make(key, lambda folder: {})
    jobs = plan.jobs[:2]
    for keys in (("c", "d"), ("a", "b")):
        told = [replace(job, key=key * 64) for job, key in zip(jobs, keys, strict=True)]
        record_plan(replace(plan, jobs=tuple(told)), store)
    sweep([(film, options)], older_than_days=0, run=True)
    assert kept(store, "takes") == farm_keys


def kept(store: TakeStore, kind: str) -> set[str]:
    return set(ContentStore(store.entries.root, kind).keys())


def test_tickets_of_takes_that_are_missing_stay_with_their_files(tmp_path: Path) -> None:
    film = load_film(write_film(tmp_path))
    options = FilmOptions(store=tmp_path / "store", out=tmp_path / "out", jobs=2)
    store = TakeStore(options.store)
    plan = plan_film(film, options)
    for job in plan.jobs:
        publish_ticket(job, film, store)
    before = kept(store, ASSETS)
    assert before
    sweep([(film, options)], older_than_days=0, run=True)
    assert (kept(store, TICKETS), kept(store, ASSETS)) == ({job.key for job in plan.jobs}, before)
    first = plan.jobs[0]
    store.entries.make(first.key, lambda folder: {})
    swept = sweep([(film, options)], older_than_days=0, run=True)
    assert {"kind": TICKETS, "key": first.key} in [
        {"kind": one["kind"], "key": one["key"]} for one in swept["entries"]
    ]
    assert kept(store, TICKETS) == {job.key for job in plan.jobs[1:]}
    for job in plan.jobs[1:]:
        read_ticket(job.key, store)
    changed = {**BOARD, "project": {**BOARD["project"], "size": "192x108"}}
    film = load_film(write_film(tmp_path, changed))
    waiting = kept(store, TICKETS)
    sweep([(film, options)], older_than_days=0, run=True)
    # Another run may be at these right now, whatever the storyboard says by this time.
    assert (kept(store, TICKETS), kept(store, ASSETS)) == (waiting, before)
    then = time.time() - 2 * 86_400
    for manifest in options.store.glob(f"*/??/*/{MANIFEST}"):
        os.utime(manifest, (then, then))
    for _ in range(2):
        sweep([(film, options)], older_than_days=0, run=True)
    assert kept(store, TICKETS) == kept(store, ASSETS) == set()
