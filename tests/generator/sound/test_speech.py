"""Lines are spoken the same every time, at one level, on time, and as text only."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from generator.sound.levels import loudness_lufs
from generator.sound.speech import speak, supported_languages, voice_for
from media.errors import MediaError

LINE = "It never went out, not once in forty years."
MARA = voice_for("mara", "en", "woman, 60s, grey braid, yellow oilskin")


def test_the_same_line_gives_the_same_samples() -> None:
    first = speak(LINE, MARA)
    time.sleep(1.1)  # the engine would seed its flutter with the second
    again = speak(LINE, MARA)
    assert np.array_equal(first.audio, again.audio)
    assert first.words == again.words


def test_audio_is_mono_float_trimmed_and_level() -> None:
    for text in ("Yes.", LINE):
        speech = speak(text, MARA)
        assert speech.audio.dtype == np.float32
        assert speech.audio.shape[0] == 1
        assert loudness_lufs(speech.audio) == pytest.approx(-20, abs=1)
        assert np.abs(speech.audio).max() < 0.9
        assert np.abs(speech.audio[0, : 48 * 60]).max() > 0.01, "speech starts within 60 ms"


def test_words_cover_the_line_in_order_with_their_punctuation() -> None:
    speech = speak(LINE, MARA)
    assert " ".join(word.text for word in speech.words) == LINE
    times = [moment for word in speech.words for moment in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert times[-1] <= speech.seconds


def test_a_line_is_hurried_to_fit_but_never_cut() -> None:
    plain = speak(LINE, MARA)
    fitted = speak(LINE, MARA, max_seconds=plain.seconds * 0.8)
    assert fitted.seconds <= plain.seconds * 0.8
    assert not fitted.warnings
    impossible = speak(LINE, MARA, max_seconds=0.5)
    assert impossible.seconds > plain.seconds / 2
    assert "expected at most 0.5" in impossible.warnings[0]


def test_delivery_is_heard() -> None:
    plain = speak(LINE, MARA)
    shout, whisper = speak(LINE, MARA, delivery="shouting"), speak(LINE, MARA, delivery="whispered")
    assert loudness_lufs(shout.audio) > -17 > -24 > loudness_lufs(whisper.audio)
    assert speak(LINE, MARA, delivery="slow, weary").seconds > plain.seconds * 1.1


def test_voices_are_stable_distinct_and_steered() -> None:
    assert voice_for("mara", "en", "woman") == voice_for("mara", "en", "woman")
    cast = {voice_for(f"character {index}", "en") for index in range(30)}
    assert len(cast) == 30
    assert voice_for("a", "en", "a young woman").variant.startswith("f")
    assert voice_for("a", "en", "man in a coat").variant.startswith("m")
    deep, plain = voice_for("a", "en", "a man, deep voice"), voice_for("a", "en", "a man")
    assert deep.pitch < plain.pitch < voice_for("a", "en", "a man", pitch=1.3).pitch
    assert voice_for("a", "en", rate=1.5).rate_wpm > voice_for("a", "en").rate_wpm


@pytest.mark.parametrize("lang", ["fr-FR", "de", "es", "it", "pt-BR", "ja", "zh-CN", "ko", "EN_us"])
def test_regional_tags_find_a_voice(lang: str) -> None:
    assert speak("42", voice_for("mara", lang)).words


def test_an_unknown_language_names_near_ones() -> None:
    assert {"en", "fr", "ja", "zh", "ko"} <= set(supported_languages())
    with pytest.raises(MediaError, match=r"'frr'.*near ones are.*fr"):
        voice_for("mara", "frr")


@pytest.mark.parametrize("text", ["", "  \n", "\x00\x07", "\u200b"])
def test_an_empty_line_is_refused(text: str) -> None:
    with pytest.raises(MediaError, match="empty line"):
        speak(text, MARA)


def test_an_endless_line_is_refused() -> None:
    with pytest.raises(MediaError, match="2001 characters"):
        speak("a" * 2001, MARA)


def test_marks_alone_are_a_short_silence() -> None:
    speech = speak("...", MARA)
    assert not speech.words
    assert 0 < speech.seconds < 1
    assert not speech.audio.any()


def test_markup_and_escapes_are_only_text() -> None:
    paused = speak("Hello <break time='5s'/> there", MARA)
    assert "break" in " ".join(word.text for word in paused.words)
    escaped = speak("Hello [[h@'loU]] there", MARA)
    assert escaped.seconds > speak("Hello there", MARA).seconds * 1.5
    assert speak("Hel\x00lo", MARA).words


def test_kanji_is_reported() -> None:
    assert "kana" in speak("灯台", voice_for("mara", "ja")).warnings[0]


def test_a_broken_engine_is_an_error_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("generator.sound.speech._CHILD", tmp_path / "gone.py")
    with pytest.raises(MediaError, match=r"could not speak.*install espeakng-loader again"):
        speak(LINE, MARA)
