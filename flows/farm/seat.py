"""Where a flow run sits when a worker runs it: what its process keeps warm, and its stop signal."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Event

from flows.farm.watching import RunWatch
from flows.turns import Turns
from generator.backends.base import Backend

__all__ = ["THIS_SEAT", "Seat"]


@dataclass(frozen=True, slots=True)
class Seat:
    """What a flow run finds in the process of its worker."""

    worker: str
    pool: str
    backends: Mapping[str, Backend]
    """The same objects for every run of the process: what they loaded stays loaded."""
    stop: Event
    """Set when the run is cancelled; it ends at its next step."""
    turns: Turns | None = None
    """Of all films of the process, at its cores."""
    watch: RunWatch | None = None
    """Over all takes that films of the process wait for."""


THIS_SEAT: ContextVar[Seat | None] = ContextVar("this_seat", default=None)
"""None in a run that no worker of ours runs."""
