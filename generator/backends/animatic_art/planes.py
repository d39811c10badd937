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
    "Box",
    "Easel",
    "Plane",
    "box_of",
    "card",
    "draw_plane",
    "fitted",
    "premultiplied",
    "reference_card",
    "reference_ground",
]

Texture = NDArray[np.uint8]

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom lie outside."""

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
    painted: tuple[float, float, float, float] | None = None
    """Left, top, right, bottom of what is painted, if known (bottom is infinite where paint meets
    that edge): what is clear is not worth a warp."""


class Easel:
    """Buffers that the layers of a shot are warped and blended in, for frames up to `size`.

    Every layer of every frame would else touch fresh pages, which costs more than its arithmetic.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        pixels = size[0] * size[1]
        self._layer = np.empty(pixels * 4, np.uint8)
        self._clear = np.empty(pixels * 4, np.uint8)
        self._alpha = np.empty(pixels, np.uint8)

    def layer(self, width: int, height: int) -> Texture:
        """Space for one warped layer, `(height, width, 4) uint8`."""
        return self._layer[: width * height * 4].reshape(height, width, 4)

    def lay(self, part: Texture, top: Texture) -> None:
        """Premultiplied `top` over `part`, in place."""
        height, width = top.shape[:2]
        alpha = self._alpha[: width * height].reshape(height, width)
        clear = self._clear[: width * height * 4].reshape(height, width, 4)
        cv2.extractChannel(top, 3, dst=alpha)
        cv2.bitwise_not(alpha, dst=alpha)
        cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGBA, dst=clear)
        # GRAY2RGBA writes an opaque alpha, which leaves the frame's own alpha as it is.
        cv2.multiply(part, clear, dst=part, scale=1 / 255)
        cv2.add(part, top, dst=part)

    @property
    def num_bytes(self) -> int:
        """Memory that the buffers take."""
        return self._layer.nbytes + self._clear.nbytes + self._alpha.nbytes


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
    alpha = np.asarray(cv2.extractChannel(rgba, 3), np.uint8)
    if int(alpha.min()) == 255:
        return rgba
    gain = cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGBA)
    return np.asarray(cv2.multiply(rgba, gain, scale=1 / 255), np.uint8)


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
    if blur_px > 3 and seen[4] < 1.2:
        # Softness needs few pixels, but a picture seen enlarged has none to give away.
        scale = min(scale, 0.75)
    out_w, out_h = max(2, round((right - left) * scale)), max(2, round((bottom - top) * scale))
    filter_ = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    part = plane.texture[top:bottom, left:right]
    texture = np.asarray(cv2.resize(part, (out_w, out_h), interpolation=filter_), np.uint8)
    scale_x, scale_y = (right - left) / out_w, (bottom - top) / out_h
    if blur_px * scale / max(seen[4], 1e-6) > 0.4:
        # Far enlarged, a picture's own steps are wider than its blur: they are smoothed away too.
        sigma = max(blur_px * scale / seen[4] / 2, 0.8 * scale if seen[4] > 1.5 else 0.0)
        texture = _blurred(texture, sigma)
    back = np.array(
        [
            [scale_x, 0, left + 0.5 * scale_x - 0.5],
            [0, scale_y, top + 0.5 * scale_y - 0.5],
            [0, 0, 1],
        ]
    )
    cut = replace(plane, texture=np.ascontiguousarray(texture), world=plane.world @ back)
    return cut if plane.opaque else _without_clear(cut)


def draw_plane(
    frame: Texture,
    plane: Plane,
    pose: Pose,
    easel: Easel,
    opacity: float = 1.0,
    clip: Box | None = None,
) -> None:
    """Lay the plane over `frame` `(height, width, 4) uint8`, in place, inside `clip`."""
    size = (frame.shape[1], frame.shape[0])
    box = box_of(plane, pose, size)
    if box is None or opacity <= 0:
        return
    if clip is not None:
        box = (
            max(box[0], clip[0]),
            max(box[1], clip[1]),
            min(box[2], clip[2]),
            min(box[3], clip[3]),
        )
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        return
    to_frame = view_matrix(pose, size) @ plane.world
    to_frame = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]]) @ to_frame
    part = frame[top:bottom, left:right]
    if plane.opaque and opacity >= 1:
        _warp(plane, to_frame, part)
        return
    layer = easel.layer(right - left, bottom - top)
    _warp(plane, to_frame, layer)
    if opacity < 1:
        cv2.convertScaleAbs(layer, dst=layer, alpha=opacity)
    easel.lay(part, layer)


