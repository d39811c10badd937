"""Takes cut out of a generation of several shots: where the cuts are, and what lies between them.

Cuts are found much as by PySceneDetect's adaptive detector: the mean change of hue, saturation
and value from frame to frame, where it stands out from the frames around it. What is known
beyond that is where each cut was asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from statistics import median
from typing import Any

import numpy as np

from generator.backends.base import CutFrom, Frames, ListedShot, Rendered
from generator.takes import PICTURE, SOUND
from media.sound import read_sound
from media.store import Entry
from media.timebase import samples_at, seconds_to_frames
from media.video import MEZZANINE, read_frames

__all__ = ["GENERATION", "ChangeMeter", "CutPlaces", "cut_places", "cut_take"]

GENERATION = replace(MEZZANINE, crf=4)
"""What generations are kept in: they are encoded once more as takes."""

LEAST_CHANGE = 5.0
"""Mean change in hue, saturation and value that counts as a cut. PySceneDetect's detector asks for
15 where it knows of no cut; here one was asked for nearby, and shots of one scene look alike."""

STANDS_OUT = 3.0
"""Times the change of the frames around it (PySceneDetect, AdaptiveDetector)."""

_AROUND = 4
"""Frames on each side that a change is compared with, by their median: PySceneDetect takes the mean
of two, above which a cut that a model smears over three frames does not stand out."""

_MOST_SETTLING = 4
"""A model makes frames in fours or more and may blend the first of a shot with the last before."""

_WIDTH = 128


class ChangeMeter:
    """How much each frame of a stream differs from the one before it, in HSV, 0 to 255."""

    def __init__(self) -> None:
        self.changes: list[float] = []
        """One a frame; the first is 0."""

    def over(self, chunks: Iterator[Frames]) -> Iterator[Frames]:
        """The chunks as they are; their changes are noted."""
        before: np.ndarray | None = None
        for chunk in chunks:
            for frame in chunk:
                now = _hsv(frame)
                self.changes.append(0.0 if before is None else _change(before, now))
                before = now
            yield chunk


@dataclass(frozen=True, slots=True)
class CutPlaces:
    """The first frame of each shot in the generation, and what is doubtful about them."""

    starts: tuple[int, ...]
    warnings: tuple[str, ...]
    """One a shot, empty where its start was found as asked for."""


def cut_places(
    changes: Sequence[float], shots: Sequence[ListedShot], needed: Sequence[int], fps: Fraction
) -> CutPlaces:
    """Where each shot begins: at the measured cut nearest to where it was asked for.

    A cut may be found as far off as half the shorter of the two shots. Without one the shot
    begins where it was asked to, and where a shot would be left without the `needed` frames it
    begins as near to the cut as they allow: both with a warning.
    """
    cuts = _cuts(changes)
    starts, warnings = [0], [""]
    for index in range(1, len(shots)):
        asked = seconds_to_frames(shots[index].start_s, fps)
        reach = seconds_to_frames(min(shots[index - 1].length_s, shots[index].length_s) / 2, fps)
        near = [cut for cut in cuts if abs(cut - asked) <= reach and cut > starts[-1]]
        found = _settled(changes, min(near, key=lambda cut: abs(cut - asked))) if near else asked
        earliest = starts[-1] + needed[index - 1]
        latest = len(changes) - sum(needed[index:])
        start = max(earliest, min(found, latest))
        warnings.append(_doubt(index, asked, found if near else None, start))
        starts.append(start)
    return CutPlaces(tuple(starts), tuple(warnings))


def cut_take(whole: Entry, cut: CutFrom) -> Rendered:
    """The take of one shot, streamed out of its generation, its sound cut to the sample."""
    details = whole.details
    fps, num_frames = cut.request.fps, cut.needed[cut.index]
    places = cut_places(details["changes"], cut.request.shots, cut.needed, fps)
    start = places.starts[cut.index]
    # What is wrong at the cut after this shot is this shot's end as well.
    doubts = [text for text in places.warnings[cut.index : cut.index + 2] if text]
    return Rendered(
        frames=read_frames(whole.files[PICTURE], start=start, num_frames=num_frames),
        num_frames=num_frames,
        fps=fps,
        size=cut.request.size,
        seed=int(details["seed"]),
        revision=str(details["model_revision"]),
        audio=lambda: _sound(whole.files, start, num_frames, fps),
        versions={**details["versions"], "cut": f"from frame {start} of {whole.key[:12]}"},
        licence=str(details["licence"]),
        cost_usd=float(details["cost_usd"]),
        warnings=[*details["warnings"], *doubts],
        peak_memory_mb=lambda: float(details["peak_memory_mb"]),
        timings=details["timings"],
    )


def _sound(files: Mapping[str, Any], start: int, num_frames: int, fps: Fraction) -> Any:
    if SOUND not in files:
        return None
    first = samples_at(start, fps)
    part = read_sound(files[SOUND])[:, first : first + samples_at(num_frames, fps)]
    # At rates such as 30000/1001 the last frame may end a sample after the generation does.
    return np.pad(part, ((0, 0), (0, samples_at(num_frames, fps) - part.shape[1])), "edge")


def _cuts(changes: Sequence[float]) -> list[int]:
    """Frames that differ from the one before more than those around do."""
    cuts: list[int] = []
    for at, change in enumerate(changes):
        around = [*changes[max(1, at - _AROUND) : at], *changes[at + 1 : at + 1 + _AROUND]]
        if change >= max(LEAST_CHANGE, STANDS_OUT * median(around or [0.0])):
            cuts.append(at)
    return cuts


def _settled(changes: Sequence[float], cut: int) -> int:
    """The first frame from the cut on after which the picture goes on at its own pace."""
    own = deque(changes[cut + _MOST_SETTLING + 1 : cut + 2 * _MOST_SETTLING + 1])
    calm = max(LEAST_CHANGE / 2, 2 * max(own, default=0.0))
    for at in range(cut, min(cut + _MOST_SETTLING, len(changes) - 1)):
        if changes[at + 1] <= calm:
            return at
    return cut


def _doubt(index: int, asked: int, found: int | None, start: int) -> str:
    if found is None:
        return (
            f"no cut was found between shots {index} and {index + 1} of the generation: "
            f"cut at frame {start}, where it was asked for"
        )
    if start != found:
        return (
            f"the cut between shots {index} and {index + 1} of the generation is at frame "
            f"{found} instead of {asked}: {abs(found - start)} frames of one are in the other"
        )
    return ""


def _hsv(frame: np.ndarray) -> np.ndarray:
    import cv2

    height, width = frame.shape[:2]
    size = (_WIDTH, max(1, round(_WIDTH * height / width)))
    small = cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2HSV), np.int16)


def _change(before: np.ndarray, now: np.ndarray) -> float:
    apart = np.abs(before - now)
    # Hue is an angle, 0 to 179.
    apart[..., 0] = np.minimum(apart[..., 0], 180 - apart[..., 0])
    return round(float(apart.mean()), 3)
