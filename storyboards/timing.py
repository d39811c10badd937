"""When things happen in a shot, in whole frames: lines, and through them the shot's length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from storyboards.marks import Loc
from storyboards.references import clip_facts, recording_seconds
from storyboards.script import Place, Script
from storyboards.shot_schema import Line
from storyboards.speech_length import estimate_speech_s

__all__ = ["ShotTime", "shot_times"]

HEAD_S = Fraction(1, 2)
"""Before the first line, so that the cut is seen before anybody speaks."""

BETWEEN_S = Fraction(1, 4)
TAIL_S = Fraction(3, 5)
"""After the last line: about the time to read the speaker's face before the cut."""

SILENT_S = Fraction(3)
"""A shot of no given length in which nobody speaks."""

MAX_SHOT_S = 600
MAX_FILM_S = 3 * 3600


@dataclass(frozen=True, slots=True)
class ShotTime:
    """How long a shot is, and the first frame of each of its lines."""

    num_frames: int
    line_starts: tuple[int, ...]


def shot_times(script: Script) -> dict[int, ShotTime]:
    """The times of every shot, by its place in the film."""
    times: dict[int, ShotTime] = {}
    langs = script.langs()
    edits = [place for place in script.places if _is_as_long_as_another(place)]
    for place in script.places:
        if not _is_as_long_as_another(place):
            times[place.index] = _shot_time(script, place, langs, None)
    for place in edits:
        times[place.index] = _shot_time(script, place, langs, _edited_frames(script, place, times))
    return times


def _is_as_long_as_another(place: Place) -> bool:
    return place.text.edit is not None and place.text.duration == "auto"


def _edited_frames(script: Script, place: Place, times: dict[int, ShotTime]) -> int | None:
    """Frames of the shot that is edited, through edits of edits; None when that never ends."""
    seen: set[str] = set()
    while place.id not in seen:
        seen.add(place.id)
        edit = place.text.edit
        if edit is None or place.index in times:
            return times[place.index].num_frames if place.index in times else None
        ref = edit.from_ if "/" in edit.from_ else f"{place.scene.id}/{edit.from_}"
        if ref not in script.by_id:
            return None
        place = script.by_id[ref]
    return None


def _shot_time(
    script: Script, place: Place, langs: tuple[str, ...], edited_frames: int | None
) -> ShotTime:
    starts, end_s = _lay_lines(script, place, langs)
    duration = place.text.duration
    if duration != "auto":
        num_frames = duration.frames(script.fps)
        if num_frames < 1:
            script.problems.add((*place.loc, "duration"), "expected at least one frame, got none")
    elif edited_frames is not None:
        num_frames = edited_frames
    elif place.text.source is not None:
        num_frames = _footage_frames(script, place)
    else:
        num_frames = math.ceil((end_s + TAIL_S if starts else SILENT_S) * script.fps)
    num_frames = max(1, num_frames)
    if num_frames > MAX_SHOT_S * script.fps:
        seconds = float(num_frames / script.fps)
        script.problems.add(
            (*place.loc, "duration"), f"expected a shot of at most 10 minutes, got {seconds:g} s"
        )
    if not place.damaged:
        _check_lines_inside(script, place, starts, num_frames)
    return ShotTime(num_frames, starts)


def _lay_lines(
    script: Script, place: Place, langs: tuple[str, ...]
) -> tuple[tuple[int, ...], Fraction]:
    """First frames of the lines, and when the last of them ends in seconds."""
    starts: list[int] = []
    free_s, latest_s, default_end_s = HEAD_S, Fraction(0), Fraction(0)
    for index, line in enumerate(place.text.dialogue):
        loc: Loc = (*place.loc, "dialogue", index)
        start_s = free_s if line.at is None else line.at.seconds(script.fps)
        if start_s < (default_end_s if line.at is not None else Fraction(0)):
            script.problems.add(
                (*loc, "at"),
                f"expected a time after the lines before, which end near {float(default_end_s):.2f}"
                f" s, got {line.at}; to let lines overlap, give each of them its own at",
            )
        end_s = start_s + _longest_s(script, line, loc, langs)
        if line.at is None:
            default_end_s = max(default_end_s, end_s)
        latest_s = max(latest_s, end_s)
        free_s = latest_s + BETWEEN_S
        starts.append(math.ceil(start_s * script.fps) if line.at is None
                      else line.at.frames(script.fps))  # fmt: skip
    return tuple(starts), latest_s


def _longest_s(script: Script, line: Line, loc: Loc, langs: tuple[str, ...]) -> Fraction:
    """Seconds of the line in the language that takes longest to say it."""
    longest_s = Fraction(0)
    for lang in langs:
        variant = line.langs.get(lang)
        own = lang == script.lang
        audio = variant.audio if variant else line.audio if own else None
        text = variant.line if variant else line.line if own else None
        if audio is not None:
            place = ("langs", lang, "audio") if variant else ("audio",)
            recording = script.references.asset(audio, "sound", (*loc, *place))
            seconds = recording_seconds(recording) if recording else Fraction(0)
        else:
            seconds = estimate_speech_s(text, lang, line.delivery or "") if text else Fraction(0)
        longest_s = max(longest_s, seconds)
    return longest_s


def _footage_frames(script: Script, place: Place) -> int:
    """Frames of the project's rate that the footage has left from its start."""
    source = place.text.source
    clip = script.references.asset(source.file, "clip", (*place.loc, "source", "file")) if (
        source
    ) else None  # fmt: skip
    if source is None or clip is None:
        return math.ceil(SILENT_S * script.fps)
    start_s = source.start.seconds(script.fps) if source.start else Fraction(0)
    return math.floor((clip_facts(clip).duration_s - start_s) * script.fps)


def _check_lines_inside(
    script: Script, place: Place, starts: tuple[int, ...], num_frames: int
) -> None:
    for index, start in enumerate(starts):
        if start >= num_frames:
            at = place.text.dialogue[index].at
            loc: Loc = (*place.loc, "dialogue", index)
            script.problems.add(
                (*loc, "at") if at is not None else loc,
                f"expected the line to start inside the shot of {num_frames} frames, "
                f"got frame {start}; make the shot longer or its duration auto",
            )
