"""The warm worker: Prefect's worker with one long-lived child, which keeps what it has loaded.

It looks at every run that is scheduled in its pool and takes the one that suits it best
(`dispatch`), as soon as it has room. A run whose process dies is scheduled again, alone, and set
aside when it has taken its process with it three times. What the worker cannot tell the server
while that is away, it or another worker finds out afterwards (`upkeep`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

import anyio
import anyio.abc
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateDetails, StateType
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.exceptions import Abort, ObjectNotFound
from prefect.states import Pending
from prefect.utilities.engine import propose_state
from prefect.workers.base import (
    BaseJobConfiguration,
    BaseVariables,
    BaseWorker,
    BaseWorkerResult,
)

from flows.farm.asking import AWAY, SoonTold, is_away
from flows.farm.blame import Blame
from flows.farm.choosing import LISTED, Chooser
from flows.farm.deaths import STORE_AWAY, UNDER_WAY, settle
from flows.farm.dispatch import Waiting
from flows.farm.film_line import FilmLine
from flows.farm.holder import Holder, holder_of, this_machine
from flows.farm.lost import LOST_AFTER_S, LostRuns
from flows.farm.names import CPU_POOL, KEPT_FOR_URGENT, WORKER_TYPE
from flows.farm.resting import Rests
from flows.farm.server_clock import ServerClock
from flows.farm.taking import together, waiting_run
from flows.farm.upkeep import Upkeep, read_runs
from flows.farm.warm import Ended, WarmChild

__all__ = ["WarmWorker"]

_TELL_S = 300.0
"""How long a worker tries to tell the server that a run died; then its upkeep does."""
_LAST_WORDS_S = 15.0
_CLEARED_AFTER_S = 60.0
"""A film that has run for so long since its process died is no longer the suspect."""
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_ASK_AGAIN_S = 5.0


class WarmConfiguration(BaseJobConfiguration):
    """Nothing: the child is started before it is known what it will run."""


class WarmVariables(BaseVariables):
    """Nothing that a deployment could set."""


class WarmResult(BaseWorkerResult):
    """A run that the child has ended, or died of; its state says how."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """A run that is under way."""

    waited: Waiting
    since_s: float = field(default_factory=time.monotonic)


class WarmWorker(BaseWorker[WarmConfiguration, WarmVariables, WarmResult]):
    """One child, `slots` runs at a time in it, all of one setup."""

    type = WORKER_TYPE
    job_configuration = WarmConfiguration
    job_configuration_variables = WarmVariables
    _description = "Keeps a process with loaded models and makes takes and films in it."

    def __init__(
        self,
        pool: str,
        name: str,
        *,
        slots: int,
        can: Callable[[str], bool] = lambda setup: True,
        lost_after_s: float = LOST_AFTER_S,
    ) -> None:
        super().__init__(pool, name=name, limit=slots, heartbeat_interval_seconds=10)
        self._me = Holder(name, this_machine())
        self._child = WarmChild(name, pool, on_death=self._note_death)
        self._slots, self._can = slots, can
        self._in_hand: dict[UUID, _Taken] = {}
        """From before the claim to after the end."""
        self._under_way: set[UUID] = set()
        """Those of them that the child has."""
        self._blamed: set[UUID] = set()
        """Those of the runs under way that are taken to have caused the last death."""
        self._blame = Blame(films=pool == CPU_POOL)
        self._ended_for: UUID | None = None
        self._chooser = Chooser(name)
        self._rests = Rests()
        self._looking = anyio.Lock()
        self._leaving = self._is_away = False
        self._clock = ServerClock(tell=self._logger.warning)
        self._kept = KEPT_FOR_URGENT.get(pool, 0) if slots > KEPT_FOR_URGENT.get(pool, 0) else 0
        self._line = FilmLine(name, slots, self._kept, self._connected)
        self._upkeep = Upkeep(
            me=self._me,
            pool=pool,
            stop=self._child.stop,
            end=self._end_child,
            client=self._connected,
            under_way=self._under_way,
            in_hand=self._in_hand.keys(),
            lost=LostRuns(self._me, lost_after_s),
        )

    async def work(self) -> None:
        """Serve the pool until cancelled."""
        with SoonTold()():
            await _until_server()
            async with anyio.create_task_group() as loops:
                loops.start_soon(self.start, False, False, _say_nothing)
                while not self.is_setup:
                    await anyio.sleep(0.05)
                loops.start_soon(self._upkeep.watch_own)
                loops.start_soon(self._upkeep.watch_pool)

    async def leave(self, within_s: float = 20.0) -> None:
        """Take nothing more, end the child, and hand back what was under way."""
        self._leaving = True
        with anyio.move_on_after(within_s):
            await self._child.close()
            while self._under_way:
                await anyio.sleep(0.05)

    async def run(
        self,
        flow_run: FlowRun,
        configuration: WarmConfiguration,
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> WarmResult:
        self._under_way.add(flow_run.id)
        self._chooser.begin(self._in_hand[flow_run.id].waited, time.monotonic())
        try:
            if task_status is not None:
                task_status.started(os.getpid())
            ended = await self._child.run(flow_run.id)
            self._note_end(flow_run, ended)
            if ended.died and flow_run.id not in self._blamed:
                ended = Ended(beside=ended.died)
            if ended.is_untold or ended.state in UNDER_WAY:
                await self._settle(flow_run.id, ended)
        finally:
            self._under_way.discard(flow_run.id)
            self._in_hand.pop(flow_run.id, None)
            self._chooser.end([one.waited for one in self._in_hand.values()], time.monotonic())
        return WarmResult(identifier=f"{self.name} {self._child.pid}", status_code=0)

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        with self._patient():
            async with self._looking:
                taken = await super().get_and_submit_flow_runs()
                self._in_hand.update({run.id: _Taken(waiting_run(run, 0)) for run in taken})
                return taken
        return []

    async def _sync_and_initialize(self) -> None:
        with self._patient():
            await super()._sync_and_initialize()

    async def _get_scheduled_flow_runs(self) -> list[WorkerFlowRunResponse]:
        """What to take now, the best first: as much as there is room for, or nothing."""
        free = self._slots - int(self.limiter.borrowed_tokens)
        is_film = self._work_pool_name == CPU_POOL
        if self._leaving or self._rests.is_left() or not (free or is_film):
            return []
        in_hand = [self._as_it_stands(taken) for taken in self._in_hand.values()]
        if not is_film and not self._chooser.looks(in_hand, time.monotonic()):
            return []
        listed = await self._due()
        due = [one for one in listed if self._may_take(one.flow_run)]
        runs = {str(one.flow_run.id): one for one in due}
        if is_film:
            return [runs[one.id] for one in await self._films(due, free)]
        waiting = [waiting_run(one.flow_run, place) for place, one in enumerate(due)]
        chosen = self._chooser.choose(
            [one for one in waiting if self._can(one.setup)],
            in_hand,
            await self._elsewhere() if waiting else [],
            free=free,
            workers=self._upkeep.online,
            all_listed=len(listed) < LISTED,
        )
        return [runs[one.id] for one in chosen]

    async def _films(self, due: Sequence[WorkerFlowRunResponse], free: int) -> list[Waiting]:
        """As the queues have them: films hold nothing that is worth waiting for."""
        waiting = await self._line.in_line(due)
        under_way = [self._as_it_stands(taken) for taken in self._in_hand.values()]
        chosen = together(waiting, under_way, free, alone=False, kept=self._kept)
        left = [one for one in waiting if one not in chosen]
        await self._line.tell(left, free - len(chosen))
        return chosen

    async def _due(self) -> list[WorkerFlowRunResponse]:
        now = await self._clock.now(self.client)
        try:
            return await self.client.get_scheduled_flow_runs_for_work_pool(
                work_pool_name=self._work_pool_name,
                # Nobody asks for a take for later: one that is so is that by a clock put back.
                scheduled_before=now if self._work_pool_name == CPU_POOL else None,
                work_queue_names=list(self._work_queues),
            )
        except ObjectNotFound:
            return []  # the pool is made by `up`, perhaps in a moment

    async def _elsewhere(self) -> list[Waiting]:
        """What the pool's others are busy with."""
        state = FlowRunFilterState(
            type=FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING])
        )
        running = await read_runs(self.client, self._work_pool_name, state)
        return [waiting_run(one, 0) for one in running if one.id not in self._in_hand]

    async def _submit_run(self, flow_run: FlowRun) -> None:
        try:
            with self._patient():
                await super()._submit_run(flow_run)
        finally:
            # Where the server was away, or the deployment is gone, nobody else lets go of it.
            self._submitting_flow_run_ids.discard(flow_run.id)
            if flow_run.id not in self._under_way:
                self._in_hand.pop(flow_run.id, None)
                super()._release_limit_slot(flow_run.id)

    async def _propose_pending_state(self, flow_run: FlowRun) -> bool:
        """Whether the run is ours now. If we never hear so, the run itself says it."""
        # It was due when we took it, also when the server's clock is put back before it begins.
        due = StateDetails.model_validate({"scheduled_time": _LONG_AGO})
        claim: State[None] = Pending(message=self._me.claim, state_details=due)
        try:
            state = await propose_state(self.client, claim, flow_run_id=flow_run.id)
        except Abort:
            return False  # another worker was quicker
        except AWAY as error:
            self._logger.warning("cannot take %s: %s", flow_run.id, error)
            return False
        return state.is_pending()

    async def _give_worker_labels_to_flow_run(self, flow_run_id: UUID) -> None:
        await self.client.update_flow_run_labels(
            flow_run_id, {"prefect.worker.name": self.name, **self._me.labels}
        )

    async def _propose_crashed_state(
        self, flow_run: FlowRun, message: str, client: PrefectClient | None = None
    ) -> None:
        # Prefect would give up what could not be begun; nothing is wrong with the run.
        await self._settle(flow_run.id, Ended(lost=message))

    def _release_limit_slot(self, flow_run_id: UUID) -> None:
        super()._release_limit_slot(flow_run_id)
        if self._runs_task_group is not None and self.is_setup and not self._leaving:
            # Not at the next look, seconds from now: at once.
            self._runs_task_group.start_soon(self._look_again)

    async def _look_again(self) -> None:
        with suppress(*AWAY):  # what is wrong for good, the next regular look says
            await self.get_and_submit_flow_runs()

    async def _settle(self, flow_run: UUID, ended: Ended) -> None:
        """Tell the server what became of a run that could not tell itself."""
        with anyio.move_on_after(_TELL_S if not self._leaving else _LAST_WORDS_S):
            while True:
                try:
                    return await settle(
                        self.client,
                        flow_run,
                        ended,
                        leaving=self._leaving,
                        is_ours=lambda run: holder_of(run) == self._me,
                    )
                except AWAY as error:
                    self._logger.warning("cannot tell the server of %s: %s", flow_run, error)
                    await anyio.sleep(2)

    def _may_take(self, run: FlowRun) -> bool:
        return run.id not in self._in_hand and not self._rests.is_left(_store_of(run))

    def _note_end(self, run: FlowRun, ended: Ended) -> None:
        """Leave alone for a while what cannot be made here: takes of one store, or all."""
        store_away = ended.state_name == STORE_AWAY
        if self._child.pid:
            self._rests.take_up()
            if not store_away:
                self._rests.take_up(_store_of(run))
        if self._leaving or ended.died or (self._child.pid and not store_away):
            return
        store = _store_of(run) if store_away else ""
        if rest_s := self._rests.leave(store):
            why = f"{store} is out of reach; no take of it" if store else f"{ended.lost}; nothing"
            self._logger.error("%s is taken for %.0f s", why, rest_s)

    def _note_death(self, died: str) -> None:
        self._chooser.forget()
        if self._ended_for is not None:
            self._blamed, self._ended_for = {self._ended_for}, None
        else:
            under_way = {run: self._as_it_stands(self._in_hand[run]) for run in self._under_way}
            self._blamed = self._blame.of(under_way, self._child.at_work)
        if not self._leaving:
            self._logger.error("the process that makes takes died: %s", died)

    async def _end_child(self, of: UUID) -> None:
        """End the process because one of its runs does not end; the others are not to blame."""
        self._ended_for = of
        await self._child.kill()

    def _as_it_stands(self, taken: _Taken) -> Waiting:
        """A film is cleared after a while: it may be under way for hours."""
        long = time.monotonic() - taken.since_s > _CLEARED_AFTER_S
        cleared = long and self._work_pool_name == CPU_POOL
        return replace(taken.waited, suspect=taken.waited.suspect and not cleared)

    def _connected(self) -> PrefectClient:
        return self.client

    @contextmanager
    def _patient(self) -> Iterator[None]:
        """Go on with the next look when the server is away; a worker outlives it."""
        try:
            yield
        except AWAY as error:
            if not is_away(error):
                raise
            if not self._is_away:
                self._logger.warning("the Prefect server does not answer: %s", error)
            self._is_away = True
        else:
            self._is_away = False


async def _until_server() -> None:
    """Wait until the server answers: Prefect's worker cannot be stopped before."""
    async with get_client() as client:
        while await client.api_healthcheck() is not None:
            await anyio.sleep(_ASK_AGAIN_S)


def _store_of(run: FlowRun) -> str:
    """The address of the store of a take; empty for a film."""
    return str(run.parameters.get("store") or "")


def _say_nothing(*words: object) -> None:
    pass
