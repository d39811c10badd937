"""Which runs of a pool have lost their worker: rules, with the seconds of whoever looks.

Every worker of a pool looks at all the runs that are under way there. So a run is taken back when
its machine is gone for ever, and when the server was away just when somebody had something to say
of it. The server's crash automation does not do: it hears nothing from anybody after an outage,
and forgets those of which it should have heard something meanwhile.

A machine that was replaced, and a second one by mistake, may have a worker of a name that is there
already. Such a name says nothing of either. What counts then is the server's word that a run is
silent: a worker that has it says otherwise within seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from uuid import UUID

from prefect.client.schemas.objects import FlowRun

from flows.farm.deaths import SILENT
from flows.farm.holder import Holder, holder_of

__all__ = ["LOST_AFTER_S", "LostRuns"]

LOST_AFTER_S = 60.0
"""So long a worker is seen to be offline, which it is half a minute after its last sign of life."""


class LostRuns:
    """What one worker makes of what it sees."""

    def __init__(self, me: Holder, lost_after_s: float = LOST_AFTER_S) -> None:
        self._me, self._lost_after_s = me, lost_after_s
        self._offline_since: dict[str, float] = {}
        self._silent_since: dict[UUID, float] = {}

    def look(
        self,
        runs: Iterable[FlowRun],
        online: Collection[str],
        in_hand: Collection[UUID],
        now_s: float,
    ) -> Iterator[tuple[FlowRun, str]]:
        """Those of `runs`, all under way, that nobody has any more, and why.

        `online` are the workers of which the server has heard; `in_hand` are our own runs, looked
        up only when asked for. `now_s` is any clock that counts seconds.
        """
        held = [(run, holder) for run in runs if (holder := holder_of(run)) is not None]
        absent = {holder.worker for _, holder in held} - set(online) - {self._me.worker}
        self._offline_since = {name: self._offline_since.get(name, now_s) for name in absent}
        silent = {run.id for run, _ in held if run.state is not None and run.state.name == SILENT}
        self._silent_since = {run: self._silent_since.get(run, now_s) for run in silent}
        for run, holder in held:
            if holder == self._me:
                if run.id not in in_hand:
                    yield run, f"its worker {holder.worker} has lost it"
            elif holder.worker in absent:
                away_s = now_s - self._offline_since[holder.worker]
                if away_s >= self._lost_after_s:
                    yield run, f"nothing is heard of its worker {holder.worker}"
            elif run.id in silent and now_s - self._silent_since[run.id] >= self._lost_after_s:
                yield run, f"nothing is heard of it on {holder.machine}"

    def forget(self) -> None:
        """The server was away: nobody could be heard."""
        self._offline_since.clear()
        self._silent_since.clear()
