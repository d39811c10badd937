"""Things that are struck, moved or rung. Events: `(rng) -> (samples,)`, peak about 1."""

from __future__ import annotations

import numpy as np

from generator.sound.cues.grains import Mono, Rng, burst, chirp, noise, ring, wander
from media.timebase import SAMPLE_RATE

__all__ = [
    "bell", "click", "creak", "door", "foghorn", "footstep", "footstep_gravel", "footstep_wood",
    "glass", "heartbeat", "horn", "impact", "key", "knock", "phone", "tick", "whoosh",
]  # fmt: skip


def footstep(rng: Rng) -> Mono:
    """A shoe on stone: heel, then sole."""
    heel = ring([(110, 0.09, 1.0), (310, 0.05, 0.5)], 0.14, rng)
    heel[:960] += 0.4 * burst(0.02, 700, 3500, 0.018, rng)
    return _sequence((0.0, heel), (0.09, 0.3 * burst(0.06, 500, 3000, 0.05, rng)))


def footstep_wood(rng: Rng) -> Mono:
    """A shoe on boards, which answer with their own hollow."""
    board = float(rng.uniform(0.92, 1.08))
    modes = [(85 * board, 0.2, 1.0), (172 * board, 0.14, 0.7), (340 * board, 0.08, 0.4)]
    heel = ring([*modes, (910, 0.03, 0.25)], 0.24, rng)
    toe = ring([(120 * board, 0.12, 1.0), (420 * board, 0.05, 0.5)], 0.15, rng)
    return _sequence((0.0, heel), (0.11, 0.35 * toe))


def footstep_gravel(rng: Rng) -> Mono:
    """Stones that grind under heel and sole."""
    step = np.zeros(int(0.38 * SAMPLE_RATE), np.float32)
    for centre, width, count in ((0.06, 0.03, 26), (0.2, 0.055, 40)):
        for at in rng.normal(centre, width, count):
            low = float(rng.uniform(900, 3200))
            stone = burst(0.012, low, low * 2.4, float(rng.uniform(0.006, 0.014)), rng)
            start = int(np.clip(at, 0, 0.35) * SAMPLE_RATE)
            step[start : start + len(stone)] += stone * np.float32(rng.uniform(0.1, 0.6))
    return step


def knock(rng: Rng) -> Mono:
    """Three raps on a wooden door."""
    raps = []
    for rap in range(3):
        body = ring([(165, 0.1, 1.0), (290, 0.08, 0.7), (610, 0.05, 0.4)], 0.18, rng)
        body[:480] += 0.25 * burst(0.01, 1000, 4000, 0.008, rng)
        raps.append((0.24 * rap + float(rng.uniform(0, 0.02)), body * (1.0 - 0.1 * (rap == 1))))
    return _sequence(*raps)


def door(rng: Rng) -> Mono:
    """A door pulled to: latch, swing, slam, and the latch again."""
    slam = ring([(62, 0.4, 1.0), (118, 0.28, 0.8), (230, 0.15, 0.4)], 0.5, rng)
    slam[:4800] += 0.5 * burst(0.1, 80, 1800, 0.09, rng)
    swing = 0.12 * creak(rng)[: int(0.5 * SAMPLE_RATE)]
    latch = 0.3 * click(rng)
    return _sequence((0.0, latch), (0.15, swing), (0.75, slam), (0.8, latch))


def creak(rng: Rng) -> Mono:
    """Wood on wood: stick and slip that quickens and slackens, through the plank's resonances."""
    n = int(1.3 * SAMPLE_RATE)
    rate_hz = 24 + 50 * wander(n, rng, 0.4, 0.0, 1.0) * np.sin(np.linspace(0.2, np.pi, n))
    phase = np.cumsum(rate_hz) / SAMPLE_RATE
    slips = np.flatnonzero(np.diff(np.floor(phase)) > 0)
    plank = float(rng.uniform(0.85, 1.15))
    modes = [(430 * plank, 0.05, 0.7), (780 * plank, 0.06, 1.0), (1270 * plank, 0.05, 0.8),
             (2100 * plank, 0.03, 0.4)]  # fmt: skip
    body = ring(modes, 0.07, rng)
    sound = np.zeros(n + len(body), np.float32)
    for slip in slips:
        sound[slip : slip + len(body)] += body * np.float32(rng.uniform(0.5, 1.0))
    sound[:n] *= np.sin(np.linspace(0, np.pi, n)).astype(np.float32) ** 0.6
    sound[n:] *= 0
    return sound / max(float(np.abs(sound).max()), 1e-9)


