"""The slate: shot, framing, action and running time, burnt into the top of the picture.

Everything but the running digits is drawn once a shot; a frame costs one blend of a narrow
strip and a few glyphs copied into it.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from editor.lettering import font_at, require_glyphs, shortened
from editor.patch import Patch, lay_over, make_patch
from editor.timeline import Slate
from media.colour import split_planes
from media.timebase import timecode

__all__ = ["SlateStrip"]

U8 = NDArray[np.uint8]

FONT_SHARE = 0.026
"""Letter size as a part of the picture's shorter side: read on a phone, out of the way."""
GROUND = 0.58
"""Darkness behind the letters: white on it reads over snow (contrast above 4.5:1)."""
AMBER, WHITE, GREY = (255, 196, 84), (255, 255, 255), (205, 208, 212)

_DIGITS = "0123456789:"


class SlateStrip:
    """The slate of one shot for pictures of one size."""

    def __init__(self, slate: Slate, size: tuple[int, int], fps: Fraction) -> None:
        require_glyphs("".join((slate.shot, *slate.lines)), f"slate of {slate.shot}")
        self._fps = fps
        # Whatever changes from frame to frame lies on the chroma grid of 4:2:0.
        self._font_px = _even(max(8, min(size) * FONT_SHARE))
        self._font = font_at(self._font_px, "en")
        self._pad = _even(max(3, self._font_px * 0.55))
        self._cell = _even(max(self._font.getlength(sign) for sign in _DIGITS))
        self._colon = _even(self._cell * 0.6)
        image = self._draw(slate, size[0])
        self._patch = _as_patch(image)
        self._running = self._running_box(size[0])
        self._signs = {sign: self._sign(sign) for sign in _DIGITS}

    def draw(self, planes: U8, shot_frame: int) -> None:
        """Burn the slate into `planes` `(height * 3 / 2, width) uint8` of the shot, in place."""
        x, y = self._running
        for sign in timecode(shot_frame, self._fps):
            patch = self._signs[sign]
            _copy_into(self._patch.colour, patch.colour, x, y)
            _copy_into(self._patch.beneath, patch.beneath, x, y)
            x += patch.colour.shape[1]
        lay_over(planes, self._patch)

    def _draw(self, slate: Slate, width: int) -> Image.Image:
        """The strip without its digits: one row where the action fits beside the rest, or two."""
        specs = slate.lines[0] if slate.lines else ""
        action = slate.lines[1] if len(slate.lines) > 1 else ""
        gap = 2 * self._pad
        room = self._running_box(width)[0] - gap - self._pad
        name = shortened(slate.shot, self._font, room)
        after_name = self._pad + self._font.getlength(name) + gap
        specs = shortened(specs, self._font, room + self._pad - after_name)
        after_specs = after_name + self._font.getlength(specs) + gap
        beside = room + self._pad - after_specs
        two_rows = bool(action) and beside < min(self._font.getlength(action), width * 0.3)
        rows = 2 if two_rows else 1
        row_px = _even(self._font_px * 1.35)
        height = 2 * self._pad + row_px * (rows - 1) + self._font_px
        image = Image.new("RGBA", (width, height), (0, 0, 0, round(255 * GROUND)))
        pen = ImageDraw.Draw(image)
        baseline = self._pad + round(self._font_px * 0.86)
        pen.text((self._pad, baseline), name, fill=AMBER, font=self._font, anchor="ls")
        pen.text((after_name, baseline), specs, fill=WHITE, font=self._font, anchor="ls")
        if two_rows:
            words = shortened(action, self._font, width - 2 * self._pad)
            place = (float(self._pad), baseline + row_px)
            pen.text(place, words, fill=GREY, font=self._font, anchor="ls")
        else:
            words = shortened(action, self._font, beside)
            pen.text((after_specs, baseline), words, fill=GREY, font=self._font, anchor="ls")
        return image

    def _running_box(self, width: int) -> tuple[int, int]:
        """Left and top of the running time `00:00:00:00`, flush right in the first row."""
        return width - self._pad - 8 * self._cell - 3 * self._colon, self._pad

    def _sign(self, sign: str) -> Patch:
        """One digit on the strip's ground, every digit equally wide so that nothing trembles."""
        width = self._colon if sign == ":" else self._cell
        size = (width, self._font_px)
        image = Image.new("RGBA", size, (0, 0, 0, round(255 * GROUND)))
        place = (width / 2, round(self._font_px * 0.86))
        ImageDraw.Draw(image).text(place, sign, fill=WHITE, font=self._font, anchor="ms")
        return _as_patch(image)


def _even(px: float) -> int:
    return max(2, round(px / 2) * 2)


def _copy_into(planes: U8, part: U8, x: int, y: int) -> None:
    """Write the stacked planes `part` into `planes`, its left top at the even `x`, `y`."""
    for plane, new, step in zip(split_planes(planes), split_planes(part), (1, 2, 2), strict=True):
        height, width = new.shape
        plane[y // step : y // step + height, x // step : x // step + width] = new


def _as_patch(image: Image.Image) -> Patch:
    rgba = np.array(image)
    alpha = rgba[:, :, 3].astype(np.float32) / np.float32(255)
    return make_patch(rgba[:, :, :3], alpha, 0, 0)
