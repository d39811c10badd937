"""Tickets that cannot be made a take of: who reads one is told why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from generator.backends.base import (
    Backend,
    RenderRequest,
    Snapped,
)
from generator.takes import TakeStore
from generator.tickets import (
    ASSETS,
    TICKETS,
    publish_ticket,
    read_ticket,
    render_ticket,
)
from media.errors import RefusalError, RenderError
from media.store import ContentStore
from storyboards.film import Asset, Film
from tests.fakes import FakeBackend
from tests.generator.ticket_films import TOOLS, one_job, planned, require_same


def test_a_file_that_changed_since_the_plan_is_not_published(
    film: Film, board: Asset, store: TakeStore
) -> None:
    job = one_job(film, store)
    board.path.write_bytes(b"another one")
    with pytest.raises(RenderError, match=r"take 1: Board 1\.PNG has changed since the plan"):
        publish_ticket(job, film, store)
    assert not list(ContentStore(store.entries.root, ASSETS).keys())
    assert not list(ContentStore(store.entries.root, TICKETS).keys())


def test_a_file_that_changes_while_it_is_copied_is_not_published(
    film: Film, board: Asset, store: TakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = one_job(film, store)

    def changes(*_: object) -> dict[str, Path]:
        board.path.write_bytes(b"another one")
        return {board.sha256: board.path}

    monkeypatch.setattr("generator.tickets.verified_files", changes)
    with pytest.raises(RenderError, match=r"Board 1\.PNG has changed since the plan"):
        publish_ticket(job, film, store)
    assert not list(ContentStore(store.entries.root, ASSETS).keys())


def test_no_ticket_says_what_to_look_at(store: TakeStore) -> None:
    with pytest.raises(RenderError, match=r"has no ticket for the take aaaaaaaaaaaa; see that"):
        read_ticket("a" * 64, store)


def test_a_file_that_went_away_is_named_and_comes_back(
    film: Film, board: Asset, store: TakeStore
) -> None:
    job = one_job(film, store)
    publish_ticket(job, film, store)
    assets = ContentStore(store.entries.root, ASSETS)
    shutil.rmtree(assets.entry_folder(board.sha256))
    with pytest.raises(RenderError, match=r"Board 1\.PNG is not in the store; start the film"):
        read_ticket(job.key, store)
    publish_ticket(job, film, store)
    assert read_ticket(job.key, store).assets.keys() == {board.sha256}


def rewrite(store: TakeStore, key: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Write the ticket anew, as whole as the store can tell."""
    tickets = ContentStore(store.entries.root, TICKETS)
    entry = tickets.find(key)
    assert entry is not None
    written = json.loads(entry.files["ticket.json"].read_text())
    change(written)
    shutil.rmtree(entry.folder)
    details = {**entry.details, "takeboard": written["takeboard"], "form": written["form"]}

    def build(folder: Path) -> dict[str, Any]:
        (folder / "ticket.json").write_text(json.dumps(written))
        return details

    tickets.make(key, build)


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["job"]["request"].update(seed=8),
        lambda said: said["job"]["request"].pop("prompt"),
        lambda said: said["job"].update(key="b" * 64),
        lambda said: said["job"].update(revision="2"),
        lambda said: said.pop("job"),
    ],
)
def test_a_ticket_that_reads_as_another_take_is_refused(
    film: Film, store: TakeStore, change: Callable[[dict[str, Any]], object]
) -> None:
    job = one_job(film, store)
    publish_ticket(job, film, store)
    rewrite(store, job.key, change)
    with pytest.raises(RenderError, match=r"is damaged: .* start the film again"):
        read_ticket(job.key, store)
    rewrite(store, job.key, lambda said: said.update(takeboard="0.0.9"))
    with pytest.raises(RenderError) as caught:
        read_ticket(job.key, store)
    assert "written by Takeboard 0.0.9 and does not read as that take's job" in str(caught.value)
    assert f"with this one, {version('takeboard')}; install the same" in str(caught.value)
    publish_ticket(job, film, store)
    require_same(read_ticket(job.key, store).job, job)


def test_a_form_from_the_future_is_refused(film: Film, store: TakeStore) -> None:
    job = one_job(film, store)
    publish_ticket(job, film, store)
    rewrite(store, job.key, lambda said: said.update(takeboard="99.0", form=2))
    with pytest.raises(RenderError, match=r"Takeboard 99\.0 .* install the same version"):
        read_ticket(job.key, store)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"form": 1}', b"\xff\xfe"])
def test_a_ticket_that_is_cut_short_is_put_aside(film: Film, store: TakeStore, text: bytes) -> None:
    job = one_job(film, store)
    publish_ticket(job, film, store)
    tickets = ContentStore(store.entries.root, TICKETS)
    (tickets.entry_folder(job.key) / "ticket.json").write_bytes(text)
    with pytest.raises(RenderError, match="has no ticket"):
        read_ticket(job.key, store)
    publish_ticket(job, film, store)
    require_same(read_ticket(job.key, store).job, job)
    # A maker that wrote it so is refused as well.
    shutil.rmtree(tickets.entry_folder(job.key))
    tickets.make(job.key, lambda folder: {"n": (folder / "ticket.json").write_bytes(text)})
    with pytest.raises(RenderError, match="is damaged"):
        read_ticket(job.key, store)


def test_a_machine_with_other_weights_refuses(film: Film, store: TakeStore) -> None:
    job = one_job(film, store)
    publish_ticket(job, film, store)
    other = FakeBackend(revision="1+other")
    with pytest.raises(
        RenderError, match=r"planned for fake 1, but this machine has 1\+other; give"
    ):
        render_ticket(job.key, store, lambda name: other, TOOLS)
    unready = FakeBackend(unready="needs torch")
    with pytest.raises(RefusalError, match="sc010/sh0010 take 1: fake needs torch"):
        render_ticket(job.key, store, lambda name: unready, TOOLS)
    assert other.renders == unready.renders == []


def test_a_machine_with_other_parts_refuses(film: Film, store: TakeStore) -> None:
    class Parts(FakeBackend):
        part = "a"

        def snap(self, request: RenderRequest) -> Snapped:
            if self.part == "none":
                raise RefusalError("needs the part vace")
            return Snapped(replace(request, options=(("part.weights", self.part),)))

    backend = Parts()
    job = planned(film, store, backend).jobs[0]
    publish_ticket(job, film, store)
    backend.part = "b"
    with pytest.raises(RenderError, match="would make another take: options changed; give every"):
        render_ticket(job.key, store, lambda name: backend, TOOLS)
    backend.part = "none"
    with pytest.raises(RefusalError, match="take 1: needs the part vace; give every"):
        render_ticket(job.key, store, lambda name: backend, TOOLS)
    backend.part = "a"
    render_ticket(job.key, store, lambda name: backend, TOOLS)


def test_a_backend_that_is_not_installed_is_named(film: Film, store: TakeStore) -> None:
    job = one_job(film, store)
    publish_ticket(job, film, store)
    none: dict[str, Backend] = {}
    with pytest.raises(RenderError, match="take 1: there is no backend fake in this installation"):
        render_ticket(job.key, store, none.__getitem__, TOOLS)
