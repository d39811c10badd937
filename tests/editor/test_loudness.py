"""What is delivered meets the target, measured on the decoded AAC."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from editor.limiter import HOP, hop_peaks_db, limit
from editor.loudness import finish_sound, measure_loudness
from editor.mix import STEMS, Stems, mix
from media.errors import MediaError
from media.sound import read_sound
from media.timebase import SAMPLE_RATE
from storyboards.schema import Loudness
from tests.editor.sound_samples import F32, film_of, noise, place

TARGET = Loudness(lufs=-14.0, true_peak_db=-1.0)


def stems_of(folder: Path, *sounds: F32) -> Stems:
    placed = [
        place(folder, f"s{index}", audio, 0, stem=STEMS[index])
        for index, audio in enumerate(sounds)
    ]
    longest = max(audio.shape[1] for audio in sounds)
    return mix(film_of(-(-longest // 2000), sounds=tuple(placed)), folder / "raw")


def bursts(seconds: float, db: float) -> F32:
    """Quiet noise with a loud stroke every half second: peaks far above the rest."""
    audio = noise(seconds, db)
    for start in range(6000, audio.shape[1] - 600, SAMPLE_RATE // 2):
        audio[:, start : start + 600] += noise(600 / SAMPLE_RATE, db + 16, seed=9)
    return audio


@pytest.mark.parametrize(
    "sound",
    [noise(6, -50), noise(6, -3), noise(1.0, -20), bursts(6, -30)],
    ids=["quiet", "loud", "short", "peaky"],
)
def test_the_delivered_sound_meets_the_target(tmp_path: Path, sound: F32) -> None:
    finished = finish_sound(stems_of(tmp_path, sound), TARGET, tmp_path / "out")
    judged = measure_loudness(finished.aac)
    assert judged.lufs == pytest.approx(TARGET.lufs, abs=0.3)
    assert judged.true_peak_db is not None
    assert judged.true_peak_db <= TARGET.true_peak_db
    assert (finished.report.lufs, finished.report.note) == (judged.lufs, "")


@pytest.mark.parametrize("lufs", [-23.0, -16.0])
def test_other_targets(tmp_path: Path, lufs: float) -> None:
    target = Loudness(lufs=lufs, true_peak_db=-2.0)
    report = finish_sound(stems_of(tmp_path, noise(3, -20)), target, tmp_path / "out").report
    assert report.lufs == pytest.approx(lufs, abs=0.3)


def test_stems_follow_gain_and_limiter_and_still_sum(tmp_path: Path) -> None:
    raw = stems_of(tmp_path, bursts(4, -30), noise(4, -30, 2), noise(4, -35, 3))
    finished = finish_sound(raw, TARGET, tmp_path / "out", with_stems=True)
    total = sum(read_sound(path) for path in finished.stems.by_name().values())
    film = read_sound(finished.stems.film)
    np.testing.assert_allclose(total, film, atol=1e-5)
    assert np.abs(film).max() < 1.0
    plain = read_sound(raw.film) * 10 ** (finished.report.gain_db / 20)
    assert np.abs(plain).max() > np.abs(film).max() + 0.1, "nothing was limited in this test"


@pytest.mark.parametrize("sound", [np.zeros((2, 96_000), np.float32), noise(0.1, -20)])
def test_silence_and_a_blink_are_said_so(tmp_path: Path, sound: F32) -> None:
    report = finish_sound(stems_of(tmp_path, sound), TARGET, tmp_path / "out").report
    assert "no loudness to set" in report.note
    assert report.lufs is None
    assert report.gain_db == 0.0


def test_the_raw_mix_is_never_overwritten(tmp_path: Path) -> None:
    raw = stems_of(tmp_path, noise(1, -20))
    with pytest.raises(MediaError, match="another folder"):
        finish_sound(raw, TARGET, tmp_path / "raw")


def test_the_limiter_holds_every_measured_peak(tmp_path: Path) -> None:
    sound = replace(place(tmp_path, "s", bursts(3, -20), 0), gain_db=0.0)
    film = mix(film_of(72, sounds=(sound,)), tmp_path / "raw").film
    peaks = hop_peaks_db(film, -1.0 - 10.0)
    curve = limit(peaks, 10.0, -1.0)
    assert curve.limits
    audio = read_sound(film) * curve.factors(0, 144_000)
    assert 20 * np.log10(np.abs(audio).max()) <= -1.0 + 1e-3
    untouched = limit(np.full(100, -30, np.float32), 10.0, -1.0)
    assert not untouched.limits
    assert untouched.factors(0, HOP) == pytest.approx(10 ** (10 / 20))


def test_peaks_between_samples_are_seen(tmp_path: Path) -> None:
    """A sine at a quarter of the rate, 45 degrees off the samples, stands 3 dB above them."""
    at = np.arange(SAMPLE_RATE)
    sine = np.float32(0.5) * np.sin(np.pi / 2 * at + np.pi / 4).astype(np.float32)
    sound = place(tmp_path, "sine", sine[np.newaxis].repeat(2, axis=0), 0)
    film = mix(film_of(24, sounds=(sound,)), tmp_path / "raw").film
    assert hop_peaks_db(film, -6.0)[200] == pytest.approx(20 * np.log10(0.5), abs=0.3)
    assert 20 * np.log10(np.abs(sine).max()) == pytest.approx(-9.03, abs=0.01)
