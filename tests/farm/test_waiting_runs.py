"""A film's suspended runs among those of many others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from flows.farm import resuming
from flows.farm.readiness import FarmReadiness
from flows.film_record import STORYBOARD
from storyboards.resolve import load_film
from tests.flows.films import board, write_film


def run_of(storyboard: str, **labels: str) -> FlowRun:
    return FlowRun(flow_id=uuid4(), parameters={"storyboard": storyboard}, labels=labels)


def test_a_run_is_found_behind_hundreds_and_by_the_path_that_its_worker_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = load_film(write_film(tmp_path, board()))
    others = [run_of(f"/films/{number}/film.yaml") for number in range(450)]
    ours = run_of("film.yaml", **{STORYBOARD: str(film.path.resolve())})
    elsewhere = run_of(str(film.path), **{STORYBOARD: "/films/another/film.yaml"})
    waiting = [*others, elsewhere, ours]

    class Server:
        def read_flow_runs(self, *, limit: int, offset: int, **asked: Any) -> list[FlowRun]:
            return waiting[offset : offset + min(limit, 200)]

    @contextmanager
    def client(**_: object) -> Iterator[Server]:
        yield Server()

    monkeypatch.setattr(resuming, "get_client", client)
    monkeypatch.setattr(resuming, "farm_readiness", lambda _: FarmReadiness({}))
    assert resuming.waiting_runs(film, "http://farm/api").runs == (ours,)
