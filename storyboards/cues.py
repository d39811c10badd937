"""What a shot says, sounds like and has written over it, in frames after its start."""

from __future__ import annotations

from fractions import Fraction

from media.timebase import Duration
from storyboards.film import Asset, SoundCue, SpokenLine, TitleCard
from storyboards.marks import Loc
from storyboards.script import Place, Script
from storyboards.shot_schema import Ambience, Line, Title
from storyboards.timing import ShotTime

__all__ = ["sound_cues", "sound_effects", "spoken_lines", "title_cards"]

_TITLE_S = {"title": 3, "card": 3, "lower_third": 4, "credit": 3}
"""Seconds that a title stays when nothing is written."""


def sound_cues(
    script: Script, written: tuple[Ambience, ...], loc: Loc, num_frames: int | None
) -> tuple[SoundCue, ...]:
    """Ambience from the first frame on, for `num_frames`."""
    cues = []
    for index, cue in enumerate(written):
        file = script.references.asset(cue.file, "sound", (*loc, index, "file"))
        cues.append(SoundCue(cue.cue or "", file, 0, num_frames, cue.gain_db))
    return tuple(cues)


def spoken_lines(script: Script, place: Place, time: ShotTime) -> tuple[SpokenLine, ...]:
    """The dialogue of the shot."""
    lines = []
    for index, (line, start) in enumerate(zip(place.text.dialogue, time.line_starts, strict=True)):
        loc: Loc = (*place.loc, "dialogue", index)
        text, audio = _languages(script, line, loc)
        character = script.cast.get(line.who)
        if character is not None:
            lines.append(
                SpokenLine(character, line.delivery or "", start, text, audio, line.gain_db)
            )
    return tuple(lines)


def sound_effects(script: Script, place: Place, num_frames: int) -> tuple[SoundCue, ...]:
    """The effects of the shot."""
    cues = []
    for index, cue in enumerate(place.text.sfx):
        loc: Loc = (*place.loc, "sfx", index)
        start = cue.at.frames(script.fps) if cue.at else 0
        if start >= num_frames and not place.damaged:
            script.problems.add(
                (*loc, "at"),
                f"expected a time inside the shot of {num_frames} frames, "
                f"got {cue.at} (frame {start})",
            )
        length = max(1, cue.duration.frames(script.fps)) if cue.duration else None
        file = script.references.asset(cue.file, "sound", (*loc, "file"))
        cues.append(SoundCue(cue.cue or "", file, start, length, cue.gain_db))
    return tuple(cues)


def title_cards(script: Script, place: Place, num_frames: int) -> tuple[TitleCard, ...]:
    """The titles over the shot."""
    return tuple(
        _title(script, place, title, (*place.loc, "titles", index), num_frames)
        for index, title in enumerate(place.text.titles)
    )


def _languages(script: Script, line: Line, loc: Loc) -> tuple[dict[str, str], dict[str, Asset]]:
    """Texts and recordings of a line, by language."""
    text, audio = {script.lang: line.line}, {}
    if recording := script.references.asset(line.audio, "sound", (*loc, "audio")):
        audio[script.lang] = recording
    for lang, variant in line.langs.items():
        if lang == script.lang:
            script.problems.add_at_key(
                (*loc, "langs", lang), f'the line itself is in "{lang}", the language of the film'
            )
        if variant.line is not None:
            text[lang] = variant.line
        where: Loc = (*loc, "langs", lang, "audio")
        if recording := script.references.asset(variant.audio, "sound", where):
            audio[lang] = recording
    return text, audio


def _title(script: Script, place: Place, title: Title, loc: Loc, num_frames: int) -> TitleCard:
    start = title.at.frames(script.fps) if title.at else 0
    inside = f"expected a time inside the shot of {num_frames} frames, got"
    if start >= num_frames and not place.damaged:
        script.problems.add((*loc, "at"), f"{inside} {title.at} (frame {start})")
    room = max(1, num_frames - start)
    usual = Duration(Fraction(_TITLE_S[title.style]), "s")
    length = max(1, (title.duration or usual).frames(script.fps))
    if title.duration is not None and length > room and not place.damaged:
        script.problems.add(
            (*loc, "duration"),
            f"expected the title to end inside the shot of {num_frames} frames, "
            f"got frame {start + length}",
        )
    return TitleCard(
        {script.lang: title.text, **title.langs},
        title.subtitle or "",
        title.style,
        start,
        min(length, room),
    )
