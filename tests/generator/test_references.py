"""The cast's files as models want them, and which of them a model is given."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from generator.backends.animatic import Animatic
from generator.backends.base import Backend, Reference, RefRole, RenderRequest
from generator.backends.footage import FootageBackend
from generator.plan import plan_shots
from generator.reference_choice import choose_references, require_usable
from generator.references import (
    MIN_SIDE,
    NEUTRAL,
    REFERENCES,
    fitted,
    looped,
    motion_clip,
    reference_sheet,
    voice_sample,
)
from media.errors import RefusalError
from media.files import sha256_file
from media.image import write_image
from media.sound import write_sound
from media.store import ContentStore
from media.timebase import SAMPLE_RATE
from media.video import MEZZANINE, write_video
from storyboards.film import Asset
from tests.factories import make_character, make_film, make_shot, make_staged
from tests.fakes import FakeBackend
from tests.generator.backends.contract import request_for

U8 = NDArray[np.uint8]

RED, GREEN, BLUE = (220, 30, 30), (30, 200, 30), (30, 30, 220)


def flat(path: Path, colour: tuple[int, ...], size: tuple[int, int]) -> Path:
    """A picture of one colour, RGB or RGBA."""
    write_image(path, np.full((size[1], size[0], len(colour)), colour, np.uint8))
    return path


def box_of(sheet: U8, colour: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of where the sheet has `colour`."""
    rows, columns = np.nonzero(np.abs(sheet.astype(int) - colour[:3]).max(axis=2) < 12)
    assert rows.size, f"{colour} is not on the sheet"
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_views_stand_whole_side_by_side_in_order(tmp_path: Path) -> None:
    views = [
        flat(tmp_path / "front.png", RED, (100, 300)),
        flat(tmp_path / "portrait.png", GREEN, (200, 200)),
        flat(tmp_path / "side.png", BLUE, (100, 300)),
    ]
    sheet = reference_sheet(views, (768, 448))
    assert sheet.shape == (448, 768, 3)
    assert sheet.dtype == np.uint8
    boxes = [box_of(sheet, colour) for colour in (RED, GREEN, BLUE)]
    assert boxes[0][2] <= boxes[1][0]
    assert boxes[1][2] <= boxes[2][0]
    for (left, top, right, bottom), shape in zip(boxes, (1 / 3, 1.0, 1 / 3), strict=True):
        assert (right - left) / (bottom - top) == pytest.approx(shape, abs=0.02)
    assert (sheet[0] == NEUTRAL).all()
    assert (sheet[-1] == NEUTRAL).all()


