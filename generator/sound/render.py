"""A planned sound as a file, made once and kept by its content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from generator.sound.foley import match_cues, synthesise_cue
from generator.sound.jobs import SoundJob
from generator.sound.levels import Audio, gain, loudness_lufs
from generator.sound.music import compose_bed
from generator.sound.requests import BedRequest, CueRequest, FileRequest, LineRequest
from generator.sound.speech import speak
from media.errors import StoreError
from media.sound import read_sound, write_sound
from media.store import ContentStore, Entry
from media.timebase import SAMPLE_RATE

__all__ = ["SOUND_FILE", "render_sound"]

SOUND_FILE = "sound.wav"

_MEASURE_BLOCK = 30 * SAMPLE_RATE
_GATE_LU = 10.0
_LOUDEST_PEAK = gain(-1.0)
_SILENCE_LUFS = -65.0
_EFFECT_LUFS = -22.0
"""5 LU under the dialogue."""
_JOIN_SAMPLES = 2 * SAMPLE_RATE
_SHORTEST_LOOP = SAMPLE_RATE // 2


def render_sound(job: SoundJob, store: ContentStore, assets: Mapping[str, Path]) -> Entry:
    """The kept sound of `job`: `sound.wav` (48 kHz float) and what is known about it.

    The details say `num_samples`, `words` as `[text, start_s, end_s]`, `matched` cues and
    `warnings`. `assets` are the user's files by SHA-256. Threads may call this at once.
    """

    def build(folder: Path) -> Mapping[str, Any]:
        audio, known = _make(job, assets)
        write_sound(folder / SOUND_FILE, audio)
        facts = {"words": [], "matched": [], "warnings": [], **known}
        return {**facts, "num_samples": audio.shape[1], "channels": audio.shape[0]}

    return store.make(job.key, build)


def _make(job: SoundJob, assets: Mapping[str, Path]) -> tuple[Audio, dict[str, Any]]:
    match job.request:
        case LineRequest(text, voice, delivery, max_samples):
            speech = speak(text, voice, delivery=delivery, max_seconds=max_samples / SAMPLE_RATE)
            words = [[word.text, word.start_s, word.end_s] for word in speech.words]
            return speech.audio, {"words": words, "warnings": list(speech.warnings)}
        case CueRequest(text, kind, num_samples, seed):
            cue = synthesise_cue(text, num_samples / SAMPLE_RATE, seed=seed, kind=kind)
            audio = _held_back(cue.audio) if kind == "sfx" else cue.audio
            return audio, {"matched": list(match_cues(text))}
        case BedRequest(prompt, num_samples, seed):
            return compose_bed(prompt, num_samples / SAMPLE_RATE, seed=seed), {}
        case FileRequest() as request:
            return _from_file(job, request, _asset(job, assets, request.sha256))


def _held_back(audio: Audio) -> Audio:
    """An effect that goes on and on (a foghorn) must not drown the lines, whatever its peak."""
    over = loudness_lufs(audio) - _EFFECT_LUFS
    return audio * np.float32(gain(-over)) if over > 0 else audio


def _asset(job: SoundJob, assets: Mapping[str, Path], sha256: str) -> Path:
    if sha256 in assets:
        return assets[sha256]
    if job.asset is not None:
        return job.asset.path
    raise StoreError("the file of this sound was not handed over", where=job.name)


def _from_file(job: SoundJob, request: FileRequest, path: Path) -> tuple[Audio, dict[str, Any]]:
    audio = read_sound(path)
    warnings = []
    if job.kind == "line" and audio.shape[1] > job.num_samples:
        over_s = (audio.shape[1] - job.num_samples) / SAMPLE_RATE
        warnings.append(f"the recording is {over_s:.1f} s longer than there is room for")
    if request.lufs is not None:
        # One channel is heard from both speakers, which adds 3 LU.
        measured = _loudness(audio) + (3.0 if audio.shape[0] == 1 else 0.0)
        peak = float(np.abs(audio).max(initial=0.0))
        if measured > _SILENCE_LUFS and peak > 0:
            audio *= np.float32(min(gain(request.lufs - measured), _LOUDEST_PEAK / peak))
    return _looped(audio, request.loop_samples), {"warnings": warnings}


def _looped(audio: Audio, num_samples: int) -> Audio:
    """`audio` repeated up to `num_samples`, with equal-power joins of up to two seconds."""
    length = audio.shape[1]
    if length >= num_samples:
        return audio
    join = min(_JOIN_SAMPLES, length // 4)
    if length - join < _SHORTEST_LOOP:
        return audio
    fade = np.sin((np.arange(join) + 0.5) / join * np.pi / 2).astype(np.float32)
    looped = np.zeros((audio.shape[0], num_samples), np.float32)
    for start in range(0, num_samples, length - join):
        turn = audio[:, : num_samples - start].copy()
        if start:
            turn[:, :join] *= fade[: turn.shape[1]]
        turn[:, length - join :] *= fade[::-1][: max(turn.shape[1] - (length - join), 0)]
        looped[:, start : start + turn.shape[1]] += turn
    return looped


def _loudness(audio: Audio) -> float:
    """Loudness in LUFS from blocks of 30 s, so that an hour of music fits in memory."""
    starts = range(0, audio.shape[1], _MEASURE_BLOCK)
    blocks = [loudness_lufs(audio[:, start : start + _MEASURE_BLOCK]) for start in starts]
    loud = [block for block in blocks if block > max(blocks) - _GATE_LU]
    return float(10 * np.log10(np.mean([10 ** (block / 10) for block in loud])))
