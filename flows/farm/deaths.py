"""What becomes of a run that cannot say itself how it ended: its process or its worker is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed, Failed, Scheduled

from flows.farm.warm import Ended

__all__ = [
    "HANDED_BACK",
    "MOST_DEATHS",
    "MOST_LOSSES",
    "RESCHEDULED",
    "SET_ASIDE",
    "SILENT",
    "STORE_AWAY",
    "TAKEN_BACK",
    "UNDER_WAY",
    "is_unsettled",
    "settle",
]

RESCHEDULED = "Rescheduled"
"""Name of the state of a run whose process died under it."""
TAKEN_BACK = "Taken back"
"""Name of the state of a run whose worker was lost."""
HANDED_BACK = "Handed back"
"""Name of the state of a run whose worker was stopped, or whose process died, not of it."""
SET_ASIDE = "Set aside"
"""Name of the state of a run that is not tried again."""
SILENT = "Silent"
"""Name of the state that the server gives a run of which it hears nothing (automations)."""

STORE_AWAY = "Store away"
"""Name of the state of a run whose machine could not read or write the take store."""

MOST_DEATHS = 3
"""A run that was under way when its process died so many times is set aside."""
MOST_LOSSES = 10
"""So is one that its workers were lost with so many times: machines die of other things too."""

UNDER_WAY = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)


def is_unsettled(run: FlowRun) -> bool:
    """Whether the server takes the run for one that somebody has, or for crashed in silence."""
    state = run.state
    return state is not None and (
        state.type in UNDER_WAY or (state.type == StateType.CRASHED and state.name == SILENT)
    )


async def settle(
    client: PrefectClient,
    flow_run: UUID,
    ended: Ended,
    *,
    leaving: bool = False,
    is_ours: Callable[[FlowRun], bool] = lambda run: True,
) -> None:
    """Give a run that cannot speak for itself its next state: it is run again, or set aside.

    A run that has said itself how it ended, that waits for something, or that is not ours any
    more is left as it is. Raises as the client does when the server does not answer.
    """
    try:
        run = await client.read_flow_run(flow_run)
    except ObjectNotFound:
        return
    if run.state is None or not is_unsettled(run) or not is_ours(run):
        return
    if run.state.type == StateType.CANCELLING:
        state: State[None] = Cancelled(message="cancelled")
    elif leaving:
        state = _again(run, HANDED_BACK, "its worker was stopped; another takes it")
    elif ended.beside:
        # However often: the deaths of a run that is to blame are counted.
        what = f"its process died, not of it ({ended.beside})"
        state = _again(run, HANDED_BACK, f"{what}; it goes on at once")
    elif ended.error:
        state = Crashed(message=ended.error)
    else:
        state = await _after_loss(client, run, ended)
    if state.type == StateType.SCHEDULED:
        await _without_process(client, flow_run)
    await client.set_flow_run_state(flow_run, state, force=True)


async def _after_loss(client: PrefectClient, run: FlowRun, ended: Ended) -> State[None]:
    """Again, or aside."""
    names = Counter(state.name for state in await client.read_flow_run_states(run.id))
    deaths, losses = names[RESCHEDULED], names[TAKEN_BACK]
    if ended.died:
        deaths += 1
        what = f"the process that made it died ({ended.died})"
        again = _again(run, RESCHEDULED, f"{what}; it is tried again, alone")
    else:
        losses += 1
        what = ended.lost or "its worker cannot say how it ended"
        again = _again(run, TAKEN_BACK, f"{what}; another takes it")
    if deaths < MOST_DEATHS and losses < MOST_LOSSES:
        return again
    times = f", {deaths} times" if deaths >= MOST_DEATHS else f", and {losses - 1} times before"
    return Failed(
        name=SET_ASIDE, message=f"{what}{times}: it is not tried again; see the worker's log"
    )


def _again(run: FlowRun, name: str, message: str) -> State[None]:
    # Due at once, also where the clock of this machine is ahead of the server's.
    return Scheduled(
        name=name, message=message, scheduled_time=run.expected_start_time or run.created
    )


async def _without_process(client: PrefectClient, flow_run: UUID) -> None:
    """No process has it: cancelled now, it is cancelled at once and waits for none to stop."""
    await client.request(
        "PATCH", "/flow_runs/{id}", path_params={"id": flow_run}, json={"infrastructure_pid": None}
    )
