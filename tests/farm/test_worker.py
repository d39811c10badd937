"""A worker at a real server, with a child that ends its runs when the test says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_LOGGING_TO_API_ENABLED,
    PREFECT_WORKER_QUERY_SECONDS,
    temporary_settings,
)
from prefect.states import Cancelling, Completed, Crashed, Running

from flows.farm import upkeep, worker
from flows.farm.deaths import HANDED_BACK, RESCHEDULED, SET_ASIDE, STORE_AWAY
from flows.farm.deployments import ensure_pool
from flows.farm.holder import Holder, holder_of, this_machine
from flows.farm.names import GPU_POOL
from flows.farm.warm import Ended
from flows.farm.worker import WarmWorker
from tests.flows.prefect_server import OF_UP, running_server

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]


@flow(name="worker-contract")
def some_flow() -> None:
    """Never run: the child is not a real one."""


@pytest.fixture(scope="module", autouse=True)
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("worker")
    with running_server(home / "server", command=OF_UP) as server:
        settings = {
            PREFECT_API_URL: server.url,
            PREFECT_HOME: home / "client",
            PREFECT_LOGGING_TO_API_ENABLED: False,
            PREFECT_WORKER_QUERY_SECONDS: 1,
        }
        with temporary_settings(settings):
            yield


@dataclass
class Child:
    """Has every run until it is told how it ended."""

    runs: dict[UUID, asyncio.Future[Ended]] = field(default_factory=dict)
    stopped: list[UUID] = field(default_factory=list)
    pid: int = 17
    at_work: set[UUID] = field(default_factory=set)
    begins: Callable[[UUID], Awaitable[None]] | None = None

    async def run(self, flow_run: UUID) -> Ended:
        self.runs[flow_run] = asyncio.get_running_loop().create_future()
        if self.begins is not None:
            await self.begins(flow_run)
        try:
            return await self.runs[flow_run]
        finally:
            self.runs.pop(flow_run)

    def stop(self, flow_run: UUID) -> None:
        self.stopped.append(flow_run)

    async def close(self) -> None:
        for waiting in self.runs.values():
            if not waiting.done():
                waiting.set_result(Ended(died="SIGKILL"))


@dataclass
class Desk:
    """A worker at work, its child, and the runs in its pool."""

    client: PrefectClient
    deployment: UUID
    worker: WarmWorker
    child: Child

    async def ask(self, name: str, setup: str, **parameters: str) -> UUID:
        run = await self.client.create_flow_run_from_deployment(
            self.deployment,
            name=name,
            parameters=parameters,
            tags=[f"setup:{setup}", "seconds:5"],
        )
        return run.id

    async def read(self, run: UUID) -> FlowRun:
        return await self.client.read_flow_run(run)

    async def until_begun(self, *runs: UUID) -> None:
        await until(lambda: set(self.child.runs) == set(runs))

    async def until_named(self, run: UUID, name: str) -> FlowRun:
        for _ in range(200):
            found = await self.read(run)
            if found.state is not None and found.state.name == name:
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"not {name}: {found.state}")

    async def end(self, run: UUID, ended: Ended | None = None) -> None:
        """The child's run ends well, or as said."""
        if ended is None:
            await self.client.set_flow_run_state(run, Completed(), force=True)
        elif ended.died:
            self.worker._note_death(ended.died)
        self.child.runs[run].set_result(ended or Ended(state="COMPLETED"))


async def until(look: Callable[[], bool]) -> None:
    for _ in range(200):
        if look():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("not in time")


