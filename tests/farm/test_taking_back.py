"""Whose a run is, when it is lost, what becomes of it, and what a worker may take: pure rules."""

from __future__ import annotations

import asyncio
import re
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import (
    Cancelling,
    Completed,
    Crashed,
    Paused,
    Pending,
    Running,
    Scheduled,
)

from flows.farm.deaths import (
    HANDED_BACK,
    MOST_DEATHS,
    MOST_LOSSES,
    RESCHEDULED,
    SET_ASIDE,
    SILENT,
    TAKEN_BACK,
    settle,
)
from flows.farm.dispatch import Waiting
from flows.farm.holder import Holder, holder_of, this_machine
from flows.farm.lost import LostRuns
from flows.farm.server_clock import ServerClock
from flows.farm.taking import fitting, together
from flows.farm.warm import Ended, WarmChild

ME = Holder("gpu-0", "vm-1")
TWIN = Holder("gpu-0", "vm-2")
OTHER = Holder("gpu-1", "vm-1")


def run_of(holder: Holder | None, state: State[Any] | None = None) -> FlowRun:
    labels: dict[str, Any] = dict(holder.labels) if holder else {}
    return FlowRun(flow_id=uuid4(), labels=labels, state=state or Running(), created=_moment(0))


def _moment(seconds: float) -> Any:
    return datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=seconds)


# Whose a run is


def test_a_claim_says_whose_it_is_before_the_labels_do() -> None:
    claimed = run_of(OTHER, Pending(message=ME.claim))
    assert holder_of(claimed) == ME
    assert holder_of(run_of(OTHER, Pending(name="Submitting"))) == OTHER
    assert holder_of(run_of(OTHER)) == OTHER
    assert holder_of(run_of(None, Pending(message="by somebody"))) is None
    assert holder_of(run_of(None)) is None
    odd = Holder("the gpu on the left", "vm-1")
    assert holder_of(run_of(None, Pending(message=odd.claim))) == odd


def test_a_machine_keeps_its_name() -> None:
    assert this_machine() == this_machine()
    assert " " not in this_machine()


# What is lost


def test_what_is_ours_and_not_in_hand_is_lost_at_once() -> None:
    mine, kept = run_of(ME), run_of(ME, Pending(message=ME.claim))
    lost = LostRuns(ME)
    found = list(lost.look([mine, kept, run_of(OTHER)], {"gpu-0", "gpu-1"}, {kept.id}, 0.0))
    assert [run for run, _ in found] == [mine]


def test_another_worker_is_lost_when_it_was_seen_to_be_away_for_long_enough() -> None:
    theirs = run_of(OTHER)
    lost = LostRuns(ME, lost_after_s=60)
    assert not list(lost.look([theirs], {"gpu-0"}, (), 1000.0))
    assert not list(lost.look([theirs], {"gpu-0"}, (), 1059.0))
    assert [run for run, _ in lost.look([theirs], {"gpu-0"}, (), 1060.0)] == [theirs]


def test_a_worker_that_came_back_meanwhile_is_not_lost() -> None:
    theirs = run_of(OTHER)
    lost = LostRuns(ME, lost_after_s=60)
    list(lost.look([theirs], {"gpu-0"}, (), 0.0))
    list(lost.look([theirs], {"gpu-0", "gpu-1"}, (), 50.0))
    assert not list(lost.look([theirs], {"gpu-0"}, (), 100.0))


def test_after_an_outage_everybody_is_given_time_again() -> None:
    theirs = run_of(OTHER)
    lost = LostRuns(ME, lost_after_s=60)
    list(lost.look([theirs], {"gpu-0"}, (), 0.0))
    lost.forget()
    assert not list(lost.look([theirs], {"gpu-0"}, (), 300.0))


def test_a_worker_of_our_name_on_another_machine_is_not_us() -> None:
    assert not list(LostRuns(ME, 0.0).look([run_of(TWIN)], {"gpu-0"}, (), 0.0))


def test_what_stays_silent_is_lost_though_a_worker_of_that_name_is_there() -> None:
    theirs = run_of(TWIN, Crashed(name=SILENT))
    lost = LostRuns(ME, lost_after_s=60)
    assert not list(lost.look([theirs], {"gpu-0"}, (), 0.0))
    spoken_for = theirs.model_copy(update={"state": Running()})
    assert not list(lost.look([spoken_for], {"gpu-0"}, (), 50.0))
    assert not list(lost.look([theirs], {"gpu-0"}, (), 100.0))
    assert [run for run, _ in lost.look([theirs], {"gpu-0"}, (), 160.0)] == [theirs]


# What becomes of it


