"""A resolved film at another frame rate: the same cuts at the same times, to the nearest frame.

A shot starts and ends on the frames of the new rate that are nearest to where it started and ended
before, counted from the film's first frame, so nothing drifts however long the film is. At a whole
multiple of the rate every number is simply that multiple.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from media.timebase import seconds_to_frames
from storyboards.film import (
    Film,
    MusicCue,
    Scene,
    Shot,
    ShotTransition,
    SoundCue,
    cut_of,
    film_shots,
)

__all__ = ["film_at_rate"]


def film_at_rate(film: Film, fps: Fraction) -> Film:
    """`film` in frames of `fps`, which is no lower than its own. The shots' takes stay theirs."""
    if fps == film.fps:
        return film
    clock = _Clock(film.fps, fps)
    shots = {shot.id: shot for shot in _retimed(film, clock)}
    return replace(
        film,
        fps=fps,
        scenes=tuple(_scene(scene, shots, clock) for scene in film.scenes),
        music=tuple(_music(cue, clock) for cue in film.music),
    )


class _Clock:
    """Turns frames of the film's own rate into frames of the new one."""

    def __init__(self, own: Fraction, fps: Fraction) -> None:
        self._own, self._fps = own, fps

    def at(self, frame: int) -> int:
        return seconds_to_frames(frame / self._own, self._fps)

    def length(self, num_frames: int) -> int:
        """At least a frame where there was one."""
        return max(1, self.at(num_frames)) if num_frames else 0


def _retimed(film: Film, clock: _Clock) -> list[Shot]:
    """Every shot of the film with its new length and the overlap that its neighbour shares."""
    cut = cut_of(film)
    before = film_shots(film)
    ends = [
        clock.at(start + shot.num_frames)
        for start, shot in zip(cut.start_frames, before, strict=True)
    ]
    made: list[Shot] = []
    start = 0
    for index, shot in enumerate(before):
        num_frames = max(1, ends[index] - start)
        leaving = shot.transition_out
        overlap = 0
        if leaving.overlap_frames and index + 1 < len(before):
            # From where the next one starts, and no more than half of either shot, as in the cut.
            end = start + num_frames
            shared = end - clock.at(cut.start_frames[index + 1])
            overlap = max(1, min(shared, num_frames // 2, ends[index + 1] - end))
            leaving = replace(leaving, num_frames=overlap)
        else:
            leaving = _transition(leaving, clock)
        made.append(_shot(shot, num_frames, leaving, clock))
        start += num_frames - overlap
    return made


def _shot(shot: Shot, num_frames: int, leaving: ShotTransition, clock: _Clock) -> Shot:
    return replace(
        shot,
        num_frames=num_frames,
        keyframes=tuple(
            replace(key, frame=min(clock.at(key.frame), num_frames - 1)) for key in shot.keyframes
        ),
        dialogue=tuple(
            replace(line, start_frame=min(clock.at(line.start_frame), num_frames - 1))
            for line in shot.dialogue
        ),
        ambience=tuple(_sound(cue, clock) for cue in shot.ambience),
        sfx=tuple(_sound(cue, clock) for cue in shot.sfx),
        titles=tuple(
            replace(
                title,
                start_frame=clock.at(title.start_frame),
                num_frames=clock.length(title.num_frames),
            )
            for title in shot.titles
        ),
        transition_in=_transition(shot.transition_in, clock),
        transition_out=leaving,
        continues=None
        if shot.continues is None
        else replace(shot.continues, overlap_frames=clock.at(shot.continues.overlap_frames)),
        source=None
        if shot.source is None
        else replace(shot.source, start_frame=clock.at(shot.source.start_frame)),
    )


def _sound(cue: SoundCue, clock: _Clock) -> SoundCue:
    length = None if cue.num_frames is None else clock.length(cue.num_frames)
    return replace(cue, start_frame=clock.at(cue.start_frame), num_frames=length)


def _transition(transition: ShotTransition, clock: _Clock) -> ShotTransition:
    return replace(transition, num_frames=clock.length(transition.num_frames))


def _music(cue: MusicCue, clock: _Clock) -> MusicCue:
    return replace(
        cue,
        fade_in_frames=clock.at(cue.fade_in_frames),
        fade_out_frames=clock.at(cue.fade_out_frames),
    )


def _scene(scene: Scene, shots: dict[str, Shot], clock: _Clock) -> Scene:
    return replace(
        scene,
        ambience=tuple(_sound(cue, clock) for cue in scene.ambience),
        shots=tuple(shots[shot.id] for shot in scene.shots),
    )
