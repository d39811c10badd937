"""Film grain over the finished picture: other in every frame, the same in every cutting.

The picture is grained at the size that it is delivered in, so that grain is never enlarged or
cropped with it, and under titles and slates, which lie on top.
"""

from __future__ import annotations

from functools import lru_cache
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from media.colour import split_planes

__all__ = ["add_grain"]

U8 = NDArray[np.uint8]
I8 = NDArray[np.int8]

FULL_LEVELS = 14.0
"""Standard deviation in luma levels, in the middle greys, of a strength of 1: pushed 16 mm film."""

_SIZE_OF_GRAIN = 0.6 / 1080
"""Standard deviation of a grain's blur, as part of the picture's shorter side."""

_MARGIN = 256
"""Pixels by which the sheet of grain is larger than the picture: frames look at parts of it."""

_UNIT = 32.0
"""Levels of the sheet that are one standard deviation."""


def add_grain(planes: U8, strength: float, take: str, frame: int) -> None:
    """Grain Y of `planes` `(height * 3 / 2, width) uint8` in place, by `strength` from 0 to 1.

    `take` (any text that tells takes apart) and the `frame` of the shot choose the grain, so a
    shot carries its own wherever it stands. As in the Boolean model of film, its variance goes
    with u (1 - u) of the exposure u: most in the middle, none in pure black and white (Newson,
    Delon, Galerne: A Stochastic Film Grain Model for Resolution-Independent Rendering, 2017).
    """
    luma = split_planes(planes)[0]
    sheet = _sheet((luma.shape[1], luma.shape[0]))
    chance = crc32(f"{take} {frame}".encode())
    top, left, turned = chance % _MARGIN, chance // _MARGIN % _MARGIN, chance >> 16 & 3
    grain = sheet[top : top + luma.shape[0], left : left + luma.shape[1]]
    grain = grain[:: -1 if turned & 1 else 1, :: -1 if turned & 2 else 1]
    scale = strength * FULL_LEVELS / _UNIT
    levels = cv2.multiply(
        np.ascontiguousarray(grain), cv2.LUT(luma, _BY_LUMA), scale=scale, dtype=cv2.CV_32F
    )
    luma[:] = cv2.add(luma, levels, dtype=cv2.CV_8U)


@lru_cache(maxsize=4)
def _sheet(size: tuple[int, int]) -> I8:
    """Grain for pictures of `size`, `(height + margin, width + margin) int8`."""
    shape = (size[1] + _MARGIN, size[0] + _MARGIN)
    noise = np.random.Generator(np.random.PCG64(1)).standard_normal(shape, np.float32)
    blur = max(0.35, min(size) * _SIZE_OF_GRAIN)
    soft = cv2.GaussianBlur(noise, (0, 0), blur)
    sheet: I8 = np.clip(np.rint(soft * (_UNIT / soft.std())), -127, 127).astype(np.int8)
    return sheet


def _by_luma() -> NDArray[np.float32]:
    """How much of the grain each level of limited-range luma takes: 1 in the middle."""
    exposure = np.clip((np.arange(256) - 16) / 219, 0, 1)
    return np.sqrt(4 * exposure * (1 - exposure)).astype(np.float32)


_BY_LUMA = _by_luma()
