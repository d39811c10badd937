"""The motion brush: parts of the first frame lifted out and sent along their trajectories."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.backends.animatic_art.camera import Matrix, Pose, view_matrix
from generator.backends.animatic_art.planes import Easel, Plane, draw_plane, premultiplied
from generator.backends.base import MotionArea

__all__ = ["Patch", "draw_patches", "lift_patches"]

Rgba = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Patch:
    """A part of the first frame, and what is seen where it was."""

    part: Plane
    behind: Plane
    trajectory: tuple[tuple[float, float], ...]
    metres: tuple[float, float]
    """Size of the first frame at the patch's depth."""


def lift_patches(
    areas: Sequence[MotionArea],
    masks: Mapping[str, Rgba],
    first: Rgba,
    pose: Pose,
    depth_m: float,
) -> tuple[Patch, ...]:
    """Patches of the areas that travel, cut from the first frame `(h, w, 4) uint8 RGBA`."""
    size = (first.shape[1], first.shape[0])
    there = np.array([[1, 0, 0], [0, 1, 0], [0, 0, depth_m], [0, 0, 1.0]])
    world = there @ np.linalg.inv(view_matrix(pose, size) @ there)
    metres = (size[0] / pose.focal * depth_m, size[1] / pose.focal * depth_m)
    patches = []
    for area in areas:
        if len(area.trajectory) < 2:
            continue
        cover = _cover(area, masks, size)
        if cover.max() < 0.02:
            continue
        part, behind = first.copy(), _without(first, cover)
        part[..., 3] = (cover * 255 + 0.5).astype(np.uint8)
        behind[..., 3] = (np.clip(cover * 1.6, 0, 1) * 255 + 0.5).astype(np.uint8)
        planes = [
            Plane(premultiplied(picture), world, depth_m, mirrored=False)
            for picture in (part, behind)
        ]
        patches.append(Patch(_cropped(planes[0]), _cropped(planes[1]), area.trajectory, metres))
    return tuple(patches)


def draw_patches(
    frame: Rgba, patches: Sequence[Patch], pose: Pose, progress: float, easel: Easel
) -> None:
    """Lay the patches over `frame` as far along as `progress` (0 to 1)."""
    for patch in patches:
        draw_plane(frame, patch.behind, pose, easel)
    for patch in patches:
        x, y = _along(patch.trajectory, progress)
        move = np.eye(4)
        move[0, 3], move[1, 3] = x * patch.metres[0], -y * patch.metres[1]
        part = replace(patch.part, world=_moved(move, patch.part.world))
        draw_plane(frame, part, pose, easel)


def _moved(move: Matrix, world: Matrix) -> Matrix:
    return np.asarray(move @ world, np.float64)


def _cover(
    area: MotionArea, masks: Mapping[str, Rgba], size: tuple[int, int]
) -> NDArray[np.float32]:
    """How much of each pixel belongs to the area, with a soft edge."""
    width, height = size
    cover = np.zeros((height, width), np.float32)
    if area.box is not None:
        left, top, right, bottom = area.box
        cover[
            int(top * height) : max(int(bottom * height), int(top * height) + 1),
            int(left * width) : max(int(right * width), int(left * width) + 1),
        ] = 1
    elif area.mask_sha256 in masks:
        mask = masks[area.mask_sha256]
        level = mask[..., :3].max(axis=2).astype(np.float32) * mask[..., 3] / 255
        cover = np.asarray(cv2.resize(level / 255, size, interpolation=cv2.INTER_AREA), np.float32)
    return np.asarray(cv2.GaussianBlur(cover, (0, 0), max(1.0, height / 120)), np.float32)


def _without(first: Rgba, cover: NDArray[np.float32]) -> Rgba:
    """The frame with the area painted over from its surroundings (Telea 2004), small and soft."""
    small = (160, max(2, round(160 * first.shape[0] / first.shape[1])))
    picture = cv2.resize(np.ascontiguousarray(first[..., :3]), small, interpolation=cv2.INTER_AREA)
    hole = (cv2.resize(cover, small, interpolation=cv2.INTER_LINEAR) > 0.03).astype(np.uint8)
    painted = cv2.inpaint(picture, hole, 5, cv2.INPAINT_TELEA)
    big = cv2.resize(painted, (first.shape[1], first.shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.cvtColor(big, cv2.COLOR_RGB2RGBA), np.uint8)


def _cropped(plane: Plane) -> Plane:
    alpha = plane.texture[..., 3]
    rows, columns = np.flatnonzero(alpha.max(axis=1)), np.flatnonzero(alpha.max(axis=0))
    top, left = int(rows[0]), int(columns[0])
    texture = plane.texture[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    back = np.array([[1, 0, left], [0, 1, top], [0, 0, 1.0]])
    return replace(plane, texture=np.ascontiguousarray(texture), world=plane.world @ back)


def _along(points: Sequence[tuple[float, float]], progress: float) -> tuple[float, float]:
    """The displacement from the first point after `progress` of the way, at an even pace."""
    steps = [math.dist(a, b) for a, b in itertools.pairwise(points)]
    left = progress * sum(steps)
    for (ax, ay), (bx, by), step in zip(points[:-1], points[1:], steps, strict=True):
        if left <= step and step > 0:
            share = left / step
            return ax + (bx - ax) * share - points[0][0], ay + (by - ay) * share - points[0][1]
        left -= step
    return points[-1][0] - points[0][0], points[-1][1] - points[0][1]
