"""What can be asked of the sound department, and the key under which it is kept.

A request holds everything that changes the samples and nothing else: no shot id, no place in
the film. Moving or renaming a shot therefore costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from generator.keys import content_digest
from generator.sound.speech import Voice

__all__ = [
    "REVISION",
    "BedRequest",
    "CueRequest",
    "FileRequest",
    "LineRequest",
    "SoundRequest",
    "sound_key",
]

REVISION = 1
"""Raised whenever the same request would give other samples: kept sounds are then made anew."""


@dataclass(frozen=True, slots=True)
class LineRequest:
    """A line of dialogue to speak."""

    text: str
    voice: Voice
    delivery: str
    max_samples: int
    """The line is hurried when it would last longer."""


@dataclass(frozen=True, slots=True)
class CueRequest:
    """Ambience or an effect to synthesise from words."""

    cue: str
    kind: Literal["ambience", "sfx"]
    num_samples: int
    seed: int


@dataclass(frozen=True, slots=True)
class BedRequest:
    """Music to compose to exactly this length."""

    prompt: str
    num_samples: int
    seed: int


@dataclass(frozen=True, slots=True)
class FileRequest:
    """A file of the user's, at 48 kHz; brought to `lufs` unless that is None."""

    sha256: str
    lufs: float | None
    loop_samples: int = 0
    """A shorter file is repeated up to this length, each turn cross-faded into the next."""


SoundRequest = LineRequest | CueRequest | BedRequest | FileRequest


def sound_key(request: SoundRequest) -> str:
    """SHA-256 (hex) of the request and of the revision that carries it out."""
    return content_digest("takeboard-sound", REVISION, type(request).__name__, request)
