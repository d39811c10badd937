"""Following a film that the farm makes, while its server is away."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect.client.schemas.objects import State, StateType
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from rich.console import Console

from flows import commands
from flows.cli_shown import print_ordered
from flows.farm import order
from flows.farm.order import OrderedFilm, follow_film
from flows.progress import Progress
from flows.settled import error_of, settled
from media.errors import BudgetError, CancelledError, TakeboardError, WaitingError


class Said(Progress):
    """What was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Away:
    """A server that does not answer."""

    def __getattr__(self, name: str) -> Any:
        def ask(*asked: object, **more: object) -> None:
            assert PREFECT_CLIENT_MAX_RETRIES.value() == 1, "else it is asked for minutes"
            raise httpx.ConnectError("refused")

        return ask


class Forgetful(Away):
    """One that tells of the run and then goes away."""

    def read_flow_run(self, run: object) -> Any:
        return type("Run", (), {"id": run, "state": State(type=StateType.COMPLETED, message="ok")})

    def read_logs(self, *asked: object, **more: object) -> list[Any]:
        return []

    def read_artifacts(self, **asked: object) -> list[Any]:
        raise httpx.ConnectError("refused")


class Waiting(Away):
    """One whose run is suspended."""

    def read_flow_run(self, run: object) -> Any:
        return type("Run", (), {"id": run, "state": State(type=StateType.PAUSED)})

    def read_logs(self, *asked: object, **more: object) -> list[Any]:
        return []


@pytest.mark.parametrize(
    "raised", [WaitingError("waits already"), CancelledError("cancelled"), BudgetError("too dear")]
)
def test_a_film_ends_here_as_it_ended_there(raised: TakeboardError) -> None:
    def ends() -> None:
        raise raised

    there = error_of(settled(ends, str))
    assert (type(there), there.exit_code, str(there)) == (
        type(raised), raised.exit_code, str(raised),
    )  # fmt: skip


@pytest.fixture
def film(monkeypatch: pytest.MonkeyPatch) -> OrderedFilm:
    monkeypatch.setattr(order, "_STOP_WITHIN_S", 0.2)
    monkeypatch.setattr(order, "_EVERY_S", 0.02)
    return OrderedFilm("The Tin", "", uuid4(), "http://farm/runs/1")


def answered_by(server: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def client(within_s: float | None = None) -> Iterator[Away]:
        yield server

    monkeypatch.setattr(order, "farm_client", client)


@pytest.mark.timeout(20)
def test_ctrl_c_ends_it_although_the_farm_cannot_be_told(
    film: OrderedFilm, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered_by(Away(), monkeypatch)
    said, stop = Said(), Event()
    stop.set()
    with pytest.raises(CancelledError, match="the farm could not be told"):
        follow_film(film, said, stop)
    assert said.notes == ["the Prefect server does not answer; the film goes on without"]


def test_a_film_is_made_although_nobody_says_where(
    film: OrderedFilm, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered_by(Forgetful(), monkeypatch)
    said = Said()
    assert follow_film(film, said, Event()).said == "ok"
    assert said.notes == ["where it is stands on http://farm/runs/1"]


def test_a_film_that_waits_says_how_to_approve_it(
    film: OrderedFilm, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered_by(Waiting(), monkeypatch)
    waits = replace(film, approve="takeboard approve tin.yaml --variant red")
    with pytest.raises(WaitingError, match=r"answer there, or: takeboard approve tin.yaml --var"):
        follow_film(waits, Said(), Event())


def test_of_several_films_all_are_followed_though_the_first_waits(
    film: OrderedFilm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[OrderedFilm] = []

    def follow(one: OrderedFilm, progress: Progress, stop: Event) -> OrderedFilm:
        followed.append(one)
        if len(followed) == 1:
            raise WaitingError("waits")
        return one

    rows = [commands.Choice(tmp_path / "tin.yaml", variant=name) for name in ("red", "blue")]
    monkeypatch.setattr(commands, "_variants", lambda choice: rows)
    monkeypatch.setattr(commands, "load", lambda choice: None)
    monkeypatch.setattr(order, "follow_film", follow)
    monkeypatch.setattr(order, "order_film", lambda film_, choice: film)
    monkeypatch.setattr("flows.farm.environment.connect_to_farm", lambda: None)
    monkeypatch.setattr("flows.farm.environment.require_reachable", lambda path: None)
    said = Said()
    with pytest.raises(WaitingError, match="1 of 2 films wait for approval"):
        commands.order(rows[0], said, Event(), detach=False)
    assert len(followed) == 2
    assert said.notes[-1] == "waits"


def test_a_film_on_another_machine_is_said_to_be_there(
    film: OrderedFilm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "film.mp4"
    here.touch()
    monkeypatch.chdir(tmp_path)
    console = Console(file=StringIO())
    print_ordered(replace(film, said="made", films=(here, tmp_path / "out/there.mp4")), console)
    assert isinstance(console.file, StringIO)
    here_said, there_said = console.file.getvalue().splitlines()[1:]
    assert here_said == "  film      film.mp4"
    assert there_said.startswith(f"  film      {tmp_path}/out/there.mp4 (on the machine of the")


def test_a_server_that_takes_requests_and_says_nothing_keeps_nobody_for_long(
    film: OrderedFilm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "_ANSWER_WITHIN_S", 0.2)
    stop, begun = Event(), time.monotonic()
    stop.set()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        api = f"http://127.0.0.1:{mute.getsockname()[1]}/api"
        updates = {PREFECT_API_URL: api, PREFECT_CLIENT_MAX_RETRIES: 0}
        with temporary_settings(updates), pytest.raises(CancelledError, match="could not be told"):
            follow_film(film, Said(), stop)
    assert time.monotonic() - begun < 20
