"""What a worker does beside taking runs, with a server that says what it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelling, Crashed, Pending, Running

from flows.farm import upkeep
from flows.farm.deaths import SILENT, TAKEN_BACK
from flows.farm.holder import Holder
from flows.farm.lost import LostRuns
from flows.farm.upkeep import Upkeep

ME, OTHER = Holder("gpu-0", "vm-1"), Holder("gpu-1", "vm-1")


class Server:
    """Runs by id; workers that are online."""

    def __init__(self, *runs: FlowRun, online: tuple[str, ...] = ("gpu-0",)) -> None:
        self.runs = {run.id: run for run in runs}
        self.online = online
        self.away: Exception | None = None

    async def read_flow_runs(self, **asked: Any) -> list[FlowRun]:
        if self.away:
            raise self.away
        wanted = asked["flow_run_filter"]
        found = [run for run in self.runs.values() if self._fits(run, wanted)]
        return found if not asked.get("offset") else []

    def _fits(self, run: FlowRun, wanted: Any) -> bool:
        if wanted.id and run.id not in wanted.id.any_:
            return False
        assert run.state is not None
        if wanted.state.type:
            return run.state.type in wanted.state.type.any_
        return run.state.name in wanted.state.name.any_

    async def read_flow_run(self, run: UUID) -> FlowRun:
        return self.runs[run]

    async def read_flow_run_states(self, run: UUID) -> list[State[Any]]:
        return []

    async def read_workers_for_work_pool(self, pool: str, limit: int) -> list[Any]:
        return [SimpleNamespace(name=name, status="ONLINE") for name in self.online]

    async def set_flow_run_state(self, run: UUID, state: State[Any], force: bool) -> None:
        self.runs[run] = _run(state, self.runs[run])

    async def request(self, *asked: Any, **more: Any) -> None:
        pass


def _run(state: State[Any], of: FlowRun | None = None, holder: Holder = ME) -> FlowRun:
    of = of or FlowRun(flow_id=uuid4(), labels=dict(holder.labels))
    return of.model_copy(update={"state": state, "state_type": state.type})


class Desk:
    """An upkeep, and what it did to its child."""

    def __init__(self, server: Server, under_way: set[UUID], pool: str = "gpu") -> None:
        self.stopped: list[UUID] = []
        self.ended: list[UUID] = []
        self.upkeep = Upkeep(
            me=ME,
            pool=pool,
            stop=self.stopped.append,
            end=self._end,
            client=lambda: server,  # type: ignore[arg-type,return-value]
            under_way=under_way,
            in_hand=under_way,
            lost=LostRuns(ME, lost_after_s=0.0),
        )

    async def _end(self, run: UUID) -> None:
        self.ended.append(run)

    def watch_until(self, done: Callable[[], bool]) -> None:
        async def watch() -> None:
            task = asyncio.create_task(self.upkeep.watch_own())
            for _ in range(500):
                if done():
                    break
                await asyncio.sleep(0.01)
            task.cancel()

        asyncio.run(watch())
        assert done()


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_WATCH_S", 0.01)


def test_what_is_cancelled_is_stopped_and_ended_when_it_does_not_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "_STOP_WITHIN_S", 0.05)
    run = _run(Cancelling())
    desk = Desk(Server(run, _run(Cancelling())), {run.id})
    desk.watch_until(lambda: bool(desk.ended))
    assert set(desk.stopped) == set(desk.ended) == {run.id}
    assert len(desk.stopped) > 1, "a child that was just starting may not have heard it"


def test_what_the_server_took_for_silent_is_spoken_for() -> None:
    run = _run(Crashed(name=SILENT))
    server = Server(run)
    desk = Desk(server, {run.id})
    desk.watch_until(lambda: server.runs[run.id].state_type == StateType.RUNNING)
    assert not desk.stopped


def test_what_crashed_otherwise_is_not() -> None:
    run, other = _run(Crashed()), _run(Cancelling())
    server = Server(run, other)
    desk = Desk(server, {run.id, other.id})
    desk.watch_until(lambda: len(desk.stopped) > 2)
    assert server.runs[run.id].state_type == StateType.CRASHED


def test_runs_that_nobody_has_are_taken_back() -> None:
    lost = _run(Pending(message=ME.claim), holder=OTHER)
    kept, theirs = _run(Running()), _run(Running(), holder=OTHER)
    server = Server(lost, kept, theirs, online=("gpu-0", "gpu-1"))
    asyncio.run(Desk(server, {kept.id}).upkeep.look())
    names = [server.runs[run.id].state.name for run in (lost, kept, theirs)]  # type: ignore[union-attr]
    assert names == [TAKEN_BACK, "Running", "Running"]


def test_a_silent_film_is_made_again_but_a_take_is_its_films_business() -> None:
    for pool, expected in (("cpu", TAKEN_BACK), ("gpu", SILENT)):
        run = _run(Crashed(name=SILENT), holder=OTHER)
        server = Server(run)
        asyncio.run(Desk(server, set(), pool).upkeep.look())
        assert server.runs[run.id].state.name == expected  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "answered",
    [httpx.ConnectError("no route"), json.JSONDecodeError("a proxy's page", "<html>", 0)],
    ids=["not", "by a proxy"],
)
def test_an_outage_ends_nothing(answered: Exception) -> None:
    run = _run(Running(), holder=OTHER)
    server = Server(run)
    server.away = answered

    async def watch() -> None:
        task = asyncio.create_task(Desk(server, set()).upkeep.watch_pool())
        await asyncio.sleep(0.05)
        assert not task.done()
        task.cancel()

    asyncio.run(watch())
