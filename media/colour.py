"""RGB to the video's 4:2:0 planes and back, by the matrix that the file is tagged with.

Takeboard writes BT.709 limited range, the matrix every player assumes for HD. OpenCV's own I420
conversion is BT.601 and takes chroma from one pixel of four, which shifts greens and reds in a
player that honours the tag; libswscale's fast path back to RGB truncates, one grey level darker
each time a shot is read and written again. A matrix product per pixel (`cv2.transform`) costs
about 2 ms for 1280x720 and has neither fault: ±2 for every colour over a round trip.

Planes are one array as encoders take it: Y, U and V stacked, `(height * 3 / 2, width) uint8`.
"""

from __future__ import annotations

from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

__all__ = [
    "frame_to_i420",
    "frame_to_rgb",
    "i420_to_frame",
    "i420_to_rgb",
    "rgb_to_i420",
    "split_planes",
    "to_rgb",
    "to_yuv",
]

U8 = NDArray[np.uint8]


def rgb_to_i420(rgb: U8, out: U8 | None = None) -> U8:
    """The Y, U and V planes, stacked `(height * 3 / 2, width) uint8`, BT.709 limited range.

    `rgb` is `(height, width, 3) uint8 RGB` with even height and width. `out` is written and
    returned when given: a film's frames in one array spare the machine a million fresh pages.
    """
    height, width = rgb.shape[:2]
    full = cv2.transform(rgb, _TO_YUV_709)
    half = cv2.resize(full, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    planes: U8 = np.empty((height * 3 // 2, width), np.uint8) if out is None else out
    for channel, (source, plane) in enumerate(
        zip((full, half, half), split_planes(planes), strict=True)
    ):
        cv2.extractChannel(source, channel, plane)
    return planes


def i420_to_rgb(planes: U8) -> U8:
    """The planes `(height * 3 / 2, width) uint8`, BT.709 limited range, as RGB again."""
    return _planes_to_rgb(split_planes(planes), _FROM_YUV_709)


def frame_to_i420(frame: av.VideoFrame, out: U8 | None = None) -> U8:
    """The decoded frame's planes in BT.709 limited range; an odd last row or column is left out.

    A frame that has them already is copied, without a look at its pixels. `out` as above.
    """
    width, height = frame.width // 2 * 2, frame.height // 2 * 2
    planes: U8 = np.empty((height * 3 // 2, width), np.uint8) if out is None else out
    if _is_plain_420(frame) and not _is_601(frame):
        for target, source in zip(split_planes(planes), frame.planes, strict=True):
            held: Any = source  # A buffer, which its type stub does not say.
            rows = np.frombuffer(held, np.uint8).reshape(-1, source.line_size)
            target[:] = rows[: target.shape[0], : target.shape[1]]
        return planes
    rgb = frame_to_rgb(frame)[:height, :width]
    return rgb_to_i420(np.ascontiguousarray(rgb), planes)


def i420_to_frame(planes: U8) -> av.VideoFrame:
    """Planes `(height * 3 / 2, width) uint8` as a frame tagged BT.709 limited range.

    It looks at the array itself where it can: that stays unchanged for as long as it is used.
    """
    # PyAV 18.1 takes a buffer of 90 lines for one of 88, with its colours displaced.
    odd_chroma = planes.shape[0] % 6
    make = av.VideoFrame.from_ndarray if odd_chroma else av.VideoFrame.from_numpy_buffer
    frame = make(planes, format="yuv420p")
    frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
    return frame


def frame_to_rgb(frame: av.VideoFrame) -> U8:
    """The decoded frame as `(height, width, 3) uint8 RGB`, by its own tags."""
    is_601 = _is_601(frame)
    if _is_plain_420(frame):
        planes = split_planes(np.asarray(frame.to_ndarray(), np.uint8))
        return _planes_to_rgb(planes, _FROM_YUV_601 if is_601 else _FROM_YUV_709)
    space = Colorspace.ITU601 if is_601 else Colorspace.ITU709
    # Other pixel formats come from other people's footage, once per frame: accuracy over speed.
    accurate = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    full = frame.color_range == ColorRange.JPEG
    rgb = frame.reformat(
        format="rgb24",
        src_colorspace=space,
        dst_colorspace=space,
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=accurate,
    ).to_ndarray()
    return np.asarray(rgb, np.uint8)


def split_planes(planes: U8) -> tuple[U8, U8, U8]:
    """Y `(height, width)`, U and V `(height / 2, width / 2)` of stacked planes, as views."""
    width = planes.shape[1]
    height = planes.shape[0] * 2 // 3
    flat, area = planes.reshape(-1), width * height
    half = (height // 2, width // 2)
    u, v = flat[area : area * 5 // 4], flat[area * 5 // 4 : area * 3 // 2]
    return flat[:area].reshape(height, width), u.reshape(half), v.reshape(half)


def to_yuv(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """`(height, width, 3) float32 RGB` from 0 to 255 as BT.709 limited range, unrounded."""
    return np.asarray(cv2.transform(rgb, _TO_YUV_709), np.float32)


def to_rgb(yuv: NDArray[np.float32]) -> NDArray[np.float32]:
    """The way back; colours that RGB does not hold lie outside 0 to 255."""
    return np.asarray(cv2.transform(yuv, _FROM_YUV_709), np.float32)


def _matrices(kr: float, kb: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """RGB to limited-range YCbCr and back, `(3, 4)` each; ITU-R BT.709-6 part 3, BT.601-7."""
    kg = 1 - kr - kb
    luma = np.array([kr, kg, kb])
    rows = [luma, (np.array([0, 0, 1]) - luma) / (2 * (1 - kb))]
    rows.append((np.array([1, 0, 0]) - luma) / (2 * (1 - kr)))
    forward = np.array(rows) * np.array([[219], [224], [224]]) / 255
    offset = np.array([16, 128, 128])
    inverse = np.linalg.inv(forward)
    there = np.column_stack([forward, offset]).astype(np.float32)
    back = np.column_stack([inverse, -inverse @ offset]).astype(np.float32)
    return there, back


_TO_YUV_709, _FROM_YUV_709 = _matrices(kr=0.2126, kb=0.0722)
_, _FROM_YUV_601 = _matrices(kr=0.299, kb=0.114)


def _is_601(frame: av.VideoFrame) -> bool:
    if frame.colorspace == Colorspace.ITU709:
        return False
    if frame.colorspace in (Colorspace.ITU601, Colorspace.SMPTE170M, Colorspace.FCC):
        return True
    # An untagged file means BT.709 from 720 lines on and BT.601 below, as players assume.
    return frame.height < 720


def _is_plain_420(frame: av.VideoFrame) -> bool:
    limited = frame.color_range != ColorRange.JPEG
    even = frame.width % 2 == 0 and frame.height % 2 == 0
    return frame.format.name == "yuv420p" and limited and even


def _planes_to_rgb(planes: tuple[U8, U8, U8], matrix: NDArray[np.float32]) -> U8:
    y, u, v = planes
    size = (y.shape[1], y.shape[0])
    wide_u = cv2.resize(u, size, interpolation=cv2.INTER_LINEAR)
    wide_v = cv2.resize(v, size, interpolation=cv2.INTER_LINEAR)
    rgb: Any = cv2.transform(cv2.merge([y, wide_u, wide_v]), matrix)
    return np.asarray(rgb, np.uint8)
