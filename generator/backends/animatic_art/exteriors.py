"""Painters of places outside: sheets with their metres, far to near; 0 m is the ground."""

from __future__ import annotations

import numpy as np

from generator.backends.animatic_art.brushwork import (
    Palette,
    Rgb,
    Sheet,
    blend,
    perspective_noise,
    ridge_line,
)
from generator.backends.animatic_art.noise import clouds

__all__ = ["city", "desert", "field", "forest", "mountain", "road", "sea", "space"]

Layers = list[tuple[Sheet, float]]
Size = tuple[int, int]
Random = np.random.Generator


def sea(rng: Random, light: Palette, size: Size) -> Layers:
    """Open water, a headland, rocks near the camera."""
    water = _sheet(size)
    deep = blend(light.zenith, light.ground, 0.35)
    tone = water.gradient([(0.5, blend(light.horizon, deep, 0.25)), (0.62, deep), (1, light.dark)])
    water.paint(water.under(np.full(water.width, water.horizon, np.float32)), tone)
    glint = np.clip((perspective_noise(rng, water, 5, 2.2) - 0.6) * 5, 0, 1)
    across = np.arange(water.width, dtype=np.float32)[None, :] / water.width
    sun_x = light.sun[0] if light.sun else 0.4
    path = 0.25 + np.exp(-(((across - sun_x) / 0.10) ** 2))
    water.paint(np.clip(glint * path * 0.75, 0, 1) * water.cover, light.glow)
    head = _ridge(rng, size, blend(light.ground, light.zenith, 0.25), 0.16, 0.5, 2.0, slope=0.9)
    rocks = _ridge(rng, size, light.dark, -0.16, 0.55, 3.0, slope=0.8)
    return [(_sky(rng, light, size), 900), (water, 0), (head, 90), (rocks, 3.2)]


def forest(rng: Random, light: Palette, size: Size) -> Layers:
    """Trunks in three depths under a lit haze."""
    haze = blend(light.horizon, (150, 168, 130), 0.0 if light.night else 0.35)
    layers: Layers = [(_sky(rng, light, size, haze), 500)]
    back = _ridge(rng, size, blend(light.ground, haze, 0.55), 0.20, 0.75, 14.0)
    layers.append((back, 60))
    leaf = blend(light.ground, (58, 88, 54), 0.0 if light.night else 0.5)
    layers.append((_floor(rng, light, size, blend(leaf, light.ground, 0.4), 3.0), 0))
    for metres, count, share in ((26.0, 26, 0.45), (12.0, 12, 0.15)):
        layers.append((_trees(rng, size, blend(leaf, haze, share), count, metres), metres))
    layers.append((_frame_leaves(rng, size, light.dark), 2.8))
    return layers


def city(rng: Random, light: Palette, size: Size) -> Layers:
    """Blocks in two depths with lit windows, a wet street, a lamp post."""
    layers: Layers = [(_sky(rng, light, size), 800)]
    far = blend(light.ground, light.horizon, 0.55)
    layers.append((_blocks(rng, light, size, far, (0.16, 0.34), 26), 120))
    layers.append((_floor(rng, light, size, blend(light.ground, (70, 72, 80), 0.5), 1.4), 0))
    near = blend(light.ground, light.dark, 0.35)
    sides = _blocks(rng, light, size, near, (0.34, 0.62), 9, gap=(0.34, 0.66))
    layers.append((sides, 16))
    post = _sheet(size)
    for x in (0.24, 0.78):
        column = x * size[0]
        post.box(column - 3, post.horizon - size[1] * 0.26, column + 3, post.height, light.dark)
        if light.night or light.zenith[2] < 100:
            post.polygon(_circle(column, post.horizon - size[1] * 0.27, 9), light.lamp)
    layers.append((post, 7))
    return layers


def mountain(rng: Random, light: Palette, size: Size) -> Layers:
    """Three ranges, each nearer one darker and clearer."""
    rock = blend(light.ground, (104, 112, 128), 0.5)
    layers: Layers = [(_sky(rng, light, size), 2000)]
    for metres, high, share, peaks in (
        (900, 0.34, 0.62, 3),
        (350, 0.2, 0.38, 5),
        (90, 0.08, 0.1, 8),
    ):
        ridge = _ridge(rng, size, blend(rock, light.horizon, share), high, 0.58, peaks)
        if metres == 900:
            _snow_caps(ridge, light)
        layers.append((ridge, metres))
    layers.append((_floor(rng, light, size, light.ground, 2.2), 0))
    layers.append((_ridge(rng, size, light.dark, -0.19, 0.55, 4.0, slope=0.6), 3.4))
    return layers


