"""The loudness meter reads the reference tones of its standard."""

from __future__ import annotations

import numpy as np
import pytest

from generator.sound.levels import gain, loudness_lufs, set_loudness

TIME_S = np.arange(5 * 48_000) / 48_000


def test_a_full_scale_kilohertz_tone_in_one_channel_reads_minus_three() -> None:
    # ITU-R BS.1770: a 0 dBFS 997 Hz sine in one front channel reads -3.01 LKFS.
    tone = np.sin(2 * np.pi * 997 * TIME_S)[np.newaxis].astype(np.float32)
    assert loudness_lufs(tone) == pytest.approx(-3.01, abs=0.05)
    assert loudness_lufs(np.vstack([tone, tone])) == pytest.approx(0, abs=0.05)
    assert loudness_lufs(tone * np.float32(gain(-20))) == pytest.approx(-23.01, abs=0.05)


def test_silence_is_gated_out_and_alone_reads_the_floor() -> None:
    tone = np.sin(2 * np.pi * 997 * TIME_S)[np.newaxis].astype(np.float32)
    padded = np.concatenate([tone, np.zeros_like(tone)], axis=1)
    assert loudness_lufs(padded) == pytest.approx(-3.0, abs=0.3)
    assert loudness_lufs(np.zeros((1, 48_000), np.float32)) == -70
    assert loudness_lufs(np.zeros((1, 0), np.float32)) == -70


def test_set_loudness_hits_its_target_below_its_ceiling() -> None:
    sound = np.random.default_rng(1).normal(0, 0.02, (1, 96_000)).astype(np.float32)
    assert loudness_lufs(set_loudness(sound, -20)) == pytest.approx(-20, abs=0.1)
    assert np.abs(set_loudness(sound, -3, peak_dbfs=-6)).max() <= gain(-6) + 1e-6
