"""A film's takes that are made by the workers of a pool: asked for, waited for, asked for again.

What counts in the end is the store: a take that is there is done, whatever the server says of its
run, and whether it says anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State, StateType
from prefect.states import Cancelled, Completed, Failed

from flows.farm.answers import SERVER_PATIENCE_S, Answers, cancelled, server_gone
from flows.farm.deaths import STORE_AWAY
from flows.farm.lane import Workers, farm_lane, window_of
from flows.farm.names import Urgency
from flows.farm.readiness import FarmReadiness, farm_readiness
from flows.farm.shot_runs import Asked, ShotRuns
from flows.farm.store_patience import Outage, StorePatience, require_there
from flows.farm.watching import Ended, RunWatch
from flows.pool import Lane
from flows.progress import Progress
from generator.backends.told import may_use_device
from generator.plan import ShotJob
from generator.takes import Take, TakeStore
from generator.tickets import publish_ticket
from media.errors import CancelledError, RenderError, StoreError, TakeboardError
from media.patience import patient
from media.shared_store import address_of
from storyboards.film import Film

__all__ = ["MOST_TRIES", "FarmShots"]

MOST_TRIES = 3
"""So often a film asks for a take whose run ends without it, and without saying why."""

_POLL_S = 1.0
"""How soon a film that waits sees that it was cancelled; each of its takes waits by itself."""
_ASK_AGAIN_S = 2.0
_LOOK_S = 10.0
"""A worker that has made a take may be long in telling the server, when that was away."""
_COME_BACK_S = 60.0
"""As long as a worker takes to start, and the server to note that it is there."""
_LOOK_FOR_S = 5.0
"""How long one try to reach an object store lasts; how many there are, `StorePatience` says."""
_SEEN_WITHIN_S = 60.0
"""How long a network file system may take to show here what was published elsewhere: NFS keeps
the names of a folder for up to a minute (nfs(5), acdirmax)."""


class FarmShots:
    """Makes takes on the farm, for one film flow. Its methods may be called from any thread."""

    def __init__(
        self,
        flow_run: UUID,
        urgency: Urgency,
        progress: Progress,
        stop: Event,
        watch: RunWatch | None = None,
    ) -> None:
        """`flow_run` is the film's own; `watch` is that of all films of this process."""
        self._progress, self._stop = progress, stop
        self._client: SyncPrefectClient = get_client(sync_client=True)
        self._answers = Answers(self._client, progress, stop)
        self._runs = ShotRuns(flow_run, urgency, self._client, self._answers)
        self._watch = watch or RunWatch(self._client)
        self._workers = Workers(self._client, progress.note)
        self._store_away = Outage(progress)
        """From here."""
        self._workers_store_away = Outage(progress, self._runs.any_is_made)
        """From the machines of workers, of which one may be alone with that."""
        self._window = window_of(())
        self._ready: Sequence[str] = ()
        """Takes that could be in the pool as well."""

    def take_up(self) -> None:
        """Clear away what an earlier process of the same film, if any, has left on the server."""
        self._runs.close_left()

    def readiness(self, film: Film) -> FarmReadiness:
        """What the workers that are online can make.

        When there is none, those that were there within the hour are given a moment to come
        back: a farm that has just been started again is not one without models. A film of which
        they could make nothing waits for nobody.
        """
        deadline = time.monotonic() + _COME_BACK_S
        said = False
        while True:
            found = self._answers.of(lambda: farm_readiness(self._client))
            nobody = not found.workers and found.missed and may_use_device(film)
            if not nobody or time.monotonic() > deadline:
                return found
            if not said:
                self._progress.note(
                    f"no GPU worker is there: {', '.join(found.missed)} may come back within "
                    f"{_COME_BACK_S:.0f} s, before the film is planned without its models"
                )
                said = True
            if self._stop.wait(_ASK_AGAIN_S):
                raise cancelled()

    def lane(self, jobs: Sequence[ShotJob]) -> Lane:
        """How many of `jobs` are in the pool at a time, and which goes there next."""
        self._window = window_of(jobs)
        workers = self._workers
        return farm_lane(
            self._window, lambda: workers.seats, lambda: workers.films, self._note_ready
        )

    def rendering(self, job: ShotJob, film: Film, store: TakeStore) -> Callable[[], Take]:
        """Making `job` on a worker, to be called in a thread that waits for it.

        Raises RenderError when it cannot be made, CancelledError, and StoreError when its files
        cannot be put into the store or its take not be read from it.
        """
        return lambda: self._render(job, film, store)

    def _note_ready(self, ready: Sequence[str]) -> None:
        self._ready = ready

    def _render(self, job: ShotJob, film: Film, store: TakeStore) -> Take:
        asked: list[Asked] = []
        try:
            take = self._made(job, film, store, asked)
        except TakeboardError as error:
            end = Cancelled if isinstance(error, CancelledError) else Failed
            self._close(asked, end(message=str(error)))
            raise
        self._close(asked, Completed(message="made for another film"))
        self._progress.advance("shots", job.request.num_frames, job.shot_id)
        return take

    def _made(self, job: ShotJob, film: Film, store: TakeStore, asked: list[Asked]) -> Take:
        """The take; `asked` comes to hold the runs that were to make it."""
        here = StorePatience(self._store_away, self._stop)
        there = StorePatience(self._workers_store_away, self._stop)
        tries = 0
        while (take := here.reach(lambda: self._found(job, film, store))) is None:
            self._workers_store_away.require_patience()
            run = self._ask(job, film, store, len(asked) + 1)
            asked.append(run)
            if run.was_over:
                continue
            ended = self._wait(run, job, store)
            if ended.type == StateType.CANCELLED and not run.ours:
                continue  # by another film that asked for it too
            if ended.name == STORE_AWAY:
                there.wait(StoreError(ended.message, where=_where(job)))
                continue
            self._workers_store_away.over()
            tries += 1  # also of a take that was published and is not whole
            published = ended.type == StateType.COMPLETED and self._appears(store, job.key)
            if published and tries < MOST_TRIES:
                continue
            if tries >= MOST_TRIES or ended.type in (StateType.FAILED, StateType.CANCELLED):
                if (take := store.find(job.key)) is not None:
                    return take
                raise _cannot(job, ended, tries)
            self._progress.note(f"{_where(job)}: {ended.message}; asked for again")
        return take

    def _ask(self, job: ShotJob, film: Film, store: TakeStore, attempt: int) -> Asked:
        address = address_of(store.entries.root)
        for_dispatch = [
            f"chain:{self._window.chain_s(job.key):.0f}",
            f"left:{self._window.left_s(job.key, self._ready):.0f}",
        ]
        return self._runs.ask(job, film, address, attempt, for_dispatch)

    def _wait(self, asked: Asked, job: ShotJob, store: TakeStore) -> Ended:
        """How the run ended, as the server says or as the store shows."""
        looked = time.monotonic()
        with self._watch.watched(asked.run) as seen:
            while not seen.over.wait(_POLL_S):
                if self._stop.is_set():
                    self._runs.cancel(asked)
                    raise cancelled()
                silent_s = self._watch.silent_s
                if time.monotonic() - looked > (_ASK_AGAIN_S if silent_s else _LOOK_S):
                    if self._is_there(store, job.key):
                        return Ended(StateType.COMPLETED)
                    looked = time.monotonic()
                if silent_s > SERVER_PATIENCE_S:
                    raise server_gone(self._client)
            return seen.ended

    def _appears(self, store: TakeStore, key: str) -> bool:
        """Whether the take that a worker has published is seen here, in good time."""
        deadline = time.monotonic() + _SEEN_WITHIN_S
        while not self._is_there(store, key):
            if time.monotonic() > deadline:
                return False
            if self._stop.wait(1.0):
                raise cancelled()
        return True

    def _found(self, job: ShotJob, film: Film, store: TakeStore) -> Take | None:
        """The take; when there is none, its ticket is put where the workers find it."""
        require_there(store.entries.root)
        with patient(self._stop.is_set, _LOOK_FOR_S):
            take = store.find(job.key)
            if take is None:
                publish_ticket(job, film, store)
            return take

    def _is_there(self, store: TakeStore, key: str) -> bool:
        # Of a film that is cancelled in the middle of it, the caller stops what it waits for.
        with suppress(OSError, StoreError, CancelledError), patient(self._stop.is_set, 0.0):
            return store.entries.peek(key)
        return False

    def _close(self, asked: Sequence[Asked], state: State[None]) -> None:
        if asked:
            self._runs.close(asked[-1], state)


def _where(job: ShotJob) -> str:
    return f"{job.shot_id} take {job.take}"


def _cannot(job: ShotJob, ended: Ended, tries: int) -> RenderError:
    where = _where(job)
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
