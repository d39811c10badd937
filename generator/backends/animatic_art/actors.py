"""The cast on their marks: figures as planes, with shadow, breath, walk and the beat of speech."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.backends.animatic_art.camera import Matrix, Pose
from generator.backends.animatic_art.cutout import Figure
from generator.backends.animatic_art.grade import Grade, graded, settled
from generator.backends.animatic_art.memory import remembered
from generator.backends.animatic_art.noise import Wobble
from generator.backends.animatic_art.planes import Plane, card, fitted, premultiplied
from generator.backends.animatic_art.staging import Mark, Staging
from generator.backends.base import Placement
from storyboards.fields import Angle

__all__ = ["Actor", "Light", "actor"]

Rgba = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Light:
    """What the place and the look do to a figure."""

    surround: tuple[float, float, float]
    grade: Grade
    angle: Angle


@dataclass(frozen=True, slots=True)
class Actor:
    """One of the cast, ready to draw at any frame."""

    placement: Placement
    body: Plane | None
    head: Plane | None
    shadow: Plane | None
    neck: tuple[float, float, float]
    """Metres, the point the head turns about."""
    foot: tuple[float, float, float]
    off_m: float
    """Metres sideways from the mark to out of the frame."""
    sway: Wobble
    talk: Wobble
    num_frames: int
    fps: Fraction

    def planes_at(self, at: int) -> list[Plane]:
        """Shadow, body and head where they are at frame `at`, in drawing order."""
        time_s = float(at / self.fps)
        walk_m, stride = self._walk(at)
        bob = abs(math.sin(math.pi * 1.9 * time_s)) * 0.022 * self.placement.height_m * stride
        lean = math.radians(0.22) * self.sway.at(time_s)
        lean += math.radians(0.9) * stride * math.sin(math.pi * 1.9 * time_s)
        breath = 1 + 0.0028 * math.sin(2 * math.pi * 0.27 * time_s + self.sway.phases[0])
        body = _move(walk_m, bob) @ _turn(self.foot, lean, breath)
        planes = []
        if self.shadow is not None:
            planes.append(_placed(self.shadow, _move(walk_m, 0.0)))
        if self.body is not None:
            planes.append(_placed(self.body, body))
        if self.head is not None:
            speech = self._speech(at)
            beat = self.talk.at(time_s)
            nod = 0.0032 * self.placement.height_m * speech * beat
            turn = math.radians(0.35) * self.sway.at(time_s * 1.31 + 5)
            turn += math.radians(1.5) * speech * self.talk.at(time_s * 0.6 + 3)
            head = _move(0.0, nod) @ _turn(self.neck, turn, 1 + 0.006 * speech * beat)
            planes.append(_placed(self.head, body @ head))
        return planes

    def _walk(self, at: int) -> tuple[float, float]:
        """Metres from the mark, and how much of a stride there is (0 to 1)."""
        length = max(1.0, min(0.55 * self.num_frames, 2.4 * float(self.fps)))
        metres, stride = 0.0, 0.0
        if self.placement.enters is not None and at < length:
            left = 1 - at / length
            metres += _side(self.placement.enters) * self.off_m * left**1.25
            stride = max(stride, min(1.0, left * 4))
        start = self.num_frames - 1 - length
        if self.placement.exits is not None and at > start:
            gone = (at - start) / length
            metres += _side(self.placement.exits) * self.off_m * gone**1.25
            stride = max(stride, min(1.0, gone * 4))
        return metres, stride

    def _speech(self, at: int) -> float:
        """1 inside a line, with short ramps."""
        ramp = max(1.0, float(self.fps) / 6)
        inside = 0.0
        for first, after in self.placement.speaking:
            inside = max(inside, min(1.0, (at - first) / ramp, (after - at) / ramp))
        return max(0.0, inside)


def actor(
    placement: Placement,
    figure: Figure,
    mark: Mark,
    staging: Staging,
    light: Light,
    poses: Sequence[Pose],
    rig: tuple[tuple[int, int], Fraction, int, int],
) -> Actor:
    """The actor on their mark. `rig`: frame size, fps, number of frames, seed."""
    size, fps, num_frames, seed = rig
    picture = remembered(
        ("dressed", _look_key(placement, figure), mark.shoulder, staging.tight, light),
        lambda: _dressed(placement, figure, mark, staging, light),
        lambda made: made.nbytes,
    )
    foot = (mark.x, -staging.height_m, mark.z)
    metres_per_px = figure.height_m / picture.shape[0] * _squash(light.angle)
    walks = bool(placement.enters or placement.exits)
    blur = defocus_px(staging, mark.z, size)
    axis = 1 - figure.axis if _is_mirrored(placement) else figure.axis
    body_picture, head_picture = _parted(picture, figure)
    planes = [
        None
        if part is None
        else _fit(part, picture.shape[0], metres_per_px, foot, axis, (poses, size, blur, walks))
        for part in (body_picture, head_picture)
    ]
    chin_m = figure.height_m * (1 - figure.chin) * _squash(light.angle)
    distance = mark.z - staging.start.z
    half_m = picture.shape[1] * metres_per_px / 2
    view_m = size[0] / staging.start.focal * distance / 2
    return Actor(
        placement,
        planes[0],
        planes[1],
        _shadow(figure, mark, staging, half_m) if not staging.tight else None,
        (mark.x, -staging.height_m + chin_m, mark.z),
        foot,
        view_m + abs(mark.x) + half_m * 1.2,
        Wobble.seeded(0.11, 0.5, seed, placement.subject, "sway"),
        Wobble.seeded(1.6, 5.5, seed, placement.subject, "talk"),
        num_frames,
        fps,
    )


def _look_key(placement: Placement, figure: Figure) -> tuple[object, ...]:
    """What of the cast a dressed picture depends on."""
    return (
        placement.sha256,
        placement.subject,
        placement.description,
        placement.facing,
        figure.height_m,
        figure.picture.shape,
    )


def defocus_px(staging: Staging, depth_m: float, size: tuple[int, int]) -> float:
    """Diameter of the blur of a point at `depth_m`, in pixels: thin lens at f/4, focused on the
    action (c = focal · aperture · |1/subject − 1/depth|)."""
    start = staging.start
    lens_m = start.focal / math.hypot(*size) * 0.04327
    near = max(0.2, depth_m - start.z)
    blur = start.focal * lens_m / 4.0 * abs(1 / staging.subject_m - 1 / near)
    return min(blur * 1.15, 0.032 * size[1])


def _dressed(
    placement: Placement, figure: Figure, mark: Mark, staging: Staging, light: Light
) -> Rgba:
    """The figure's picture as this shot sees it: side, back, light and angle."""
    picture = figure.picture
    if placement.facing == "away" and placement.sha256 and not figure.thing:
        picture = _from_behind(picture, figure.chin)
    if _is_mirrored(placement):
        picture = np.ascontiguousarray(picture[:, ::-1])
    picture = settled(picture, light.surround, 0.5)
    if mark.shoulder:
        picture = _dimmed(picture, 0.26)
    elif placement.facing == "away":
        picture = _dimmed(picture, 0.72)
    picture = graded(picture, light.grade)
    return _keystone(picture, light.angle, staging.tight)


