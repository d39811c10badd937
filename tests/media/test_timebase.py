from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.timebase import (
    Duration,
    frames_to_seconds,
    parse_duration,
    parse_fps,
    samples_at,
    seconds_to_frames,
    timecode,
)

RATES = st.sampled_from(
    [Fraction(24), Fraction(25), Fraction(30), Fraction(60)]
    + [Fraction(n * 1000, 1001) for n in (24, 30, 60)]
)
FRAMES = st.integers(0, 10**7)


@given(FRAMES, RATES)
def test_frames_survive_seconds_and_back(frame: int, fps: Fraction) -> None:
    assert seconds_to_frames(frames_to_seconds(frame, fps), fps) == frame


@given(FRAMES, st.integers(1, 10**5), RATES)
def test_samples_of_adjoining_ranges_never_drift(start: int, length: int, fps: Fraction) -> None:
    begin, end = samples_at(start, fps), samples_at(start + length, fps)
    assert abs((end - begin) - Fraction(length * 48_000) / fps) <= 1
    assert samples_at(0, fps) == 0


@given(FRAMES)
def test_whole_rates_have_whole_samples(frame: int) -> None:
    assert samples_at(frame, Fraction(24)) == 2000 * frame
    assert samples_at(5 * frame, Fraction(30000, 1001)) == 8008 * frame


@given(st.fractions(-3000, 3000), RATES)
def test_rounding_is_to_the_nearest_frame_and_symmetric(seconds: Fraction, fps: Fraction) -> None:
    frames = seconds_to_frames(seconds, fps)
    assert abs(frames - seconds * fps) <= Fraction(1, 2)
    assert seconds_to_frames(-seconds, fps) == -frames


def test_half_a_frame_rounds_away_from_zero() -> None:
    assert [seconds_to_frames(Fraction(n, 48), Fraction(24)) for n in (1, 3, -1)] == [1, 2, -1]


@given(st.integers(-3_600_000, 3_600_000))
def test_milliseconds_are_exact(ms: int) -> None:
    assert parse_duration(f"{ms}ms") == Duration(Fraction(ms, 1000), "s")


@given(st.integers(0, 400_000))
def test_frames_are_read_as_written(frames: int) -> None:
    duration = parse_duration(f"{frames}f")
    assert duration.frames(Fraction(25)) == frames
    assert parse_duration(str(duration)) == duration


@pytest.mark.parametrize(
    ("text", "frames"), [("4s", 96), ("1.5s", 36), ("250ms", 6), ("12f", 12), (2, 48), (0.5, 12)]
)
def test_durations_people_write(text: object, frames: int) -> None:
    assert parse_duration(text).frames(Fraction(24)) == frames


@pytest.mark.parametrize(
    "text",
    ["", "4m", "1.5f", "nan", "inf", float("nan"), float("inf"), True, None, [1], "3601s", "٤s"],
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_duration(text)


@given(st.text())
def test_any_text_is_parsed_or_refused_in_words(text: str) -> None:
    try:
        duration = parse_duration(text)
    except ValueError as error:
        refusal = str(error)
    else:
        refusal = "" if duration.unit in ("s", "f") else "no unit"
    assert refusal == "" or "expected" in refusal


@pytest.mark.parametrize(
    ("value", "fps"),
    [(24, Fraction(24)), (23.976, Fraction(24000, 1001)), ("30000/1001", Fraction(30000, 1001))],
)
def test_rates_people_write(value: object, fps: Fraction) -> None:
    assert parse_fps(value) == fps


@pytest.mark.parametrize("value", [0, -24, 121, "1/0", "fast", "nan", True, None])
def test_what_is_no_rate_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a frame rate"):
        parse_fps(value)


def test_timecode_counts_the_nearest_whole_rate() -> None:
    assert timecode(24 * 3661 + 5, Fraction(24)) == "01:01:01:05"
    assert timecode(30, Fraction(30000, 1001)) == "00:00:01:00"
