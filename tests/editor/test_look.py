from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from editor.framing import framed
from editor.lettering import set_in_box
from editor.lut import apply_lut, load_lut
from editor.patch import lay_over, make_patch
from editor.slate import SlateStrip
from editor.timeline import Overlay, Slate
from editor.titles import TitleClip
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
        picture = grey.copy()
        lay_over(picture, clip.patch_at(frame))
        shown[frame] = np.abs(picture.astype(int) - 128).max(axis=2)
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
        picture = np.full((size[1], size[0], 3), ground, np.uint8)
        strip.draw(picture, 61)
        inside = picture[: round(min(size) * 0.04)]
        assert inside.max() >= 245
        assert inside[0].max() < 120
        assert (picture[size[1] // 5 :] == ground).all()
    first, second = (np.zeros((size[1], size[0], 3), np.uint8) for _ in range(2))
    strip.draw(first, 61)
    strip.draw(second, 62)
    changed = np.argwhere((first != second).any(axis=2))
    assert len(changed)
    assert changed[:, 1].min() > size[0] * 0.6


def test_a_patch_that_sticks_out_is_cut() -> None:
    picture = np.full((10, 10, 3), 100, np.uint8)
    white = np.full((6, 6, 3), 255, np.uint8)
    lay_over(picture, make_patch(white, np.full((6, 6), 0.5, np.float32), -3, 7))
    assert (picture[7:, :3] >= 177).all()
    assert (picture[:7] == 100).all()
    lay_over(picture, make_patch(white, np.ones((6, 6), np.float32), 20, 20))
    assert picture.max() < 180


def test_a_crop_keeps_the_upper_third_and_a_pad_keeps_everything() -> None:
    tall = np.zeros((300, 100, 3), np.uint8)
    tall[100] = 255
    cropped = framed(tall, (100, 150), "crop")
    assert cropped.shape == (150, 100, 3)
    assert (cropped[50] == 255).all()
    wide = np.full((100, 300, 3), 200, np.uint8)
    padded = framed(wide, (100, 150), "pad")
    assert (padded[:40] == 0).all()
    assert (padded[70:80] == 200).all()


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


def test_a_look_is_trilinear_and_mixed_by_strength(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    same = load_lut(write_cube(tmp_path / "same.cube"), "a", 1.0)
    assert np.array_equal(apply_lut(picture, same), picture)
    path = write_cube(tmp_path / "swap.cube", lambda levels: levels[::-1] * [1, 0.5, 1])
    swapped = apply_lut(picture, load_lut(path, "b", 1.0)).astype(int)
    expected = picture[:, :, ::-1] * np.array([1, 0.5, 1])
    assert np.abs(swapped - expected).max() <= 1
    half = apply_lut(picture, load_lut(path, "b", 0.5)).astype(int)
    assert np.abs(half - (expected + picture) / 2).max() <= 1


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
