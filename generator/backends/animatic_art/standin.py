"""Drawn stand-ins for cast without pictures: a painted figure from the words that describe it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.backends.animatic_art.noise import clouds, stream

__all__ = ["standin"]

Rgba = NDArray[np.uint8]
Rgb = tuple[float, float, float]

COLOURS: dict[str, Rgb] = {
    "black": (44, 44, 50), "white": (222, 220, 212), "grey": (128, 130, 134),
    "gray": (128, 130, 134), "silver": (176, 180, 186), "red": (172, 52, 46),
    "crimson": (150, 36, 48), "scarlet": (190, 46, 38), "orange": (206, 116, 50),
    "yellow": (214, 168, 54), "golden": (204, 160, 70), "gold": (204, 160, 70),
    "green": (72, 112, 78), "olive": (106, 108, 66), "teal": (52, 116, 120),
    "turquoise": (70, 152, 152), "blue": (66, 98, 146), "navy": (42, 54, 88),
    "purple": (100, 70, 128), "violet": (112, 84, 150), "pink": (204, 132, 148),
    "brown": (112, 80, 58), "tan": (176, 146, 108), "beige": (190, 172, 142),
    "cream": (216, 206, 182), "khaki": (142, 130, 92), "maroon": (104, 42, 48),
}  # fmt: skip
_GARMENT = (
    r"coat|oilskin|jacket|raincoat|parka|dress|skirt|suit|shirt|sweater|jumper|hoodie|robe|"
    r"uniform|overalls|blouse|cardigan|vest|gown|cloak|scarf|t-shirt|tunic|apron|clothes|kimono"
)
_CLOTHS: tuple[Rgb, ...] = (
    (74, 98, 122), (122, 78, 66), (84, 104, 84), (108, 88, 118), (150, 118, 72), (70, 106, 112),
)  # fmt: skip
_HAIRS: tuple[Rgb, ...] = ((52, 40, 36), (88, 62, 46), (34, 32, 36), (120, 90, 60))
_SKINS: tuple[Rgb, ...] = ((208, 164, 138), (178, 130, 102), (132, 92, 70), (98, 68, 54))


@dataclass(frozen=True, slots=True)
class _Person:
    cloth: Rgb
    hair: Rgb
    skin: Rgb
    legs: Rgb
    long_hair: bool
    long_coat: bool
    hat: bool
    beard: bool
    bald: bool
    head: float
    """Height of the head as a part of the figure's."""
    wide: float


def standin(
    subject: str,
    description: str,
    facing: str,
    thing: bool,
    height_px: int,
    cloth: Rgb | None = None,
) -> tuple[Rgba, float]:
    """The picture `(h, w, 4) uint8 RGBA`, cropped, `height_px` high, and the chin's row as a part
    of the height. Faces the camera, or to the right when `facing` is left or right."""
    height_px = min(1400, max(48, height_px))
    if thing:
        return _thing(subject, description, height_px), 0.3
    person = _person(subject, description, cloth)
    profile = facing in ("left", "right")
    canvas = _Canvas(int(height_px * 0.62), height_px, stream("standin", subject))
    _body(canvas, person, profile)
    _head(canvas, person, profile, facing == "away")
    return canvas.cropped(), person.head


