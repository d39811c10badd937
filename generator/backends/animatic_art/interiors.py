"""Painters of places inside: sheets with their metres, far to near; 0 m is the floor."""

from __future__ import annotations

import numpy as np

from generator.backends.animatic_art.brushwork import Palette, Rgb, Sheet, blend, perspective_noise
from generator.backends.animatic_art.noise import clouds

__all__ = ["corridor", "room", "stage", "studio"]

Layers = list[tuple[Sheet, float]]
Size = tuple[int, int]
Random = np.random.Generator

_WALL_M = 8.0
_WALLS: tuple[Rgb, ...] = ((148, 136, 120), (118, 130, 128), (138, 122, 128), (124, 128, 110))


def room(rng: Random, light: Palette, size: Size) -> Layers:
    """A room with a window and a lamp, a table and a shelf."""
    wall_tone = _WALLS[int(rng.integers(len(_WALLS)))]
    wall_tone = blend(wall_tone, light.dark, 0.72 if light.night else 0.42)
    wall = _sheet(size)
    wall.paint(wall.whole(), wall.gradient([
        (0.1, blend(wall_tone, (0, 0, 0), 0.45)), (0.45, wall_tone),
        (0.7, blend(wall_tone, (0, 0, 0), 0.3)),
    ]))  # fmt: skip
    wall.colour *= (0.92 + 0.16 * clouds(rng, size, (6, 6), 5))[..., None]
    side = 0.30 if rng.random() < 0.5 else 0.64
    _window(wall, light, size, side)
    lamp_x = (0.78 if side < 0.5 else 0.22) * size[0]
    lamp_y = wall.horizon - size[1] * 0.11
    wall.glow(lamp_x, lamp_y, size[1] * 0.22, light.lamp, 0.42 if light.night else 0.24)
    joint = wall.horizon + 0.115 * size[1]
    wall.box(0, joint - size[1] * 0.014, size[0], joint, blend(wall_tone, (0, 0, 0), 0.5))
    floor = _boards(rng, light, size, blend((112, 80, 58), light.dark, 0.45))
    pool = 0.3 if not light.night else 0.12
    floor.glow(
        (side + 0.06) * size[0], wall.horizon + size[1] * 0.30, size[1] * 0.2, light.glow, pool
    )
    things = _furniture(rng, size, blend(wall_tone, light.dark, 0.75), light, lamp_x)
    return [(wall, _WALL_M), (floor, 0), (things, 6.6), (_door_frame(size, light), 2.4)]


def corridor(rng: Random, light: Palette, size: Size) -> Layers:
    """A long passage with lights along the ceiling."""
    tone = blend((108, 122, 126), light.dark, 0.55 if light.night else 0.3)
    back = _sheet(size)
    back.paint(back.whole(), tone)
    x, y = size[0] / 2, float(back.horizon)
    far = size[1] * 0.07
    for sign in (-1.0, 1.0):
        shade = blend(tone, (0, 0, 0), 0.30 if sign < 0 else 0.46)
        edge = x + sign * size[0]
        back.polygon([(x + sign * far, y - far), (edge, y - size[0]), (edge, y + size[0]),
                      (x + sign * far, y + far)], shade)  # fmt: skip
        for step in (1.4, 2.1, 3.4, 6.0):
            left = x + sign * far * step
            wide = sign * far * step * 0.18
            door = [
                (left, y - far * step * 0.62),
                (left + wide, y - far * (step + step * 0.18) * 0.62),
            ]
            door += [(left + wide, y + far * step * 1.18), (left, y + far * step)]
            back.polygon(door, blend(shade, (0, 0, 0), 0.4))
    ceiling = [
        (x - far, y - far),
        (x + far, y - far),
        (x + size[0], y - size[0]),
        (x - size[0], y - size[0]),
    ]
    back.polygon(ceiling, blend(tone, (0, 0, 0), 0.5))
    for step in (1.25, 1.8, 2.8, 4.8):
        a, b = far * step, far * step * 1.22
        lamp = [
            (x - a * 0.2, y - a),
            (x + a * 0.2, y - a),
            (x + b * 0.2, y - b),
            (x - b * 0.2, y - b),
        ]
        back.polygon(lamp, blend(light.lamp, (255, 255, 255), 0.45))
        back.glow(x, y - a, a * 0.9, light.lamp, 0.16)
    back.glow(x, y, size[1] * 0.13, light.glow, 0.4)
    floor = _boards(rng, light, size, blend(tone, light.dark, 0.3), planks=False)
    return [(back, 14), (floor, 0), (_door_frame(size, light), 2.6)]


