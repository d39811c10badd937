"""What a run made: the film's deliverables, how they were made, and what they lack."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from generator.backends.base import Quote
from generator.plan import Plan
from storyboards.film import Film

__all__ = ["Delivered", "MadeFilm"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """One deliverable in one language, on disk."""

    name: str
    lang: str
    film: Path
    captions: tuple[Path, ...]
    timelines: tuple[Path, ...]
    contact_sheets: tuple[Path, ...]
    stems: tuple[Path, ...]
    size: tuple[int, int]
    fps: Fraction
    num_frames: int
    loudness_lufs: float | None
    """Integrated (EBU R128) of the finished file; None: silence."""
    true_peak_db: float | None
    segments_encoded: int
    segments_reused: int
    remarks: tuple[str, ...] = ()
    """What a person should know: unknown sound cues, clamped gains, features left out."""

    @property
    def seconds(self) -> float:
        """Running time."""
        return float(self.num_frames / self.fps)


@dataclass(frozen=True, slots=True)
class MadeFilm:
    """Everything a run made."""

    film: Film
    plan: Plan
    rendered: int
    """Takes made in this run."""
    reused: int
    """Takes that were there."""
    deliveries: tuple[Delivered, ...]
    report: Path
    wall_seconds: float
    clean: bool = False
    """Made without slates."""
    failed: tuple[str, ...] = ()
    """Takes that could not be made and are not in the film, in words."""
    spent: Quote = field(default_factory=Quote)
    """What the takes of this run were quoted at; what was held back or failed is not in it."""
