"""One picture becoming the next: dissolve, wipe, and fades from and to colour."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from editor.timeline import Clip, Edge
from media.colour import split_planes
from storyboards.fields import TransitionKind

__all__ = ["faded", "mixed"]

U8 = NDArray[np.uint8]

WIPE_SOFTNESS = 0.06
"""Width of a wipe's soft edge, as a part of the side it travels along."""

_PLAIN = {"black": (16, 128, 128), "white": (235, 128, 128)}
"""Y, U, V in limited range (ITU-R BT.709-6, part 3)."""


def mixed(going: U8, coming: U8, edge: Edge, index: int) -> U8:
    """Frame `index` (from 0) of the overlap of two pictures; `going` is overwritten with it.

    Pictures are planes `(height * 3 / 2, width) uint8`. Neither end of the overlap repeats its
    neighbour: of n frames, frame i holds (i + 1)/(n + 1) of the picture that comes. A dissolve
    mixes the values as they are shown, as cutting programs do by default: in linear light a dark
    picture vanishes in the first third.
    """
    part = (index + 1) / (edge.num_frames + 1)
    if edge.kind is TransitionKind.WIPE:
        _wipe(going, coming, edge, part)
        return going
    return np.asarray(cv2.addWeighted(going, 1 - part, coming, part, 0, dst=going), np.uint8)


def faded(planes: U8, clip: Clip, frame: int) -> U8:
    """`planes` as the clip's own fades leave frame `frame` of the shot, in place.

    A fade in starts on the plain colour, a fade out ends on it.
    """
    head, tail = clip.head, clip.tail_fade
    if head is not None and head.kind is TransitionKind.FADE and frame < head.num_frames:
        _fade(planes, head, frame / head.num_frames)
    if tail is not None and (left := clip.num_frames - 1 - frame) < tail.num_frames:
        _fade(planes, tail, left / tail.num_frames)
    return planes


def _fade(planes: U8, edge: Edge, kept: float) -> None:
    for plane, colour in zip(split_planes(planes), _PLAIN[edge.colour], strict=True):
        cv2.convertScaleAbs(plane, dst=plane, alpha=kept, beta=colour * (1 - kept))


def _wipe(going: U8, coming: U8, edge: Edge, part: float) -> None:
    """The edge travels in `edge.direction`; behind it is the picture that comes."""
    for old, new in zip(split_planes(going), split_planes(coming), strict=True):
        weights = _come(old.shape, edge, part)
        old[:] = cv2.blendLinear(old, new, 1 - weights, weights)


def _come(shape: tuple[int, ...], edge: Edge, part: float) -> NDArray[np.float32]:
    """`(height, width)` in [0, 1]: how much of the picture that comes is seen."""
    height, width = shape
    sideways = edge.direction in ("left", "right")
    side = width if sideways else height
    along = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
    if edge.direction in ("left", "up"):
        along = 1 - along
    # The soft edge starts before the frame and ends after it, so that both ends are pure.
    front = part * (1 + WIPE_SOFTNESS)
    new = np.clip((front - along) / WIPE_SOFTNESS, 0, 1)
    new = new * new * (3 - 2 * new)
    line = new[None, :] if sideways else new[:, None]
    return np.ascontiguousarray(np.broadcast_to(line, (height, width)))
