"""What cues are built of: circular noise, slow wandering, ringing bodies, scattered grains.

Textures are circular: their last sample leads into their first, so they can be turned and
repeated without a seam. Mono arrays are `(samples,) float32`, stereo `(2, samples) float32`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

from media.timebase import SAMPLE_RATE

__all__ = ["Mono", "Rng", "band", "burst", "chirp", "noise", "place", "ring", "scatter", "wander"]

Mono = NDArray[np.float32]
Rng = np.random.Generator


def noise(n: int, rng: Rng, *bands: tuple[float, float, float], channels: int = 2) -> Mono:
    """`(channels, n)` circular noise of unit RMS; each band is (low Hz, high Hz, gain)."""
    frequency = scipy.fft.rfftfreq(n, 1 / SAMPLE_RATE).astype(np.float32)
    shape = np.zeros_like(frequency)
    for low, high, amount in bands:
        shape += np.float32(amount) * band(frequency, low, high)
    spectrum = rng.standard_normal((channels, 2, len(frequency)), dtype=np.float32)
    sound = scipy.fft.irfft((spectrum[:, 0] + 1j * spectrum[:, 1]) * shape, n, axis=-1)
    return np.asarray(sound / max(float(sound.std()), 1e-9), np.float32)


def band(frequency: Mono, low: float, high: float) -> Mono:
    """Gain at `frequency` of a pass band with 12 dB an octave below and 18 above."""
    safe = np.maximum(frequency, 1e-3)
    return np.asarray(1 / ((1 + (low / safe) ** 2) * (1 + (safe / high) ** 3)), np.float32)


def wander(n: int, rng: Rng, every_s: float, low: float, high: float) -> Mono:
    """`(n,)` circular slow random curve between `low` and `high`, turning about each `every_s`."""
    points = max(int(n / SAMPLE_RATE / every_s), 2)
    values = rng.random(points, dtype=np.float32)
    fine = np.arange(points * 16) / 16
    index = fine.astype(int)
    part = (1 - np.cos(np.pi * (fine - index))) / 2
    curve = values[index] * (1 - part) + values[(index + 1) % points] * part
    curve = np.append(curve, curve[0])
    grid = np.linspace(0, len(curve) - 1, n, endpoint=False)
    return np.asarray(
        low + (high - low) * np.interp(grid, np.arange(len(curve)), curve), np.float32
    )


def ring(modes: Sequence[tuple[float, float, float]], seconds: float, rng: Rng) -> Mono:
    """A struck body: each mode is (Hz, seconds to fall by 60 dB, gain); peak about 1."""
    time_s = np.arange(int(seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    sound = np.zeros_like(time_s)
    for frequency, fall_s, amount in modes:
        phase = rng.uniform(-0.4, 0.4)
        wave = np.sin(2 * np.pi * frequency * time_s + phase)
        sound += np.float32(amount) * wave * np.exp(-6.91 * time_s / fall_s)
    return _unit(_tapered(np.asarray(sound * np.minimum(1, time_s / 0.0006), np.float32)))


def burst(seconds: float, low: float, high: float, fall_s: float, rng: Rng) -> Mono:
    """A noise burst between `low` and `high` Hz that falls by 60 dB in `fall_s`; peak 1."""
    n = max(int(seconds * SAMPLE_RATE), 64)
    time_s = np.arange(n, dtype=np.float32) / SAMPLE_RATE
    sound = noise(n, rng, (low, high, 1.0), channels=1)[0] * np.exp(-6.91 * time_s / fall_s)
    return _unit(_tapered(np.asarray(sound * np.minimum(1, time_s / 0.001), np.float32)))


def chirp(
    frequencies: Sequence[float], seconds: float, harmonics: Sequence[float] = (1.0,)
) -> Mono:
    """A tone gliding through `frequencies` in equal steps, with harmonics, swelling and fading."""
    n = int(seconds * SAMPLE_RATE)
    at = np.linspace(0, len(frequencies) - 1, n)
    glide = np.interp(at, np.arange(len(frequencies)), frequencies)
    phase = 2 * np.pi * np.cumsum(glide) / SAMPLE_RATE
    sound = sum(amount * np.sin(phase * (k + 1)) for k, amount in enumerate(harmonics))
    return np.asarray(sound * np.sin(np.linspace(0, np.pi, n)) ** 0.7, np.float32)


def place(stage: Mono, grain: Mono, start: int, pan: float = 0.0, level: float = 1.0) -> None:
    """Add a mono grain to a circular stereo stage; `pan` from -1 (left) to 1 (right)."""
    n = stage.shape[1]
    grain = grain[:n]
    angle = (pan + 1) * np.pi / 4
    start %= n
    first = min(len(grain), n - start)
    for channel, side in enumerate((np.cos(angle), np.sin(angle))):
        amount = np.float32(side * level)
        stage[channel, start : start + first] += grain[:first] * amount
        if first < len(grain):
            stage[channel, : len(grain) - first] += grain[first:] * amount


def scatter(
    n: int, rng: Rng, every_s: float, grain: Callable[[], Mono], spread: float = 0.8
) -> Mono:
    """`(2, n)`: grains at random moments, one each `every_s` on average, at random places."""
    stage = np.zeros((2, n), np.float32)
    for _ in range(max(round(n / SAMPLE_RATE / every_s), 1)):
        level = float(rng.uniform(0.35, 1.0))
        place(stage, grain(), int(rng.integers(n)), float(rng.uniform(-spread, spread)), level)
    return stage


def _tapered(sound: Mono) -> Mono:
    tail = min(len(sound) // 4, 480)
    if tail:
        sound[-tail:] *= np.linspace(1, 0, tail, dtype=np.float32)
    return np.asarray(sound, np.float32)


def _unit(sound: Mono) -> Mono:
    return np.asarray(sound / max(float(np.abs(sound).max(initial=0.0)), 1e-9), np.float32)