def glass(rng: Rng) -> Mono:
    """A pane breaks, and its shards ring as they land."""
    sound = np.zeros(int(1.8 * SAMPLE_RATE), np.float32)
    crash = burst(0.35, 2200, 11000, 0.3, rng)
    sound[: len(crash)] += crash
    for at in np.minimum(rng.exponential(0.3, 60), 1.35):
        tone = float(rng.uniform(2300, 8500))
        shard = ring([(tone, 0.16, 1.0), (tone * 1.53, 0.1, 0.6), (tone * 2.31, 0.07, 0.3)],
                     0.2, rng)  # fmt: skip
        start = int(at * SAMPLE_RATE)
        sound[start : start + len(shard)] += shard * np.float32(rng.uniform(0.05, 0.4))
    return sound


def impact(rng: Rng) -> Mono:
    """A heavy thing falls: a drop in pitch, the floor, and dust."""
    thud = chirp([105, 60, 44, 40], 0.5) * np.exp(-np.linspace(0, 5, int(0.5 * SAMPLE_RATE)))
    floor = ring([(74, 0.35, 1.0), (139, 0.2, 0.5)], 0.5, rng)
    debris = 0.45 * burst(0.3, 150, 2400, 0.16, rng)
    return _sequence((0.0, thud.astype(np.float32)), (0.0, floor), (0.0, debris))


def whoosh(rng: Rng) -> Mono:
    """Something passes fast: air whose colour rises and falls."""
    n = int(0.9 * SAMPLE_RATE)
    at = np.linspace(0, 1, n, dtype=np.float32)
    bell_curve = np.exp(-(((at - 0.5) / 0.19) ** 2))
    low = noise(n, rng, (180, 500, 1.0), channels=1)[0]
    middle = noise(n, rng, (500, 1300, 1.0), channels=1)[0]
    high = noise(n, rng, (1500, 5000, 1.0), channels=1)[0]
    sound = bell_curve * (low * (1 - bell_curve) + middle * bell_curve + high * bell_curve**3)
    edges = np.minimum(1, 20 * np.minimum(at, 1 - at))
    return np.asarray(sound * edges, np.float32) * np.float32(0.35)


def click(rng: Rng) -> Mono:
    """A switch: contact, and the spring after it."""
    contact = ring([(2600, 0.02, 1.0), (4100, 0.012, 0.6), (900, 0.03, 0.4)], 0.04, rng)
    spring = 0.5 * ring([(1900, 0.025, 1.0), (3300, 0.015, 0.6)], 0.04, rng)
    return _sequence((0.0, contact), (0.045, spring))


def key(rng: Rng) -> Mono:
    """One key of a keyboard, down and up."""
    tone = float(rng.uniform(0.85, 1.15))
    down = ring([(420 * tone, 0.025, 0.7), (2300 * tone, 0.012, 0.8), (3900, 0.01, 0.4)], 0.04, rng)
    up = ring([(3000 * tone, 0.012, 1.0), (5200, 0.008, 0.4)], 0.03, rng)
    level = np.float32(rng.uniform(0.6, 1.0))
    return _sequence((0.0, level * down), (0.07, 0.3 * level * up))


def tick(rng: Rng) -> Mono:
    """A clock: tick, and half a second later a lower tock."""
    first = ring([(2950, 0.02, 1.0), (4700, 0.012, 0.6), (1200, 0.03, 0.4)], 0.05, rng)
    second = ring([(2350, 0.024, 1.0), (3900, 0.012, 0.5), (980, 0.035, 0.4)], 0.05, rng)
    return _sequence((0.0, first), (0.5, 0.8 * second))


