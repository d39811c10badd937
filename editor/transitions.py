"""One picture becoming the next: dissolve, wipe, and fades from and to colour."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from editor.timeline import Clip, Edge
from storyboards.fields import TransitionKind

__all__ = ["faded", "mixed"]

U8 = NDArray[np.uint8]

WIPE_SOFTNESS = 0.06
"""Width of a wipe's soft edge, as a part of the side it travels along."""


def mixed(going: U8, coming: U8, edge: Edge, index: int) -> U8:
    """Frame `index` (from 0) of the overlap of two pictures, `(height, width, 3) uint8 RGB`.

    Neither end of the overlap repeats its neighbour: of n frames, frame i holds (i + 1)/(n + 1)
    of the picture that comes. A dissolve mixes the values as they are shown, as cutting programs
    do by default: in linear light a dark picture vanishes in the first third.
    """
    part = (index + 1) / (edge.num_frames + 1)
    if edge.kind is TransitionKind.WIPE:
        return _wiped(going, coming, edge, part)
    return np.asarray(cv2.addWeighted(going, 1 - part, coming, part, 0), np.uint8)


def faded(rgb: U8, clip: Clip, frame: int) -> U8:
    """`rgb` as the clip's own fades leave frame `frame` of the shot.

    A fade in starts on the plain colour, a fade out ends on it.
    """
    head, tail = clip.head, clip.tail_fade
    if head is not None and head.kind is TransitionKind.FADE and frame < head.num_frames:
        rgb = _towards(rgb, head, frame / head.num_frames)
    if tail is not None and (left := clip.num_frames - 1 - frame) < tail.num_frames:
        rgb = _towards(rgb, tail, left / tail.num_frames)
    return rgb


def _towards(rgb: U8, edge: Edge, kept: float) -> U8:
    offset = 255 * (1 - kept) if edge.colour == "white" else 0
    return np.asarray(cv2.addWeighted(rgb, kept, rgb, 0, offset), np.uint8)


def _wiped(going: U8, coming: U8, edge: Edge, part: float) -> U8:
    """The edge travels in `edge.direction`; behind it is the picture that comes."""
    height, width = going.shape[:2]
    sideways = edge.direction in ("left", "right")
    along = np.linspace(0, 1, width if sideways else height, dtype=np.float32)
    if edge.direction in ("left", "up"):
        along = 1 - along
    # The soft edge starts before the frame and ends after it, so that both ends are pure.
    front = part * (1 + WIPE_SOFTNESS)
    new = np.clip((front - along) / WIPE_SOFTNESS, 0, 1)
    new = new * new * (3 - 2 * new)
    line = new[None, :] if sideways else new[:, None]
    weights = np.ascontiguousarray(np.broadcast_to(line, (height, width)))
    return np.asarray(cv2.blendLinear(going, coming, 1 - weights, weights), np.uint8)
