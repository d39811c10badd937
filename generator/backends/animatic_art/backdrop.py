"""Places painted from the slugline, when the storyboard gives no picture of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from generator.backends.animatic_art import exteriors, interiors
from generator.backends.animatic_art.brushwork import Palette, Sheet
from generator.backends.animatic_art.memory import remembered
from generator.backends.animatic_art.noise import stream
from generator.backends.animatic_art.planes import (
    Plane,
    premultiplied,
    reference_card,
    reference_ground,
)
from generator.backends.animatic_art.plates import Place, View

__all__ = ["is_inside", "painted_place"]

Painter = Callable[[np.random.Generator, Palette, tuple[int, int]], list[tuple[Sheet, float]]]
"""Layers with their metres, far to near; 0 m is the ground."""

_PAINTED_PX = 1024
"""Widest frame that backdrops are painted for: brushwork has nothing finer to show."""

_PALETTES: tuple[tuple[str, Palette], ...] = (
    (
        r"\bnight|midnight|moonlit",
        Palette((10, 16, 36), (46, 62, 92), (150, 172, 206), (26, 34, 50), (8, 11, 20),
                night=True, sun=(0.68, 0.26)),
    ),
    (
        r"\bdawn|sunrise",
        Palette((84, 112, 158), (246, 190, 158), (255, 222, 180), (96, 92, 98), (34, 36, 50),
                sun=(0.62, 0.03)),
    ),
    (
        r"\bdusk|twilight|evening|blue hour",
        Palette((28, 44, 84), (226, 156, 126), (255, 198, 146), (52, 56, 76), (18, 22, 38),
                sun=(0.36, 0.02)),
    ),
    (
        r"\bgolden|sunset|magic hour",
        Palette((92, 116, 156), (252, 190, 112), (255, 226, 160), (122, 96, 66), (48, 34, 30),
                sun=(0.34, 0.06)),
    ),
    (
        r"\bstorm|\brain|overcast|\bfog|\bmist",
        Palette((92, 104, 116), (168, 176, 178), (206, 210, 208), (88, 94, 92), (34, 40, 44),
                sun=None),
    ),
)  # fmt: skip
_DAY = Palette((88, 138, 190), (206, 220, 224), (255, 246, 224), (124, 128, 100), (44, 54, 50),
               sun=(0.7, 0.34))  # fmt: skip

_OUTSIDE: tuple[tuple[str, Painter], ...] = (
    (r"space|orbit|moon surface|planet|asteroid|galaxy", exteriors.space),
    (r"lighthouse|sea|ocean|beach|coast|harbou?r|shore|headland|pier|ship|boat|bay|lake|island",
     exteriors.sea),
    (r"forest|wood|jungle|trees|park|garden|grove", exteriors.forest),
    (r"city|street|alley|roof|downtown|town|square|plaza|market|bridge|station", exteriors.city),
    (r"mountain|peak|cliff|alps|summit|valley|ridge|glacier", exteriors.mountain),
    (r"desert|dune|sand|canyon|mesa|mars", exteriors.desert),
    (r"road|highway|car\b|motorway", exteriors.road),
)  # fmt: skip
_INSIDE: tuple[tuple[str, Painter], ...] = (
    (r"studio|product|table ?top|white void|cyclorama|limbo", interiors.studio),
    (r"stage|theat|concert|club", interiors.stage),
    (r"corridor|hall|tunnel|subway|passage|bunker|spaceship|space station", interiors.corridor),
)


def is_inside(slugline: str) -> bool:
    """Whether the slugline says INT (INT/EXT counts as outside)."""
    text = slugline.upper().strip()
    return text.startswith("INT") and "EXT" not in text[:9]


def painted_place(slugline: str, view: View, seed: int) -> Place:
    """The place in planes; the same for the same slugline and seed."""
    text = slugline.lower()
    inside = is_inside(slugline)
    # The same slugline and seed paint the same sheets at every frame size of one shape.
    width = min(view.size[0], _PAINTED_PX)
    scale = view.size[0] / width
    sheet_size = (int(width * 1.5), int(view.size[1] / scale * 1.7))
    backdrop = remembered(
        ("backdrop", text, seed, sheet_size),
        lambda: _painted(text, inside, seed, sheet_size),
        lambda made: sum(hanging.texture.nbytes for hanging in made.hangings),
    )
    focal = view.focal / scale
    planes = [_hung(hanging, focal, view, scale) for hanging in backdrop.hangings]
    planes[0] = replace(planes[0], opaque=True)
    return Place(tuple(planes), backdrop.surround)


@dataclass(frozen=True, slots=True)
class _Hanging:
    """A painted sheet as it is hung: premultiplied `(h, w, 4) uint8 RGBA`; 0 m is the ground."""

    texture: NDArray[np.uint8]
    horizon: int
    depth_m: float


@dataclass(frozen=True, slots=True)
class _Backdrop:
    hangings: tuple[_Hanging, ...]
    surround: tuple[float, float, float]


def _painted(text: str, inside: bool, seed: int, size: tuple[int, int]) -> _Backdrop:
    palette = next((tone for words, tone in _PALETTES if re.search(words, text)), _DAY)
    table = _INSIDE if inside else _OUTSIDE
    plain: Painter = interiors.room if inside else exteriors.field
    painter = next((paint for words, paint in table if re.search(words, text)), plain)
    if not inside and painter is plain and re.search(r"studio|product", text):
        painter = interiors.studio
    layers = painter(stream("place", text, seed), palette, size)
    back = layers[0][0]
    middle = back.colour[back.horizon - back.height // 4 : back.horizon + back.height // 8]
    tone = np.clip(middle.reshape(-1, 3).mean(axis=0), 0, 255).tolist()
    hangings = tuple(
        _Hanging(premultiplied(sheet.rgba()), sheet.horizon, depth_m) for sheet, depth_m in layers
    )
    return _Backdrop(hangings, (tone[0], tone[1], tone[2]))


def _hung(hanging: _Hanging, focal: float, view: View, scale: float) -> Plane:
    height, width = hanging.texture.shape[:2]
    slack = max(0.0, width - view.size[0] / scale / view.slack) / 2
    window_h = view.size[1] / scale / view.slack
    top = hanging.horizon - view.horizon * window_h
    row = hanging.horizon + max(0.0, -top) - max(0.0, top + window_h - height)
    centre = (width / 2 + 0.35 * view.shift * slack, float(row))
    if hanging.depth_m == 0:
        world = reference_ground(focal, view.height_m, centre)
        return Plane(hanging.texture, world, view.far_m * 0.5)
    world = reference_card(focal, hanging.depth_m, centre)
    return Plane(hanging.texture, world, hanging.depth_m)
