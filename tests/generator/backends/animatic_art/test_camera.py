"""Each move does to the picture what its name says."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.backends.animatic_art.camera import (
    Pose,
    Rig,
    angle_of,
    camera_motion,
    focal_px,
    project,
)
from storyboards.fields import CameraMove
from storyboards.shot_schema import Camera, CameraKey

SIZE = (1280, 720)
RIG = Rig(Pose(focal=focal_px(35, SIZE)), 4.0, 1.5, SIZE, Fraction(24), 49, 3)
NEAR, FAR = (0.5, 0.4, 3.0), (10.0, 8.0, 60.0)


def shift(move: str, point: tuple[float, float, float], **more: object) -> np.ndarray:
    pose_at = camera_motion(Camera(move=(CameraMove(move),), **more), RIG)  # type: ignore[arg-type]
    return project(pose_at(48), SIZE, point) - project(pose_at(0), SIZE, point)


@pytest.mark.parametrize(
    ("move", "axis", "sign"),
    [
        ("pan_right", 0, -1),
        ("pan_left", 0, 1),
        ("tilt_up", 1, 1),
        ("tilt_down", 1, -1),
        ("whip_right", 0, -1),
        ("whip_left", 0, 1),
    ],
)
def test_turns_move_near_and_far_alike(move: str, axis: int, sign: int) -> None:
    near, far = shift(move, NEAR), shift(move, FAR)
    assert np.allclose(near, far)
    assert near[axis] * sign > 50
    assert abs(near[1 - axis]) < 1e-6


@pytest.mark.parametrize(
    ("move", "axis", "sign"),
    [("truck_right", 0, -1), ("truck_left", 0, 1), ("crane_up", 1, 1), ("crane_down", 1, -1)],
)
def test_travel_moves_near_more_than_far(move: str, axis: int, sign: int) -> None:
    near, far = shift(move, NEAR)[axis] * sign, shift(move, FAR)[axis] * sign
    assert near > 5 * far > 0


def spread(move: str, depth: float) -> float:
    """How much larger something at a depth gets."""
    pose_at = camera_motion(Camera(move=(CameraMove(move),)), RIG)
    widths = [
        project(pose_at(at), SIZE, (1, 0, depth))[0] - project(pose_at(at), SIZE, (-1, 0, depth))[0]
        for at in (0, 48)
    ]
    return float(widths[1] / widths[0])


def test_zoom_scales_all_alike_and_push_does_not() -> None:
    assert spread("zoom_in", 3) == pytest.approx(spread("zoom_in", 60))
    assert spread("zoom_in", 3) > 1.2 > 1 > spread("zoom_out", 3)
    assert spread("push_in", 3) > 1.3 > 1.1 > spread("push_in", 60) > 1
    assert spread("pull_out", 3) < 0.8 < 0.9 < spread("pull_out", 60) < 1


def test_dolly_zoom_holds_the_subject() -> None:
    assert spread("dolly_zoom", RIG.subject_m) == pytest.approx(1, abs=1e-6)
    assert spread("dolly_zoom", 60) < 0.85


@pytest.mark.parametrize(("move", "sign"), [("orbit_right", 1), ("orbit_left", -1)])
def test_orbit_turns_around_the_subject(move: str, sign: int) -> None:
    assert np.allclose(shift(move, (0, 0, RIG.subject_m)), 0, atol=1e-6)
    assert shift(move, FAR)[0] * sign > 50
    assert shift(move, (0, 0, 2))[0] * sign < -50


def test_roll_right_turns_the_picture_left() -> None:
    pose_at = camera_motion(Camera(move=(CameraMove.ROLL_RIGHT,)), RIG)
    right_of_axis = [project(pose_at(at), SIZE, (1, 0, 4))[1] for at in (0, 48)]
    assert right_of_axis[1] < right_of_axis[0] - 10


def test_handheld_is_small_smooth_and_seeded() -> None:
    camera = Camera(move=(CameraMove.HANDHELD,))
    seen = np.array([project(camera_motion(camera, RIG)(at), SIZE, NEAR) for at in range(49)])
    assert 1 < np.ptp(seen[:, 0]) < 90
    assert np.abs(np.diff(seen, axis=0)).max() < 8
    other = Rig(RIG.start, 4.0, 1.5, SIZE, RIG.fps, 49, seed=4)
    assert not np.allclose(project(camera_motion(camera, other)(9), SIZE, NEAR), seen[9])


def test_path_meets_its_keys_and_never_overshoots() -> None:
    keys = tuple(
        CameraKey(at=at, x_m=x, pan_deg=pan, lens_mm=lens)  # type: ignore[arg-type]
        for at, x, pan, lens in (("0f", 0.0, 0.0, 35.0), ("24f", 1.0, 5.0, 35.0),
                                 ("48f", 1.0, 5.0, 70.0))
    )  # fmt: skip
    pose_at = camera_motion(Camera(path=keys), RIG)
    assert pose_at(24).x == pytest.approx(1)
    assert pose_at(48).focal == pytest.approx(2 * RIG.start.focal)
    xs = [pose_at(at).x for at in range(60)]
    assert xs == sorted(xs)
    assert max(xs) <= 1 + 1e-9


@given(st.floats(-3, 3))
def test_angle_of_undoes_the_turn(tangent: float) -> None:
    pose = Pose(pan=angle_of(tangent), focal=100.0)
    assert project(pose, SIZE, (tangent, 0, 1))[0] == pytest.approx(SIZE[0] / 2 - 0.5, abs=1e-6)


@given(st.sampled_from(list(CameraMove)), st.floats(0.1, 4), st.integers(1, 200))
def test_camera_stays_above_the_ground(move: CameraMove, amount: float, num_frames: int) -> None:
    rig = Rig(RIG.start, 4.0, 0.4, SIZE, RIG.fps, num_frames, 1)
    pose_at = camera_motion(Camera(move=(move,), amount=amount), rig)
    assert all(pose_at(at).y > -0.4 for at in range(0, num_frames, 7))
    assert all(pose_at(at).z < 4.0 for at in range(0, num_frames, 7))
