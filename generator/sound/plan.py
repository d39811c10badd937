"""Every sound of a cut in one language: what to make, and where in the film it is heard.

Levels, before the film's loudness is set: lines are spoken at -20 LUFS in one channel, which
is -17 LUFS from both speakers. Everything else is set against that.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Set
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

from generator.sound.ambience import Run, ambience_runs, seam_samples, unknown_words
from generator.sound.foley import match_cues, natural_seconds
from generator.sound.jobs import NativeLine, SoundJob, SoundLoss, SoundPlan, Spoken
from generator.sound.requests import (
    BedRequest,
    CueRequest,
    FileRequest,
    LineRequest,
    SoundRequest,
)
from generator.sound.speech import voice_for
from media.timebase import SAMPLE_RATE, samples_at
from storyboards.fields import TransitionKind
from storyboards.film import Character, Cut, Film, MusicCue, Shot, SoundCue, SpokenLine
from storyboards.speech_length import estimate_speech_s

__all__ = ["plan_sound"]

LINE_FILE_LUFS = -17.0
AMBIENCE_FILE_LUFS = -37.0
"""20 LU under the dialogue: heard in the pauses, never in the way."""
MUSIC_FILE_LUFS = -24.0

AMBIENCE_GAIN_DB = -5.0
"""Synthesised ambience is made at -32 LUFS."""
MUSIC_GAIN_DB = -4.0
"""Beds are composed at -20 LUFS."""
AMBIENCE_DUCK_DB = -3.0

_LINE_FADE_S = Fraction(4, 100)
_EFFECT_RING_S = Fraction(1)
"""An effect rings on into the next shot at most this long."""
_EFFECT_FADE_S = Fraction(1, 4)
_MUSIC_FILE_FADE_S = Fraction(1, 2)
_FASTEST_SPEECH = Fraction(16, 10)


@dataclass(slots=True)
class _Desk:
    """What every part of the planning needs at hand."""

    film: Film
    cut: Cut
    lang: str
    native: Set[str]
    jobs: list[SoundJob] = field(default_factory=list)
    losses: dict[SoundLoss, None] = field(default_factory=dict)

    def sample(self, frame: int) -> int:
        return samples_at(frame, self.film.fps)

    def lose(self, shot: str, what: str, reason: str) -> None:
        self.losses[SoundLoss(shot, what, reason)] = None

    def is_native(self, shot: Shot) -> bool:
        return shot.id in self.native

    def placed(self) -> Iterator[tuple[int, Shot, int]]:
        """Index, shot and first film frame of each."""
        yield from zip(
            range(len(self.cut.shots)), self.cut.shots, self.cut.start_frames, strict=True
        )


def plan_sound(film: Film, cut: Cut, lang: str, *, native: Set[str] = frozenset()) -> SoundPlan:
    """The sounds of `cut` in `lang`. Makes nothing and reads no file.

    `native` names the shots whose take brought its own sound: nothing is synthesised and
    nobody is spoken over there; the user's own ambience and effect files still play. Where a
    recording or another language is to be heard instead of what the take says, its sound is left
    out, because speech cannot be taken out of it, and the shot sounds as one without. Raises
    MediaError for a language that no voice speaks.
    """
    heard = frozenset(
        shot.id
        for shot in cut.shots
        if shot.id in native and shot.audio == "native" and not _speaks_otherwise(film, shot, lang)
    )
    desk = _Desk(film, cut, lang, heard)
    native_lines: list[NativeLine] = []
    for index, shot, start in desk.placed():
        if desk.is_native(shot):
            native_lines += _native_lines(desk, index, shot, start)
        elif shot.audio != "none":
            _plan_lines(desk, index, shot, start)
            if shot.audio == "native" and shot.id in native:
                reason = f"the take's own sound is left out: its lines are other ones in {lang}"
                desk.lose(shot.id, "audio", reason)
    for _, shot, start in desk.placed():
        if shot.audio == "native":
            _plan_effects(desk, shot, start)
    for run in ambience_runs(cut, heard):
        _plan_ambience(desk, run)
    for cue in film.music:
        _plan_music(desk, cue)
    return SoundPlan(tuple(desk.jobs), tuple(desk.losses), heard, tuple(native_lines))


def _speaks_otherwise(film: Film, shot: Shot, lang: str) -> bool:
    """Whether a line of the shot is a recording, or dubbed, in this language."""
    return any(
        lang in line.audio or (lang != film.lang and lang in line.text) for line in shot.dialogue
    )


def _native_lines(desk: _Desk, index: int, shot: Shot, start: int) -> Iterator[NativeLine]:
    for number, line in enumerate(shot.dialogue):
        begin = desk.sample(start + line.start_frame)
        limit = desk.sample(_line_limit(desk, index, start, number))
        spoken = _spoken(desk, shot, number)
        said_s = estimate_speech_s(spoken.text, spoken.lang, line.delivery)
        if begin < limit:
            yield NativeLine(shot.id, spoken, begin, min(limit - begin, _samples(said_s)))


def _plan_lines(desk: _Desk, index: int, shot: Shot, start: int) -> None:
    for number, line in enumerate(shot.dialogue):
        begin = desk.sample(start + line.start_frame)
        limit = desk.sample(_line_limit(desk, index, start, number))
        if begin >= limit:
            desk.lose(shot.id, f"dialogue[{number}]", "the line begins after its shot has ended")
            continue
        spoken = _spoken(desk, shot, number)
        asset = line.audio.get(spoken.lang)
        request: SoundRequest
        if asset is not None:
            request = FileRequest(asset.sha256, LINE_FILE_LUFS)
        else:
            request = _line_request(desk, line, spoken, limit - begin)
        desk.jobs.append(
            SoundJob(
                kind="line",
                name=f"{shot.id} {line.character.name}",
                request=request,
                shot=shot.id,
                stem="dialogue",
                start_sample=begin,
                num_samples=limit - begin,
                gain_db=line.gain_db,
                fade_out_samples=_samples(_LINE_FADE_S),
                asset=asset,
                spoken=spoken,
            )
        )


def _line_limit(desk: _Desk, index: int, start: int, number: int) -> int:
    """Film frame by which a line must have ended: the next line, or the end of its shot.

    Out of an L cut it may run on under the next shot, until somebody speaks there. A next line
    that comes too soon even for hurried speech is meant to interrupt, and does not hurry.
    """
    shots, starts = desk.cut.shots, desk.cut.start_frames
    shot = shots[index]
    line = shot.dialogue[number]
    limit = start + shot.num_frames
    if shot.transition_out.kind is TransitionKind.L_CUT and index + 1 < len(shots):
        after, after_start = shots[index + 1], starts[index + 1]
        replies = [after_start + reply.start_frame for reply in after.dialogue]
        limit = max(min([after_start + after.num_frames, *replies]), limit)
    text = line.text.get(desk.lang) or line.text[desk.film.lang]
    shortest_s = estimate_speech_s(text, desk.lang, line.delivery) / _FASTEST_SPEECH
    soonest = line.start_frame + max(shortest_s * desk.film.fps, Fraction(1))
    later = [other.start_frame for other in shot.dialogue if other.start_frame >= soonest]
    return min([limit, *(start + frame for frame in later)])


def _spoken(desk: _Desk, shot: Shot, number: int) -> Spoken:
    line = shot.dialogue[number]
    original = desk.film.lang
    if desk.lang in line.audio or desk.lang in line.text:
        text = line.text.get(desk.lang) or line.text[original]
        return Spoken(text, line.character.name, desk.lang)
    desk.lose(shot.id, f"dialogue[{number}]", f"not translated: heard in {original}")
    return Spoken(line.text[original], line.character.name, original)


def _line_request(desk: _Desk, line: SpokenLine, spoken: Spoken, room: int) -> LineRequest:
    who = line.character
    _note_voice(desk, who)
    lang = spoken.lang
    # A character's own language colours the film's language; a dubbed line is plain.
    if who.voice.lang and lang == desk.film.lang:
        lang = who.voice.lang
    voice = voice_for(who.id, lang, who.description, pitch=who.voice.pitch, rate=who.voice.rate)
    return LineRequest(spoken.text, voice, line.delivery, room)


def _note_voice(desk: _Desk, who: Character) -> None:
    if who.voice.name:
        reason = f"temporary speech has no voice {who.voice.name!r}: one is chosen by description"
        desk.lose("", f"cast.{who.id}.voice.name", reason)
    if who.voice_ref is not None:
        reason = "temporary speech does not imitate a recording"
        desk.lose("", f"cast.{who.id}.voice.ref", reason)


def _plan_effects(desk: _Desk, shot: Shot, start: int) -> None:
    for number, cue in enumerate(shot.sfx):
        if cue.file is None and desk.is_native(shot):
            continue
        begin = desk.sample(start + cue.start_frame)
        shot_end = desk.sample(start + shot.num_frames)
        film_end = desk.sample(desk.cut.num_frames)
        if cue.num_frames is not None:
            until = desk.sample(start + cue.start_frame + cue.num_frames)
        elif cue.file is not None:
            until = film_end
        else:
            until = begin + round(natural_seconds(cue.cue) * SAMPLE_RATE)
        request = _effect_request(desk, shot, number, until - begin)
        until = min(until, film_end)
        if cue.file is None:
            until = min(until, shot_end + _samples(_EFFECT_RING_S))
        if request is None or until <= begin:
            continue
        was_cut = cue.num_frames is not None or until < begin + _made_samples(request)
        job = _cue_job("sfx", shot.id, cue, request)
        fade = min(_samples(_EFFECT_FADE_S), (until - begin) // 4) if was_cut else 0
        desk.jobs.append(
            replace(job, start_sample=begin, num_samples=until - begin, fade_out_samples=fade)
        )


def _effect_request(desk: _Desk, shot: Shot, number: int, num_samples: int) -> SoundRequest | None:
    cue = shot.sfx[number]
    if cue.file is not None:
        return FileRequest(cue.file.sha256, None)
    for words in unknown_words(cue.cue):
        desk.lose(shot.id, f"sfx[{number}]", f"no sound is known for {words!r}")
    if not match_cues(cue.cue) or num_samples <= 0:
        return None
    return CueRequest(cue.cue, "sfx", num_samples, _seed(desk, f"{cue.cue}@{cue.start_frame}"))


def _made_samples(request: SoundRequest) -> int:
    return request.num_samples if isinstance(request, CueRequest) else 0


def _plan_ambience(desk: _Desk, run: Run) -> None:
    cue, first, last = run.cue, desk.cut.shots[run.first], desk.cut.shots[run.last]
    begin = desk.sample(desk.cut.start_frames[run.first])
    end = desk.sample(desk.cut.start_frames[run.last] + last.num_frames)
    film_end = desk.sample(desk.cut.num_frames)
    before, fade_in = seam_samples(desk.cut, run.first, desk.film.fps, at_head=True)
    after, fade_out = seam_samples(desk.cut, run.last, desk.film.fps, at_head=False)
    begin, end = max(begin - before, 0), min(end + after, film_end)
    request: SoundRequest
    if cue.file is not None:
        request = FileRequest(cue.file.sha256, AMBIENCE_FILE_LUFS, end - begin)
    else:
        for words in unknown_words(cue.cue):
            desk.lose(first.id, "ambience", f"no sound is known for {words!r}")
        if not match_cues(cue.cue):
            return
        request = CueRequest(cue.cue, "ambience", end - begin, _seed(desk, cue.cue))
    desk.jobs.append(
        replace(
            _cue_job("ambience", first.id, cue, request),
            start_sample=begin,
            num_samples=end - begin,
            fade_in_samples=fade_in,
            fade_out_samples=fade_out,
            duck_db=AMBIENCE_DUCK_DB,
        )
    )


def _cue_job(
    kind: Literal["sfx", "ambience"], shot: str, cue: SoundCue, request: SoundRequest
) -> SoundJob:
    made = cue.file is None
    return SoundJob(
        kind=kind,
        name=f"{shot} {cue.cue or (cue.file.path.stem if cue.file else kind)}",
        request=request,
        shot=shot,
        stem="effects" if kind == "sfx" else "ambience",
        start_sample=0,
        num_samples=0,
        gain_db=cue.gain_db + (AMBIENCE_GAIN_DB if kind == "ambience" and made else 0.0),
        asset=cue.file,
    )


def _plan_music(desk: _Desk, cue: MusicCue) -> None:
    order = {shot.id: n for n, shot in enumerate(_all_shots(desk.film))}
    low, high = order[cue.first_shot], order[cue.last_shot]
    under = [n for n, shot in enumerate(desk.cut.shots) if low <= order[shot.id] <= high]
    if not under:
        return
    begin = desk.sample(desk.cut.start_frames[under[0]])
    last = desk.cut.shots[under[-1]]
    end = desk.sample(desk.cut.start_frames[under[-1]] + last.num_frames)
    fade_in, fade_out = desk.sample(cue.fade_in_frames), desk.sample(cue.fade_out_frames)
    request: SoundRequest
    if cue.file is not None:
        request = FileRequest(cue.file.sha256, MUSIC_FILE_LUFS)
        fade_out = max(fade_out, _samples(_MUSIC_FILE_FADE_S))
    else:
        request = BedRequest(cue.prompt, end - begin, _seed(desk, cue.prompt))
    desk.jobs.append(
        SoundJob(
            kind="music",
            name=cue.id,
            request=request,
            shot=desk.cut.shots[under[0]].id,
            stem="music",
            start_sample=begin,
            num_samples=end - begin,
            gain_db=cue.gain_db + (MUSIC_GAIN_DB if cue.file is None else 0.0),
            fade_in_samples=min(fade_in, end - begin),
            fade_out_samples=min(fade_out, end - begin),
            duck_db=cue.duck_db,
            asset=cue.file,
        )
    )


def _all_shots(film: Film) -> Iterator[Shot]:
    return (shot for scene in film.scenes for shot in scene.shots)


def _samples(seconds: Fraction) -> int:
    return int(seconds * SAMPLE_RATE)


def _seed(desk: _Desk, words: str) -> int:
    """From what is heard alone: a shot that moves or is renamed keeps its sound."""
    return zlib.crc32(f"{desk.film.seed}:{words}".encode())
