"""Frames into files and out of files, exact to the frame and to the colour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from media.colour import frame_to_i420, frame_to_rgb, i420_to_frame, rgb_to_i420
from media.concat import concat_copy
from media.errors import CancelledError, MediaError, translate_os_errors
from media.files import temp_sibling
from media.probe import MediaFile, open_media, probe, translate_av_errors

__all__ = [
    "DELIVERY",
    "DRAFT",
    "MEZZANINE",
    "WORKPRINT",
    "Encoding",
    "MediaFile",
    "concat_copy",
    "last_frame",
    "probe",
    "read_frame",
    "read_frames",
    "read_planes",
    "write_planes",
    "write_video",
]

U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How frames become H.264. Pieces of one Encoding, size and rate join by stream copy.

    The pixel format is always 4:2:0 8 bit, tagged BT.709 limited range: what every player and
    browser shows alike. GOPs are closed, and x264's `stitchable` keeps the stream headers
    independent of the content. Macroblock trees are off: with them x264 gives now and then other
    bytes for the same small frames, and a film made again must be the same film. `threads` is
    part of the Encoding because x264's output depends on it; one thread a piece, several pieces
    at a time, uses a machine best.
    """

    codec: str = "libx264"
    preset: str = "veryfast"
    crf: int = 18
    gop: int = 48
    """Frames between key frames at most."""
    threads: int = 1

    def options(self) -> dict[str, str]:
        """The encoder's options, as libav names them."""
        return {
            "preset": self.preset,
            "crf": str(self.crf),
            "threads": str(self.threads),
            "x264-params": "stitchable=1:open-gop=0:mbtree=0",
        }

    def ffmpeg_options(self) -> dict[str, str | int]:
        """The same as keyword arguments of an ffmpeg-python output."""
        return {
            "c:v": self.codec,
            **self.options(),
            "g": self.gop,
            "pix_fmt": "yuv420p",
            "colorspace": "bt709",
            "color_primaries": "bt709",
            "color_trc": "bt709",
            "color_range": "tv",
        }


MEZZANINE = Encoding(preset="ultrafast", crf=12, gop=24)
"""What takes are kept in: visually lossless (48 to 50 dB on painted pictures), quick to write, a
key frame a second to seek to."""

DELIVERY = Encoding(preset="veryfast", crf=18, gop=48)
"""What a finished film is encoded in."""

WORKPRINT = Encoding(preset="ultrafast", crf=19, gop=48)
"""What a film of drawn takes alone is delivered in: their flat, clean areas cost few bits."""

DRAFT = Encoding(preset="ultrafast", crf=24, gop=48)
"""What a preview is encoded in."""


def write_video(
    path: Path,
    chunks: Iterable[U8],
    *,
    size: tuple[int, int],
    fps: Fraction,
    encoding: Encoding,
    should_stop: Callable[[], bool] | None = None,
) -> int:
    """Encode `chunks`, each `(frames, height, width, 3) uint8 RGB`, into the mp4 `path`.

    Returns the number of frames, at uniform times from zero. `path` appears whole or not at
    all: on a full disk (MediaError), on `should_stop` (CancelledError) and on whatever `chunks`
    raises, nothing is left.
    """
    planes = _converted(chunks, size, path)
    return write_planes(
        path, planes, size=size, fps=fps, encoding=encoding, should_stop=should_stop
    )


def write_planes(
    path: Path,
    frames: Iterable[U8],
    *,
    size: tuple[int, int],
    fps: Fraction,
    encoding: Encoding,
    should_stop: Callable[[], bool] | None = None,
) -> int:
    """As `write_video`, from `frames` of Y, U, V planes `(height * 3 / 2, width) uint8` each.

    A frame is read before the next is asked for, so one array may serve for all.
    """
    _require_even(size, path)
    temp = temp_sibling(path)
    num_frames = 0
    try:
        writer = _Writer(temp, path, size, fps, encoding)
        try:
            for planes in frames:
                if should_stop is not None and should_stop():
                    raise CancelledError("cancelled while encoding", where=str(path))
                writer.write(planes)
                num_frames += 1
            if num_frames == 0:
                raise MediaError("there are no frames to write", where=str(path))
            writer.finish()
        finally:
            writer.abandon()
        with translate_os_errors("write", path, MediaError):
            temp.replace(path)
    finally:
        temp.unlink(missing_ok=True)
    return num_frames


def read_frames(
    path: Path,
    *,
    start: int = 0,
    num_frames: int | None = None,
    size: tuple[int, int] | None = None,
    chunk: int = 16,
) -> Iterator[U8]:
    """Frames from `start` on, `num_frames` of them or all, in chunks of at most `chunk`.

    Each chunk is `(frames, height, width, 3) uint8 RGB`, scaled to `size` (width, height) when
    given. MediaError when the clip ends before `num_frames`.
    """
    batch: list[U8] = []
    for frame in _run_of(path, start, num_frames, threads=0):
        batch.append(_scaled(frame_to_rgb(frame), size))
        if len(batch) == chunk:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)


