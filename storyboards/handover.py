"""What leaves the cutting room: music over stretches of the film, and the deliverables."""

from __future__ import annotations

from fractions import Fraction

from storyboards.film import FilmDeliverable, MusicCue
from storyboards.marks import Loc
from storyboards.schema import Deliverable
from storyboards.script import Place, Script

__all__ = ["deliverables", "music_cues"]

_MAX_SIDE = 8192


def music_cues(script: Script) -> tuple[MusicCue, ...]:
    """The beds, under the whole film where nothing is said."""
    cues = []
    for name, music in script.text.music.items():
        loc: Loc = ("music", name)
        first: Place | None = script.places[0]
        last: Place | None = script.places[-1]
        if music.from_ is not None:
            first = script.shot_of(music.from_, (*loc, "from"))
        if music.to is not None:
            last = script.shot_of(music.to, (*loc, "to"))
        file = script.references.asset(music.file, "sound", (*loc, "file"))
        if first is None or last is None:
            continue
        if last.index < first.index:
            script.problems.add(
                (*loc, "to"), f"expected a shot after {first.id}, got {last.id}, which comes before"
            )
        cues.append(
            MusicCue(
                name,
                music.prompt or "",
                file,
                first.id,
                last.id,
                music.gain_db,
                music.duck_db,
                music.fade_in.frames(script.fps) if music.fade_in else 0,
                music.fade_out.frames(script.fps) if music.fade_out else 0,
            )
        )
    return tuple(cues)


def deliverables(script: Script) -> tuple[FilmDeliverable, ...]:
    """The films to hand over; one `master` when the storyboard names none."""
    project = script.text.project
    if not script.text.deliverables:
        everything = tuple(place.id for place in script.places)
        loudness, size = script.text.finish.loudness, finished_size(script)
        return (
            FilmDeliverable(
                "master", size, "crop", (project.lang,), ("srt",), everything, loudness, False
            ),
        )
    first_lines: dict[str, int] = {}
    found = []
    for index, written in enumerate(script.text.deliverables):
        loc: Loc = ("deliverables", index)
        # Names become file names, which some disks compare without case.
        if (first := first_lines.get(written.name.lower())) is not None:
            what = f'the deliverable "{written.name}" is here twice, first in line {first}'
            script.problems.add((*loc, "name"), what)
        first_lines.setdefault(written.name.lower(), script.loaded.marks.line((*loc, "name")))
        found.append(_deliverable(script, written, loc))
    return tuple(found)


def _deliverable(script: Script, written: Deliverable, loc: Loc) -> FilmDeliverable:
    langs = written.langs or (script.lang,)
    if len(set(langs)) < len(langs):
        script.problems.add((*loc, "langs"), "expected each language once")
    if "none" in written.captions and len(written.captions) > 1:
        script.problems.add((*loc, "captions"), 'expected either "none" or kinds of captions')
    shots = _shots(script, written, loc)
    _check_languages(script, langs, shots, loc)
    return FilmDeliverable(
        written.name,
        _size(script, written, loc),
        written.fit,
        langs,
        tuple(dict.fromkeys(written.captions)) or ("none",),
        tuple(place.id for place in shots),
        written.loudness or script.text.finish.loudness,
        written.stems,
    )


def _shots(script: Script, written: Deliverable, loc: Loc) -> list[Place]:
    """Its shots in the order of the film."""
    if written.shots is None:
        return script.places
    if not written.shots:
        script.problems.add((*loc, "shots"), "expected at least one shot, got a film of none")
    chosen: dict[int, Place] = {}
    for index, ref in enumerate(written.shots):
        place = script.shot_of(ref, (*loc, "shots", index))
        if place is not None and place.index in chosen:
            script.problems.add((*loc, "shots", index), f'the shot "{ref}" is here twice')
        if place is not None:
            chosen[place.index] = place
    return [chosen[index] for index in sorted(chosen)]


def _check_languages(script: Script, langs: tuple[str, ...], shots: list[Place], loc: Loc) -> None:
    """Every line is there in every language of the deliverable."""
    lines = [
        (f"{place.id} line {number}", line)
        for place in shots
        for number, line in enumerate(place.text.dialogue, start=1)
    ]
    for index, lang in enumerate(langs):
        lacking = [where for where, line in lines if lang not in (script.lang, *line.langs)]
        if lacking:
            more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
            script.problems.add(
                (*loc, "langs", index),
                f'expected every line in "{lang}", got none in it for '
                f"{', '.join(lacking[:3])}{more}; write langs: {{{lang}: ...}} there",
            )


def _size(script: Script, written: Deliverable, loc: Loc) -> tuple[int, int]:
    """`(width, height)`: as written, or the aspect on the finished film's shorter side, even."""
    finished = finished_size(script)
    if written.size is not None:
        width, height = written.size
        if written.aspect is not None and _even(height * written.aspect) != width:
            script.problems.add(
                (*loc, "size"), f"expected a size of the aspect given, got {width}x{height}"
            )
        return written.size
    if written.aspect is None or _even(finished[1] * written.aspect) == finished[0]:
        return finished
    short = min(finished)
    if written.aspect >= 1:
        size = _even(short * written.aspect), short
    else:
        size = short, _even(short / written.aspect)
    if max(size) > _MAX_SIDE >= max(finished):
        script.problems.add(
            (*loc, "aspect"), f"expected at most {_MAX_SIDE} pixels a side, got {size[0]}x{size[1]}"
        )
    return size


def finished_size(script: Script) -> tuple[int, int]:
    """The project's size, enlarged as `finish` says."""
    width, height = script.text.project.size
    scale = int(script.text.finish.upscale[0])
    return width * scale, height * scale


def _even(length: Fraction) -> int:
    return max(2, 2 * round(length / 2))
