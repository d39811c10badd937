from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from editor.framing import framed
from editor.lettering import set_in_box
from editor.lut import apply_lut, load_lut
from editor.patch import lay_over, make_patch
from editor.slate import SlateStrip
from editor.timeline import Overlay, Slate
from editor.titles import TitleClip
from media.colour import i420_to_rgb, rgb_to_i420, split_planes
from media.errors import MediaError

FPS = Fraction(24)
SIZE = (640, 360)


def overlay(style: str, text: str = "The Lighthouse", lang: str = "en") -> Overlay:
    return Overlay(text, "A film", style, 0, 72, lang)  # type: ignore[arg-type]


@pytest.mark.parametrize("style", ["title", "card", "lower_third", "credit", "caption"])
@pytest.mark.parametrize("size", [(640, 360), (360, 640), (128, 96)])
def test_words_stay_in_the_safe_area_and_come_and_go(style: str, size: tuple[int, int]) -> None:
    clip = TitleClip(overlay(style), size, FPS)
    grey = np.full((size[1], size[0], 3), 128, np.uint8)
    shown = {}
    for frame in (0, 36, 71):
        planes = rgb_to_i420(grey)
        lay_over(planes, clip.patch_at(frame))
        shown[frame] = np.abs(i420_to_rgb(planes).astype(int) - 128).max(axis=2)
    touched = np.argwhere(shown[36] > 40)
    top, left = touched.min(axis=0)
    bottom, right = touched.max(axis=0)
    assert left >= size[0] * 0.04
    assert right <= size[0] * 0.96
    assert top >= size[1] * 0.04
    assert bottom <= size[1] * 0.96
    if style != "caption":
        assert shown[0].sum() < shown[36].sum() / 4
        assert shown[71].sum() < shown[36].sum() / 4


def test_only_the_words_rectangle_is_rendered() -> None:
    patch = TitleClip(overlay("lower_third", "Mara"), SIZE, FPS).patch_at(36)
    assert patch.colour.shape[0] * patch.colour.shape[1] < SIZE[0] * SIZE[1] / 5


def test_words_rest_between_coming_and_going() -> None:
    clip = TitleClip(overlay("title"), SIZE, FPS)
    assert clip.patch_at(30) is clip.patch_at(36)
    assert not np.array_equal(clip.patch_at(2).colour, clip.patch_at(30).colour)


def test_missing_glyphs_are_named() -> None:
    with pytest.raises(MediaError, match=r"U\+1F600"):
        TitleClip(overlay("title", "Hello \U0001f600"), SIZE, FPS)


def test_too_many_words_are_refused() -> None:
    with pytest.raises(MediaError, match="do not fit"):
        TitleClip(overlay("title", "word " * 800), SIZE, FPS)


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("It never went out, not once, not in the great storm.", "en"),
        ("Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * 2, "de"),
        ("灯台守は一度も明かりを消さなかった。嵐の夜でさえも、決して。", "ja"),
        ("one\n\nthree", "en"),
    ],
)
def test_lines_fit_their_box(text: str, lang: str) -> None:
    setting = set_in_box(text, lang, (300, 200), 40, 12)
    assert setting.width <= 300
    assert setting.height <= 200
    assert "".join("".join(setting.lines).split()) == "".join(text.split())


def test_no_line_begins_with_closing_punctuation() -> None:
    for width in range(60, 300, 7):
        lines = set_in_box("灯台、海。風、波。夜、光。", "ja", (width, 900), 24, 24).lines
        assert not [line for line in lines if line[0] in "、。"]


def test_short_words_are_not_broken_for_size() -> None:
    setting = set_in_box("unbreakable words", "en", (200, 300), 80, 10)
    assert set(" ".join(setting.lines).split()) == {"unbreakable", "words"}


