"""Ambience and effects from words: `surf, distant gulls` becomes sound, with no recording.

Nothing is silent without a word: a text that names no known cue matches nothing, and the
caller says so. The same text, length and seed give the same samples.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import numpy as np
import scipy

from generator.sound.cues import CUES, Event, Texture
from generator.sound.cues.grains import Mono, Rng, place
from generator.sound.levels import Audio, gain, loudness_lufs
from media.timebase import SAMPLE_RATE

__all__ = ["Cue", "known_cues", "match_cues", "natural_seconds", "synthesise_cue"]

AMBIENCE_LUFS = -32.0
EFFECT_PEAK_DBFS = -12.0

_LOOP_S = 30.0
"""Longest stretch synthesised anew; more is the same circle entered elsewhere."""

_CROSSFADE_S = 2.0

# Modifier stem: (gain in dB, pace).
_MODIFIERS = {
    "distant": (-9.0, 1.0),
    "faint": (-9.0, 1.0),
    "far": (-9.0, 1.0),
    "soft": (-6.0, 1.0),
    "quiet": (-6.0, 1.0),
    "gentle": (-5.0, 0.85),
    "light": (-4.0, 0.7),
    "loud": (5.0, 1.0),
    "heavy": (4.0, 1.5),
    "strong": (4.0, 1.3),
    "slow": (0.0, 0.7),
    "fast": (0.0, 1.45),
    "quick": (0.0, 1.45),
    "rapid": (0.0, 1.6),
}
_FAR = frozenset({"distant", "faint", "far"})
_SUFFIX = r"(?:'?s|es|ed|ing|ping|ting|y)?"


@dataclass(frozen=True, slots=True)
class Cue:
    """`audio` is `(2, samples) float32 in [-1, 1], 48 kHz`; silent when nothing `matched`."""

    audio: Audio
    matched: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Call:
    """One cue as the text asks for it."""

    name: str
    gain_db: float
    pace: float
    is_far: bool


def synthesise_cue(
    text: str, seconds: float, *, seed: int, kind: Literal["ambience", "sfx"]
) -> Cue:
    """What `text` names, `seconds` long.

    Ambience lies at about -32 LUFS, without a seam or a fade at its ends; an effect starts at
    once, peaks at about -12 dBFS and is let ring or cut softly. Modifiers move the level.
    """
    n = max(round(seconds * SAMPLE_RATE), 0)
    calls = _calls(text)
    audio = np.zeros((2, n), np.float32)
    if n:
        for call in calls:
            rng = np.random.default_rng([seed % 2**63, zlib.crc32(call.name.encode())])
            made = _ambience(call, n, rng) if kind == "ambience" else _effect(call, n, rng)
            audio += made * np.float32(gain(-3.0) if len(calls) > 2 else 1.0)
    np.clip(audio, -1, 1, out=audio)
    return Cue(audio, tuple(call.name for call in calls))


def natural_seconds(text: str) -> float:
    """How long the effects that `text` names take by themselves; 0 when it names none."""
    return max((_natural_s(call) for call in _calls(text)), default=0.0)


def match_cues(text: str) -> tuple[str, ...]:
    """Names of the known cues in `text`, in its order; empty when it names none."""
    return tuple(call.name for call in _calls(text))


def known_cues() -> tuple[str, ...]:
    """Names of everything that can be synthesised."""
    return tuple(CUES)


@lru_cache(maxsize=1024)
def _calls(text: str) -> tuple[_Call, ...]:
    """Cues with the modifiers of their own clause."""
    calls: dict[str, _Call] = {}
    for clause in re.split(r"[,;.+&/]|\band\b|\bwith\b|\bthen\b|\bover\b", text.lower()):
        words = re.findall(r"[a-z]+", clause)
        asked = [stem for stem in _MODIFIERS if any(_is_form(word, stem) for word in words)]
        for name in _names_in(clause):
            gain_db = sum(_MODIFIERS[stem][0] for stem in asked)
            pace = float(np.prod([_MODIFIERS[stem][1] for stem in asked]))
            calls.setdefault(name, _Call(name, gain_db, pace, bool(_FAR & set(asked))))
    return tuple(calls.values())


def _is_form(word: str, stem: str) -> bool:
    return word in {stem, f"{stem}ly", f"{stem}er", f"{stem}ened", f"{stem}away"}


def _names_in(clause: str) -> list[str]:
    """Cue names in the order of the clause; a longer phrase takes its words from shorter ones."""
    found: list[tuple[int, str]] = []
    for words, name in _patterns():
        match = words.search(clause)
        if match:
            found.append((match.start(), name))
            clause = clause[: match.start()] + " " * len(match[0]) + clause[match.end() :]
    return list(dict.fromkeys(name for _, name in sorted(found)))


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    phrases = [(word, name) for name, cue in CUES.items() for word in cue.words.split()]
    phrases.sort(key=lambda phrase: (-phrase[0].count("_"), -len(phrase[0])))
    return tuple(
        (re.compile(rf"\b{re.escape(phrase).replace('_', ' +')}{_SUFFIX}\b"), name)
        for phrase, name in phrases
    )


@lru_cache(maxsize=1024)
def _natural_s(call: _Call) -> float:
    cue = CUES[call.name]
    if isinstance(cue, Texture):
        return cue.natural_s
    last = len(cue.strike(np.random.default_rng(0))) / SAMPLE_RATE
    return last + (cue.times - 1) * cue.every_s / call.pace


def _ambience(call: _Call, n: int, rng: Rng) -> Audio:
    period = scipy.fft.next_fast_len(min(n, int(_LOOP_S * SAMPLE_RATE)), real=True)
    cue = CUES[call.name]
    if isinstance(cue, Texture):
        circle = cue.make(period, rng, call.pace)
    else:
        circle = _repeated(cue, period, rng, call.pace)
    circle = _far_away(circle) if call.is_far else circle
    level = AMBIENCE_LUFS - max(loudness_lufs(circle), -69.0)
    peak_db = 20 * float(np.log10(max(float(np.abs(circle).max()), 1e-9)))
    # Rare loud events are held by their peaks, not by the silence between them.
    level = min(level, -10.0 - peak_db) + call.gain_db
    return _unrolled(circle * np.float32(gain(level)), n, rng)


def _repeated(cue: Event, period: int, rng: Rng, pace: float) -> Audio:
    stage = np.zeros((2, period), np.float32)
    count = max(round(period / SAMPLE_RATE / cue.every_s * pace), 1)
    for index in range(count):
        jitter = 0.01 if cue.regular else 0.35
        at = (index + 0.3 + rng.uniform(-jitter, jitter)) / count * period
        pan = 0.1 * (-1) ** index if cue.regular else float(rng.uniform(-0.6, 0.6))
        place(stage, cue.strike(rng), int(at), pan, float(rng.uniform(0.75, 1.0)))
    return stage


def _far_away(circle: Audio) -> Audio:
    """Through air and off walls: highs gone, a wash of reflections added, still circular."""
    n = circle.shape[1]
    frequency = scipy.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    time_s = np.arange(min(n, SAMPLE_RATE)) / SAMPLE_RATE
    wash = np.random.default_rng(11).standard_normal((2, len(time_s))) * np.exp(-time_s / 0.22)
    wash *= 0.6 / np.sqrt((wash**2).sum(axis=1, keepdims=True))
    wash[:, 0] += 0.7
    spectrum = scipy.fft.rfft(circle, axis=1) * scipy.fft.rfft(wash.astype(np.float32), n, axis=1)
    spectrum /= 1 + (frequency / 1700) ** 2
    return np.asarray(scipy.fft.irfft(spectrum, n, axis=1), np.float32)


def _unrolled(circle: Audio, n: int, rng: Rng) -> Audio:
    """`n` samples of the circle: each turn entered at another place, with an equal-power join."""
    period = circle.shape[1]
    if n <= period:
        return circle[:, :n]
    overlap = int(_CROSSFADE_S * SAMPLE_RATE)
    up = np.sin(np.linspace(0, np.pi / 2, overlap, dtype=np.float32))
    turn = circle.copy()
    out = np.zeros((2, n), np.float32)
    start = 0
    while start < n:
        turn = np.roll(circle, -int(rng.integers(period)), axis=1) if start else turn
        if start:
            turn[:, :overlap] *= up
        turn[:, -overlap:] *= up[::-1]
        stop = min(start + period, n)
        out[:, start:stop] += turn[:, : stop - start]
        start += period - overlap
    return out


def _effect(call: _Call, n: int, rng: Rng) -> Audio:
    cue = CUES[call.name]
    natural = round(_natural_s(call) * SAMPLE_RATE)
    if isinstance(cue, Texture):
        sound = cue.make(scipy.fft.next_fast_len(max(n, 4800), real=True), rng, call.pace)[:, :n]
        sound = _edges(sound, 0.15)
    else:
        sound = _struck(cue, n, rng, call.pace)
        sound = _edges(sound, 0.0, 0.03 if n < natural else 0.005)
    if call.is_far:
        low = scipy.signal.butter(2, 1700, fs=SAMPLE_RATE, output="sos")
        sound = scipy.signal.sosfilt(low, sound, axis=1).astype(np.float32)
    peak = max(float(np.abs(sound).max(initial=0.0)), 1e-9)
    return np.asarray(sound * np.float32(gain(EFFECT_PEAK_DBFS + call.gain_db) / peak), np.float32)


def _struck(cue: Event, n: int, rng: Rng, pace: float) -> Audio:
    """Once, or as often as its nature has it, or on and on for what keeps time."""
    gap = cue.every_s / pace * SAMPLE_RATE
    times = max(cue.times, int(n / gap)) if cue.regular else cue.times
    stage = np.zeros((2, n), np.float32)
    at = 0.0
    for index in range(times):
        if at >= n:
            break
        pan = 0.12 * (-1) ** index if times > 1 else 0.0
        place(stage, cue.strike(rng)[: n - int(at)], int(at), pan, float(rng.uniform(0.8, 1.0)))
        at += gap * (float(rng.uniform(0.96, 1.04)) if cue.regular else rng.uniform(0.5, 1.5))
    return stage


def _edges(sound: Mono, fade_in_s: float, fade_out_s: float | None = None) -> Mono:
    n = sound.shape[1]
    up = min(int(fade_in_s * SAMPLE_RATE), n // 3)
    down = min(int((fade_in_s * 2 if fade_out_s is None else fade_out_s) * SAMPLE_RATE), n // 3)
    if up:
        sound[:, :up] *= np.linspace(0, 1, up, dtype=np.float32)
    if down:
        sound[:, -down:] *= np.linspace(1, 0, down, dtype=np.float32)
    return sound
