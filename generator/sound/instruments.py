"""Notes of the instruments that a music bed is scored for.

Each plays `(midi pitch, seconds, rng) -> (samples,) float32`, with its release after the
seconds, peak at most about 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import NDArray

from generator.sound.cues.grains import Mono, Rng, burst
from media.timebase import SAMPLE_RATE

__all__ = ["INSTRUMENTS", "hat", "kick", "tom"]


def strings(pitch: int, seconds: float, rng: Rng) -> Mono:
    """A bowed section: two players a little apart, vibrato that arrives late."""
    one = _bowed(_hertz(pitch) * 1.0012, seconds, 5.3, rng)
    other = _bowed(_hertz(pitch) * 0.9988, seconds, 4.9, rng)
    return (one + other) * np.float32(0.5)


def cello(pitch: int, seconds: float, rng: Rng) -> Mono:
    """One bowed string, with its body's warmth and a little bow noise."""
    note = _bowed(_hertz(pitch), seconds, 5.1, rng, brightness=1.15)
    bow = burst(len(note) / SAMPLE_RATE, 900, 3500, 50.0, rng)[: len(note)]
    note[: len(bow)] += 0.012 * bow * np.abs(note[: len(bow)])
    return note


def piano(pitch: int, seconds: float, rng: Rng) -> Mono:
    """Struck strings: stretched partials, the higher ones dying sooner, a soft hammer."""
    hz = _hertz(pitch)
    fall_s = float(np.clip(3.2 * (220 / hz) ** 0.5, 0.8, 5.0))
    time_s = _time(seconds + 0.5)
    note = np.zeros_like(time_s)
    for k in range(1, 9):
        # Stiffness stretches partials (Fletcher, 1964): f_k = k f sqrt(1 + B k^2).
        partial = k * hz * np.sqrt(1 + 0.0004 * k * k)
        if partial > 9000:
            break
        fade = np.exp(-time_s * np.float32(2.4 * (1 + 0.35 * k) / fall_s))
        note += np.float32(k**-1.5) * np.sin(np.float32(2 * np.pi * partial) * time_s) * fade
    note *= np.minimum(1, time_s / 0.004)
    return _released(note, 0.4) * np.float32(0.6)


def guitar(pitch: int, seconds: float, rng: Rng) -> Mono:
    """A plucked string (Karplus and Strong, 1983), its first noise softened by the finger."""
    period = round(SAMPLE_RATE / _hertz(pitch))
    n = int((seconds + 0.4) * SAMPLE_RATE)
    pluck = np.zeros(n)
    noise = scipy.signal.lfilter([0.09], [1, -1.4, 0.49], rng.uniform(-1, 1, period))
    pluck[:period] = noise - noise.mean()
    loop = np.zeros(period + 2)
    loop[0], loop[period], loop[period + 1] = 1, -0.498, -0.498
    note = scipy.signal.lfilter([1.0], loop, pluck).astype(np.float32)
    note[:192] *= np.linspace(0, 1, 192, dtype=np.float32)
    return _released(note / max(float(np.abs(note).max()), 1e-9), 0.25) * np.float32(0.8)


def pad(pitch: int, seconds: float, rng: Rng) -> Mono:
    """A soft synthesizer: three detuned voices with few harmonics, slow to come and go."""
    time_s = _time(seconds + 1.2)
    note = np.zeros_like(time_s)
    for detune in (0.996, 1.0, 1.0045):
        phase = np.float32(2 * np.pi * _hertz(pitch) * detune) * time_s + rng.uniform(0, 6)
        note += _harmonics(phase, [1, 0.4, 0.2, 0.08, 0.04])
    return _released(note * np.minimum(1, time_s / 0.9) ** 1.5, 1.2) * np.float32(0.25)


def bells(pitch: int, seconds: float, rng: Rng) -> Mono:
    """A celesta: a pure bar with a quick metallic start."""
    time_s = _time(seconds + 1.0)
    hz = _hertz(pitch + 12)
    note = np.zeros_like(time_s)
    for ratio, fall, level in ((1.0, 2.2, 1.0), (2.76, 6.0, 0.3), (5.4, 14.0, 0.12)):
        fade = np.exp(-time_s * np.float32(fall))
        note += np.float32(level) * np.sin(np.float32(2 * np.pi * hz * ratio) * time_s) * fade
    return _released(note * np.minimum(1, time_s / 0.002), 0.6) * np.float32(0.6)