def _is_mirrored(placement: Placement) -> bool:
    """Pictures face the camera or to the right."""
    return placement.facing == "left"


def _from_behind(picture: Rgba, chin: float) -> Rgba:
    """A face turned away: the head in the colour of its hair."""
    rows = int(picture.shape[0] * chin)
    crown = picture[: max(2, rows * 3 // 10)]
    solid = crown[crown[..., 3] > 200]
    hair = np.median(solid[:, :3], axis=0) if len(solid) else np.array([60, 50, 46])
    out = picture.copy()
    fade = np.clip((rows * 1.06 - np.arange(picture.shape[0])) / max(1, rows * 0.12), 0, 1) * 0.88
    mix = fade[:, None, None]
    out[..., :3] = (picture[..., :3] * (1 - mix) + hair * mix + 0.5).astype(np.uint8)
    return out


def _dimmed(picture: Rgba, gain: float) -> Rgba:
    out = picture.copy()
    out[..., :3] = cv2.convertScaleAbs(picture[..., :3], alpha=gain)
    return out


def _keystone(picture: Rgba, angle: Angle, tight: bool) -> Rgba:
    """Legs towards a low camera, head towards a high one."""
    top, bottom = {
        Angle.LOW: (0.86, 1.0),
        Angle.GROUND: (0.74, 1.0),
        Angle.HIGH: (1.0, 0.78),
        Angle.OVERHEAD: (1.0, 0.58),
    }.get(angle, (1.0, 1.0))
    if top == bottom or tight:
        return picture
    height, width = picture.shape[:2]
    a, b = (1 - top) / 2 * width, (1 - bottom) / 2 * width
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    target = np.array([[a, 0], [width - a, 0], [width - b, height], [b, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, target)
    clear = premultiplied(picture)
    warped = cv2.warpPerspective(clear, matrix, (width, height), flags=cv2.INTER_LINEAR)
    alpha = np.maximum(warped[..., 3:].astype(np.float32), 1)
    out = np.asarray(warped, np.uint8).copy()
    out[..., :3] = np.clip(warped[..., :3] * (255 / alpha) + 0.5, 0, 255).astype(np.uint8)
    return out


def _squash(angle: Angle) -> float:
    """How much of the height is left when seen from above."""
    return {Angle.HIGH: 0.93, Angle.OVERHEAD: 0.74}.get(angle, 1.0)


def _parted(picture: Rgba, figure: Figure) -> tuple[Rgba, Rgba | None]:
    """Body and head, overlapping at the chin where both are whole, so that no gap can show."""
    if figure.thing:
        return picture, None
    chin = picture.shape[0] * figure.chin
    rows = np.arange(picture.shape[0], dtype=np.float32)
    body, head = picture.copy(), picture.copy()
    keep = np.clip((rows - 0.76 * chin) / (0.14 * chin), 0, 1)
    body[..., 3] = (picture[..., 3] * keep[:, None] + 0.5).astype(np.uint8)
    keep = np.clip((1.20 * chin - rows) / (0.20 * chin), 0, 1)
    head[..., 3] = (picture[..., 3] * keep[:, None] + 0.5).astype(np.uint8)
    return body, head[: int(1.22 * chin) + 1]


def _fit(
    part: Rgba,
    rows: int,
    metres_per_px: float,
    foot: tuple[float, float, float],
    axis: float,
    seen: tuple[Sequence[Pose], tuple[int, int], float, bool],
) -> Plane | None:
    poses, size, blur, walks = seen
    plane = card(premultiplied(part), metres_per_px, foot, foot=(axis * part.shape[1], float(rows)))
    return fitted(plane, poses, size, blur_px=blur, whole=walks)


def _shadow(figure: Figure, mark: Mark, staging: Staging, half_m: float) -> Plane | None:
    """A soft dark oval on the ground under the feet."""
    y, x = np.mgrid[-1:1:48j, -1:1:96j].astype(np.float32)
    texture = np.zeros((48, 96, 4), np.uint8)
    texture[..., 3] = (np.clip(1 - np.hypot(x, y), 0, 1) ** 0.9 * 190).astype(np.uint8)
    wide = max(0.12 * figure.height_m, half_m) * 1.25
    deep = wide * 0.55
    if mark.z - deep - staging.start.z < 0.3:
        return None
    world = np.array(
        [
            [2 * wide / 96, 0, mark.x - wide],
            [0, 0, -staging.height_m],
            [0, -2 * deep / 48, mark.z + deep],
            [0, 0, 1.0],
        ]
    )
    return Plane(texture, world, mark.z, mirrored=False)


def _placed(plane: Plane, move: Matrix) -> Plane:
    return replace(plane, world=move @ plane.world)


def _move(x: float, y: float) -> Matrix:
    matrix = np.eye(4)
    matrix[0, 3], matrix[1, 3] = x, y
    return matrix


def _turn(about: tuple[float, float, float], angle: float, stretch: float) -> Matrix:
    """Turned in the picture's plane and stretched upwards about a point."""
    cos, sin = math.cos(angle), math.sin(angle)
    x, y, _ = about
    turn = np.eye(4)
    turn[:2, :2] = np.array([[cos, -sin], [sin, cos]]) @ np.diag([1.0, stretch])
    turn[:2, 3] = np.array([x, y]) - turn[:2, :2] @ np.array([x, y])
    return turn


def _side(name: str) -> float:
    return 1.0 if name == "right" else -1.0
