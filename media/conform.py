"""A clip's frames at another rate and in another shape: what was on screen at each time."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from media.colour import frame_to_rgb
from media.errors import MediaError
from media.probe import open_media, probe

__all__ = ["fitted_picture", "frames_at_rate"]

U8 = NDArray[np.uint8]

_LATE_S = Fraction(1, 1000)
"""A frame counts as shown this much before its time: containers round times to 1/1000 s."""

_MOST_HELD_FRAMES = 2
"""A clip may end this many frames early, by the rounding of its length; the last one is held."""


def frames_at_rate(
    clip: Path,
    *,
    fps: Fraction,
    start_s: Fraction,
    num_frames: int,
    size: tuple[int, int],
    fit: Literal["crop", "pad"],
) -> Iterator[U8]:
    """`num_frames` frames of `clip` from `start_s` at `fps`, `(height, width, 3) uint8 RGB` each.

    Each is the frame that was on screen at its time, upright, in `size`; one frame of the clip is
    held at a time. MediaError when the clip ends more than two frames early.
    """
    times = (start_s + index / fps for index in range(num_frames))
    wanted = next(times)
    shown: U8 | None = None
    made = 0
    for time_s, picture in _decoded(clip, wanted):
        while shown is not None and time_s > wanted + _LATE_S:
            yield shown
            made += 1
            if made == num_frames:
                return
            wanted = next(times)
        shown = fitted_picture(picture, size, fit)
    # The last frame stays on screen for its own length, and a little for rounding.
    missing = num_frames - made
    own = probe(clip).fps or fps
    if shown is None or missing > max(1, round(fps / own)) + _MOST_HELD_FRAMES:
        raise MediaError(f"the clip ends {missing} frames before the shot does", where=clip.name)
    for _ in range(missing):
        yield shown


def fitted_picture(picture: U8, size: tuple[int, int], fit: Literal["crop", "pad"]) -> U8:
    """`(h, w, 3) uint8` scaled to fill `size` and cropped evenly, or to lie inside it on black."""
    width, height = size
    have_height, have_width = picture.shape[:2]
    ratios = (width / have_width, height / have_height)
    scale = min(ratios) if fit == "pad" else max(ratios)
    scaled_width = max(1, round(have_width * scale))
    scaled_height = max(1, round(have_height * scale))
    shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(
        np.ascontiguousarray(picture), (scaled_width, scaled_height), interpolation=shrink
    )
    left, top = (width - scaled_width) // 2, (height - scaled_height) // 2
    if fit == "crop":
        cropped: U8 = np.asarray(scaled[-top : -top + height, -left : -left + width], np.uint8)
        return cropped
    framed = np.zeros((height, width, 3), np.uint8)
    framed[top : top + scaled_height, left : left + scaled_width] = scaled
    return framed


def _decoded(clip: Path, start_s: Fraction) -> Iterator[tuple[Fraction, U8]]:
    """Time after the clip's first frame, and the upright frame, from a little before `start_s`."""
    with open_media(clip) as container:
        if not container.streams.video:
            raise MediaError("expected a picture, found sound alone", where=clip.name)
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        time_base = Fraction(stream.time_base or 1)
        origin = stream.start_time or 0
        if start_s > 0:
            container.seek(origin + int(start_s / time_base), stream=stream)
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            turns = round(frame.rotation / 90) % 4
            yield (frame.pts - origin) * time_base, np.rot90(frame_to_rgb(frame), turns)
