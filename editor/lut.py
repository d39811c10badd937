"""Looks from .cube files: a colour for every colour."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from media.errors import MediaError, translate_os_errors

__all__ = ["ColourTable", "apply_lut", "load_lut"]

U8 = NDArray[np.uint8]
ColourTable = NDArray[np.uint32]
"""`(2**24,) uint32`: the colour of colour R + 256 G + 65536 B, in the same form."""

MAX_SIDE = 129
MAX_FILE_BYTES = 64 * 2**20


def apply_lut(rgb: U8, table: ColourTable) -> U8:
    """`rgb` `(height, width, 3) uint8` through the table."""
    height, width = rgb.shape[:2]
    packed: U8 = np.zeros((height, width, 4), np.uint8)
    cv2.mixChannels([rgb], [packed], [0, 0, 1, 1, 2, 2])
    looked_up = np.take(table, packed.view("<u4")[:, :, 0])
    out = looked_up.view(np.uint8).reshape(height, width, 4)
    return np.asarray(cv2.cvtColor(out, cv2.COLOR_RGBA2RGB), np.uint8)


@lru_cache(maxsize=2)
def load_lut(path: Path, digest: str, strength: float) -> ColourTable:
    """The .cube file as a colour for each of the 2**24 colours, mixed with none by `strength`.

    `digest` tells files that were replaced under one name apart. 64 MB, made in under a second;
    looking a frame up is then one read a pixel, and exact to the trilinear interpolation that
    the format asks for (Adobe, Cube LUT Specification 1.0, 2013).
    """
    cube, low, high = _read_cube(path)
    axes = [_interpolation(cube.shape[0], low[channel], high[channel]) for channel in range(3)]
    table = np.zeros((256, 256, 256, 4), np.uint8)
    in_red = np.einsum("rR,bgRc->bgrc", axes[0], cube, optimize=True)
    in_green = np.einsum("gG,bGrc->bgrc", axes[1], in_red, optimize=True)
    levels = np.arange(256, dtype=np.float32)
    for blue in range(256):
        # A sheet of blue at a time, from the two that it lies between: the whole cube in float
        # would take 200 MB.
        first = int(np.flatnonzero(axes[2][blue])[0])
        pair = axes[2][blue, first : first + 2] * np.float32(255 * strength)
        sheet = sum(part * in_green[first + step] for step, part in enumerate(pair))
        sheet[:, :, 0] += levels[None, :] * (1 - strength)
        sheet[:, :, 1] += levels[:, None] * (1 - strength)
        sheet[:, :, 2] += blue * (1 - strength)
        table[blue, :, :, :3] = np.clip(np.rint(sheet), 0, 255)
    packed: ColourTable = table.view("<u4").reshape(-1)
    return packed


def _read_cube(
    path: Path,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """`(n, n, n, 3) float32` by blue, green, red; and the lowest and highest input."""
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
    return _values(rows, side, where), low, high


def _values(rows: list[str], side: int, where: str) -> NDArray[np.float32]:
    try:
        values = np.array([row.split() for row in rows], np.float32)
    except ValueError:
        values = np.empty((0,), np.float32)
    if values.shape != (side**3, 3) or not np.isfinite(values).all():
        raise MediaError(f"expected {side**3} lines of three numbers", where=where)
    return values.reshape(side, side, side, 3)


def _interpolation(side: int, low: float, high: float) -> NDArray[np.float32]:
    """`(256, side) float32`: how much of each point of the cube every 8-bit level takes."""
    span = max(float(high) - float(low), 1e-6)
    at = np.clip((np.arange(256) / 255 - low) / span, 0, 1) * (side - 1)
    left = np.minimum(at.astype(int), side - 2)
    weights = np.zeros((256, side), np.float32)
    weights[np.arange(256), left] = 1 - (at - left)
    weights[np.arange(256), left + 1] = at - left
    return weights
