"""What a media file holds, read from the file itself."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error

from media.errors import MediaError, translate_os_errors

__all__ = ["MediaFile", "open_media", "probe", "translate_av_errors"]

MAX_SIDE = 16_384
"""Largest width or height that is opened, in pixels; H.264 and H.265 end at 16,384 too."""

MAX_DURATION_S = 24 * 3600

# Playlists and scripts name other files or addresses; stills and text are not clips.
_NOT_CLIPS = {"hls", "dash", "concat", "concatf", "tty", "image2", "sdp", "rtsp", "imf"}

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A clip or a sound: the first picture stream and the first sound stream of a file."""

    path: Path
    size: tuple[int, int] | None
    """Coded `(width, height)` in pixels; None when there is no picture."""
    fps: Fraction | None
    num_frames: int
    """As the header says, or counted when asked; 0 without a picture."""
    duration_s: Fraction
    audio_channels: int
    sample_rate: int
    codec: str
    """The picture's codec, or the sound's when there is no picture."""
    pixel_format: str


def probe(path: Path, *, count_frames: bool = False) -> MediaFile:
    """What `path` holds; MediaError says what was found when it is not a clip or a sound.

    `count_frames` reads every packet for the exact number; otherwise the header is believed.
    """
    try:
        # The headers of mp4 and mov say everything.
        with open_media(path, decodes=False) as container:
            found = _describe(container, path, count_frames)
        complete = found.size is None or (found.fps is not None and found.pixel_format != "")
    except MediaError:
        complete = False
    if not complete:
        with open_media(path) as container:
            found = _describe(container, path, count_frames)
    return found


def _describe(container: av.container.InputContainer, path: Path, count_frames: bool) -> MediaFile:
    picture = container.streams.video[0] if container.streams.video else None
    sound = container.streams.audio[0] if container.streams.audio else None
    fps = _frame_rate(picture) if picture else None
    num_frames = 0
    if picture and fps:
        num_frames = picture.frames or round(_duration(container, picture) * fps)
        if count_frames:
            num_frames = sum(1 for packet in container.demux(picture) if packet.size)
    duration_s = _duration(container, picture or sound)
    return MediaFile(
        path=path,
        size=(picture.width, picture.height) if picture else None,
        fps=fps,
        num_frames=num_frames,
        duration_s=Fraction(num_frames) / fps if fps and num_frames else duration_s,
        audio_channels=sound.channels if sound else 0,
        sample_rate=sound.sample_rate if sound else 0,
        codec=_codec(picture or sound),
        pixel_format=str(picture.pix_fmt or "") if picture else "",
    )


@contextmanager
def open_media(path: Path, *, decodes: bool = True) -> Iterator[av.container.InputContainer]:
    """`path` opened for reading, with libav's errors translated until it is closed.

    Without `decodes` only headers and packets can be read, and opening takes 1 ms instead of 25:
    libav otherwise decodes some frames to guess what a header lacks.
    """
    with translate_os_errors("read", path, MediaError):
        if not path.is_file():
            raise MediaError("there is no such file", where=str(path))
        if path.stat().st_size == 0:
            raise MediaError("the file is empty", where=str(path))
    with translate_av_errors("read", path):
        # The prefix and the whitelist keep names such as "http:…" and playlists from reaching out.
        options = {"protocol_whitelist": "file"}
        if not decodes:
            options["codec_whitelist"] = "none"
        opened = av.open(f"file:{path}", "r", options=options)
        with opened as container:
            _require_clip(container, path)
            yield container


@contextmanager
def translate_av_errors(what: str, path: Path) -> Iterator[None]:
    """Turn a libav error raised inside into one MediaError."""
    try:
        yield
    except av.error.FFmpegError as error:
        if error.errno in _DISK_ERRORS:
            with translate_os_errors(what, path, MediaError):
                raise OSError(error.errno, os.strerror(error.errno)) from error
        reason = (error.strerror or str(error)).lower()
        todo = "the file may be damaged or cut short" if what == "read" else ""
        raise MediaError(f"cannot {what}: {reason}", where=str(path), todo=todo) from error


def _require_clip(container: av.container.InputContainer, path: Path) -> None:
    names = set(container.format.name.split(","))
    if names & _NOT_CLIPS or any(name.endswith("_pipe") for name in names):
        raise MediaError(
            f"expected a clip or a sound, found {container.format.name}", where=str(path)
        )
    if not container.streams.video and not container.streams.audio:
        raise MediaError(
            f"expected a clip or a sound, found {container.format.name} without either",
            where=str(path),
        )
    for picture in container.streams.video:
        if not 0 < picture.width <= MAX_SIDE or not 0 < picture.height <= MAX_SIDE:
            raise MediaError(
                f"expected a picture up to {MAX_SIDE} pixels a side, "
                f"found {picture.width}x{picture.height}",
                where=str(path),
            )
    if container.duration and container.duration > MAX_DURATION_S * av.time_base:
        raise MediaError(
            f"expected at most 24 hours, found {container.duration / av.time_base:.0f} s",
            where=str(path),
        )


def _frame_rate(stream: av.VideoStream) -> Fraction | None:
    rate = stream.average_rate or stream.guessed_rate
    return Fraction(rate) if rate else None


def _duration(
    container: av.container.InputContainer, stream: av.VideoStream | av.AudioStream | None
) -> Fraction:
    if stream is not None and stream.duration and stream.time_base:
        return Fraction(stream.duration * stream.time_base)
    return Fraction(container.duration or 0, av.time_base)


def _codec(stream: av.VideoStream | av.AudioStream | None) -> str:
    return str(stream.codec_context.name) if stream is not None else ""