def stage(rng: Random, light: Palette, size: Size) -> Layers:
    """A dark stage, two beams of light, curtains at the sides."""
    back = _sheet(size)
    back.paint(
        back.whole(), back.gradient([(0, (12, 10, 16)), (0.55, (34, 26, 38)), (1, (8, 8, 12))])
    )
    for x, tone in ((0.36, (255, 214, 160)), (0.66, (150, 180, 255))):
        beam = Sheet(size[0], size[1], back.horizon)
        top = (x + (0.12 if x > 0.5 else -0.12)) * size[0]
        foot = back.horizon + size[1] * 0.22
        reach = size[1] * 0.12
        beam.polygon([(top, -10.0), (x * size[0] + reach, foot), (x * size[0] - reach, foot)],
                     (255, 255, 255), size[1] * 0.02)  # fmt: skip
        back.colour += np.asarray(beam.cover[..., None] * np.array(tone) * 0.20, np.float32)
    floor = _boards(rng, light, size, (66, 50, 44))
    for x in (0.36, 0.66):
        floor.glow(x * size[0], back.horizon + size[1] * 0.22, size[1] * 0.16, (255, 220, 180), 0.4)
    curtain = _sheet(size)
    folds = np.sin(np.linspace(0, 90, size[0], dtype=np.float32)) * 0.35 + 0.65
    across = np.abs(np.linspace(-1, 1, size[0], dtype=np.float32))
    mask = np.repeat(np.clip((across - 0.56) * 60, 0, 1)[None, :], size[1], axis=0)
    curtain.paint(
        np.asarray(mask, np.float32),
        np.asarray(np.array((78, 15, 21)) * folds[None, :, None], np.float32),
    )
    return [(back, 12), (floor, 0), (curtain, 4.2)]


def studio(rng: Random, light: Palette, size: Size) -> Layers:
    """A swept background and a lit table top, for things."""
    tones: tuple[Rgb, ...] = ((206, 200, 192), (176, 190, 200), (204, 188, 180))
    tone = blend(tones[int(rng.integers(3))], light.dark, 0.55 if light.night else 0.08)
    back = _sheet(size)
    back.paint(back.whole(), back.gradient([
        (0.1, blend(tone, (0, 0, 0), 0.38)), (0.5, tone), (0.62, blend(tone, (0, 0, 0), 0.06)),
    ]))  # fmt: skip
    back.glow(size[0] * 0.5, back.horizon - size[1] * 0.04, size[1] * 0.3, (255, 250, 240), 0.22)
    table = _sheet(size)
    shade = table.gradient([(0.5, tone), (0.66, blend(tone, (255, 255, 255), 0.14)),
                            (1, blend(tone, (0, 0, 0), 0.3))])  # fmt: skip
    rows = np.arange(size[1], dtype=np.float32)[:, None]
    soft = np.clip((rows - back.horizon) / (size[1] * 0.06), 0, 1)
    table.paint(np.asarray(np.repeat(soft, size[0], axis=1), np.float32), shade)
    return [(back, 9), (table, 0)]


