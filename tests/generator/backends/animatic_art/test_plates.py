"""Places from pictures: the focus is centred, edges never turn black."""

from __future__ import annotations

import numpy as np
import pytest

from generator.backends.animatic_art.camera import Pose, project
from generator.backends.animatic_art.planes import Easel, draw_plane, fitted
from generator.backends.animatic_art.plates import View, layers_of, place_of_layers, place_of_plate

SIZE = (320, 180)


def plate(width: int, height: int) -> np.ndarray:
    picture = np.full((height, width, 4), 255, np.uint8)
    picture[: height // 2, :, :3] = (200, 210, 230)
    picture[height // 2 :, :, :3] = (90, 110, 60)
    return picture


@pytest.mark.parametrize("focus", [(0.5, 0.5), (0.3, 0.6), (0.7, 0.4)])
def test_frame_centres_on_the_focus(focus: tuple[float, float]) -> None:
    view = View(300.0, 1.6, 0.5, SIZE, 20.0, slack=3.0, focus=focus)
    wall = place_of_plate(plate(640, 360), view).planes[0]
    start = Pose(focal=900.0)
    point = wall.world @ np.array([focus[0] * 640, focus[1] * 360, 1.0])
    x, y = project(start, SIZE, tuple(point[:3] / point[3]))
    assert (x, y) == (pytest.approx(160, abs=2), pytest.approx(90, abs=2))


@pytest.mark.parametrize("size", [(64, 64), (3000, 200), (200, 900), (640, 360)])
def test_no_move_shows_black(size: tuple[int, int]) -> None:
    view = View(300.0, 1.6, 0.5, SIZE, 12.0)
    poses = [Pose(x=x, y=y, pan=pan, roll=0.2, focal=300.0)
             for x, y, pan in ((-3, 2, 0.8), (3, -1, -0.8), (0, 0, 0))]  # fmt: skip
    planes = [fitted(plane, poses, SIZE) for plane in place_of_plate(plate(*size), view).planes]
    for pose in poses:
        frame = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
        for plane in planes:
            if plane is not None:
                draw_plane(frame, plane, pose, Easel(SIZE))
        assert frame[..., :3].min() > 40


def test_near_layers_stand_in_front_and_move_more() -> None:
    near = plate(640, 360)
    near[..., 3] = 0
    near[200:, 100:200, 3] = 255
    view = View(300.0, 1.6, 0.5, SIZE, 20.0)
    layers = layers_of([(near, 4.0), (plate(640, 360), 100.0)])
    far_plane, near_plane = place_of_layers(layers, view).planes
    assert far_plane.opaque
    shifts = []
    for plane in (far_plane, near_plane):
        point = plane.world @ np.array([150.0, 250.0, 1.0])
        seen = [project(Pose(x=x, focal=300.0), SIZE, tuple(point[:3]))[0] for x in (0.0, 0.5)]
        shifts.append(seen[0] - seen[1])
    assert shifts[1] > 20 * shifts[0] > 0
