"""The flow runs of a film's takes on the Prefect server: asked for, and cancelled.

A take has one flow run however many films, and however many runs of one film, ask for it: the
idempotency key is the take's own. A film whose process was killed finds the runs that it asked
for before.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from prefect import Task
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterParentTaskRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling, Crashed

from flows.farm.answers import Answers
from flows.farm.asking import AWAY
from flows.farm.names import SHOT, Urgency
from flows.farm.new_runs import new_run
from generator.grouping import setup_of
from generator.plan import ShotJob
from media.errors import UsageError
from storyboards.film import Film

__all__ = ["Asked", "ShotRuns"]

_MOST = 200
"""In one answer: the server's own limit."""
_BEGUN_S = 90.0
"""A worker that does not reach the store gives a take up before that."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The run that makes a take."""

    run: UUID
    place: UUID
    """The task run in the film's own, under which Prefect's UI shows it."""
    ours: bool
    """Made for this film."""
    was_over: bool
    """It had ended before it was asked for: an earlier film's attempt."""


class ShotRuns:
    """Those of one film. Its methods may be called from any thread."""

    def __init__(
        self, flow_run: UUID, urgency: Urgency, client: SyncPrefectClient, answers: Answers
    ) -> None:
        """`flow_run` is the film's own."""
        self._flow_run, self._urgency = flow_run, urgency
        self._client, self._answers = client, answers
        self._deployment: UUID | None = None

    def ask(self, job: ShotJob, film: Film, store: str, attempt: int, more: list[str]) -> Asked:
        """The run of that attempt, made if there is none; `more` are tags.

        Waits for a server that is away. UsageError, RenderError and CancelledError as `Answers`.
        """
        return self._answers.of(lambda: self._ask(job, film, store, attempt, more))

    def cancel(self, asked: Asked) -> None:
        """Have the worker stop, unless another film asked for the run first."""
        if asked.ours:
            with suppress(*AWAY):
                self._answers.soon(lambda: self._client.set_flow_run_state(asked.run, Cancelling()))

    def close(self, asked: Asked, state: State[None]) -> None:
        """Say in the film's own run what became of a take that another film's run has made."""
        if not asked.ours:
            with suppress(*AWAY):
                self._answers.soon(
                    lambda: self._client.set_task_run_state(asked.place, state, force=True)
                )

    def any_is_made(self) -> bool:
        """Whether a worker is busy with one of the film's takes: it has found it in the store."""
        ours = FlowRunFilter(
            parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[self._flow_run]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])),
        )
        with suppress(*AWAY):
            runs = self._answers.soon(
                lambda: self._client.read_flow_runs(flow_run_filter=ours, limit=_MOST)
            )
            return any(run.estimated_run_time.total_seconds() > _BEGUN_S for run in runs)
        return True  # nobody can say

    def close_left(self) -> None:
        """Say of what an earlier process of this film was doing that it was left.

        Takes have runs of their own, which go on; and those of another film are found in the
        store, by a plan that asks for no run any more.
        """
        if self._answers.of(lambda: self._client.read_flow_run(self._flow_run)).run_count > 1:
            for place in self._answers.of(self._left):
                state: State[None] = Crashed(message="the film's process was lost")
                self._answers.of(partial(self._client.set_task_run_state, place, state, force=True))

    def _left(self) -> list[UUID]:
        """Task runs of the film that nothing will end."""
        open_states = (StateType.PENDING, StateType.RUNNING)
        tasks = self._client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[self._flow_run])),
            task_run_filter=TaskRunFilter(
                state=TaskRunFilterState(type=TaskRunFilterStateType(any_=list(open_states)))
            ),
            limit=_MOST,
        )
        places = [task.id for task in tasks]
        parents = FlowRunFilterParentTaskRunId(any_=places)
        runs = self._client.read_flow_runs(
            flow_run_filter=FlowRunFilter(parent_task_run_id=parents), limit=_MOST
        )
        followed = {run.parent_task_run_id for run in runs}
        return [place for place in places if place not in followed]

    def _ask(self, job: ShotJob, film: Film, store: str, attempt: int, more: list[str]) -> Asked:
        name = f"{film.code} {job.shot_id} take {job.take}"
        tags = _tags(job, film)
        task: Task[[], None] = Task(lambda: None, name="shot", tags=tags)
        place = self._client.create_task_run(task, self._flow_run, job.key, name=name)
        where = hashlib.sha256(store.encode()).hexdigest()[:8]
        run = new_run(
            self._client,
            self._deployed(),
            name=name if attempt == 1 else f"{name}, attempt {attempt}",
            parameters={
                "film": film.title,
                "shot": job.shot_id,
                "take": job.take,
                "key": job.key,
                "store": store,
                "attempt": attempt,
            },
            tags=[*tags, f"urgency:{self._urgency}", *more],
            once=f"{job.key}:{where}:{attempt}",
            parent=place.id,
            queue=self._urgency,
        )
        return Asked(
            run.id,
            place.id,
            ours=run.parent_task_run_id == place.id,
            was_over=run.state is not None and run.state.is_final(),
        )

    def _deployed(self) -> UUID:
        if self._deployment is None:
            try:
                self._deployment = self._client.read_deployment_by_name(SHOT).id
            except ObjectNotFound:
                raise UsageError(
                    f"the Prefect server has no deployment {SHOT}",
                    where=str(self._client.api_url),
                    todo="run `takeboard up`, or `prefect deploy --all` with Takeboard's "
                    "prefect.yaml",
                ) from None
        return self._deployment


def _tags(job: ShotJob, film: Film) -> list[str]:
    return [
        f"film:{film.code}",
        f"shot:{job.shot_id}",
        f"take:{job.take}",
        f"backend:{job.backend}",
        f"setup:{setup_of(job)}",
        f"seconds:{job.quote.gpu_seconds:.0f}",
    ]
