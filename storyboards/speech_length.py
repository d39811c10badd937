"""How long a line takes to say, without saying it.

`duration: auto` is as long as its dialogue. The length must not depend on a speech engine: it
decides the frames of a shot, and with them its key and its price. So this is arithmetic on the
text alone, in exact fractions, calibrated once to lie a little above temporary speech.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache

__all__ = ["delivery_rate", "estimate_speech_s"]

_BREATH_S = Fraction(34, 100)
"""Before and after a line, together."""

_CLAUSE_PAUSE_S = Fraction(32, 100)
_SENTENCE_PAUSE_S = Fraction(46, 100)

# Seconds for one syllable (kana mora, Han character, Hangul block) at an actor's easy pace.
_SYLLABLE_S = {
    "en": Fraction(203, 1000),
    "fr": Fraction(168, 1000),
    "de": Fraction(216, 1000),
    "es": Fraction(170, 1000),
    "it": Fraction(165, 1000),
    "pt": Fraction(180, 1000),
    "ja": Fraction(140, 1000),
    "zh": Fraction(275, 1000),
    "ko": Fraction(192, 1000),
}
_OTHER_SYLLABLE_S = Fraction(210, 1000)

_CLOSED_SYLLABLE_S = Fraction(3, 100)
"""More for each consonant letter over one between vowels, in alphabets."""

_DIGIT_SYLLABLES = Fraction(2)
"""Syllables for one digit of a number read out: 42 is forty-two, 1984 nineteen eighty-four."""

_KANJI_MORAE = 2

_CLOSED_HANGUL = Fraction(5, 4)

_DELIVERY_RATES = {
    "whisper": Fraction(95, 100),
    "quiet": Fraction(96, 100),
    "soft": Fraction(96, 100),
    "shout": Fraction(105, 100),
    "yell": Fraction(105, 100),
    "urgent": Fraction(118, 100),
    "panic": Fraction(120, 100),
    "fast": Fraction(120, 100),
    "quick": Fraction(118, 100),
    "excited": Fraction(112, 100),
    "angry": Fraction(106, 100),
    "slow": Fraction(80, 100),
    "sad": Fraction(88, 100),
    "weary": Fraction(86, 100),
    "tired": Fraction(86, 100),
    "solemn": Fraction(86, 100),
    "calm": Fraction(94, 100),
}

_VOWELS = frozenset("aeiouyæœøıаеёиоуыэюяіїєαεηιουω")
_CLAUSE_MARKS = frozenset(",;:،、，；：–—")
_SENTENCE_MARKS = frozenset(".!?…。！？؟।")
_SMALL_KANA = frozenset("ゃゅょぁぃぅぇぉャュョァィゥェォ")


@lru_cache(maxsize=4096)
def estimate_speech_s(text: str, lang: str = "en", delivery: str = "") -> Fraction:
    """Seconds that saying `text` takes, with a breath on either side; 0 for nothing to say."""
    language = re.split(r"[-_]", lang.lower())[0]
    language = "zh" if language in {"cmn", "yue"} else language
    folded = unicodedata.normalize("NFC", text).lower()
    voiced = sum((_word_s(word, language) for word in re.findall(r"\w+", folded)), Fraction(0))
    if not voiced:
        return Fraction(0)
    seconds = voiced + _pauses_s(folded)
    return _BREATH_S + seconds / delivery_rate(delivery)


def delivery_rate(delivery: str) -> Fraction:
    """How much faster than plain speech the words of `delivery` ask for; 1 when they do not."""
    rate = Fraction(1)
    for word in re.findall(r"\w+", delivery.lower()):
        for stem, factor in _DELIVERY_RATES.items():
            if word.startswith(stem):
                rate *= factor
                break
    return min(max(rate, Fraction(7, 10)), Fraction(14, 10))


@lru_cache(maxsize=8192)
def _word_s(word: str, language: str) -> Fraction:
    syllable_s = _SYLLABLE_S.get(language, _OTHER_SYLLABLE_S)
    syllables = Fraction(0)
    letters = ""
    for character in word:
        if character.isdigit():
            syllables += _DIGIT_SYLLABLES
        elif (written := _syllabic(character, language)) is not None:
            syllables += written
        else:
            letters += character
    if not letters:
        return syllables * syllable_s
    groups, extra = _vowel_groups(letters, language)
    return (syllables + groups) * syllable_s + extra * _CLOSED_SYLLABLE_S


def _syllabic(character: str, language: str) -> Fraction | None:
    """Syllables of a character that writes whole ones; None for a letter."""
    point = ord(character)
    if 0x3040 <= point <= 0x30FF:
        return Fraction(0) if character in _SMALL_KANA else Fraction(1)
    if 0xAC00 <= point <= 0xD7A3:
        # A block is (initial, vowel, final) of 28 finals, the first of them none.
        return _CLOSED_HANGUL if (point - 0xAC00) % 28 else Fraction(1)
    if 0x3400 <= point <= 0x9FFF or 0x20000 <= point <= 0x3FFFF:
        return Fraction(_KANJI_MORAE if language == "ja" else 1)
    return None


def _vowel_groups(letters: str, language: str) -> tuple[int, int]:
    """Runs of vowels, and consonants beyond one for each of them."""
    plain = "".join(
        mark
        for mark in unicodedata.normalize("NFD", letters)
        if not unicodedata.combining(mark)
    )  # fmt: skip
    groups = sum(
        1
        for index, letter in enumerate(plain)
        if letter in _VOWELS and (index == 0 or plain[index - 1] not in _VOWELS)
    )
    if language in {"en", "fr"} and groups > 1 and re.search(r"[^aeiouy]e(s|nt)?$", plain):
        groups -= 1
    consonants = sum(1 for letter in plain if letter not in _VOWELS)
    groups = max(groups, 1)
    return groups, max(consonants - groups, 0)


def _pauses_s(text: str) -> Fraction:
    """Pauses inside the line: none after its last mark, and a run of marks is one pause."""
    pauses = Fraction(0)
    previous = ""
    for character in text.rstrip().rstrip("".join(_CLAUSE_MARKS | _SENTENCE_MARKS)):
        if character in _SENTENCE_MARKS and previous not in _SENTENCE_MARKS:
            pauses += _SENTENCE_PAUSE_S
        elif character in _CLAUSE_MARKS:
            pauses += _CLAUSE_PAUSE_S
        previous = character
    return pauses
