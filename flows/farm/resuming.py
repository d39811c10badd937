"""A film's runs on the server: resumed once somebody has answered, and what they are making.

Nothing here is needed for an answer to count: it stands beside the storyboard, where the film's
next run sees it as well.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import PrefectException

from flows.approval import Subject
from flows.farm.names import tag_value
from flows.farm.readiness import FarmReadiness, farm_readiness
from flows.film_record import STORYBOARD
from storyboards.film import Film

__all__ = ["WaitingRuns", "asked_before", "takes_under_way", "waiting_runs"]

_SUSPENDED = "Suspended"
_PAGE = 200
"""Runs in one answer: the server's own limit, and more takes than workers make of one film."""
_FORM_WITHIN_S = 5.0
"""A run is suspended a moment before its form is there."""


@dataclass(frozen=True, slots=True)
class WaitingRuns:
    """The suspended runs of one film."""

    server_url: str
    runs: tuple[FlowRun, ...] = ()
    readiness: FarmReadiness | None = None
    """What the farm makes takes with, as its runs plan; None: it makes none."""
    gone: str = ""
    """Why the server did not answer."""

    def resume(self, subject: Subject, answer: Mapping[str, Any]) -> str:
        """Have those that wait for `subject` go on with what their form would say; in one line,
        what became of it."""
        if self.gone:
            return f"{self.gone}: the film's next run sees it"
        runs = [run for run in self.runs if _pause_key(run).startswith(f"{subject}-")]
        if not runs:
            return f"no run of it waits on {self.server_url}: its next run sees it"
        try:
            with get_client(sync_client=True) as client:
                return "; ".join(_resumed(client, run, answer) for run in runs)
        except (httpx.HTTPError, PrefectException) as error:
            return f"{_no_answer(self.server_url, error)}: the film's next run sees it"


def waiting_runs(film: Film, server_url: str) -> WaitingRuns:
    """The film's suspended runs; none when nobody answers."""
    try:
        with get_client(sync_client=True) as client:
            runs = tuple(run for run in _suspended(client) if _is_of(film, run))
            readiness = farm_readiness(client)
    except (httpx.HTTPError, PrefectException) as error:
        return WaitingRuns(server_url, gone=_no_answer(server_url, error))
    farm = readiness if runs or any(readiness.workers.values()) else None
    return WaitingRuns(server_url, runs, farm)


def asked_before(client: SyncPrefectClient, question: str, run: FlowRun) -> FlowRun | None:
    """A suspended run that asks the same and would make the same as `run`; None: there is none.

    `question` is what their pause keys begin with. A run that was suspended itself asks for
    itself: it may be the one that was answered.
    """
    if any(state.name == _SUSPENDED for state in client.read_flow_run_states(run.id)):
        return None
    for one in _suspended(client):
        same = one.flow_id == run.flow_id and one.parameters == run.parameters
        if same and one.id != run.id and _pause_key(one).startswith(question):
            return one
    return None


def takes_under_way(film: Film) -> frozenset[tuple[str, int]]:
    """Shot and take of all that workers are making of the film; none when nobody answers."""
    running = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[f"film:{film.code}"]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])),
    )
    try:
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(flow_run_filter=running, limit=_PAGE)
    except (httpx.HTTPError, PrefectException):
        return frozenset()
    return frozenset(
        (tag_value(run.tags, "shot"), int(take))
        for run in runs
        if (take := tag_value(run.tags, "take")).isdigit()
    )


def _pause_key(run: FlowRun) -> str:
    return (run.state.state_details.pause_key or "") if run.state else ""


def _suspended(client: SyncPrefectClient) -> list[FlowRun]:
    waiting = FlowRunFilter(
        state=FlowRunFilterState(
            type=FlowRunFilterStateType(any_=[StateType.PAUSED]),
            name=FlowRunFilterStateName(any_=[_SUSPENDED]),
        )
    )
    found: list[FlowRun] = []
    while True:
        page = client.read_flow_runs(flow_run_filter=waiting, limit=_PAGE, offset=len(found))
        found += page
        if len(page) < _PAGE:
            return found


def _is_of(film: Film, run: FlowRun) -> bool:
    """Whether it makes this film: the same storyboard, in the same variant."""
    storyboard = run.labels.get(STORYBOARD) or run.parameters.get("storyboard")
    if not isinstance(storyboard, str) or (run.parameters.get("variant") or "") != film.variant:
        return False
    return Path(storyboard).resolve() == film.path.resolve()


def _resumed(client: SyncPrefectClient, run: FlowRun, answer: Mapping[str, Any]) -> str:
    deadline = time.monotonic() + _FORM_WITHIN_S
    while True:
        response = client.resume_flow_run(run.id, run_input=dict(answer))
        if response.status == SetStateStatus.ACCEPT:
            return f"the run {run.name} goes on"
        reason = str(getattr(response.details, "reason", "")) or "no reason given"
        if "schema not found" not in reason or time.monotonic() > deadline:
            return f"the run {run.name} does not go on ({reason})"
        time.sleep(0.5)


def _no_answer(server_url: str, error: Exception) -> str:
    first = str(error).partition("\n")[0] or type(error).__name__
    return f"no Prefect server answers at {server_url} ({first})"
