"""A film's takes that are made by the workers of a pool: asked for, waited for, asked for again.

A take has one flow run however many films, and however many runs of one film, ask for it: the
idempotency key is the take's own. A film whose process was killed finds the runs that it asked
for before. What counts in the end is the store: a take that is there is done, whatever the
server says of its run.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import TypeVar
from uuid import UUID

import httpx
from prefect import Task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.states import Cancelling

from flows.farm.lane import Workers, farm_lane, window_of
from flows.farm.names import SHOT, Urgency
from flows.farm.readiness import FarmReadiness, farm_readiness
from flows.farm.watching import Ended, RunWatch
from flows.pool import Lane
from flows.progress import Progress
from generator.grouping import setup_of
from generator.plan import ShotJob
from generator.takes import Take, TakeStore
from generator.tickets import publish_ticket
from media.errors import CancelledError, RenderError, UsageError
from media.shared_store import address_of
from storyboards.film import Film

__all__ = ["MOST_TRIES", "FarmShots"]

T = TypeVar("T")

MOST_TRIES = 3
"""So often a film asks for a take whose run ends without it, and without saying why."""

_POLL_S = 0.2
_ASK_AGAIN_S = 2.0
_SERVER_PATIENCE_S = 3600.0
"""How long a film waits for a server that has gone: nothing is lost meanwhile."""
_COME_BACK_S = 60.0
"""As long as a worker takes to start, and the server to note that it is there."""
_SEEN_WITHIN_S = 60.0
"""How long a network file system may take to show here what was published elsewhere: NFS keeps
the names of a folder for up to a minute (nfs(5), acdirmax)."""


class FarmShots:
    """Makes takes on the farm, for one film flow. Its methods may be called from any thread."""

    def __init__(self, flow_run: UUID, urgency: Urgency, progress: Progress, stop: Event) -> None:
        """`flow_run` is the film's own."""
        self._flow_run, self._urgency = flow_run, urgency
        self._progress, self._stop = progress, stop
        self._client: SyncPrefectClient = get_client(sync_client=True)
        self._watch = RunWatch(self._client)
        self._workers = Workers(self._client)
        self._window = window_of(())

    def readiness(self) -> FarmReadiness:
        """What the workers that are online can make.

        When there is none, those that were there within the hour are given a moment to come
        back: a farm that has just been started again is not one without models.
        """
        deadline = time.monotonic() + _COME_BACK_S
        while True:
            found = self._answer(lambda: farm_readiness(self._client))
            if found.workers or not found.missed or time.monotonic() > deadline:
                return found
            if self._stop.wait(_ASK_AGAIN_S):
                raise _cancelled()

    def lane(self, jobs: Sequence[ShotJob]) -> Lane:
        """How many of `jobs` are in the pool at a time, and which goes there next."""
        self._window = window_of(jobs)
        return farm_lane(self._window, lambda: self._workers.seats)

    def rendering(self, job: ShotJob, film: Film, store: TakeStore) -> Callable[[], Take]:
        """Making `job` on a worker, to be called in a thread that waits for it.

        Raises RenderError when it cannot be made, CancelledError, and StoreError when its files
        cannot be put into the store or its take not be read from it.
        """
        return lambda: self._render(job, film, store)

    def _render(self, job: ShotJob, film: Film, store: TakeStore) -> Take:
        publish_ticket(job, film, store)
        tries, attempt = 0, 1
        while (take := store.find(job.key)) is None:
            asked = self._ask(job, film, store, attempt)
            attempt += 1
            if asked.was_over:
                continue
            ended = self._wait(asked, job, store)
            if ended.type == StateType.COMPLETED and _appears(store, job.key):
                continue
            if ended.type == StateType.CANCELLED and not asked.ours:
                continue  # by another film that asked for it too
            tries += 1
            if tries >= MOST_TRIES or ended.type in (StateType.FAILED, StateType.CANCELLED):
                if store.find(job.key) is None:
                    raise _cannot(job, ended, tries)
            else:
                self._progress.note(
                    f"{job.shot_id} take {job.take}: {ended.message}; asked for again"
                )
        self._progress.advance("shots", job.request.num_frames, job.shot_id)
        return take

    def _ask(self, job: ShotJob, film: Film, store: TakeStore, attempt: int) -> _Asked:
        """The run of that attempt, made if there is none."""
        address = address_of(store.entries.root)
        where = hashlib.sha256(address.encode()).hexdigest()[:8]
        name = f"{film.code} {job.shot_id} take {job.take}"

        def ask() -> _Asked:
            # Under it Prefect's UI shows the run as part of the film's.
            task: Task[[], None] = Task(lambda: None, name="shot", tags=_tags(job, film))
            place = self._client.create_task_run(task, self._flow_run, job.key, name=name)
            run = self._client.create_flow_run_from_deployment(
                self._deployment(),
                name=name if attempt == 1 else f"{name}, attempt {attempt}",
                parameters={
                    "film": film.title,
                    "shot": job.shot_id,
                    "take": job.take,
                    "key": job.key,
                    "store": address,
                    "attempt": attempt,
                },
                tags=[
                    *_tags(job, film),
                    f"urgency:{self._urgency}",
                    f"chain:{self._window.chain_s(job.key):.0f}",
                ],
                idempotency_key=f"{job.key}:{where}:{attempt}",
                parent_task_run_id=place.id,
                work_queue_name=self._urgency,
            )
            return _Asked(
                run.id,
                ours=run.parent_task_run_id == place.id,
                was_over=run.state is not None and run.state.is_final(),
            )

        return self._answer(ask)

    def _deployment(self) -> UUID:
        try:
            return self._client.read_deployment_by_name(SHOT).id
        except ObjectNotFound:
            raise UsageError(
                f"the Prefect server has no deployment {SHOT}",
                where=str(self._client.api_url),
                todo="run `takeboard up`, or `prefect deploy --all` with Takeboard's prefect.yaml",
            ) from None

    def _wait(self, asked: _Asked, job: ShotJob, store: TakeStore) -> Ended:
        """How the run ended."""
        with self._watch.watched(asked.run) as seen:
            while not seen.over.wait(_POLL_S):
                if self._stop.is_set():
                    self._cancel(asked)
                    raise _cancelled()
                silent_s = self._watch.silent_s
                if silent_s > _ASK_AGAIN_S and store.entries.peek(job.key):
                    return Ended(StateType.COMPLETED)  # the server cannot say so, the store can
                if silent_s > _SERVER_PATIENCE_S:
                    raise _server_gone(self._client)
            return seen.ended

    def _answer(self, ask: Callable[[], T]) -> T:
        """What the server answers, once it does."""
        begun = time.monotonic()
        told = False
        while True:
            try:
                return ask()
            except (httpx.HTTPError, PrefectException) as error:
                if isinstance(error, httpx.HTTPStatusError) and error.response.is_client_error:
                    raise _refused(error) from error
                if time.monotonic() - begun > _SERVER_PATIENCE_S:
                    raise _server_gone(self._client) from error
            if not told:
                told = True
                self._progress.note("the Prefect server does not answer; waiting for it")
            if self._stop.wait(_ASK_AGAIN_S):
                raise _cancelled()

    def _cancel(self, asked: _Asked) -> None:
        """Have the worker stop, unless another film asked for the run first."""
        if asked.ours:
            with suppress(httpx.HTTPError, PrefectException):
                self._client.set_flow_run_state(asked.run, Cancelling())


