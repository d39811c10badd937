"""A small painting engine: antialiased curves, soft masks and paint on one RGBA canvas.

Drawing code speaks in design units; a canvas scales and places them, so one drawing
serves a full figure and a close-up alike. Colours are sRGB triples in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Colour = tuple[float, float, float]
Points = Sequence[tuple[float, float]]
Paint = Colour | Callable[["Area"], Field]


def rgb(code: str) -> Colour:
    """The colour of a six-digit hex code, e.g. `d9a12c`."""
    return (int(code[0:2], 16) / 255, int(code[2:4], 16) / 255, int(code[4:6], 16) / 255)


def mix(one: Colour, other: Colour, amount: float) -> Colour:
    """A colour `amount` of the way from one to the other."""
    r, g, b = (a + (c - a) * amount for a, c in zip(one, other, strict=True))
    return (r, g, b)


def curve(points: Points, closed: bool = True, steps: int = 14) -> Field:
    """A Catmull-Rom curve through the points, (n, 2) float32."""
    knots = np.asarray(points, np.float32)
    if closed:
        knots = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        knots = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    before, start, end, after = knots[:-3], knots[1:-2], knots[2:-1], knots[3:]
    t = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[None, :, None]
    before, start, end, after = (k[:, None, :] for k in (before, start, end, after))
    path = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    flat = path.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, knots[-2:-1]])


def mirror(half: Points) -> list[tuple[float, float]]:
    """A closed outline symmetric about x = 0, from its right half listed top to bottom."""
    left = [(-x, y) for x, y in reversed(half) if abs(x) > 1e-6]
    return [*half, *left]


@dataclass(frozen=True, slots=True)
class Area:
    """A soft mask: alpha `(height, width) float32 [0, 1]` at canvas pixel (x, y)."""

    alpha: Field
    x: int
    y: int

    def blurred(self, sigma: float) -> Area:
        """The mask with a soft edge, sigma in pixels."""
        pad = max(1, round(sigma * 2.5))
        wide = cv2.copyMakeBorder(self.alpha, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=0)
        soft = cv2.GaussianBlur(wide, (0, 0), max(sigma, 0.1))
        return Area(np.asarray(soft, np.float32), self.x - pad, self.y - pad)

    def moved(self, dx: float, dy: float) -> Area:
        return Area(self.alpha, self.x + round(dx), self.y + round(dy))

    def within(self, other: Area) -> Area:
        """What this mask covers inside another."""
        return Area(self.alpha * other._seen_from(self), self.x, self.y)

    def without(self, other: Area) -> Area:
        """What this mask covers outside another."""
        return Area(self.alpha * (1 - other._seen_from(self)), self.x, self.y)

    def times(self, field: Field | float) -> Area:
        return Area(np.asarray(self.alpha * field, np.float32), self.x, self.y)

    def _seen_from(self, frame: Area) -> Field:
        """This mask's alpha on the pixel grid of another mask."""
        out = np.zeros_like(frame.alpha)
        height, width = out.shape
        top, left = max(self.y - frame.y, 0), max(self.x - frame.x, 0)
        bottom = min(self.y - frame.y + self.alpha.shape[0], height)
        right = min(self.x - frame.x + self.alpha.shape[1], width)
        if bottom > top and right > left:
            dy, dx = frame.y - self.y, frame.x - self.x
            out[top:bottom, left:right] = self.alpha[top + dy : bottom + dy, left + dx : right + dx]
        return out


