"""Places painted from the slugline, when the storyboard gives no picture of them."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from generator.backends.animatic_art import exteriors, interiors
from generator.backends.animatic_art.brushwork import Palette, Sheet
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
    palette = next((tone for words, tone in _PALETTES if re.search(words, text)), _DAY)
    table = _INSIDE if inside else _OUTSIDE
    plain: Painter = interiors.room if inside else exteriors.field
    painter = next((paint for words, paint in table if re.search(words, text)), plain)
    if not inside and painter is plain and re.search(r"studio|product", text):
        painter = interiors.studio
    width = min(view.size[0], 1280)
    scale = view.size[0] / width
    sheet_size = (int(width * 1.5), int(view.size[1] / scale * 1.7))
    layers = painter(stream("place", text, seed), palette, sheet_size)
    # The same slugline and seed paint the same sheets at every frame size of one shape.
    focal = view.focal / scale
    planes = [_hung(sheet, depth_m, focal, view, scale) for sheet, depth_m in layers]
    first = planes[0]
    planes[0] = Plane(first.texture, first.world, first.depth_m, opaque=True)
    back = layers[0][0]
    middle = back.colour[back.horizon - back.height // 4 : back.horizon + back.height // 8]
    tone = np.clip(middle.reshape(-1, 3).mean(axis=0), 0, 255).tolist()
    return Place(tuple(planes), (tone[0], tone[1], tone[2]))


def _hung(sheet: Sheet, depth_m: float, focal: float, view: View, scale: float) -> Plane:
    texture = premultiplied(sheet.rgba())
    slack = max(0.0, sheet.width - view.size[0] / scale / view.slack) / 2
    window_h = view.size[1] / scale / view.slack
    top = sheet.horizon - view.horizon * window_h
    row = sheet.horizon + max(0.0, -top) - max(0.0, top + window_h - sheet.height)
    centre = (sheet.width / 2 + 0.35 * view.shift * slack, float(row))
    if depth_m == 0:
        world = reference_ground(focal, view.height_m, centre)
        return Plane(texture, world, view.far_m * 0.5)
    return Plane(texture, reference_card(focal, depth_m, centre), depth_m)