def desert(rng: Random, light: Palette, size: Size) -> Layers:
    """Dunes under a wide sky."""
    sand = blend((206, 160, 108), light.ground, 0.75 if light.night else 0.25)
    layers: Layers = [(_sky(rng, light, size), 1500)]
    for metres, high, share in ((400, 0.10, 0.5), (120, 0.05, 0.25)):
        colour = blend(sand, light.horizon, share)
        layers.append((_ridge(rng, size, colour, high, 0.32, 2.4), metres))
    layers.append((_floor(rng, light, size, sand, 1.2), 0))
    layers.append((_ridge(rng, size, blend(sand, light.dark, 0.6), -0.2, 0.35, 2, slope=0.5), 3.4))
    return layers


def road(rng: Random, light: Palette, size: Size) -> Layers:
    """A road to the horizon between low hills."""
    layers = field(rng, light, size)[:-1]
    ground = layers[-1][0]
    middle, base = size[0] / 2, ground.height
    far = (middle, float(ground.horizon + 2))
    asphalt = blend(light.dark, (96, 98, 102), 0.25 if light.night else 0.6)
    spread = (base - ground.horizon) * 1.5
    ground.polygon([far, (middle + spread, base), (middle - spread, base)], asphalt, 1.5)
    for dash in range(1, 14):
        z0, z1 = dash * 1.5, dash * 1.5 + 0.7
        y0, y1 = ((base - ground.horizon) * 1.1 / z for z in (z0, z1))
        marks = [
            (middle - y0 * 0.03, ground.horizon + y0),
            (middle + y0 * 0.03, ground.horizon + y0),
        ]
        marks += [
            (middle + y1 * 0.03, ground.horizon + y1),
            (middle - y1 * 0.03, ground.horizon + y1),
        ]
        ground.polygon(marks, blend(light.glow, asphalt, 0.35))
    posts = _sheet(size)
    for x in (0.2, 0.8):
        posts.box(x * size[0] - 4, posts.horizon - size[1] * 0.03, x * size[0] + 4,
                  posts.height, light.dark)  # fmt: skip
    return [*layers, (posts, 6)]


def space(rng: Random, light: Palette, size: Size) -> Layers:
    """Stars, a planet's edge, rock underfoot."""
    night = Palette((4, 6, 16), (16, 20, 40), (190, 210, 255), (58, 58, 66), (14, 14, 20),
                    night=True, sun=None)  # fmt: skip
    sky = _sky(rng, night, size)
    x, y, radius = size[0] * 0.66, sky.horizon - size[1] * 0.16, size[1] * 0.13
    sky.polygon(_circle(x, y, radius), (96, 128, 168), 1.2)
    sky.polygon(_circle(x + radius * 0.34, y + radius * 0.16, radius * 0.98), (12, 16, 32), 14)
    hills = _ridge(rng, size, blend(night.ground, night.dark, 0.4), 0.06, 0.5, 4)
    return [(sky, 2000), (hills, 200), (_floor(rng, night, size, night.ground, 2.0), 0)]


def field(rng: Random, light: Palette, size: Size) -> Layers:
    """Open land: hills, a line of trees, grass."""
    grass = blend(light.ground, (96, 112, 62), 0.1 if light.night else 0.5)
    layers: Layers = [(_sky(rng, light, size), 1500)]
    layers.append((_ridge(rng, size, blend(grass, light.horizon, 0.6), 0.10, 0.45, 3), 500))
    layers.append((_ridge(rng, size, blend(grass, light.horizon, 0.3), 0.05, 0.74, 9), 110))
    layers.append((_floor(rng, light, size, grass, 2.6), 0))
    layers.append((_grass(rng, size, light.dark), 2.8))
    return layers


