"""How shots meet: transitions between neighbours, continuations, edits and groups."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from media.timebase import seconds_to_frames
from storyboards.fields import TransitionKind
from storyboards.film import STRAIGHT_CUT, Continuation, ShotTransition
from storyboards.marks import Loc
from storyboards.script import Place, Script
from storyboards.shot_schema import Transition
from storyboards.timing import ShotTime

__all__ = ["Edges", "check_groups", "continuations", "transitions"]

USUAL_S = Fraction(1, 2)
"""Length of a transition that has none: 12 frames at 24 fps."""

_OVERLAPPING = (
    TransitionKind.DISSOLVE,
    TransitionKind.WIPE,
    TransitionKind.J_CUT,
    TransitionKind.L_CUT,
)


@dataclass(slots=True)
class Edges:
    """The transitions at both ends of a shot."""

    into: ShotTransition = STRAIGHT_CUT
    out: ShotTransition = STRAIGHT_CUT
    out_loc: Loc = ()


def transitions(script: Script, times: dict[int, ShotTime]) -> dict[int, Edges]:
    """The transitions of every shot by its place; an overlap is with the shot before it."""
    edges = {place.index: Edges() for place in script.places}
    for place in script.places:
        if place.text.transition_out is not None:
            loc = (*place.loc, "transition_out")
            _set_out(script, place, place.text.transition_out, loc, edges, times)
    for place in script.places:
        if place.text.transition_in is not None:
            _set_into(script, place, place.text.transition_in, edges, times)
    for place in script.places:
        _check_fade_in(script, place, edges)
        _check_room(script, place, edges, times)
    return edges


def continuations(script: Script, times: dict[int, ShotTime]) -> dict[int, Continuation]:
    """What each shot that goes on from another goes on from, by its place."""
    found: dict[int, Continuation] = {}
    for place in script.places:
        join = place.text.join
        if join is None:
            continue
        loc: Loc = (*place.loc, "join", "from")
        before = script.shot_of(join.from_, loc, place.scene.id)
        if before is None or not _is_earlier(script, before, place, loc):
            continue
        if join.mode != "cut" and place.text.frames is not None and place.text.frames.first:
            script.problems.add(
                (*place.loc, "frames", "first"),
                "expected either frames.first or a join, got both: "
                "a joined shot starts on the last frame of the one before",
            )
        overlap = join.overlap.frames(script.fps) if join.overlap else 0
        shortest = min(times[before.index].num_frames, times[place.index].num_frames)
        if overlap >= shortest and not (place.damaged or before.damaged):
            script.problems.add(
                (*place.loc, "join", "overlap"),
                f"expected less than the shorter of the two shots ({shortest} frames), "
                f"got {overlap}",
            )
        found[place.index] = Continuation(before.id, join.mode, overlap)
    _check_circles(script)
    return found


def check_groups(script: Script) -> None:
    """Shots of one group are neighbours in one scene: they come from one generation."""
    groups: dict[str, list[Place]] = {}
    for place in script.places:
        if place.text.group is not None:
            groups.setdefault(place.text.group, []).append(place)
    for name, members in groups.items():
        for before, place in pairwise(members):
            if place.scene_loc != before.scene_loc or place.index != before.index + 1:
                script.problems.add(
                    (*place.loc, "group"),
                    f'expected the shots of group "{name}" to be neighbours in one scene, '
                    f"got {before.id} and {place.id}",
                )


def _set_out(
    script: Script,
    place: Place,
    written: Transition,
    loc: Loc,
    edges: dict[int, Edges],
    times: dict[int, ShotTime],
) -> None:
    following = place.index + 1 < len(script.places)
    if written.type in _OVERLAPPING and not following:
        script.problems.add(
            loc, f"expected a shot after the {written.type} to go to, got the last shot of the film"
        )
        return
    if written.type is TransitionKind.CUT:
        _refuse_cut_length(script, written, loc)
        return
    neighbours = [place, script.places[place.index + 1]] if following else [place]
    num_frames = _frames(script, written, neighbours, times)
    edges[place.index].out = ShotTransition(
        written.type, num_frames, written.direction, written.colour
    )
    edges[place.index].out_loc = loc


def _set_into(
    script: Script,
    place: Place,
    written: Transition,
    edges: dict[int, Edges],
    times: dict[int, ShotTime],
) -> None:
    """A fade belongs to the shot; an overlap is the transition out of the shot before."""
    loc = (*place.loc, "transition_in")
    if written.type is TransitionKind.FADE:
        num_frames = _frames(script, written, [place], times)
        edges[place.index].into = ShotTransition(
            written.type, num_frames, written.direction, written.colour
        )
        return
    if written.type is TransitionKind.CUT:
        _refuse_cut_length(script, written, loc)
        return
    if place.index == 0:
        script.problems.add(
            loc, f"expected a shot before the {written.type} to come from, got the first shot"
        )
        return
    before = script.places[place.index - 1]
    if before.text.transition_out is not None:
        line = script.loaded.marks.line((*before.loc, "transition_out"))
        script.problems.add(
            loc,
            f"expected one transition between {before.id} and {place.id}, "
            f"got another in line {line}",
        )
        return
    _set_out(script, before, written, loc, edges, times)


def _refuse_cut_length(script: Script, written: Transition, loc: Loc) -> None:
    if written.duration is not None:
        script.problems.add(
            (*loc, "duration"), f"expected no duration for a cut, got {written.duration}"
        )


def _frames(
    script: Script, written: Transition, neighbours: list[Place], times: dict[int, ShotTime]
) -> int:
    if written.duration is not None:
        return max(1, written.duration.frames(script.fps))
    # A length that nobody wrote must not be what makes the storyboard wrong.
    shortest = min(times[place.index].num_frames for place in neighbours)
    return max(1, min(seconds_to_frames(USUAL_S, script.fps), shortest // 2))


def _check_fade_in(script: Script, place: Place, edges: dict[int, Edges]) -> None:
    """A shot that another runs into is seen or heard at once: it cannot come up from a colour."""
    before = edges[place.index - 1].out if place.index else STRAIGHT_CUT
    if before.overlap_frames and edges[place.index].into.kind is TransitionKind.FADE:
        earlier = script.places[place.index - 1]
        script.problems.add(
            (*place.loc, "transition_in"),
            f"expected no fade after the {before.kind} from {earlier.id}, which brings this shot "
            "in, got a fade: leave one of the two out",
        )


def _check_room(
    script: Script, place: Place, edges: dict[int, Edges], times: dict[int, ShotTime]
) -> None:
    """Each overlap fits half of both shots, and what happens at both ends fits the shot."""
    mine, num_frames = edges[place.index], times[place.index].num_frames
    overlap = mine.out.overlap_frames
    if overlap:
        after = script.places[place.index + 1]
        shorter = min((place, after), key=lambda each: times[each.index].num_frames)
        room = times[shorter.index].num_frames // 2
        if overlap > room and not (place.damaged or after.damaged):
            script.problems.add(
                (*mine.out_loc, "duration"),
                f"expected at most {room} frames, half of {shorter.id} "
                f"({times[shorter.index].num_frames} frames), got {overlap}",
            )
            return
    before = edges[place.index - 1].out if place.index else STRAIGHT_CUT
    used = before.overlap_frames + mine.into.num_frames + mine.out.num_frames
    if used > num_frames and not place.damaged:
        loc = mine.out_loc if mine.out.num_frames else (*place.loc, "transition_in")
        script.problems.add(
            (*loc, "duration"),
            f"expected the transitions at both ends to fit the shot of {num_frames} frames, "
            f"got {used}",
        )


def _is_earlier(script: Script, before: Place, place: Place, loc: Loc) -> bool:
    if before.index == place.index:
        script.problems.add(loc, "expected an earlier shot, got the shot itself")
    elif before.index > place.index:
        script.problems.add(loc, f"expected an earlier shot, got {before.id}, which comes later")
    return before.index < place.index


def _check_circles(script: Script) -> None:
    """A shot may not need itself, over any number of joins and edits."""
    needs = {place.id: _needs(script, place) for place in script.places}
    settled: set[str] = set()
    for start in script.places:
        path: list[str] = []
        here: str | None = start.id
        while here is not None and here not in settled and here not in path:
            path.append(here)
            here = needs.get(here)
        if here is not None and here in path and len(path) - path.index(here) > 1:
            circle = path[path.index(here) :]
            place = script.by_id[circle[0]]
            step = "edit" if place.text.edit else "join"
            script.problems.add(
                (*place.loc, step, "from"),
                "expected shots that do not wait for each other, got the circle "
                + " → ".join([*circle, circle[0]]),
            )
        settled.update(path)


def _needs(script: Script, place: Place) -> str | None:
    """The shot that has to be there first."""
    origin = place.text.edit or place.text.join
    if origin is None:
        return None
    full = origin.from_ if "/" in origin.from_ else f"{place.scene.id}/{origin.from_}"
    return full if full in script.by_id else None
