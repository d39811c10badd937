"""What belongs to the process that runs a flow and cannot be one of its parameters."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Event

from flows.progress import Progress

__all__ = ["THIS_PROCESS", "Process"]


@dataclass(frozen=True, slots=True)
class Process:
    """The display and the stop signal of this process; a worker has neither by default."""

    progress: Progress = field(default_factory=Progress)
    stop: Event = field(default_factory=Event)


THIS_PROCESS: ContextVar[Process | None] = ContextVar("this_process", default=None)
