"""Where people stand: one side each for a whole scene, so that nobody jumps across the line.

The 180-degree rule: two people keep their left and right of the frame through a scene, and look
at each other. A person alone in the frame stands in the centre and still looks to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from storyboards.schema import SceneText
from storyboards.shot_schema import CastInShot

__all__ = ["Stance", "scene_sides", "stances"]

Position = Literal["far_left", "left", "centre", "right", "far_right"]
Facing = Literal["camera", "left", "right", "away"]
Depth = Literal["near", "mid", "far"]

_POSITIONS: tuple[Position, ...] = ("far_left", "left", "centre", "right", "far_right")

_SPREADS: tuple[tuple[Position, ...], ...] = (
    ("centre",),
    ("left", "right"),
    ("left", "centre", "right"),
    ("far_left", "left", "right", "far_right"),
    _POSITIONS,
)
"""Places for one, two, ... people."""

_ARRIVALS: tuple[Position, ...] = ("left", "right", "centre", "far_left", "far_right")
"""Sides in the order in which people come into a scene."""


@dataclass(frozen=True, slots=True)
class Stance:
    """Where somebody stands in a shot, and which way they look."""

    position: Position
    facing: Facing
    depth: Depth
    ref: str | None


def scene_sides(scene: SceneText) -> dict[str, Position]:
    """Everybody's side of the frame in the scene, in the order of their appearance."""
    first: dict[str, Position | None] = {}
    for entry in (*scene.staging, *(entry for shot in scene.shots for entry in shot.cast)):
        # What a later shot says holds for that shot alone.
        first.setdefault(entry.who, entry.position)
    written = {who: position for who, position in first.items() if position is not None}
    free = [side for side in _ARRIVALS if side not in written.values()] or ["centre"]
    sides = dict(written)
    for place, who in enumerate(who for who in first if who not in written):
        sides[who] = free[place % len(free)]
    return {who: sides[who] for who in first}


def stances(
    cast: Sequence[CastInShot], scene: SceneText, sides: dict[str, Position]
) -> tuple[Stance, ...]:
    """The stance of each of `cast` in one shot of `scene`."""
    presets = {entry.who: entry for entry in scene.staging}
    fixed = {
        entry.who: position
        for entry in cast
        if (position := entry.position or _preset_position(presets.get(entry.who), len(cast)))
    }
    open_to = sorted(
        (entry.who for entry in cast if entry.who not in fixed),
        key=lambda who: _POSITIONS.index(sides[who]),
    )
    spread = _SPREADS[min(len(cast), len(_SPREADS)) - 1] if cast else ()
    free = [place for place in spread if place not in fixed.values()] or list(_POSITIONS)
    positions = {**fixed, **{who: free[i % len(free)] for i, who in enumerate(open_to)}}
    return tuple(_stance(entry, presets.get(entry.who), positions, sides) for entry in cast)


def _preset_position(preset: CastInShot | None, people: int) -> Position | None:
    """The scene's position, except for somebody alone: a single is framed in the centre."""
    return preset.position if preset is not None and people > 1 else None


def _stance(
    entry: CastInShot,
    preset: CastInShot | None,
    positions: dict[str, Position],
    sides: dict[str, Position],
) -> Stance:
    facing = entry.facing or (preset.facing if preset else None)
    depth = entry.depth or (preset.depth if preset else None) or "mid"
    return Stance(
        positions[entry.who],
        facing or _facing(entry.who, positions, sides),
        depth,
        entry.ref or (preset.ref if preset else None),
    )


def _facing(who: str, positions: dict[str, Position], sides: dict[str, Position]) -> Facing:
    """Towards the others: those in the shot, or, for somebody alone, those in the scene."""
    places = positions if len(positions) > 1 else sides
    others = [_POSITIONS.index(place) for name, place in places.items() if name != who]
    if not others:
        return "camera"
    lean = sum(others) / len(others) - _POSITIONS.index(places[who])
    if lean == 0:
        return "camera"
    return "right" if lean > 0 else "left"
