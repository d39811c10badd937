"""Takes made in segments: frame counts, seeds, tails, colour, sound, progress and cancelling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.backends.base import (
    ContinueFrom,
    EditOf,
    FrameRule,
    Frames,
    KeyPicture,
    Rendered,
    RenderRequest,
    RenderTools,
    TakeMedia,
)
from generator.segment_sound import join_sounds
from generator.segments import (
    plan_segments,
    render_in_segments,
    seed_of_segment,
    segments_of,
)
from media.errors import CancelledError, RefusalError, RenderError
from media.files import sha256_file
from media.sound import read_sound, write_sound
from media.timebase import samples_at
from tests.generator.backends.contract import request_for

RULE = FrameRule(step=8, offset=1, minimum=9, maximum=49)
SIZE = (96, 54)
Painter = Callable[[int, np.ndarray], np.ndarray]


def scene(frame: int) -> np.ndarray:
    """A picture `(54, 96, 3) uint8 RGB` that glides by a pixel a frame."""
    y, x = np.mgrid[0:54, 0:96].astype(np.float64)
    x = x + frame
    waves = [np.sin(x / 9) * np.cos(y / 7), np.sin(x / 13 + 1), np.cos(x / 17 + y / 11)]
    return np.asarray(128 + 55 * np.stack(waves, axis=2), np.uint8)


@dataclass
class Model:
    """Draws the take's frames by number; a painter changes what segment n makes of them."""

    paint: Painter = lambda index, frames: frames
    hum: Callable[[int], float] = lambda index: 0.1
    """Amplitude of each segment's noise; below 0: it has no sound."""
    asked: list[RenderRequest] = field(default_factory=list)
    given: list[TakeMedia | None] = field(default_factory=list)
    drawn: int = 0

    def __call__(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        index = len(self.asked)
        going_on = request.continue_from
        take = tools.takes[going_on.take_key] if going_on else None
        self.asked.append(request)
        self.given.append(take)
        tools.on_step(1, 2)
        first = take.num_frames if take else 0
        return Rendered(
            frames=self._frames(index, first, request, tools),
            num_frames=request.num_frames,
            fps=request.fps,
            size=request.size,
            seed=request.seed,
            revision="1",
            audio=lambda: self._sound(index, request),
            versions={"painter": "1"},
            cost_usd=0.25,
            warnings=["a step down"],
            peak_memory_mb=lambda: 100.0 + index,
            timings={"denoise_s": 1.5},
        )

    def _frames(
        self, index: int, first: int, request: RenderRequest, tools: RenderTools
    ) -> Iterator[Frames]:
        for start in range(0, request.num_frames, 16):
            if tools.should_stop():
                raise CancelledError("cancelled")
            numbers = range(first + start, first + min(start + 16, request.num_frames))
            self.drawn += len(numbers)
            yield self.paint(index, np.stack([scene(one) for one in numbers]))

    def _sound(self, index: int, request: RenderRequest) -> np.ndarray | None:
        if self.hum(index) < 0:
            return None
        noise = np.random.default_rng(index).normal(0, self.hum(index), (2, 480_000))
        return noise[:, : samples_at(request.num_frames, request.fps)].astype(np.float32)


def asked(num_frames: int = 120, **changes: object) -> RenderRequest:
    values = {"size": SIZE, "audio": "native", **changes}
    return request_for(num_frames, **values)


def made(
    model: Model, request: RenderRequest, tools: RenderTools | None = None, overlap: int = 9
) -> tuple[Frames, Rendered]:
    segments = segments_of(request, RULE, overlap)
    rendered = render_in_segments(request, tools or RenderTools({}), segments, model)
    chunks = list(rendered.frames)
    assert all(1 <= len(chunk) <= 16 for chunk in chunks)
    return np.concatenate(chunks), rendered


@settings(max_examples=300)
@given(
    num_frames=st.integers(1, 24 * 180),
    step=st.integers(1, 17),
    offset=st.integers(0, 5),
    steps=st.integers(1, 40),
    overlap=st.integers(0, 40),
    tail=st.integers(0, 40),
    handle=st.integers(0, 6),
)
def test_every_call_is_one_the_rule_allows_and_all_frames_are_made_once(
    num_frames: int, step: int, offset: int, steps: int, overlap: int, tail: int, handle: int
) -> None:
    longest = step * steps + offset
    rule = FrameRule(step, offset, min(step + offset, longest), longest)
    try:
        segments = plan_segments(num_frames, rule, overlap, first_tail=tail, handle=handle)
    except RefusalError:
        assert longest <= max(overlap, tail) + handle
        return
    assert [one.index for one in segments] == list(range(len(segments)))
    at = 0
    for one in segments:
        assert one.start_frame == at
        assert one.num_frames >= 1
        assert one.call_frames <= longest
        at += one.num_frames
    assert at == num_frames
    assert all(rule.snap(one.call_frames) == one.call_frames for one in segments[:-1])
    # As few calls as can be, and the last one no more than a step shorter than its share.
    fewer = len(segments) - 1
    assert not fewer or num_frames + tail + (fewer - 1) * (overlap + handle) > fewer * longest
    share = sum(one.call_frames for one in segments) / len(segments)
    least = max(rule.minimum, max(overlap, tail) + handle + 1)
    assert segments[-1].call_frames > share - step or share < least + step


def test_three_minutes_of_a_model_of_five_seconds() -> None:
    segments = plan_segments(24 * 180, FrameRule(8, 1, 9, 121), 17, handle=3)
    assert len(segments) == 43
    assert {one.call_frames for one in segments} <= {113, 118, 121}


def test_a_take_that_fits_is_one_call_with_everything_it_was_given() -> None:
    model = Model()
    going_on = ContinueFrom("t" * 64, "extend", 9)
    request = asked(40, continue_from=going_on)
    tools = RenderTools({}, {"t" * 64: TakeMedia(Path("take.mp4"), None, 0)})
    frames, _ = made(model, request, tools)
    assert model.asked == [request]
    assert len(frames) == 40
    # One frame more, and tail and new frames no longer fit a call of 49.
    assert len(segments_of(replace(request, num_frames=41), RULE, 9)) == 2


def test_a_tail_without_room_for_new_frames_is_refused() -> None:
    with pytest.raises(RefusalError, match="a call of 49 frames has no room"):
        plan_segments(100, RULE, 49)


def test_segments_go_on_from_the_frames_as_they_were_made() -> None:
    model = Model()
    frames, rendered = made(model, asked())
    assert len(frames) == rendered.num_frames == 120
    assert np.array_equal(frames, np.stack([scene(at) for at in range(120)]))
    segments = segments_of(asked(), RULE, 9)
    assert len(segments) == len(model.asked) == 3
    for segment, request, take in zip(segments, model.asked, model.given, strict=True):
        assert request.seed == seed_of_segment(7, segment.index)
        assert request.prompt == "dusk"
        assert request.num_frames == segment.num_frames + segment.handle_frames
        if segment.index == 0:
            assert (request.continue_from, take) == (None, None)
            continue
        assert request.continue_from is not None
        assert take is not None
        assert take.tail is not None
        assert take.tail_sound is not None
        assert request.continue_from.tail_frames == segment.tail_frames == 9
        before = range(segment.start_frame - 9, segment.start_frame)
        assert np.array_equal(take.tail, np.stack([scene(at) for at in before]))
        assert take.tail_sound.shape == (2, samples_at(9, Fraction(24)))
    assert len({request.seed for request in model.asked}) == 3
    keys = [request.continue_from.take_key for request in model.asked if request.continue_from]
    assert len(set(keys)) == 2
    assert rendered.cost_usd == 0.75
    assert rendered.warnings == ["a step down"]
    assert rendered.peak_memory_mb() == 102.0
    assert rendered.timings == {"denoise_s": 4.5}


def test_a_key_is_that_of_the_calls_before_it() -> None:
    """What is kept by request may be found again only if every frame before is the same."""
    one, other, again = Model(), Model(), Model()
    made(one, asked())
    made(again, asked())
    made(other, asked(key_pictures=(KeyPicture(0, "a" * 64),)))
    assert [r.continue_from for r in one.asked] == [r.continue_from for r in again.asked]
    for mine, yours in zip(one.asked[1:], other.asked[1:], strict=True):
        assert mine.continue_from != yours.continue_from


def test_later_segments_are_made_while_earlier_ones_are_shown() -> None:
    model = Model()
    rendered = render_in_segments(asked(), RenderTools({}), segments_of(asked(), RULE, 9), model)
    assert len(model.asked) == 1
    seen = 0
    for chunk in rendered.frames:
        seen += len(chunk)
        # Nothing is made further ahead than the frames that tell a seam's colour.
        assert model.drawn <= seen + 32


def test_key_pictures_go_to_the_segments_that_hold_them() -> None:
    first, middle, last = segments_of(asked(), RULE, 9)
    where = (0, middle.start_frame, middle.start_frame + 5, 119)
    model = Model()
    made(model, asked(key_pictures=tuple(KeyPicture(at, f"{at:064}") for at in where)))
    found = [[(key.frame, int(key.sha256)) for key in one.key_pictures] for one in model.asked]
    assert found == [
        [(0, 0)],
        [(0, middle.start_frame), (5, middle.start_frame + 5)],
        [(last.num_frames - 1, 119)],
    ]
    assert first.handle_frames == 3
    assert last.handle_frames == 0


def tinted(index: int, frames: Frames) -> Frames:
    warmer = frames.astype(int) + np.array([9, -4, -8])
    return np.clip(warmer, 0, 255).astype(np.uint8) if index % 2 else frames


def test_colour_is_matched_at_the_seam_and_the_correction_fades() -> None:
    model = Model(tinted)
    frames, rendered = made(model, asked())
    true = np.stack([scene(at) for at in range(120)]).astype(int)
    seam = segments_of(asked(), RULE, 9)[1].start_frame
    step = np.abs(frames[seam : seam + 2].astype(int) - true[seam : seam + 2]).mean()
    planted = np.abs(tinted(1, frames[:1]).astype(int) - frames[:1]).mean()
    assert step < planted / 4
    # From frame to frame it is never more than the fade allows.
    off = (frames.astype(int) - true)[seam : seam + 30].mean(axis=(1, 2))
    assert np.abs(np.diff(off, axis=0)).max() < 1.5
    assert not [text for text in rendered.warnings if "colour" in text]


def test_colour_comes_back_to_the_models_own_within_a_second() -> None:
    rule = FrameRule(8, 1, 9, 97)
    request = asked(150, audio="none")
    segments = segments_of(request, rule, 9)
    rendered = render_in_segments(request, RenderTools({}), segments, Model(tinted))
    frames = np.concatenate(list(rendered.frames))
    own = tinted(1, np.stack([scene(at) for at in range(150)]))
    late = segments[1].start_frame + 24
    assert np.array_equal(frames[late:], own[late:])


def test_what_goes_on_is_not_touched() -> None:
    """A light that comes up evenly is the same light on both sides of a seam."""

    at = 0

    def dawn(_: int, frames: Frames) -> Frames:
        nonlocal at
        gains = 0.6 + (at + np.arange(len(frames))) / 400
        at += len(frames)
        return np.asarray(frames * gains[:, None, None, None], np.uint8)

    frames, rendered = made(Model(dawn, hum=lambda index: -1.0), asked(audio="none"))
    at = 0
    assert np.array_equal(frames, dawn(0, np.stack([scene(one) for one in range(120)])))
    assert rendered.warnings == ["a step down"]
    assert rendered.versions["seams"].count("colour 0.") == 2


def test_a_planted_jump_is_told() -> None:
    def other_place(index: int, frames: Frames) -> Frames:
        return frames[:, ::-1, ::-1] if index == 2 else frames

    _, rendered = made(Model(other_place), asked())
    start = segments_of(asked(), RULE, 9)[2].start_frame
    assert any(f"at frame {start}: " in text and "jump" in text for text in rendered.warnings)


def test_a_jump_in_level_is_told() -> None:
    _, rendered = made(Model(hum=lambda index: 0.3 if index == 1 else 0.05), asked())
    told = [text for text in rendered.warnings if "LU" in text]
    assert len(told) == 2
    assert "jumps by +15" in told[0]
    assert "jumps by -15" in told[1]


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(30000, 1001), Fraction(24000, 1001)])
def test_sound_is_exactly_as_long_as_the_frames_and_even_in_power(fps: Fraction) -> None:
    _, rendered = made(Model(), asked(fps=fps))
    sound = rendered.audio()
    assert sound is not None
    assert sound.shape == (2, samples_at(120, fps))
    assert sound.dtype == np.float32
    blocks = sound[:, : sound.shape[1] // 1600 * 1600].reshape(2, -1, 1600)
    power = (blocks**2).mean(axis=(0, 2))
    # Noise of 3,200 samples a block: a hole or a doubling would be 3 dB, half or twice.
    assert power.min() > 0.008
    assert power.max() < 0.012


def test_the_crossfade_goes_from_one_sound_to_the_next() -> None:
    model = Model()
    model._sound = lambda index, request: np.full(  # type: ignore[method-assign]
        (1, samples_at(request.num_frames, request.fps)), float(index == 1), np.float32
    )
    _, rendered = made(model, asked())
    sound = rendered.audio()
    assert sound is not None
    segments = segments_of(asked(), RULE, 9)
    into, out = (samples_at(one.start_frame, Fraction(24)) for one in segments[1:3])
    handle = samples_at(3, Fraction(24))
    assert sound[0, into - 1] == 0
    assert sound[0, into + handle // 2] == pytest.approx(np.sqrt(0.5), abs=1e-3)
    assert (sound[0, into + handle : out] == 1).all()
    assert sound[0, out + handle // 2] == pytest.approx(np.sqrt(0.5), abs=1e-3)
    assert (sound[0, out + handle :] == 0).all()


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(30000, 1001)])
def test_every_sample_stays_where_it_was_made(fps: Fraction) -> None:
    segments = segments_of(asked(fps=fps), RULE, 9)
    line = np.linspace(0.1, 0.9, samples_at(140, fps), dtype=np.float32)[None]
    starts = [samples_at(one.start_frame, fps) for one in segments]
    sounds: list[np.ndarray | None] = [
        line[:, start : start + samples_at(one.num_frames + one.handle_frames, fps)]
        for one, start in zip(segments, starts, strict=True)
    ]
    joined = join_sounds(segments, sounds, fps)
    assert joined is not None
    alone = np.ones(joined.shape[1], bool)
    for before, segment in pairwise(segments):
        end = samples_at(segment.start_frame + before.handle_frames, fps)
        alone[samples_at(segment.start_frame, fps) : end] = False
    # A segment that is a sample short at its end holds its last one.
    off = np.abs(joined - line[:, : joined.shape[1]])[0]
    assert off[alone][:-1].max() == 0
    assert off[alone][-1] < 1e-4
    assert alone.sum() > 0.9 * len(alone)


def test_segments_without_sound_are_silence_and_none_at_all_is_none() -> None:
    _, rendered = made(Model(hum=lambda index: -1.0 if index == 1 else 0.1), asked())
    sound = rendered.audio()
    assert sound is not None
    one = segments_of(asked(), RULE, 9)[1]
    middle = samples_at(one.start_frame + one.num_frames // 2, Fraction(24))
    assert not sound[:, middle - 500 : middle + 500].any()
    _, rendered = made(Model(hum=lambda index: -1.0), asked())
    assert rendered.audio() is None


def test_silent_takes_have_no_handles() -> None:
    assert {one.handle_frames for one in segments_of(asked(audio="none"), RULE, 9)} == {0}


def test_driving_sound_is_cut_to_the_segments(tmp_path: Path) -> None:
    path = tmp_path / "line.wav"
    ramp = np.linspace(0, 1, samples_at(100, Fraction(24)), dtype=np.float32)[None]
    write_sound(path, ramp)
    sha256 = sha256_file(path)
    heard: list[np.ndarray] = []
    model = Model()

    def listening(request: RenderRequest, tools: RenderTools) -> Rendered:
        heard.append(read_sound(tools.assets[request.audio_sha256]))
        return model(request, tools)

    request = asked(audio="driven", audio_sha256=sha256)
    segments = segments_of(request, RULE, 9)
    rendered = render_in_segments(request, RenderTools({sha256: path}), segments, listening)
    list(rendered.frames)
    padded = np.pad(ramp, ((0, 0), (0, 480_000)))
    for segment, part in zip(segments, heard, strict=True):
        start = samples_at(segment.start_frame, Fraction(24))
        length = samples_at(segment.num_frames + segment.handle_frames, Fraction(24))
        assert np.array_equal(part, padded[:, start : start + length])
    assert len({one.audio_sha256 for one in model.asked}) == 3


def test_motion_is_taken_from_where_the_segment_begins() -> None:
    model = Model()
    made(model, asked(options=(("motion_from.start_s", "3/2"), ("steps", 8))))
    second = segments_of(asked(), RULE, 9)[1]
    options = [dict(one.options) for one in model.asked]
    assert options[0]["motion_from.start_s"] == "3/2"
    assert Fraction(str(options[1]["motion_from.start_s"])) == Fraction(3, 2) + Fraction(
        second.start_frame, 24
    )
    assert {one["steps"] for one in options} == {8}


def test_progress_is_of_the_whole_and_never_backwards() -> None:
    steps: list[tuple[int, int]] = []
    tools = RenderTools({}, on_step=lambda done, total: steps.append((done, total)))
    made(Model(), asked(), tools)
    assert {total for _, total in steps} == {120}
    done = [done for done, _ in steps]
    assert done == sorted(done)
    assert len(done) == 3
    assert done[-1] < 120


@pytest.mark.parametrize("after", range(12))
def test_cancelled_anywhere_it_stops(after: int) -> None:
    left = iter([False] * after)
    with pytest.raises(CancelledError):
        made(Model(), asked(), RenderTools({}, should_stop=lambda: next(left, True)))


def test_what_does_not_come_as_asked_is_named() -> None:
    class Short(Model):
        def _frames(self, *args: object) -> Iterator[Frames]:
            yield from list(super()._frames(*args))[:-1]  # type: ignore[arg-type]

    class Deaf(Model):
        def _sound(self, index: int, request: RenderRequest) -> np.ndarray:
            return np.zeros((1, 7), np.float32)

    class Small(Model):
        def __call__(self, request: RenderRequest, tools: RenderTools) -> Rendered:
            return super().__call__(replace(request, size=(32, 18)), tools)

    with pytest.raises(RenderError, match=r"segment 1: expected \d+ frames, got 48"):
        made(Short(), asked())
    with pytest.raises(RenderError, match=r"segment 1: expected \d+ samples of sound, got"):
        made(Deaf(), asked())
    with pytest.raises(RenderError, match=r"segment 1: expected .* got .*\(32, 18\)"):
        made(Small(), asked())


def test_an_edit_longer_than_a_call_is_not_made() -> None:
    request = asked(edit=EditOf("t" * 64, "restyle", "snow"))
    with pytest.raises(RenderError, match="an edit is made in one call"):
        made(Model(), request)
