"""Marks must land on their sample, stems must sum, beds must make room."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from editor.mix import STEMS, Stems, mix
from editor.timeline import Edge
from media.errors import MediaError
from media.sound import read_sound, write_sound
from media.timebase import SAMPLE_RATE, samples_at
from storyboards.fields import TransitionKind
from tests.editor.sound_samples import FPS, click, clip_of, film_of, noise, place


def rms_db(audio: np.ndarray, start_s: float, end_s: float) -> float:
    part = audio[:, int(start_s * SAMPLE_RATE) : int(end_s * SAMPLE_RATE)]
    return float(20 * np.log10(np.sqrt(np.mean(part**2)) + 1e-12))


def heard(stems: Stems, name: str) -> np.ndarray:
    return read_sound(getattr(stems, name))


def test_marks_do_not_drift_over_ten_minutes_of_ntsc_film(tmp_path: Path) -> None:
    fps = Fraction(24000, 1001)
    frames = [0, 1, 7, 1111, 7193, 14385]
    mark = click(100)
    sounds = tuple(
        place(tmp_path, f"mark{frame}", mark, samples_at(frame, fps)) for frame in frames
    )
    stems = mix(film_of(14400, sounds=sounds, fps=fps), tmp_path / "out")
    film = heard(stems, "film")
    assert film.shape == (2, samples_at(14400, fps)) == (2, 28_828_800)
    for frame in frames[2:]:
        start = round(frame * 1001 / 24000 * SAMPLE_RATE)
        np.testing.assert_array_equal(film[:, start : start + 100], mark)


def test_stems_are_as_long_as_the_film_and_sum_to_it(tmp_path: Path) -> None:
    sounds = (
        place(tmp_path, "line", noise(2, -20, 1, channels=1), 30_000, stem="dialogue"),
        place(tmp_path, "door", noise(1, -20, 2), 100_000, stem="effects", gain_db=-3.0),
        place(tmp_path, "surf", noise(12, -30, 3), 0, stem="ambience", duck_db=-3.0),
        place(tmp_path, "bed", noise(12, -24, 4), -480, stem="music", duck_db=-9.0),
    )
    stems = mix(film_of(251, sounds=sounds), tmp_path / "out")
    parts = [heard(stems, name) for name in STEMS]
    assert {part.shape for part in parts} == {(2, 251 * 2000)}
    np.testing.assert_allclose(sum(parts), heard(stems, "film"), atol=2e-7)
    assert all(part.any() for part in parts)


def test_music_goes_down_before_the_first_word_and_comes_back(tmp_path: Path) -> None:
    sounds = (
        place(tmp_path, "line", noise(2, -20, 1), 4 * SAMPLE_RATE),
        place(tmp_path, "more", noise(1, -20, 1), round(6.4 * SAMPLE_RATE)),
        place(tmp_path, "bed", noise(12, -24, 4), 0, stem="music", duck_db=-9.0),
    )
    music = heard(mix(film_of(288, sounds=sounds), tmp_path / "out"), "music")
    bed = noise(12, -24, 4)

    def depth(start_s: float, end_s: float) -> float:
        return rms_db(music, start_s, end_s) - rms_db(bed, start_s, end_s)

    assert depth(0, 3.7) == pytest.approx(0, abs=0.05)
    assert depth(3.99, 6) == pytest.approx(-9, abs=0.1)
    assert depth(6.1, 6.3) == pytest.approx(-9, abs=0.1), "the breath between sentences pumps"
    assert depth(9.0, 12) == pytest.approx(0, abs=0.05)


def test_a_sound_shorter_than_its_place_is_followed_by_silence(tmp_path: Path) -> None:
    sound = place(tmp_path, "short", noise(1, -20), 4800, num_samples=5 * SAMPLE_RATE)
    film = heard(mix(film_of(240, sounds=(sound,)), tmp_path / "out"), "film")
    assert not film[:, :4800].any()
    assert not film[:, 4800 + SAMPLE_RATE :].any()
    assert film[:, 4800 : 4800 + SAMPLE_RATE].any()


def test_crossed_fades_keep_the_power(tmp_path: Path) -> None:
    half = SAMPLE_RATE
    sounds = (
        place(tmp_path, "a", noise(3, -20, 1), 0, stem="ambience", fade_out_samples=half),
        place(tmp_path, "b", noise(3, -20, 2), 2 * half, stem="ambience", fade_in_samples=half),
    )
    film = heard(mix(film_of(120, sounds=sounds), tmp_path / "out"), "film")
    assert rms_db(film, 2.0, 3.0) == pytest.approx(-20, abs=0.5)


@pytest.mark.parametrize(
    ("kind", "earlier", "later"),
    [(TransitionKind.DISSOLVE, False, False), (TransitionKind.J_CUT, False, True),
     (TransitionKind.L_CUT, True, False)],
)  # fmt: skip
def test_overlaps_of_clips_own_sound(
    tmp_path: Path, kind: TransitionKind, earlier: bool, later: bool
) -> None:
    """In a J cut the later sound is whole at once, in an L cut the earlier one to its end."""
    write_sound(tmp_path / "tone.wav", np.full((2, 96_000), 0.25, np.float32))
    write_sound(tmp_path / "none.wav", np.zeros((2, 96_000), np.float32))
    levels = []
    for mine in (0, 1):
        files = [tmp_path / ("tone.wav" if n == mine else "none.wav") for n in (0, 1)]
        clips = (clip_of("a", files[0], 0, 48), clip_of("b", files[1], 36, 48, Edge(kind, 12)))
        film = heard(mix(film_of(84, clips=clips), tmp_path / f"out{mine}"), "effects")
        levels.append(float(film[0, (samples_at(42, FPS))]) == pytest.approx(0.25, abs=1e-3))
        assert film[0, 36 * 2000 - 4000] == (0.25 if mine == 0 else 0)
    assert levels == [earlier, later]


def test_speaking_clips_go_on_the_dialogue_stem_from_the_frame_they_start_on(
    tmp_path: Path,
) -> None:
    ramp = np.linspace(0, 0.5, 96_000, dtype=np.float32)[np.newaxis].repeat(2, axis=0)
    write_sound(tmp_path / "own.wav", ramp)
    clip = clip_of("a", tmp_path / "own.wav", 0, 24)
    later = type(clip.media)(
        clip.media.path, "a", 48, (64, 48), FPS, start_frame=12, sound=clip.media.sound
    )
    clip = type(clip)("a", later, 0, 24)
    stems = mix(film_of(24, clips=(clip,)), tmp_path / "out", speaking={"a"})
    assert heard(stems, "dialogue")[0, 24_000] == pytest.approx(ramp[0, 48_000], abs=1e-6)
    assert not heard(stems, "effects").any()


def test_a_missing_sound_is_one_clear_error_and_leaves_no_half_file(tmp_path: Path) -> None:
    sound = place(tmp_path, "gone", click(), 0, stem="music")
    sound.path.unlink()
    with pytest.raises(MediaError, match="no such sound file"):
        mix(film_of(24, sounds=(sound,)), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["dialogue.wav"]
