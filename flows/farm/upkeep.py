"""What a worker does beside taking runs: stop what is cancelled, take back what is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import anyio
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Running

from flows.farm.asking import AWAY
from flows.farm.deaths import SILENT, UNDER_WAY, settle
from flows.farm.holder import Holder, holder_of
from flows.farm.lost import LostRuns
from flows.farm.names import CPU_POOL
from flows.farm.warm import Ended

__all__ = ["Upkeep", "read_runs"]

_WATCH_S = 2.0
_LOOK_S = 20.0
_STOP_WITHIN_S = 120.0
"""A cancelled run that has not come to its next step by then is ended with its process."""
_PAGE = 200


@dataclass(eq=False, slots=True)
class Upkeep:
    """The upkeep of one worker. `in_hand` are its runs from before the claim to after the end."""

    me: Holder
    pool: str
    stop: Callable[[UUID], None]
    end: Callable[[UUID], Awaitable[None]]
    """End the process of a run that does not stop."""
    client: Callable[[], PrefectClient]
    under_way: Collection[UUID]
    in_hand: Collection[UUID]
    lost: LostRuns
    online: int = 0
    """Workers of the pool, this one among them, as of its last look."""

    async def watch_own(self) -> None:
        """Stop what is cancelled on the server; end the child where that is not enough."""
        told: dict[UUID, float] = {}
        while True:
            await anyio.sleep(_WATCH_S)
            told = {run: since for run, since in told.items() if run in self.under_way}
            with suppress(*AWAY):
                for run in await self._own():
                    if run.state_type == StateType.CRASHED:
                        await self._speak_for(run)
                        continue
                    since = told.setdefault(run.id, anyio.current_time())
                    self.stop(run.id)
                    if anyio.current_time() - since > _STOP_WITHIN_S:
                        await self.end(run.id)

    async def watch_pool(self) -> None:
        """Schedule again what nobody has any more."""
        while True:
            try:
                await self.look()
            except AWAY:
                self.lost.forget()
            await anyio.sleep(_LOOK_S)

    async def look(self) -> None:
        """One look at the whole pool. Raises as the client does."""
        client = self.client()
        runs = await read_runs(client, self.pool, _of_types(*UNDER_WAY))
        if self.pool == CPU_POOL:
            # A take's run is asked for again by its film; a film's by nobody but us.
            runs += await read_runs(client, self.pool, _of_name(SILENT))
        workers = await client.read_workers_for_work_pool(self.pool, limit=_PAGE)
        online = {worker.name for worker in workers if worker.status == "ONLINE"}
        self.online = len(online)
        for run, why in self.lost.look(runs, online, self.in_hand, anyio.current_time()):
            await self._take_back(run, why)

    async def _take_back(self, run: FlowRun, why: str) -> None:
        before = holder_of(run)

        def is_as_before(now: FlowRun) -> bool:
            return holder_of(now) == before and now.id not in self.in_hand

        await settle(self.client(), run.id, Ended(lost=why), is_ours=is_as_before)

    async def _own(self) -> list[FlowRun]:
        """Those under way that the server wants stopped, or takes for dead."""
        if not self.under_way:
            return []
        stopped = (StateType.CANCELLING, StateType.CANCELLED, StateType.CRASHED)
        found = await self.client().read_flow_runs(
            flow_run_filter=FlowRunFilter(
                id=FlowRunFilterId(any_=list(self.under_way)), state=_of_types(*stopped)
            )
        )
        return [run for run in found if run.state_type != StateType.CRASHED or _is_silent(run)]

    async def _speak_for(self, run: FlowRun) -> None:
        """The server could not hear it, while it was away itself; it is being made."""
        if run.id in self.under_way:
            await self.client().set_flow_run_state(
                run.id, Running(message="it was only not heard of"), force=True
            )


async def read_runs(client: PrefectClient, pool: str, state: FlowRunFilterState) -> list[FlowRun]:
    """Every run of a pool in such a state."""
    found: list[FlowRun] = []
    while True:
        page = await client.read_flow_runs(
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
            flow_run_filter=FlowRunFilter(state=state),
            limit=_PAGE,
            offset=len(found),
        )
        found += page
        if len(page) < _PAGE:
            return found


def _is_silent(run: FlowRun) -> bool:
    return run.state is not None and run.state.name == SILENT


def _of_types(*types: StateType) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types)))


def _of_name(name: str) -> FlowRunFilterState:
    return FlowRunFilterState(name=FlowRunFilterStateName(any_=[name]))
