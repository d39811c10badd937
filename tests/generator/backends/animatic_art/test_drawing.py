"""What is saved while drawing must not be seen: a still set, cut textures, boards, memory."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from generator.backends.animatic_art.boards import Boards, are_boards
from generator.backends.animatic_art.camera import Pose
from generator.backends.animatic_art.drawing import Drawing
from generator.backends.animatic_art.grade import graded, look_of
from generator.backends.animatic_art.keys import HeldPicture
from generator.backends.animatic_art.memory import PictureMemory
from generator.backends.animatic_art.planes import Easel, Plane, draw_plane, fitted, reference_card
from generator.backends.animatic_art.scene import build_scene
from generator.backends.base import Description, Placement, RenderRequest
from storyboards.fields import Angle, CameraMove, ShotSize
from storyboards.shot_schema import Camera

SIZE = (192, 108)


def request(move: CameraMove, size: ShotSize = ShotSize.MCU) -> RenderRequest:
    cast = (Placement("ada", "woman, red coat", "", "left", "right", "mid", 1.7),)
    shot = Description("INT. ROOM - DAY", "", size, Angle.EYE, Camera(move=(move,)), 3, cast)
    return RenderRequest("", "", 7, SIZE, Fraction(24), 24, "draft", shot)


@pytest.mark.parametrize("size", [ShotSize.MCU, ShotSize.LS])
def test_a_still_set_shows_what_drawing_all_of_it_shows(size: ShotSize) -> None:
    scene = build_scene(request(CameraMove.STATIC, size), {})
    assert scene.still
    saving, drawing = Drawing(scene), Drawing(replace(scene, still=False))
    for at in (0, 1, 9, 23, 4):
        assert np.array_equal(saving.frame(at), drawing.frame(at))


@pytest.mark.parametrize("x", [-0.4, 0.0, 3.0])
def test_cutting_to_the_paint_loses_none_of_it(x: float) -> None:
    texture = np.zeros((108, 192, 4), np.uint8)
    texture[60:90, 120:150] = 255
    plane = Plane(texture, reference_card(180.0, 5.0, (96.0, 54.0)), 5.0)
    pose = Pose(x=x, focal=180.0)
    cut = fitted(plane, [pose], SIZE)
    assert cut is not None
    assert cut.painted is not None
    seen = []
    for one in (cut, replace(cut, painted=None)):
        frame = np.full((108, 192, 4), 40, np.uint8)
        draw_plane(frame, one, pose, Easel(SIZE))
        seen.append(frame)
    assert np.array_equal(*seen)
    assert seen[0].max() == 255


def test_the_lift_of_a_look_leaves_clear_parts_clear() -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    assert graded(clear, look_of("pastel")).max() == 0
    assert graded(np.full((4, 4, 4), 255, np.uint8), look_of("pastel"))[..., 3].min() == 255


def board(frame: int, level: int) -> HeldPicture:
    y, x = np.mgrid[0:108, 0:192]
    shade = (level + (x + y) // 8).astype(np.uint8)
    picture = np.dstack([shade, shade, shade, np.full_like(shade, 255)])
    return HeldPicture(frame, picture, 1.0)


def test_boards_dissolve_late_shortly_and_end_exactly() -> None:
    asked = replace(request(CameraMove.PUSH_IN), num_frames=48)
    keys = [board(0, 20), board(47, 180)]
    assert are_boards(asked, keys)
    drawn = Boards(asked, {}, keys)
    frames = [drawn.frame(at).copy() for at in range(48)]
    assert np.array_equal(frames[0], keys[0].picture)
    assert np.array_equal(frames[47], keys[1].picture)
    means = [float(frame[..., 0].mean()) for frame in frames]
    middle = [at for at, mean in enumerate(means) if means[0] + 8 < mean < means[-1] - 8]
    assert 4 <= len(middle) <= 12
    assert middle[0] >= 24
    assert np.abs(frames[46].astype(int) - frames[47]).mean() < 3


def test_who_comes_in_is_drawn() -> None:
    asked = request(CameraMove.STATIC)
    place = replace(asked.description.placements[0], enters="left")
    entering = replace(asked, description=replace(asked.description, placements=(place,)))
    assert are_boards(asked, [board(0, 20)])
    assert not are_boards(entering, [board(0, 20)])
    assert not are_boards(asked, [board(5, 20)])


def test_memory_is_bounded_and_drops_what_is_unused_for_longest() -> None:
    made: list[str] = []
    memory = PictureMemory(limit_bytes=100)

    def get(name: str) -> None:
        memory.get(name, lambda: made.append(name) or name, lambda _: 40)

    for name in ("a", "b", "a", "c", "a", "b"):
        get(name)
    assert made == ["a", "b", "c", "b"]
    assert memory.num_bytes <= 100
