"""What belongs to the process that runs a flow and cannot be one of its parameters."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Event

from prefect.client.schemas.objects import State

from flows.made import MadeFilm
from flows.progress import Progress
from storyboards.film import Film

__all__ = ["THIS_PROCESS", "Process"]


@dataclass(slots=True)
class Process:
    """The film as the command line read it, its display, its stop signal and how it ended."""

    film: Film
    progress: Progress = field(default_factory=Progress)
    stop: Event = field(default_factory=Event)
    end: State[MadeFilm] | None = None
    """Set by the flow: known here even when the server never hears of it."""
    begun: Callable[[str], None] = lambda run: None
    """Told the id of the flow run as it begins."""


THIS_PROCESS: ContextVar[Process | None] = ContextVar("this_process", default=None)
"""None on a worker, which has only the flow's parameters."""
