"""A spoken text cut into captions: where to break, by reading units and by the voice's pauses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Piece", "line_width", "pieces_of", "split_speech"]

LATIN_WIDTH = 42
WIDE_WIDTH = 16

_WIDE_LANGS = frozenset({"zh", "ja", "ko", "yue", "cmn"})
_SENTENCE_END = tuple(".!?…。！？؟।")
_CLAUSE_END = tuple(",;:–—、，；：،")
_NO_START = frozenset(
    "、。，．！？：；」』）】〉》〕〗’”!?,.;:)]}ーぁぃぅぇぉっゃゅょァィゥェォッャュョ々…"
)
_NO_END = frozenset("「『（【〈《〔〖‘“([{")

_PAUSE_S = 0.8
"""A silence this long ends a caption: what follows must not be read before it is said."""

_NEXT = 1e-9
"""A unit that begins exactly where a stretch ends belongs to the next one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text with seconds after the line's start; as a unit it is never broken."""

    text: str
    start_s: float
    end_s: float
    space: bool = True
    """Whether a space stands before it."""


def line_width(lang: str) -> float:
    """Characters that one line of a caption holds."""
    return WIDE_WIDTH if re.split("[-_]", lang.lower())[0] in _WIDE_LANGS else LATIN_WIDTH


def pieces_of(
    text: str, words: Sequence[tuple[str, float, float]], duration_s: float
) -> list[Piece]:
    """The units of `text` (words; single characters where nothing is spaced), with times.

    Times are read off the words by their share of the letters, so a text that was spoken in
    other stretches than it is written keeps its pace.
    """
    units = [
        (unit, index == 0) for written in text.split() for index, unit in enumerate(_units(written))
    ]
    spoken = [word for word in words if word[0].strip()] or [(text, 0.0, duration_s)]
    letters = np.cumsum([len("".join(word.split())) for word, _, _ in spoken])
    shares = [0.0, *(letters / letters[-1]).tolist()]
    total = sum(len(unit) for unit, _ in units)
    pieces = []
    done = 0
    for unit, space in units:
        begin, done = done, done + len(unit)
        first = int(np.searchsorted(shares, begin / total + _NEXT, "right")) - 1
        last = int(np.searchsorted(shares, done / total - _NEXT, "right")) - 1
        start_s = _moment(spoken[first], shares[first : first + 2], begin / total)
        end_s = _moment(spoken[last], shares[last : last + 2], done / total)
        pieces.append(Piece(unit, start_s, max(end_s, start_s), space))
    return pieces


def split_speech(pieces: list[Piece], width: float, max_s: float) -> list[Piece]:
    """Captions of at most two lines of `width` and `max_s` seconds, lines divided by a newline."""
    captions = []
    rest = pieces
    while rest:
        count = _count(rest, width, max_s)
        captions.append(
            Piece("\n".join(_wrapped(rest[:count], width)), rest[0].start_s, rest[count - 1].end_s)
        )
        rest = rest[count:]
    return captions


def _moment(word: tuple[str, float, float], shares: list[float], share: float) -> float:
    """When the letters up to `share` of the text have been said, inside the stretch they are in."""
    _, start_s, end_s = word
    return float(np.interp(share, shares, [start_s, end_s]))


def _units(written: str) -> list[str]:
    """A spaced word as it is, or its ideographs and kana one by one with their punctuation."""
    units: list[str] = []
    for mark in written:
        joins = (
            bool(units)
            and not unicodedata.combining(mark)
            and not _is_wide(mark)
            and not _is_wide(units[-1][-1])
        )
        stays = bool(units) and (mark in _NO_START or units[-1][-1] in _NO_END)
        if joins or stays or (units and unicodedata.combining(mark)):
            units[-1] += mark
        else:
            units.append(mark)
    return [part for unit in units for part in _chopped(unit)]


def _chopped(unit: str) -> list[str]:
    """A word longer than any line in pieces that fit."""
    return [unit[start : start + LATIN_WIDTH] for start in range(0, len(unit), LATIN_WIDTH)]


def _is_wide(mark: str) -> bool:
    point = ord(mark)
    return 0x2E80 <= point <= 0x9FFF or 0xFF00 <= point <= 0xFF60 or 0x20000 <= point <= 0x3FFFF


def _count(rest: list[Piece], width: float, max_s: float) -> int:
    """How many pieces the next caption takes: what fits, broken where one would breathe."""
    fits = 1
    while fits < len(rest):
        paused = rest[fits].start_s - rest[fits - 1].end_s > _PAUSE_S
        if paused or rest[fits].end_s - rest[0].start_s > max_s:
            break
        if len(_wrapped(rest[: fits + 1], width)) > 2:
            break
        fits += 1
    if fits == len(rest) or rest[fits].start_s - rest[fits - 1].end_s > _PAUSE_S:
        return fits
    whole = _width(_joined(rest), width)
    # What is left for two captions is shared out evenly; more than that fills this one first.
    goal = min(whole / 2, _width(_joined(rest[:fits]), width))
    return min(range(1, fits + 1), key=lambda n: _cost(rest, n, goal, width))


def _cost(rest: list[Piece], count: int, goal: float, width: float) -> float:
    off = abs(_width(_joined(rest[:count]), width) - goal) / goal
    return off - _breath(rest[count - 1].text)


def _breath(text: str) -> float:
    bare = text.rstrip("\"'”’」』)")
    return 0.6 if bare.endswith(_SENTENCE_END) else 0.3 if bare.endswith(_CLAUSE_END) else 0.0


def _wrapped(pieces: list[Piece], width: float) -> list[str]:
    """One line, or two as even as they go with the break at a breath, or as many as it takes."""
    whole = _joined(pieces)
    if _width(whole, width) <= width:
        return [whole]
    best: tuple[float, list[str]] | None = None
    for count in range(1, len(pieces)):
        lines = [_joined(pieces[:count]), _joined(pieces[count:])]
        top, bottom = (_width(line, width) for line in lines)
        if max(top, bottom) > width:
            continue
        cost = abs(bottom - top) / width - _breath(pieces[count - 1].text)
        if best is None or cost < best[0]:
            best = (cost, lines)
    if best is not None:
        return best[1]
    return [whole] if len(pieces) == 1 else ["", "", whole]


def _joined(pieces: list[Piece]) -> str:
    return "".join(
        f"{' ' if piece.space and index else ''}{piece.text}" for index, piece in enumerate(pieces)
    )


def _width(text: str, width: float) -> float:
    """Characters; in captions of wide characters a narrow one counts half."""
    if width > WIDE_WIDTH:
        return float(len(text))
    return sum(1.0 if unicodedata.east_asian_width(mark) in "WF" else 0.5 for mark in text)
