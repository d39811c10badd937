"""Temporary dialogue: a line of text as speech with the times of its words.

eSpeak NG speaks (a child process for each line, see `speech_child`); here the voice is cast,
the delivery applied, and the sound trimmed, filtered, put in a small room and levelled. The
same text, voice and delivery give the same samples.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import subprocess
import sys
import unicodedata
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import espeakng_loader
import numpy as np
import scipy
from numpy.typing import NDArray

from generator.sound.levels import Audio, gain, set_loudness
from media.errors import MediaError
from media.timebase import SAMPLE_RATE
from storyboards.speech_length import delivery_rate

__all__ = ["Speech", "Voice", "Word", "speak", "supported_languages", "voice_for"]

MAX_TEXT = 2000
"""Characters in one line."""

LINE_LUFS = -20.0

_CHILD = Path(__file__).with_name("speech_child.py")
_CHILD_TIMEOUT_S = 30
_CHILD_MAX_SPEECH_S = 600
_FASTEST = 1.6
"""A line is hurried at most this much to fit; faster is no longer understood."""

_ROOM_S = 0.12
_LEAD_S, _TRAIL_S = 0.02, 0.04

# eSpeak variants that keep pace with one another, so that lengths can be estimated.
_WOMEN = ("f1", "f2", "f3", "f5")
_MEN = ("m1", "m2", "m3", "m5", "m6", "m7", "m8")
_OLD = re.compile(r"\b(old|elderly|aged|grand(ma|pa|mother|father)|[6-9]0s|ancient)\b")
_CHILD_WORDS = re.compile(r"\b(child|kid|boy|girl|toddler|[5-9]-year|1[0-2]-year)")
_WOMAN_WORDS = re.compile(
    r"\b(wom[ae]n|girl|female|lady|she|her|mother|daughter|sister|queen|grandma|grandmother|aunt)\b"
)
_MAN_WORDS = re.compile(
    r"\b(m[ae]n|boy|male|gentleman|he|his|father|son|brother|king|grandpa|grandfather|uncle)\b"
)
_YOUNG = re.compile(r"\b(young|teen\w*|youth\w*|20s)\b")
_DEEP = re.compile(r"\b(deep|gruff|low|bass|giant|huge|burly)\b")
_HIGH = re.compile(r"\b(high|squeaky|thin|tiny|shrill)\b")

# Delivery stem: (gain in dB, pitch steps of 100 over two octaves, range factor).
_DELIVERIES = {
    "whisper": (-7.0, 0, 0.6),
    "quiet": (-5.0, -3, 0.7),
    "soft": (-4.0, -2, 0.8),
    "shout": (5.0, 14, 1.4),
    "yell": (5.0, 15, 1.4),
    "angry": (3.0, 5, 1.3),
    "urgent": (2.0, 6, 1.2),
    "panic": (3.0, 12, 1.4),
    "excited": (2.0, 8, 1.5),
    "happy": (1.0, 5, 1.4),
    "sad": (-3.0, -6, 0.6),
    "weary": (-3.0, -5, 0.6),
    "tired": (-3.0, -5, 0.6),
    "solemn": (-1.0, -5, 0.7),
    "calm": (-1.0, -2, 0.8),
}


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks: a language tag and eSpeak's settings."""

    lang: str
    pitch: int
    """0-99; 50 is the variant's own, 50 more is an octave up."""
    rate_wpm: int
    variant: str
    range: int
    """0-99: how far the melody moves."""


@dataclass(frozen=True, slots=True)
class Word:
    """A stretch of the line with the punctuation that follows it; all of them give the line."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Speech:
    """`audio` is `(1, samples) float32 in [-1, 1], 48 kHz`, trimmed, about -20 LUFS."""

    audio: Audio
    words: tuple[Word, ...]
    warnings: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Length with the room's tail."""
        return int(self.audio.shape[1]) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class _Spoken:
    """What the engine gave: mono `pcm (samples,)`, and events at characters and milliseconds."""

    pcm: NDArray[np.float32]
    sample_rate: int
    words: tuple[tuple[int, int], ...]
    ends_ms: tuple[int, ...]


def speak(
    text: str, voice: Voice, *, delivery: str = "", max_seconds: float | None = None
) -> Speech:
    """`text` as `voice` says it; hurried up to 1.6 times when longer than `max_seconds`.

    A line that does not fit even so comes back whole, with a warning. Text is only text: markup
    and phoneme escapes are read out, control characters dropped.
    """
    line = _clean(text)
    cast = _as_delivered(voice, delivery)
    engine_voice = f"{_identifier(voice.lang)}+{cast.variant}"
    speech = _speak_once(line, cast, engine_voice)
    hurry = 1.0
    while max_seconds is not None and speech.seconds > max_seconds and hurry < _FASTEST:
        speakable_s = max(max_seconds - _ROOM_S - _TRAIL_S, 0.05)
        needed = (speech.seconds - _ROOM_S - _TRAIL_S) / speakable_s
        hurry = min(hurry * max(needed * 1.02, 1.03), _FASTEST)
        faster = replace(cast, rate_wpm=min(round(cast.rate_wpm * hurry), 450))
        speech = _speak_once(line, faster, engine_voice)
    warnings = _warnings(line, voice.lang, speech.seconds, max_seconds)
    level = LINE_LUFS + sum(_DELIVERIES[stem][0] for stem in _stems(delivery))
    return Speech(set_loudness(speech.audio, level), speech.words, warnings)


