"""Cues are found in words, sound every time alike, and never fall silent without a word."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import welch

from generator.sound.foley import known_cues, match_cues, natural_seconds, synthesise_cue
from generator.sound.levels import loudness_lufs


def centre_hz(audio: NDArray[np.float32]) -> float:
    """Power-weighted mean frequency."""
    frequency, power = welch(audio.mean(axis=0), 48_000, nperseg=4096)
    return float((frequency * power).sum() / power.sum())


@pytest.mark.parametrize(
    ("text", "cues"),
    [
        ("surf, distant gulls", ("surf", "gulls")),
        ("rail creak", ("creak",)),
        ("Waves break below; wind", ("surf", "wind")),
        ("footsteps on gravel", ("footsteps on gravel",)),
        ("car horn", ("horn",)),
        ("a foghorn moans", ("foghorn",)),
        ("soft room tone", ("room tone",)),
        ("heavy rain and rolling thunder", ("rain", "thunder")),
        ("a rainbow over the trainer's seat", ()),
        ("xyzzy", ()),
        ("", ()),
    ],
)
def test_cues_are_found_in_free_text(text: str, cues: tuple[str, ...]) -> None:
    assert match_cues(text) == cues


@pytest.mark.parametrize("name", known_cues())
def test_every_cue_sounds_as_ambience_and_as_effect(name: str) -> None:
    ambience = synthesise_cue(name, 4, seed=1, kind="ambience")
    assert ambience.matched == (name,)
    assert ambience.audio.shape == (2, 4 * 48_000)
    assert ambience.audio.dtype == np.float32
    assert -42 < loudness_lufs(ambience.audio) < -28
    assert np.abs(ambience.audio).max() < 0.33
    effect = synthesise_cue(name, natural_seconds(name), seed=1, kind="sfx").audio
    assert 20 * np.log10(np.abs(effect).max()) == pytest.approx(-12, abs=0.5)
    assert np.abs(effect[:, -1]).max() < 0.01, "an effect ends without a click"


def test_the_seed_decides_the_samples() -> None:
    first, same, other = (
        synthesise_cue("surf, gulls, knock", 3, seed=seed, kind="ambience").audio
        for seed in (4, 4, 5)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_an_unknown_cue_matches_nothing_and_is_silent() -> None:
    cue = synthesise_cue("xyzzy", 1, seed=1, kind="sfx")
    assert cue.matched == ()
    assert not cue.audio.any()


def test_distance_takes_level_and_highs() -> None:
    near = synthesise_cue("rain", 5, seed=1, kind="ambience").audio
    far = synthesise_cue("distant rain", 5, seed=1, kind="ambience").audio
    assert loudness_lufs(near) - loudness_lufs(far) == pytest.approx(9, abs=1)
    assert centre_hz(far) < centre_hz(near) / 2


def test_modifiers_touch_only_their_own_clause() -> None:
    plain = synthesise_cue("wind", 5, seed=1, kind="ambience").audio
    with_birds = synthesise_cue("wind, quiet birds", 5, seed=1, kind="ambience").audio
    birds = synthesise_cue("quiet birds", 5, seed=1, kind="ambience").audio
    assert np.allclose(with_birds, plain + birds, atol=1e-6)


def test_a_long_ambience_has_no_seam_and_no_hole() -> None:
    audio = synthesise_cue("wind, stream", 95, seed=2, kind="ambience").audio
    level = np.sqrt((audio.reshape(2, -1, 24_000) ** 2).mean(axis=(0, 2)))
    assert level.min() > level.mean() * 0.3
    steps = np.abs(np.diff(audio, axis=1))
    assert steps.max() < 12 * steps.mean()


def test_a_loop_meets_itself_only_when_it_must_and_ends_are_not_faded() -> None:
    audio = synthesise_cue("rain", 6, seed=2, kind="ambience").audio
    first, last = audio[:, :4800].std(), audio[:, -4800:].std()
    assert first == pytest.approx(last, rel=0.4)
    assert first == pytest.approx(audio.std(), rel=0.4)


def test_steps_keep_time_and_can_be_hurried() -> None:
    slow, fast = natural_seconds("slow footsteps"), natural_seconds("fast footsteps")
    assert slow > natural_seconds("footsteps") > fast
    assert natural_seconds("xyzzy") == 0


def test_no_time_is_no_sound() -> None:
    assert synthesise_cue("rain", 0, seed=1, kind="sfx").audio.shape == (2, 0)
