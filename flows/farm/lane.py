"""The lane of a film's takes on the farm: how many are in the pool, and which goes there next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import PrefectException

from flows.farm.names import GPU_POOL, SLOTS
from flows.farm.window import Planned, Window, window_size
from flows.pool import Lane, LaneView
from generator.grouping import setup_of
from generator.plan import ShotJob

__all__ = ["Workers", "farm_lane", "window_of"]

_KNOWN_FOR_S = 10.0


class Workers:
    """How many takes the pool's workers can make at a time; asked for every ten seconds."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._asked_at = -_KNOWN_FOR_S
        self._online = 0

    @property
    def seats(self) -> int:
        """Takes at a time over all workers that are there."""
        with self._lock:
            if time.monotonic() - self._asked_at >= _KNOWN_FOR_S:
                self._asked_at = time.monotonic()
                self._online = self._count()
            return self._online * SLOTS[GPU_POOL]

    def _count(self) -> int:
        try:
            workers = self._client.request(
                "POST", "/work_pools/{work_pool_name}/workers/filter",
                path_params={"work_pool_name": GPU_POOL}, json={"limit": 200},
            ).json()  # fmt: skip
        except (httpx.HTTPError, PrefectException):
            return self._online  # the server is away; what is in the pool stays there
        return sum(worker["status"] == "ONLINE" for worker in workers)


def farm_lane(window: Window, seats: Callable[[], int]) -> Lane:
    """The lane of the takes of `window`, whose names in it are their keys."""

    def choose(view: LaneView) -> str:
        return window.choose(view.ready, view.under_way, view.blocked, seats())

    return Lane(limit=lambda: window_size(seats()), choose=choose)


def window_of(jobs: Sequence[ShotJob]) -> Window:
    """The window that takes its mix from `jobs`."""
    return Window(
        Planned(job.key, setup_of(job), max(job.quote.gpu_seconds, 1.0), job.waits_for)
        for job in jobs
    )