def bell(rng: Rng) -> Mono:
    """A church bell: hum, prime, tierce, quint, nominal and above, each dying in its time."""
    prime = float(rng.uniform(330, 360))
    ratios = ((0.5, 6.0, 0.6), (1.0, 5.0, 0.8), (1.2, 4.0, 0.75), (1.5, 2.6, 0.3),
              (2.0, 3.2, 1.0), (2.51, 1.4, 0.35), (3.01, 1.2, 0.4), (4.17, 0.8, 0.25),
              (5.43, 0.5, 0.15))  # fmt: skip
    modes = [(prime * ratio, fall_s, amount) for ratio, fall_s, amount in ratios]
    # Each mode is a pair a little apart: the slow beat of a real casting.
    modes += [(hz * 1.0016, fall_s, amount * 0.5) for hz, fall_s, amount in modes]
    return ring(modes, 5.0, rng)


def horn(rng: Rng) -> Mono:
    """A car's horn: two reeds a third apart."""
    n = int(0.7 * SAMPLE_RATE)
    partials = [1 / k**0.7 for k in range(1, 12)]
    sound = _held(410.0, n, partials) + _held(512.0, n, partials)
    return sound / float(np.abs(sound).max())


def foghorn(rng: Rng) -> Mono:
    """A deep diaphone blast that ends in a grunt."""
    n = int(3.2 * SAMPLE_RATE)
    glide = np.interp(np.arange(n) / n, [0, 0.06, 0.85, 0.93, 1], [104, 116, 116, 92, 84])
    phase = 2 * np.pi * np.cumsum(glide) / SAMPLE_RATE
    sound = sum(np.sin(k * phase) / k**0.9 for k in range(1, 14))
    breath = 0.12 * noise(n, rng, (100, 900, 1.0), channels=1)[0]
    edges = np.interp(np.arange(n) / n, [0, 0.05, 0.9, 1], [0, 1, 0.8, 0])
    shaped = np.asarray((sound + breath) * edges, np.float32)
    return shaped / float(np.abs(shaped).max())


def heartbeat(rng: Rng) -> Mono:
    """Lub and dub, felt more than heard."""
    time_s = np.arange(int(0.22 * SAMPLE_RATE)) / SAMPLE_RATE
    rise = np.minimum(1, time_s / 0.012)
    lub = np.sin(2 * np.pi * 52 * time_s) + 0.5 * np.sin(2 * np.pi * 96 * time_s + 1)
    dub = np.sin(2 * np.pi * 66 * time_s) + 0.4 * np.sin(2 * np.pi * 124 * time_s + 1)
    fade = rise * np.exp(-time_s / 0.045)
    return _sequence((0.0, (lub * fade).astype(np.float32)),
                     (0.3, (0.75 * dub * fade).astype(np.float32)))  # fmt: skip


def phone(rng: Rng) -> Mono:
    """Two seconds of a bell phone: a hammer between two gongs, twenty strokes a second."""
    sound = np.zeros(int(2.5 * SAMPLE_RATE), np.float32)
    gongs = [ring([(hz, 0.5, 1.0), (hz * 2.7, 0.3, 0.5), (hz * 4.9, 0.15, 0.2)], 0.45, rng)
             for hz in (1050, 1290)]  # fmt: skip
    for stroke in range(40):
        start = int(stroke * 0.05 * SAMPLE_RATE)
        sound[start : start + len(gongs[0])] += gongs[stroke % 2] * np.float32(0.4)
    return sound


def _held(frequency: float, n: int, partials: list[float]) -> Mono:
    phase = 2 * np.pi * frequency * np.arange(n) / SAMPLE_RATE
    sound = sum(amount * np.sin((k + 1) * phase) for k, amount in enumerate(partials))
    edges = np.minimum(1, np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.03 * SAMPLE_RATE))
    return np.asarray(sound * edges, np.float32)


def _sequence(*parts: tuple[float, Mono]) -> Mono:
    """Sounds laid on one line, each at its second."""
    starts = [int(at_s * SAMPLE_RATE) for at_s, _ in parts]
    length = max(start + len(part) for start, (_, part) in zip(starts, parts, strict=True))
    line = np.zeros(length, np.float32)
    for start, (_, part) in zip(starts, parts, strict=True):
        line[start : start + len(part)] += part
    return line
