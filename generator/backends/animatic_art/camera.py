"""The camera: a pinhole in metres, where it is at every frame, and what it makes of a plane.

Axes: x right, y up, z forward, from where the shot's camera was set down. A turn of the camera
shifts the picture by the tangent of the angle instead of bending it: a painted plane has nothing
behind its edges that a true perspective turn could show.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import scipy
from numpy.typing import NDArray

from generator.backends.animatic_art.noise import Wobble
from storyboards.fields import CameraMove
from storyboards.shot_schema import Camera, CameraKey

__all__ = ["Pose", "Rig", "angle_of", "camera_motion", "focal_px", "project", "view_matrix"]

Matrix = NDArray[np.float64]

_FILM_DIAGONAL_MM = math.hypot(36, 24)
"""Of the full-frame format that `lens_mm` counts in."""

_STRAIGHT_FROM = 0.61
"""Radians from which a turn's tangent is continued as a straight line."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the camera is (metres), where it looks (radians) and its focal length (pixels)."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0
    pan: float = 0.0
    """To the right."""
    tilt: float = 0.0
    """Upwards."""
    roll: float = 0.0
    """Clockwise."""
    focal: float = 1000.0


@dataclass(frozen=True, slots=True)
class Rig:
    """What a move is measured against: the start pose, the subject's distance, the frame."""

    start: Pose
    subject_m: float
    height_m: float
    """Of the lens over the ground."""
    size: tuple[int, int]
    fps: Fraction
    num_frames: int
    seed: int
    aim: tuple[float, float] = (0.0, 0.0)
    """What a push or a zoom keeps in the frame: metres right of the axis and above the lens."""


def focal_px(lens_mm: float, size: tuple[int, int]) -> float:
    """The focal length in pixels that gives the lens its full-frame angle of view."""
    return lens_mm * math.hypot(*size) / _FILM_DIAGONAL_MM


def view_matrix(pose: Pose, size: tuple[int, int]) -> Matrix:
    """`(3, 4)`: homogeneous world point (x, y, z, w) to homogeneous pixel of a frame of `size`."""
    cos, sin = math.cos(pose.roll), math.sin(pose.roll)
    centre = np.array([[1, 0, size[0] / 2 - 0.5], [0, 1, size[1] / 2 - 0.5], [0, 0, 1.0]])
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
    lens = np.diag([pose.focal, pose.focal, 1.0])
    look = np.array([[1, 0, -_tangent(pose.pan)], [0, -1, _tangent(pose.tilt)], [0, 0, 1.0]])
    move = np.array([[1, 0, 0, -pose.x], [0, 1, 0, -pose.y], [0, 0, 1.0, -pose.z]])
    return np.asarray(centre @ turn @ lens @ look @ move, np.float64)


def project(pose: Pose, size: tuple[int, int], point: tuple[float, float, float]) -> Matrix:
    """The pixel (x, y) at which a point in metres is seen."""
    seen = view_matrix(pose, size) @ np.array([*point, 1.0])
    return np.asarray(seen[:2] / seen[2], np.float64)


def angle_of(tangent: float) -> float:
    """The angle that shifts the picture by `tangent` focal lengths: the inverse of how it turns."""
    edge = math.tan(_STRAIGHT_FROM)
    if abs(tangent) <= edge:
        return math.atan(tangent)
    return math.copysign(_STRAIGHT_FROM + (abs(tangent) - edge) / (1 + edge**2), tangent)


def camera_motion(camera: Camera, rig: Rig) -> Callable[[int], Pose]:
    """The pose at every frame: the storyboard's moves together, or its path."""
    if camera.path:
        return _along_path(camera, rig)
    moves = tuple(dict.fromkeys(move for move in camera.move if move is not CameraMove.STATIC))

    def pose_at(frame: int) -> Pose:
        pose = rig.start
        for move in moves:
            pose = _moved(pose, move, frame, camera, rig)
        return _above_ground(pose, rig)

    return pose_at


