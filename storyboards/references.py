"""The user's files: inside the storyboard's folder, readable, what they should be, and hashed."""

from __future__ import annotations

import json
import os
import stat
import struct
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from media.errors import TakeboardError
from media.files import sha256_file
from media.image import check_image
from storyboards.fields import did_you_mean
from storyboards.film import Asset
from storyboards.marks import Loc, Problems

if TYPE_CHECKING:
    from media.probe import MediaFile

__all__ = ["Kind", "References", "clip_facts", "recording_seconds"]

Kind = Literal["image", "clip", "sound", "lut", "weights", "table"]

_MAX_BYTES: dict[Kind, int] = {
    "image": 64 * 2**20,
    "clip": 4 * 2**30,
    "sound": 2**30,
    "lut": 64 * 2**20,
    "weights": 16 * 2**30,
    "table": 8 * 2**20,
}
_WANTED: dict[Kind, str] = {
    "image": "a picture",
    "clip": "a clip",
    "sound": "a recording",
    "lut": "a .cube LUT",
    "weights": "adapter weights (.safetensors)",
    "table": "a table of variants",
}

_MAX_HEADER_BYTES = 100_000_000
"""The limit of the safetensors format."""

_CUBE_SIDES = range(2, 257)
"""Cube LUT specification 1.0 (Adobe, 2013)."""


@dataclass(slots=True)
class References:
    """The files of one storyboard, each looked at once however often it is named."""

    folder: Path
    problems: Problems
    _root: Path = field(init=False)
    _known: dict[tuple[str, Kind], Asset | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._root = Path(os.path.realpath(self.folder))

    def asset(self, name: str | None, kind: Kind, loc: Loc) -> Asset | None:
        """The file called `name`; None, with a problem at `loc`, when it cannot be used."""
        if name is None:
            return None
        known = self._known.get((name, kind))
        if known is None:
            known = self._known[name, kind] = self._look_at(name, kind)
        if isinstance(known, str):
            self.problems.add(loc, known)
            return None
        return known

    def _look_at(self, name: str, kind: Kind) -> Asset | str:
        """The asset, or what is wrong with it."""
        path = self.folder / name
        try:
            real = Path(os.path.realpath(path, strict=True))
            status = real.stat()
        except OSError as error:
            return self._missing(name, error)
        except ValueError as error:
            return f"expected a file name, got {name[:80]!r}: {error}"
        if not real.is_relative_to(self._root):
            return (
                f'expected a file inside the storyboard\'s folder, got "{name}", '
                "which leads outside it through a link"
            )
        if wrong := _wrong_with(real, status, kind):
            return f'expected {_WANTED[kind]}, got "{name}": {wrong}'
        try:
            return Asset(path, sha256_file(real))
        except TakeboardError as error:
            return f'expected {_WANTED[kind]}, got "{name}": {error.what}'

    def _missing(self, name: str, error: OSError) -> str:
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            return f'cannot read "{name}": {(error.strerror or str(error)).lower()}'
        if (self.folder / name).is_symlink():
            return f'there is no file "{name}": the link leads nowhere'
        folder = (self.folder / name).parent
        inside = Path(os.path.realpath(folder)).is_relative_to(self._root)
        names = [each.name for each in folder.iterdir()] if inside and folder.is_dir() else []
        return f'there is no file "{name}"{did_you_mean(Path(name).name, sorted(names)[:2000])}'


def _wrong_with(path: Path, status: os.stat_result, kind: Kind) -> str | None:
    if stat.S_ISDIR(status.st_mode):
        return "it is a folder"
    if not stat.S_ISREG(status.st_mode):
        return "it is a device or a pipe"
    if status.st_size == 0:
        return "it is empty"
    if status.st_size > _MAX_BYTES[kind]:
        limit, size = _MAX_BYTES[kind] >> 20, status.st_size / 2**20
        return f"at most {limit} MiB are read, it has {size:.0f}"
    return _wrong_inside(str(path), kind, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16384)
def _wrong_inside(path: str, kind: Kind, size: int, mtime_ns: int) -> str | None:
    """What is wrong with the content; remembered while size and time of the file stay."""
    try:
        if kind == "image":
            return check_image(Path(path))
        if kind == "lut":
            return _wrong_with_cube(Path(path))
        if kind == "weights":
            return _wrong_with_weights(Path(path))
        if kind == "table":
            return None
        if kind == "sound":
            return None if _recording_seconds(path, size, mtime_ns) > 0 else "it lasts no time"
        moves = _clip_facts(path, size, mtime_ns).num_frames > 0
        return None if moves else "there is no moving picture in it"
    except TakeboardError as error:
        return error.what
    except OSError as error:
        return (error.strerror or str(error)).lower()


def recording_seconds(asset: Asset) -> Fraction:
    """How long a checked recording lasts."""
    status = asset.path.stat()
    return _recording_seconds(str(asset.path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16384)
def _recording_seconds(path: str, _size: int, _mtime_ns: int) -> Fraction:
    # libav takes a tenth of a second to load, and most storyboards name no recordings or clips.
    from media.sound import sound_seconds

    return sound_seconds(Path(path))


def clip_facts(asset: Asset) -> MediaFile:
    """Size, rate and length of a checked clip."""
    status = asset.path.stat()
    return _clip_facts(str(asset.path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16384)
def _clip_facts(path: str, _size: int, _mtime_ns: int) -> MediaFile:
    from media.probe import probe

    return probe(Path(path))


def _wrong_with_cube(path: Path) -> str | None:
    """A 3D LUT is `LUT_3D_SIZE n` and n³ lines of three numbers, red fastest."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return "it is not text"
    rows = [line for line in lines if line[:1] in "+-.0123456789" and line]
    heads = [line.split() for line in lines if line.startswith("LUT_3D_SIZE")]
    if len(heads) != 1 or len(heads[0]) != 2 or not heads[0][1].isdecimal():
        return "it has no line LUT_3D_SIZE"
    side = int(heads[0][1][:6])
    if side not in _CUBE_SIDES:
        return f"LUT_3D_SIZE is {side}, expected 2 to 256"
    if len(rows) != side**3:
        return f"LUT_3D_SIZE {side} needs {side**3} lines of numbers, it has {len(rows)}"
    try:
        numbers = np.array(" ".join(rows).split(), dtype=np.float64)
    except ValueError:
        return "its lines are not all numbers"
    if numbers.size != 3 * side**3 or not np.isfinite(numbers).all():
        return "its lines are not all three finite numbers"
    return None


def _wrong_with_weights(path: Path) -> str | None:
    """Only the header: eight bytes of its length, then JSON with a name, type and place each."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(_MAX_HEADER_BYTES, size - 8):
            return "it is not in the safetensors format"
        header = file.read(length)
    try:
        tensors = json.loads(header)
        ends = [tensors[name]["data_offsets"][1] for name in tensors if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return "its safetensors header is damaged"
    if not ends:
        return "it holds no weights"
    if not all(isinstance(end, int) for end in ends) or max(ends) != size - 8 - length:
        return "it is cut short or damaged"
    return None
