"""Water, weather, fire and animals. Textures: `(samples, rng, pace) -> (2, samples)`."""

from __future__ import annotations

import numpy as np

from generator.sound.cues.grains import (
    Mono,
    Rng,
    burst,
    chirp,
    noise,
    place,
    scatter,
    wander,
)
from media.timebase import SAMPLE_RATE

__all__ = [
    "birds", "crickets", "drop", "fire", "gulls", "pour", "rain", "stream", "surf", "thunder",
    "wind",
]  # fmt: skip


def surf(n: int, rng: Rng, pace: float) -> Mono:
    """Waves every seven seconds or so: a low swell, the break, and foam running out."""
    swell = np.full((2, n), 0.12, np.float32)
    foam = np.full((2, n), 0.06, np.float32)
    count = max(round(n / SAMPLE_RATE / 6.5 * pace), 1)
    for wave in range(count):
        start = int((wave + rng.uniform(-0.25, 0.25)) * n / count)
        size, pan = float(rng.uniform(0.5, 1.0)), float(rng.uniform(-0.5, 0.5))
        place(swell, _hump(2.2, 2.4), start, pan, size)
        place(foam, _hump(0.7, 4.0), start + int(1.9 * SAMPLE_RATE), pan, size)
    body = noise(n, rng, (40, 160, 3.0), (120, 700, 1.0)) * swell
    spray = noise(n, rng, (500, 3500, 1.0), (2500, 9000, 0.5)) * foam
    return body + 0.7 * spray


def wind(n: int, rng: Rng, pace: float) -> Mono:
    """Gusts through three moving resonances, with a thin whistle at their height."""
    gust = wander(n, rng, 2.6 / pace, 0.15, 1.0) ** 1.5
    out = noise(n, rng, (50, 220, 1.0)) * (0.35 + 0.65 * gust)
    for low, high, amount in ((220, 340, 0.8), (420, 560, 0.55), (700, 850, 0.3)):
        sway = wander(n, rng, 1.4 / pace, 0.2, 1.0)
        out += amount * noise(n, rng, (low, high, 1.0)) * sway * gust
    whistle = noise(n, rng, (1020, 1060, 1.0)) * wander(n, rng, 3.0, 0.0, 1.0) ** 3
    return np.asarray(out + 0.12 * whistle * gust, np.float32)


def rain(n: int, rng: Rng, pace: float) -> Mono:
    """A wide hiss of far drops under separate near ones."""
    hiss = noise(n, rng, (900, 9000, 1.0), (200, 900, 0.25)) * wander(n, rng, 3, 0.8, 1.0)
    kit = [burst(0.02, 1500 + 500 * k, 3000 + 900 * k, 0.012, rng) for k in range(8)]
    near = scatter(n, rng, 0.012 / pace, lambda: kit[int(rng.integers(8))])
    big = scatter(n, rng, 0.25 / pace, lambda: drop(rng)[:4800])
    return np.asarray(0.6 * hiss + 0.9 * near + 0.25 * big, np.float32)


def thunder(rng: Rng) -> Mono:
    """A crack, then a roll that comes in lumps and dies away over seven seconds."""
    n = 7 * SAMPLE_RATE
    time_s = np.arange(n, dtype=np.float32) / SAMPLE_RATE
    roll = noise(n, rng, (25, 110, 1.0), (60, 400, 0.25), channels=1)[0]
    lumps = wander(n, rng, 0.45, 0.15, 1.0) * np.exp(-time_s / 2.2) * np.minimum(1, time_s / 0.05)
    sound = roll * lumps
    crack = burst(0.9, 150, 3500, 0.7, rng)
    sound[: len(crack)] += 1.3 * crack
    sound[-SAMPLE_RATE:] *= np.linspace(1, 0, SAMPLE_RATE, dtype=np.float32)
    return np.asarray(sound, np.float32)


def stream(n: int, rng: Rng, pace: float) -> Mono:
    """Running water: many small bubbles over a soft rush."""
    kit = [_bubble(float(rng.uniform(350, 2600)), rng) for _ in range(48)]
    bubbles = scatter(n, rng, 0.011 / pace, lambda: kit[int(rng.integers(48))])
    rush = noise(n, rng, (250, 1800, 1.0)) * wander(n, rng, 0.6, 0.7, 1.0)
    return bubbles + 0.35 * rush


def pour(n: int, rng: Rng, pace: float) -> Mono:
    """Liquid into a vessel: bubbles whose pitch climbs as it fills."""
    stage = 0.25 * noise(n, rng, (700, 4000, 1.0))
    for _ in range(int(n / SAMPLE_RATE * 110 * pace)):
        at = float(rng.random())
        bubble = _bubble(500 + 900 * at + float(rng.uniform(-150, 250)), rng)
        place(stage, bubble, int(at * n), float(rng.uniform(-0.2, 0.2)), 0.5)
    return stage


def drop(rng: Rng) -> Mono:
    """One drop into water: a tick and a bubble that rises in pitch."""
    bubble = _bubble(float(rng.uniform(700, 1300)), rng, fall_s=0.16)
    bubble = np.concatenate([np.zeros(600, np.float32), bubble])
    tick = burst(0.008, 3000, 8000, 0.006, rng)
    bubble[: len(tick)] += 0.3 * tick
    return bubble


