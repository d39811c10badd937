"""Timelines and sounds that the tests of mix, loudness, captions and delivery share."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from editor.timeline import Clip, ClipMedia, Edge, PlacedSound, Timeline
from media.sound import write_sound
from media.timebase import SAMPLE_RATE

FPS = Fraction(24)
F32 = NDArray[np.float32]


def film_of(
    num_frames: int,
    *,
    sounds: tuple[PlacedSound, ...] = (),
    clips: tuple[Clip, ...] = (),
    fps: Fraction = FPS,
) -> Timeline:
    """A timeline with nothing in it but what is given."""
    return Timeline(
        name="master",
        title="Sample",
        fps=fps,
        size=(64, 48),
        fit="crop",
        lang="en",
        num_frames=num_frames,
        clips=clips,
        sounds=sounds,
    )


def clip_of(
    shot: str, sound: Path | None, start: int, length: int, head: Edge | None = None
) -> Clip:
    """A clip whose picture is never opened."""
    media = ClipMedia(Path("none.mp4"), shot, length, (64, 48), FPS, sound=sound)
    return Clip(shot, media, start, length, head=head)


def noise(seconds: float, db: float, seed: int = 1, channels: int = 2) -> F32:
    """`(channels, samples)` of noise at `db` dBFS RMS with a speech-like spectrum."""
    rng = np.random.default_rng(seed)
    white = rng.standard_normal((channels, round(seconds * SAMPLE_RATE)))
    smooth = np.cumsum(white - white.mean(axis=1, keepdims=True), axis=1)
    pink = smooth - np.apply_along_axis(lambda row: _slow(row), 1, smooth)
    rms = np.sqrt(np.mean(pink**2)) or 1.0
    return np.asarray(pink / rms * 10 ** (db / 20), np.float32)


def _slow(row: NDArray[np.float64]) -> NDArray[np.float64]:
    width = 200
    total = np.cumsum(np.pad(row, (width, 0), mode="edge"))
    return (total[width:] - total[:-width]) / width


def click(length: int = 480) -> F32:
    """`(2, length)`: a short burst that correlates sharply with itself."""
    rng = np.random.default_rng(5)
    return np.asarray(rng.uniform(-0.7, 0.7, (1, length)).repeat(2, axis=0), np.float32)


def place(folder: Path, name: str, audio: F32, start: int, **facts: object) -> PlacedSound:
    """`audio` written to a file and placed at sample `start` on the stem in `facts`."""
    path = folder / f"{name}.wav"
    write_sound(path, audio)
    sound = PlacedSound(name, path, "dialogue", start, audio.shape[1])
    return replace(sound, **facts)  # type: ignore[arg-type]


def lag_of(heard: F32, mark: F32, expected: int, reach: int = 2000) -> int:
    """Samples by which `mark` is late in `heard` against `expected`."""
    low = max(expected - reach, 0)
    window = heard[0, low : expected + reach + mark.shape[1]]
    match = np.correlate(window, mark[0], mode="valid")
    return int(np.argmax(match)) + low - expected
