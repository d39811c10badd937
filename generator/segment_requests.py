"""What one call of the model is asked for inside a take that is made in segments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from generator.backends.base import RenderRequest, RenderTools
from generator.keys import content_digest
from media.errors import RenderError
from media.timebase import samples_at

__all__ = ["Segment", "request_of_segment", "seed_of_segment", "write_driving_part"]


@dataclass(frozen=True, slots=True)
class Segment:
    """One call of the model inside a take."""

    index: int
    start_frame: int
    """Its first new frame, in the take."""
    num_frames: int
    """New frames that are seen."""
    tail_frames: int
    """Frames before `start_frame` that the call is given, and makes again or not."""
    handle_frames: int = 0
    """Frames made beyond the last one seen, for the sound under the next segment's start."""

    @property
    def call_frames(self) -> int:
        """What the call must cover: tail, new frames and handle."""
        return self.tail_frames + self.num_frames + self.handle_frames


def request_of_segment(request: RenderRequest, segment: Segment) -> RenderRequest:
    """The call's request.

    The words are the take's. A key picture goes to the segment that holds its frame, and footage
    that gives the motion is read from where the segment begins.
    """
    start = segment.start_frame
    return replace(
        request,
        seed=seed_of_segment(request.seed, segment.index),
        num_frames=segment.num_frames + segment.handle_frames,
        key_pictures=tuple(
            replace(key, frame=key.frame - start)
            for key in request.key_pictures
            if start <= key.frame < start + segment.num_frames
        ),
        options=tuple(
            (name, str(Fraction(str(value)) + start / request.fps))
            if name == _MOTION_START and segment.index
            else (name, value)
            for name, value in request.options
        ),
    )


def seed_of_segment(seed: int, index: int) -> int:
    """The seed of a take's segment: the take's own for the first, derived from it for the rest."""
    return seed if index == 0 else int(content_digest("segment", seed, index)[:8], 16)


def write_driving_part(
    path: Path, request: RenderRequest, segment: Segment, tools: RenderTools
) -> None:
    """Write the part of the take's driving sound under the segment; silence where it is over."""
    from media.sound import read_sound, write_sound

    whole = tools.assets.get(request.audio_sha256)
    if whole is None:
        raise RenderError("the sound that drives the take was not handed to the backend")
    start = samples_at(segment.start_frame, request.fps)
    samples = samples_at(segment.num_frames + segment.handle_frames, request.fps)
    part = read_sound(whole)[:, start : start + samples]
    write_sound(path, np.pad(part, ((0, 0), (0, samples - part.shape[1]))))


_MOTION_START = "motion_from.start_s"
"""The option that says where in its footage the motion begins, in seconds."""
