"""Sound in and out: `(channels, samples) float32`, nominally in [-1, 1], 48 kHz.

Files are 32-bit float WAV: a mix may pass full scale on its way to the limiter without damage.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from media.errors import MediaError, translate_os_errors
from media.files import temp_sibling
from media.probe import open_media
from media.timebase import SAMPLE_RATE

__all__ = ["db_to_gain", "read_sound", "sound_seconds", "to_stereo", "write_sound"]

F32 = NDArray[np.float32]

_WAVE_FORMAT_IEEE_FLOAT = 3
_BLOCK = SAMPLE_RATE * 10


def read_sound(path: Path, *, max_seconds: float = 3600) -> F32:
    """The file's first sound stream, `(1 or 2, samples) float32, 48 kHz`.

    Mono and stereo stay as they are, more channels are mixed down to two. MediaError for a file
    without sound, longer than `max_seconds`, or holding values that are not numbers.
    """
    blocks: list[F32] = []
    num_samples = 0
    with open_media(path) as container:
        stream = _sound_stream(container, path)
        layout = "mono" if stream.channels == 1 else "stereo"
        resampler = AudioResampler(format="fltp", layout=layout, rate=SAMPLE_RATE)
        for frame in container.decode(stream):
            for block in resampler.resample(frame):
                blocks.append(np.asarray(block.to_ndarray(), np.float32))
                num_samples += block.samples
            if num_samples > max_seconds * SAMPLE_RATE:
                raise MediaError(
                    f"expected at most {max_seconds:g} s of sound, found more", where=str(path)
                )
        if num_samples:
            blocks += [np.asarray(b.to_ndarray(), np.float32) for b in resampler.resample(None)]
    if not blocks:
        raise MediaError("there is no sound in the file", where=str(path))
    audio: F32 = np.concatenate(blocks, axis=1)
    if not np.isfinite(audio).all():
        raise MediaError("the sound holds values that are not numbers", where=str(path))
    return audio


def write_sound(path: Path, audio: F32) -> None:
    """Write `(channels, samples) float32, 48 kHz` as a float WAV, whole or not at all."""
    if audio.ndim != 2 or audio.shape[0] not in (1, 2):
        raise MediaError(f"expected (1 or 2, samples) of sound, got {audio.shape}", where=str(path))
    channels, samples = audio.shape
    num_bytes = channels * samples * 4
    if num_bytes > 2**32 - 100:
        raise MediaError("a WAV file holds at most 4 GiB", where=str(path), todo="cut it in two")
    temp = temp_sibling(path)
    with translate_os_errors("write", path, MediaError):
        try:
            with temp.open("xb") as file:
                file.write(_wav_header(channels, samples))
                for start in range(0, samples, _BLOCK):
                    block = audio[:, start : start + _BLOCK].T
                    file.write(np.ascontiguousarray(block, "<f4").tobytes())
            temp.replace(path)
        finally:
            temp.unlink(missing_ok=True)


def sound_seconds(path: Path) -> Fraction:
    """How long the file's sound lasts, in seconds, from its header."""
    with open_media(path) as container:
        stream = _sound_stream(container, path)
        if stream.duration and stream.time_base:
            return Fraction(stream.duration * stream.time_base)
        return Fraction(container.duration or 0, av.time_base)


def to_stereo(audio: F32) -> F32:
    """`(2, samples)`: mono on both sides at its own level, stereo as it is."""
    return np.repeat(audio, 2, axis=0) if audio.shape[0] == 1 else audio


def db_to_gain(db: float) -> float:
    """The factor on amplitude that `db` decibels mean: 10^(dB/20)."""
    return float(10.0 ** (db / 20.0))


def _sound_stream(container: av.container.InputContainer, path: Path) -> av.AudioStream:
    if not container.streams.audio:
        raise MediaError("there is no sound in the file", where=str(path))
    return container.streams.audio[0]


def _wav_header(channels: int, samples: int) -> bytes:
    """RIFF WAVE with a `fact` chunk, which float data requires (Microsoft, 1994)."""
    frame_bytes = channels * 4
    chunk = struct.pack(
        "<4sIHHIIHHH",
        b"fmt ",
        18,
        _WAVE_FORMAT_IEEE_FLOAT,
        channels,
        SAMPLE_RATE,
        SAMPLE_RATE * frame_bytes,
        frame_bytes,
        32,
        0,
    )
    chunk += struct.pack("<4sII", b"fact", 4, samples)
    chunk += struct.pack("<4sI", b"data", samples * frame_bytes)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunk) + samples * frame_bytes, b"WAVE") + chunk
