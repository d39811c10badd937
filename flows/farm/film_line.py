"""The films that wait for a place in a worker: how urgent they are, and what they are told.

A film that is asked for is told in its run's log, which both Prefect's page of the run and
`produce --farm` show: that all places are taken, how many films come before it, and what can be
done about it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import LogCreate
from prefect.client.schemas.responses import WorkerFlowRunResponse

from flows.farm.asking import AWAY
from flows.farm.dispatch import Waiting
from flows.farm.names import CPU_POOL, QUEUES
from flows.farm.taking import waiting_run
from media.words import counted

__all__ = ["FilmLine"]

_LOG = "prefect.flow_runs"
"""What a flow run's own log is called, which followers read."""
_TOLD_AFTER_S = 5.0
"""Another worker may have a place: it looks every two seconds."""
_TOLD_AGAIN_S = 300.0
_MOST_AT_ONCE = 100


@dataclass(slots=True)
class _Told:
    """A film in the line."""

    since_s: float
    before: int = -1
    at_s: float = -_TOLD_AGAIN_S


@dataclass(eq=False, slots=True)
class FilmLine:
    """The line before one worker, which has `places`, `kept` of them for urgent films."""

    worker: str
    places: int
    kept: int
    client: Callable[[], PrefectClient]
    _queues: dict[UUID, int] = field(default_factory=dict)
    _films: dict[str, _Told] = field(default_factory=dict)

    async def in_line(self, due: Sequence[WorkerFlowRunResponse]) -> list[Waiting]:
        """The films that are due, each as urgent as its queue is. Raises as the client does."""
        if any(one.work_queue_id not in self._queues for one in due):
            queues = await self.client().read_work_queues(work_pool_name=CPU_POOL)
            self._queues = {one.id: QUEUES.get(one.name, QUEUES["normal"]) for one in queues}
        return [
            replace(
                waiting_run(one.flow_run, place),
                urgency=self._queues.get(one.work_queue_id, QUEUES["normal"]),
            )
            for place, one in enumerate(due)
        ]

    async def tell(self, left: Sequence[Waiting], free: int) -> None:
        """Tell those that were not taken why, now and then; `free` places are left."""
        now = time.monotonic()
        lines: list[LogCreate] = []
        self._films = {one.id: self._films.get(one.id, _Told(now)) for one in left}
        for before, one in enumerate(left):
            told = self._films[one.id]
            long = now - told.since_s >= _TOLD_AFTER_S and now - told.at_s >= _TOLD_AGAIN_S
            if long and told.before != before and len(lines) < _MOST_AT_ONCE:
                told.before, told.at_s = before, now
                lines.append(_line(UUID(one.id), self._words(one, before, free)))
        if lines:
            with suppress(*AWAY):  # it is news for a person, and no more
                await self.client().create_logs(lines)

    def _words(self, one: Waiting, before: int, free: int) -> str:
        films = f"{counted(before, 'film')} before it" if before else "it is the next"
        urgent = one.urgency <= QUEUES["urgent"]
        if free > (0 if urgent else self.kept):
            return f"waits: films whose process has died are begun one by one; {films}"
        places = self.places - (0 if urgent else self.kept)
        sooner = "" if urgent else "asked for with --urgency urgent it begins at once; "
        return (
            f"waits for a place: all {places} of {self.worker} are taken; {films} "
            f"({sooner}takeboard worker --pool {CPU_POOL} on another machine makes more places)"
        )


def _line(run: UUID, message: str) -> LogCreate:
    now = datetime.now(UTC)
    return LogCreate(name=_LOG, level=logging.INFO, message=message, timestamp=now, flow_run_id=run)
