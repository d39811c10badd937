"""Exact time: whole frames of one rational rate, and the durations that people write.

A duration is rounded to frames once, here, half away from zero; everything after that is
integer arithmetic. At the usual rates 48 kHz sound has a whole number of samples per frame
(24 fps: 2000) or per few frames (30000/1001 fps: 8008 per 5); `samples_at` is exact at both.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

__all__ = [
    "SAMPLE_RATE",
    "Duration",
    "frames_to_seconds",
    "parse_duration",
    "parse_fps",
    "samples_at",
    "seconds_to_frames",
    "timecode",
]

SAMPLE_RATE = 48_000
"""Hz of every sound inside Takeboard; sources are resampled where they enter."""

MAX_DURATION_S = 3600
"""Longest duration the language accepts for one thing, in seconds."""

_DURATION = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*(ms|s|f)?\s*", re.ASCII)

# The NTSC rates are 24000/1001 and so on (SMPTE ST 12-1); people write them rounded.
_NTSC = {
    "23.976": Fraction(24000, 1001),
    "23.98": Fraction(24000, 1001),
    "29.97": Fraction(30000, 1001),
    "47.952": Fraction(48000, 1001),
    "59.94": Fraction(60000, 1001),
}


@dataclass(frozen=True, slots=True)
class Duration:
    """A length as written: exact seconds, or frames of whatever rate the project has."""

    amount: Fraction
    unit: str
    """`s` or `f`."""

    def frames(self, fps: Fraction) -> int:
        """Whole frames at `fps`, half away from zero."""
        if self.unit == "f":
            return _round_half_up(self.amount)
        return seconds_to_frames(self.amount, fps)

    def seconds(self, fps: Fraction) -> Fraction:
        """Exact seconds; frames are read at `fps`."""
        return self.amount / fps if self.unit == "f" else self.amount

    def __str__(self) -> str:
        number = f"{float(self.amount):.6f}".rstrip("0").rstrip(".")
        return f"{number}{self.unit}"


def parse_duration(text: object) -> Duration:
    """The duration that `4s`, `1.5s`, `250ms`, `12f` or a plain number of seconds says.

    Raises ValueError, in words for a person, for anything else, for NaN and infinity, for
    fractions of a frame and for more than an hour. Zero and negative values are parsed: the
    field decides whether they make sense.
    """
    expected = 'expected seconds or frames, such as "4s", "1.5s", "250ms" or "12f"'
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise ValueError(f"{expected}, got {type(text).__name__}")
    if isinstance(text, float) and not math.isfinite(text):
        raise ValueError(f"{expected}, got {text}")
    match = _DURATION.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{expected}, got {str(text)[:40]!r}")
    amount, unit = Fraction(match[1]), match[2] or "s"
    if unit == "ms":
        amount, unit = amount / 1000, "s"
    if unit == "f" and amount.denominator != 1:
        raise ValueError(f"expected a whole number of frames, got {str(text)!r}")
    longest = MAX_DURATION_S if unit == "s" else MAX_DURATION_S * 120
    if abs(amount) > longest:
        raise ValueError(f"expected at most one hour, got {str(text)[:40]!r}")
    return Duration(amount, unit)


def parse_fps(value: object) -> Fraction:
    """The frame rate that `24`, `23.976`, `"30000/1001"` says, between 1 and 120."""
    text = str(value).strip()
    try:
        fps = _NTSC.get(text) or Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(
            f'expected a frame rate such as 24, 23.976 or "30000/1001", got {text[:40]!r}'
        ) from None
    if isinstance(value, bool) or not 1 <= fps <= 120:
        raise ValueError(f"expected a frame rate from 1 to 120, got {text[:40]}")
    return fps


def seconds_to_frames(seconds: Fraction | float, fps: Fraction) -> int:
    """The whole frame nearest to `seconds`, half away from zero."""
    return _round_half_up(Fraction(seconds) * fps)


def frames_to_seconds(frames: int, fps: Fraction) -> Fraction:
    """Exact seconds of `frames`."""
    return frames / fps


def samples_at(frame: int, fps: Fraction, sample_rate: int = SAMPLE_RATE) -> int:
    """The sample at which `frame` starts. Differences of these never drift."""
    return _round_half_up(Fraction(frame * sample_rate) / fps)


def timecode(frame: int, fps: Fraction) -> str:
    """`HH:MM:SS:FF`, non-drop, counting the nearest whole rate (SMPTE ST 12-1)."""
    rate = _round_half_up(fps)
    seconds, frames = divmod(frame, rate)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frames:02}"


def _round_half_up(value: Fraction) -> int:
    sign = -1 if value < 0 else 1
    return sign * int(abs(value) + Fraction(1, 2))
