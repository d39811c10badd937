"""Pieces of one Encoding joined into one picture without encoding anything again.

Packets are copied and their times written anew in whole frames. ffmpeg's own concat demuxer adds
up durations in microseconds, which at 24 fps loses two thirds of one per piece: over some
hundred pieces frames leave the grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer

from media.errors import MediaError, translate_os_errors
from media.files import temp_sibling
from media.probe import open_media, translate_av_errors

__all__ = ["concat_copy"]

_TOLERANCE_FRAMES = Fraction(1, 20)
"""How far a frame's time may lie off the grid; a container with 1 ms times is within 1/80."""


def concat_copy(pieces: Sequence[Path], out: Path, *, fps: Fraction) -> None:
    """Join the picture of `pieces`, encoded alike at `fps`, into the mp4 `out` by stream copy.

    `out` has the frames of all pieces at uniform times and appears whole or not at all.
    MediaError names the piece whose stream headers, size or frame times do not fit.
    """
    if not pieces:
        raise MediaError("there is nothing to join", where=str(out))
    temp = temp_sibling(out)
    try:
        with translate_av_errors("write", out):
            container = av.open(f"file:{temp}", "w", format="mp4")
        try:
            _copy_all(pieces, container, out, fps)
            with translate_av_errors("write", out):
                container.close()
        finally:
            with suppress(av.error.FFmpegError, OSError):
                container.close()
        with translate_os_errors("write", out, MediaError):
            temp.replace(out)
    finally:
        temp.unlink(missing_ok=True)


def _copy_all(pieces: Sequence[Path], container: OutputContainer, out: Path, fps: Fraction) -> None:
    target: av.VideoStream | None = None
    headers: bytes | None = None
    first_frame = delay = 0
    for piece in pieces:
        # Only a decoder knows the reorder depth of a very short piece; the headers are the same
        # in all, so it is asked once.
        with open_media(piece, decodes=target is None) as source:
            stream = _picture(source, piece)
            if target is None:
                target = container.add_stream_from_template(stream)
                target.time_base = 1 / fps
                headers = stream.codec_context.extradata
                delay = stream.codec_context.reorder_depth
            elif stream.codec_context.extradata != headers:
                raise MediaError(
                    f"expected to be encoded like {pieces[0].name}, got other stream headers",
                    where=str(piece),
                    todo="encode every piece with one Encoding, size and rate",
                )
            packets = list(_in_frames(source, stream, piece, fps))
        for index, (packet, pts) in enumerate(packets):
            packet.time_base = 1 / fps
            packet.pts, packet.duration = pts + first_frame, 1
            # H.264 sends a frame at most its reorder depth before its turn, in every piece
            # alike, so this is never later than the time it is shown and grows by one a packet.
            packet.dts = first_frame + index - delay
            packet.stream = target
            with translate_av_errors("write", out):
                container.mux_one(packet)
        first_frame += len(packets)


def _picture(source: av.container.InputContainer, piece: Path) -> av.VideoStream:
    if len(source.streams.video) != 1:
        raise MediaError("expected one picture stream", where=str(piece))
    return source.streams.video[0]


def _in_frames(
    source: av.container.InputContainer, stream: av.VideoStream, piece: Path, fps: Fraction
) -> Iterator[tuple[av.Packet[av.VideoStream], int]]:
    """Each packet, in decoding order, with the frame of the piece that it shows."""
    packets = [packet for packet in source.demux(stream) if packet.size]
    if not packets:
        raise MediaError("the piece has no frames", where=str(piece))
    per_frame = 1 / (fps * Fraction(stream.time_base or 1))
    origin = min(packet.pts or 0 for packet in packets)
    shown = [((packet.pts or 0) - origin) / per_frame for packet in packets]
    strays = any(abs(at - round(at)) > _TOLERANCE_FRAMES for at in shown)
    if strays or sorted(round(at) for at in shown) != list(range(len(packets))):
        raise MediaError(
            f"expected frames at a uniform {float(fps):g} fps, got other times", where=str(piece)
        )
    for packet, at in zip(packets, shown, strict=True):
        yield packet, round(at)
