"""Painted planes in space: a texture, where it stands, and its trip onto the frame.

Textures are premultiplied `(height, width, 4) uint8 RGBA`. A plane's `world` matrix `(4, 3)`
takes a texture pixel (u, v, 1) to a homogeneous point in metres, so an upright card and the
ground are the same thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.backends.animatic_art.camera import Matrix, Pose, view_matrix

__all__ = [
    "Plane",
    "card",
    "draw_plane",
    "fitted",
    "over",
    "premultiplied",
    "reference_card",
    "reference_ground",
]

Texture = NDArray[np.uint8]

_NEAREST_M = 0.35
"""A card nearer than this has been passed by the camera."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A texture in space. Opaque planes cover the frame and carry on mirrored past their edges."""

    texture: Texture
    world: Matrix
    depth_m: float
    """Of its middle, for focus and order."""
    opaque: bool = False
    mirrored: bool = True
    """Carry on mirrored past the edges; a figure does not."""
    rows: tuple[float, float] | None = None
    """First painted row and row after the last (infinite where paint meets the edge), if known:
    what is clear is not worth a warp."""


def card(
    texture: Texture,
    metres_per_px: float,
    at: tuple[float, float, float],
    *,
    foot: tuple[float, float],
) -> Plane:
    """An upright card whose texture point `foot` (u, v) stands at `at` (x, y, z metres)."""
    x, y, z = at
    scale = metres_per_px
    world = np.array(
        [[scale, 0, x - foot[0] * scale], [0, -scale, y + foot[1] * scale], [0, 0, z], [0, 0, 1.0]]
    )
    return Plane(texture, world, z, mirrored=False)


def reference_card(focal: float, depth_m: float, centre: tuple[float, float]) -> Matrix:
    """`world` of a picture taken from the origin at `focal` pixels, its axis at `centre`, hung at
    `depth_m`."""
    scale = depth_m / focal
    return np.array(
        [
            [scale, 0, -centre[0] * scale],
            [0, -scale, centre[1] * scale],
            [0, 0, depth_m],
            [0, 0, 1.0],
        ]
    )


def reference_ground(focal: float, height_m: float, centre: tuple[float, float]) -> Matrix:
    """`world` of a picture taken from `height_m` over flat ground, laid down on that ground.

    The pixel `v` rows under the horizon sees the ground at z = height · focal / v.
    """
    u, v = centre
    return np.array(
        [
            [1, 0, -u],
            [0, -1, v],
            [0, 0, focal],
            [0, 1 / height_m, -v / height_m],
        ]
    )


def premultiplied(rgba: NDArray[np.uint8]) -> Texture:
    """Colour times opacity, so that filtering and blending need no division."""
    alpha = rgba[..., 3:].astype(np.uint16)
    out = rgba.copy()
    out[..., :3] = (rgba[..., :3].astype(np.uint16) * alpha + 127) // 255
    return out