@pytest.mark.parametrize("size", [(640, 360), (360, 640), (1280, 720)])
def test_the_slate_runs_and_reads_on_any_ground(size: tuple[int, int]) -> None:
    slate = Slate("sc010/sh0020", ("MCU · push in · 50 mm", "Mara turns. " * 20))
    strip = SlateStrip(slate, size, FPS)
    for ground in (0, 255):
        planes = rgb_to_i420(np.full((size[1], size[0], 3), ground, np.uint8))
        strip.draw(planes, 61)
        picture = i420_to_rgb(planes)
        inside = picture[: round(min(size) * 0.04)]
        assert inside.max() >= 245
        assert inside[0].max() < 120
        assert (picture[size[1] // 5 :] == ground).all()
    first, second = (rgb_to_i420(np.zeros((size[1], size[0], 3), np.uint8)) for _ in range(2))
    strip.draw(first, 61)
    strip.draw(second, 62)
    changed = np.argwhere(split_planes(first)[0] != split_planes(second)[0])
    assert len(changed)
    assert changed[:, 1].min() > size[0] * 0.6


def test_a_patch_that_sticks_out_is_cut() -> None:
    planes = rgb_to_i420(np.full((10, 10, 3), 100, np.uint8))
    white = np.full((6, 6, 3), 255, np.uint8)
    lay_over(planes, make_patch(white, np.full((6, 6), 0.5, np.float32), -3, 7))
    picture = i420_to_rgb(planes)
    assert (picture[7:, :3] >= 176).all()
    assert (np.abs(picture[:7].astype(int) - 100) <= 1).all()
    assert (np.abs(picture[:, 3:].astype(int) - 100) <= 1).all()
    lay_over(planes, make_patch(white, np.ones((6, 6), np.float32), 20, 20))
    assert np.array_equal(i420_to_rgb(planes), picture)


@pytest.mark.parametrize("place", [(0, 0), (1, 0), (0, 1), (3, 5)])
@pytest.mark.parametrize("shape", [(8, 8), (7, 5)])
def test_a_patch_mixes_as_it_would_in_rgb(place: tuple[int, int], shape: tuple[int, int]) -> None:
    ground, colour = np.array([40, 90, 200]), np.array([230, 60, 20])
    planes = rgb_to_i420(np.full((16, 16, 3), ground, np.uint8))
    rgb = np.full((*shape, 3), colour, np.uint8)
    lay_over(planes, make_patch(rgb, np.full(shape, 0.7, np.float32), *place))
    picture = i420_to_rgb(planes).astype(int)
    x, y = place
    # The inside, where no four pixels share their colour with what is around.
    inside = picture[y + 2 : y + shape[0] - 2, x + 2 : x + shape[1] - 2]
    assert inside.size
    assert np.abs(inside - (0.3 * ground + 0.7 * colour)).max() <= 4
    assert np.abs(picture[15] - ground).max() <= 3


def test_a_crop_keeps_the_upper_third_and_a_pad_keeps_everything() -> None:
    tall = np.zeros((300, 100, 3), np.uint8)
    tall[100] = 255
    cropped = framed(rgb_to_i420(tall), (100, 150), "crop")
    assert cropped.shape == (225, 100)
    assert (i420_to_rgb(cropped)[50] >= 254).all()
    wide = rgb_to_i420(np.full((100, 300, 3), 200, np.uint8))
    padded = i420_to_rgb(framed(wide, (100, 150), "pad")).astype(int)
    assert (padded[:40] == 0).all()
    assert (np.abs(padded[70:80] - 200) <= 1).all()


@given(
    source=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    size=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    fit=st.sampled_from(["crop", "pad"]),
)
@settings(deadline=None)
def test_any_shape_fits_any_frame(
    source: tuple[int, int], size: tuple[int, int], fit: Literal["crop", "pad"]
) -> None:
    width, height = 2 * source[0], 2 * source[1]
    planes = rgb_to_i420(np.full((height, width, 3), (200, 60, 20), np.uint8))
    out = framed(planes, (2 * size[0], 2 * size[1]), fit)
    assert out.shape == (3 * size[1], 2 * size[0])
    y, u, v = split_planes(out)
    seen = y > 50
    assert seen.any()
    if fit == "crop":
        assert seen.all()
    # Bars and picture meet on the chroma grid: no colour in the bars, none lost beside them.
    assert np.array_equal(seen[::2, ::2], np.abs(u.astype(int) - 128) > 20)
    assert np.array_equal(seen[::2, ::2], np.abs(v.astype(int) - 128) > 20)


def write_cube(path: Path, transform: object = None, side: int = 5) -> Path:
    lines = ['TITLE "look"', f"LUT_3D_SIZE {side}", "# blue is slowest"]
    for blue in range(side):
        for green in range(side):
            for red in range(side):
                levels = np.array([red, green, blue]) / (side - 1)
                levels = transform(levels) if callable(transform) else levels
                lines.append(" ".join(f"{level:.6f}" for level in levels))
    path.write_text("\n".join(lines))
    return path


def patches() -> np.ndarray:
    """Flat colours all over RGB, `(216 * 8, 2, 3) uint8`, eight rows of each."""
    levels = np.linspace(0, 255, 6)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 1, 3)
    return np.tile(np.repeat(np.rint(colours).astype(np.uint8), 8, axis=0), (1, 2, 1))


def through(path: Path, digest: str, strength: float) -> np.ndarray:
    planes = rgb_to_i420(patches())
    apply_lut(planes, load_lut(path, digest, strength))
    return planes


def levels_off(planes: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """Of Y, U and V in the middle rows of each colour; at an edge brightness is mixed."""
    expected = rgb_to_i420(np.clip(np.rint(rgb), 0, 255).astype(np.uint8))
    off = [
        np.abs(got.astype(int) - want)
        for got, want in zip(split_planes(planes), split_planes(expected), strict=True)
    ]
    middles = [plane.reshape(216, -1)[:, plane.size // 864 : -plane.size // 864] for plane in off]
    return np.concatenate(middles, axis=1)


def test_a_look_is_the_trilinear_colour_and_mixed_by_strength(tmp_path: Path) -> None:
    same = through(write_cube(tmp_path / "same.cube"), "a", 1.0)
    assert levels_off(same, patches()).mean() < 0.2
    assert levels_off(same, patches()).max() <= 2
    path = write_cube(tmp_path / "swap.cube", lambda levels: levels[::-1] * [1, 0.5, 1])
    swapped = through(path, "b", 1.0)
    expected = patches()[:, :, ::-1] * np.array([1, 0.5, 1])
    assert levels_off(swapped, expected).mean() < 1
    assert levels_off(swapped, expected).max() <= 5
    half = through(path, "b", 0.5)
    assert levels_off(half, (expected + patches()) / 2).max() <= 5


def test_a_look_without_colour_leaves_none(tmp_path: Path) -> None:
    grey = write_cube(tmp_path / "g.cube", lambda levels: np.full(3, levels @ [0.21, 0.72, 0.07]))
    y, u, v = split_planes(through(grey, "c", 1.0))
    assert np.abs(np.stack([u, v]).astype(int) - 128).max() <= 1
    assert np.ptp(y) > 200


def test_a_look_is_made_once_for_all_threads(tmp_path: Path) -> None:
    path = write_cube(tmp_path / "one.cube")
    with ThreadPoolExecutor(4) as pool:
        looks = list(pool.map(lambda _: load_lut(path, "once", 1.0), range(4)))
    assert all(look is looks[0] for look in looks)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("LUT_1D_SIZE 16\n", "1D"),
        ("LUT_3D_SIZE 2\n0 0 0\n", "8 lines"),
        ("LUT_3D_SIZE 900\n", "from 2 to"),
        ("LUT_3D_SIZE two\n", "cannot read"),
        ("LUT_3D_SIZE 2\n" + "0 0 nan\n" * 8, "8 lines"),
    ],
)
def test_a_broken_look_is_named(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "broken.cube"
    path.write_text(text)
    with pytest.raises(MediaError, match=match):
        load_lut(path, text, 1.0)