def box_of(plane: Plane, pose: Pose, size: tuple[int, int]) -> Box | None:
    """The part of the frame that the plane can touch; None when that is nothing."""
    to_frame = view_matrix(pose, size) @ plane.world
    if abs(float(np.linalg.det(to_frame))) < 1e-12:
        return None
    width, height = size
    flat = _is_flat(to_frame)
    if flat and to_frame[2, 2] < _NEAREST_M:
        return None
    if plane.opaque:
        return 0, 0, width, height
    if flat and plane.mirrored and plane.painted is not None:
        return _painted_box(plane, to_frame, size)
    return _corners_box(plane, to_frame, size)


def _common(one: Box, other: Box) -> Box:
    return (
        max(one[0], other[0]),
        max(one[1], other[1]),
        min(one[2], other[2]),
        min(one[3], other[3]),
    )


def _is_flat(to_frame: Matrix) -> bool:
    return bool(abs(to_frame[2, 0]) + abs(to_frame[2, 1]) < 1e-12)


def _warp(plane: Plane, to_frame: Matrix, onto: Texture) -> None:
    size = (onto.shape[1], onto.shape[0])
    if _is_flat(to_frame):
        border = cv2.BORDER_REFLECT_101 if plane.mirrored else cv2.BORDER_CONSTANT
        affine = to_frame[:2] / to_frame[2, 2]
        cv2.warpAffine(
            plane.texture, affine, size, dst=onto, flags=cv2.INTER_LINEAR, borderMode=border
        )
        return
    cv2.warpPerspective(
        plane.texture,
        to_frame,
        size,
        dst=onto,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    )


def _corners_box(plane: Plane, to_frame: Matrix, size: tuple[int, int]) -> Box | None:
    width, height = size
    tex_h, tex_w = plane.texture.shape[:2]
    first = plane.painted[1] if plane.painted is not None else 0.0
    corners = np.array([[0, first, 1], [tex_w, first, 1], [tex_w, tex_h, 1], [0, tex_h, 1.0]]).T
    seen = to_frame @ corners
    ahead = seen[2] > 1e-9
    if not ahead.any():
        return None
    xs, ys = seen[0, ahead] / seen[2, ahead], seen[1, ahead] / seen[2, ahead]
    top, bottom = max(0, int(np.floor(ys.min())) - 1), height
    left, right = 0, width
    if not plane.mirrored and ahead.all():
        bottom = min(height, int(np.ceil(ys.max())) + 1)
        left, right = max(0, int(np.floor(xs.min())) - 1), min(width, int(np.ceil(xs.max())) + 1)
    return (left, top, right, bottom) if bottom > top and right > left else None


def _painted_box(plane: Plane, to_frame: Matrix, size: tuple[int, int]) -> Box | None:
    """What the paint of a mirrored plane can reach: it carries on sideways and down, not up."""
    assert plane.painted is not None
    width, height = size
    left, top, right, bottom = plane.painted
    tex_h, tex_w = plane.texture.shape[:2]
    frame = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1.0]]).T
    across = (np.linalg.inv(to_frame) @ frame)[0] * to_frame[2, 2]
    if across.min() <= 1 - left or across.max() >= 2 * tex_w - right - 1:
        # The frame sees a mirror image of the paint.
        left, right = float(across.min()), float(across.max())
    foot = bottom if bottom != float("inf") else top + 8.0 * tex_h
    corners = np.array([[u, v, 1.0] for u in (left, right) for v in (top, foot)]).T
    xs, ys = (to_frame @ corners)[:2] / to_frame[2, 2]
    box = (
        max(0, int(xs.min()) - 2),
        max(0, int(ys.min()) - 2),
        min(width, int(xs.max()) + 3),
        min(height, int(ys.max()) + 3),
    )
    return box if box[2] > box[0] and box[3] > box[1] else None


def _without_clear(plane: Plane) -> Plane | None:
    """The plane cut down to its paint; a mirrored one keeps its edges and knows where paint is."""
    alpha = plane.texture[..., 3]
    rows, columns = np.flatnonzero(alpha.max(axis=1)), np.flatnonzero(alpha.max(axis=0))
    if not len(rows):
        return None
    left, top = int(columns[0]), int(rows[0])
    right, bottom = int(columns[-1]) + 1, int(rows[-1]) + 1
    if plane.mirrored:
        deep = float(bottom) if bottom < len(alpha) else float("inf")
        return replace(plane, painted=(float(left), float(top), float(right), deep))
    # One clear pixel stays around the paint, for the filter to fade into.
    left, top = max(0, left - 1), max(0, top - 1)
    texture = np.ascontiguousarray(plane.texture[top : bottom + 1, left : right + 1])
    back = np.array([[1, 0, left], [0, 1, top], [0, 0, 1.0]])
    return replace(plane, texture=texture, world=plane.world @ back)


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
