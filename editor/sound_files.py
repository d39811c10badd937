"""Film-long sound files read and written a block at a time: memory does not grow with the film.

Blocks are `(samples, 2) float32, 48 kHz`, interleaved as in the file. Files are read, not
mapped: mapped pages would count as memory for as long as the film is.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from media.errors import MediaError, translate_os_errors
from media.files import temp_sibling
from media.sound import read_sound, to_stereo
from media.timebase import SAMPLE_RATE

__all__ = ["BLOCK_SAMPLES", "Block", "SoundReader", "SoundWriter"]

Block = NDArray[np.float32]
"""`(samples, 2) float32`."""

BLOCK_SAMPLES = 10 * SAMPLE_RATE

_FRAME_BYTES = 8
_IEEE_FLOAT = 3
_MAX_DATA_BYTES = 2**32 - 100


class SoundReader:
    """Random access to a sound: float WAVs straight from disk, anything else decoded once."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] | None = None
        self._decoded: Block | None = None
        self._channels, self._offset, self.num_samples = 2, 0, 0
        with translate_os_errors("read", path, MediaError):
            if not path.is_file():
                raise MediaError("there is no such sound file", where=str(path))
            file = path.open("rb")
            found = _float_wav(file)
        if found is None:
            file.close()
            self._decoded = np.ascontiguousarray(to_stereo(read_sound(path)).T)
            self.num_samples = len(self._decoded)
        else:
            self._file = file
            self._channels, self._offset, self.num_samples = found

    def read(self, start: int, num_samples: int) -> Block:
        """Samples [start, start + num_samples), fewer at the end of the sound."""
        num_samples = max(min(num_samples, self.num_samples - start), 0)
        if self._file is None:
            return (
                np.zeros((0, 2), np.float32)
                if self._decoded is None
                else (self._decoded[start : start + num_samples])
            )
        width = 4 * self._channels
        with translate_os_errors("read", self._file.name, MediaError):
            self._file.seek(self._offset + start * width)
            data = self._file.read(num_samples * width)
        block = np.frombuffer(data, "<f4").reshape(-1, self._channels)
        return np.repeat(block, 2, axis=1) if self._channels == 1 else block

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
        self._decoded = None

    def __enter__(self) -> SoundReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SoundWriter:
    """A stereo float WAV of a length known beforehand; it appears when all of it is there."""

    def __init__(self, path: Path, num_samples: int) -> None:
        if num_samples * _FRAME_BYTES > _MAX_DATA_BYTES:
            raise MediaError(
                "a film of more than three hours does not fit in one WAV file", where=str(path)
            )
        self.path = path
        self._temp = temp_sibling(path)
        with translate_os_errors("write", path, MediaError):
            self._file = self._temp.open("xb")
            self._file.write(_header(num_samples))

    def write(self, block: Block) -> None:
        """Append a block."""
        with translate_os_errors("write", self.path, MediaError):
            self._file.write(np.ascontiguousarray(block, "<f4").data)

    def __enter__(self) -> SoundWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with translate_os_errors("write", self.path, MediaError):
                self._file.close()
                if kind is None:
                    self._temp.replace(self.path)
        finally:
            with suppress(OSError):
                self._temp.unlink(missing_ok=True)


def _float_wav(file: IO[bytes]) -> tuple[int, int, int] | None:
    """Channels, offset of the data and number of samples of a 48 kHz float WAV; else None."""
    riff = file.read(12)
    if riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        return None
    channels = 0
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"fmt " and size >= 16:
            body = file.read(size)
            form, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            if (form, rate, bits) != (_IEEE_FLOAT, SAMPLE_RATE, 32) or channels not in (1, 2):
                return None
        elif name == b"data":
            offset = file.tell()
            there = min(size, file.seek(0, os.SEEK_END) - offset)
            return (channels, offset, there // (4 * channels)) if channels else None
        else:
            file.seek(size + size % 2, os.SEEK_CUR)
    return None


def _header(num_samples: int) -> bytes:
    """RIFF WAVE, two channels of 32-bit float, with the `fact` chunk that float data requires."""
    size = num_samples * _FRAME_BYTES
    rate = SAMPLE_RATE * _FRAME_BYTES
    form = struct.pack(
        "<4sIHHIIHHH", b"fmt ", 18, _IEEE_FLOAT, 2, SAMPLE_RATE, rate, _FRAME_BYTES, 32, 0
    )
    chunks = form + struct.pack("<4sII4sI", b"fact", 4, num_samples, b"data", size)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks) + size, b"WAVE") + chunks