class Server:
    """One run with its states."""

    def __init__(self, *states: State[Any]) -> None:
        self.states = list(states)
        self.pid: str | None = "17"

    async def read_flow_run(self, run: UUID) -> FlowRun:
        found = run_of(ME, self.states[-1])
        return found.model_copy(update={"id": run, "expected_start_time": _moment(5)})

    async def read_flow_run_states(self, run: UUID) -> list[State[Any]]:
        return self.states

    async def set_flow_run_state(self, run: UUID, state: State[Any], force: bool) -> None:
        assert force
        self.states.append(state)

    async def request(self, method: str, path: str, **asked: Any) -> None:
        assert (method, path) == ("PATCH", "/flow_runs/{id}")
        self.pid = asked["json"]["infrastructure_pid"]


def settled(server: Server, ended: Ended, **how: Any) -> State[Any]:
    asyncio.run(settle(server, uuid4(), ended, **how))  # type: ignore[arg-type]
    return server.states[-1]


def test_a_run_whose_process_died_is_due_at_once_by_the_servers_clock() -> None:
    server = Server(Running())
    state = settled(server, Ended(died="SIGKILL"))
    assert (state.type, state.name) == (StateType.SCHEDULED, RESCHEDULED)
    assert state.state_details.scheduled_time == _moment(5)
    assert server.pid is None, "cancelled now, it waits for no process"


def test_the_third_death_sets_it_aside() -> None:
    server = Server(Running())
    for _ in range(MOST_DEATHS - 1):
        assert settled(server, Ended(died="SIGKILL")).name == RESCHEDULED
        server.states.append(Running())
    state = settled(server, Ended(died="SIGKILL"))
    assert (state.type, state.name) == (StateType.FAILED, SET_ASIDE)
    assert "3 times" in (state.message or "")


def test_lost_workers_are_forgiven_more_often() -> None:
    server = Server(Running())
    for _ in range(MOST_LOSSES - 1):
        assert settled(server, Ended(lost="gone")).name == TAKEN_BACK
        server.states.append(Running())
    assert settled(server, Ended(lost="gone")).name == SET_ASIDE


def test_what_died_of_another_run_goes_on_however_often() -> None:
    server = Server(Running())
    for _ in range(MOST_LOSSES + MOST_DEATHS):
        state = settled(server, Ended(beside="SIGKILL"))
        assert (state.type, state.name) == (StateType.SCHEDULED, HANDED_BACK)
        server.states.append(Running())
    assert settled(server, Ended(died="SIGKILL")).name == RESCHEDULED


@pytest.mark.parametrize(
    "state", [Completed(), Crashed(), Paused(), Scheduled()], ids=lambda one: str(one.type)
)
def test_what_has_said_itself_how_it_stands_is_left_alone(state: State[Any]) -> None:
    server = Server(state)
    assert settled(server, Ended(died="SIGKILL")) is state


def test_what_the_server_took_for_silent_is_made_again() -> None:
    assert settled(Server(Crashed(name=SILENT)), Ended(lost="gone")).name == TAKEN_BACK


def test_what_was_being_cancelled_is_cancelled() -> None:
    assert settled(Server(Cancelling()), Ended(died="SIGKILL")).type == StateType.CANCELLED


def test_a_worker_that_leaves_hands_it_back_without_blame() -> None:
    assert settled(Server(Running()), Ended(died="SIGKILL"), leaving=True).name == HANDED_BACK


def test_what_the_engine_could_not_do_is_crashed() -> None:
    state = settled(Server(Running()), Ended(error="LookupError: no flow"))
    assert (state.type, state.message) == (StateType.CRASHED, "LookupError: no flow")


def test_what_is_not_ours_any_more_is_left_alone() -> None:
    server = Server(Running())
    assert settled(server, Ended(died="x"), is_ours=lambda run: False).type == StateType.RUNNING


# What a worker may take


def waiting(id: str, setup: str = "ltx2", suspect: bool = False) -> Waiting:
    return Waiting(id=id, setup=setup, suspect=suspect)


def ids(taken: list[Waiting]) -> str:
    return "".join(one.id for one in taken)


def test_takes_of_one_model_share_a_process() -> None:
    best = [waiting("a"), waiting("b", "wan"), waiting("c")]
    assert ids(together(best, [], 2, alone=True)) == "ac"
    assert ids(fitting(best, [waiting("z", "wan")])) == "b"


def test_a_suspect_is_alone_with_a_device() -> None:
    suspect = waiting("s", suspect=True)
    assert ids(together([suspect, waiting("a")], [], 2, alone=True)) == "s"
    assert ids(together([waiting("a"), suspect], [], 2, alone=True)) == "a"
    assert ids(together([waiting("a")], [suspect], 1, alone=True)) == ""


def test_a_suspect_that_comes_first_does_not_wait_for_ever() -> None:
    suspect = waiting("s", suspect=True)
    assert ids(together([suspect, waiting("a")], [waiting("z")], 1, alone=True)) == ""