def bass(pitch: int, seconds: float, rng: Rng) -> Mono:
    """A round plucked bass."""
    time_s = _time(seconds + 0.15)
    phase = np.float32(2 * np.pi * _hertz(pitch)) * time_s
    note = _harmonics(phase, [1, 0.5, 0.22, 0.1, 0.04]) * np.exp(-time_s * np.float32(0.8))
    return _released(note * np.minimum(1, time_s / 0.012), 0.15) * np.float32(0.6)


INSTRUMENTS: dict[str, Callable[[int, float, Rng], Mono]] = {
    "strings": strings,
    "cello": cello,
    "piano": piano,
    "guitar": guitar,
    "pad": pad,
    "bells": bells,
    "bass": bass,
}


def kick(rng: Rng) -> Mono:
    """A low drum."""
    time_s = _time(0.4)
    sweep = 48 * time_s + 1.6 * (1 - np.exp(-time_s * 30))
    return _released(np.sin(np.float32(2 * np.pi) * sweep) * np.exp(-time_s * 11), 0.05)


def tom(rng: Rng) -> Mono:
    """A tall drum struck softly with a mallet."""
    time_s = _time(0.9)
    tone = np.sin(2 * np.pi * (78 * time_s + 0.5 * (1 - np.exp(-time_s * 18))))
    skin = 0.4 * np.sin(2 * np.pi * 139 * time_s) * np.exp(-time_s * 9)
    drum = (tone * np.exp(-time_s * 5) + skin).astype(np.float32)
    return _released(drum * np.minimum(1, time_s / 0.004), 0.1)


def hat(rng: Rng) -> Mono:
    """A shaker."""
    return burst(0.07, 5000, 11000, 0.07, rng) * np.float32(0.4)


def _hertz(pitch: int) -> float:
    return float(440 * 2 ** ((pitch - 69) / 12))


def _time(seconds: float) -> NDArray[np.float32]:
    return np.arange(int(seconds * SAMPLE_RATE), dtype=np.float32) / np.float32(SAMPLE_RATE)


def _bowed(hz: float, seconds: float, vibrato_hz: float, rng: Rng, brightness: float = 1.0) -> Mono:
    time_s = _time(seconds + 0.45)
    depth = 0.0045 * np.clip((time_s - 0.35) / 0.8, 0, 1)
    wobble = depth * np.sin(2 * np.pi * vibrato_hz * time_s + rng.uniform(0, 6))
    phase = 2 * np.pi * hz * (time_s.astype(np.float64) + np.cumsum(wobble) / SAMPLE_RATE)
    count = int(np.clip(6500 / hz, 3, 16))
    levels = [brightness**k * k**-1.25 * (1.35 if 180 < k * hz < 520 else 1.0)
              / (1 + (k * hz / 2600) ** 2) for k in range(1, count + 1)]  # fmt: skip
    note = _harmonics(phase.astype(np.float64), levels)
    attack_s = min(0.22, seconds / 3)
    swell = 0.82 + 0.18 * np.sin(np.pi * np.minimum(time_s / max(seconds, 0.1), 1))
    note = note * np.sin(np.pi / 2 * np.minimum(1, time_s / attack_s)) ** 2 * swell
    return _released(np.asarray(note, np.float32), 0.45) * np.float32(0.45)


def _harmonics(phase: NDArray[np.floating], levels: list[float]) -> Mono:
    """Sum of `levels[k-1] sin(k phase)`; powers of one rotation cost less than many sines."""
    turn = np.exp(1j * np.mod(phase, 2 * np.pi)).astype(np.complex64)
    power, total = turn.copy(), np.zeros(len(turn), np.float32)
    for level in levels:
        total += np.float32(level) * power.imag
        power *= turn
    return total


def _released(note: Mono, seconds: float) -> Mono:
    tail = min(int(seconds * SAMPLE_RATE), len(note))
    note[len(note) - tail :] *= np.cos(np.linspace(0, np.pi / 2, tail, dtype=np.float32)) ** 2
    return np.asarray(note, np.float32)