def voice_for(
    character_id: str,
    lang: str,
    description: str = "",
    *,
    pitch: float | None = None,
    rate: float | None = None,
) -> Voice:
    """The voice of a character: the same for the same id, steered by the description.

    `pitch` and `rate` are factors on what was cast, 1 = as cast. Raises MediaError for a
    language that cannot be spoken.
    """
    _identifier(lang)
    digest = hashlib.sha256(character_id.encode()).digest()
    words = description.lower()
    woman, man = bool(_WOMAN_WORDS.search(words)), bool(_MAN_WORDS.search(words))
    if woman == man:
        woman = digest[0] % 2 == 0
    pool = _WOMEN if woman else _MEN
    height = 50 + digest[1] % 17 - 8
    pace = 162 + digest[2] % 13 - 6
    if _CHILD_WORDS.search(words):
        pool, height = _WOMEN, height + (14 if woman else 9)
    elif _OLD.search(words):
        height, pace = height - 9, pace - 8
    elif _YOUNG.search(words):
        height, pace = height + 6, pace + 5
    height += 8 * bool(_HIGH.search(words)) - 12 * bool(_DEEP.search(words))
    height += round(50 * float(np.log2(pitch))) if pitch else 0
    return Voice(
        lang=lang,
        pitch=_within(height, 0, 99),
        rate_wpm=_within(round(pace * (rate or 1.0)), 80, 320),
        variant=pool[digest[3] % len(pool)],
        range=_within(48 + digest[4] % 21 - 10, 0, 99),
    )


def supported_languages() -> tuple[str, ...]:
    """Every language tag that has a voice, in order."""
    return tuple(sorted(_languages()))


