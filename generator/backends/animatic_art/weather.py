"""Weather and air in front of the scene: rain, snow, fog, dust."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.backends.animatic_art.noise import clouds, stream
from generator.backends.animatic_art.planes import Easel

__all__ = ["Weather", "weather_of"]

Rgba = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A wrapped picture that drifts: pixels a second, and whether it is light or a veil."""

    tile: Rgba
    drift: tuple[float, float]
    light: bool


@dataclass(frozen=True, slots=True)
class Weather:
    """Drifting sheets, far to near."""

    sheets: tuple[_Sheet, ...]
    fps: Fraction

    def draw(self, frame: Rgba, at: int, easel: Easel) -> None:
        """Lay the weather of frame `at` over `frame` `(h, w, 4) uint8`."""
        height, width = frame.shape[:2]
        for sheet in self.sheets:
            tile_h, tile_w = sheet.tile.shape[0] - height, sheet.tile.shape[1] - width
            left = int(sheet.drift[0] * at / self.fps) % tile_w
            top = int(sheet.drift[1] * at / self.fps) % tile_h
            window = sheet.tile[top : top + height, left : left + width]
            if sheet.light:
                cv2.add(frame, window, dst=frame)
            else:
                easel.lay(frame, window)


def weather_of(
    words: str, inside: bool, size: tuple[int, int], fps: Fraction, seed: int
) -> Weather:
    """The weather that the slugline and the action speak of; none indoors but dust in the air."""
    text = words.lower()
    sheets: list[_Sheet] = []
    if not inside:
        if re.search(r"\bfog|\bmist|\bhaze|\bsmoke", text):
            sheets.append(_fog(size, seed, 150))
        if re.search(r"\bsnow|blizzard", text):
            sheets += [_snow(size, seed, near) for near in (False, True)]
        if re.search(r"\brain|\bstorm|downpour|drizzle", text):
            sheets += [_rain(size, seed, near) for near in (False, True)]
    elif re.search(r"smok|steam|dust|haze|fog", text):
        sheets.append(_fog(size, seed, 90))
    return Weather(tuple(sheets), fps)


def _rain(size: tuple[int, int], seed: int, near: bool) -> _Sheet:
    width, height = size
    rng = stream("rain", seed, near)
    tile = np.zeros((height, width), np.uint8)
    length, level = (height // 8, 88) if near else (height // 16, 50)
    slant = 0.16
    for _ in range(110 if near else 320):
        x, y = rng.uniform(-width * 0.1, width * 1.1), rng.uniform(-length, height)
        reach = length * rng.uniform(0.6, 1.2)
        for wrap in (0, height):
            start = (
                round((x + slant * wrap) * 16) - round(slant * wrap * 16),
                round((y - wrap) * 16),
            )
            end = (start[0] - round(slant * reach * 16), start[1] + round(reach * 16))
            shade = int(level * rng.uniform(0.5, 1.0))
            cv2.line(tile, start, end, shade, max(1, height // 500), cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(tile, (0, 0), 0.9 if near else 0.6)
    speed = height * (2.6 if near else 1.9)
    return _Sheet(_wrapped(_light(soft, (0.86, 0.93, 1.0)), size), (speed * slant, -speed), True)


def _snow(size: tuple[int, int], seed: int, near: bool) -> _Sheet:
    width, height = size
    rng = stream("snow", seed, near)
    tile = np.zeros((height, width), np.uint8)
    for _ in range(90 if near else 420):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        radius = height / 720 * rng.uniform(*((3.0, 6.0) if near else (1.0, 2.4)))
        shade = int((150 if near else 130) * rng.uniform(0.5, 1))
        cv2.circle(tile, (x * 16, y * 16), round(radius * 16), shade, -1, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(tile, (0, 0), height / 720 * (2.6 if near else 0.8))
    speed = height * (0.30 if near else 0.16)
    return _Sheet(_wrapped(_light(soft, (1, 1, 1)), size), (speed * 0.35, -speed), True)


def _fog(size: tuple[int, int], seed: int, level: int) -> _Sheet:
    width, height = size
    noise = clouds(stream("fog", seed), (width // 4, height // 4), (3, 3), 4)
    half = np.concatenate([noise, noise[:, ::-1]], axis=1)
    big = cv2.resize(half, (width * 2, height), interpolation=cv2.INTER_LINEAR)
    fall = np.linspace(0.35, 1.0, height, dtype=np.float32)[:, None] ** 0.8
    alpha = np.clip(big * 1.3 - 0.15, 0, 1) * fall * level
    tile = np.zeros((height, width * 2, 4), np.uint8)
    for channel, tone in enumerate((196, 202, 208)):
        tile[..., channel] = (alpha * tone / 255).astype(np.uint8)
    tile[..., 3] = alpha.astype(np.uint8)
    padded = np.concatenate([tile, tile[:, :width]], axis=1)
    tall = np.concatenate([padded, padded[-1:]], axis=0)
    return _Sheet(np.ascontiguousarray(tall), (width * 0.02, 0.0), False)


def _light(level: cv2.typing.MatLike, colour: tuple[float, float, float]) -> Rgba:
    tile = np.zeros((*level.shape, 4), np.uint8)
    for channel in range(3):
        tile[..., channel] = (level * colour[channel]).astype(np.uint8)
    return tile


def _wrapped(tile: Rgba, size: tuple[int, int]) -> Rgba:
    """Twice the tile both ways, so that any window of it is one slice."""
    return np.ascontiguousarray(np.tile(tile, (2, 2, 1)))