class Canvas:
    """Premultiplied RGBA paint `(height, width, 4) float32`, addressed in design units."""

    def __init__(self, width: int, height: int) -> None:
        self.paint = np.zeros((height, width, 4), np.float32)
        self.scale, self.origin, self.flip = 1.0, (0.0, 0.0), False

    def place(self, scale: float, origin: tuple[float, float], flip: bool = False) -> Canvas:
        """The same paint seen through another placing: design (0, 0) lies at `origin` pixels."""
        view = Canvas.__new__(Canvas)
        view.paint, view.scale, view.origin, view.flip = self.paint, scale, origin, flip
        return view

    def within(self, dx: float, dy: float, scale: float = 1.0) -> Canvas:
        """A view whose (0, 0) lies at design point (dx, dy) of this one."""
        (x, y), s = self.origin, self.scale
        step = -dx if self.flip else dx
        return self.place(s * scale, (x + step * s, y + dy * s), self.flip)

    @property
    def whole(self) -> Area:
        height, width = self.paint.shape[:2]
        return Area(np.ones((height, width), np.float32), 0, 0)

    def area(self, points: Points | Field, smooth: bool = True) -> Area:
        """The mask inside a closed outline."""
        path = curve(list(map(tuple, points))) if smooth else np.asarray(points, np.float32)
        return self._polygon(path)

    def oval(self, x: float, y: float, rx: float, ry: float) -> Area:
        t = np.linspace(0, 2 * np.pi, 90, endpoint=False)
        return self._polygon(np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], 1))

    def stroke(self, points: Points, width: float, ends: tuple[float, float] = (0.0, 0.0)) -> Area:
        """The mask of a brush line: widest in the middle, `ends` as parts of the full width."""
        path = curve(points, closed=False) if len(points) > 2 else np.asarray(points, np.float32)
        if len(path) == 2:
            path = path[0] + (path[1] - path[0]) * np.linspace(0, 1, 12)[:, None]
        tangent = np.gradient(path, axis=0)
        normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
        t = np.linspace(0, 1, len(path))
        ramp = np.where(t < 0.5, ends[0], ends[1])
        swell = ramp + (1 - ramp) * np.sin(np.pi * t) ** 0.6
        half = (normal * swell[:, None]) * width / 2
        return self._polygon(np.concatenate([path + half, (path - half)[::-1]]))

    def lay(self, area: Area, paint: Paint, opacity: float = 1.0) -> Area:
        """Paints over what is there; hands the mask back for shading."""
        window, alpha, colour = self._window(area, paint, opacity)
        window[..., :3] = window[..., :3] * (1 - alpha) + colour * alpha
        window[..., 3:] = window[..., 3:] * (1 - alpha) + alpha
        return area

    def tint(self, area: Area, paint: Paint, opacity: float = 1.0) -> None:
        """Paints only where paint already is, so shading never leaves the figure."""
        window, alpha, colour = self._window(area, paint, opacity)
        window[..., :3] = window[..., :3] * (1 - alpha) + colour * alpha * window[..., 3:]

    def glow(self, area: Area, paint: Paint, opacity: float = 1.0) -> None:
        """Adds light (screen) where paint already is."""
        window, alpha, colour = self._window(area, paint, opacity)
        light = colour * alpha * window[..., 3:]
        window[..., :3] += light * (1 - np.clip(window[..., :3], 0, 1))

    def ramp(self, start: tuple[float, float], end: tuple[float, float], *stops: Colour) -> Paint:
        """A smooth gradient of evenly spaced stops between two design points."""
        a, b = self._pixels(np.asarray([start, end], np.float32))
        axis = (b - a) / float(np.dot(b - a, b - a))
        palette = np.asarray(stops, np.float32)

        def colours(area: Area) -> Field:
            rows, columns = np.indices(area.alpha.shape, dtype=np.float32)
            t = (columns + area.x - a[0]) * axis[0] + (rows + area.y - a[1]) * axis[1]
            places = np.linspace(0, 1, len(stops))
            channels = [np.interp(t, places, palette[:, i]) for i in range(3)]
            return np.stack(channels, -1).astype(np.float32)

        return colours

    def picture(self, factor: int = 1) -> NDArray[np.uint8]:
        """The straight-alpha picture `(height, width, 4) uint8 RGBA`, reduced by `factor`."""
        paint = self.paint
        if factor > 1:
            height, width = paint.shape[:2]
            size = (width // factor, height // factor)
            paint = np.asarray(cv2.resize(paint, size, interpolation=cv2.INTER_AREA), np.float32)
        alpha = paint[..., 3:]
        colour = np.where(alpha > 1e-4, paint[..., :3] / np.maximum(alpha, 1e-4), 0)
        straight = np.concatenate([colour, alpha], -1)
        return np.asarray(np.clip(straight * 255 + 0.5, 0, 255), np.uint8)

    def _window(self, area: Area, paint: Paint, opacity: float) -> tuple[Field, Field, Field]:
        """The canvas pixels under a mask, with the mask's alpha and colour on them."""
        height, width = self.paint.shape[:2]
        top, left = max(area.y, 0), max(area.x, 0)
        bottom = max(top, min(area.y + area.alpha.shape[0], height))
        right = max(left, min(area.x + area.alpha.shape[1], width))
        cut = (slice(top - area.y, bottom - area.y), slice(left - area.x, right - area.x))
        alpha = area.alpha[cut][..., None] * np.float32(opacity)
        seen = Area(area.alpha[cut], left, top)
        colour = paint(seen) if callable(paint) else np.asarray(paint, np.float32)
        return self.paint[top:bottom, left:right], alpha, colour

    def _pixels(self, points: Field) -> Field:
        side = np.asarray([-1.0 if self.flip else 1.0, 1.0], np.float32)
        return np.asarray(points * side * self.scale + np.asarray(self.origin), np.float32)

    def _polygon(self, path: NDArray[np.floating]) -> Area:
        pixels = self._pixels(np.asarray(path, np.float32))
        height, width = self.paint.shape[:2]
        low = np.floor(np.clip(pixels.min(0), (-64, -64), (width, height))).astype(int) - 2
        high = np.ceil(np.clip(pixels.max(0), (0, 0), (width + 64, height + 64))).astype(int) + 3
        mask = np.zeros((max(1, high[1] - low[1]), max(1, high[0] - low[0])), np.uint8)
        fixed = np.round((pixels - low) * 16).astype(np.int32)
        cv2.fillPoly(mask, [fixed], 255, lineType=cv2.LINE_AA, shift=4)
        alpha = np.asarray(mask / 255, np.float32)
        return Area(alpha, int(low[0]), int(low[1]))
