"""Titles, cards, lower thirds, credits and burnt-in captions, animated by moviepy.

Only the rectangle that the words take up is rendered: compositing whole frames in moviepy runs
at a quarter of the speed. moviepy's own TextClip opens a font file by name alone and would write
Chinese and Korean with the collection's Japanese face, so the words are drawn by lettering.py
and handed to moviepy as pictures, which moves, fades and composites them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from moviepy import CompositeVideoClip, ImageClip, vfx
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from editor.lettering import draw_setting, require_glyphs, set_in_box
from editor.patch import Patch, make_patch
from editor.timeline import Overlay

__all__ = ["TitleClip"]

U8 = NDArray[np.uint8]

SAFE = 0.05
"""Title safe margin on every side: 90 % of width and height (SMPTE ST 2046-1)."""
EASE_S = 0.5
"""How long words take to come and to go, in seconds, at most a third of their time."""
AMBER, WHITE, SOFT = (255, 196, 84), (255, 255, 255), (222, 225, 230)
PLATE = (12, 14, 18)


@dataclass(frozen=True, slots=True)
class _Part:
    """A picture in the words' rectangle, and how it comes and goes."""

    image: Image.Image
    x: int
    y: int
    slide: tuple[int, int] = (0, 0)
    """Pixels that it comes from, against where it rests."""
    delay_s: float = 0.0


class TitleClip:
    """One overlay for pictures of one size: `patch_at(frame)` is what to lay over."""

    def __init__(self, overlay: Overlay, size: tuple[int, int], fps: Fraction) -> None:
        where = f"the words {overlay.text[:30]!r}"
        require_glyphs(overlay.text + overlay.subtitle, where)
        self._fps, self._num_frames = fps, overlay.num_frames
        parts = _LAYOUTS[overlay.style](overlay, size)
        self._x, self._y, right, bottom = _around(parts, size)
        self._duration_s = float(overlay.num_frames / fps)
        still = overlay.style == "caption"
        self._ease_s = 0.0 if still else min(EASE_S, self._duration_s / 3)
        # The parts come one after the other; from here to there nothing moves.
        self._rest = (
            self._ease_s + max(part.delay_s for part in parts),
            self._duration_s - self._ease_s,
        )
        self._resting: Patch | None = None
        clips = [self._animated(part) for part in parts]
        self._clip = CompositeVideoClip(clips, size=(right - self._x, bottom - self._y))

    def patch_at(self, frame: int) -> Patch:
        """The words on frame `frame` (from 0) of the overlay."""
        at_s = float((frame + Fraction(1, 2)) / self._fps)
        if not self._rest[0] <= at_s <= self._rest[1]:
            return self._render(at_s)
        if self._resting is None:
            self._resting = self._render(at_s)
        return self._resting

    def _render(self, at_s: float) -> Patch:
        rgb: U8 = np.asarray(self._clip.get_frame(at_s), np.uint8)
        alpha = np.clip(self._clip.mask.get_frame(at_s), 0, 1).astype(np.float32)
        return make_patch(rgb, alpha, self._x, self._y)

    def _animated(self, part: _Part) -> Any:
        delay_s = min(part.delay_s, self._ease_s)
        clip = ImageClip(np.array(part.image), transparent=True)
        clip = clip.with_start(delay_s).with_duration(self._duration_s - delay_s)
        if self._ease_s:
            ease = [vfx.CrossFadeIn(self._ease_s), vfx.CrossFadeOut(self._ease_s)]
            clip = clip.with_effects(ease)
        rest = (part.x - self._x, part.y - self._y)
        return clip.with_position(_eased(rest, part.slide, self._ease_s))


def _eased(
    rest: tuple[int, int], slide: tuple[int, int], ease_s: float
) -> Callable[[float], tuple[int, int]]:
    """Where a part is at a time: it slows down into its place (cubic) and stays."""

    def position(at_s: float) -> tuple[int, int]:
        left = max(0.0, 1 - at_s / ease_s) ** 3 if ease_s else 0.0
        return round(rest[0] + slide[0] * left), round(rest[1] + slide[1] * left)

    return position


