"""What people write into tags and proxies answer must not end a worker, or a film's watch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Completed, Crashed, Running

from flows.farm import watching
from flows.farm.deaths import SILENT
from flows.farm.taking import waiting_run
from flows.farm.watching import RunWatch


@pytest.mark.parametrize("said", ["night", "", "nan", "inf", "-5"])
def test_a_tag_that_is_no_number_counts_as_none(said: str) -> None:
    run = FlowRun(flow_id=uuid4(), tags=[f"seconds:{said}", f"chain:{said}", "left:7"])
    waiting = waiting_run(run, 3)
    assert (waiting.seconds, waiting.chain_s, waiting.left_s, waiting.place) == (0, 0, 7, 3)


def test_the_watch_goes_on_after_an_answer_that_is_not_the_servers() -> None:
    run = uuid4()
    client = _Proxied(run)
    with RunWatch(cast(SyncPrefectClient, client)).watched(run) as seen:
        assert seen.over.wait(10)
    assert seen.ended.type == StateType.COMPLETED
    assert client.asked == 2


def test_a_silence_is_over_when_nobody_waits_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    # The next film, hours later, would take the server for one that has been away all that time.
    monkeypatch.setattr(watching, "_EVERY_S", 0.01)
    watch = RunWatch(cast(SyncPrefectClient, _Away()))
    with watch.watched(uuid4()):
        _until(lambda: watch.silent_s > 0)
    _until(lambda: watch.silent_s == 0)


def test_a_run_that_its_worker_speaks_for_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_EVERY_S", 0.01)
    monkeypatch.setattr(watching, "_SPOKEN_FOR_WITHIN_S", 0.3)
    run, silent = uuid4(), Crashed(name=SILENT)
    said = [silent, Running()] * 40  # at each sign of life, while a clock is wrong
    with RunWatch(cast(SyncPrefectClient, _Saying(run, [*said, Completed()]))).watched(run) as seen:
        assert seen.over.wait(10)
    assert seen.ended.type == StateType.COMPLETED


def test_a_run_that_nobody_speaks_for_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_EVERY_S", 0.01)
    monkeypatch.setattr(watching, "_SPOKEN_FOR_WITHIN_S", 0.3)
    run, begun = uuid4(), time.monotonic()
    client = _Saying(run, [Crashed(name=SILENT)])
    with RunWatch(cast(SyncPrefectClient, client)).watched(run) as seen:
        assert seen.over.wait(10)
    assert (seen.ended.type, seen.ended.name) == (StateType.CRASHED, SILENT)
    assert time.monotonic() - begun > 0.3


class _Saying:
    """A client with these answers, the last again and again."""

    def __init__(self, run: UUID, states: list[State[Any]]) -> None:
        self._run, self._states = run, states

    def read_flow_runs(self, **question: Any) -> list[FlowRun]:
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        return [FlowRun(id=self._run, flow_id=uuid4(), state=state)]


class _Proxied:
    """A client whose first answer is a page of a proxy."""

    def __init__(self, run: UUID) -> None:
        self._run, self.asked = run, 0

    def read_flow_runs(self, **question: Any) -> list[FlowRun]:
        self.asked += 1
        if self.asked == 1:
            json.loads("<html>")
        return [FlowRun(id=self._run, flow_id=uuid4(), state=Completed())]


class _Away:
    """A client whose server does not answer."""

    def read_flow_runs(self, **question: Any) -> list[FlowRun]:
        raise httpx.ConnectError("no route")


def _until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)
