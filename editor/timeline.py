"""`Timeline`: the film in whole frames of one rate. Everything in the editor meets here.

Clips carry plain media files, so footage shot by hand is as good as a rendered take. Where two
clips overlap, the transition on the later one says what is seen:

    dissolve, wipe   both pictures, mixed over the overlap
    j_cut            the earlier picture stays; the later clip's sound is already heard
    l_cut            the later picture shows; the earlier clip's sound is still heard
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from storyboards.fields import TransitionKind

__all__ = ["Caption", "Clip", "ClipMedia", "Edge", "Overlay", "PlacedSound", "Slate", "Timeline"]

Stem = Literal["dialogue", "effects", "ambience", "music"]


@dataclass(frozen=True, slots=True)
class ClipMedia:
    """A picture file that a clip plays, and what identifies its content."""

    path: Path
    digest: str
    """Take key or SHA-256: same digest, same pixels. Part of the key of cached pieces."""
    num_frames: int
    size: tuple[int, int]
    fps: Fraction
    start_frame: int = 0
    """Frame of the file at which the shot starts."""
    sound: Path | None = None
    """Sound that came with the picture (native audio, own footage), from the same start."""


@dataclass(frozen=True, slots=True)
class Slate:
    """Burnt-in shot information; it belongs to the cut, so takes stay clean."""

    shot: str
    lines: tuple[str, ...]
    """Such as `MCU · push in · 50 mm` and the action."""


@dataclass(frozen=True, slots=True)
class Edge:
    """What happens at the head of a clip (against the clip before) or as a fade at either end."""

    kind: TransitionKind
    num_frames: int
    direction: Literal["left", "right", "up", "down"] = "left"
    colour: Literal["black", "white"] = "black"


@dataclass(frozen=True, slots=True)
class Clip:
    """One take in the cut: film frames [start_frame, start_frame + num_frames)."""

    shot: str
    media: ClipMedia
    start_frame: int
    num_frames: int
    head: Edge | None = None
    """How it takes over from the clip before (its frames = the overlap), or a fade from colour."""
    tail_fade: Edge | None = None
    """A fade to colour over its last frames."""
    slate: Slate | None = None
    lut: Path | None = None
    lut_digest: str = ""
    lut_strength: float = 1.0

    @property
    def end_frame(self) -> int:
        """Film frame after the last."""
        return self.start_frame + self.num_frames


@dataclass(frozen=True, slots=True)
class Overlay:
    """Words over the picture for film frames [start_frame, start_frame + num_frames)."""

    text: str
    subtitle: str
    style: Literal["title", "card", "lower_third", "credit", "caption"]
    start_frame: int
    num_frames: int
    lang: str


@dataclass(frozen=True, slots=True)
class PlacedSound:
    """A sound on a stem, placed to the sample of the film (48 kHz)."""

    name: str
    path: Path
    stem: Stem
    start_sample: int
    num_samples: int
    """As much as is heard; silence follows when the file is shorter."""
    source_start_sample: int = 0
    gain_db: float = 0.0
    fade_in_samples: int = 0
    fade_out_samples: int = 0
    duck_db: float = 0.0
    """How far it goes down under dialogue; 0 = never."""


@dataclass(frozen=True, slots=True)
class Caption:
    """One subtitle, film frames [start_frame, start_frame + num_frames)."""

    start_frame: int
    num_frames: int
    text: str
    speaker: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """One film in one shape and one language."""

    name: str
    title: str
    fps: Fraction
    size: tuple[int, int]
    fit: Literal["crop", "pad"]
    lang: str
    num_frames: int
    clips: tuple[Clip, ...]
    overlays: tuple[Overlay, ...] = ()
    sounds: tuple[PlacedSound, ...] = ()
    captions: tuple[Caption, ...] = ()
    grain: float = 0.0
    """Film grain over the picture, 0 to 1."""