def fitted(
    plane: Plane,
    poses: Sequence[Pose],
    size: tuple[int, int],
    *,
    blur_px: float = 0.0,
    whole: bool = False,
) -> Plane | None:
    """The plane cut down to what the poses see and scaled to about their pixels, out of focus by
    `blur_px` of the frame; None when no pose sees it. A warp has no mipmaps, so this is also what
    keeps distant detail from crawling. `whole` keeps all of it: it moves by itself."""
    seen = _seen_box(plane, poses, size)
    if seen is None:
        return None
    height, width = plane.texture.shape[:2]
    margin = 4 + int(blur_px / max(seen[4], 1e-3)) + (0 if plane.mirrored else height // 24)
    margin = max(width, height) if whole else margin
    if blur_px and not plane.mirrored:
        plane, seen = _padded(plane, int(blur_px / max(seen[4], 1e-3)) + 1, seen)
        height, width = plane.texture.shape[:2]
    left, top = max(0, int(seen[0]) - margin), max(0, int(seen[1]) - margin)
    right, bottom = min(width, int(seen[2]) + margin + 1), min(height, int(seen[3]) + margin + 1)
    if plane.mirrored:
        # A mirrored edge must stay an edge of the picture itself, and needs some width to mirror.
        left, right = min(left, width * 3 // 4), max(right, width // 4 + 1)
        top, bottom = min(top, height * 3 // 4), max(bottom, height // 4 + 1)
    if right - left < 2 or bottom - top < 2:
        return None
    scale = min(1.3, max(0.02, seen[4]))
    if blur_px > 3:
        scale = min(scale, 0.75)
    out_w, out_h = max(2, round((right - left) * scale)), max(2, round((bottom - top) * scale))
    filter_ = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    part = plane.texture[top:bottom, left:right]
    texture = np.asarray(cv2.resize(part, (out_w, out_h), interpolation=filter_), np.uint8)
    scale_x, scale_y = (right - left) / out_w, (bottom - top) / out_h
    if blur_px * scale / max(seen[4], 1e-6) > 0.4:
        sigma = blur_px * scale / seen[4] / 2
        texture = _blurred(texture, sigma)
    back = np.array(
        [
            [scale_x, 0, left + 0.5 * scale_x - 0.5],
            [0, scale_y, top + 0.5 * scale_y - 0.5],
            [0, 0, 1],
        ]
    )
    texture = np.ascontiguousarray(texture)
    return replace(plane, texture=texture, world=plane.world @ back, rows=_painted_rows(texture))


def draw_plane(frame: Texture, plane: Plane, pose: Pose, opacity: float = 1.0) -> None:
    """Lay the plane over `frame` `(height, width, 4) uint8`, in place."""
    size = (frame.shape[1], frame.shape[0])
    to_frame = view_matrix(pose, size) @ plane.world
    if abs(float(np.linalg.det(to_frame))) < 1e-12:
        return
    rows = _rows(plane, to_frame, size)
    if rows is None or opacity <= 0:
        return
    left, top, right, bottom = rows
    to_frame = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]]) @ to_frame
    part = frame[top:bottom, left:right]
    warped = _warp(plane, to_frame, (right - left, bottom - top))
    if plane.opaque and opacity >= 1:
        np.copyto(part, warped)
        return
    if opacity < 1:
        warped = np.asarray(cv2.convertScaleAbs(warped, alpha=opacity), np.uint8)
    over(part, warped)


def over(part: Texture, top: Texture) -> None:
    """Premultiplied `top` over `part`, in place."""
    clear = cv2.bitwise_not(cv2.extractChannel(top, 3))
    clear4 = cv2.cvtColor(clear, cv2.COLOR_GRAY2RGBA)
    cv2.multiply(part, clear4, dst=part, scale=1 / 255)
    cv2.add(part, top, dst=part)


def _warp(plane: Plane, to_frame: Matrix, size: tuple[int, int]) -> Texture:
    border = cv2.BORDER_REFLECT_101 if plane.mirrored else cv2.BORDER_CONSTANT
    if abs(to_frame[2, 0]) + abs(to_frame[2, 1]) < 1e-12:
        affine = to_frame[:2] / to_frame[2, 2]
        return np.asarray(
            cv2.warpAffine(plane.texture, affine, size, flags=cv2.INTER_LINEAR, borderMode=border),
            np.uint8,
        )
    return np.asarray(
        cv2.warpPerspective(
            plane.texture, to_frame, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        ),
        np.uint8,
    )