def _sheet(size: Size) -> Sheet:
    return Sheet(size[0], size[1], size[1] // 2)


def _sky(rng: Random, light: Palette, size: Size, low: Rgb | None = None) -> Sheet:
    sheet = _sheet(size)
    low = low or light.horizon
    stops = [(0.08, light.zenith), (0.34, blend(light.zenith, low, 0.5)), (0.5, low), (1.0, low)]
    sheet.paint(sheet.whole(), sheet.gradient(stops))
    if light.sun is not None:
        x, y = light.sun[0] * size[0], sheet.horizon - light.sun[1] * size[1]
        sheet.glow(x, y, size[1] * 0.34, light.glow, 0.16 if light.night else 0.34)
        if light.night or light.sun[1] < 0.08:
            sheet.polygon(_circle(x, y, size[1] * 0.02), light.glow, size[1] * 0.002)
    rows = np.linspace(0, 1, size[1], dtype=np.float32)[:, None]
    cover = clouds(rng, (size[0], size[1]), (3, 11), 6)
    band = np.clip((cover - 0.52) * 2.6, 0, 1) * np.clip((0.52 - rows) * 5, 0, 1)
    lit = blend(light.glow, light.zenith, 0.35 if light.night else 0.12)
    sheet.paint(np.asarray(band * (0.22 if light.night else 0.5), np.float32), lit)
    shade = np.clip((np.roll(cover, -size[1] // 60, axis=0) - 0.56) * 2.4, 0, 1) * (rows < 0.5)
    sheet.paint(np.asarray(shade * 0.22, np.float32), blend(light.zenith, light.horizon, 0.3))
    if light.night:
        for _ in range(260):
            x, y = int(rng.integers(size[0])), int(rng.integers(sheet.horizon * 9 // 10))
            sheet.colour[y, x] += float(rng.uniform(40, 190))
    return sheet


def _ridge(
    rng: Random,
    size: Size,
    colour: Rgb,
    high: float,
    rough: float,
    peaks: float,
    slope: float = 0.0,
) -> Sheet:
    """Land whose skyline rises `high` (parts of the sheet) over the horizon; `slope` keeps it to
    the sides, as a foreground does."""
    sheet = _sheet(size)
    line = ridge_line(rng, size[0], rough, peaks)
    across = np.linspace(-1, 1, size[0], dtype=np.float32)
    if slope:
        side = 1.0 if rng.random() < 0.5 else -1.0
        line = line * 0.35 + slope * (np.clip(across * side, -0.2, 1) ** 2) * 0.8 - 0.12
    span = abs(high)
    rows = sheet.horizon - (line * span + min(high, 0.0) + 0.004) * size[1]
    lit = sheet.gradient([(0.2, blend(colour, (255, 255, 255), 0.08)), (0.52, colour),
                          (0.8, blend(colour, (0, 0, 0), 0.3))])  # fmt: skip
    texture = 1 + 0.16 * (clouds(rng, size, (14, 18), 4) - 0.5)
    mask = sheet.under(np.asarray(rows, np.float32))
    if high > 0:
        # Land stands on the ground, it does not cover it.
        foot = np.full(size[0], sheet.horizon + size[1] * 0.006, np.float32)
        mask = mask * (1 - sheet.under(foot))
    sheet.paint(mask, lit * texture[..., None])
    return sheet


def _snow_caps(ridge: Sheet, light: Palette) -> None:
    rows = np.linspace(0, 1, ridge.height, dtype=np.float32)[:, None]
    texture = clouds(
        np.random.Generator(np.random.PCG64(3)), (ridge.width, ridge.height), (30, 12), 4
    )
    mask = np.clip((0.37 - rows) * 14 + (texture - 0.5) * 3, 0, 1) * ridge.cover
    ridge.colour += (np.array(blend(light.horizon, (255, 255, 255), 0.5)) - ridge.colour) * (
        mask * 0.8
    )[..., None]


def _floor(rng: Random, light: Palette, size: Size, colour: Rgb, stretch: float) -> Sheet:
    sheet = _sheet(size)
    stops = [
        (0.5, blend(colour, light.horizon, 0.45)),
        (0.6, colour),
        (1.0, blend(colour, light.dark, 0.75)),
    ]
    noise = perspective_noise(rng, sheet, stretch, 3.0)
    tone = sheet.gradient(stops) * (0.78 + 0.44 * noise)[..., None]
    sheet.paint(sheet.under(np.full(sheet.width, sheet.horizon, np.float32)), tone)
    return sheet


def _trees(rng: Random, size: Size, colour: Rgb, count: int, metres: float) -> Sheet:
    sheet = _sheet(size)
    base = sheet.horizon + size[1] * 0.62 * 1.5 / metres
    for index in range(count):
        x = (index + rng.uniform(0.1, 0.9)) / count * size[0]
        wide = size[1] * rng.uniform(0.12, 0.26) / metres**0.85
        lean = rng.uniform(-1, 1) * wide
        bark = blend(colour, (0, 0, 0), float(rng.uniform(0.1, 0.35)))
        trunk = [(x - wide, base), (x - wide * 0.6 + lean, 0), (x + wide * 0.6 + lean, 0)]
        sheet.polygon([*trunk, (x + wide, base)], bark)
    leaves = clouds(rng, size, (10, 10), 5)
    rows = np.linspace(0, 1, size[1], dtype=np.float32)[:, None]
    crown = np.clip((leaves - 0.35 - np.clip(rows - 0.12, 0, 1) * 1.5) * 7, 0, 1)
    sheet.paint(np.asarray(crown, np.float32), blend(colour, (0, 0, 0), 0.12))
    return sheet


def _frame_leaves(rng: Random, size: Size, dark: Rgb) -> Sheet:
    """Foliage at the upper corners, to look past."""
    sheet = _sheet(size)
    noise = clouds(rng, size, (9, 9), 5)
    across = np.abs(np.linspace(-1, 1, size[0], dtype=np.float32))[None, :]
    rows = np.linspace(0, 1, size[1], dtype=np.float32)[:, None]
    mask = np.clip((noise + across**2 * 0.8 - 0.75 - rows * 0.9) * 6, 0, 1)
    sheet.paint(np.asarray(mask, np.float32), dark)
    return sheet


def _grass(rng: Random, size: Size, dark: Rgb) -> Sheet:
    sheet = _sheet(size)
    foot = sheet.horizon + size[1] * 0.30
    for _ in range(150):
        x, tall = rng.uniform(0, size[0]), size[1] * rng.uniform(0.04, 0.12)
        x = x if abs(x / size[0] - 0.5) > 0.16 else x * 0.5
        bend = rng.uniform(-0.5, 0.5) * tall
        blade = [(x - 3, foot + tall), (x + bend, foot - tall * 0.4), (x + 4, foot + tall)]
        sheet.polygon(blade, dark)
    line = ridge_line(rng, size[0], 0.5, 3) * size[1] * 0.02
    sheet.paint(sheet.under(np.asarray(foot + size[1] * 0.05 - line, np.float32)), dark)
    return sheet


def _blocks(
    rng: Random,
    light: Palette,
    size: Size,
    colour: Rgb,
    high: tuple[float, float],
    count: int,
    gap: tuple[float, float] = (0.5, 0.5),
) -> Sheet:
    sheet = _sheet(size)
    x = 0.0
    lit = 0.4 if light.night else 0.22 if light.zenith[2] < 100 else 0.06
    while x < size[0]:
        wide = size[0] / count * rng.uniform(0.7, 1.4)
        top = sheet.horizon - size[1] * rng.uniform(*high)
        if gap[0] < (x + wide / 2) / size[0] < gap[1]:
            x += wide
            continue
        tone = blend(colour, (0, 0, 0), float(rng.uniform(0, 0.28)))
        sheet.box(x, top, x + wide - 1, sheet.horizon + size[1] * 0.06, tone)
        cell = wide / max(3, int(wide / (size[1] * 0.018)))
        for row in np.arange(top + cell, sheet.horizon - cell, cell * 1.5):
            for column in np.arange(x + cell * 0.6, x + wide - cell, cell * 1.2):
                glow = light.lamp if rng.random() < lit else blend(tone, light.horizon, 0.18)
                sheet.box(column, row, column + cell * 0.6, row + cell * 0.8, glow)
        x += wide
    return sheet


def _circle(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    return [(x + radius * float(np.cos(a)), y + radius * float(np.sin(a))) for a in angles]