def _moved(pose: Pose, move: CameraMove, frame: int, camera: Camera, rig: Rig) -> Pose:
    """`pose` with one move's share at `frame` added."""
    if move is CameraMove.HANDHELD:
        return _handheld(pose, frame, camera.amount, rig)
    if move in (CameraMove.WHIP_LEFT, CameraMove.WHIP_RIGHT):
        side = 1.0 if move is CameraMove.WHIP_RIGHT else -1.0
        angle = 1.5 * _field_of_view(rig) * camera.amount * side
        return replace(pose, pan=pose.pan + angle * (_whip(frame, rig) - 1.0))
    name = move.value
    forward = name.endswith(("_right", "_up", "_in")) or move is CameraMove.DOLLY_ZOOM
    step = camera.amount * (1.0 if forward else -1.0)
    progress = _eased(_progress(frame, rig.num_frames), camera.ease)
    if name.startswith(("push", "pull", "zoom", "dolly")):
        # A quarter of the way is behind the framing and three quarters before it, so that the
        # framing is met on the way and the plate is never left far behind.
        share = progress - 0.25 if forward else progress - 0.75
        return _in_depth(pose, name, share * step, rig)
    # Moves across end nearer to the framing than they begin: they arrive at what they show.
    moved = _across(pose, name, (progress - 0.65) * step, rig)
    if name.startswith("crane"):
        lowest = _across(pose, name, -0.65 * step if forward else 0.35 * step, rig).y - pose.y
        # A crane does not dive into the grass: the whole move is lifted instead.
        return replace(moved, y=moved.y + max(0.0, -lowest - 0.4 * rig.height_m))
    return moved


def _in_depth(pose: Pose, name: str, share: float, rig: Rig) -> Pose:
    if name.startswith("zoom"):
        return _aimed(pose, replace(pose, focal=pose.focal * 1.55**share), rig)
    reach = 0.42 if name == "dolly_zoom" else 0.36
    travel = max(-1.2, min(0.82, reach * share)) * min(rig.subject_m, 14.0)
    pose = replace(pose, z=pose.z + travel)
    if name == "dolly_zoom":
        return replace(pose, focal=pose.focal * (rig.subject_m - travel) / rig.subject_m)
    return _aimed(replace(pose, z=pose.z - travel), pose, rig)


def _aimed(before: Pose, after: Pose, rig: Rig) -> Pose:
    """`after`, turned so that the aim keeps most of its place in the frame: an operator holds the
    head while the dolly runs."""
    deep = [max(0.1, rig.start.z + rig.subject_m - pose.z) for pose in (before, after)]
    hold, zoom = 0.8, before.focal / after.focal
    x, y = rig.aim
    across = (x / deep[0] - _tangent(before.pan)) * zoom
    up = (y / deep[0] - _tangent(before.tilt)) * zoom
    pan, tilt = x / deep[1] - across, y / deep[1] - up
    return replace(
        after,
        pan=angle_of(_tangent(after.pan) * (1 - hold) + pan * hold),
        tilt=angle_of(_tangent(after.tilt) * (1 - hold) + tilt * hold),
    )


def _across(pose: Pose, name: str, share: float, rig: Rig) -> Pose:
    if name.startswith("pan"):
        return replace(pose, pan=pose.pan + share * 0.32 * _field_of_view(rig))
    if name.startswith("tilt"):
        return replace(pose, tilt=pose.tilt + share * 0.22 * _field_of_view(rig))
    if name.startswith("roll"):
        return replace(pose, roll=pose.roll + share * math.radians(12))
    if name.startswith("truck"):
        return replace(pose, x=pose.x + share * 0.30 * min(rig.subject_m, 7.0))
    if name.startswith("crane"):
        return replace(pose, y=pose.y + share * 0.28 * min(rig.subject_m, 9.0))
    angle = share * math.radians(26)
    side, ahead = math.sin(angle), 1 - math.cos(angle)
    return replace(
        pose,
        x=pose.x + rig.subject_m * side,
        z=pose.z + rig.subject_m * ahead,
        pan=pose.pan - math.atan2(side, 1 - ahead),
    )


