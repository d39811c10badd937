"""A small picture with transparency, laid over part of a frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Patch", "lay_over", "make_patch"]

U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Patch:
    """Colour already multiplied by its alpha, and what is left of the picture beneath."""

    x: int
    y: int
    colour: U8
    """`(height, width, 3) uint8 RGB`, premultiplied."""
    beneath: U8
    """`(height, width, 3) uint8`: 255 − alpha in every channel."""


def make_patch(rgb: U8, alpha: NDArray[np.float32], x: int, y: int) -> Patch:
    """`rgb` `(h, w, 3) uint8` with straight `alpha` `(h, w)` in [0, 1], at `x`, `y`."""
    wide = np.repeat(alpha[:, :, None], 3, axis=2)
    colour = np.rint(rgb * wide).astype(np.uint8)
    return Patch(x, y, colour, np.rint(255 - 255 * wide).astype(np.uint8))


def lay_over(frame: U8, patch: Patch) -> None:
    """Lay `patch` over `frame` `(height, width, 3) uint8 RGB`, in place; what sticks out is cut."""
    height, width = frame.shape[:2]
    left, top = max(0, patch.x), max(0, patch.y)
    right = min(width, patch.x + patch.colour.shape[1])
    bottom = min(height, patch.y + patch.colour.shape[0])
    if left >= right or top >= bottom:
        return
    inside = np.s_[top - patch.y : bottom - patch.y, left - patch.x : right - patch.x]
    target = frame[top:bottom, left:right]
    dimmed = cv2.multiply(target, patch.beneath[inside], scale=1 / 255)
    target[:] = cv2.add(dimmed, patch.colour[inside])