def _within(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def _identifier(lang: str) -> str:
    """The engine's name for a language tag: the tag itself, then without its last parts."""
    languages = _languages()
    parts = lang.lower().replace("_", "-").split("-")
    for length in range(len(parts), 0, -1):
        if found := languages.get("-".join(parts[:length])):
            return found
    near = difflib.get_close_matches(lang.lower(), languages, n=4, cutoff=0.3)
    raise MediaError(
        f"no voice for the language {lang[:40]!r}",
        todo=f"near ones are {', '.join(near or ['en', 'fr', 'de', 'es'])}",
    )


@cache
def _languages() -> dict[str, str]:
    """Language tag to voice file, read from the engine's data without loading the engine."""
    root = Path(espeakng_loader.get_data_path()) / "lang"
    ranked: dict[str, tuple[int, int, str]] = {}
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        identifier = path.relative_to(root).as_posix()
        for line in path.read_text("utf-8", errors="replace").splitlines():
            field = line.split()
            if len(field) < 2 or field[0] != "language":
                continue
            priority = int(field[2]) if len(field) > 2 and field[2].isdigit() else 5
            entry = (priority, len(identifier), identifier)
            tag = field[1].lower()
            ranked[tag] = min(ranked.get(tag, entry), entry)
    return {tag: identifier for tag, (_, _, identifier) in ranked.items()}


def _clean(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise MediaError(
            f"a line of {len(text)} characters is too long to speak",
            todo=f"split it into lines of at most {MAX_TEXT}",
        )
    visible = "".join(
        " " if unicodedata.category(mark) in {"Cc", "Zl", "Zp"} else mark
        for mark in unicodedata.normalize("NFC", text)
        if unicodedata.category(mark) not in {"Cf", "Cs", "Co", "Cn"}
    )
    line = " ".join(visible.split())
    if not line:
        raise MediaError("there is nothing to speak in an empty line", todo="write the line")
    return line


def _stems(delivery: str) -> list[str]:
    words = re.findall(r"\w+", delivery.lower())
    return [stem for stem in _DELIVERIES if any(word.startswith(stem) for word in words)]


def _as_delivered(voice: Voice, delivery: str) -> Voice:
    stems = _stems(delivery)
    variant = voice.variant
    if "whisper" in stems:
        variant = "whisperf" if variant in _WOMEN else "whisper"
    melody = float(voice.range)
    for stem in stems:
        melody *= _DELIVERIES[stem][2]
    return replace(
        voice,
        variant=variant,
        pitch=_within(voice.pitch + sum(_DELIVERIES[stem][1] for stem in stems), 0, 99),
        rate_wpm=_within(round(voice.rate_wpm * delivery_rate(delivery)), 80, 400),
        range=_within(round(melody), 0, 99),
    )


def _speak_once(line: str, voice: Voice, engine_voice: str) -> Speech:
    engine = _run_child(line, voice, engine_voice)
    ratio = Fraction(SAMPLE_RATE, engine.sample_rate)
    dry = scipy.signal.resample_poly(engine.pcm, ratio.numerator, ratio.denominator)
    # Below 90 Hz there is only rumble; above 9 kHz only the engine's hiss.
    dry = scipy.signal.sosfilt(
        scipy.signal.butter(2, [90, 9000], "bandpass", fs=SAMPLE_RATE, output="sos"), dry
    )
    first, last = _voiced_range(dry)
    if last <= first:
        return Speech(np.zeros((1, int(0.4 * SAMPLE_RATE)), np.float32), ())
    dry = _fade(dry[first:last])
    words = _words(line, engine, first / SAMPLE_RATE, (last - first) / SAMPLE_RATE)
    wet = scipy.signal.fftconvolve(dry, _room())
    return Speech(wet.astype(np.float32)[np.newaxis], words)


def _run_child(line: str, voice: Voice, engine_voice: str) -> _Spoken:
    request = {
        "library": espeakng_loader.get_library_path(),
        "data": str(Path(espeakng_loader.get_data_path()).parent),
        "voice": engine_voice,
        "text": line,
        "rate_wpm": voice.rate_wpm,
        "pitch": voice.pitch,
        "range": voice.range,
        "volume": 90,
        "word_gap": 0,
        "max_seconds": _CHILD_MAX_SPEECH_S,
    }
    try:
        ended = subprocess.run(
            [sys.executable, "-I", "-S", str(_CHILD)],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=_CHILD_TIMEOUT_S,
            check=True,
        )
        header, _, pcm = ended.stdout.partition(b"\n")
        told = json.loads(header)
        return _Spoken(
            np.asarray(np.frombuffer(pcm, dtype=np.int16) / np.float32(32768), np.float32),
            int(told["sample_rate"]),
            tuple((int(position), int(at_ms)) for position, at_ms in told["words"]),
            tuple(int(end_ms) for end_ms in told["ends_ms"]),
        )
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        raise MediaError(
            f"eSpeak NG could not speak {line[:40]!r} ({type(error).__name__})",
            where=engine_voice,
            todo="install espeakng-loader again, or give the line its own audio file",
        ) from error


def _voiced_range(dry: Audio) -> tuple[int, int]:
    """First and last sample within 45 dB of the peak, with a little air on either side."""
    level = np.abs(dry)
    peak = float(level.max(initial=0.0))
    if peak < 1e-3:
        return 0, 0
    loud = np.flatnonzero(level > peak * gain(-45))
    first = max(int(loud[0]) - int(_LEAD_S * SAMPLE_RATE), 0)
    return first, min(int(loud[-1]) + int(_TRAIL_S * SAMPLE_RATE), len(dry))


def _fade(dry: Audio) -> Audio:
    ramp = min(int(0.008 * SAMPLE_RATE), len(dry) // 2)
    dry[:ramp] *= np.linspace(0, 1, ramp)
    dry[-ramp:] *= np.linspace(1, 0, ramp)
    return dry


@cache
def _room() -> Audio:
    """A small furnished room: the direct sound and 120 ms of decaying noise, 17 dB below."""
    length = int(_ROOM_S * SAMPLE_RATE)
    time_s = np.arange(length) / SAMPLE_RATE
    tail = np.random.default_rng(7).standard_normal(length) * np.exp(-time_s / 0.028)
    tail[: int(0.004 * SAMPLE_RATE)] = 0
    tail = scipy.signal.sosfilt(
        scipy.signal.butter(1, [250, 4500], "bandpass", fs=SAMPLE_RATE, output="sos"), tail
    )
    room = tail * (gain(-17) / float(np.sqrt((tail**2).sum())))
    room *= np.minimum(1, np.linspace(8, 0, length))
    room[0] = 1
    return np.asarray(room, np.float32)


def _words(line: str, engine: _Spoken, lead_s: float, dry_s: float) -> tuple[Word, ...]:
    """The engine's word events as stretches of the line; a repeated or backward one is joined."""
    starts: list[tuple[int, float]] = []
    for position, at_ms in engine.words:
        if not starts or starts[-1][0] < position < len(line):
            at_s = min(max(at_ms / 1000 - lead_s, 0.0), dry_s)
            starts.append((position, max(at_s, starts[-1][1] if starts else 0.0)))
    ends_s = [min(max(end / 1000 - lead_s, 0.0), dry_s) for end in engine.ends_ms]
    words = []
    for index, (position, start_s) in enumerate(starts):
        is_last = index + 1 == len(starts)
        until = len(line) if is_last else starts[index + 1][0]
        next_s = dry_s if is_last else starts[index + 1][1]
        end_s = min([next_s, *(end for end in ends_s if end > start_s)])
        text = line[0 if index == 0 else position : until].strip()
        words.append(Word(text, start_s, end_s))
    return tuple(words)


def _warnings(line: str, lang: str, seconds: float, max_seconds: float | None) -> tuple[str, ...]:
    warnings = []
    if max_seconds is not None and seconds > max_seconds:
        warnings.append(
            f"{line[:40]!r} takes {seconds:.1f} s even hurried, expected at most {max_seconds:.1f}"
        )
    if lang.lower().startswith("ja") and re.search(r"[\u4e00-\u9fff]", line):
        warnings.append(f"{line[:40]!r}: the temporary voice cannot read kanji; write it in kana")
    return tuple(warnings)
