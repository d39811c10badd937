"""Captions from spoken lines, timed by their words, as SRT and WebVTT.

Limits follow common subtitling practice (Netflix, Timed Text Style Guide: 42 characters a line,
16 for Chinese, Japanese and Korean, two lines, two frames between captions).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pysubs2

from editor.caption_text import line_width, pieces_of, split_speech
from editor.timeline import Caption
from media.files import write_atomic

__all__ = ["SpokenLine", "captions_for", "write_srt", "write_vtt"]

MIN_S = Fraction(1)
MAX_S = Fraction(7)
GAP_FRAMES = 2

CHARACTERS_PER_S = 20

_WORD_JOINER = "\u2060"


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """A line as it is heard: film frames [start_frame, end_frame)."""

    speaker: str
    text: str
    start_frame: int
    end_frame: int
    words: tuple[tuple[str, float, float], ...] = ()
    """Text, start and end in seconds after the line's start; empty: spread by length."""


def captions_for(
    lines: Sequence[SpokenLine], *, lang: str, fps: Fraction, num_frames: int
) -> tuple[Caption, ...]:
    """Captions of all lines in film order: readable, inside the film, never two at once.

    Lines that begin while another is still spoken share a caption, a dash before each.
    """
    width = line_width(lang)
    spoken = [line for line in lines if line.text.strip() and line.start_frame < num_frames]
    spoken.sort(key=lambda line: line.start_frame)
    captions: list[Caption] = []
    for group in _conversations(spoken, width):
        captions += _one_voice(group[0], width, fps) if len(group) == 1 else [_dialogue(group)]
    return tuple(_timed(captions, fps, num_frames))


def write_srt(path: Path, captions: Sequence[Caption], fps: Fraction) -> None:
    """SubRip, UTF-8, whole or not at all. The words are words: nothing in them is markup."""
    write_atomic(path, _text(_document(captions, fps, _unmarked), "srt"))


def write_vtt(path: Path, captions: Sequence[Caption], fps: Fraction) -> None:
    """WebVTT, UTF-8, whole or not at all, the speaker of a caption as its voice."""
    write_atomic(path, _text(_document(captions, fps, _voiced), "vtt"))


def _conversations(lines: list[SpokenLine], width: float) -> list[list[SpokenLine]]:
    """Lines on their own, and pairs of short ones of two speakers that overlap in time."""
    groups: list[list[SpokenLine]] = []
    for line in lines:
        before = groups[-1] if groups else []
        pair = (
            len(before) == 1
            and before[0].speaker != line.speaker
            and line.start_frame < before[0].end_frame
            and max(len(before[0].text), len(line.text)) <= width - 2
        )
        if pair:
            before.append(line)
        else:
            groups.append([line])
    return groups


def _one_voice(line: SpokenLine, width: float, fps: Fraction) -> list[Caption]:
    end_s = float((line.end_frame - line.start_frame) / fps)
    captions = []
    for piece in split_speech(pieces_of(line.text, line.words, end_s), width, float(MAX_S)):
        start = line.start_frame + round(Fraction(piece.start_s) * fps)
        end = line.start_frame + round(Fraction(piece.end_s) * fps)
        captions.append(Caption(start, max(end - start, 1), piece.text, line.speaker))
    return captions


def _dialogue(lines: list[SpokenLine]) -> Caption:
    start = lines[0].start_frame
    end = max(line.end_frame for line in lines)
    text = "\n".join(f"- {' '.join(line.text.split())}" for line in lines)
    return Caption(start, end - start, text, " / ".join(line.speaker for line in lines))


def _timed(captions: list[Caption], fps: Fraction, num_frames: int) -> list[Caption]:
    """Long enough to read where there is room, and two frames clear of the next.

    A caption squeezed by the next line's early start gives way; one that would have no frame
    left goes up for a single frame rather than vanish.
    """
    captions = sorted(captions, key=lambda caption: caption.start_frame)
    timed: list[Caption] = []
    free = 0
    for index, caption in enumerate(captions):
        start = max(caption.start_frame, free)
        later = captions[index + 1].start_frame if index + 1 < len(captions) else None
        room = num_frames if later is None else min(later - GAP_FRAMES, num_frames)
        readable_s = max(MIN_S, Fraction(len(caption.text), CHARACTERS_PER_S))
        end = max(caption.start_frame + caption.num_frames, start + -(-readable_s * fps // 1))
        end = min(end, start + int(MAX_S * fps), max(room, start + 1))
        if start >= num_frames:
            break
        timed.append(Caption(start, int(end) - start, caption.text, caption.speaker))
        free = int(end)
    return timed


def _document(
    captions: Sequence[Caption], fps: Fraction, text: Callable[[Caption], str]
) -> pysubs2.SSAFile:
    document = pysubs2.SSAFile()
    for caption in captions:
        # Milliseconds rounded down: a caption starts on its frame and has left before its end.
        start = int(caption.start_frame * 1000 / fps)
        end = int((caption.start_frame + caption.num_frames) * 1000 / fps)
        event = pysubs2.SSAEvent(start=start, end=end, style="Default")
        event.text = text(caption).replace("\n", "\\N")
        document.append(event)
    return document


def _unmarked(caption: Caption) -> str:
    """The words without what would end a cue, and with nothing that a player reads as markup.

    SRT has no escape for `<b>` and `{\\an8}`: an invisible word joiner after the bracket keeps
    players from seeing a tag, and pysubs2 from seeing an override.
    """
    lines = [" ".join(line.split()) for line in caption.text.split("\n")]
    kept = "\n".join(_printable(line) for line in lines if line)
    kept = kept.replace("-->", f"--{_WORD_JOINER}>").replace("\\", f"\\{_WORD_JOINER}")
    # Some readers take two times in one line for a cue, arrow or not.
    kept = re.sub(r"(\d:)(?=\d\d:\d\d)", rf"\1{_WORD_JOINER}", kept)
    return re.sub(r"([<{])(?=[\w/!\\])", rf"\1{_WORD_JOINER}", kept)


def _printable(line: str) -> str:
    return "".join(mark for mark in line if unicodedata.category(mark) not in ("Cc", "Cs"))


def _voiced(caption: Caption) -> str:
    """WebVTT cue text: escaped, inside the speaker's voice tag."""
    text = _escaped("\n".join(" ".join(line.split()) for line in caption.text.split("\n")))
    speaker = _escaped(" ".join(caption.speaker.split()))
    return f"<v {speaker}>{text}" if speaker else text


def _escaped(text: str) -> str:
    text = "\n".join(_printable(line) for line in text.split("\n") if line)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A backslash would start an override for pysubs2 alone; WebVTT shows it as it is.
    return text.replace("\\", "&#92;")


def _text(document: pysubs2.SSAFile, form: str) -> str:
    # Keeping "tags" means leaving braces alone: what looks like one was said by somebody.
    return str(document.to_string(form, keep_ssa_tags=True))
