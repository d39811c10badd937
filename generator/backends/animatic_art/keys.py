"""Pictures that must stand at a frame: held there exactly, moving with the camera around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.backends.animatic_art.camera import Pose, view_matrix
from generator.backends.animatic_art.drawing import Drawing

__all__ = ["HeldPicture", "KeyedDrawing", "cover"]

Rgba = NDArray[np.uint8]

_BLEND_S = 0.7
"""Seconds from a held picture to the drawn scene: about the length of a short dissolve."""


@dataclass(frozen=True, slots=True)
class HeldPicture:
    """A picture `(h, w, 4) uint8 RGBA` of the frame's size that stands at `frame`."""

    frame: int
    picture: Rgba
    strength: float


def cover(picture: Rgba, size: tuple[int, int]) -> Rgba:
    """The picture scaled to cover a frame of `size` and cropped to its middle, opaque."""
    height, width = picture.shape[:2]
    opaque = _on_black(picture)
    if (width, height) == size:
        return opaque
    scale = max(size[0] / width, size[1] / height)
    scaled = (max(size[0], round(width * scale)), max(size[1], round(height * scale)))
    filter_ = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    big = cv2.resize(opaque, scaled, interpolation=filter_)
    left, top = (scaled[0] - size[0]) // 2, (scaled[1] - size[1]) // 2
    return np.ascontiguousarray(big[top : top + size[1], left : left + size[0]])


class KeyedDrawing:
    """A drawn scene with its held pictures. Each frame is valid until the next one is asked for."""

    def __init__(self, drawing: Drawing, keys: Sequence[HeldPicture], fps: Fraction) -> None:
        self.scene, self.easel = drawing.scene, drawing.easel
        self._drawing, self._keys, self._fps = drawing, tuple(keys), fps

    @property
    def num_bytes(self) -> int:
        """Memory of the pictures, the textures and the buffers."""
        return self._drawing.num_bytes + sum(key.picture.nbytes for key in self._keys)

    def frame(self, at: int) -> Rgba:
        """Frame `at`, `(h, w, 4) uint8 RGBA`: the scene, or at and around a key its picture, which
        carries on with the camera's move at the action's depth, so that it does not freeze."""
        nearest = min(self._keys, key=lambda key: abs(key.frame - at), default=None)
        if nearest is None:
            return self._drawing.frame(at)
        distance = abs(nearest.frame - at)
        if distance == 0 and nearest.strength >= 1:
            return nearest.picture
        share = nearest.strength * _fade(distance / float(_BLEND_S * self._fps))
        if share <= 0:
            return self._drawing.frame(at)
        moved, pose_at = nearest.picture, self.scene.pose_at
        if distance:
            moved = _moved(nearest, pose_at(at), pose_at(nearest.frame), self.scene.depth_m)
        if share >= 1:
            return moved
        drawn = self._drawing.frame(at)
        return np.asarray(cv2.addWeighted(moved, share, drawn, 1 - share, 0), np.uint8)


def _fade(distance: float) -> float:
    """1 at the key, still almost 1 next to it, 0 from distance 1 on."""
    left = min(1.0, max(0.0, 1 - distance))
    return left * left * (3 - 2 * left)


def _moved(key: HeldPicture, now: Pose, then: Pose, depth_m: float) -> Rgba:
    height, width = key.picture.shape[:2]
    there = np.array([[1, 0, 0], [0, 1, 0], [0, 0, depth_m], [0, 0, 1.0]])
    to_then = view_matrix(then, (width, height)) @ there
    to_now = view_matrix(now, (width, height)) @ there
    if abs(float(np.linalg.det(to_then))) < 1e-12:
        return key.picture
    matrix = to_now @ np.linalg.inv(to_then)
    matrix = matrix / matrix[2, 2]
    return np.asarray(
        cv2.warpAffine(
            key.picture, matrix[:2], (width, height), flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        np.uint8,
    )  # fmt: skip


def _on_black(picture: Rgba) -> Rgba:
    if picture[..., 3].min() == 255:
        return picture
    alpha = picture[..., 3:].astype(np.uint16)
    out = picture.copy()
    out[..., :3] = (picture[..., :3].astype(np.uint16) * alpha + 127) // 255
    out[..., 3] = 255
    return out