@asynccontextmanager
async def at_work(name: str, slots: int = 2) -> AsyncIterator[Desk]:
    async with get_client() as client:
        await ensure_pool(client, GPU_POOL)
        flow_id = await client.create_flow(some_flow)
        deployment = await client.create_deployment(
            flow_id, name, work_pool_name=GPU_POOL, work_queue_name="normal"
        )
        served = WarmWorker(GPU_POOL, name, slots=slots)
        child = Child()
        served._child = child  # type: ignore[assignment]
        served._upkeep.stop = child.stop
        task = asyncio.create_task(served.work())
        try:
            yield Desk(client, deployment, served, child)
        finally:
            await served.leave(5.0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for run in await client.read_flow_runs():
                await client.delete_flow_run(run.id)


def test_it_takes_what_shares_a_model_and_says_whose_it_is() -> None:
    async def work() -> None:
        async with at_work("one") as desk:
            first = await desk.ask("first", "ltx2")
            await desk.until_begun(first)
            other = await desk.ask("other", "wan")
            second = await desk.ask("second", "ltx2")
            await desk.until_begun(first, second)
            assert holder_of(await desk.read(first)) == Holder("one", this_machine())
            waiting = (await desk.read(other)).state
            assert waiting is not None
            assert waiting.is_scheduled()
            await desk.end(first)
            await asyncio.sleep(1.5)
            assert set(desk.child.runs) == {second}, "two models do not meet on one device"
            await desk.end(second)
            await desk.until_begun(other)
            await desk.end(other)

    asyncio.run(work())


def test_it_goes_on_after_a_page_of_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, pages = PrefectClient.get_scheduled_flow_runs_for_work_pool, [0]

    async def listed(client: PrefectClient, **asked: Any) -> Any:
        pages[0] += 1
        return json.loads("<html>") if pages[0] < 3 else await plain(client, **asked)

    monkeypatch.setattr(PrefectClient, "get_scheduled_flow_runs_for_work_pool", listed)

    async def work() -> None:
        async with at_work("behind") as desk:
            await desk.until_begun(run := await desk.ask("take", "ltx2"))
            await desk.end(run)

    asyncio.run(work())


def test_two_workers_never_take_one_run() -> None:
    async def work() -> None:
        async with at_work("left") as left, at_work("right") as right:
            runs = [await left.ask(f"take {n}", f"model{n % 2}") for n in range(6)]
            taken: list[UUID] = []
            while len(taken) < len(runs):
                await until(lambda: bool(left.child.runs or right.child.runs))
                for desk in (left, right):
                    for run in list(desk.child.runs):
                        taken.append(run)
                        await desk.end(run)
                await asyncio.sleep(0)
            await asyncio.sleep(1.5)
            assert sorted(taken) == sorted(runs)
            assert not left.child.runs
            assert not right.child.runs

    asyncio.run(work())


def test_a_run_that_kills_its_process_is_tried_alone_and_then_set_aside() -> None:
    async def work() -> None:
        async with at_work("two") as desk:
            bad = await desk.ask("bad", "ltx2")
            await desk.until_begun(bad)
            await desk.client.set_flow_run_state(bad, Running())
            await desk.end(bad, Ended(died="SIGKILL"))
            await desk.until_named(bad, "Submitting")
            good = await desk.ask("good", "ltx2")
            await asyncio.sleep(2.5)
            assert set(desk.child.runs) == {bad}, "nothing is beside a suspect"
            for _ in range(2):
                await desk.until_begun(bad)
                await desk.end(bad, Ended(died="SIGKILL"))
                await until(lambda: bad not in desk.child.runs)
            found = await desk.until_named(bad, SET_ASIDE)
            names = [state.name for state in await desk.client.read_flow_run_states(bad)]
            assert names.count(RESCHEDULED) == 2
            assert found.state is not None
            assert found.state.is_failed()
            await desk.until_begun(good)
            await desk.end(good)

    asyncio.run(work())


def test_takes_of_a_store_that_is_away_are_left_alone_and_others_are_made() -> None:
    async def work() -> None:
        async with at_work("resting") as desk:
            lost = await desk.ask("lost", "ltx2", store="s3://films/away")
            await desk.until_begun(lost)
            crashed: State[Any] = Crashed(name=STORE_AWAY)
            await desk.client.set_flow_run_state(lost, crashed, force=True)
            desk.child.runs[lost].set_result(Ended(state="CRASHED", state_name=STORE_AWAY))
            await until(lambda: not desk.child.runs)
            again = await desk.ask("again", "ltx2", store="s3://films/away")
            other = await desk.ask("other", "ltx2", store="/films")
            await desk.until_begun(other)
            await asyncio.sleep(1.5)
            assert set(desk.child.runs) == {other}
            await desk.until_begun(other, again)  # five seconds later
            await desk.end(other)
            await desk.end(again)

    asyncio.run(work())


def test_what_is_cancelled_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_WATCH_S", 0.2)

    async def work() -> None:
        async with at_work("three") as desk:
            run = await desk.ask("take", "ltx2")
            await desk.until_begun(run)
            await desk.client.set_flow_run_state(run, Cancelling())
            await until(lambda: run in desk.child.stopped)
            # The engine leaves a run that was cancelled before it began where it is.
            desk.child.runs[run].set_result(Ended(state="CANCELLING"))
            await desk.until_named(run, "Cancelled")

    asyncio.run(work())


def test_what_is_under_way_is_handed_back_when_it_leaves() -> None:
    async def work() -> None:
        async with at_work("four") as desk:
            run = await desk.ask("take", "ltx2")
            await desk.until_begun(run)
            await desk.worker.leave(5.0)
            found = await desk.until_named(run, HANDED_BACK)
            assert found.infrastructure_pid is None

    asyncio.run(work())


def test_a_claim_that_was_never_answered_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_LOOK_S", 0.5)
    real, lost = worker.propose_state, []

    async def lose_once(*asked: Any, **more: Any) -> Any:
        answer = await real(*asked, **more)
        if not lost:
            lost.append(more["flow_run_id"])
            raise httpx.ReadError("the answer was lost")
        return answer

    monkeypatch.setattr(worker, "propose_state", lose_once)

    async def work() -> None:
        async with at_work("five") as desk:
            run = await desk.ask("take", "ltx2")
            await desk.until_begun(run)
            assert lost == [run]
            names = [state.name for state in await desk.client.read_flow_run_states(run)]
            assert "Taken back" in names
            await desk.end(run)

    asyncio.run(work())