def birds(n: int, rng: Rng, pace: float) -> Mono:
    """Three songbirds, each with a phrase of its own."""
    stage = np.zeros((2, n), np.float32)
    for base, pan in ((2900, -0.7), (3900, 0.5), (5000, 0.1)):
        steps = rng.uniform(0.8, 1.25, (5, 3)) * base
        lengths = rng.uniform(0.05, 0.16, 5)
        for song in range(max(int(n / SAMPLE_RATE / 3.2 * pace), 1)):
            start = int((song + rng.uniform(0, 0.7)) * 3.2 / pace * SAMPLE_RATE)
            level = float(rng.uniform(0.3, 1.0))
            for note in rng.integers(0, 5, int(rng.integers(3, 8))):
                grain = chirp(steps[note].tolist(), float(lengths[note]), (1.0, 0.12))
                place(stage, grain, start, pan, level)
                start += int((lengths[note] + 0.05) * SAMPLE_RATE)
    return stage + 0.015 * noise(n, rng, (300, 5000, 1.0))


def gulls(n: int, rng: Rng, pace: float) -> Mono:
    """Herring gulls: runs of falling, rough cries that slow down."""
    stage = np.zeros((2, n), np.float32)
    for _ in range(max(round(n / SAMPLE_RATE / 4.0 * pace), 1)):
        start, pan = int(rng.integers(n)), float(rng.uniform(-0.9, 0.9))
        level, base = float(rng.uniform(0.3, 1.0)), float(rng.uniform(780, 1050))
        for cry in range(int(rng.integers(2, 6))):
            length = float(rng.uniform(0.28, 0.42)) * (1 + 0.08 * cry)
            glide = [base * r for r in (0.8, 1.35, 1.45, 1.15, 0.85)]
            grain = chirp(glide, length, (0.7, 1.0, 0.6, 0.35, 0.2))
            rough = 1 + 0.35 * np.sin(2 * np.pi * 70 * np.arange(len(grain)) / SAMPLE_RATE)
            place(stage, np.asarray(grain * rough, np.float32), start, pan, level * 0.9**cry)
            start += int((length + 0.09) * SAMPLE_RATE)
    return stage


def crickets(n: int, rng: Rng, pace: float) -> Mono:
    """Field crickets: trios of pulses, each insect with its own pitch, place and rate."""
    stage = np.zeros((2, n), np.float32)
    for tone, pan, level in ((4300, -0.6, 1.0), (4650, 0.7, 0.7), (4050, 0.1, 0.4)):
        pulse = chirp([tone, tone * 1.01], 0.022)
        song = np.zeros(int(0.11 * SAMPLE_RATE), np.float32)
        for beat in range(3):
            at = int(0.034 * beat * SAMPLE_RATE)
            song[at : at + len(pulse)] += pulse
        songs = max(int(n / SAMPLE_RATE * pace * float(rng.uniform(1.9, 2.7))), 1)
        for at in range(songs):
            jitter = int(rng.normal(0, 300))
            place(stage, song, int(at * n / songs) + jitter, pan, level * rng.uniform(0.8, 1))
    return stage + 0.02 * noise(n, rng, (3500, 6000, 1.0), (100, 400, 0.5))


def fire(n: int, rng: Rng, pace: float) -> Mono:
    """Snaps of every size over a breathing roar."""
    kit = [
        burst(0.03, float(rng.uniform(500, 2500)), float(rng.uniform(3000, 9000)),
              float(rng.uniform(0.004, 0.03)), rng)
        for _ in range(24)
    ]  # fmt: skip

    def snap() -> Mono:
        # Few loud ones among many small, as embers go.
        return kit[int(rng.integers(24))] * np.float32(min(0.12 * rng.pareto(1.4) + 0.04, 1.4))

    roar = noise(n, rng, (50, 260, 1.0), (400, 2500, 0.08)) * wander(n, rng, 0.35, 0.5, 1.0)
    return 1.6 * scatter(n, rng, 0.03 / pace, snap, 0.6) + 0.13 * roar


def _hump(rise_s: float, fall_s: float) -> Mono:
    rise = np.sin(np.linspace(0, np.pi / 2, int(rise_s * SAMPLE_RATE))) ** 2
    fall = np.cos(np.linspace(0, np.pi / 2, int(fall_s * SAMPLE_RATE))) ** 2
    return np.concatenate([rise, fall]).astype(np.float32)


def _bubble(frequency: float, rng: Rng, fall_s: float = 0.0) -> Mono:
    """A ringing bubble rising in pitch (after van den Doel, Physically-based Models for Liquid
    Sounds, 2005: small bubbles ring higher and die sooner)."""
    fall_s = fall_s or 60 / frequency
    time_s = np.arange(int(1.1 * fall_s * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    glide = 1 + float(rng.uniform(0.05, 0.5)) * time_s / fall_s
    tone = np.sin(2 * np.pi * frequency * time_s * glide)
    fade = np.exp(-6.91 * time_s / fall_s) * np.minimum(1, time_s / 0.001)
    return np.asarray(tone * fade, np.float32)
