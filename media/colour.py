"""RGB to the video's 4:2:0 planes and back, by the matrix that the file is tagged with.

Takeboard writes BT.709 limited range, the matrix every player assumes for HD. OpenCV's own I420
conversion is BT.601 and takes chroma from one pixel of four, which shifts greens and reds in a
player that honours the tag; libswscale's fast path back to RGB truncates, one grey level darker
each time a shot is read and written again. A matrix product per pixel (`cv2.transform`) costs
about 2 ms for 1280x720 and has neither fault: ±2 for every colour over a round trip.
"""

from __future__ import annotations

from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

__all__ = ["frame_to_rgb", "rgb_to_i420"]

U8 = NDArray[np.uint8]


def rgb_to_i420(rgb: U8) -> U8:
    """The Y, U and V planes, stacked `(height * 3 / 2, width) uint8`, BT.709 limited range.

    `rgb` is `(height, width, 3) uint8 RGB` with even height and width.
    """
    height, width = rgb.shape[:2]
    full = cv2.transform(rgb, _TO_YUV_709)
    half = cv2.resize(full, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    planes: U8 = np.empty((height * 3 // 2, width), np.uint8)
    y, u, v = _split_planes(planes, width, height)
    cv2.extractChannel(full, 0, y)
    cv2.extractChannel(half, 1, u)
    cv2.extractChannel(half, 2, v)
    return planes


def frame_to_rgb(frame: av.VideoFrame) -> U8:
    """The decoded frame as `(height, width, 3) uint8 RGB`, by its own tags."""
    is_601 = _is_601(frame)
    limited = frame.color_range != ColorRange.JPEG
    even = frame.width % 2 == 0 and frame.height % 2 == 0
    if frame.format.name == "yuv420p" and limited and even:
        return _i420_to_rgb(frame, _FROM_YUV_601 if is_601 else _FROM_YUV_709)
    space = Colorspace.ITU601 if is_601 else Colorspace.ITU709
    # Other pixel formats come from other people's footage, once per frame: accuracy over speed.
    accurate = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    rgb = frame.reformat(
        format="rgb24",
        src_colorspace=space,
        dst_colorspace=space,
        src_color_range=ColorRange.MPEG if limited else ColorRange.JPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=accurate,
    ).to_ndarray()
    return np.asarray(rgb, np.uint8)


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


def _i420_to_rgb(frame: av.VideoFrame, matrix: NDArray[np.float32]) -> U8:
    width, height = frame.width, frame.height
    y, u, v = _split_planes(np.asarray(frame.to_ndarray(), np.uint8), width, height)
    wide_u = cv2.resize(u, (width, height), interpolation=cv2.INTER_LINEAR)
    wide_v = cv2.resize(v, (width, height), interpolation=cv2.INTER_LINEAR)
    rgb: Any = cv2.transform(cv2.merge([y, wide_u, wide_v]), matrix)
    return np.asarray(rgb, np.uint8)


def _split_planes(planes: U8, width: int, height: int) -> tuple[U8, U8, U8]:
    flat, area = planes.reshape(-1), width * height
    half = (height // 2, width // 2)
    u, v = flat[area : area * 5 // 4], flat[area * 5 // 4 : area * 3 // 2]
    return flat[:area].reshape(height, width), u.reshape(half), v.reshape(half)
