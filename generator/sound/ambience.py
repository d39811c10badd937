"""Ambience over the cuts: one bed for the shots that share it, joined softly to its neighbours."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass, replace
from fractions import Fraction

from generator.sound.foley import match_cues
from media.timebase import SAMPLE_RATE, samples_at
from storyboards.fields import TransitionKind
from storyboards.film import Asset, Cut, Shot, SoundCue

__all__ = ["Run", "ambience_runs", "seam_samples", "unknown_words"]

_SEAM_S = Fraction(1, 5)
"""Cross-fade between two places at a straight cut: no click, and no doubt where we are."""

_EDGE_S = Fraction(1, 20)
"""Fade at the film's own ends."""


_Same = tuple[str, Asset | None, float]
"""What makes two cues one sound: the words or the file, and the level."""


@dataclass(frozen=True, slots=True)
class Run:
    """Shots `first` to `last` of a cut, both included, that share one ambience."""

    cue: SoundCue
    first: int
    last: int


def ambience_runs(cut: Cut, native: Set[str]) -> tuple[Run, ...]:
    """Each ambience with the longest stretch of one scene's shots that carry it, in film order.

    Shots without room sound of ours (`audio: voice` or `none`, or a take that brought its own)
    end a run; a file of the user's plays over native sound too.
    """
    runs: list[Run] = []
    going: dict[_Same, Run] = {}
    for index, shot in enumerate(cut.shots):
        new_scene = index > 0 and cut.shots[index - 1].scene != shot.scene
        heard = {(cue.cue, cue.file, cue.gain_db): cue for cue in _heard(shot, native)}
        for same in [same for same in going if new_scene or same not in heard]:
            runs.append(going.pop(same))
        for same, cue in heard.items():
            going[same] = replace(going.get(same, Run(cue, index, index)), last=index)
    runs += going.values()
    return tuple(sorted(runs, key=lambda run: run.first))


def seam_samples(cut: Cut, index: int, fps: Fraction, *, at_head: bool) -> tuple[int, int]:
    """How far a bed reaches over the head (or tail) of shot `index`, and its fade there.

    A shared stretch (dissolve, J or L cut) is the cross-fade itself; a fade of the picture
    takes the sound along; a straight cut gets a short cross-fade around it.
    """
    shot = cut.shots[index]
    edge = shot.transition_in if at_head else shot.transition_out
    if edge.kind is TransitionKind.FADE:
        return 0, samples_at(min(edge.num_frames, shot.num_frames), fps)
    neighbour = index - 1 if at_head else index + 1
    if not 0 <= neighbour < len(cut.shots):
        return 0, int(_EDGE_S * SAMPLE_RATE)
    before = min(index, neighbour)
    end_before = cut.start_frames[before] + cut.shots[before].num_frames
    shared = end_before - cut.start_frames[before + 1]
    if shared > 0:
        return 0, samples_at(shared, fps)
    seam = int(_SEAM_S * SAMPLE_RATE)
    return seam // 2, seam


def unknown_words(text: str) -> tuple[str, ...]:
    """The clauses of `text` that name no known cue."""
    clauses = [clause.strip() for clause in re.split(r"[,;.+&/]|\band\b", text)]
    return tuple(clause for clause in clauses if clause and not match_cues(clause))


def _heard(shot: Shot, native: Set[str]) -> tuple[SoundCue, ...]:
    if shot.audio != "native":
        return ()
    if shot.id in native:
        return tuple(cue for cue in shot.ambience if cue.file is not None)
    return shot.ambience
