"""Runs of a schedule that come too late: which are left out, and an outage on a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.client.orchestration import PrefectClient, SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import RRuleSchedule
from prefect.states import Cancelled, Paused, Running, Scheduled, State

from flows.farm import missed
from flows.farm.missed import GRACE, ONCE, SKIP, SKIPPED, Due, why_missed
from flows.farm.names import Missed
from flows.farm.schedules import FilmSchedule, schedule_film
from tests.farm.film_worker import film_worker
from tests.flows.prefect_server import PrefectServer, running_server

AT = datetime(2026, 11, 21, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def nightly(days: int) -> list[Due]:
    """The runs of the nights that follow."""
    return [Due(AT + timedelta(days=day), makes_film=True) for day in range(1, days + 1)]


@pytest.mark.parametrize("policy", [ONCE, SKIP])
def test_a_run_within_the_grace_is_no_missed_one(policy: Missed) -> None:
    assert not why_missed(policy, AT, AT + GRACE, nightly(3))
    assert not why_missed(policy, AT, AT - HOUR, nightly(3))  # a clock that was set back


def test_skipped_after_the_grace_whatever_follows() -> None:
    why = why_missed(SKIP, AT, AT + GRACE + timedelta(seconds=1), nightly(3))
    assert why.startswith("it was due at 2026-11-21 02:00 UTC and could only start at")
    assert why.endswith("missed runs of this schedule are skipped")


def test_the_newest_missed_run_makes_the_film() -> None:
    now = AT + timedelta(days=2, hours=6)
    why = why_missed(ONCE, AT, now, nightly(3))
    assert why.endswith("the run of 2026-11-23 02:00 UTC makes the film")
    later = [due for due in nightly(3) if due.at > AT + timedelta(days=2)]
    assert not why_missed(ONCE, AT + timedelta(days=2), now, later)


def test_a_newer_run_that_somebody_cancelled_replaces_nothing() -> None:
    cancelled = [Due(AT + timedelta(days=1), makes_film=False)]
    assert not why_missed(ONCE, AT, AT + timedelta(days=1, hours=6), cancelled)


def test_half_the_time_to_the_next_run_is_enough() -> None:
    every_minute = [Due(AT + timedelta(minutes=1), makes_film=True)]
    assert not why_missed(SKIP, AT, AT + timedelta(seconds=30), every_minute)
    assert why_missed(SKIP, AT, AT + timedelta(seconds=31), every_minute)


@given(
    gaps_s=st.lists(st.integers(1, 100_000), min_size=1, max_size=8),
    outage_s=st.integers(0, 400_000),
    policy=st.sampled_from([ONCE, SKIP]),
)
def test_of_an_outage_at_most_one_film_is_made(
    gaps_s: list[int], outage_s: int, policy: Missed
) -> None:
    moments = [AT]
    for gap in gaps_s:
        moments.append(moments[-1] + timedelta(seconds=gap))
    now = AT + timedelta(seconds=outage_s)
    due = [moment for moment in moments if moment <= now]
    made = [
        moment
        for moment in due
        if not why_missed(
            policy, moment, now, [Due(one, makes_film=True) for one in moments if one > moment]
        )
    ]
    assert made in ([], due[-1:])
    if policy == ONCE:
        assert made == due[-1:]


class Server:
    """What `_why` asks of a Prefect server."""

    def __init__(self, states: Sequence[State[Any]], siblings: Sequence[FlowRun] = ()) -> None:
        self.read_flow_run_states = lambda run: list(states)
        self.read_flow_runs = lambda **question: list(siblings)


def run_of(
    at: datetime, state: State[Any], *, by_schedule: bool = True, policy: Missed = ONCE
) -> FlowRun:
    return FlowRun(
        flow_id=uuid4(), deployment_id=uuid4(), expected_start_time=at, auto_scheduled=by_schedule,
        state=state, state_type=state.type, state_name=state.name, tags=[f"missed:{policy}"],
    )  # fmt: skip


def running(at: datetime) -> State[Any]:
    return Running(timestamp=at)


def why(run: FlowRun, states: Sequence[State[Any]], siblings: Sequence[FlowRun] = ()) -> str:
    return missed._why(run, cast(SyncPrefectClient, Server(states, siblings)))


NOW = AT + timedelta(days=1, hours=6)
NEXT_NIGHT = run_of(AT + timedelta(days=1), Scheduled())


def test_one_that_begins_late_is_missed() -> None:
    run = run_of(AT, Running())
    assert "makes the film" in why(run, [Scheduled(), running(NOW)], [NEXT_NIGHT])


@pytest.mark.parametrize("between", [Paused(name="Suspended"), Scheduled(name="AwaitingRetry")])
def test_one_that_goes_on_after_days_is_not(between: State[Any]) -> None:
    for begun in (AT, AT + HOUR):
        states = [running(begun), between, running(NOW)]
        assert not why(run_of(AT, Running()), states, [NEXT_NIGHT])
        assert not why(run_of(AT, Running(), policy=SKIP), states, [NEXT_NIGHT])


def test_runs_that_people_started_replace_nothing() -> None:
    theirs = run_of(AT + timedelta(days=1), Scheduled(), by_schedule=False)
    assert not why(run_of(AT, Running()), [running(NOW)], [theirs])


def test_a_skipped_one_left_the_film_to_a_newer_one() -> None:
    skipped = run_of(AT + timedelta(hours=2), Cancelled(name=SKIPPED))
    assert why(run_of(AT, Running()), [running(NOW)], [skipped])
    cancelled = run_of(AT + timedelta(hours=2), Cancelled())
    assert not why(run_of(AT, Running()), [running(NOW)], [cancelled])


def test_outside_a_flow_nothing_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missed.missed_end() is None
    run = run_of(AT, Running(), by_schedule=False)
    context = SimpleNamespace(get=lambda: SimpleNamespace(flow_run=run))
    monkeypatch.setattr(missed, "FlowRunContext", context)
    assert missed.missed_end() is None  # and asks no server


FILM = """
version: 1
project: {code: NGT, title: Night, fps: 24, size: 160x90}
defaults: {backend: animatic}
scenes:
  - id: sc010
    slugline: EXT. BEACH - NIGHT
    shots: [{id: sh0010, size: LS, duration: 12f, action: The sea.}]
