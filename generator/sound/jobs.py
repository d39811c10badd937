"""What is planned of a cut's sound: jobs and their places, lines that takes speak, and losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from generator.sound.requests import SoundRequest, sound_key
from storyboards.film import Asset

__all__ = ["Kind", "NativeLine", "SoundJob", "SoundLoss", "SoundPlan", "Spoken", "Stem"]

Stem = Literal["dialogue", "effects", "ambience", "music"]
Kind = Literal["line", "ambience", "sfx", "music"]


@dataclass(frozen=True, slots=True)
class Spoken:
    """The line behind a sound, for captions and for mouths that move."""

    text: str
    speaker: str
    """Name of the character, as captions show it."""
    lang: str
    """The language of `text`: another than asked for when the line has no translation."""


@dataclass(frozen=True, slots=True)
class SoundJob:
    """A sound to make or fetch, and its place on a stem."""

    kind: Kind
    name: str
    """For people: the shot and what is heard."""
    request: SoundRequest
    shot: str
    """The shot that it belongs to (the first of several)."""
    stem: Stem
    start_sample: int
    num_samples: int
    """As much as is heard at most."""
    gain_db: float = 0.0
    fade_in_samples: int = 0
    fade_out_samples: int = 0
    duck_db: float = 0.0
    asset: Asset | None = None
    """The user's file, when the request is for one."""
    spoken: Spoken | None = None

    @property
    def key(self) -> str:
        """What the made sound is kept under."""
        return sound_key(self.request)


@dataclass(frozen=True, slots=True)
class NativeLine:
    """A line that is spoken in the take's own sound: for captions and the dialogue stem."""

    shot: str
    spoken: Spoken
    start_sample: int
    num_samples: int
    """As long as saying it takes by estimate: nobody tells when a model speaks."""


@dataclass(frozen=True, slots=True)
class SoundLoss:
    """Something the storyboard asks for that will not be heard."""

    shot: str
    """Empty: of the whole film."""
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class SoundPlan:
    """Jobs in the order of their stems, then of the film; and what is lost."""

    jobs: tuple[SoundJob, ...]
    losses: tuple[SoundLoss, ...]
    native: frozenset[str] = frozenset()
    """Shots whose take is heard with its own sound."""
    native_lines: tuple[NativeLine, ...] = ()

    @property
    def speaking(self) -> frozenset[str]:
        """Shots whose own sound holds speech."""
        return frozenset(line.shot for line in self.native_lines)