def test_of_films_one_suspect_runs_at_a_time_beside_others() -> None:
    first, second = waiting("s", suspect=True), waiting("t", suspect=True)
    best = [first, second, waiting("a"), waiting("b")]
    assert ids(together(best, [], 4, alone=False)) == "sab"
    assert ids(together([second, waiting("a")], [first], 3, alone=False)) == "a"
    assert ids(together([first], [waiting("z")], 3, alone=False)) == "s"


# The server's clock


def test_a_clock_that_jumps_here_changes_nothing() -> None:
    class Client:
        asked = 0

        async def request(self, method: str, path: str) -> Any:
            self.asked += 1
            return SimpleNamespace(headers={"date": "Sat, 21 Nov 2026 00:00:00 GMT"})

    passed = [100.0]
    clock, client = ServerClock(lambda: passed[0]), Client()

    def now() -> datetime:
        return asyncio.run(clock.now(client))  # type: ignore[arg-type]

    assert now() == _moment(0)
    passed[0] += 7
    assert (now(), client.asked) == (_moment(7), 1)
    passed[0] += 600
    assert (now(), client.asked) == (_moment(0), 2)


def test_a_clock_that_is_wrong_is_told_once_and_when_it_is_right_again() -> None:
    class Client:
        ahead = timedelta()

        async def request(self, method: str, path: str) -> Any:
            return SimpleNamespace(
                headers={"date": format_datetime(datetime.now(UTC) - self.ahead, usegmt=True)}
            )

    passed, told, client = [0.0], list[str](), Client()
    clock = ServerClock(lambda: passed[0], told.append)
    for ahead_s in (0, 3600, 3605, -600, 20):
        client.ahead = timedelta(seconds=ahead_s)
        passed[0] += 60
        asyncio.run(clock.now(client))  # type: ignore[arg-type]
    ahead, behind, right = told
    assert re.search("is 360[01] s ahead of the Prefect server's: set it", ahead)
    assert re.search("is (599|600) s behind the Prefect server's: set it", behind)
    assert right == "the clock of this machine agrees with the Prefect server's again"


# The child


CHILD = """
import json, os, sys
print(json.dumps({"ready": os.getpid()}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if "run" in asked:
        if asked["run"].startswith("00000000"):
            os.kill(os.getpid(), 9)
        print(json.dumps({"ended": asked["run"], "state": "COMPLETED"}), flush=True)
"""


def child_of(tmp_path: Path, text: str = CHILD) -> WarmChild:
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(text))
    return WarmChild("w", "gpu", command=(sys.executable, str(script)))


def test_a_child_lives_from_run_to_run_and_is_started_again_when_it_died(tmp_path: Path) -> None:
    async def live() -> None:
        child = child_of(tmp_path)
        assert await child.run(uuid4()) == Ended(state="COMPLETED")
        first = child.pid
        assert await child.run(uuid4()) == Ended(state="COMPLETED")
        assert child.pid == first
        died = await child.run(UUID(int=1))
        assert died.died.startswith("SIGKILL")
        assert child.pid == 0
        assert await child.run(uuid4()) == Ended(state="COMPLETED")
        assert child.pid not in (0, first)
        await child.close()
        assert (await child.run(uuid4())).lost == "its worker was stopped"

    asyncio.run(live())


@pytest.mark.parametrize("text", ["raise SystemExit(3)", "import nothing_of_that_name"])
def test_a_child_that_does_not_start_is_no_fault_of_the_run(tmp_path: Path, text: str) -> None:
    async def live() -> Ended:
        return await child_of(tmp_path, text).run(uuid4())

    ended = asyncio.run(live())
    assert not ended.died
    assert "did not start: exit code" in ended.lost


def test_a_child_that_dies_while_nothing_is_under_way_is_started_again(tmp_path: Path) -> None:
    async def live() -> None:
        told: list[str] = []
        child = child_of(tmp_path)
        child.on_death = told.append
        await child.run(uuid4())
        await child.kill()
        assert len(told) == 1
        assert await child.run(uuid4()) == Ended(state="COMPLETED")
        await child.close()

    asyncio.run(live())


AT_WORK = """
import json, os, sys
def say(**words): print(json.dumps(words), flush=True)
say(ready=os.getpid())
begun = []
for line in sys.stdin:
    begun.append(json.loads(line)["run"])
    say(works=begun[-1])
    if len(begun) == 2:
        say(waits=begun[0])
        os.kill(os.getpid(), 9)
"""


def test_what_uses_the_cores_when_the_process_dies_is_known(tmp_path: Path) -> None:
    async def live() -> None:
        child, waits, works = child_of(tmp_path, AT_WORK), uuid4(), uuid4()
        seen: list[set[UUID]] = []
        child.on_death = lambda died: seen.append(set(child.at_work))
        await asyncio.gather(child.run(waits), child.run(works))
        assert seen == [{works}]
        assert not child.at_work

    asyncio.run(live())