class _Canvas:
    """Shapes in figure units (x from the axis, y from the crown, both over the height)."""

    def __init__(self, width: int, height: int, rng: np.random.Generator) -> None:
        self.colour = np.zeros((height, width, 3), np.float32)
        self.alpha = np.zeros((height, width), np.float32)
        self.texture = clouds(rng, (width, height), (5, 9), 4) - 0.5

    def shape(self, points: Sequence[tuple[float, float]], colour: Rgb, light: float = 1.0) -> None:
        """A soft-edged smooth shape, lit from the upper left, with brushed unevenness."""
        height, width = self.alpha.shape
        curve = _smooth(np.array(points, np.float64)) * height + (width / 2, 0)
        margin = height * 0.07
        low, high = np.floor(curve.min(axis=0) - margin), np.ceil(curve.max(axis=0) + margin)
        left, top = max(0, int(low[0])), max(0, int(low[1]))
        right, bottom = min(width, int(high[0]) + 1), min(height, int(high[1]) + 1)
        part = (slice(top, bottom), slice(left, right))
        mask = np.zeros((bottom - top, right - left), np.uint8)
        corners = np.round((curve - (left, top)) * 16).astype(np.int32)
        cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, 4)
        cover = np.asarray(mask.astype(np.float32) / 255, np.float32)
        shade = self._shade(cover, height) * (0.9 * light) * (1 + 0.14 * self.texture[part])
        paint = np.clip(np.array(colour, np.float32) * shade[..., None], 0, 255)
        self.colour[part] += (paint - self.colour[part]) * cover[..., None]
        self.alpha[part] += (1 - self.alpha[part]) * cover

    def _shade(self, cover: NDArray[np.float32], height: int) -> NDArray[np.float32]:
        """Light from the upper left over a rounded form; soft, so a quarter of the size does."""
        small = (max(2, cover.shape[1] // 4), max(2, cover.shape[0] // 4))
        form = cv2.GaussianBlur(
            cv2.resize(cover, small, interpolation=cv2.INTER_AREA), (0, 0), height * 0.0055
        )
        slope = cv2.Sobel(form, cv2.CV_32F, 1, 0, scale=height / 360)
        across = cv2.Sobel(form, cv2.CV_32F, 0, 1, scale=height / 560)
        shade = 1 + 0.30 * np.clip(slope, -1, 1) + 0.16 * np.clip(across, -1, 1)
        size = (cover.shape[1], cover.shape[0])
        return np.asarray(cv2.resize(shade, size, interpolation=cv2.INTER_LINEAR), np.float32)

    def glow(self, at: tuple[float, float], radii: tuple[float, float], gain: float) -> None:
        """A soft brightening (gain over 1) or darkening inside what is painted."""
        height, width = self.alpha.shape
        x, y = at[0] * height + width / 2, at[1] * height
        reach_x, reach_y = radii[0] * height * 2.6, radii[1] * height * 2.6
        left, right = max(0, int(x - reach_x)), min(width, int(x + reach_x) + 1)
        top, bottom = max(0, int(y - reach_y)), min(height, int(y + reach_y) + 1)
        across = (np.arange(left, right, dtype=np.float32) - x) / (radii[0] * height)
        down = (np.arange(top, bottom, dtype=np.float32) - y) / (radii[1] * height)
        blob = np.exp(-(across[None, :] ** 2) - down[:, None] ** 2)
        self.colour[top:bottom, left:right] *= 1 + (gain - 1) * blob[..., None]

    def cropped(self) -> Rgba:
        """What was painted, down to its own box; the full height stays."""
        rgba = np.dstack([np.clip(self.colour, 0, 255), self.alpha * 255])
        columns = np.flatnonzero(self.alpha.max(axis=0) > 0.02)
        # The same margin on both sides keeps the axis in the middle.
        margin = int(min(columns[0], self.alpha.shape[1] - 1 - columns[-1]))
        width = self.alpha.shape[1]
        return np.ascontiguousarray((rgba + 0.5).astype(np.uint8)[:, margin : width - margin])


def _smooth(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """A closed curve near the corners (Chaikin's corner cutting, three rounds)."""
    for _ in range(3):
        after = np.roll(points, -1, axis=0)
        cut = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], axis=1)
        points = cut.reshape(-1, 2)
    return points


def _person(subject: str, description: str, cloth: Rgb | None) -> _Person:
    text = description.lower()
    rng = stream("person", subject)
    spare = _CLOTHS[int(rng.integers(len(_CLOTHS)))]
    hair = _HAIRS[int(rng.integers(len(_HAIRS)))]
    skin = _SKINS[int(rng.integers(len(_SKINS) - 1))]
    for words, tone in (
        (r"\b(dark|black|brown) skin|dark-skinned|\bblack (wo)?man", _SKINS[3]),
        (r"\bpale|fair skin|freckle", (222, 186, 166)),
    ):
        skin = tone if re.search(words, text) else skin
    old = re.search(r"\b(60s|70s|80s|90s|old|elderly|aged)\b", text)
    hair = _colour_of(text, r"hair|braid|bun|curls|ponytail|beard|plait") or (
        (150, 152, 156) if old else hair
    )
    if re.search(r"\b(red|ginger|auburn)[\s-]+(\w+[\s-]+)?(hair|haired|braid|curls|beard)", text):
        hair = (146, 74, 46)
    if "blond" in text:
        hair = (196, 162, 100)
    woman = re.search(r"\b(woman|girl|she|lady|mother|queen|actress|her)\b", text)
    child = re.search(r"\b(child|kid|boy|girl|toddler)\b", text)
    return _Person(
        cloth=cloth or _colour_of(text, _GARMENT) or spare,
        hair=hair,
        skin=skin,
        legs=_colour_of(text, r"trousers|jeans|pants|leggings|boots") or (46, 50, 64),
        long_hair=bool(woman or "long hair" in text) and not re.search(r"short hair|bun\b", text),
        long_coat=bool(re.search(r"coat|oilskin|dress|robe|gown|cloak|skirt|kimono", text)),
        hat=bool(re.search(r"\b(hat|cap|beanie|hood|helmet)\b", text)),
        beard="beard" in text,
        bald="bald" in text,
        head=0.185 if child else 0.142,
        wide=0.92 if woman or child else 1.04,
    )


def _colour_of(text: str, nouns: str) -> Rgb | None:
    """The colour word up to three words before one of `nouns`."""
    names = "|".join(COLOURS)
    found = re.search(rf"\b({names})\b(?:[\s-]+\w+){{0,2}}[\s-]+(?:{nouns})", text)
    return COLOURS[found[1]] if found else None


def _body(canvas: _Canvas, person: _Person, profile: bool) -> None:
    neck, wide = person.head, person.wide * (0.66 if profile else 1.0)
    shoulder = neck + 0.045
    for side in (-1.0, 1.0):
        near = 1.0 if side < 0 else 0.86
        x = 0.042 * side * wide
        leg = [(x - 0.036, 0.5), (x + 0.036, 0.5), (x + 0.034, 0.72), (x + 0.030, 0.96)]
        leg += [(x - 0.030, 0.96), (x - 0.034, 0.72)]
        canvas.shape(leg, person.legs, near)
        toe = 0.032 if profile else 0.012 * side
        shoe = [(x - 0.036, 0.93), (x + 0.034, 0.93), (x + 0.036 + toe, 0.985)]
        shoe += [(x + 0.036 + toe, 1.0), (x - 0.038, 1.0)]
        canvas.shape(shoe, (40, 38, 44), near)
    hem = 0.78 if person.long_coat else 0.53
    flare = 0.125 if person.long_coat else 0.098
    if profile:
        _arm(canvas, person, 0.02, shoulder, 0.72)
    torso = [(-0.035, neck + 0.005), (0.035, neck + 0.005), (0.105 * wide, shoulder)]
    torso += [(0.128 * wide, shoulder + 0.04), (0.112 * wide, 0.36), (0.105 * wide, 0.47)]
    torso += [(flare * wide, hem), (-flare * wide, hem), (-0.105 * wide, 0.47)]
    torso += [(-0.112 * wide, 0.36), (-0.128 * wide, shoulder + 0.04), (-0.105 * wide, shoulder)]
    canvas.shape(torso, person.cloth)
    if profile:
        _arm(canvas, person, -0.01, shoulder, 1.0)
        return
    for side in (-1.0, 1.0):
        _arm(canvas, person, side * 0.118 * wide, shoulder, 1.04 if side < 0 else 0.84)


def _arm(canvas: _Canvas, person: _Person, x: float, shoulder: float, light: float) -> None:
    out = 0.016 * (1 if x > 0 else -1)
    hand = [(x + out - 0.018, 0.5), (x + out + 0.018, 0.5), (x + out + 0.014, 0.565)]
    hand += [(x + out, 0.58), (x + out - 0.015, 0.56)]
    canvas.shape(hand, person.skin, light)
    arm = [(x - 0.034, shoulder + 0.004), (x + 0.03, shoulder + 0.004), (x + 0.036, 0.33)]
    arm += [(x + out + 0.026, 0.52), (x + out - 0.028, 0.52), (x - 0.036, 0.33)]
    canvas.shape(arm, person.cloth, light)


def _head(canvas: _Canvas, person: _Person, profile: bool, away: bool) -> None:
    tall = person.head
    half = tall * 0.36
    lean = tall * 0.09 if profile else 0.0
    if person.long_hair and not person.bald:
        back = -tall * 0.13 if profile else 0.0
        long = [(back - half * 1.18, tall * 0.3), (back, -tall * 0.02)]
        long += [(back + half * 1.18, tall * 0.3), (back + half * 1.12, tall * 1.25)]
        long += [(back - half * 1.12, tall * 1.25)]
        canvas.shape(long, person.hair, 0.85)
    neck = [(-half * 0.5, tall * 0.7), (half * 0.5, tall * 0.7), (half * 0.62, tall * 1.16)]
    canvas.shape([*neck, (-half * 0.62, tall * 1.16)], person.skin, 0.74)
    face = [(lean - half, tall * 0.36), (lean - half * 0.8, tall * 0.06), (lean, tall * 0.0)]
    face += [(lean + half * 0.8, tall * 0.06), (lean + half, tall * 0.36)]
    if profile:
        face += [(lean + half * 1.02, tall * 0.44), (lean + half * 1.32, tall * 0.62)]
        face += [(lean + half * 1.0, tall * 0.68), (lean + half * 1.04, tall * 0.78)]
        face += [(lean + half * 0.82, tall * 1.0), (lean + half * 0.1, tall * 0.98)]
    face += [(lean + half * (0.2 if profile else 0.84), tall * 0.78), (lean, tall * 1.05)]
    face += [(lean - half * 0.84, tall * 0.74)]
    canvas.shape(face, person.hair if away and not person.bald else person.skin)
    if not away:
        _features(canvas, person, profile, half, lean)
    if not person.bald:
        _hair(canvas, person, profile, half, lean)


def _features(canvas: _Canvas, person: _Person, profile: bool, half: float, lean: float) -> None:
    """Planes of light rather than a face: enough for eye lines, nobody's likeness."""
    tall = person.head
    eyes = (0.62,) if profile else (-0.42, 0.42)
    for eye in eyes:
        canvas.glow((lean + half * eye, tall * 0.5), (half * 0.30, tall * 0.055), 0.60)
        canvas.glow((lean + half * eye, tall * 0.515), (half * 0.13, tall * 0.024), 0.35)
    middle = lean + half * (0.72 if profile else 0.0)
    if not profile:
        canvas.glow((middle + half * 0.10, tall * 0.62), (half * 0.12, tall * 0.10), 0.82)
        canvas.glow((middle - half * 0.06, tall * 0.6), (half * 0.08, tall * 0.09), 1.12)
    canvas.glow((middle, tall * 0.815), (half * 0.30, tall * 0.017), 0.55)
    canvas.glow((middle, tall * 0.88), (half * 0.26, tall * 0.02), 0.86)
    canvas.glow((lean - half * 0.5, tall * 0.3), (half * 0.6, tall * 0.2), 1.10)
    if person.beard:
        beard = [(lean - half * 0.86, tall * 0.66), (lean, tall * 0.86)]
        beard += [(lean + half * 0.9, tall * 0.66), (lean + half * 0.6, tall * 1.08)]
        canvas.shape([*beard, (lean - half * 0.55, tall * 1.06)], person.hair, 0.95)


def _hair(canvas: _Canvas, person: _Person, profile: bool, half: float, lean: float) -> None:
    tall = person.head
    colour = person.cloth if person.hat else person.hair
    back = -half * 0.32 if profile else 0.0
    cap = [(lean + back - half * 1.14, tall * 0.56), (lean + back - half * 1.14, tall * 0.2)]
    cap += [
        (lean - half * 0.66, 0.001),
        (lean + half * 0.62, 0.001),
        (lean + half * 1.1, tall * 0.2),
    ]
    front = half * (0.92 if profile else 1.12)
    cap += [(lean + front, tall * 0.36), (lean + half * 0.7, tall * 0.24)]
    cap += [(lean - half * 0.1, tall * 0.25), (lean + back - half * 0.8, tall * 0.32)]
    canvas.shape([(x, max(y, 0.001)) for x, y in cap], colour, 1.02)


def _thing(subject: str, description: str, height_px: int) -> Rgba:
    """A bottle-like object: something with a top, a body and a light on it."""
    rng = stream("thing", subject)
    text = description.lower()
    found = re.search(rf"\b({'|'.join(COLOURS)})\b", text)
    colour = COLOURS[found[1]] if found else _CLOTHS[int(rng.integers(len(_CLOTHS)))]
    canvas = _Canvas(height_px, height_px, rng)
    if re.search(r"bottle|flask|perfume|can\b|tube|jar|lamp|lantern|candle", text):
        body = [(-0.2, 0.34), (-0.07, 0.24), (0.07, 0.24), (0.2, 0.34), (0.2, 1.0), (-0.2, 1.0)]
        canvas.shape(body, colour)
        cap = [(-0.075, 0.02), (0.075, 0.02), (0.075, 0.25), (-0.075, 0.25)]
        canvas.shape(cap, (60, 58, 62))
        label = [(-0.17, 0.5), (0.17, 0.5), (0.17, 0.82), (-0.17, 0.82)]
        canvas.shape(label, (226, 220, 208))
    else:
        box = [(-0.42, 0.06), (0.42, 0.06), (0.45, 1.0), (-0.45, 1.0)]
        canvas.shape([*box[:2], (0.46, 0.5), *box[2:], (-0.46, 0.5)], colour)
    canvas.glow((-0.1, 0.5), (0.05, 0.4), 1.35)
    return canvas.cropped()
