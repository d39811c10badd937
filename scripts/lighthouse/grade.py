"""The dusk grade: teal shadows, amber lights, a soft shoulder, as a .cube table."""

from __future__ import annotations

import numpy as np

from .ink import Field


def dusk_cube(points: int = 17) -> str:
    """A 3D LUT in the Adobe/IRIDAS .cube format, red running fastest."""
    steps = np.linspace(0, 1, points)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    graded = _dusk(np.stack([red, green, blue], -1).reshape(-1, 3).astype(np.float32))
    rows = "\n".join("{:.5f} {:.5f} {:.5f}".format(*row) for row in graded.tolist())
    return f'TITLE "Dusk"\nLUT_3D_SIZE {points}\n{rows}\n'


def _dusk(colour: Field) -> Field:
    """Graded `(n, 3) float32 [0, 1]` sRGB; luma by BT.709 weights."""
    luma = (colour @ np.asarray([0.2126, 0.7152, 0.0722], np.float32))[:, None]
    shadow, light = (1 - luma) ** 2, luma**1.5
    teal = np.asarray([-0.022, 0.006, 0.024], np.float32) * shadow * (4 * luma + 0.25)
    amber = np.asarray([0.030, 0.006, -0.034], np.float32) * light
    toned = luma + (colour - luma) * 1.04 + teal + amber
    contrast = toned + 0.06 * np.sin((np.clip(toned, 0, 1) - 0.5) * 2 * np.pi) / np.pi
    return np.asarray(np.clip(contrast, 0, 1), np.float32)
