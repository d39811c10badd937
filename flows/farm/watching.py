"""One question for all the runs that films wait for, asked again and again by one thread."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, State, StateType

from flows.farm.asking import SoonTold
from flows.farm.deaths import SILENT

__all__ = ["Ended", "RunWatch", "Watched"]

_EVERY_S = 0.5
_ALL_EVERY_S = 10.0
"""Asked in between is only what has ended; this finds runs that were deleted."""
_MOST_IN_ONE = 200
"""Runs in one answer: the server's own limit."""
_SPOKEN_FOR_WITHIN_S = 30.0
"""A worker whose run the server takes for silent says otherwise at its next look, in seconds. The
server may do so at every sign of life that comes from a machine whose clock is wrong."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: as the server says, or `CRASHED` when it no longer knows of it."""

    type: StateType = StateType.CRASHED
    message: str = "its run is gone from the server"
    name: str = ""
    """Of the state."""


@dataclass(slots=True)
class Watched:
    """A run that somebody waits for; `ended` counts once `over` is set."""

    over: threading.Event = field(default_factory=threading.Event)
    ended: Ended = field(default_factory=Ended)


class RunWatch:
    """The runs that the films of one process wait for."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client
        self._runs: dict[UUID, list[Watched]] = {}
        """Films that share a take wait for the same run."""
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._asked_all_at = 0.0
        self._taken_for_silent: dict[UUID, float] = {}
        """Since when the server does so, of each run."""
        self._silent_since: float | None = None
        self._soon_told = SoonTold()

    @property
    def silent_s(self) -> float:
        """How long the server has not answered."""
        since = self._silent_since
        return 0.0 if since is None else time.monotonic() - since

    @contextmanager
    def watched(self, run: UUID) -> Iterator[Watched]:
        """Keep an eye on the run."""
        watched = Watched()
        with self._lock:
            self._runs.setdefault(run, []).append(watched)
            if self._asking is None:
                context = contextvars.copy_context()
                self._asking = threading.Thread(
                    target=context.run, args=(self._ask_all,), name="runs", daemon=True
                )
                self._asking.start()
        try:
            yield watched
        finally:
            with self._lock:
                self._runs[run].remove(watched)
                if not self._runs[run]:
                    del self._runs[run]

    def _ask_all(self) -> None:
        """Ask until there is nothing more to ask for."""
        while True:
            with self._lock:
                waiting = {run: tuple(watching) for run, watching in self._runs.items()}
                if not waiting:
                    # How long the server is away after this, nobody looks.
                    self._asking = self._silent_since = None
                    return
            try:
                with self._soon_told():
                    self._ask(waiting)
                self._silent_since = None
            except Exception:
                # Not only a server that is away: a proxy may answer with a page of its own. This
                # thread must go on, for everybody waits for it.
                if self._silent_since is None:
                    self._silent_since = time.monotonic()
                self._taken_for_silent.clear()  # nobody can speak for them now
            time.sleep(_EVERY_S)

    def _ask(self, waiting: Mapping[UUID, Sequence[Watched]]) -> None:
        now = time.monotonic()
        whole = now - self._asked_all_at > _ALL_EVERY_S
        final = FlowRunFilterState(type=FlowRunFilterStateType(any_=list(TERMINAL_STATES)))
        ids = list(waiting)
        for first in range(0, len(ids), _MOST_IN_ONE):
            some = ids[first : first + _MOST_IN_ONE]
            asked = FlowRunFilter(id=FlowRunFilterId(any_=some), state=None if whole else final)
            runs = self._client.read_flow_runs(flow_run_filter=asked, limit=_MOST_IN_ONE)
            states = {run.id: run.state for run in runs}
            for run in some:
                if (state := states.get(run)) is not None and self._is_over(run, state):
                    _settle(waiting[run], _ended(state))
                elif whole and run not in states:
                    _settle(waiting[run], Ended())
            for run in self._taken_for_silent.keys() & set(some):
                if (state := states.get(run)) is None or state.name != SILENT:
                    del self._taken_for_silent[run]
        if whole:
            self._asked_all_at = now

    def _is_over(self, run: UUID, state: State[object]) -> bool:
        if state.name != SILENT:
            return state.is_final()
        now = time.monotonic()
        return now - self._taken_for_silent.setdefault(run, now) > _SPOKEN_FOR_WITHIN_S


def _settle(watching: Sequence[Watched], ended: Ended) -> None:
    for watched in watching:
        watched.ended = ended
        watched.over.set()


def _ended(state: State[object]) -> Ended:
    message = state.message or state.name or state.type.value.lower()
    return Ended(state.type, message, state.name or "")
