"""The dusk that every place of the film stands in: sky, cloud, sea, grain and beam."""

from __future__ import annotations

import cv2
import numpy as np

from .ink import Area, Canvas, Colour, Field, Paint, mix, rgb
from .palette import AMBER, GLOW, HAZE, NAVY, NIGHT, PALE, PEACH, ROSE, SLATE, TEAL

WIDTH, HEIGHT = 1920, 1080


def plate() -> Canvas:
    """An empty plate, one design unit to the pixel."""
    return Canvas(WIDTH, HEIGHT)


def cloudiness(seed: int, stretch: float, octaves: int = 6) -> Field:
    """Fractal noise `(HEIGHT, WIDTH) float32 [0, 1]`, drawn out sideways by `stretch`."""
    random = np.random.default_rng(seed)
    total = np.zeros((HEIGHT, WIDTH), np.float32)
    for octave in range(octaves):
        rows = 3 * 2**octave
        columns = max(2, round(rows * WIDTH / HEIGHT / stretch))
        cells = random.random((rows, columns), dtype=np.float32)
        total += cv2.resize(cells, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) * 0.5**octave
    low, high = np.percentile(total, (1, 99))
    return np.asarray(np.clip((total - low) / (high - low), 0, 1), np.float32)


def sky(canvas: Canvas, horizon: float, sun_x: float, seed: int) -> None:
    """Blue hour: deep blue above, the last peach light low at `sun_x`, banks of cloud."""
    canvas.lay(canvas.whole, canvas.ramp((0, 0), (0, horizon), rgb("101d33"), rgb("1d3853"),
               rgb("3a6279"), rgb("7c97a0"), rgb("d3ab8d"), PEACH))  # fmt: skip
    ember = canvas.oval(sun_x, horizon, 760, 190).blurred(110)
    canvas.glow(ember, mix(PEACH, AMBER, 0.4), 0.62)
    canvas.glow(canvas.oval(sun_x, horizon - 6, 300, 46).blurred(40), GLOW, 0.7)
    rows = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None] * HEIGHT / horizon
    noise = cloudiness(seed, 5.0)
    for level, tone, lit, strength in ((0.50, SLATE, ROSE, 0.75), (0.62, NAVY, SLATE, 0.7)):
        bank = np.clip((noise - level) / 0.10, 0, 1) * np.clip(1.12 - rows, 0, 1)
        under = np.clip((np.roll(noise, -14, 0) - level) / 0.10, 0, 1) * np.clip(1.1 - rows, 0, 1)
        edge = np.clip(bank - under, 0, 1) * np.clip(rows * 1.5 - 0.3, 0, 1)
        canvas.lay(
            Area(bank.astype(np.float32), 0, 0),
            canvas.ramp((0, 0), (0, horizon), tone, mix(tone, lit, 0.55)),
            strength,
        )
        canvas.glow(Area(edge.astype(np.float32), 0, 0).blurred(2), PEACH, 0.55)
    _stars(canvas, horizon, seed)


def _stars(canvas: Canvas, horizon: float, seed: int) -> None:
    random = np.random.default_rng(seed + 1)
    for _ in range(46):
        x, y = random.random() * WIDTH, random.random() ** 1.7 * horizon * 0.5
        size = 0.9 + random.random() * 1.2
        canvas.lay(canvas.oval(x, y, size, size), PALE, 0.25 + 0.5 * random.random())


def sea(canvas: Canvas, horizon: float, sun_x: float, seed: int) -> None:
    """Water from the horizon down: swell in perspective, the afterglow laid along it."""
    top = round(horizon)
    water = Area(np.ones((HEIGHT - top, WIDTH), np.float32), 0, top)
    canvas.lay(water, canvas.ramp((0, horizon), (0, HEIGHT), rgb("86979a"), TEAL, SLATE, NAVY,
                                  NIGHT))  # fmt: skip
    random = np.random.default_rng(seed)
    for _ in range(420):
        near = random.random() ** 1.6
        y = horizon + 4 + near * (HEIGHT - horizon)
        length, thick = 30 + 330 * near * random.random(), 1.2 + 11 * near * random.random()
        x = random.random() * (WIDTH + 400) - 200
        wave = [(x - length, y + thick * 0.3), (x - length / 3, y - thick), (x + length / 3, y),
                (x + length, y + thick * 0.2)]  # fmt: skip
        path = np.exp(-(((x - sun_x) / (150 + 300 * near)) ** 2))
        tone = mix(mix(HAZE, NAVY, 0.25 + 0.6 * random.random()), PEACH, 0.85 * path)
        canvas.tint(canvas.stroke(wave, thick), tone, 0.22 + 0.4 * path)
    shine = canvas.area([(sun_x - 60, horizon), (sun_x + 60, horizon), (sun_x + 220, HEIGHT),
                         (sun_x - 220, HEIGHT)], smooth=False).blurred(50)  # fmt: skip
    canvas.glow(shine.within(water), PEACH, 0.26)
    line = canvas.stroke([(0, horizon), (WIDTH, horizon)], 12, (1, 1)).blurred(5)
    canvas.glow(line, PALE, 0.3)


def headland(canvas: Canvas, ridge: list[tuple[float, float]], horizon: float,
             tone: Colour) -> Area:  # fmt: skip
    """A far ridge that thins into the haze at the water."""
    shore = [(ridge[-1][0], horizon + 3), (ridge[0][0], horizon + 3)]
    low = min(y for _, y in ridge)
    return canvas.lay(canvas.area([*ridge, *shore], smooth=False),
                      canvas.ramp((0, low), (0, horizon), tone, mix(tone, HAZE, 0.45)))  # fmt: skip


def halo(canvas: Canvas, x: float, y: float, radius: float, paint: Paint = AMBER) -> None:
    """Light in damp air around a lamp."""
    for reach, strength in ((1.0, 0.35), (0.5, 0.45), (0.22, 0.7)):
        canvas.glow(canvas.oval(x, y, radius * reach, radius * reach).blurred(radius * reach * 0.4),
                    paint, strength)  # fmt: skip
    canvas.glow(canvas.oval(x, y, radius * 0.09, radius * 0.09).blurred(radius * 0.03), GLOW, 0.95)


def brushed(canvas: Canvas, seed: int, depth: float = 0.05, tooth: bool = True) -> None:
    """Dry-brush unevenness, and paper tooth where asked, over everything painted so far."""
    stroke = cloudiness(seed, 9.0, 7) - 0.5
    change = stroke * depth
    if tooth:
        grain = np.random.default_rng(seed).normal(0, 0.010, (HEIGHT, WIDTH)).astype(np.float32)
        change = change + cv2.GaussianBlur(grain, (0, 0), 0.7)
    canvas.paint[..., :3] *= (1 + change * 1.4)[..., None]
    np.clip(canvas.paint, 0, 1, out=canvas.paint)
