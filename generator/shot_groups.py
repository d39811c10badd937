"""Several shots in one generation: which shots of a group go together, and what is asked for.

A model that makes a sequence of shots in one go holds people and places better than one call a
shot. The takes are cut out of the generation afterwards (`generator/shot_cuts.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from generator.backends.base import (
    Backend,
    ContinueFrom,
    CutFrom,
    KeyPicture,
    ListedShot,
    Placement,
    RenderRequest,
    Snapped,
)
from generator.local.fitting import frames_at_rate
from generator.prompts import write_shot_list
from media.errors import RefusalError
from storyboards.film import Shot

__all__ = [
    "GENERATIONS",
    "REACH_S",
    "Alone",
    "Member",
    "Together",
    "group_members",
    "why_alone",
]

GENERATIONS = "generations"
"""The kind of store that whole generations are in, beside the takes."""

REACH_S = Fraction(1, 4)
"""How far a cut may come from where it was asked for. Each shot is asked for so much longer that
its take has all its frames wherever the cut falls within this reach."""


@dataclass(frozen=True, slots=True)
class Member:
    """A shot of a group with the backend that it would be made on alone."""

    shot: Shot
    backend: Backend
    request: RenderRequest
    """Of its first take, not snapped."""


@dataclass(frozen=True, slots=True)
class Alone:
    """A shot of a group that cannot be made with the others."""

    shot_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Together:
    """A shot's place in a generation."""

    first: Shot
    """Its seeds are the generation's."""
    others: tuple[str, ...]
    whole: Snapped
    index: int
    needed: tuple[int, ...]

    @property
    def waits_for(self) -> str:
        """Key of the take that the generation goes on from, or empty."""
        going_on = self.whole.request.continue_from
        return going_on.take_key if going_on is not None else ""

    @property
    def adjustments(self) -> tuple[str, ...]:
        """What was changed to fit, and with which shots it is made."""
        return (*self.whole.adjustments, f"in one generation with {', '.join(self.others)}")

    def whole_of(self, seed: int) -> RenderRequest:
        """The request of the whole generation of this seed."""
        return replace(self.whole.request, seed=seed)

    def request(self, own: RenderRequest, seed: int) -> RenderRequest:
        """The shot's `own` snapped request as one that is cut from the generation of `seed`."""
        whole = self.whole_of(seed)
        return replace(
            own,
            seed=seed,
            size=whole.size,
            fps=whole.fps,
            num_frames=self.needed[self.index],
            cut_from=CutFrom(whole, self.index, self.needed),
        )


def why_alone(shot: Shot, *, is_first: bool) -> str:
    """Why the shot cannot be one of several in a generation, or nothing."""
    if shot.source is not None:
        return "it is the user's own footage"
    if shot.edit is not None:
        return "it is an edit of a take"
    if not is_first and shot.continues is not None and shot.continues.mode != "cut":
        return f"it goes on from {shot.continues.shot} without a cut"
    if shot.motion is not None or shot.motion_from is not None:
        return "its motion is drawn or taken from footage"
    return ""


def group_members(members: Sequence[Member | Alone]) -> Mapping[str, Together | str]:
    """By shot, its place in a generation, or why it is made alone.

    `members` are neighbours in film order. As many of them go together as their backend makes in
    one call; the rest makes the next generation.
    """
    places: dict[str, Together | str] = {}
    run: list[Member] = []
    whole: Snapped | None = None
    apart = ""
    for member in members:
        longer = _fits([*run, member]) if isinstance(member, Member) and run else ""
        if isinstance(member, Member) and isinstance(longer, Snapped):
            run, whole = [*run, member], longer
            continue
        why = f"so is {member.shot_id} beside it" if isinstance(member, Alone) else str(longer)
        places.update(_settled(run, whole, apart or why))
        run, whole, apart = [], None, why
        if isinstance(member, Member):
            run = [member]
        else:
            places[member.shot_id] = member.reason
    places.update(_settled(run, whole, apart))
    return places


def _settled(
    run: Sequence[Member], whole: Snapped | None, apart: str
) -> Iterator[tuple[str, Together | str]]:
    if whole is None:
        yield from ((member.shot.id, apart) for member in run)
        return
    needed = _needed(run, whole.request)
    for index, member in enumerate(run):
        others = tuple(other.shot.id for other in run if other is not member)
        yield member.shot.id, Together(run[0].shot, others, whole, index, needed)


