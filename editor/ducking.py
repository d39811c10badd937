"""How far beds go down under dialogue: one curve for the film, from the dialogue stem.

The curve looks ahead, as a mixer's hand does: the music is already down when the first word
comes, stays down over the breath between two sentences, and rises slowly after the last.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from editor.sound_files import Block
from media.timebase import SAMPLE_RATE

__all__ = ["HOP", "Ducking", "SpeechMeter"]

HOP = SAMPLE_RATE // 200
"""Samples for one value of the curve, 5 ms: shorter than a consonant."""

SPEECH_DBFS = -45.0
"""A stretch is speech above this RMS: whispered lines lie near -35, room tone near -60."""

ATTACK_S = 0.25
"""The fall before a word; shorter is heard as a bump, longer as a bed that fades for no reason."""
HOLD_S = 0.5
"""Pauses up to this long stay ducked: sentences follow each other after about 0.4 s."""
RELEASE_S = 0.9
"""The rise after the last word, slow enough to go unnoticed."""

F32 = NDArray[np.float32]


class SpeechMeter:
    """Notes where the dialogue stem speaks, as it is written block by block."""

    def __init__(self) -> None:
        self._active: list[NDArray[np.bool_]] = []
        self._rest: Block = np.zeros((0, 2), np.float32)

    def add(self, block: Block) -> None:
        """The next block of the stem, of any length."""
        block = np.concatenate([self._rest, block]) if len(self._rest) else block
        whole = len(block) // HOP * HOP
        self._rest = block[whole:]
        if whole:
            power = np.square(block[:whole]).mean(axis=1).reshape(-1, HOP).mean(axis=1)
            self._active.append(power > 10 ** (SPEECH_DBFS / 10))

    def ducking(self) -> Ducking:
        """The curve for all that was added."""
        active = np.concatenate(self._active) if self._active else np.zeros(0, np.bool_)
        return Ducking(_depth(active))


class Ducking:
    """`depth` is 0 (up) to 1 (all the way down), one value every HOP samples."""

    def __init__(self, depth: F32) -> None:
        self._depth = depth

    def gain(self, start: int, num_samples: int, duck_db: float) -> F32 | None:
        """`(num_samples,) float32` factors for a sound that ducks by `duck_db`; None: all 1."""
        first = max(start // HOP - 1, 0)
        last = min((start + num_samples) // HOP + 2, len(self._depth))
        depth = self._depth[first:last]
        if duck_db == 0 or not depth.any():
            return None
        # Interpolating the factors, not the decibels, is cheaper and no different at 5 ms.
        factors = 10 ** (duck_db * depth / 20)
        centres = (np.arange(first, last) + 0.5) * HOP
        at = np.arange(start, start + num_samples)
        return np.asarray(np.interp(at, centres, factors), np.float32)


def _depth(active: NDArray[np.bool_]) -> F32:
    """Distances to the nearest speech before and after, turned into one smooth curve."""
    if not active.any():
        return np.zeros(len(active), np.float32)
    index = np.arange(len(active), dtype=np.float32)
    far = np.float32(1e9)
    last = np.maximum.accumulate(np.where(active, index, -far))
    coming = np.minimum.accumulate(np.where(active, index, far)[::-1])[::-1]
    hops_per_s = SAMPLE_RATE / HOP
    after = 1 - (index - last - HOLD_S * hops_per_s) / (RELEASE_S * hops_per_s)
    before = 1 - (coming - index) / (ATTACK_S * hops_per_s)
    linear = np.clip(np.maximum(after, before), 0, 1)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * linear), np.float32)
