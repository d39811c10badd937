"""The warm worker: Prefect's worker with one long-lived child, which keeps what it has loaded.

It looks at every run that is scheduled in its pool and takes the one that suits it best
(`dispatch`), as soon as it has room. A run whose process dies is scheduled again, alone, and set
aside when it has taken its process with it three times.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import UUID

import anyio
import anyio.abc
import httpx
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.exceptions import PrefectException
from prefect.workers.base import (
    BaseJobConfiguration,
    BaseVariables,
    BaseWorker,
    BaseWorkerResult,
)

from flows.farm.deaths import UNDER_WAY, settle
from flows.farm.dispatch import Waiting, by_preference
from flows.farm.names import CPU_POOL, WORKER_TYPE
from flows.farm.taking import fitting, together, waiting_run
from flows.farm.warm import Ended, WarmChild

__all__ = ["WarmWorker"]

_WATCH_S = 2.0
"""How often a worker asks whether its runs are cancelled."""
_STOP_WITHIN_S = 120.0
"""A cancelled run that has not come to its next step by then is ended with its process."""
_TELL_S = 300.0
"""How long a worker tries to tell the server that a run died; its heartbeat is missed anyway."""
_LAST_WORDS_S = 15.0


class WarmConfiguration(BaseJobConfiguration):
    """Nothing: the child is started before it is known what it will run."""


class WarmVariables(BaseVariables):
    """Nothing that a deployment could set."""


class WarmResult(BaseWorkerResult):
    """A run that the child has ended, or died of; its state says how."""


class WarmWorker(BaseWorker[WarmConfiguration, WarmVariables, WarmResult]):
    """One child, `slots` runs at a time in it, all of one setup."""

    type = WORKER_TYPE
    job_configuration = WarmConfiguration
    job_configuration_variables = WarmVariables
    _description = "Keeps a process with loaded models and makes takes and films in it."

    def __init__(
        self, pool: str, name: str, *, slots: int, can: Callable[[str], bool] = lambda setup: True
    ) -> None:
        super().__init__(pool, name=name, limit=slots, heartbeat_interval_seconds=10)
        self._child = WarmChild(name, pool, on_death=self._forget_warm)
        self._slots, self._can = slots, can
        self._under_way: dict[UUID, Waiting] = {}
        self._warm: list[str] = []
        """Setups that the child has had, the latest first."""
        self._looking = anyio.Lock()
        self._leaving = False

    async def work(self) -> None:
        """Serve the pool until cancelled."""
        async with anyio.create_task_group() as loops:
            loops.start_soon(self.start, False, False, _say_nothing)
            loops.start_soon(self._watch_cancelled)

    async def leave(self, within_s: float = 20.0) -> None:
        """Take nothing more, end the child, and hand back what was under way."""
        self._leaving = True
        with anyio.move_on_after(within_s):
            await self._child.kill()
            while self._under_way:
                await anyio.sleep(0.05)

    async def setup(self) -> None:
        await super().setup()
        await self._hand_back_orphans()

    async def run(
        self,
        flow_run: FlowRun,
        configuration: WarmConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> WarmResult:
        taken = self._under_way[flow_run.id] = waiting_run(flow_run, 0)
        try:
            if task_status is not None:
                task_status.started(os.getpid())
            ended = await self._child.run(flow_run.id)
            self._note_warm(taken.setup)
            if ended.died or ended.error:
                await self._settle(flow_run.id, ended)
        finally:
            del self._under_way[flow_run.id]
        return WarmResult(identifier=f"{self.name} {self._child.pid}", status_code=0)

    async def _get_scheduled_flow_runs(self) -> list[WorkerFlowRunResponse]:
        """What to take now, the best first: as much as there is room for, or nothing."""
        free = self._slots - int(self.limiter.borrowed_tokens)
        if free <= 0 or self._leaving:
            return []
        scheduled = await super()._get_scheduled_flow_runs()
        runs = {str(one.flow_run.id): one for one in scheduled}
        waiting = [waiting_run(one.flow_run, place) for place, one in enumerate(scheduled)]
        able = [one for one in waiting if self._can(one.setup)]
        beside = fitting(able, list(self._under_way.values()))
        if self._work_pool_name == CPU_POOL:
            best = beside  # films hold nothing that is worth waiting for: as the queues have them
        else:
            best = by_preference(beside, self._warm, await self._elsewhere(beside), who=self.name)
        return [runs[one.id] for one in together(best)[:free]]

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        async with self._looking:
            return await super().get_and_submit_flow_runs()

    def _release_limit_slot(self, flow_run_id: UUID) -> None:
        super()._release_limit_slot(flow_run_id)
        if self._runs_task_group is not None and self.is_setup and not self._leaving:
            # Not at the next look, seconds from now: at once.
            self._runs_task_group.start_soon(self._look_again)

    async def _look_again(self) -> None:
        with suppress(httpx.HTTPError, PrefectException):
            await self.get_and_submit_flow_runs()

    async def _elsewhere(self, waiting: Sequence[Waiting]) -> list[Waiting]:
        """What the pool's others are busy with, asked only before a change."""
        if all(one.setup in self._warm[:1] for one in waiting):
            return []
        running = await self.client.read_flow_runs(
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[self._work_pool_name])),
            flow_run_filter=FlowRunFilter(state=_of_types(StateType.PENDING, StateType.RUNNING)),
        )
        return [waiting_run(one, 0) for one in running]

    def _note_warm(self, setup: str) -> None:
        if self._child.pid:
            self._warm = [setup, *(one for one in self._warm if one != setup)]

    def _forget_warm(self, died: str) -> None:
        self._warm.clear()
        if not self._leaving:
            self._logger.error("the process that makes takes died: %s", died)

    async def _settle(self, flow_run: UUID, ended: Ended) -> None:
        """Tell the server what became of a run that could not tell itself."""
        with anyio.move_on_after(_TELL_S if not self._leaving else _LAST_WORDS_S):
            while True:
                try:
                    await settle(self.client, flow_run, ended, leaving=self._leaving)
                    return
                except (httpx.HTTPError, PrefectException) as error:
                    self._logger.warning("cannot tell the server of %s: %s", flow_run, error)
                    await anyio.sleep(2)

    async def _watch_cancelled(self) -> None:
        """Stop what is cancelled on the server; end the child where that is not enough."""
        told: dict[UUID, float] = {}
        while True:
            await anyio.sleep(_WATCH_S)
            told = {run: since for run, since in told.items() if run in self._under_way}
            with suppress(httpx.HTTPError, PrefectException):
                for run in await self._cancelled():
                    since = told.setdefault(run, anyio.current_time())
                    self._child.stop(run)
                    if anyio.current_time() - since > _STOP_WITHIN_S:
                        await self._child.kill()

    async def _cancelled(self) -> list[UUID]:
        if not self._under_way:
            return []
        found = await self.client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                id=FlowRunFilterId(any_=list(self._under_way)),
                state=_of_types(StateType.CANCELLING, StateType.CANCELLED),
            )
        )
        return [run.id for run in found]

    async def _hand_back_orphans(self) -> None:
        """Schedule again what a worker of this name left running when it was killed."""
        with suppress(httpx.HTTPError, PrefectException):
            left = await self.client.read_flow_runs(
                work_pool_filter=WorkPoolFilter(
                    name=WorkPoolFilterName(any_=[self._work_pool_name])
                ),
                flow_run_filter=FlowRunFilter(state=_of_types(*UNDER_WAY)),
            )
            for run in left:
                if run.labels.get("prefect.worker.name") == self.name:
                    await settle(self.client, run.id, Ended(died="its worker was killed"))


def _of_types(*types: StateType) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types)))


def _say_nothing(*words: object) -> None:
    pass