def read_planes(path: Path, *, start: int = 0, num_frames: int | None = None) -> Iterator[U8]:
    """As `read_frames`, one by one as Y, U, V planes `(height * 3 / 2, width) uint8`.

    BT.709 limited range; an odd last row or column is left out. All frames come in one array:
    each is there to be changed, and gone when the next is asked for. One thread decodes, because
    pieces of a film are made side by side.
    """
    planes: U8 | None = None
    for frame in _run_of(path, start, num_frames, threads=1):
        planes = frame_to_i420(frame, planes)
        yield planes


def read_frame(path: Path, index: int) -> U8:
    """The frame at `index`, counted from 0, `(height, width, 3) uint8 RGB`."""
    frames: U8 = next(read_frames(path, start=index, num_frames=1))[0]
    return frames


def last_frame(path: Path) -> U8:
    """The clip's last frame, `(height, width, 3) uint8 RGB`."""
    return read_frame(path, probe(path, count_frames=True).num_frames - 1)


class _Writer:
    """An mp4 with one H.264 stream being written at `temp`; errors name `path`."""

    def __init__(
        self, temp: Path, path: Path, size: tuple[int, int], fps: Fraction, encoding: Encoding
    ) -> None:
        self._path, self._size = path, size
        self._next_pts = 0
        with translate_os_errors("write", path, MediaError), translate_av_errors("write", path):
            self._container = av.open(f"file:{temp}", "w", format="mp4")
            stream = self._container.add_stream(encoding.codec, fps, encoding.options())
            assert isinstance(stream, av.VideoStream)
            self._stream = stream
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.gop_size = encoding.gop
            stream.time_base = 1 / fps
            stream.codec_context.time_base = 1 / fps
            stream.color_range = ColorRange.MPEG
            stream.colorspace = Colorspace.ITU709
            stream.color_primaries = ColorPrimaries.BT709
            stream.color_trc = ColorTrc.BT709

    def write(self, planes: U8) -> None:
        expected = (self._size[1] * 3 // 2, self._size[0])
        if planes.shape != expected or planes.dtype != np.uint8:
            raise MediaError(
                f"expected planes of {expected} uint8, got {planes.shape} {planes.dtype}",
                where=str(self._path),
            )
        with translate_av_errors("write", self._path):
            frame = i420_to_frame(planes)
            frame.pts, frame.time_base = self._next_pts, self._stream.codec_context.time_base
            self._container.mux(self._stream.encode(frame))
        self._next_pts += 1

    def finish(self) -> None:
        with translate_av_errors("write", self._path):
            self._container.mux(self._stream.encode(None))
            self._container.close()

    def abandon(self) -> None:
        # After finish() this does nothing; after an error the file goes away, so its own
        # trouble in closing matters to nobody.
        with suppress(av.error.FFmpegError, OSError):
            self._container.close()


def _require_even(size: tuple[int, int], path: Path) -> None:
    if min(size) < 2 or size[0] % 2 or size[1] % 2:
        raise MediaError(
            f"expected an even width and height, got {size[0]}x{size[1]}", where=str(path)
        )


def _converted(chunks: Iterable[U8], size: tuple[int, int], path: Path) -> Iterator[U8]:
    """Each RGB frame's planes, all in one array."""
    expected = (size[1], size[0], 3)
    planes: U8 = np.empty((size[1] * 3 // 2, size[0]), np.uint8)
    for chunk in chunks:
        if chunk.ndim != 4 or chunk.shape[1:] != expected or chunk.dtype != np.uint8:
            raise MediaError(
                f"expected frames of {expected} uint8, got {chunk.shape} {chunk.dtype}",
                where=str(path),
            )
        for rgb in chunk:
            yield rgb_to_i420(rgb, planes)


def _run_of(
    path: Path, start: int, num_frames: int | None, *, threads: int
) -> Iterator[av.VideoFrame]:
    """`num_frames` decoded frames from `start` on, or all; MediaError when there are fewer."""
    found = 0
    if num_frames is not None and num_frames <= 0:
        return
    for frame in _decode_from(path, start, threads):
        yield frame
        found += 1
        if found == num_frames:
            return
    if num_frames is not None:
        raise MediaError(
            f"expected {num_frames} frames from frame {start}, found {found}", where=str(path)
        )


def _decode_from(path: Path, start: int, threads: int) -> Iterator[av.VideoFrame]:
    """Decoded frames from index `start` on; the index follows from each frame's own time.

    No `threads` means as many as the machine has.
    """
    with open_media(path) as container:
        if not container.streams.video:
            raise MediaError("expected a picture, found sound alone", where=str(path))
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        rate, time_base = stream.average_rate or stream.guessed_rate, stream.time_base
        if start == 0 or not rate or not time_base:
            for index, frame in enumerate(container.decode(stream)):
                if index >= start:
                    yield frame
            return
        origin = stream.start_time or 0
        per_frame = 1 / (Fraction(rate) * time_base)
        container.seek(origin + round(start * per_frame), stream=stream)
        for frame in container.decode(stream):
            if frame.pts is not None and round((frame.pts - origin) / per_frame) >= start:
                yield frame


def _scaled(rgb: U8, size: tuple[int, int] | None) -> U8:
    if size is None or size == (rgb.shape[1], rgb.shape[0]):
        return rgb
    shrinks = size[0] < rgb.shape[1]
    filter_ = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, size, interpolation=filter_), np.uint8)
