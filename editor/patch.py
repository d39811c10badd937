"""A small picture with transparency, laid over part of a frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from media.colour import split_planes, to_yuv

__all__ = ["Patch", "lay_over", "make_patch"]

U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Patch:
    """Colour already multiplied by its alpha, and what is left of the picture beneath.

    Both are stacked planes `(height * 3 / 2, width) uint8`. The rectangle lies on the chroma
    grid: left, top, width and height are even.
    """

    x: int
    y: int
    colour: U8
    """Y, U and V, premultiplied."""
    beneath: U8
    """255 − alpha for each of the three planes."""


def make_patch(rgb: U8, alpha: NDArray[np.float32], x: int, y: int) -> Patch:
    """`rgb` `(h, w, 3) uint8` with straight `alpha` `(h, w)` in [0, 1], at `x`, `y`."""
    left, top = x % 2, y % 2
    right, bottom = (left + rgb.shape[1]) % 2, (top + rgb.shape[0]) % 2
    edges = ((top, bottom), (left, right))
    seen = np.pad(alpha, edges)[:, :, None]
    colour = to_yuv(np.pad(rgb, (*edges, (0, 0))).astype(np.float32)) * seen
    around = np.repeat(255 - 255 * seen, 3, axis=2)
    return Patch(x - left, y - top, _stacked(colour), _stacked(around))


def lay_over(planes: U8, patch: Patch) -> None:
    """Lay `patch` over `planes` `(height * 3 / 2, width)`, in place; what sticks out is cut."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    left, top = max(0, patch.x), max(0, patch.y)
    right = min(width, patch.x + patch.colour.shape[1])
    bottom = min(height, patch.y + patch.colour.shape[0] * 2 // 3)
    if left >= right or top >= bottom:
        return
    parts = zip(*(split_planes(one) for one in (planes, patch.colour, patch.beneath)), strict=True)
    for (plane, colour, beneath), step in zip(parts, (1, 2, 2), strict=True):
        x, y = patch.x // step, patch.y // step
        rows, columns = slice(top // step, bottom // step), slice(left // step, right // step)
        inside = np.s_[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
        target = plane[rows, columns]
        dimmed = cv2.multiply(target, beneath[inside], scale=1 / 255)
        target[:] = cv2.add(dimmed, colour[inside])


def _stacked(pixels: NDArray[np.float32]) -> U8:
    """`(height, width, 3) float32` of even height and width as stacked planes."""
    height, width = pixels.shape[:2]
    planes: U8 = np.empty((height * 3 // 2, width), np.uint8)
    half = cv2.resize(pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    y, u, v = split_planes(planes)
    y[:], u[:], v[:] = np.rint(pixels[:, :, 0]), np.rint(half[:, :, 1]), np.rint(half[:, :, 2])
    return planes