@dataclass(frozen=True, slots=True)
class _Asked:
    run: UUID
    ours: bool
    """Made for this film."""
    was_over: bool
    """It had ended before it was asked for: an earlier film's attempt."""


def _tags(job: ShotJob, film: Film) -> list[str]:
    return [
        f"film:{film.code}",
        f"shot:{job.shot_id}",
        f"take:{job.take}",
        f"backend:{job.backend}",
        f"setup:{setup_of(job)}",
        f"seconds:{job.quote.gpu_seconds:.0f}",
    ]


def _appears(store: TakeStore, key: str) -> bool:
    """Whether the take that a worker has published is seen here, in good time."""
    deadline = time.monotonic() + _SEEN_WITHIN_S
    while not store.entries.peek(key):
        if time.monotonic() > deadline:
            return False
        time.sleep(1.0)
    return True


def _cannot(job: ShotJob, ended: Ended, tries: int) -> RenderError:
    where = f"{job.shot_id} take {job.take}"
    if ended.type == StateType.CANCELLED:
        return RenderError(
            "its run was cancelled on the farm", where=where, todo="run again to make it"
        )
    if ended.type == StateType.FAILED:
        what = ended.message.removeprefix(where).lstrip(":, ")
        return RenderError(what or "it failed on the farm", where=where)
    if ended.type == StateType.COMPLETED:
        return RenderError(
            f"its run completes and the take is not in the store, {tries} times",
            where=where,
            todo="see that every machine uses the same store",
        )
    return RenderError(
        f"set aside after {tries} runs that did not end well, the last: {ended.message}",
        where=where,
        todo="see the log of its runs, and run again to try it again",
    )


def _cancelled() -> CancelledError:
    return CancelledError("cancelled", todo="run again to go on from where this stopped")


def _refused(error: httpx.HTTPStatusError) -> UsageError:
    return UsageError(
        f"the Prefect server refuses ({error.response.status_code})",
        where=str(error.request.url),
        todo="see that the server and this machine have the same version of Takeboard",
    )


def _server_gone(client: SyncPrefectClient) -> RenderError:
    minutes = _SERVER_PATIENCE_S / 60
    return RenderError(
        f"the Prefect server has not answered for {minutes:.0f} minutes",
        where=str(client.api_url),
        todo="start it again and run the film again: finished takes are kept",
    )
