from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from media.errors import MediaError
from media.ffmpeg import run_ffmpeg
from media.probe import probe
from media.sound import db_to_gain, read_sound, sound_seconds, to_stereo, write_sound


def tone(channels: int, samples: int) -> NDArray[np.float32]:
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(samples) / 48_000)
    return np.stack([wave * (1 - 0.5 * c) for c in range(channels)]).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [1, 2000, 480_001])
def test_sound_survives_exactly(tmp_path: Path, channels: int, samples: int) -> None:
    audio, path = tone(channels, samples) * 3, tmp_path / "a.wav"
    write_sound(path, audio)
    assert np.array_equal(read_sound(path), audio)
    assert sound_seconds(path) == Fraction(samples, 48_000)
    found = probe(path)
    assert (found.audio_channels, found.sample_rate, found.size) == (channels, 48_000, None)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def make(path: Path, source: str, *options: str) -> Path:
    run_ffmpeg(
        ["-f", "lavfi", "-i", source, "-t", "2", *options, str(path)], what="m", timeout_s=60
    )
    return path


def test_other_rates_are_resampled(tmp_path: Path) -> None:
    path = make(tmp_path / "a.wav", "sine=frequency=1000:sample_rate=44100")
    audio = read_sound(path)
    assert audio.shape[0] == 1
    assert abs(audio.shape[1] - 96_000) <= 2
    spectrum = np.abs(np.fft.rfft(audio[0, :48_000]))
    assert abs(int(spectrum.argmax()) - 1000) <= 1


def test_surround_is_mixed_to_stereo_and_mp3_is_read(tmp_path: Path) -> None:
    six = "aevalsrc=" + "|".join(["0.2*sin(880*PI*t)"] * 6) + ":c=5.1:s=48000"
    assert read_sound(make(tmp_path / "a.wav", six)).shape == (2, 96_000)
    assert read_sound(make(tmp_path / "a.mp3", "sine")).shape[0] == 1


def test_too_long_silent_or_broken_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_sound(path, tone(1, 48_000))
    with pytest.raises(MediaError, match=r"at most 0\.5 s"):
        read_sound(path, max_seconds=0.5)
    picture = make(tmp_path / "a.mp4", "testsrc=size=64x48")
    with pytest.raises(MediaError, match="no sound"):
        read_sound(picture)
    write_sound(path, np.full((1, 100), np.nan, np.float32))
    with pytest.raises(MediaError, match="not numbers"):
        read_sound(path)
    path.write_bytes(b"RIFF")
    with pytest.raises(MediaError, match="cannot read"):
        read_sound(path)


def test_shapes_that_are_no_sound_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="expected"):
        write_sound(tmp_path / "a.wav", np.zeros(100, np.float32))
    assert not list(tmp_path.iterdir())


def test_stereo_is_two_channels_of_the_same_level() -> None:
    assert np.array_equal(to_stereo(tone(1, 10)), np.repeat(tone(1, 10), 2, axis=0))
    assert np.array_equal(to_stereo(tone(2, 10)), tone(2, 10))


@given(st.floats(-120, 40), st.floats(-120, 40))
def test_decibels_add_where_gains_multiply(a: float, b: float) -> None:
    assert db_to_gain(a) * db_to_gain(b) == pytest.approx(db_to_gain(a + b))
    assert db_to_gain(20) == pytest.approx(10)