def _sheet(size: Size) -> Sheet:
    return Sheet(size[0], size[1], size[1] // 2)


def _window(wall: Sheet, light: Palette, size: Size, side: float) -> None:
    left, right = side * size[0], (side + 0.13) * size[0]
    top, bottom = wall.horizon - size[1] * 0.2, wall.horizon + size[1] * 0.02
    sky = blend(light.zenith, light.horizon, 0.6)
    wall.box(left - 6, top - 6, right + 6, bottom + 6, blend(light.dark, sky, 0.2))
    wall.box(left, top, right, bottom, sky)
    wall.box(left, (top + bottom * 2) / 3, right, bottom, light.horizon)
    bar = blend(light.dark, sky, 0.2)
    wall.box((left + right) / 2 - 3, top, (left + right) / 2 + 3, bottom, bar)
    wall.box(left, (top + bottom) / 2 - 3, right, (top + bottom) / 2 + 3, bar)
    middle = ((left + right) / 2, (top + bottom) / 2)
    wall.glow(*middle, size[1] * 0.24, light.glow, 0.10 if light.night else 0.34)


def _boards(rng: Random, light: Palette, size: Size, colour: Rgb, planks: bool = True) -> Sheet:
    """A floor from where the back wall stands, in planks towards the vanishing point."""
    floor = _sheet(size)
    noise = perspective_noise(rng, floor, 1.0 if not planks else 0.5, 3.0)
    tone = floor.gradient([(0.5, blend(colour, light.glow, 0.16)), (0.66, colour),
                           (1, blend(colour, (0, 0, 0), 0.5))])  # fmt: skip
    joint = floor.horizon + 0.115 * size[1]
    floor.paint(floor.under(np.full(size[0], joint, np.float32)),
                tone * (0.84 + 0.32 * noise)[..., None])  # fmt: skip
    if planks:
        middle, base = size[0] / 2, float(size[1])
        for step in np.arange(-16, 16.1, 0.8):
            top = (middle + step * (joint - floor.horizon), joint)
            foot = middle + step * (base - floor.horizon)
            line = [top, (foot + 2.5, base), (foot - 2.5, base)]
            floor.polygon(line, blend(colour, (0, 0, 0), 0.42))
    return floor


def _furniture(rng: Random, size: Size, tone: Rgb, light: Palette, lamp_x: float) -> Sheet:
    sheet = _sheet(size)
    foot = sheet.horizon + size[1] * 0.15
    x, wide = lamp_x - size[0] * 0.09, size[0] * 0.18
    table = foot - size[1] * 0.10
    sheet.box(x, table, x + wide, table + size[1] * 0.014, tone)
    for leg in (x + 6, x + wide - 14):
        sheet.box(leg, table, leg + 8, foot, blend(tone, (0, 0, 0), 0.2))
    sheet.box(lamp_x - 3, table - size[1] * 0.055, lamp_x + 3, table, tone)
    shade = [(lamp_x - 15, table - size[1] * 0.085), (lamp_x + 15, table - size[1] * 0.085)]
    shade += [(lamp_x + 26, table - size[1] * 0.05), (lamp_x - 26, table - size[1] * 0.05)]
    sheet.polygon(shade, blend(light.lamp, (255, 255, 255), 0.2))
    left = size[0] * (0.46 if lamp_x > size[0] / 2 else 0.50)
    top = foot - size[1] * 0.27
    sheet.box(left, top, left + size[0] * 0.08, foot, tone)
    for shelf in range(4):
        row = top + size[1] * (0.014 + shelf * 0.062)
        sheet.box(left + 6, row, left + size[0] * 0.08 - 6, row + size[1] * 0.05,
                  blend(tone, (0, 0, 0), 0.4))  # fmt: skip
        book = left + 10
        while book < left + size[0] * 0.07:
            thick = rng.uniform(4, 10)
            spine = blend(_WALLS[int(rng.integers(4))], tone, 0.55)
            sheet.box(book, row + rng.uniform(4, 16), book + thick - 1, row + size[1] * 0.05, spine)
            book += thick
    return sheet


def _door_frame(size: Size, light: Palette) -> Sheet:
    """The dark edge of a doorway that the camera looks through."""
    sheet = _sheet(size)
    sheet.box(0, 0, size[0] * 0.155, size[1], blend(light.dark, (0, 0, 0), 0.45))
    return sheet
