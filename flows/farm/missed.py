"""Runs of a schedule that could not start in time, because the farm was down or had no worker.

Prefect keeps them and then starts them all, one after the other. A film wants at most one of
them: with `missed:once`, which is also what holds without such a tag, the newest of them makes
it; with `missed:skip` none does, and the schedule goes on with its next run. The others end as
Skipped, a kind of Cancelled, with a line that says why: nobody shall take them for a film.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException
from prefect.states import Cancelled

from flows.farm.names import Missed, tag_value
from media.errors import CancelledError

__all__ = ["GRACE", "MISSED", "ONCE", "SKIP", "SKIPPED", "Due", "missed_end", "why_missed"]

MISSED: tuple[Missed, ...] = get_args(Missed)
ONCE, SKIP = MISSED

GRACE = timedelta(minutes=10)
"""A run that starts so late is missed, or after half the time to the next run if that is less."""

SKIPPED = "Skipped"
"""Name of the state that missed runs end in."""

_SIBLINGS = 200


@dataclass(frozen=True, slots=True)
class Due:
    """A later run of the same schedule."""

    at: datetime
    makes_film: bool
    """False if it was cancelled: it replaces nothing."""


def why_missed(
    policy: Missed, at: datetime, now: datetime, later: Sequence[Due], grace: timedelta = GRACE
) -> str:
    """Why the run of `at` that starts `now` is to be left out; nothing if it is to run."""
    gap = min((due.at - at for due in later), default=2 * grace)
    if now - at <= min(grace, gap / 2):
        return ""
    begins = f"it was due at {_clock(at)} and could only start at {_clock(now)}"
    if policy == SKIP:
        return f"{begins}; missed runs of this schedule are skipped"
    newer = [due.at for due in later if due.at <= now and due.makes_film]
    return f"{begins}; the run of {_clock(max(newer))} makes the film" if newer else ""


def missed_end() -> State[None] | None:
    """The state to end in if the flow run under way is a missed one, else None.

    Only a run that a schedule made can be one, and only when it begins: a run that is tried
    again, or goes on after an approval of days, has begun in time.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or not run.auto_scheduled:
        return None
    try:
        with get_client(sync_client=True) as client:
            why = _why(run, client)
    except (PrefectException, httpx.HTTPError):
        return None  # a film too many costs little: its takes are in the store
    if not why:
        return None
    error = CancelledError(why, where="skipped")
    return Cancelled(name=SKIPPED, message=str(error), data=error)


def _why(run: FlowRun, client: SyncPrefectClient) -> str:
    at, deployment = run.expected_start_time, run.deployment_id
    began = [state for state in client.read_flow_run_states(run.id) if state.is_running()]
    if at is None or deployment is None or len(began) != 1:
        return ""
    siblings = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[deployment]),
            expected_start_time=FlowRunFilterExpectedStartTime(after_=at),
        ),
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
        limit=_SIBLINGS,
    )
    policy = tag_value(run.tags, "missed")
    return why_missed(
        policy if policy in MISSED else ONCE,
        at,
        began[0].timestamp,
        [
            Due(one.expected_start_time, makes_film=_makes_film(one))
            for one in siblings
            if one.auto_scheduled and one.expected_start_time and one.expected_start_time > at
        ],
    )


def _makes_film(run: FlowRun) -> bool:
    """False if somebody cancelled it; one that was skipped left the film to a newer one."""
    cancelled = run.state_type in (StateType.CANCELLED, StateType.CANCELLING)
    return run.state_name == SKIPPED or not cancelled


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M %Z}"
