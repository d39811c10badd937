"""Run pieces of work a few at a time, each as soon as what it needs is there.

One failure does not stop the rest: what needs the failed piece is left out, everything else is
finished and kept. Ctrl-C sets `stop`; pieces under way see it at their next step.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from typing import Generic, TypeVar

from media.errors import CancelledError, TakeboardError

__all__ = ["Outcome", "Work", "run_all"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """One piece: what to call, and the names of the pieces that must succeed first."""

    run: Callable[[], T]
    needs: tuple[str, ...] = ()


@dataclass(slots=True)
class Outcome(Generic[T]):
    """What came of a set of work, by name. `left_out` names the failed piece that each needed."""

    done: dict[str, T] = field(default_factory=dict)
    failed: dict[str, TakeboardError] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def run_all(work: Mapping[str, Work[T]], *, jobs: int, stop: Event) -> Outcome[T]:
    """Run everything, at most `jobs` at a time. Raises CancelledError once `stop` is set.

    Errors that are no TakeboardError are defects: they set `stop` and rise as they are.
    """
    outcome: Outcome[T] = Outcome()
    waiting = dict(work)
    running: dict[Future[T], str] = {}
    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="takeboard") as pool:
        try:
            while waiting or running:
                _leave_out(waiting, outcome)
                for name in _ready(waiting, outcome)[: jobs - len(running)]:
                    context = contextvars.copy_context()
                    running[pool.submit(context.run, waiting.pop(name).run)] = name
                if not running:
                    break
                # The time limit lets the main thread see a signal even where a wait blocks it.
                finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in finished:
                    _collect(running.pop(future), future, outcome)
                if stop.is_set():
                    raise _cancelled()
        except BaseException:
            stop.set()
            for future in running:
                future.cancel()
            raise
    if waiting:
        raise ValueError(f"work needs what is not there, or itself: {', '.join(waiting)}")
    return outcome


def _leave_out(waiting: dict[str, Work[T]], outcome: Outcome[T]) -> None:
    lost = outcome.failed.keys() | outcome.left_out.keys()
    while missing := {
        name: need for name, piece in waiting.items() for need in piece.needs if need in lost
    }:
        for name, need in missing.items():
            outcome.left_out[name] = need
            del waiting[name]
        lost = outcome.failed.keys() | outcome.left_out.keys()


def _ready(waiting: Mapping[str, Work[T]], outcome: Outcome[T]) -> list[str]:
    return [
        name for name, piece in waiting.items() if all(need in outcome.done for need in piece.needs)
    ]


def _collect(name: str, future: Future[T], outcome: Outcome[T]) -> None:
    error = future.exception()
    if error is None:
        outcome.done[name] = future.result()
    elif isinstance(error, CancelledError):
        raise _cancelled() from error
    elif isinstance(error, TakeboardError):
        outcome.failed[name] = error
    else:
        raise error


def _cancelled() -> CancelledError:
    """The whole run's: which piece happened to notice first tells a person nothing."""
    return CancelledError("cancelled", todo="run again to go on where this stopped")