"""

_EVERY_S = 4


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "films" / "film.yaml"
    path.parent.mkdir()
    path.write_text(FILM, encoding="utf-8")
    return path


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_after_an_outage_the_newest_run_makes_the_film(tmp_path: Path, film: Path) -> None:
    home = tmp_path / "server"
    with running_server(home, services=("SCHEDULER",)) as server:
        last = _schedule_three(server, film)
        _wait_until(lambda: len(_runs(server)) == 3)
    time.sleep(max(0.0, (last - datetime.now(UTC)).total_seconds() + 1))
    with (
        running_server(home, services=("SCHEDULER",)) as server,
        film_worker(server.url, root=film.parent, home=tmp_path / "worker"),
    ):
        _wait_until(lambda: all(run["end_time"] for run in _runs(server)))
        runs = _runs(server)
    assert [run["state"]["name"] for run in runs] == [SKIPPED, SKIPPED, "Completed"]
    assert [run["state"]["type"] for run in runs] == ["CANCELLED", "CANCELLED", "COMPLETED"]
    assert runs[0]["state"]["message"].endswith("makes the film")


def _schedule_three(server: PrefectServer, film: Path) -> datetime:
    """The last of three moments to come, no more than which are ever due."""
    first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=10)
    three = RRuleSchedule(
        rrule=f"DTSTART:{first:%Y%m%dT%H%M%S}\nRRULE:FREQ=SECONDLY;INTERVAL={_EVERY_S};COUNT=3",
        timezone="UTC",
    )

    async def schedule() -> None:
        async with PrefectClient(server.url) as client:
            await schedule_film(client, FilmSchedule("NGT", film, "Night", "NGT", three))

    asyncio.run(schedule())
    return first + timedelta(seconds=2 * _EVERY_S)


def _runs(server: PrefectServer) -> list[dict[str, Any]]:
    return list(server.ask("flow_runs", sort="EXPECTED_START_TIME_ASC"))


def _wait_until(holds: Any, within_s: float = 120.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.3)
