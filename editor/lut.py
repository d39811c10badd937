"""Looks from .cube files, laid on a picture's planes.

A look is a colour for every colour of RGB, but films are kept as Y, U and V. A pixel's new
brightness is taken apart: what the look makes of a grey that bright, by a curve, at every pixel;
and what its colour adds to that, from a table, at every four pixels, as colour itself is kept.
Where four pixels have one colour that is the trilinear interpolation that the format asks for
(Adobe, Cube LUT Specification 1.0, 2013), within a level; at an edge it is off by what brightness
changes in colour's share, which no eye sees there. It costs half of a way through RGB.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import scipy
from numpy.typing import NDArray

from media.colour import split_planes, to_rgb, to_yuv
from media.errors import MediaError, translate_os_errors

__all__ = ["Look", "apply_lut", "load_lut"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

MAX_SIDE = 129
MAX_FILE_BYTES = 64 * 2**20

_STEP = 4
"""Levels of brightness that share one row of the table: colour's share hardly changes in them."""

_LOADING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Look:
    """A look for 8-bit planes, BT.709 limited range."""

    curve: U8
    """`(256,)`: the brightness of greys."""
    table: NDArray[np.uint32]
    """For V + 256 U + 65536 (Y / 4), in a byte each: 128 + what colour adds to Y; U; V."""


def apply_lut(planes: U8, look: Look) -> None:
    """`planes` `(height * 3 / 2, width) uint8` through the look, in place."""
    y, u, v = split_planes(planes)
    height, width = y.shape
    mean = cv2.resize(y, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    colour = cv2.merge([v, u]).view("<u2")[:, :, 0]
    row = np.left_shift(mean // _STEP, 16, dtype=np.intp)
    row |= colour
    found = np.take(look.table, row, mode="clip").view(np.uint8).reshape(*mean.shape, 4)
    added = cv2.resize(cv2.extractChannel(found, 0), (width, height))
    cv2.addWeighted(cv2.LUT(y, look.curve, dst=y), 1, added, 1, -128, dst=y)
    cv2.extractChannel(found, 1, dst=u)
    cv2.extractChannel(found, 2, dst=v)


def load_lut(path: Path, digest: str, strength: float) -> Look:
    """The .cube file as a look, mixed with none by `strength`.

    `digest` tells files that were replaced under one name apart. 16 MB, made in half a second,
    by one thread for all that ask.
    """
    with _LOADING:
        return _load(path, digest, strength)


@lru_cache(maxsize=4)
def _load(path: Path, digest: str, strength: float) -> Look:
    cube = _read_cube(path)
    curve = _looked_up(_greys(np.arange(256, dtype=np.float32)), cube, strength)[0, :, 0]
    table: U8 = np.zeros((256 // _STEP, 256, 256, 4), np.uint8)
    levels = np.arange(256, dtype=np.float32)
    middles = levels.reshape(-1, _STEP).mean(axis=1)
    sheet: F32 = np.empty((len(middles), len(middles), 3), np.float32)
    sheet[:, :, 1], sheet[:, :, 2] = middles[:, None], middles[None, :]
    for row, middle in enumerate(middles):
        sheet[:, :, 0] = middle
        looked = _looked_up(sheet, cube, strength)
        looked[:, :, 0] += 128 - curve[row * _STEP : (row + 1) * _STEP].mean()
        table[row, :, :, :3] = np.clip(np.rint(cv2.resize(looked, (256, 256))), 0, 255)
    packed: NDArray[np.uint32] = table.view("<u4").reshape(-1)
    return Look(np.clip(np.rint(curve), 0, 255).astype(np.uint8), packed)


@dataclass(frozen=True, slots=True)
class _Cube:
    """`values` `(n, n, n, 3) float32` by blue, green, red, for inputs from `low` to `high`."""

    values: F32
    low: F32
    high: F32


def _greys(levels: F32) -> F32:
    """`(1, n, 3) float32` Y, U, V of colourless brightness."""
    return np.stack([levels, np.full_like(levels, 128), np.full_like(levels, 128)], axis=1)[None]


def _looked_up(yuv: F32, cube: _Cube, strength: float) -> F32:
    """`(height, width, 3) float32` Y, U, V as the look makes them, unrounded."""
    rgb = np.clip(to_rgb(yuv), 0, 255)
    span = np.maximum(cube.high - cube.low, 1e-6)
    at = np.clip((rgb / 255 - cube.low) / span, 0, 1) * (len(cube.values) - 1)
    places = [at[:, :, channel] for channel in (2, 1, 0)]
    looked = [
        scipy.ndimage.map_coordinates(cube.values[..., channel], places, order=1)
        for channel in range(3)
    ]
    mixed = rgb * (1 - strength) + np.stack(looked, axis=2) * (255 * strength)
    return to_yuv(np.clip(mixed, 0, 255).astype(np.float32))


def _read_cube(path: Path) -> _Cube:
    where = str(path)
    with translate_os_errors("read", path, MediaError):
        if path.stat().st_size > MAX_FILE_BYTES:
            raise MediaError("expected a .cube file of at most 64 MB", where=where)
        text = path.read_text("utf-8", errors="replace")
    side = 0
    low, high = np.zeros(3, np.float32), np.ones(3, np.float32)
    rows: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        try:
            if words[0] == "LUT_3D_SIZE":
                side = int(words[1])
            elif words[0] in ("DOMAIN_MIN", "DOMAIN_MAX"):
                bound = low if words[0] == "DOMAIN_MIN" else high
                bound[:] = [float(word) for word in words[1:4]]
            elif words[0] == "LUT_1D_SIZE":
                raise MediaError("expected a 3D look, got a 1D one", where=f"{where}:{number}")
            elif words[0][0] in "+-.0123456789":
                rows.append(line.split("#", 1)[0])
        except (ValueError, IndexError):
            raise MediaError(f"cannot read {line[:40]!r}", where=f"{where}:{number}") from None
    if not 2 <= side <= MAX_SIDE:
        raise MediaError(f"expected LUT_3D_SIZE from 2 to {MAX_SIDE}, got {side}", where=where)
    return _Cube(_values(rows, side, where), low, high)


def _values(rows: list[str], side: int, where: str) -> NDArray[np.float32]:
    try:
        values = np.array([row.split() for row in rows], np.float32)
    except ValueError:
        values = np.empty((0,), np.float32)
    if values.shape != (side**3, 3) or not np.isfinite(values).all():
        raise MediaError(f"expected {side**3} lines of three numbers", where=where)
    return values.reshape(side, side, side, 3)
