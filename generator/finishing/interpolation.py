"""A take at another frame rate: exactly as many frames as are asked for, with true motion between.

A new frame between A and B at `t` (0 to 1) is both of them, each moved along the picture's motion
to that time, and mixed. Motion is optical flow by dense inverse search (Kroeger et al., Fast
Optical Flow using Dense Inverse Search, ECCV 2016), measured both ways on a small copy; flow at
the new frame and the mixing follow Super SloMo (Jiang et al., CVPR 2018, equations 4 and 5),
without its networks. Where the two disagree, something is being covered or uncovered, and the
nearer frame counts for more. Between pictures that have nothing in common there is a cut: the
nearer one is shown.

Only two frames are in memory at a time, however long the take is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from media.colour import split_planes
from media.errors import MediaError

__all__ = ["retimed"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

_FLOW_LINES = 288
"""Lines of the copy that motion is measured on: finer finds noise, coarser misses fingers."""

_SAME = Fraction(1, 32)
"""Nearer than this to a frame, in frames, that frame itself is shown, unsoftened."""

_MOST_HELD_FRAMES = 2
"""A take may end this many of its frames early, by the rounding of its length."""

_CUT_LEVELS = 24.0
"""Mean difference of luma after motion is taken out, above which two frames are a cut apart."""


def retimed(frames: Iterable[U8], fps: Fraction, to_fps: Fraction, num_frames: int) -> Iterator[U8]:
    """Exactly `num_frames` frames at `to_fps` of `frames` at `fps`.

    Frames are Y, U, V planes `(height * 3 / 2, width) uint8`, read in order, each before the next
    is asked for, and so are those that come out: an array that comes out is gone when the next is
    asked for. The last frame is held for its own length and a little for rounding; MediaError
    when the take ends before that.
    """
    source = iter(frames)
    pair = _Pair()
    for index in range(num_frames):
        at = index * fps / to_fps
        while pair.first_index + 1 <= at or pair.first is None:
            if not pair.advance(source):
                break
        late = at - pair.first_index
        if pair.first is None or late > 1 + _MOST_HELD_FRAMES:
            raise MediaError(
                f"the take has {pair.first_index + 1} frames at {float(fps):g} fps, too few for "
                f"{num_frames} at {float(to_fps):g} fps"
            )
        yield pair.frame_at(late)


@dataclass(slots=True)
class _Motion:
    """Flow in both directions between two frames, `(h, w, 2) float32` pixels of the small copy."""

    forward: F32
    backward: F32


class _Pair:
    """The two frames that a moment lies between."""

    def __init__(self) -> None:
        self.first: U8 | None = None
        self.second: U8 | None = None
        self.first_index = -1
        self._motion: _Motion | None = None
        self._is_cut: bool | None = None
        self._out: U8 | None = None
        # The stub of `calc` does not know that it makes the flow itself when none is given.
        self._dis: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def advance(self, source: Iterator[U8]) -> bool:
        """Go one frame on; False when there are no more, and the last one stays."""
        if self.first is not None and self.second is None:
            return False
        if self.first is None:
            start = next(source, None)
            if start is None:
                return False
            self.first = start.copy()
        else:
            self.first, self.second = self.second, self.first
        following = next(source, None)
        if following is None:
            self.second = None
        elif self.second is None:
            self.second = following.copy()
        else:
            np.copyto(self.second, following)
        self.first_index += 1
        self._motion = self._is_cut = None
        return True

    def frame_at(self, late: Fraction) -> U8:
        """The frame `late` frames after the first."""
        assert self.first is not None
        if late <= _SAME or self.second is None:
            return self.first
        if late >= 1 - _SAME:
            return self.second
        if self._motion is None:
            self._measure(self.first, self.second)
        assert self._motion is not None
        if self._is_cut:
            return self.first if late < Fraction(1, 2) else self.second
        if self._out is None:
            self._out = np.empty_like(self.first)
        _mix(self.first, self.second, self._motion, float(late), self._out)
        return self._out

    def _measure(self, first: U8, second: U8) -> None:
        small = [_small_luma(planes) for planes in (first, second)]
        forward = self._dis.calc(small[0], small[1], None)
        backward = self._dis.calc(small[1], small[0], None)
        self._motion = _Motion(np.asarray(forward, np.float32), np.asarray(backward, np.float32))
        follows = _along(small[1], _way(self._motion.forward, small[1].shape))
        self._is_cut = float(cv2.absdiff(small[0], follows).mean()) > _CUT_LEVELS


def _small_luma(planes: U8) -> U8:
    luma = split_planes(planes)[0]
    height, width = luma.shape
    scale = min(1.0, _FLOW_LINES / min(height, width))
    # Flow by inverse search needs patches of 8 pixels over several octaves.
    size = (max(32, round(width * scale)), max(32, round(height * scale)))
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.uint8)


def _mix(first: U8, second: U8, motion: _Motion, t: float, out: U8) -> None:
    forward, backward = motion.forward, motion.backward
    to_first = -(1 - t) * t * forward + t * t * backward
    to_second = (1 - t) * (1 - t) * forward - t * (1 - t) * backward
    luma, *chroma = zip(split_planes(first), split_planes(second), split_planes(out), strict=True)
    ways = [_way(flow, luma[0].shape) for flow in (to_first, to_second)]
    before, after = _along(luma[0], ways[0]), _along(luma[1], ways[1])
    weight = _weight_of_second(before, after, t)
    _lerp(before, after, weight, luma[2])
    size = chroma[0][0].shape
    ways = [_way(flow, size) for flow in (to_first, to_second)]
    weight = np.asarray(cv2.resize(weight, size[::-1], interpolation=cv2.INTER_AREA), np.float32)
    for one, other, target in chroma:
        _lerp(_along(one, ways[0]), _along(other, ways[1]), weight, target)


def _weight_of_second(before: U8, after: U8, t: float) -> F32:
    """How much the second frame counts, `(h, w) float32`: `t` where both agree, else the nearer."""
    nearer = 0.0 if t < 0.5 else 1.0
    apart = cv2.blur(cv2.absdiff(before, after), (5, 5))
    doubt = np.asarray(_DOUBT[apart], np.float32)
    return t + (nearer - t) * doubt


# Below 12 levels apart the two are one thing seen twice; above 40 they are two things.
_DOUBT = np.clip((np.arange(256, dtype=np.float32) - 12) / 28, 0, 1)


def _lerp(before: U8, after: U8, weight: F32, out: U8) -> None:
    np.copyto(out, cv2.blendLinear(after, before, weight, 1 - weight))


def _way(flow: F32, shape: tuple[int, ...]) -> tuple[F32, F32]:
    """Where each pixel of a plane comes from, across and down, by a flow of another size."""
    height, width = shape
    across, down = _grid(width, height)
    size = (width, height)
    x = cv2.resize(flow[..., 0] * (width / flow.shape[1]), size, interpolation=cv2.INTER_LINEAR)
    y = cv2.resize(flow[..., 1] * (height / flow.shape[0]), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.add(x, across), np.float32), np.asarray(cv2.add(y, down), np.float32)


@lru_cache(maxsize=8)
def _grid(width: int, height: int) -> tuple[F32, F32]:
    across, down = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    return across, down


def _along(plane: U8, way: tuple[F32, F32]) -> U8:
    return np.asarray(
        cv2.remap(plane, *way, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
