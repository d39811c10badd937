"""Shots that pictures show all of: a move over each board, and a short dissolve to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.backends.animatic_art.camera import Pose
from generator.backends.animatic_art.drawing import Drawing, Scene
from generator.backends.animatic_art.keys import HeldPicture
from generator.backends.animatic_art.scene import build_scene
from generator.backends.base import RenderRequest

__all__ = ["Boards", "are_boards"]

Rgba = NDArray[np.uint8]

_DISSOLVE_FRAMES = 12
_SETTLE = 0.03
"""How much nearer a take that is gone on from comes while it is held: the move before it runs out
instead of stopping dead."""


def are_boards(request: RenderRequest, keys: Sequence[HeldPicture]) -> bool:
    """Whether the held pictures show the whole shot: one stands at the first frame, none is only
    a hint, and nobody comes in that they do not show yet."""
    if not keys or keys[0].frame != 0 or any(key.strength < 1 for key in keys):
        return False
    return not any(place.enters for place in request.description.placements)


class Boards:
    """Draws frames of a shot from its boards. Each frame is valid until the next one is asked
    for."""

    def __init__(
        self, request: RenderRequest, assets: Mapping[str, Path], keys: Sequence[HeldPicture]
    ) -> None:
        scenes = [build_scene(request, assets, key) for key in keys]
        if request.continue_from is not None and len(keys) == 1:
            scenes = [_settling(scenes[0], request.num_frames)]
        self.scene = scenes[0]
        self._keys = tuple(keys)
        self._drawings = [Drawing(scene) for scene in scenes]
        self.easel = self._drawings[0].easel
        self._dissolves = [_dissolve(a.frame, b.frame) for a, b in pairwise(keys)]
        self._mixed = np.empty((request.size[1], request.size[0], 4), np.uint8)

    @property
    def num_bytes(self) -> int:
        """Memory of the boards, their textures and the buffers."""
        pictures = sum(key.picture.nbytes for key in self._keys)
        return pictures + sum(drawing.num_bytes for drawing in self._drawings)

    def frame(self, at: int) -> Rgba:
        """Frame `at`, `(h, w, 4) uint8 RGBA`, opaque."""
        for key in self._keys:
            if key.frame == at:
                return key.picture
        board = sum(at >= after for _, after in self._dissolves)
        if board == len(self._dissolves) or at < self._dissolves[board][0]:
            return self._drawings[board].frame(at)
        first, after = self._dissolves[board]
        share = (at - first + 1) / (after - first + 1)
        share = share * share * (3 - 2 * share)
        one, other = (drawing.frame(at) for drawing in self._drawings[board : board + 2])
        return np.asarray(
            cv2.addWeighted(one, 1 - share, other, share, 0, dst=self._mixed), np.uint8
        )


def _dissolve(first: int, last: int) -> tuple[int, int]:
    """First frame and frame after the last of the dissolve from the board at `first` to that at
    `last`: late in the way, with some of it left for the new board to move before it stands."""
    length = min(_DISSOLVE_FRAMES, (last - first) // 3)
    start = first + max(1, round(0.6 * (last - first)))
    return min(start, last), min(start + length, last)


def _settling(scene: Scene, num_frames: int) -> Scene:
    return replace(scene, pose_at=_nearing(scene.pose_at, num_frames), still=False)


def _nearing(pose_at: Callable[[int], Pose], num_frames: int) -> Callable[[int], Pose]:
    def pose(at: int) -> Pose:
        left = max(0.0, 1 - at / max(1, num_frames - 1))
        there = pose_at(at)
        return replace(there, focal=there.focal * (1 + _SETTLE * (1 - left * left)))

    return pose
