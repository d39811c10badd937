"""Rooms, streets, people and machines. Textures: `(samples, rng, pace) -> (2, samples)`."""

from __future__ import annotations

import numpy as np

from generator.sound.cues.grains import Mono, Rng, burst, noise, place, ring, scatter, wander
from media.timebase import SAMPLE_RATE

__all__ = ["applause", "cloth", "crowd", "engine", "machine", "room_tone", "traffic", "train"]

# First three formants in Hz of five vowels (Peterson and Barney, 1952, men's means, rounded).
_VOWELS = ((730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410),
           (300, 870, 2240))  # fmt: skip


def room_tone(n: int, rng: Rng, pace: float) -> Mono:
    """An empty room: soft air and a trace of mains."""
    air = noise(n, rng, (35, 180, 1.0), (200, 1500, 0.08)) * wander(n, rng, 4 / pace, 0.9, 1.0)
    return np.asarray(air + 0.08 * _tone(n, 100) + 0.03 * _tone(n, 200), np.float32)


def traffic(n: int, rng: Rng, pace: float) -> Mono:
    """A city's low wash with cars that pass from side to side."""
    stage = noise(n, rng, (35, 140, 1.0), (150, 900, 0.15)) * wander(n, rng, 5, 0.7, 1.0)
    for _ in range(max(round(n / SAMPLE_RATE / 3.5 * pace), 1)):
        length = int(float(rng.uniform(3.0, 5.5)) * SAMPLE_RATE)
        at = np.linspace(-1, 1, length, dtype=np.float32)
        near = np.float32(rng.uniform(0.4, 1.2)) / (1 + (at * 4) ** 2) * (1 - at**2)
        tyres = noise(length, rng, (180, 1400, 1.0), (60, 130, 1.2), channels=1)[0] * near
        angle = (np.clip(at * 3 * rng.choice([-1, 1]), -1, 1) + 1) * np.float32(np.pi / 4)
        start = int(rng.integers(n))
        place(stage, tyres * np.cos(angle), start, -1)
        place(stage, tyres * np.sin(angle), start, 1)
    return stage


def crowd(n: int, rng: Rng, pace: float) -> Mono:
    """Walla: a dozen voices talking at once, no word of which can be made out."""
    kit = [_syllable(rng) for _ in range(64)]
    stage = 0.02 * noise(n, rng, (200, 1500, 1.0))
    for _ in range(12):
        pan, level = float(rng.uniform(-0.9, 0.9)), float(rng.uniform(0.3, 1.0))
        register = int(rng.integers(0, 4)) * 16
        at = float(rng.uniform(0, 1))
        while at < n / SAMPLE_RATE - 0.3:
            grain = kit[register + int(rng.integers(16))]
            place(stage, grain, int(at * SAMPLE_RATE), pan, level * float(rng.uniform(0.5, 1)))
            pause = float(rng.uniform(0.4, 1.6)) if rng.random() < 0.14 else 0.0
            at += float(rng.uniform(0.13, 0.26)) / pace + pause
    return stage


def train(n: int, rng: Rng, pace: float) -> Mono:
    """Inside a carriage: rolling rumble and the double knock of rail joints."""
    stage = noise(n, rng, (30, 150, 1.0), (250, 1200, 0.18)) * wander(n, rng, 0.8, 0.75, 1.0)
    stage *= np.float32(0.4)
    joints = max(int(n / SAMPLE_RATE / 0.85 * pace), 1)
    for joint in range(joints):
        for part, delay_s in enumerate((0.0, 0.17)):
            clack = ring([(82, 0.16, 1), (190, 0.1, 0.6), (640, 0.05, 0.25)], 0.2, rng)
            clack[:2000] += 0.3 * burst(2000 / SAMPLE_RATE, 300, 2500, 0.03, rng)
            start = int(joint * n / joints + delay_s / pace * SAMPLE_RATE)
            place(stage, clack, start, -0.2 + 0.4 * part, float(rng.uniform(0.7, 1.0)))
    return stage


