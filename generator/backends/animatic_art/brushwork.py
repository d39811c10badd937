"""What backdrops are painted with: skies, ridges, floors in perspective, glows. RGB, 0-255."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.backends.animatic_art.noise import clouds

__all__ = ["Palette", "Sheet", "blend", "perspective_noise", "ridge_line"]

Rgb = tuple[float, float, float]
Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Palette:
    """The light of a time of day."""

    zenith: Rgb
    horizon: Rgb
    glow: Rgb
    ground: Rgb
    dark: Rgb
    """Of silhouettes near the camera."""
    lamp: Rgb = (255, 206, 130)
    night: bool = False
    sun: tuple[float, float] | None = (0.3, 0.1)
    """Across the sheet, and over the horizon in parts of the sheet's height."""


def blend(a: Rgb, b: Rgb, share: float) -> Rgb:
    """`a` with `share` of `b`."""
    return (
        a[0] + (b[0] - a[0]) * share,
        a[1] + (b[1] - a[1]) * share,
        a[2] + (b[2] - a[2]) * share,
    )


@dataclass(slots=True)
class Sheet:
    """A painted layer: colour `(h, w, 3) float32` and cover `(h, w) float32 in [0, 1]`."""

    width: int
    height: int
    horizon: int
    """Row."""
    colour: Float = field(init=False)
    cover: Float = field(init=False)

    def __post_init__(self) -> None:
        self.colour = np.zeros((self.height, self.width, 3), np.float32)
        self.cover = np.zeros((self.height, self.width), np.float32)

    def paint(self, mask: Float, colour: Float | Rgb) -> None:
        """Lay `colour` where `mask` is, over what is there."""
        tone = np.asarray(colour, np.float32)
        self.colour += (tone - self.colour) * mask[..., None]
        self.cover += (1 - self.cover) * mask

    def polygon(self, points: list[tuple[float, float]], colour: Rgb, soft: float = 0.0) -> None:
        """A filled shape, points in pixels."""
        margin = 2 + int(3 * soft)
        xs, ys = [point[0] for point in points], [point[1] for point in points]
        left, right = _span(min(xs) - margin, max(xs) + margin, self.width)
        top, bottom = _span(min(ys) - margin, max(ys) + margin, self.height)
        if right <= left or bottom <= top:
            return
        mask = np.zeros((bottom - top, right - left), np.uint8)
        corners = np.round((np.array(points, np.float64) - (left, top)) * 16).astype(np.int32)
        cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, 4)
        cover = mask.astype(np.float32) / 255
        if soft:
            cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), soft), np.float32)
        part = (slice(top, bottom), slice(left, right))
        tone = np.asarray(colour, np.float32)
        self.colour[part] += (tone - self.colour[part]) * cover[..., None]
        self.cover[part] += (1 - self.cover[part]) * cover

    def box(self, x: float, y: float, right: float, bottom: float, colour: Rgb) -> None:
        """A rectangle, edges in pixels."""
        left, top = max(0, round(x)), max(0, round(y))
        part = (slice(top, max(top, round(bottom))), slice(left, max(left, round(right))))
        self.colour[part] = colour
        self.cover[part] = 1

    def glow(self, x: float, y: float, radius: float, colour: Rgb, strength: float) -> None:
        """Light that is added around a point, falling off softly."""
        dist = self._distance(x, y) / radius
        add = np.exp(-(dist**2)) * 0.6 + 0.4 / (1 + (dist * 2.2) ** 2)
        self.colour += (add * strength * self.cover)[..., None] * np.asarray(colour, np.float32)

    def gradient(self, stops: list[tuple[float, Rgb]]) -> Float:
        """`(h, w, 3)`: colours by row, stops as parts of the height."""
        rows = np.linspace(0, 1, self.height)
        at = [stop[0] for stop in stops]
        channels = [np.interp(rows, at, [stop[1][c] for stop in stops]) for c in range(3)]
        column = np.stack(channels, axis=1).astype(np.float32)
        return np.asarray(np.repeat(column[:, None], self.width, axis=1), np.float32)

    def whole(self) -> Float:
        """A mask of everything."""
        return np.ones((self.height, self.width), np.float32)

    def under(self, line: Float) -> Float:
        """A mask of what lies under a line given as a row per column."""
        rows = np.arange(self.height, dtype=np.float32)[:, None]
        return np.asarray(np.clip(rows - line[None, :] + 0.5, 0, 1), np.float32)

    def rgba(self) -> NDArray[np.uint8]:
        """`(h, w, 4) uint8`, straight alpha, with a little noise against banding."""
        rng = np.random.Generator(np.random.PCG64(7))
        dither = rng.random(self.colour.shape[:2], dtype=np.float32)[..., None]
        out = np.empty((self.height, self.width, 4), np.uint8)
        out[..., :3] = np.clip(self.colour + dither, 0, 255).astype(np.uint8)
        out[..., 3] = np.clip(self.cover * 255 + 0.5, 0, 255).astype(np.uint8)
        return out

    def _distance(self, x: float, y: float) -> Float:
        across = np.arange(self.width, dtype=np.float32)[None, :] - np.float32(x)
        down = np.arange(self.height, dtype=np.float32)[:, None] - np.float32(y)
        return np.asarray(np.sqrt(across * across + down * down), np.float32)


def _span(first: float, last: float, size: int) -> tuple[int, int]:
    return max(0, int(first)), min(size, int(last) + 1)


def ridge_line(rng: np.random.Generator, width: int, rough: float, peaks: float) -> Float:
    """A skyline, `(width,) float32` in about [0, 1], `peaks` summits across."""
    line = np.zeros(width, np.float32)
    step = 1.0
    count = peaks
    while count < width / 3:
        knots = rng.random(int(count) + 4, dtype=np.float32)
        spread = cv2.resize(
            knots[None, :], (width + width * 3 // int(count + 1), 1), interpolation=cv2.INTER_CUBIC
        )
        line += spread[0, :width] * np.float32(step)
        step *= rough
        count *= 2
    return np.asarray((line - line.min()) / max(float(np.ptp(line)), 1e-6), np.float32)


def perspective_noise(
    rng: np.random.Generator, sheet: Sheet, stretch: float, grain: float
) -> Float:
    """Noise laid on the ground, `(h, w) float32 in [0, 1]`: finer towards the horizon."""
    tile = clouds(rng, (512, 512), (24, 24), 4)
    rows = np.arange(sheet.height, dtype=np.float32)[:, None] - sheet.horizon
    distance = sheet.height / np.maximum(rows, 2.0)
    columns = np.arange(sheet.width, dtype=np.float32)[None, :] - sheet.width / 2
    map_x = columns / sheet.height * distance * grain * stretch + 256
    map_y = np.broadcast_to(distance * grain * 14, map_x.shape)
    noise = cv2.remap(
        tile,
        np.ascontiguousarray(map_x, np.float32),
        np.ascontiguousarray(map_y, np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    # Towards the horizon the noise is finer than pixels: it fades into its mean there.
    clear = np.clip(rows / (sheet.height * 0.12), 0, 1)
    return np.asarray(noise * clear + 0.5 * (1 - clear), np.float32)
