"""What becomes of a run whose process died, or whose worker was stopped."""

from __future__ import annotations

from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Crashed, Failed, Scheduled

from flows.farm.warm import Ended

__all__ = ["HANDED_BACK", "MOST_DEATHS", "RESCHEDULED", "SET_ASIDE", "UNDER_WAY", "settle"]

RESCHEDULED = "Rescheduled"
"""Name of the state of a run whose process died under it."""
HANDED_BACK = "Handed back"
"""Name of the state of a run whose worker was stopped."""
SET_ASIDE = "Set aside"
"""Name of the state of a run that is not tried again."""

MOST_DEATHS = 3
"""A run that was under way when its process died so many times is set aside."""

UNDER_WAY = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)


async def settle(
    client: PrefectClient, flow_run: UUID, ended: Ended, *, leaving: bool = False
) -> None:
    """Give a run that cannot speak for itself its next state: it is run again, or set aside.

    A run that has said itself how it ended, or that waits for something, is left as it is. Raises
    as the client does when the server does not answer.
    """
    try:
        run = await client.read_flow_run(flow_run)
    except ObjectNotFound:
        return
    if run.state is None or run.state.type not in UNDER_WAY:
        return
    if run.state.type == StateType.CANCELLING:
        state: State[None] = Cancelled(message="cancelled")
    elif leaving:
        state = Scheduled(name=HANDED_BACK, message="its worker was stopped; another takes it")
    elif ended.error:
        state = Crashed(message=ended.error)
    else:
        deaths = 1 + await _deaths(client, flow_run)
        died = f"the process that made it died ({ended.died})"
        if deaths >= MOST_DEATHS:
            state = Failed(
                name=SET_ASIDE,
                message=f"{died}, {deaths} times: it is not tried again; see the worker's log",
            )
        else:
            state = Scheduled(name=RESCHEDULED, message=f"{died}; it is tried again, alone")
    await client.set_flow_run_state(flow_run, state, force=True)


async def _deaths(client: PrefectClient, flow_run: UUID) -> int:
    states = await client.read_flow_run_states(flow_run)
    return sum(state.name == RESCHEDULED for state in states)
