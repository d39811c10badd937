"""A bed fills exactly its length, obeys its prompt, has no click, and has ended when it ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import welch

from generator.sound.levels import loudness_lufs
from generator.sound.music import compose_bed, read_prompt
from media.errors import MediaError

PROMPTS = (
    "slow cello, 60 bpm",
    "epic drums and strings",
    "happy guitar and bells, 110 bpm",
    "calm piano and pad",
    "tense synth, bass",
    "",
)


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("seconds", [1.0, 3.3, 14.125])
def test_a_bed_is_exact_level_and_finished(prompt: str, seconds: float) -> None:
    bed = compose_bed(prompt, seconds, seed=3)
    assert bed.shape == (2, round(seconds * 48_000))
    assert bed.dtype == np.float32
    assert np.isfinite(bed).all()
    assert loudness_lufs(bed) == pytest.approx(-20, abs=2)
    assert np.abs(bed).max() <= 0.71
    assert np.abs(bed[:, -240:]).max() < 1e-3
    assert np.abs(bed[:, 0]).max() == 0
    # The last tenth is a dying tail, not a cut.
    tail = bed[:, -bed.shape[1] // 10 :]
    assert tail[:, : tail.shape[1] // 2].std() > 2 * tail[:, tail.shape[1] // 2 :].std()


@pytest.mark.parametrize("prompt", PROMPTS)
def test_there_are_no_clicks(prompt: str) -> None:
    bed = compose_bed(prompt, 12, seed=5)
    assert np.abs(np.diff(bed, axis=1)).max() < 0.3


def test_the_seed_decides_the_samples() -> None:
    first, same, other = (compose_bed("piano", 6, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_the_last_chord_is_the_tonic_of_the_first() -> None:
    bed = compose_bed("sad pad", 30, seed=4)
    first, last = bed[0, 24_000:150_000], bed[0, -170_000:-90_000]
    assert _root(first) == _root(last)


def _root(sound: np.ndarray[tuple[int], np.dtype[np.float32]]) -> int:
    """Pitch class of the strongest tone in the bass octave."""
    frequency, power = welch(sound, 48_000, nperseg=65_536)
    bass = (frequency > 60) & (frequency < 130)
    hertz = frequency[bass][power[bass].argmax()]
    return round(69 + 12 * np.log2(hertz / 440)) % 12


def test_prompts_are_read() -> None:
    cello = read_prompt("slow cello, 60 bpm")
    assert (cello.bpm, cello.instruments) == (60, ("cello",))
    assert read_prompt("happy ukulele").mode == "major"
    assert read_prompt("sad piano").mode == "minor"
    assert read_prompt("hopeful piano in a minor key").mode == "minor"
    assert read_prompt("5000 bpm 999 bpm").bpm == 180
    assert "drums" in read_prompt("epic").instruments
    assert read_prompt("drums").instruments == ("drums", "pad")


def test_tempo_is_heard() -> None:
    def onsets(bpm: int) -> int:
        bed = compose_bed(f"piano, {bpm} bpm", 16, seed=1)
        level = np.abs(bed[0]).reshape(-1, 960).max(axis=1)
        return int((np.diff(level) > 0.25 * level.max() * 0.4).sum())

    assert onsets(120) > onsets(60) * 1.3


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1801.0])
def test_an_impossible_length_is_refused(seconds: float) -> None:
    with pytest.raises(MediaError, match="cannot be composed"):
        compose_bed("cello", seconds, seed=1)


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=60), st.floats(0.01, 4), st.integers(0, 2**40))
def test_any_prompt_composes(prompt: str, seconds: float, seed: int) -> None:
    bed = compose_bed(prompt, seconds, seed=seed)
    assert bed.shape[1] == round(seconds * 48_000)
    assert np.isfinite(bed).all()
