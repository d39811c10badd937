"""The sound of a take made in segments: one piece, sample-exact, cross-faded at the seams."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from generator.seams import SEAM_S, loudness_step
from media.timebase import SAMPLE_RATE, samples_at

if TYPE_CHECKING:
    from generator.segments import Segment

__all__ = ["join_sounds", "loudness_steps"]


def join_sounds(
    segments: Sequence[Segment], sounds: Sequence[np.ndarray | None], fps: Fraction
) -> np.ndarray | None:
    """The segments' sounds as one, `(channels, samples) float32`, exactly as long as the frames.

    Each starts at its own frame's sample in the take, so nothing drifts. Over a handle one fades
    out and the next fades in with equal power: they are unlike sounds, whose powers add.
    """
    heard = [sound for sound in sounds if sound is not None]
    if not heard:
        return None
    channels = max(sound.shape[0] for sound in heard)
    joined = np.zeros((channels, samples_at(_num_frames(segments), fps)), np.float32)
    before_handle = 0
    for segment, sound in zip(segments, sounds, strict=True):
        start = samples_at(segment.start_frame, fps)
        seen_end = segment.start_frame + segment.num_frames
        end = samples_at(seen_end + segment.handle_frames, fps)
        if sound is not None:
            fade_in = samples_at(segment.start_frame + before_handle, fps) - start
            fade_out = end - samples_at(seen_end, fps)
            piece = _as_long_as(sound, end - start) * _fades(end - start, fade_in, fade_out)
            joined[:, start:end] += piece[:, : joined.shape[1] - start]
        before_handle = segment.handle_frames
    return joined


def loudness_steps(
    segments: Sequence[Segment], joined: np.ndarray, fps: Fraction
) -> tuple[float, ...]:
    """LU that the joined sound steps by at each seam, from its last alone to the next alone."""
    beside = round(SEAM_S * SAMPLE_RATE)
    steps: list[float] = []
    for before, segment in pairwise(segments):
        seam = samples_at(segment.start_frame, fps)
        clear = samples_at(segment.start_frame + before.handle_frames, fps)
        left, right = joined[:, max(0, seam - beside) : seam], joined[:, clear : clear + beside]
        steps.append(loudness_step(left, right))
    return tuple(steps)


def _num_frames(segments: Sequence[Segment]) -> int:
    return segments[-1].start_frame + segments[-1].num_frames


def _as_long_as(sound: np.ndarray, samples: int) -> np.ndarray:
    """At rates such as 30000/1001 a segment is a sample longer or shorter by where it starts."""
    missing = samples - sound.shape[1]
    fitted: np.ndarray = np.pad(sound, ((0, 0), (0, max(0, missing))), "edge")[:, :samples]
    return fitted


def _fades(samples: int, fade_in: int, fade_out: int) -> np.ndarray:
    """Gain by sample, `(samples,) float32`: sine in, cosine out, 1 between."""
    gain = np.ones(samples, np.float32)
    rise = np.sin((np.arange(fade_in) + 0.5) * (np.pi / 2 / max(fade_in, 1)))[:samples]
    gain[: len(rise)] *= rise.astype(np.float32)
    if fade_out:
        gain[samples - fade_out :] *= np.cos(
            (np.arange(fade_out) + 0.5) * (np.pi / 2 / fade_out)
        ).astype(np.float32)
    return gain
