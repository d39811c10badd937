"""The lane of a film's takes on the farm: how many are in the pool, and which goes there next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort

from flows.farm.asking import AWAY, SoonTold
from flows.farm.names import GPU_POOL, SLOTS, tag_value
from flows.farm.window import Planned, Window, window_size
from flows.pool import Lane, LaneView
from generator.grouping import setup_of
from generator.plan import ShotJob

__all__ = ["Workers", "farm_lane", "window_of"]

_KNOWN_FOR_S = 5.0
_MOST = 200
"""Workers, or runs, in one answer: the server's own limit."""
_OPEN = FlowRunFilter(
    state=FlowRunFilterState(
        type=FlowRunFilterStateType(
            any_=[StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]
        )
    )
)


class Workers:
    """Who is at work in the pool: workers, and films. Asked for every five seconds."""

    def __init__(
        self, client: SyncPrefectClient, note: Callable[[str], None] = lambda text: None
    ) -> None:
        self._client, self._note = client, note
        self._lock = threading.Lock()
        self._asked_at = -_KNOWN_FOR_S
        self._online = -1
        """-1: not known yet."""
        self._films = 1
        self._soon_told = SoonTold()

    @property
    def seats(self) -> int:
        """Takes at a time over all workers that are there."""
        self._ask()
        return max(self._online, 0) * SLOTS[GPU_POOL]

    @property
    def films(self) -> int:
        """Films with takes in the pool, as far as the newest tell."""
        self._ask()
        return self._films

    def _ask(self) -> None:
        with self._lock:
            if time.monotonic() - self._asked_at >= _KNOWN_FOR_S:
                self._asked_at = time.monotonic()
                before, self._online = self._online, self._count()
                if not self._online and before:
                    self._note(
                        f"no worker of the pool {GPU_POOL} is there: the takes wait for one "
                        f"(takeboard worker --pool {GPU_POOL})"
                    )

    def _count(self) -> int:
        try:
            with self._soon_told():
                workers = self._client.read_workers_for_work_pool(GPU_POOL, limit=_MOST)
                runs = self._client.read_flow_runs(
                    work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[GPU_POOL])),
                    flow_run_filter=_OPEN,
                    limit=_MOST,
                    sort=FlowRunSort.EXPECTED_START_TIME_DESC,
                )
                self._films = max(1, len({tag_value(run.tags, "film") for run in runs}))
        except AWAY:
            return self._online  # the server is away; what is in the pool stays there
        return sum(worker.status == "ONLINE" for worker in workers)


def farm_lane(
    window: Window,
    seats: Callable[[], int],
    films: Callable[[], int] = lambda: 1,
    note_ready: Callable[[Sequence[str]], None] = lambda ready: None,
) -> Lane:
    """The lane of the takes of `window`, whose names in it are their keys.

    `note_ready` hears which takes could be put into the pool, before one of them is.
    """

    def choose(view: LaneView) -> str:
        note_ready(view.ready)
        return window.choose(view.ready, view.under_way, view.blocked, seats(), films())

    # Of a chain that is begun the next take goes in though the window is full, within reason.
    return Lane(limit=lambda: 2 * window_size(seats()), choose=choose)


def window_of(jobs: Sequence[ShotJob]) -> Window:
    """The window that takes its mix from `jobs`."""
    return Window(
        Planned(job.key, setup_of(job), max(job.quote.gpu_seconds, 1.0), job.waits_for)
        for job in jobs
    )