def test_two_characters_of_three_views_fill_a_wide_sheet_in_the_order_given(tmp_path: Path) -> None:
    colours = [(40 * n + 20, 200 - 30 * n, 90) for n in range(6)]
    views = [flat(tmp_path / f"{n}.png", c, (64, 128)) for n, c in enumerate(colours)]
    boxes = [box_of(reference_sheet(views, (768, 448)), colour) for colour in colours]
    rows = [(top // 30, left) for left, top, _, _ in boxes]
    assert rows == sorted(rows)
    shown = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
    assert shown > 0.3 * 768 * 448


def test_what_is_clear_shows_the_ground_and_half_clear_half_of_it(tmp_path: Path) -> None:
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[:, :32] = (200, 0, 0, 128)
    write_image(tmp_path / "mara.png", picture)
    sheet = reference_sheet([tmp_path / "mara.png"], (80, 80))
    expected = (200 * 128 + NEUTRAL * 127) / 255
    assert abs(float(sheet[40, 20, 0]) - expected) <= 1
    assert (sheet[:, 44:] == NEUTRAL).all()


def test_a_sheet_is_the_same_every_time_and_composed_once_for_the_same_bytes(
    tmp_path: Path,
) -> None:
    views = [flat(tmp_path / "a.png", RED, (400, 900)), flat(tmp_path / "b.png", BLUE, (700, 700))]
    store = tmp_path / "store"
    sheet = reference_sheet(views, (320, 192))
    first = reference_sheet(views, (320, 192), cache=store)
    (tmp_path / "a.png").rename(tmp_path / "renamed.png")
    again = reference_sheet([tmp_path / "renamed.png", views[1]], (320, 192), cache=store)
    assert (first == sheet).all()
    assert (again == sheet).all()
    assert len(list(ContentStore(store, REFERENCES).keys())) == 1
    reference_sheet(views[1:], (320, 192), cache=store)
    flat(views[1], GREEN, (700, 700))
    changed = reference_sheet(views[1:], (320, 192), cache=store)
    box_of(changed, GREEN)
    assert len(list(ContentStore(store, REFERENCES).keys())) == 3


def test_a_still_loops_without_taking_memory(tmp_path: Path) -> None:
    sheet = reference_sheet([flat(tmp_path / "a.png", RED, (64, 64))], (96, 64))
    clip = looped(sheet, 121)
    assert clip.shape == (121, 64, 96, 3)
    assert (clip[0] == clip[120]).all()
    assert np.shares_memory(clip, sheet)


def test_a_picture_is_cropped_to_fill_or_shown_whole(tmp_path: Path) -> None:
    picture = np.zeros((300, 100, 3), np.uint8)
    picture[:60] = RED
    write_image(tmp_path / "tall.png", picture)
    cover = fitted(tmp_path / "tall.png", (100, 180))
    assert cover.shape == (180, 100, 3)
    # 120 rows are lost: 40 above and 80 below, so 20 of the 60 red ones stay.
    assert box_of(cover, RED)[3] == 20
    whole = fitted(tmp_path / "tall.png", (100, 180), "contain")
    left, top, right, bottom = box_of(whole, RED)
    assert (right - left, bottom - top) == (60, 36)
    assert (left, top) == (20, 0)
    assert (whole[:, :20] == NEUTRAL).all()


def test_a_voice_loses_its_silence_and_what_is_too_long(tmp_path: Path) -> None:
    sound = np.random.default_rng(1).normal(0, 1e-4, (1, 4 * SAMPLE_RATE)).astype(np.float32)
    seconds = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    sound[0, SAMPLE_RATE : 3 * SAMPLE_RATE] += 0.3 * np.sin(2 * np.pi * 220 * seconds)
    write_sound(tmp_path / "mara.wav", sound)
    voice = voice_sample(tmp_path / "mara.wav", 32_000, 30)
    assert voice.dtype == np.float32
    assert voice.shape[1] / 32_000 == pytest.approx(2, abs=0.05)
    spectrum = np.abs(np.fft.rfft(voice[0]))
    assert np.argmax(spectrum) * 32_000 / voice.shape[1] == pytest.approx(220, abs=2)
    assert voice_sample(tmp_path / "mara.wav", 16_000, 0.75).shape == (1, 12_000)


def test_a_motion_clip_is_conformed_in_rate_and_shape(tmp_path: Path) -> None:
    frames = np.stack([np.full((64, 128, 3), 8 * n, np.uint8) for n in range(25)])
    write_video(tmp_path / "m.mp4", [frames], size=(128, 64), fps=Fraction(25), encoding=MEZZANINE)
    clip = motion_clip(tmp_path / "m.mp4", Fraction(16), 9, (48, 64), Fraction(2, 5))
    assert clip.shape == (9, 64, 48, 3)
    shown = [(Fraction(2, 5) + Fraction(n, 16)) * 25 for n in range(9)]
    for frame, at in zip(clip, shown, strict=True):
        assert abs(float(frame.mean()) - 8 * int(at)) < 3


def test_what_cannot_be_used_is_refused_by_name(tmp_path: Path) -> None:
    small = flat(tmp_path / "thumb.png", RED, (MIN_SIDE - 1, 200))
    with pytest.raises(RefusalError, match=r"thumb.png: expected a reference of at least 32"):
        reference_sheet([small], (64, 64))
    broken = tmp_path / "broken.png"
    broken.write_bytes(flat(tmp_path / "a.png", RED, (64, 64)).read_bytes()[:80])
    with pytest.raises(RefusalError, match=r"broken.png: the reference cannot be used: .*damaged"):
        fitted(broken, (64, 64))
    with pytest.raises(RefusalError, match="got none"):
        reference_sheet([], (64, 64))
    tone = 0.2 * np.sin(np.arange(SAMPLE_RATE // 5) / 20)
    write_sound(tmp_path / "hm.wav", tone[None].astype(np.float32))
    with pytest.raises(RefusalError, match=r"hm.wav: expected at least 0.5 s of a voice, found 0"):
        voice_sample(tmp_path / "hm.wav", 16_000, 5)
    write_sound(tmp_path / "silence.wav", np.zeros((2, SAMPLE_RATE), np.float32))
    with pytest.raises(RefusalError, match="silence"):
        voice_sample(tmp_path / "silence.wav", 16_000, 5)
    clip = np.zeros((6, 64, 64, 3), np.uint8)
    write_video(tmp_path / "m.mp4", [clip], size=(64, 64), fps=Fraction(24), encoding=MEZZANINE)
    with pytest.raises(RefusalError, match=r"m.mp4: .*ends \d+ frames before"):
        motion_clip(tmp_path / "m.mp4", Fraction(24), 24, (64, 64))
    with pytest.raises(RefusalError, match="expected at most 4 GiB"):
        motion_clip(tmp_path / "m.mp4", Fraction(24), 5000, (1920, 1080))


MARA = [Reference("image", "character", f"mara{n}", "Mara") for n in range(3)]
TOM = [Reference("image", "character", f"tom{n}", "Tom") for n in range(2)]
PLATE = Reference("image", "plate", "plate")
STYLE = Reference("image", "style", "style")
VOICE = Reference("audio", "voice", "voice", "Mara")
MOVE = Reference("video", "motion", "move", "Mara")


def chosen(
    limits: Mapping[str, int], roles: list[RefRole], at_most: int | None = None
) -> tuple[list[str], dict[str, str]]:
    able = replace(FootageBackend.capabilities, max_references=limits)
    request: RenderRequest = request_for(references=(*MARA, *TOM, VOICE, PLATE, STYLE, MOVE))
    kept, losses = choose_references(request, able, roles, model="LTX", at_most=at_most)
    return [one.sha256 for one in kept], {loss.field: loss.reason for loss in losses}


def test_everything_that_fits_is_kept_in_order() -> None:
    roles: list[RefRole] = ["character", "voice", "plate", "style", "motion"]
    kept, losses = chosen({"image": 9, "audio": 1, "video": 1}, roles)
    assert kept == ["mara0", "mara1", "mara2", "tom0", "tom1", "voice", "plate", "style", "move"]
    assert losses == {}


def test_everybody_is_seen_once_before_anybody_twice_and_the_rest_is_named() -> None:
    kept, losses = chosen({"image": 4}, ["character", "plate"])
    assert kept == ["mara0", "mara1", "tom0", "plate"]
    assert losses == {
        "cast.Mara.refs": "1 of 3 stay out: LTX takes at most 4 pictures",
        "cast.Tom.refs": "1 of 2 stay out: LTX takes at most 4 pictures",
        "cast.Mara.voice.ref": "LTX takes no voices",
        "look.refs": "LTX takes no pictures of a style",
        "motion_from": "LTX takes no movement from footage",
    }


def test_a_limit_over_all_kinds_counts_them_together() -> None:
    roles: list[RefRole] = ["character", "voice", "plate"]
    kept, losses = chosen({"image": 9, "audio": 3, "video": 1}, roles, at_most=3)
    assert kept == ["mara0", "tom0", "voice"]
    assert losses["location.refs"] == "1 of 1 stay out: LTX takes at most 3 references"


def test_nothing_is_lost_without_a_word() -> None:
    """Every reference that is not kept has a loss of its own field."""
    fields = {
        **dict.fromkeys((one.sha256 for one in MARA), "cast.Mara.refs"),
        **dict.fromkeys((one.sha256 for one in TOM), "cast.Tom.refs"),
        "voice": "cast.Mara.voice.ref",
        "plate": "location.refs",
        "style": "look.refs",
        "move": "motion_from",
    }
    for images in range(8):
        for at_most in (None, 0, 2, 5):
            limits = {"image": images, "audio": 1, "video": 0}
            kept, losses = chosen(limits, ["voice", "character", "style"], at_most)
            assert len([one for one in kept if one != "voice"]) <= images
            assert {fields[one] for one in fields if one not in kept} == losses.keys()


def test_files_that_hold_nobody_are_refused_when_planned(tmp_path: Path) -> None:
    small = flat(tmp_path / "thumb.png", RED, (20, 20))
    large = flat(tmp_path / "front.png", RED, (64, 64))
    write_sound(tmp_path / "hm.wav", np.zeros((1, 4800), np.float32))
    files = {"mara0": large, "tom0": small, "voice": tmp_path / "hm.wav"}
    require_usable([MARA[0]], files)
    with pytest.raises(RefusalError, match=r"cast.Tom.refs, thumb.png: expected at .*20x20"):
        require_usable([MARA[0], TOM[0]], files)
    with pytest.raises(RefusalError, match=r"cast.Mara.voice.ref, hm.wav: expected at least 0.5 s"):
        require_usable([VOICE], files)


def test_a_kept_sheet_spares_reading_the_pictures(tmp_path: Path) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (1600, 1200, 3), np.uint8)
    views = []
    for n in range(3):
        views.append(tmp_path / f"{n}.png")
        write_image(views[-1], np.roll(noise, n))
    reference_sheet(views, (320, 192), cache=tmp_path / "store")
    started = time.perf_counter()
    reference_sheet(views, (320, 192))
    composing = time.perf_counter() - started
    started = time.perf_counter()
    reference_sheet(views, (320, 192), cache=tmp_path / "store")
    assert time.perf_counter() - started < composing / 2


def test_a_backend_that_holds_people_by_pictures_is_passed_over_for_a_thumbnail(
    tmp_path: Path,
) -> None:
    small = flat(tmp_path / "thumb.png", RED, (20, 20))
    mara = make_character(refs={"front": Asset(small, sha256_file(small))})
    film = make_film([make_shot(cast=(make_staged(mara, ref="front"),), backends=("fake", "auto"))])
    store = ContentStore(tmp_path, "takes")
    backends: Mapping[str, Backend] = {"animatic": Animatic(), "fake": FakeBackend()}
    job = plan_shots(film, backends, store, {}).jobs[0]
    assert job.backend == "animatic"
    assert job.losses[0].field == "backend"
    assert "thumb.png: expected at least 32 pixels a side, found 20x20" in job.losses[0].reason
