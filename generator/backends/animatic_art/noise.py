"""Seeded randomness that is the same in every process: named streams, wobble, soft clouds."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Wobble", "clouds", "stream"]


def stream(*names: object) -> np.random.Generator:
    """A generator of its own for each purpose, so that one more draw here changes nothing there."""
    digest = hashlib.sha256("\x1f".join(str(name) for name in names).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


@dataclass(frozen=True, slots=True)
class Wobble:
    """Band-limited noise in about [-1, 1]: a sum of a few slow sines, smooth at any frame rate."""

    frequencies_hz: tuple[float, ...]
    phases: tuple[float, ...]
    weights: tuple[float, ...]

    @classmethod
    def seeded(cls, low_hz: float, high_hz: float, *names: object) -> Wobble:
        """Five sines between the two frequencies; the slow ones carry more, as in a hand."""
        rng = stream("wobble", *names)
        frequencies = np.geomspace(low_hz, high_hz, 5) * rng.uniform(0.85, 1.15, 5)
        weights = frequencies**-0.7
        weights /= math.sqrt(float((weights**2).sum()) / 2) * 1.6
        phases = rng.uniform(0, 2 * math.pi, 5)
        return cls(tuple(frequencies.tolist()), tuple(phases.tolist()), tuple(weights.tolist()))

    def at(self, time_s: float) -> float:
        """The value at a time."""
        return sum(
            weight * math.sin(2 * math.pi * frequency * time_s + phase)
            for frequency, phase, weight in zip(
                self.frequencies_hz, self.phases, self.weights, strict=True
            )
        )


def clouds(
    rng: np.random.Generator, size: tuple[int, int], cells: tuple[float, float], octaves: int = 5
) -> NDArray[np.float32]:
    """Fractal value noise, `(height, width) float32 in [0, 1]`, `cells` blobs across and down."""
    width, height = size
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        across = max(2, round(cells[0] * 2**octave)) + 3
        down = max(2, round(cells[1] * 2**octave)) + 3
        if across > width or down > height:
            break
        grid = rng.random((down, across), dtype=np.float32)
        big = cv2.resize(
            grid,
            (width * across // max(1, across - 3) + 1, height * down // max(1, down - 3) + 1),
            interpolation=cv2.INTER_CUBIC,
        )
        total += big[:height, :width] * np.float32(0.55**octave)
    low, high = float(total.min()), float(total.max())
    return np.asarray((total - low) / max(high - low, 1e-6), np.float32)
