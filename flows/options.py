"""What a run is asked to do, and how it is shown, recorded and stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Protocol

from flows.approval import Approval
from flows.pool import Lane
from flows.progress import Progress
from flows.recorder import Recorder
from flows.turns import FreeTurns
from generator.plan import ShotJob
from generator.takes import Take, TakeStore
from storyboards.film import Film

if TYPE_CHECKING:
    from flows.farm.readiness import FarmReadiness

__all__ = ["Elsewhere", "FilmOptions", "FilmRun", "preview_size"]

PREVIEW_LINES = 360
"""Shorter side of a preview, in pixels: small enough to draw several times faster than it plays."""


@dataclass(frozen=True, slots=True)
class FilmOptions:
    """What the person asked for."""

    store: Path
    out: Path
    jobs: int
    only: tuple[str, ...] = ()
    """Shots to render; nothing is cut then."""
    preview: bool = False
    slates: bool = True


class Elsewhere(Protocol):
    """Where takes are made that need a device, when not in this process."""

    def readiness(self, film: Film) -> FarmReadiness:
        """What can be made there now; where there is nothing, the film may wait for it."""

    def lane(self, jobs: Sequence[ShotJob]) -> Lane:
        """How many of `jobs`, all that are made there, are under way at a time, and which next."""

    def rendering(self, job: ShotJob, film: Film, store: TakeStore) -> Callable[[], Take]:
        """Having `job` made, to be called in a thread that waits for it."""


@dataclass(frozen=True, slots=True)
class FilmRun:
    """How this run is shown, recorded and stopped."""

    progress: Progress = field(default_factory=Progress)
    recorder: Recorder = field(default_factory=Recorder)
    stop: Event = field(default_factory=Event)
    elsewhere: Elsewhere | None = None
    """None: this process makes all takes itself."""
    approval: Approval = field(default_factory=Approval)
    """Where the film waits for a person."""
    turns: FreeTurns = field(default_factory=FreeTurns)
    """At the cores, where other films are made in this process."""


def preview_size(size: tuple[int, int]) -> tuple[int, int]:
    """`size` scaled so that its shorter side has at most PREVIEW_LINES, in even numbers."""
    scale = min(1.0, PREVIEW_LINES / min(size))
    width, height = (max(64, round(side * scale / 2) * 2) for side in size)
    return width, height
