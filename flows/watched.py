"""A take made while others watch: its steps as a live bar, its start and end as events."""

from __future__ import annotations

import time
from collections.abc import Callable

from flows.events import shot_failed, shot_finished, shot_started
from flows.recorder import Recorder
from generator.plan import ShotJob
from generator.takes import Take
from media.errors import CancelledError, TakeboardError

__all__ = ["OnStep", "watched_take"]

OnStep = Callable[[int, int], None]


def watched_take(
    code: str, job: ShotJob, recorder: Recorder, make: Callable[[OnStep], Take]
) -> Take:
    """What `make` returns or raises; it is given what `RenderTools.on_step` is to tell.

    `code` is the film's.
    """
    watch = recorder.watch(f"{job.shot_id} take {job.take}", job.request.num_frames)
    recorder.event(shot_started(code, job))
    started = time.monotonic()
    try:
        take = make(watch.step)
    except CancelledError:
        watch.leave("cancelled")
        raise
    except Exception as error:
        watch.end(ok=False, why=error.what if isinstance(error, TakeboardError) else str(error))
        recorder.event(shot_failed(code, job, error, seconds=time.monotonic() - started))
        raise
    watch.end(ok=True)
    recorder.event(shot_finished(code, job, take, seconds=time.monotonic() - started))
    return take
