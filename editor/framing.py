"""A picture of one shape brought into a deliverable of another."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from media.colour import split_planes

__all__ = ["framed"]

U8 = NDArray[np.uint8]

BLACK = (16, 128, 128)
"""Y, U, V of black in limited range (ITU-R BT.709-6, part 3)."""


def framed(planes: U8, size: tuple[int, int], fit: Literal["crop", "pad"]) -> U8:
    """`planes` `(height * 3 / 2, width) uint8` in `size`: cropped to fill it, or padded in black.

    A crop loses twice as much below as above: what stands on the upper third, where eyes are
    framed, stays on the upper third. Every edge lies on the chroma grid of 4:2:0.
    """
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    if (width, height) == size:
        return planes
    out: U8 = np.empty((size[1] * 3 // 2, size[0]), np.uint8)
    if fit == "crop":
        x, y, kept_width, kept_height = _kept((width, height), size)
        target = (0, 0, *size)
    else:
        x, y, kept_width, kept_height = 0, 0, width, height
        target = _inner((width, height), size)
    for source, plane, black, step in zip(
        split_planes(planes), split_planes(out), BLACK, (1, 2, 2), strict=True
    ):
        left, top, inner_width, inner_height = (side // step for side in target)
        seen = source[y // step :, x // step :][: kept_height // step, : kept_width // step]
        if target != (0, 0, *size):
            plane[:] = black
        plane[top : top + inner_height, left : left + inner_width] = _scaled(
            seen, (inner_width, inner_height)
        )
    return out


def _kept(source: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, width, height of what a crop shows of the source."""
    scale = max(size[0] / source[0], size[1] / source[1])
    width, height = (
        _even(side / scale, at_most) for side, at_most in zip(size, source, strict=True)
    )
    return (source[0] - width) // 4 * 2, (source[1] - height) // 6 * 2, width, height


def _inner(source: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, width, height of the picture between the bars."""
    scale = min(size[0] / source[0], size[1] / source[1])
    width, height = (
        _even(side * scale, at_most) for side, at_most in zip(source, size, strict=True)
    )
    return (size[0] - width) // 4 * 2, (size[1] - height) // 4 * 2, width, height


def _even(side: float, at_most: int) -> int:
    return max(2, min(at_most, round(side / 2) * 2))


def _scaled(plane: U8, size: tuple[int, int]) -> U8:
    if size == (plane.shape[1], plane.shape[0]):
        return plane
    smaller = size[0] <= plane.shape[1] and size[1] <= plane.shape[0]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(np.ascontiguousarray(plane), size, interpolation=how), np.uint8)
