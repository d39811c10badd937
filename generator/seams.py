"""How well two pieces of film meet: the steps in colour, content and loudness at a seam, measured.

Each step is what the two frames around the seam differ by, beyond what their neighbours differ
by: a moving camera, a flicker or a swelling sound is no fault of the seam. One frame is brought
back to where things are in the other (dense optical flow: Kroeger et al. 2016, "Fast Optical Flow
using Dense Inverse Search"), and then are measured:

- colour: the difference in CIELAB (CIE 1976) of patches
- content: what is still unlike, as one minus the contrast and structure terms of SSIM (Wang et
  al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity"); its
  luminance term is left to the colour
- motion: how far things are from where the motion before and after would have them
- loudness: K-weighted (ITU-R BS.1770-4) in windows of 400 ms, its momentary loudness
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from generator.backends.base import Frames, TakeMedia
from media.timebase import SAMPLE_RATE

__all__ = [
    "MOST_COLOUR_STEP",
    "MOST_CONTENT_STEP",
    "MOST_LOUDNESS_STEP_LU",
    "MOST_MOTION_STEP",
    "SEAM_FRAMES",
    "SEAM_S",
    "Seam",
    "SeamWatch",
    "loudness_step",
    "measure",
    "measure_seam",
]

MOST_COLOUR_STEP = 2.3
"""A just noticeable difference in CIELAB (Mahy, Van Eycken and Oosterlinck 1994, "Evaluation of
Uniform Color Spaces Developed after the Adoption of CIELAB and CIELUV")."""

MOST_CONTENT_STEP = 0.1
"""Calibrated in tests/generator/test_seams.py on pans of 0 to 8 % of the width a frame, clean and
grainy: what goes on stays below 0.01, a jump to another place or picture is above 0.13."""

MOST_MOTION_STEP = 0.02
"""Calibrated there too: what goes on stays below 0.003, a tenth of the width is above 0.08."""

MOST_LOUDNESS_STEP_LU = 3.0
"""Between the +2.4 dB and the -5.4 dB that listeners accept without reaching for the remote
control (Riedmiller, Lyman and Robinson 2003, "Intelligent Program Loudness Measurement and
Control: What Satisfies Listeners?", AES convention 115)."""

SEAM_FRAMES = 3
"""Frames on each side that a measure reads: the one at the seam and two to compare with."""

_WIDTH = 256
"""Frames are measured at this width: finer detail is grain, and flow is quick."""
_PATCH = (17, 17)
_WINDOW_S = 0.4
SEAM_S = 2 * _WINDOW_S
"""Seconds of sound on each side that a measure reads."""

_QUIETEST_LUFS = -50.0
"""What is quieter counts as this quiet: under the noise of a living room for a programme at
-23 LUFS (EBU R128), where a step between two silences is not heard."""


@dataclass(frozen=True, slots=True)
class Seam:
    """What a seam was measured at; each step is 0 where the pieces go on as before."""

    colour: float
    """Delta E in CIELAB."""
    content: float
    """Structure lost, 0 to 1."""
    motion: float
    """How far things are from where their motion leads, as a mean, in widths of the picture."""
    loudness_lu: float | None = None
    """None: one of the pieces has no sound."""

    @property
    def faults(self) -> tuple[str, ...]:
        """What is above its threshold, in words."""
        found: list[str] = []
        if self.colour > MOST_COLOUR_STEP:
            found.append(f"the colour jumps by {self.colour:.1f} ΔE")
        if self.content > MOST_CONTENT_STEP:
            found.append(f"the picture jumps ({self.content:.2f} of its structure)")
        if self.motion > MOST_MOTION_STEP:
            found.append(f"things jump by {self.motion:.1%} of the width")
        if self.loudness_lu is not None and abs(self.loudness_lu) > MOST_LOUDNESS_STEP_LU:
            found.append(f"the sound jumps by {self.loudness_lu:+.1f} LU")
        return tuple(found)

    def __str__(self) -> str:
        heard = "" if self.loudness_lu is None else f", {self.loudness_lu:+.1f} LU"
        seen = f"colour {self.colour:.2f} ΔE, content {self.content:.3f}"
        return f"{seen}, motion {self.motion:.4f}{heard}"


def measure(before: TakeMedia, after: TakeMedia, *, shared_frames: int = 0) -> Seam:
    """How well `after` goes on from the end of `before`: their files are read.

    `shared_frames` of `after` are the last of `before` once more, as after a shared keyframe.
    MediaError for files that cannot be read. Takes of two sizes are compared at one.
    """
    from media.sound import read_sound
    from media.video import read_frames

    first = min(shared_frames, after.num_frames - 1)
    left = min(SEAM_FRAMES, before.num_frames)
    right = min(SEAM_FRAMES, after.num_frames - first)
    ending = read_frames(before.picture, start=before.num_frames - left, num_frames=left)
    opening = read_frames(after.picture, start=first, num_frames=right)
    loudness: float | None = None
    if before.sound is not None and after.sound is not None:
        loudness = loudness_step(read_sound(before.sound), read_sound(after.sound))
    return measure_seam(
        np.concatenate(list(ending)), np.concatenate(list(opening)), loudness_lu=loudness
    )


def measure_seam(before: Frames, after: Frames, *, loudness_lu: float | None = None) -> Seam:
    """The seam between the last frames of one piece and the first of the next.

    Each `(frames, height, width, 3) uint8 RGB`, at best SEAM_FRAMES of them.
    """
    size = _measured_size(before[-1])
    left = [_scaled(frame, size) for frame in before[-SEAM_FRAMES:]]
    right = [_scaled(frame, size) for frame in after[:SEAM_FRAMES]]
    return replace(_picture_seam(left, right), loudness_lu=loudness_lu)


class SeamWatch:
    """Measures the seams of one stream of frames as they go by; holds SEAM_FRAMES at a time."""

    def __init__(self) -> None:
        self._ended: deque[np.ndarray] = deque(maxlen=SEAM_FRAMES)
        self.seams: list[Seam] = []

    def over(self, chunks: Iterator[Frames]) -> Iterator[Frames]:
        """The next piece's chunks as they are; its seam with the piece before is noted."""
        before = list(self._ended)
        opening: list[np.ndarray] = []
        for chunk in chunks:
            size = _measured_size(chunk[0])
            if before and len(opening) < SEAM_FRAMES:
                opening += [_scaled(frame, size) for frame in chunk[: SEAM_FRAMES - len(opening)]]
            self._ended.extend(_scaled(frame, size) for frame in chunk[-SEAM_FRAMES:])
            yield chunk
        if before and opening:
            self.seams.append(_picture_seam(before, opening))


def loudness_step(before: np.ndarray, after: np.ndarray) -> float:
    """LU that the sound rises (or falls, below 0) over the seam, beyond what it does beside it.

    `(channels, samples) float32`, 48 kHz; at best SEAM_S of each.
    """
    window = round(_WINDOW_S * SAMPLE_RATE)
    earlier, left = (_loudness(part) for part in _last_two(before, window))
    further, right = (_loudness(part) for part in _last_two(after[:, ::-1], window))
    step = right - left
    own = max(abs(left - earlier), abs(further - right))
    return float(np.copysign(max(0.0, abs(step) - own), step)) + 0.0


@dataclass(frozen=True, slots=True)
class _Step:
    """What one frame and the next differ by."""

    colour: float
    content: float
    flow: np.ndarray
    """`(height, width, 2) float32`, in widths of the picture."""


def _picture_seam(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> Seam:
    """The seam of frames of one size, those next to it last in `before` and first in `after`."""
    over = _step(before[-1], after[0])
    beside = [_step(*pair) for side in (before, after) for pair in pairwise(side)]
    # Without neighbours nothing is known of the motion, so none of it is a fault.
    unlike = [float(np.linalg.norm(over.flow - one.flow, axis=2).mean()) for one in beside]
    return Seam(
        colour=max(0.0, over.colour - max((one.colour for one in beside), default=0.0)),
        content=max(0.0, over.content - max((one.content for one in beside), default=0.0)),
        motion=min(unlike, default=0.0),
    )


def _step(one: np.ndarray, other: np.ndarray) -> _Step:
    """`other` is brought back to where things are in `one`, and what still differs is measured."""
    import cv2

    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (one, other)]
    height, width = greys[0].shape
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = finder.calc(greys[0], greys[1], np.zeros((height, width, 2), np.float32))
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=2).astype(np.float32)
    target = np.asarray(places + flow, np.float32)
    moved = cv2.remap(
        other, target[..., 0], target[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    # What has moved out of the picture cannot be compared.
    inside = ((target >= 0) & (target <= (width - 1, height - 1))).all(axis=2)
    seen = inside if inside.any() else np.ones_like(inside)
    blurred = [cv2.blur(_lab(frame), _PATCH) for frame in (one, moved)]
    likeness = _structure(greys[0], cv2.cvtColor(moved, cv2.COLOR_RGB2GRAY))
    return _Step(
        colour=float(np.linalg.norm(blurred[0] - blurred[1], axis=2)[seen].mean()),
        content=float(1 - likeness[seen].mean()),
        flow=np.asarray(flow, np.float32) / width,
    )


def _lab(frame: np.ndarray) -> np.ndarray:
    import cv2

    return np.asarray(cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))


def _structure(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """SSIM without its luminance term, by pixel (window and constant as in Wang et al. 2004)."""
    import cv2

    def smooth(values: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5))

    x, y = one.astype(np.float32), other.astype(np.float32)
    c2 = (0.03 * 255) ** 2
    mean_x, mean_y = smooth(x), smooth(y)
    variance = smooth(x * x) - mean_x**2 + smooth(y * y) - mean_y**2
    covariance = smooth(x * y) - mean_x * mean_y
    likeness: np.ndarray = np.clip((2 * covariance + c2) / (variance + c2), 0, 1)
    return likeness


def _measured_size(frame: np.ndarray) -> tuple[int, int]:
    """Width and height that frames like this one are measured at."""
    height, width = frame.shape[:2]
    return _WIDTH, max(2, round(_WIDTH * height / width))


def _scaled(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    shrinks = size[0] < frame.shape[1]
    filter_ = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(np.ascontiguousarray(frame), size, interpolation=filter_))


def _last_two(sound: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """The last window of the sound and the one before it (the same where it is too short)."""
    last = sound[:, -window:]
    if sound.shape[1] < 2 * window:
        return last, last
    return sound[:, -2 * window : -window], last


def _loudness(sound: np.ndarray) -> float:
    """LUFS of `(channels, samples)` at 48 kHz, ungated, not under _QUIETEST_LUFS.

    The two K-weighting filters of BS.1770-4 are applied to the spectrum: the mean square is its
    sum (Parseval).
    """
    samples = sound.shape[1]
    if not samples:
        return _QUIETEST_LUFS
    spectrum = np.fft.rfft(sound.astype(np.float64), axis=1)
    turn = np.exp(-2j * np.pi * np.arange(spectrum.shape[1]) / samples)
    weight = np.ones(len(turn), np.complex128)
    for numerator, denominator in _K_WEIGHTING:
        weight *= np.polyval(numerator[::-1], turn) / np.polyval(denominator[::-1], turn)
    power = np.abs(spectrum * weight) ** 2
    mean_square = float((2 * power.sum() - power[:, 0].sum()) / samples**2)
    loudness = -0.691 + 10 * np.log10(max(mean_square, 1e-12))
    return float(max(_QUIETEST_LUFS, loudness))


_K_WEIGHTING = (
    (
        (1.53512485958697, -2.69169618940638, 1.19839281085285),
        (1.0, -1.69065929318241, 0.73248077421585),
    ),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
"""Head shelf and high pass at 48 kHz, tables 1 and 2 of ITU-R BS.1770-4."""
