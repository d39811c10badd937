"""Tickets: another machine makes the take with nothing but the store."""

from __future__ import annotations

import shutil
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from generator.backends.base import (
    Backend,
    RenderRequest,
    RenderTools,
)
from generator.rendering import render_take, tools_for
from generator.requests import assets_for
from generator.takes import Take, TakeStore
from generator.tickets import (
    ASSETS,
    TICKETS,
    assets_of_tickets,
    publish_ticket,
    read_ticket,
    render_ticket,
)
from media.errors import RenderError
from media.shared_store import local_root
from media.store import MANIFEST, ContentStore
from storyboards.film import Asset, Continuation, Film
from tests.factories import make_film, make_shot
from tests.fakes import FakeBackend
from tests.generator.test_shot_groups import Sequences, film_of, shots
from tests.generator.ticket_films import TOOLS, one_job, planned, require_same


def test_another_machine_makes_the_take_with_nothing_but_the_store(
    tmp_path: Path, film: Film, board: Asset, store: TakeStore
) -> None:
    class Looks(FakeBackend):
        seen: bytes = b""

        def render(self, request: RenderRequest, tools: RenderTools) -> Any:
            path = tools.assets[request.key_pictures[0].sha256]
            assert path.suffix == ".png"
            Looks.seen = path.read_bytes()
            return super().render(request, tools)

    job = one_job(film, store)
    publish_ticket(job, film, store)
    shutil.rmtree(board.path.parent)
    take = render_ticket(job.key, store, lambda name: Looks(), TOOLS)
    assert (take.key, take.num_frames) == (job.key, job.request.num_frames)
    assert Looks.seen == b"a picture"
    ticket = read_ticket(job.key, store)
    assert (ticket.film_code, ticket.film_title) == (film.code, film.title)


def test_two_machines_share_tickets_through_an_object_store(
    tmp_path: Path, film: Film, board: Asset
) -> None:
    address = f"memory://{tmp_path.name}-{uuid.uuid4().hex}/takes"
    here, there = (
        TakeStore(local_root(address, {"TAKEBOARD_STORE_COPY": str(tmp_path / machine)}))
        for machine in ("here", "there")
    )
    job = one_job(film, here)
    for _ in range(2):
        publish_ticket(job, film, here)
    shutil.rmtree(board.path.parent)
    assert assets_of_tickets(there.entries.root) == {board.sha256}
    take = render_ticket(job.key, there, lambda name: FakeBackend(), TOOLS)
    assert not take.picture.is_relative_to(here.entries.root)
    assert here.find(job.key) is not None


def test_a_take_that_is_there_needs_no_ticket(film: Film, store: TakeStore) -> None:
    job = one_job(film, store)
    take = render_take(job, FakeBackend(), store, tools_for(job, assets_for(film), store, TOOLS))

    def nobody(name: str) -> Backend:
        raise AssertionError(name)

    assert render_ticket(job.key, store, nobody, TOOLS) == take


def test_a_take_that_goes_on_finds_its_parent_in_the_store(store: TakeStore) -> None:
    first = make_shot()
    second = make_shot("sc010/sh0020", continues=Continuation(first.id, "extend", 1))
    film, backend = make_film([first, second], size=(64, 36)), FakeBackend()
    plan = planned(film, store, backend)
    for job in plan.jobs:
        publish_ticket(job, film, store)
    parent, child = (plan.job(shot.id) for shot in (first, second))
    with pytest.raises(RenderError, match="the take that it goes on from has not been rendered"):
        render_ticket(child.key, store, lambda name: backend, TOOLS)
    made = [render_ticket(job.key, store, lambda name: backend, TOOLS) for job in (parent, child)]
    assert "join" in made[1].manifest


def test_takes_of_one_generation_make_it_once(store: TakeStore) -> None:
    film, backend = film_of(shots(2)), Sequences()
    plan = planned(film, store, backend)
    takes: list[Take] = []
    for job in plan.jobs:
        publish_ticket(job, film, store)
        takes.append(render_ticket(job.key, store, lambda name: backend, TOOLS))
    assert len(backend.asked) == 1
    assert [take.num_frames for take in takes] == [24, 24]


def test_publishing_again_reads_nothing(film: Film, board: Asset, store: TakeStore) -> None:
    job = one_job(film, store)
    publish_ticket(job, film, store)
    board.path.unlink()
    before = time.perf_counter()
    for _ in range(20):
        publish_ticket(job, film, store)
    assert (time.perf_counter() - before) / 20 < 0.05


def test_two_publish_at_once(film: Film, store: TakeStore) -> None:
    job = one_job(film, store)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: publish_ticket(job, film, store), range(16)))
    require_same(read_ticket(job.key, store).job, job)
    for kind in (TICKETS, ASSETS):
        kept = ContentStore(store.entries.root, kind)
        assert (len(list(kept.keys())), kept.litter()) == (1, [])


def test_assets_of_tickets(film: Film, board: Asset, store: TakeStore) -> None:
    assert assets_of_tickets(store.entries.root) == frozenset()
    job = one_job(film, store)
    publish_ticket(job, film, store)
    assert assets_of_tickets(store.entries.root) == {board.sha256}
    (ContentStore(store.entries.root, TICKETS).entry_folder(job.key) / MANIFEST).unlink()
    assert assets_of_tickets(store.entries.root) == frozenset()
