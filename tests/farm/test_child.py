"""What we use of Prefect's flow engine, which Prefect does not promise to keep.

Against a real server, with runs made as a worker gets them: of a deployment, and pending.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.flow_runs import suspend_flow_run
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Failed, Pending

from flows.farm import child as child_module
from flows.farm.child import Child
from flows.farm.seat import THIS_SEAT
from tests.flows.prefect_server import running_server

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]


@flow(name="contract-sync", persist_result=False)
def sync_flow(end: str) -> Any:
    """Ends as it is told."""
    return _end(end)


@flow(name="contract-async", persist_result=False)
async def async_flow(end: str) -> Any:
    """Ends as it is told."""
    return _end(end)


def _end(end: str) -> State[Any]:
    seat = THIS_SEAT.get()
    assert seat is not None
    assert seat.worker == "w1"
    if end == "wait":
        while not seat.stop.wait(0.05):
            pass
        return Cancelled(message="stopped")
    if end == "suspend":
        suspend_flow_run(timeout=60)  # type: ignore[unused-coroutine]
    if end == "raise":
        raise ValueError("a defect")
    ends = {"completed": Completed, "failed": Failed, "cancelled": Cancelled, "crashed": Crashed}
    return ends[end](name=f"My {end}", message=f"it is {end}")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncPrefectClient]:
    home = tmp_path_factory.mktemp("child")
    with running_server(home / "server") as server:
        settings = {
            PREFECT_API_URL: server.url,
            PREFECT_HOME: home / "client",
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
            PREFECT_LOGGING_TO_API_ENABLED: False,
        }
        with temporary_settings(settings), get_client(sync_client=True) as client:
            yield client


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> tuple[Child, io.StringIO]:
    flows = {one.name: one for one in (sync_flow, async_flow)}
    monkeypatch.setattr(child_module, "FLOWS", flows)
    said = io.StringIO()
    return Child("w1", "gpu", said), said


def pending_run(client: SyncPrefectClient, of: Any, **parameters: Any) -> UUID:
    """A run of a deployment, as a worker has claimed it."""
    flow_id = client.create_flow(of)
    deployment = client.create_deployment(flow_id, "contract")
    run = client.create_flow_run_from_deployment(deployment, parameters=parameters)
    client.set_flow_run_state(run.id, Pending(message="taken by w1 on m1"))
    return run.id


def ended(child: Child, said: io.StringIO, run: UUID, within_s: float = 30.0) -> dict[str, str]:
    """What the child says of the run at its end."""
    deadline = time.monotonic() + within_s
    while True:
        for line in said.getvalue().splitlines():
            answer: dict[str, str] = json.loads(line)
            if answer.get("ended") == str(run):
                return answer
        assert time.monotonic() < deadline, said.getvalue()
        time.sleep(0.05)


@pytest.mark.parametrize("of", [sync_flow, async_flow])
@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "crashed"])
def test_a_flow_ends_in_the_state_that_it_returns(
    client: SyncPrefectClient, answers: tuple[Child, io.StringIO], of: Any, end: str
) -> None:
    child, said = answers
    run = pending_run(client, of, end=end)
    child.hear({"run": str(run)})
    answer = ended(child, said, run)
    assert answer == {"ended": str(run), "state": end.upper(), "state_name": f"My {end}"}
    found = client.read_flow_run(run)
    assert found.state is not None
    assert (found.state.name, found.state.message) == (f"My {end}", f"it is {end}")
    assert found.run_count == 1


def test_a_defect_is_a_failed_run_and_the_process_lives(
    client: SyncPrefectClient, answers: tuple[Child, io.StringIO]
) -> None:
    child, said = answers
    run = pending_run(client, sync_flow, end="raise")
    child.hear({"run": str(run)})
    assert ended(child, said, run)["state"] == "FAILED"


def test_a_run_is_stopped_when_its_worker_says_so(
    client: SyncPrefectClient, answers: tuple[Child, io.StringIO]
) -> None:
    child, said = answers
    run = pending_run(client, sync_flow, end="wait")
    child.hear({"run": str(run)})
    _until_running(client, run)
    client.set_flow_run_state(run, Cancelling())
    child.hear({"stop": str(run)})
    assert ended(child, said, run)["state"] == "CANCELLED"
    assert client.read_flow_run(run).state_name == "Cancelled"


def test_what_was_cancelled_before_it_began_is_told_as_it_stands(
    client: SyncPrefectClient, answers: tuple[Child, io.StringIO]
) -> None:
    # The worker then gives it its last state: the engine leaves it where it is.
    child, said = answers
    run = pending_run(client, sync_flow, end="completed")
    client.set_flow_run_state(run, Cancelling(), force=True)
    child.hear({"run": str(run)})
    assert ended(child, said, run).get("state") == "CANCELLING"


def test_a_run_that_suspends_itself_leaves_quietly(
    client: SyncPrefectClient, answers: tuple[Child, io.StringIO]
) -> None:
    child, said = answers
    run = pending_run(client, sync_flow, end="suspend")
    child.hear({"run": str(run)})
    answer = ended(child, said, run)
    assert "error" not in answer
    found = client.read_flow_run(run)
    assert found.state is not None
    assert found.state.is_paused()


def test_a_rescheduled_run_begins_again_from_the_top(
    client: SyncPrefectClient, answers: tuple[Child, io.StringIO]
) -> None:
    child, said = answers
    run = pending_run(client, sync_flow, end="completed")
    child.hear({"run": str(run)})
    ended(child, said, run)
    client.set_flow_run_state(run, Pending(), force=True)
    said.seek(0)
    said.truncate()
    child.hear({"run": str(run)})
    ended(child, said, run)
    assert client.read_flow_run(run).run_count == 2


def test_a_flow_that_is_not_ours_is_said(
    client: SyncPrefectClient, answers: tuple[Child, io.StringIO], tmp_path: Path
) -> None:
    @flow(name="contract-other")
    def other() -> None:
        pass

    child, said = answers
    run = pending_run(client, other)
    child.hear({"run": str(run)})
    assert "knows no flow 'contract-other'" in ended(child, said, run)["error"]


def test_a_server_that_is_away_is_no_fault_of_the_run(
    answers: tuple[Child, io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx

    child, said = answers

    def refuse(run: UUID) -> None:
        raise httpx.ConnectError("no route")

    monkeypatch.setattr(child, "_run_flow", refuse)
    run = UUID(int=7)
    child.hear({"run": str(run)})
    assert ended(child, said, run) == {"ended": str(run), "lost": "ConnectError: no route"}


def _until_running(client: SyncPrefectClient, run: UUID) -> None:
    deadline = time.monotonic() + 20
    while not (found := client.read_flow_run(run)).state or not found.state.is_running():
        assert time.monotonic() < deadline
        time.sleep(0.1)