def _rows(
    plane: Plane, to_frame: Matrix, size: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of the frame that the plane can touch; None when behind us."""
    width, height = size
    tex_h, tex_w = plane.texture.shape[:2]
    corners = np.array([[0, 0, 1], [tex_w, 0, 1], [tex_w, tex_h, 1], [0, tex_h, 1.0]]).T
    seen = to_frame @ corners
    flat = abs(to_frame[2, 0]) + abs(to_frame[2, 1]) < 1e-12
    if flat and seen[2, 0] < _NEAREST_M:
        return None
    if plane.opaque:
        return 0, 0, width, height
    if flat and plane.mirrored and plane.rows is not None:
        first, last = _painted_span(plane.rows, to_frame, tex_w, height)
        return (0, first, width, last) if last > first else None
    ahead = seen[2] > 1e-9
    if not ahead.any():
        return None
    xs, ys = seen[0, ahead] / seen[2, ahead], seen[1, ahead] / seen[2, ahead]
    top = max(0, int(np.floor(ys.min())) - 1)
    bottom = height if not (ahead.all() and not plane.mirrored) else int(np.ceil(ys.max())) + 1
    left, right = 0, width
    if not plane.mirrored and ahead.all():
        left, right = max(0, int(np.floor(xs.min())) - 1), min(width, int(np.ceil(xs.max())) + 1)
    bottom = min(bottom, height)
    return (left, top, right, bottom) if bottom > top and right > left else None


def _painted_rows(texture: Texture) -> tuple[float, float] | None:
    painted = np.flatnonzero(texture[..., 3].max(axis=1))
    if not len(painted):
        return None
    last = int(painted[-1]) + 1
    return float(painted[0]), float(last) if last < len(texture) else float("inf")


def _painted_span(
    rows: tuple[float, float], to_frame: Matrix, tex_w: int, height: int
) -> tuple[int, int]:
    """First and last row of the frame that the painted rows of a mirrored plane can reach."""
    tops = [to_frame @ (column, rows[0], 1.0) for column in (-tex_w, 2 * tex_w)]
    top = int(min(point[1] / point[2] for point in tops)) - 2
    if rows[1] == float("inf"):
        return max(0, top), height
    feet = [to_frame @ (column, rows[1], 1.0) for column in (-tex_w, 2 * tex_w)]
    return max(0, top), min(height, int(max(point[1] / point[2] for point in feet)) + 3)


def _seen_box(
    plane: Plane, poses: Sequence[Pose], size: tuple[int, int]
) -> tuple[float, float, float, float, float] | None:
    """Left, top, right, bottom in texture pixels seen by any pose, and frame pixels a texel."""
    width, height = size
    tex_h, tex_w = plane.texture.shape[:2]
    lefts, tops, rights, bottoms, scales = [], [], [], [], []
    for pose in poses:
        to_frame = view_matrix(pose, size) @ plane.world
        if abs(float(np.linalg.det(to_frame))) < 1e-12:
            continue
        flat = abs(to_frame[2, 0]) + abs(to_frame[2, 1]) < 1e-12
        if not flat:
            return 0.0, 0.0, float(tex_w), float(tex_h), 1.0
        if to_frame[2, 2] < _NEAREST_M:
            continue
        frame = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1.0]]).T
        back = np.linalg.inv(to_frame) @ frame
        back = back / back[2]
        lefts.append(back[0].min())
        tops.append(back[1].min())
        rights.append(back[0].max())
        bottoms.append(back[1].max())
        scales.append(float(np.hypot(to_frame[0, 0], to_frame[1, 0]) / abs(to_frame[2, 2])))
    if not lefts:
        return None
    return (
        float(min(lefts)),
        float(min(tops)),
        float(max(rights)),
        float(max(bottoms)),
        float(np.median(scales)),
    )


def _padded(
    plane: Plane, by: int, seen: tuple[float, float, float, float, float]
) -> tuple[Plane, tuple[float, float, float, float, float]]:
    """Clear space around a figure for its blur to spread into."""
    texture = cv2.copyMakeBorder(plane.texture, by, by, by, by, cv2.BORDER_CONSTANT, value=0)
    back = np.array([[1, 0, -by], [0, 1, -by], [0, 0, 1.0]])
    moved = (seen[0] + by, seen[1] + by, seen[2] + by, seen[3] + by, seen[4])
    return replace(plane, texture=np.asarray(texture, np.uint8), world=plane.world @ back), moved


def _blurred(texture: Texture, sigma: float) -> Texture:
    return np.asarray(
        cv2.GaussianBlur(texture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.uint8
    )
