"""A take at another size by ffmpeg's Lanczos filter: what is always there, on every machine.

libswscale, ffmpeg's own scaler, is called frame by frame instead of through a program: the same
filter, in the same pass as everything else that is done to a take, and stopped at any frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from media.colour import frame_to_i420, i420_to_frame

__all__ = ["scaled"]

U8 = NDArray[np.uint8]

# Three lobes, as ffmpeg's `scale=flags=lanczos+accurate_rnd+full_chroma_int`.
_HOW = Interpolation.LANCZOS | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


def scaled(frames: Iterable[U8], size: tuple[int, int]) -> Iterator[U8]:
    """Each of `frames`, Y, U, V planes `(height * 3 / 2, width) uint8`, in `size` (even sides).

    All come in one array: each is gone when the next is asked for.
    """
    scaler = VideoReformatter()
    out: U8 = np.empty((size[1] * 3 // 2, size[0]), np.uint8)
    for planes in frames:
        if (planes.shape[1], planes.shape[0] * 2 // 3) == size:
            yield planes
            continue
        larger = scaler.reformat(
            i420_to_frame(np.ascontiguousarray(planes)),
            *size,
            format="yuv420p",
            src_colorspace=Colorspace.ITU709,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=_HOW,
            threads=1,  # Takes are finished side by side.
        )
        larger.colorspace, larger.color_range = Colorspace.ITU709, ColorRange.MPEG
        yield frame_to_i420(larger, out)