def engine(n: int, rng: Rng, pace: float) -> Mono:
    """A four-cylinder engine running: firing pulses with their harmonics, and its breath."""
    firing_hz = 31 * pace
    cycles = max(round(firing_hz * n / SAMPLE_RATE), 1)
    drift = wander(n, rng, 1.5, -0.6, 0.6)
    phase = 2 * np.pi * (cycles * np.arange(n) / n + drift)
    sound = np.zeros(n, np.float32)
    for harmonic in range(1, 15):
        # Half-order parts make the lope of cylinders that are not quite equal.
        amount = 1 / harmonic**0.8
        sound += np.float32(amount) * np.sin(harmonic * phase + harmonic**2).astype(np.float32)
    sound *= 1 + 0.3 * np.sin(phase * 0.5 if cycles % 2 == 0 else phase).astype(np.float32)
    breath = noise(n, rng, (80, 900, 1.0)) * (0.6 + 0.4 * np.sin(phase).astype(np.float32))
    return np.asarray(0.5 * sound[np.newaxis] + 0.45 * breath, np.float32)


def machine(n: int, rng: Rng, pace: float) -> Mono:
    """A server room or plant: mains harmonics, fans, and a whine."""
    out = noise(n, rng, (120, 500, 1.0), (700, 3000, 0.15))
    for harmonic, amount in ((1, 0.5), (2, 0.9), (3, 0.3), (4, 0.45), (6, 0.2), (8, 0.1)):
        out += amount * _tone(n, 50 * harmonic, float(rng.uniform(0, 6)))
    return np.asarray(out + 0.06 * _tone(n, 1180 * pace), np.float32)


def applause(n: int, rng: Rng, pace: float) -> Mono:
    """A hall clapping: hundreds of hands, each pair with its own hollow."""
    kit = []
    for _ in range(40):
        low = float(rng.uniform(600, 1600))
        kit.append(burst(0.04, low, low * 1.8, float(rng.uniform(0.02, 0.045)), rng))
    near = scatter(n, rng, 0.012 / pace, lambda: kit[int(rng.integers(40))], 1.0)
    return near + 0.12 * noise(n, rng, (700, 3500, 1.0))


def cloth(n: int, rng: Rng, pace: float) -> Mono:
    """Clothes moving: soft brushes of fibre on fibre."""
    brush = wander(n, rng, 0.16 / pace, 0.0, 1.0) ** 3 * wander(n, rng, 0.03, 0.5, 1.0)
    return noise(n, rng, (700, 4200, 1.0)) * brush * wander(n, rng, 0.7 / pace, 0.1, 1.0)


def _tone(n: int, frequency: float, phase: float = 0.0) -> Mono:
    """A sine with a whole number of turns in `n` samples."""
    turns = max(round(frequency * n / SAMPLE_RATE), 1)
    return np.sin(2 * np.pi * turns * np.arange(n) / n + phase).astype(np.float32)


def _syllable(rng: Rng) -> Mono:
    """A voiced syllable: a falling buzz heard through the formants of two vowels."""
    n = int(float(rng.uniform(0.14, 0.3)) * SAMPLE_RATE)
    pitch_hz = float(rng.choice([105, 125, 190, 220])) * float(rng.uniform(0.85, 1.2))
    first, second = (np.array(_VOWELS[int(rng.integers(5))]) for _ in range(2))
    glide = np.linspace(1.05, 0.9, n)
    phase = 2 * np.pi * np.cumsum(pitch_hz * glide) / SAMPLE_RATE
    turn = np.linspace(0, 1, n)
    sound = np.zeros(n)
    for harmonic in range(1, int(3600 / pitch_hz)):
        hz = harmonic * pitch_hz
        weights = [
            sum(1 / (1 + ((hz - formant) / width) ** 2) for formant, width in zip(v, (80, 100, 140),
                                                                                  strict=True))
            for v in (first, second)
        ]  # fmt: skip
        sound += (
            (weights[0] * (1 - turn) + weights[1] * turn) / harmonic**0.5 * np.sin(harmonic * phase)
        )
    sound *= np.sin(np.linspace(0, np.pi, n)) ** 0.8
    return np.asarray(sound / max(float(np.abs(sound).max()), 1e-9), np.float32)