def _fits(run: Sequence[Member]) -> Snapped | str:
    """The generation of these shots, snapped, or why its last shot does not go with the others."""
    first, last = run[0], run[-1]
    backend, most = first.backend, first.backend.capabilities.shots_per_generation
    if last.backend.id != backend.id:
        return f"{last.backend.id} makes {last.shot.id}, {backend.id} makes {first.shot.id}"
    if len(run) > most:
        return f"{backend.id} makes at most {most} shots at a time"
    for name in ("profile", "options"):
        if getattr(first.request, name) != getattr(last.request, name):
            return f"{last.shot.id} has another {name.removesuffix('s')} than {first.shot.id}"
    if "driven" in (first.request.audio, last.request.audio):
        return "a recording drives it"
    try:
        whole = backend.snap(_whole([member.request for member in run], backend.id))
    except RefusalError as refusal:
        return f"{backend.id} refuses {len(run)} shots at a time: {refusal.what}"
    rule = backend.capabilities.frame_rule
    longest = rule.snap(rule.maximum) - _tail_frames(whole.request.continue_from)
    asked = sum(_needed(run, whole.request))
    if not asked <= whole.request.num_frames <= longest:
        return f"{backend.id} makes at most {longest} frames at a time"
    return whole


def _needed(run: Sequence[Member], whole: RenderRequest) -> tuple[int, ...]:
    """Frames of each shot's take, at the rate of the generation."""
    return tuple(
        frames_at_rate(member.request.num_frames, member.request.fps, whole.fps) for member in run
    )


def _tail_frames(going_on: ContinueFrom | None) -> int:
    return going_on.tail_frames if going_on is not None and going_on.mode == "extend" else 0


def _whole(requests: Sequence[RenderRequest], backend_id: str) -> RenderRequest:
    """One request for all: the first shot's, with what the others bring in their order."""
    first = requests[0]
    reach = math.ceil(REACH_S * first.fps)
    lengths = [
        # A cut at either end may come early or late; the outer ends are where they are.
        request.num_frames + reach * ((index > 0) + (index < len(requests) - 1))
        for index, request in enumerate(requests)
    ]
    starts = [sum(lengths[:index]) for index in range(len(requests))]
    shots = tuple(
        ListedShot(request.prompt, start / first.fps, length / first.fps)
        for request, start, length in zip(requests, starts, lengths, strict=True)
    )
    spoken = [request.audio for request in requests]
    return replace(
        first,
        prompt=write_shot_list(shots, backend_id),
        negative=_negative(requests),
        num_frames=sum(lengths),
        description=replace(
            first.description,
            action=" ".join(request.description.action for request in requests),
            placements=tuple(_placements(requests, starts)),
            dialogue=tuple(line for request in requests for line in request.description.dialogue),
        ),
        references=tuple(dict.fromkeys(one for each in requests for one in each.references)),
        key_pictures=tuple(_key_pictures(requests, starts)),
        audio="native" if "native" in spoken else "none",
        loras=tuple(dict.fromkeys(one for each in requests for one in each.loras)),
        shots=shots,
    )


def _negative(requests: Sequence[RenderRequest]) -> str:
    terms = (term.strip() for request in requests for term in request.negative.split(","))
    return ", ".join(dict.fromkeys(term for term in terms if term))


def _key_pictures(requests: Sequence[RenderRequest], starts: Sequence[int]) -> Iterator[KeyPicture]:
    for request, start in zip(requests, starts, strict=True):
        for key in request.key_pictures:
            yield replace(key, frame=key.frame + start)


def _placements(requests: Sequence[RenderRequest], starts: Sequence[int]) -> Iterator[Placement]:
    """Everybody as they first appear, with all of their lines."""
    people: dict[str, Placement] = {}
    for request, start in zip(requests, starts, strict=True):
        for one in request.description.placements:
            spans = tuple((begin + start, end + start) for begin, end in one.speaking)
            known = people.get(one.subject)
            before = known.speaking if known else ()
            people[one.subject] = replace(known or one, speaking=before + spans)
    yield from people.values()
