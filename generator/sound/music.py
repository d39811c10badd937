"""A music bed from a few words, that ends on the cut.

`slow cello, 60 bpm, hopeful` is read for tempo, mood and instruments; a progression is walked
with smooth voice leading, grows from a soft opening, and cadences on the tonic so that the last
sound dies exactly at the end. The same words, length and seed give the same samples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import scipy

from generator.sound.cues.grains import Mono, Rng, place
from generator.sound.instruments import INSTRUMENTS, hat, kick, tom
from generator.sound.levels import Audio, gain, loudness_lufs
from media.errors import MediaError
from media.timebase import SAMPLE_RATE

__all__ = ["Score", "compose_bed", "read_prompt"]

BED_LUFS = -20.0
LONGEST_S = 1800.0

_BEATS = 4
_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)

# Degrees (0 = tonic) of four-bar phrases; each leads on into any other of its list.
_PHRASES = {
    "major": ((0, 4, 5, 3), (0, 5, 3, 4), (3, 0, 1, 4), (5, 3, 0, 4)),
    "minor": ((0, 5, 2, 6), (0, 3, 5, 4), (5, 6, 0, 3), (0, 6, 5, 4)),
    "tense": ((0, 0, 5, 4), (0, 1, 0, 4), (5, 4, 0, 1), (0, 3, 1, 4)),
}
_CADENCE = (3, 4, 0)

# Mood stem: (mode, beats a minute, intensity 0-1).
_MOODS = {
    "sad": ("minor", 62, 0.4), "melanchol": ("minor", 64, 0.4), "mourn": ("minor", 56, 0.3),
    "lonely": ("minor", 60, 0.35), "dark": ("minor", 66, 0.6), "minor": ("minor", 76, 0.5),
    "tense": ("tense", 92, 0.7), "suspens": ("tense", 84, 0.6), "ominous": ("tense", 60, 0.6),
    "thriller": ("tense", 100, 0.7), "scary": ("tense", 66, 0.6), "epic": ("minor", 96, 1.0),
    "heroic": ("major", 104, 1.0), "triumph": ("major", 104, 0.9), "happy": ("major", 112, 0.7),
    "joy": ("major", 112, 0.7), "upbeat": ("major", 116, 0.8), "playful": ("major", 112, 0.6),
    "hope": ("major", 76, 0.6), "warm": ("major", 74, 0.5), "romantic": ("major", 68, 0.5),
    "calm": ("major", 64, 0.3), "peace": ("major", 62, 0.3), "gentle": ("major", 68, 0.35),
    "dream": ("major", 66, 0.35), "major": ("major", 84, 0.5),
}  # fmt: skip

_NAMES = {
    "cello": "cello", "viola": "cello", "violin": "strings", "string": "strings",
    "orchestra": "strings", "piano": "piano", "keys": "piano", "guitar": "guitar",
    "pluck": "guitar", "harp": "guitar", "ukulele": "guitar", "pad": "pad", "synth": "pad",
    "ambient": "pad", "drone": "pad", "choir": "pad", "bell": "bells", "celesta": "bells",
    "glockenspiel": "bells", "music box": "bells", "bass": "bass", "drum": "drums",
    "percussion": "drums", "beat": "drums", "timpani": "drums", "taiko": "drums",
}  # fmt: skip

_SUSTAINED = ("strings", "pad", "cello")
_LEADS = ("cello", "piano", "guitar", "bells", "strings", "pad")


@dataclass(frozen=True, slots=True)
class Score:
    """What a prompt asks for."""

    mode: str
    bpm: float
    intensity: float
    instruments: tuple[str, ...]


@dataclass(slots=True)
class _Band:
    """The stage being played on, and the notes already sounded once."""

    stage: Audio
    rng: Rng
    notes: dict[tuple[str, int, int], Mono] = field(default_factory=dict)

    def play(self, name: str, pitch: int, at_s: float, seconds: float, level: float) -> None:
        """Add one note; pans are fixed by pitch so that the players keep their seats."""
        key = (name, pitch, round(seconds * 20))
        if key not in self.notes:
            self.notes[key] = INSTRUMENTS[name](pitch, max(key[2], 1) / 20, self.rng)
        pan = 0.0 if name == "bass" else ((pitch * 7) % 13 - 6) / 11
        self._add(self.notes[key], at_s, pan, level)

    def strike(self, name: str, at_s: float, level: float) -> None:
        """Add one stroke of a drum."""
        key = (name, 0, 0)
        if key not in self.notes:
            self.notes[key] = {"kick": kick, "tom": tom, "hat": hat}[name](self.rng)
        self._add(self.notes[key], at_s, {"kick": 0.0, "tom": -0.3, "hat": 0.35}[name], level)

    def _add(self, note: Mono, at_s: float, pan: float, level: float) -> None:
        start = round(at_s * SAMPLE_RATE)
        room = self.stage.shape[1] - start
        if room > 0:
            place(self.stage, note[:room], start, pan, level)


def compose_bed(prompt: str, seconds: float, *, seed: int) -> Audio:
    """`(2, n) float32`, `n` = `seconds` at 48 kHz: a bed at about -20 LUFS that has finished."""
    if not 0 < seconds <= LONGEST_S:
        raise MediaError(
            f"a music bed of {seconds:g} s cannot be composed",
            todo=f"ask for more than 0 s and at most {LONGEST_S:g} s",
        )
    score = read_prompt(prompt)
    rng = np.random.default_rng([seed % 2**63, 20])
    n = round(seconds * SAMPLE_RATE)
    band = _Band(np.zeros((2, n), np.float32), rng)
    tonic = int(rng.integers(-3, 4)) + (0 if score.mode == "major" else 2)
    _perform(band, score, tonic, seconds)
    _reverberate(band.stage, 0.9 + 0.8 * (1 - score.intensity))
    _finish(band.stage, min(2.5, seconds * 0.35))
    return band.stage


def read_prompt(prompt: str) -> Score:
    """Tempo, mood and instruments in `prompt`; what it leaves open is chosen to suit the mood."""
    words = prompt.lower()
    moods = sorted(
        (found.start(), stem) for stem in _MOODS if (found := re.search(rf"\b{stem}", words))
    )
    mode, usual_bpm, intensity = _MOODS[moods[0][1]] if moods else ("minor", 72, 0.5)
    bpm = float(usual_bpm)
    if "major" in words or "minor" in words:
        mode = "major" if "major" in words else "minor"
    bpm *= 0.85 if "slow" in words else 1.2 if re.search(r"\b(fast|driving|quick)", words) else 1.0
    if written := re.search(r"\b(\d{2,3})\s*bpm", words):
        bpm = float(written[1])
    named = [name for word, name in _NAMES.items() if re.search(rf"\b{word}", words)]
    instruments = list(dict.fromkeys(named)) or ["strings", "piano"]
    if not set(instruments) & set(_LEADS):
        instruments.append("pad")
    if intensity >= 0.9 and not named:
        instruments += ["drums", "bass"]
    return Score(mode, min(max(bpm, 40.0), 180.0), intensity, tuple(instruments))


def _perform(band: _Band, score: Score, tonic: int, seconds: float) -> None:
    """Whole bars up to a last tonic chord; the tempo gives way a little so that they fit."""
    ending_s = min(max(60 / score.bpm * _BEATS, 2.4), seconds * 0.5)
    bar_s = 60 / score.bpm * _BEATS
    bars = round((seconds - ending_s) / bar_s)
    bar_s = (seconds - ending_s) / bars if bars else 0.0
    voices = _opening_voices(tonic)
    for bar, degree in enumerate(_progression(score.mode, bars, band.rng)):
        chord = _chord(degree, tonic, score.mode)
        voices = _lead(voices, chord)
        at = bar / max(bars, 1)
        # Soft at first, fullest at two thirds, drawing back before the end.
        swell = float(np.interp(at, [0, 0.15, 0.66, 0.9, 1], [0.45, 0.65, 1.0, 0.85, 0.75]))
        _play_bar(band, score, (chord, voices), (bar * bar_s, bar_s), swell)
        if bars < 4 or at >= 0.12:
            _play_melody(band, score, (chord, tonic), (bar * bar_s, bar_s), swell)
    _play_ending(band, score, voices, tonic, (bars * bar_s, ending_s))


def _progression(mode: str, bars: int, rng: Rng) -> list[int]:
    """A chord a bar, so that the last ones lead into a tonic that follows."""
    degrees: list[int] = []
    while len(degrees) < bars:
        phrases = _PHRASES[mode]
        degrees += phrases[0] if not degrees else phrases[int(rng.integers(len(phrases)))]
    del degrees[bars:]
    lead_in = _CADENCE[:-1]
    for back in range(1, min(len(lead_in), bars) + 1):
        degrees[-back] = lead_in[-back]
    return degrees


def _chord(degree: int, tonic: int, mode: str) -> tuple[int, ...]:
    """Pitch classes of the triad, root first; a minor dominant gets its leading note."""
    scale = _MAJOR if mode == "major" else _MINOR
    notes = [scale[(degree + step) % 7] for step in (0, 2, 4)]
    if mode != "major" and degree == 4:
        notes[1] = 11
    if mode == "tense" and degree == 1:
        notes = [1, 5, 8]
    return tuple((note + tonic) % 12 for note in notes)


def _opening_voices(tonic: int) -> tuple[int, ...]:
    return (55 + tonic, 60 + tonic, 64 + tonic, 67 + tonic)


def _lead(voices: tuple[int, ...], chord: tuple[int, ...]) -> tuple[int, ...]:
    """Each voice to the nearest free note of the chord, all three notes kept."""
    taken: list[int] = []
    for index, voice in enumerate(voices):
        needed = [note for note in chord if note not in {pitch % 12 for pitch in taken}]
        must = needed if len(needed) >= len(voices) - index else list(chord)
        near = [pitch for pitch in range(voice - 7, voice + 8) if pitch % 12 in must]
        free = [pitch for pitch in near if 48 <= pitch <= 77 and pitch not in taken] or near
        taken.append(min(free, key=lambda pitch: (abs(pitch - voice), pitch)))
    return tuple(sorted(taken))


def _play_bar(
    band: _Band,
    score: Score,
    harmony: tuple[tuple[int, ...], tuple[int, ...]],
    time: tuple[float, float],
    swell: float,
) -> None:
    """Accompaniment: held chords, broken chords, bass and drums as the prompt names them."""
    (chord, voices), (at_s, bar_s) = harmony, time
    held: list[str] = [name for name in ("strings", "pad") if name in score.instruments]
    if not held and not {"piano", "guitar"} & set(score.instruments):
        held = ["pad"]
    for name in held:
        for pitch in voices:
            band.play(name, pitch, at_s, bar_s, 0.30 * swell)
    beat_s = bar_s / _BEATS
    for name in ("piano", "guitar"):
        if name in score.instruments:
            order = (0, 2, 1, 3) if bar_s > 3 else (0, 2, 1, 3, 2, 1, 3, 2)
            for step, voice in enumerate(order * (2 if bar_s > 3 else 1)):
                start_s = at_s + step * bar_s / 8 + float(band.rng.normal(0, 0.006))
                accent = 1.0 if step % 4 == 0 else 0.7
                band.play(name, voices[voice], max(start_s, 0), beat_s * 2, 0.34 * swell * accent)
    root = 36 + (chord[0] - 36) % 12
    bass = "bass" if "bass" in score.instruments else "cello" if held else "piano"
    if bass in score.instruments or bass == "cello":
        band.play(bass, root, at_s, bar_s, 0.42 * swell)
    if "drums" in score.instruments:
        _play_drums(band, score, at_s, beat_s, swell)


def _play_drums(band: _Band, score: Score, at_s: float, beat_s: float, swell: float) -> None:
    if swell < 0.55:
        return
    low = "tom" if score.intensity >= 0.6 or score.mode == "tense" else "kick"
    for beat, level in ((0, 1.0), (1.5, 0.5), (2, 0.8), (3.5, 0.4 * score.intensity)):
        band.strike(low, at_s + beat * beat_s, 0.6 * level * swell)
    for half in range(8):
        band.strike("hat", at_s + half * beat_s / 2, (0.22 if half % 2 else 0.12) * swell)


def _play_melody(
    band: _Band,
    score: Score,
    key: tuple[tuple[int, ...], int],
    time: tuple[float, float],
    swell: float,
) -> None:
    """Long notes of the chord joined by steps of the scale; silent in one bar of five."""
    (chord, tonic), (at_s, bar_s) = key, time
    if band.rng.random() < 0.2:
        return
    lead = next(name for name in _LEADS if name in score.instruments)
    centre = 58 if lead == "cello" else 74
    scale = {(step + tonic) % 12 for step in (_MAJOR if score.mode == "major" else _MINOR)}
    beat_s = bar_s / _BEATS
    rhythm = ((0, 4), (0, 2, 2, 2), (0, 3, 3, 1))[int(band.rng.integers(3))]
    pitch = min(
        (p for p in range(centre - 7, centre + 10) if p % 12 in chord),
        key=lambda p: abs(p - centre - int(band.rng.integers(-5, 6))),
    )
    for start, length in zip(rhythm[::2], rhythm[1::2], strict=True):
        level = 0.5 * swell * (1.0 if start == 0 else 0.8)
        band.play(lead, pitch, at_s + start * beat_s, length * beat_s * 0.97, level)
        steps = [p for p in range(pitch - 4, pitch + 5) if p != pitch and p % 12 in scale & {
            *chord, *( () if length > 1 else scale)}]  # fmt: skip
        pitch = int(band.rng.choice(steps)) if steps else pitch


def _play_ending(
    band: _Band, score: Score, voices: tuple[int, ...], tonic: int, time: tuple[float, float]
) -> None:
    """The tonic, held by all who play, its root below and on top."""
    at_s, ending_s = time
    chord = _chord(0, tonic, score.mode)
    held_s = ending_s * 0.6
    for name in score.instruments:
        if name in INSTRUMENTS and name != "bass":
            for index, pitch in enumerate(_lead(voices, chord)):
                roll_s = 0.04 * index if name in {"piano", "guitar"} else 0.0
                level = 0.32 if name in _SUSTAINED else 0.4
                band.play(name, pitch, at_s + roll_s, held_s, 0.8 * level)
    band.play("bass" if "bass" in score.instruments else "cello", 36 + chord[0], at_s, held_s, 0.4)
    lead = next(name for name in _LEADS if name in score.instruments)
    top = (48 if lead == "cello" else 72) + chord[0]
    band.play(lead, top, at_s, held_s, 0.42)
    if "drums" in score.instruments:
        band.strike("tom", at_s, 0.6)


def _reverberate(stage: Audio, fall_s: float) -> None:
    """A hall added in place, block by block, so that memory does not grow with the length."""
    tail = int(1.6 * fall_s * SAMPLE_RATE)
    time_s = np.arange(tail) / SAMPLE_RATE
    hall = np.random.default_rng(5).standard_normal((2, tail)) * np.exp(
        -6.91 * time_s / fall_s / 1.6
    )
    hall[:, : int(0.012 * SAMPLE_RATE)] = 0
    hall *= 0.32 / np.sqrt((hall**2).sum(axis=1, keepdims=True))
    block = 2**18
    size = scipy.fft.next_fast_len(block + tail, real=True)
    frequency = scipy.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    response = scipy.fft.rfft(hall, size, axis=1) / (1 + (frequency / 3500) ** 2)
    response = response.astype(np.complex64)
    carry = np.zeros((2, size), np.float32)
    for start in range(0, stage.shape[1], block):
        dry = stage[:, start : start + block]
        wet = scipy.fft.irfft(scipy.fft.rfft(dry, size, axis=1) * response, size, axis=1)
        wet += carry
        carry = np.concatenate([wet[:, block:], np.zeros((2, block), np.float32)], axis=1)
        dry += wet[:, : dry.shape[1]]


def _finish(stage: Audio, fade_s: float) -> None:
    """Level, soft ceiling at -3 dBFS, a clean first sample, and silence at the last."""
    n = stage.shape[1]
    middle = max(n // 2 - 45 * SAMPLE_RATE, 0)
    measured = loudness_lufs(stage[:, middle : middle + 90 * SAMPLE_RATE])
    amount = np.float32(gain(min(BED_LUFS - measured, 40.0)))
    ceiling = np.float32(gain(-3.0))
    for start in range(0, n, 2**20):
        part = stage[:, start : start + 2**20]
        part *= amount
        loud = np.abs(part) > 0.6 * ceiling
        over = (np.abs(part[loud]) - 0.6 * ceiling) / (0.4 * ceiling)
        part[loud] = np.sign(part[loud]) * ceiling * (0.6 + 0.4 * np.tanh(over))
    rise, fall = min(int(0.02 * SAMPLE_RATE), n // 4), min(int(fade_s * SAMPLE_RATE), n)
    stage[:, :rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    stage[:, n - fall :] *= np.cos(np.linspace(0, np.pi / 2, fall, dtype=np.float32)) ** 2
    stage[:, -1] = 0