def _around(parts: list[_Part], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of everywhere that the parts go, inside the picture."""
    left = min(part.x + min(0, part.slide[0]) for part in parts)
    top = min(part.y + min(0, part.slide[1]) for part in parts)
    right = max(part.x + part.image.width + max(0, part.slide[0]) for part in parts)
    bottom = max(part.y + part.image.height + max(0, part.slide[1]) for part in parts)
    return max(0, left), max(0, top), min(size[0], right), min(size[1], bottom)


def _title(overlay: Overlay, size: tuple[int, int]) -> list[_Part]:
    """Large in the middle, a fine line, and the subtitle below it."""
    short, (box_w, box_h) = min(size), _safe_box(size)
    shadow = max(1, round(short * 0.008))
    words = set_in_box(
        overlay.text, overlay.lang, (box_w, round(box_h * 0.6)), *_sizes(short, 0.105, 0.03)
    )
    image = draw_setting(words, WHITE, shadow_px=shadow)
    gap = round(short * 0.022)
    under = None
    if overlay.subtitle:
        under = draw_setting(
            set_in_box(
                overlay.subtitle,
                overlay.lang,
                (box_w, round(box_h * 0.3)),
                *_sizes(short, 0.042, 0.022),
            ),
            SOFT,
            shadow_px=shadow,
        )
    total = words.height + (2 * gap + under.height - 4 * shadow if under else 0)
    top = (size[1] - total) // 2
    parts = [_Part(image, (size[0] - image.width) // 2, top - 2 * shadow)]
    if under:
        line_y = top + words.height + gap
        rule = Image.new("RGBA", (round(short * 0.12), max(1, round(short / 360))), (*AMBER, 255))
        parts.append(_Part(rule, (size[0] - rule.width) // 2, line_y))
        place = ((size[0] - under.width) // 2, line_y + gap - 2 * shadow)
        parts.append(_Part(under, *place, slide=(0, round(short * 0.02)), delay_s=EASE_S / 2))
    return parts


def _card(overlay: Overlay, size: tuple[int, int]) -> list[_Part]:
    """Words on a dark plate in the middle: `Three weeks later`."""
    short, (box_w, box_h) = min(size), _safe_box(size)
    pad = round(short * 0.045)
    inner = (box_w - 2 * pad, round(box_h * 0.6) - 2 * pad)
    words = set_in_box(overlay.text, overlay.lang, inner, *_sizes(short, 0.062, 0.026))
    images = [draw_setting(words, WHITE)]
    if overlay.subtitle:
        below = set_in_box(
            overlay.subtitle,
            overlay.lang,
            (inner[0], round(box_h * 0.3)),
            *_sizes(short, 0.036, 0.02),
        )
        images.append(draw_setting(below, SOFT))
    gap = round(short * 0.012)
    width = max(image.width for image in images) + 2 * pad
    height = sum(image.height for image in images) + gap * (len(images) - 1) + round(1.4 * pad)
    plate = _plate((width, height), round(short * 0.012), 205)
    y = round(0.6 * pad)
    for image in images:
        plate.alpha_composite(image, ((width - image.width) // 2, y))
        y += image.height + gap
    return [_Part(plate, (size[0] - width) // 2, (size[1] - height) // 2)]


def _lower_third(overlay: Overlay, size: tuple[int, int]) -> list[_Part]:
    """Name and function at the lower left, on a plate with an amber bar, sliding in."""
    short, (box_w, box_h) = min(size), _safe_box(size)
    pad, bar = round(short * 0.024), max(2, round(short * 0.007))
    inner = (round(box_w * 0.8) - 2 * pad, round(box_h * 0.22))
    name = set_in_box(overlay.text, overlay.lang, inner, *_sizes(short, 0.052, 0.024))
    images = [draw_setting(name, WHITE, align="left")]
    if overlay.subtitle:
        role = set_in_box(overlay.subtitle, overlay.lang, inner, *_sizes(short, 0.032, 0.02))
        images.append(draw_setting(role, AMBER, align="left"))
    width = max(image.width for image in images) + 2 * pad + bar
    height = sum(image.height for image in images) + round(1.3 * pad)
    plate = _plate((width, height), 0, 185)
    ImageDraw.Draw(plate).rectangle((0, 0, bar - 1, height), fill=(*AMBER, 255))
    y = round(0.55 * pad)
    for image in images:
        plate.alpha_composite(image, (bar + pad, y))
        y += image.height
    left, bottom = round(size[0] * SAFE), round(size[1] * 0.86)
    return [_Part(plate, left, bottom - height, slide=(-left, 0))]


def _credit(overlay: Overlay, size: tuple[int, int]) -> list[_Part]:
    """The function small above, the names below it, in the middle."""
    short, (box_w, box_h) = min(size), _safe_box(size)
    shadow = max(1, round(short * 0.006))
    images: list[Image.Image] = []
    if overlay.subtitle:
        role = set_in_box(
            overlay.subtitle, overlay.lang, (box_w, round(box_h * 0.2)), *_sizes(short, 0.032, 0.02)
        )
        images.append(draw_setting(role, AMBER, shadow_px=shadow))
    names = set_in_box(
        overlay.text, overlay.lang, (box_w, round(box_h * 0.78)), *_sizes(short, 0.054, 0.02)
    )
    images.append(draw_setting(names, WHITE, shadow_px=shadow))
    gap = round(short * 0.012)
    y = (size[1] - sum(image.height - 4 * shadow + gap for image in images) + gap) // 2
    parts: list[_Part] = []
    for image in images:
        rise = (0, round(short * 0.015))
        parts.append(_Part(image, (size[0] - image.width) // 2, y - 2 * shadow, slide=rise))
        y += image.height - 4 * shadow + gap
    return parts


def _caption(overlay: Overlay, size: tuple[int, int]) -> list[_Part]:
    """Dialogue at the bottom, white with a dark outline on a faint plate; it does not move."""
    short, (box_w, box_h) = min(size), _safe_box(size)
    stroke = max(1, round(short * 0.0028))
    words = set_in_box(
        overlay.text,
        overlay.lang,
        (round(box_w * 0.86), round(box_h * 0.3)),
        *_sizes(short, 0.05, 0.024),
    )
    image = draw_setting(words, WHITE, stroke_px=stroke)
    pad = round(short * 0.012)
    plate = _plate((image.width + 2 * pad, image.height + pad), round(short * 0.008), 105)
    plate.alpha_composite(image, (pad, round(pad * 0.3)))
    bottom = round(size[1] * (1 - 1.2 * SAFE))
    return [_Part(plate, (size[0] - plate.width) // 2, bottom - plate.height)]


_LAYOUTS: dict[str, Callable[[Overlay, tuple[int, int]], list[_Part]]] = {
    "title": _title,
    "card": _card,
    "lower_third": _lower_third,
    "credit": _credit,
    "caption": _caption,
}


def _safe_box(size: tuple[int, int]) -> tuple[int, int]:
    return round(size[0] * (1 - 2 * SAFE)), round(size[1] * (1 - 2 * SAFE))


def _sizes(short: int, largest: float, smallest: float) -> tuple[int, int]:
    """Font sizes in pixels from parts of the picture's shorter side."""
    least = max(6, round(short * smallest))
    return max(least, round(short * largest)), least


def _plate(size: tuple[int, int], radius: int, alpha: int) -> Image.Image:
    plate = Image.new("RGBA", size, (*PLATE, 0))
    box = (0, 0, size[0] - 1, size[1] - 1)
    ImageDraw.Draw(plate).rounded_rectangle(box, radius, fill=(*PLATE, alpha))
    return plate
