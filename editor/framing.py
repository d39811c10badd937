"""A picture of one shape brought into a deliverable of another."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["framed"]

U8 = NDArray[np.uint8]


def framed(rgb: U8, size: tuple[int, int], fit: Literal["crop", "pad"]) -> U8:
    """`rgb` `(height, width, 3) uint8 RGB` in `size`: cropped to fill it, or padded with black.

    A crop loses twice as much below as above: what stands on the upper third, where eyes are
    framed, stays on the upper third.
    """
    height, width = rgb.shape[:2]
    if (width, height) == size:
        return rgb
    if fit == "crop":
        return _scaled(_cropped(rgb, size), size)
    return _padded(rgb, size)


def _cropped(rgb: U8, size: tuple[int, int]) -> U8:
    height, width = rgb.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    kept_width, kept_height = (
        max(1, min(width, round(size[0] / scale))),
        max(1, min(height, round(size[1] / scale))),
    )
    left, top = (width - kept_width) // 2, (height - kept_height) // 3
    return rgb[top : top + kept_height, left : left + kept_width]


def _padded(rgb: U8, size: tuple[int, int]) -> U8:
    height, width = rgb.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = (
        max(1, min(size[0], round(width * scale))),
        max(1, min(size[1], round(height * scale))),
    )
    canvas: U8 = np.zeros((size[1], size[0], 3), np.uint8)
    # Even offsets keep the bars' edge on the chroma grid of 4:2:0.
    left, top = (size[0] - inner[0]) // 4 * 2, (size[1] - inner[1]) // 4 * 2
    canvas[top : top + inner[1], left : left + inner[0]] = _scaled(rgb, inner)
    return canvas


def _scaled(rgb: U8, size: tuple[int, int]) -> U8:
    if size == (rgb.shape[1], rgb.shape[0]):
        return rgb
    smaller = size[0] <= rgb.shape[1] and size[1] <= rgb.shape[0]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(np.ascontiguousarray(rgb), size, interpolation=how), np.uint8)
