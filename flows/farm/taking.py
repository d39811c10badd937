"""What a worker may take beside what it has: runs as the dispatch sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from prefect.client.schemas.objects import FlowRun, StateType

from flows.farm.deaths import RESCHEDULED
from flows.farm.dispatch import Waiting
from flows.farm.holder import holder_of
from flows.farm.names import QUEUES, tag_value

__all__ = ["fitting", "together", "waiting_run"]

_HELD = (StateType.PENDING, StateType.RUNNING)


def waiting_run(run: FlowRun, place: int) -> Waiting:
    """A run of the pool; `place` counts from 0 in the order of its pool."""
    return Waiting(
        id=str(run.id),
        setup=tag_value(run.tags, "setup"),
        urgency=QUEUES.get(tag_value(run.tags, "urgency"), QUEUES["normal"]),
        seconds=_seconds(run, "seconds"),
        place=place,
        chain_s=_seconds(run, "chain"),
        film=tag_value(run.tags, "film"),
        left_s=_seconds(run, "left"),
        worker=_worker(run) if run.state_type in _HELD else "",
        # What a pool's list of due runs says of a state is its name alone.
        suspect=run.state_name == RESCHEDULED,
    )


def _worker(run: FlowRun) -> str:
    holder = holder_of(run)
    return f"{holder.worker} on {holder.machine}" if holder is not None else ""


def _seconds(run: FlowRun, name: str) -> float:
    """A tag's number; 0 for what is none: anybody may write tags."""
    try:
        seconds = float(tag_value(run.tags, name))
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def fitting(waiting: Sequence[Waiting], under_way: Sequence[Waiting]) -> list[Waiting]:
    """What can run in one process beside what is under way there.

    Two takes of one model share it; another model would push the first off the device.
    """
    if not under_way:
        return list(waiting)
    setups = {one.setup for one in under_way}
    return [one for one in waiting if one.setup in setups]


def together(
    best: Sequence[Waiting],
    under_way: Sequence[Waiting],
    free: int,
    *,
    alone: bool,
    kept: int = 0,
) -> list[Waiting]:
    """The first of `best` with those of the others that can run beside it, `free` at most.

    So many places are `kept` free for what is urgent.

    A run whose process has died is a suspect. There is one of them at a time, so that it is
    known whose fault the next death is; and where it is to be `alone`, nothing is beside it: of
    two takes one may have taken the other's memory. Who wants to take it then takes nothing else
    before, or it would wait for ever. A film only waits until the suspect before it is cleared,
    and holds up no other.
    """
    chosen: list[Waiting] = []
    for one in best:
        if len(chosen) >= free - (kept if one.urgency > QUEUES["urgent"] else 0):
            continue
        beside = [*under_way, *chosen]
        suspects = one.suspect or any(other.suspect for other in beside)
        doubt = one.suspect and any(other.suspect for other in beside)
        if doubt or (alone and suspects and beside):
            if alone and not chosen and one.suspect:
                break
            continue
        if fitting([one], chosen):
            chosen.append(one)
    return chosen