def _handheld(pose: Pose, frame: int, amount: float, rig: Rig) -> Pose:
    time_s = float(frame / rig.fps)
    sway = [wobble.at(time_s) for wobble in _hand(rig.seed)]
    reach = amount * 0.012 * min(rig.subject_m, 5.0)
    turn = amount * 0.010 * _field_of_view(rig)
    return replace(
        pose,
        x=pose.x + sway[0] * reach,
        y=pose.y + sway[1] * reach,
        pan=pose.pan + sway[2] * turn,
        tilt=pose.tilt + sway[3] * turn * 0.8,
        roll=pose.roll + sway[4] * amount * math.radians(0.45),
    )


@functools.lru_cache(16)
def _hand(seed: int) -> tuple[Wobble, ...]:
    return tuple(Wobble.seeded(0.25, 2.4, seed, "handheld", axis) for axis in range(5))


def _along_path(camera: Camera, rig: Rig) -> Callable[[int], Pose]:
    """Monotone cubic through the keys (Fritsch-Carlson): no overshoot past what was written."""
    keys = sorted(camera.path, key=lambda key: key.at.frames(rig.fps))
    frames: list[int] = []
    rows: list[list[float]] = []
    for key in keys:
        at = key.at.frames(rig.fps)
        if frames and at == frames[-1]:
            rows[-1] = _key_row(key, camera)
        else:
            frames.append(at)
            rows.append(_key_row(key, camera))
    if len(frames) == 1:
        frames, rows = [frames[0], frames[0] + 1], [rows[0], rows[0]]
    curve = scipy.interpolate.PchipInterpolator(
        np.array(frames, np.float64), np.array(rows), axis=0
    )

    def pose_at(frame: int) -> Pose:
        x, y, z, pan, tilt, roll, zoom = curve(min(max(frame, frames[0]), frames[-1])).tolist()
        start = rig.start
        pose = Pose(
            start.x + x,
            start.y + y,
            start.z + z,
            start.pan + math.radians(pan),
            start.tilt + math.radians(tilt),
            start.roll + math.radians(roll),
            start.focal * math.exp(zoom),
        )
        return _above_ground(pose, rig)

    return pose_at


def _key_row(key: CameraKey, camera: Camera) -> list[float]:
    zoom = math.log((key.lens_mm or camera.lens_mm) / camera.lens_mm)
    return [key.x_m, key.y_m, key.z_m, key.pan_deg, key.tilt_deg, key.roll_deg, zoom]


def _above_ground(pose: Pose, rig: Rig) -> Pose:
    return replace(pose, y=max(pose.y, -(rig.height_m - min(0.12, rig.height_m / 2))))


def _progress(frame: int, num_frames: int) -> float:
    return frame / (num_frames - 1) if num_frames > 1 else 0.0


def _eased(progress: float, ease: str) -> float:
    if ease == "in":
        return progress * progress
    if ease == "out":
        return 1 - (1 - progress) ** 2
    if ease == "in_out":
        return progress * progress * (3 - 2 * progress)
    return progress


def _whip(frame: int, rig: Rig) -> float:
    """0 before the whip, 1 after: a third of a second in the middle of the shot."""
    middle = (rig.num_frames - 1) / 2
    length = max(1.0, min(float(rig.fps) * 0.42, rig.num_frames / 2))
    return _eased(min(1.0, max(0.0, (frame - middle) / length + 0.5)), "in_out")


def _field_of_view(rig: Rig) -> float:
    """Horizontal, radians."""
    return 2 * math.atan(rig.size[0] / 2 / rig.start.focal)


def _tangent(angle: float) -> float:
    """tan, continued as a straight line, so that any turn stays finite."""
    if abs(angle) <= _STRAIGHT_FROM:
        return math.tan(angle)
    edge = math.tan(_STRAIGHT_FROM)
    return math.copysign(edge + (1 + edge**2) * (abs(angle) - _STRAIGHT_FROM), angle)
