"""Colour matched at the seams of a take: the start of each segment is brought to the end before.

Mean and spread of each channel are carried over, as in Reinhard et al. 2001, "Color Transfer
between Images", in CIELAB instead of their logarithmic space, which has no bottom for black. The
correction fades out over about a second: there is no jump, and no correction is handed on from
segment to segment to add up to a drift.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

import numpy as np

from generator.backends.base import Frames

__all__ = ["ColourMatch"]

FADE_S = 1
"""Seconds until a segment has its own colour: of a step of 8 ΔE a third of one a frame, which
nobody sees."""

WINDOW_FRAMES = 8
"""Frames on each side that the colour at the seam is told from."""

LEAST_STEP = 0.5
"""Steps below this many ΔE are left: a fifth of what can be seen, and no frame is touched."""

MOST_STEP = 15.0
"""Steps above this many ΔE are left: another picture begins, whose colours are its own. The
seam's measure tells of it."""

_MOST_GAIN = 1.25
_WIDTH = 160
"""Statistics are taken at this width, where grain has averaged out."""


class ColourMatch:
    """The colour of one take's segments, frame by frame as they are made."""

    def __init__(self, fps: Fraction) -> None:
        self._fade_frames = max(2, round(FADE_S * fps))
        self._ended: deque[np.ndarray] = deque(maxlen=WINDOW_FRAMES)
        """Statistics of the last frames shown."""

    def over(self, chunks: Iterator[Frames], num_frames: int) -> Iterator[Frames]:
        """The next segment's `num_frames` frames, matched to the end of the one before.

        Chunks of at most as many frames as came in, `(frames, height, width, 3) uint8 RGB`;
        WINDOW_FRAMES of them are held back while the colour is told.
        """
        opening: list[Frames] = []
        before = list(self._ended)
        while before and sum(map(len, opening)) < min(WINDOW_FRAMES, num_frames):
            opening.append(next(chunks))
        fix = _correction(
            before, [_statistics(one) for one in list(chain(*opening))[:WINDOW_FRAMES]]
        )
        shown = 0
        for chunk in chain(opening, chunks):
            matched = chunk if fix is None else self._corrected(chunk, shown, fix)
            shown += len(matched)
            first_kept = max(0, WINDOW_FRAMES - (num_frames - shown))
            self._ended.extend(_statistics(one) for one in matched[-first_kept:] if first_kept)
            yield matched

    def _corrected(self, chunk: Frames, first: int, fix: _Correction) -> Frames:
        """The chunk whose first frame is `first`, corrected as far as the fade has not ended."""
        if first >= self._fade_frames:
            return chunk
        # Half a cosine: the fade neither begins nor ends with a bend.
        turn = np.minimum(np.arange(first, first + len(chunk)) / self._fade_frames, 1)
        parts = (np.cos(turn * np.pi) + 1) / 2
        return np.stack(
            [fix.on(one, part) if part > 0 else one for one, part in zip(chunk, parts, strict=True)]
        )


@dataclass(frozen=True, slots=True)
class _Correction:
    """`gain * value + offset` of each CIELAB channel, `(3,) float32` each."""

    gain: np.ndarray
    offset: np.ndarray

    def on(self, frame: np.ndarray, part: float) -> np.ndarray:
        """The frame with this part (0 to 1) of the correction."""
        import cv2

        lab = cv2.cvtColor(np.multiply(frame, 1 / 255, dtype=np.float32), cv2.COLOR_RGB2LAB)
        lab *= (1 + part * (self.gain - 1)).astype(np.float32)
        lab += (part * self.offset).astype(np.float32)
        rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB, lab)
        np.clip(rgb, 0, 1, out=rgb)
        rgb *= 255
        rgb += 0.5
        return np.asarray(rgb, np.uint8)


def _correction(before: list[np.ndarray], after: list[np.ndarray]) -> _Correction | None:
    """What brings the colour after the seam to that before it; None: nothing, or too much."""
    if not before or not after:
        return None
    old, new = _at_seam(before, len(before) - 0.5), _at_seam(after, -0.5)
    step = float(np.linalg.norm(old[0] - new[0]))
    if not LEAST_STEP <= step <= MOST_STEP:
        return None
    # A channel without spread, such as the colour of a grey picture, has none to be scaled.
    spread = np.where(new[1] > 1, old[1] / np.maximum(new[1], 1e-6), 1)
    gain = np.clip(spread, 1 / _MOST_GAIN, _MOST_GAIN)
    return _Correction(gain, old[0] - gain * new[0])


def _at_seam(statistics: list[np.ndarray], place: float) -> np.ndarray:
    """Mean and spread `(2, 3)` where the frames meet, along the line that they are on.

    A fade of the light or a pan changes them from frame to frame and is no step.
    """
    values = np.stack(statistics).reshape(len(statistics), -1)
    if len(values) < WINDOW_FRAMES:
        return np.asarray(values.mean(axis=0).reshape(2, 3))
    slope, level = np.polyfit(np.arange(len(values)), values, 1)
    return np.asarray((level + slope * place).reshape(2, 3))


def _statistics(frame: np.ndarray) -> np.ndarray:
    """Mean and spread of the CIELAB channels, `(2, 3)`."""
    import cv2

    height, width = frame.shape[:2]
    small = frame
    if width > _WIDTH:
        size = (_WIDTH, max(1, round(_WIDTH * height / width)))
        small = cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.stack([lab.mean(axis=(0, 1)), lab.std(axis=(0, 1))])
