"""A film at another frame rate: cuts stay where they were, and nothing drifts."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storyboards.fields import TransitionKind
from storyboards.film import Film, ShotTransition, cut_of, film_shots, overlap_frames
from storyboards.film_rate import film_at_rate
from storyboards.resolve import load_film

EXAMPLE = Path(__file__).parents[2] / "storyboards/examples/lighthouse/film.yaml"


@pytest.fixture(scope="module")
def film() -> Film:
    return load_film(EXAMPLE)


def test_twice_the_rate_doubles_every_number(film: Film) -> None:
    doubled = film_at_rate(film, Fraction(48))
    assert doubled.fps == 48
    before, after = cut_of(film), cut_of(doubled)
    assert after.num_frames == 2 * before.num_frames
    assert after.start_frames == tuple(2 * start for start in before.start_frames)
    spoken = 0
    for own, made in zip(film_shots(film), film_shots(doubled), strict=True):
        assert made.num_frames == 2 * own.num_frames
        assert made.transition_out.num_frames == 2 * own.transition_out.num_frames
        assert made.transition_in.num_frames == 2 * own.transition_in.num_frames
        lines = [
            (line.start_frame, cue.start_frame)
            for line, cue in zip(own.dialogue, made.dialogue, strict=True)
        ]
        spoken += len(lines)
        assert all(second == 2 * first for first, second in lines)
        titles = [(one.start_frame, one.num_frames) for one in own.titles]
        assert [(one.start_frame, one.num_frames) for one in made.titles] == [
            (2 * start, 2 * length) for start, length in titles
        ]
        assert [cue.start_frame for cue in made.sfx] == [2 * cue.start_frame for cue in own.sfx]
        assert (made.id, made.action, made.cast) == (own.id, own.action, own.cast)
    assert spoken
    for own_cue, made_cue in zip(film.music, doubled.music, strict=True):
        assert made_cue.fade_out_frames == 2 * own_cue.fade_out_frames
    assert film_at_rate(film, film.fps) is film


def with_lengths(film: Film, lengths: list[int], overlaps: list[int], fps: Fraction) -> Film:
    """The example's first shots at these lengths, dissolving into each other."""
    shots = []
    for index, shot in enumerate(film_shots(film)[: len(lengths)]):
        longest = min(lengths[index : index + 2]) // 2
        overlap = min(overlaps[index], longest)
        kind = TransitionKind.DISSOLVE if overlap else TransitionKind.CUT
        shots.append(
            replace(
                shot,
                num_frames=lengths[index],
                dialogue=(),
                keyframes=(),
                transition_in=ShotTransition(TransitionKind.CUT, 0, "left", "black"),
                transition_out=ShotTransition(kind, overlap, "left", "black"),
            )
        )
    scene = replace(film.scenes[0], shots=tuple(shots))
    return replace(film, fps=fps, scenes=(scene,), music=())


RATES = tuple(map(Fraction, ("16", "24000/1001", "24", "25", "30", "50", "60", "60000/1001")))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(1, 90), min_size=2, max_size=8),
    st.lists(st.integers(0, 40), min_size=8, max_size=8),
    st.sampled_from(RATES),
    st.sampled_from(RATES),
)
def test_cuts_stay_where_they_were_to_half_a_frame(
    film: Film, lengths: list[int], overlaps: list[int], fps: Fraction, to_fps: Fraction
) -> None:
    if to_fps < fps:
        fps, to_fps = to_fps, fps
    own = with_lengths(film, lengths, overlaps, fps)
    made = film_at_rate(own, to_fps)
    before, after = cut_of(own), cut_of(made)
    half = Fraction(1, 2) / to_fps
    assert abs(after.num_frames / to_fps - before.num_frames / fps) <= half
    for index, (start, again) in enumerate(
        zip(before.start_frames, after.start_frames, strict=True)
    ):
        # Half a frame of rounding, and one where a dissolve may not take more than half a shot.
        allowed = half if index == 0 or not _at_limit(own, index) else half + 1 / to_fps
        assert abs(again / to_fps - start / fps) <= allowed
    for shot, finished in zip(film_shots(own), film_shots(made), strict=True):
        # No shot needs more than its take gives, however it falls on the new frames.
        assert 1 <= finished.num_frames <= -(-shot.num_frames * to_fps // fps)


def _at_limit(film: Film, index: int) -> bool:
    before, after = film_shots(film)[index - 1 : index + 1]
    shared = overlap_frames(before, after)
    return shared + 1 >= min(before.num_frames, after.num_frames) / 2
