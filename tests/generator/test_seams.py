"""Seams measured: what goes on passes, and each kind of planted jump does not."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from generator.backends.base import Frames, RenderTools, TakeMedia
from generator.plan import plan_shots
from generator.rendering import render_take, tools_for
from generator.requests import assets_for
from generator.seams import (
    MOST_COLOUR_STEP,
    MOST_CONTENT_STEP,
    MOST_LOUDNESS_STEP_LU,
    MOST_MOTION_STEP,
    SeamWatch,
    loudness_step,
    measure,
    measure_seam,
)
from generator.takes import TakeStore
from media.sound import write_sound
from media.timebase import SAMPLE_RATE
from media.video import MEZZANINE, write_video
from storyboards.film import Continuation
from tests.factories import make_film, make_shot
from tests.fakes import FakeBackend

WIDTH, HEIGHT = 320, 180
SPEEDS = (0, 1, 4, 10, 25)
"""Pixels a frame: from a locked camera to a whip of 8 % of the width."""


def land(seed: int) -> np.ndarray:
    """A wide landscape of soft shapes of many sizes, `(400, 1600, 3) uint8 RGB`."""
    rng = np.random.default_rng(seed)
    total = np.zeros((400, 1600, 3), np.float32)
    for step in (4, 8, 16, 32, 64):
        shapes = rng.random((400 // step + 2, 1600 // step + 2, 3)).astype(np.float32)
        total += cv2.resize(shapes, (1600, 400), interpolation=cv2.INTER_CUBIC) * step**0.7
    low, high = total.min(), total.max()
    return np.asarray((total - low) * (255 / (high - low)), np.uint8)


HERE, ELSEWHERE = land(1), land(2)


def pan(first: int, speed: int, grain: int = 0, over: np.ndarray = HERE) -> Frames:
    """Six frames from frame `first` of a pan on."""
    rng = np.random.default_rng(first)
    windows = [over[40 : 40 + HEIGHT, at : at + WIDTH] for at in range(0, 1280)]
    frames = np.stack([windows[(first + index) * speed] for index in range(6)]).astype(np.float32)
    return np.clip(frames + rng.normal(0, grain, frames.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("grain", [0, 3, 8])
@pytest.mark.parametrize("speed", SPEEDS)
def test_what_goes_on_passes(speed: int, grain: int) -> None:
    seam = measure_seam(pan(0, speed, grain), pan(6, speed, grain))
    assert seam.faults == ()
    # What the thresholds were set from.
    assert seam.colour < 0.05
    assert seam.content < 0.01
    assert seam.motion < 0.003


@pytest.mark.parametrize("grain", [0, 8])
@pytest.mark.parametrize("speed", SPEEDS)
def test_a_planted_colour_shift_is_told(speed: int, grain: int) -> None:
    shifted = np.clip(pan(6, speed, grain).astype(int) + np.array([8, 0, -6]), 0, 255)
    seam = measure_seam(pan(0, speed, grain), shifted.astype(np.uint8))
    assert seam.colour > 3.2 > MOST_COLOUR_STEP
    assert [fault.split(" jump")[0] for fault in seam.faults] == ["the colour"]


@pytest.mark.parametrize("grain", [0, 8])
@pytest.mark.parametrize("speed", SPEEDS)
def test_another_picture_is_told(speed: int, grain: int) -> None:
    seam = measure_seam(pan(0, speed, grain), pan(6, speed, grain, ELSEWHERE))
    assert seam.content > 0.13 > MOST_CONTENT_STEP
    assert any("the picture jumps" in fault for fault in seam.faults)


@pytest.mark.parametrize("speed", [0, 4])
def test_a_jump_of_a_tenth_of_the_width_is_told(speed: int) -> None:
    moved = np.roll(HERE, -WIDTH // 10, axis=1)
    seam = measure_seam(pan(0, speed), pan(6, speed, over=moved))
    assert seam.motion > 0.08 > MOST_MOTION_STEP
    assert any("things jump by" in fault for fault in seam.faults)


def test_a_camera_that_stops_dead_is_told() -> None:
    held = np.repeat(pan(6, 10)[:1], 6, axis=0)
    before = pan(0, 10)
    assert measure_seam(before, held).faults == ()
    # Moved on, stood still over the seam, moved on: a stutter.
    stutter = np.concatenate([before[-1:], pan(6, 10)])
    assert measure_seam(before, stutter).motion > MOST_MOTION_STEP


def test_flat_and_single_frames_are_measured() -> None:
    flat = np.full((1, 90, 160, 3), 90, np.uint8)
    assert measure_seam(flat, flat).faults == ()
    assert measure_seam(flat, flat + 40).colour > 10


def noise(level: float, seconds: float = 1.0, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(int(level * 1000))
    return rng.normal(0, level, (channels, round(seconds * SAMPLE_RATE))).astype(np.float32)


def test_loudness_is_that_of_the_standard() -> None:
    """A sine of 997 Hz at full scale in one channel reads -3.01 LUFS (BS.1770-4)."""
    from generator.seams import _loudness

    turns = np.arange(SAMPLE_RATE) * (997 / SAMPLE_RATE)
    sine = np.sin(2 * np.pi * turns).astype(np.float32)[None]
    assert _loudness(sine) == pytest.approx(-3.01, abs=0.02)
    assert _loudness(np.repeat(sine, 2, axis=0)) == pytest.approx(0.0, abs=0.02)


def test_steps_in_loudness() -> None:
    assert loudness_step(noise(0.1), noise(0.1)) == pytest.approx(0, abs=0.3)
    assert loudness_step(noise(0.1), noise(0.2)) == pytest.approx(6.02, abs=0.4)
    assert loudness_step(noise(0.2), noise(0.05)) == pytest.approx(-12.04, abs=0.4)
    assert loudness_step(noise(0.0), noise(0.0001)) == 0
    assert loudness_step(noise(0.1, 0.01), noise(0.0, 0)) < -MOST_LOUDNESS_STEP_LU


def test_a_sound_that_swells_is_no_step() -> None:
    swell = noise(0.1, 2.0) * 10 ** np.linspace(0, 1.5, 2 * SAMPLE_RATE)
    whole = abs(loudness_step(swell[:, :SAMPLE_RATE], swell[:, SAMPLE_RATE:]))
    assert whole < MOST_LOUDNESS_STEP_LU


def test_a_watch_measures_every_seam_of_a_stream() -> None:
    watch = SeamWatch()
    pieces = [pan(0, 4), pan(6, 4), pan(12, 4, over=ELSEWHERE)]
    for piece in pieces:
        chunks = list(watch.over(iter([piece[:1], piece[1:]])))
        assert np.array_equal(np.concatenate(chunks), piece)
    assert [bool(seam.faults) for seam in watch.seams] == [False, True]
    assert watch.seams[0] == measure_seam(pieces[0], pieces[1])


def take(folder: Path, name: str, frames: Frames, sound: np.ndarray | None) -> TakeMedia:
    picture = folder / f"{name}.mp4"
    size = (frames.shape[2], frames.shape[1])
    write_video(picture, [frames], size=size, fps=Fraction(24), encoding=MEZZANINE)
    path = folder / f"{name}.wav" if sound is not None else None
    if path is not None and sound is not None:
        write_sound(path, sound)
    return TakeMedia(picture, path, len(frames))


def test_a_shared_keyframe_is_no_stutter(tmp_path: Path) -> None:
    before = take(tmp_path, "before", pan(0, 10), None)
    shared = np.concatenate([pan(0, 10)[-1:], pan(6, 10)])
    after = take(tmp_path, "after", shared, None)
    assert measure(before, after, shared_frames=1).faults == ()
    assert measure(before, after).faults


def test_takes_are_measured_from_their_files(tmp_path: Path) -> None:
    before = take(tmp_path, "before", pan(0, 4), noise(0.1))
    good = measure(before, take(tmp_path, "good", pan(6, 4), noise(0.1)))
    assert good.faults == ()
    assert good.loudness_lu is not None
    bad = measure(before, take(tmp_path, "bad", pan(6, 4, over=ELSEWHERE), noise(0.4)))
    assert any("the picture jumps" in fault for fault in bad.faults)
    assert any("the sound jumps by +1" in fault for fault in bad.faults)
    silent = measure(before, take(tmp_path, "silent", pan(6, 4), None))
    assert silent.loudness_lu is None
    small = np.stack([cv2.resize(one, (160, 90)) for one in pan(6, 4)])
    assert measure(before, take(tmp_path, "small", small, None)).content < MOST_CONTENT_STEP


@pytest.mark.parametrize(
    ("seeds", "mode", "told"),
    [((100, 100), "extend", 0), ((100, 180), "extend", 1), ((100, 180), "cut", 0)],
)
def test_a_take_that_goes_on_from_another_notes_the_join(
    tmp_path: Path, seeds: tuple[int, int], mode: Any, told: int
) -> None:
    store, backend = TakeStore(tmp_path / "store"), FakeBackend()
    first = make_shot("sc010/sh0010", seeds=seeds[:1])
    second = make_shot("sc010/sh0020", seeds=seeds[1:], continues=Continuation(first.id, mode, 1))
    film = make_film([first, second], size=(64, 36))
    plan = plan_shots(film, {backend.id: backend}, store.entries, {})
    takes = [
        render_take(job, backend, store, tools_for(job, assets_for(film), store, RenderTools({})))
        for job in plan.missing
    ]
    warnings = takes[1].manifest["warnings"]
    assert len(warnings) == told
    assert all("the join with the take before: the colour jumps" in text for text in warnings)
    assert ("join" in takes[1].manifest) == (mode == "extend")
    assert takes[0].manifest["warnings"] == []
