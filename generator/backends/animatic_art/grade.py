"""What the look's words do to the picture, once per texture, and the palette that binds it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Grade", "finish_field", "graded", "look_of", "settled"]

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Grade:
    """A mild colour correction: gain and lift per channel, saturation, contrast, grain."""

    gain: Rgb = (1.0, 1.0, 1.0)
    lift: Rgb = (0.0, 0.0, 0.0)
    saturation: float = 1.0
    contrast: float = 1.0
    grain: float = 0.018

    def plus(self, other: Grade) -> Grade:
        """Both, one after the other."""
        return Grade(
            (
                self.gain[0] * other.gain[0],
                self.gain[1] * other.gain[1],
                self.gain[2] * other.gain[2],
            ),
            (
                self.lift[0] + other.lift[0],
                self.lift[1] + other.lift[1],
                self.lift[2] + other.lift[2],
            ),
            self.saturation * other.saturation,
            self.contrast * other.contrast,
            max(self.grain, other.grain),
        )


_LOOKS: tuple[tuple[str, Grade], ...] = (
    (r"noir|black[- ]and[- ]white|monochrome|b&w", Grade(saturation=0.0, contrast=1.25)),
    (r"blue hour|moonlit|night", Grade((0.90, 0.97, 1.09), (0, 1, 4), 0.92)),
    (r"dusk|twilight|sunset", Grade((1.0, 0.95, 1.03), (2, 0, 3), 1.0)),
    (r"golden|amber|warm|candle|sunlit", Grade((1.07, 1.0, 0.89), (2, 1, 0), 1.04)),
    (r"\bcold\b|\bcool\b|icy|wintry|bleak|overcast", Grade((0.93, 0.99, 1.05), (0, 1, 2), 0.86)),
    (r"neon|cyberpunk|synthwave", Grade((1.04, 0.92, 1.10), (3, 0, 6), 1.35, 1.1)),
    (
        r"vintage|faded|sepia|super 8|70s|retro",
        Grade((1.06, 1.0, 0.88), (8, 6, 4), 0.72, 0.92, 0.03),
    ),
    (r"vivid|colou?rful|saturated|pop\b|cartoon", Grade(saturation=1.22)),
    (r"muted|desaturated|bleach", Grade(saturation=0.62, contrast=1.08)),
    (r"high[- ]contrast|gritty|harsh", Grade(contrast=1.16)),
    (r"pastel|soft|dreamy", Grade(lift=(8, 8, 9), saturation=0.88, contrast=0.92)),
    (r"35 ?mm|16 ?mm|grain|film stock", Grade(grain=0.028)),
)


def look_of(prompt: str) -> Grade:
    """The grade that the words of a prompt ask for; every word that is known adds its part."""
    text = prompt.lower()
    grade = Grade()
    for words, part in _LOOKS:
        if re.search(words, text):
            grade = grade.plus(part)
    return grade


def graded(rgba: NDArray[np.uint8], grade: Grade) -> NDArray[np.uint8]:
    """The picture `(h, w, 4) uint8 RGBA` in the grade; opacity stays."""
    if grade == Grade(grain=grade.grain):
        return rgba
    luma = np.array([0.2126, 0.7152, 0.0722])
    mix = np.outer(np.ones(3), luma) * (1 - grade.saturation) + np.eye(3) * grade.saturation
    matrix = np.diag(np.array(grade.gain) * grade.contrast) @ mix
    offset = np.array(grade.lift) + 110.0 * (1 - grade.contrast)
    full = np.zeros((4, 5))
    # The lift goes with the opacity: what is clear stays clear.
    full[:3, :3], full[:3, 3], full[3, 3] = matrix, offset / 255, 1.0
    return np.asarray(cv2.transform(rgba, full), np.uint8)


def settled(rgba: NDArray[np.uint8], surround: Rgb, strength: float = 0.4) -> NDArray[np.uint8]:
    """A cut-out `(h, w, 4) uint8 RGBA` in the light of its place: tinted towards the mean colour
    `surround`, dimmed where it is dark, and edged with its light (light wrap)."""
    tone = np.array(surround, np.float64)
    level = float(tone @ [0.2126, 0.7152, 0.0722]) / 255
    tint = np.clip((tone + 18) / (tone.mean() + 18), 0.72, 1.3)
    brightness = np.clip(0.55 + 1.15 * level, 0.58, 1.06)
    gain = (1 + strength * (tint - 1)) * (1 + 1.2 * strength * (brightness - 1))
    full = np.zeros((4, 5))
    full[:3, :3], full[3, 3] = np.diag(gain), 1.0
    out = np.asarray(cv2.transform(rgba, full), np.uint8)
    alpha = rgba[..., 3].astype(np.float32) / 255
    reach = max(1.5, rgba.shape[1] * 0.022)
    inner = cv2.GaussianBlur(alpha, (0, 0), reach, borderType=cv2.BORDER_REPLICATE)
    rim = (alpha * np.clip(1 - inner, 0, 1) * 0.75)[..., None]
    light = np.clip(tone * 1.25 + 22, 0, 255).astype(np.float32)
    mixed = out[..., :3] * (1 - rim) + light * rim
    out[..., :3] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    return out


def finish_field(
    rng: np.random.Generator, size: tuple[int, int], grain: float
) -> NDArray[np.uint8]:
    """Vignette and paper as factors of 1/224, `(height, width, 4) uint8`: one multiplication
    finishes a frame. The paper stands still: grain that changes with every frame would cost the
    encoder more than the whole picture."""
    width, height = size
    across = (np.arange(width, dtype=np.float32) / width - np.float32(0.5)) * 2
    down = (np.arange(height, dtype=np.float32) / height - np.float32(0.5)) * 2
    radius = np.sqrt((across[None, :] ** 2 + down[:, None] ** 2) / 2)
    vignette = 1 - 0.30 * np.clip(radius - 0.35, 0, 1) ** 2 / 0.42
    noise = rng.standard_normal((height, width), dtype=np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), max(0.6, height / 1100)) * 1.9
    gray = np.clip(224 * (vignette * (1 + 0.5 * grain * noise)) + 0.5, 0, 255).astype(np.uint8)
    field = np.asarray(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGBA), np.uint8)
    field[..., 3] = 224
    return field
