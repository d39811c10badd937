"""Where the camera is set down and where the cast stand, from the shot's size, angle and staging.

The framing table is the field's: what of a person each size holds, counted from the crown in
parts of the figure, with the head as the unit where the head is what is framed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from generator.backends.animatic_art.camera import Pose, angle_of, focal_px
from generator.backends.animatic_art.noise import stream
from generator.backends.base import Description, Placement
from storyboards.fields import Angle, ShotSize

__all__ = ["CastMember", "Mark", "Staging", "stage"]

STAGE_M = 5.0
"""Metres from where a place is pictured to where its action stands."""

_TIGHT = (ShotSize.ECU, ShotSize.CU, ShotSize.MCU, ShotSize.OTS)
_LENS = {
    ShotSize.ECU: 1.9,
    ShotSize.CU: 1.6,
    ShotSize.MCU: 1.4,
    ShotSize.OTS: 1.4,
    ShotSize.MS: 1.2,
    ShotSize.POV: 1.1,
    ShotSize.INSERT: 2.0,
}
"""How much longer the lens is taken to be for the tighter sizes, as a set does it."""

_ALONE_LENS = {
    ShotSize.ECU: 2.6,
    ShotSize.CU: 2.2,
    ShotSize.MCU: 1.9,
    ShotSize.MS: 1.5,
    ShotSize.MLS: 1.2,
    ShotSize.OTS: 1.5,
    ShotSize.INSERT: 2.6,
}
_WIDE_X = {"far_left": 0.13, "left": 0.32, "centre": 0.5, "right": 0.68, "far_right": 0.87}
_TIGHT_X = {"far_left": 0.27, "left": 0.38, "centre": 0.5, "right": 0.62, "far_right": 0.73}
_DEPTH = {"near": 0.78, "mid": 1.0, "far": 1.55}
_DUTCH = 0.15
"""Radians: the camera leans about nine degrees."""


@dataclass(frozen=True, slots=True)
class CastMember:
    """What staging needs to know of one of the cast."""

    placement: Placement
    chin: float
    thing: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """Where one of the cast stands: metres right of the axis and from the origin."""

    cast: int
    x: float
    z: float
    shoulder: bool = False
    """The dark back in the foreground of an over-the-shoulder."""


@dataclass(frozen=True, slots=True)
class Staging:
    """The camera's start, and everybody's mark, far to near."""

    start: Pose
    subject_m: float
    height_m: float
    horizon: float
    """Row, as a part of the frame's height."""
    reference_focal: float
    """Pixels: the lens that the place is pictured with."""
    marks: tuple[Mark, ...]
    tight: bool
    aim: tuple[float, float] = (0.0, 0.0)
    """The main figure's head: metres right of the axis and above the lens."""

    @property
    def stage_m(self) -> float:
        """Distance of the action from the origin."""
        return self.start.z + self.subject_m


def stage(
    shot: Description, cast: Sequence[CastMember], size: tuple[int, int], seed: int
) -> Staging:
    """The staging of a shot; a take's seed nudges it as a second attempt on set would."""
    rng = stream("staging", seed)
    nudge = rng.normal(0, 0.010, 3).tolist()
    shown = _shown(shot, cast)
    if not shown:
        return _empty(shot, size, 1 + nudge[2])
    main = _main(shot, cast, shown)
    lens = shot.camera.lens_mm * _LENS.get(shot.size, 1.0) * (1 + nudge[2])
    focal = focal_px(lens, size)
    top, bottom = _held(shot.size, cast[main], size)
    tall = cast[main].placement.height_m
    frame_m = (bottom - top) * tall
    subject_m = max(0.25, focal * frame_m / size[1])
    height_m = _lens_height(shot, cast[main])
    horizon = ((tall - height_m) / tall - top) / (bottom - top) + nudge[1] * 0.6
    start = Pose(
        z=max(0.0, STAGE_M - subject_m),
        tilt=angle_of((horizon - 0.5) * size[1] / focal),
        roll=_DUTCH if shot.angle is Angle.DUTCH else 0.0,
        focal=focal,
    )
    reference = min(focal_px(30, size), focal * 0.97)
    bare = Staging(start, subject_m, height_m, horizon, reference, (), shot.size in _TIGHT)
    marks = _marks(shot, cast, shown, main, bare, size, nudge[0])
    main_x = next(mark.x for mark in marks if mark.cast == main)
    if len(marks) > 1 and shot.size is not ShotSize.OTS:
        main_x = sum(mark.x for mark in marks) / len(marks)
    head_m = tall * (0.5 if cast[main].thing else 1 - 0.5 * cast[main].chin)
    aim = (main_x, head_m - height_m)
    return Staging(start, subject_m, height_m, horizon, reference, marks, bare.tight, aim)


def _shown(shot: Description, cast: Sequence[CastMember]) -> list[int]:
    if shot.size is ShotSize.INSERT:
        return [index for index, member in enumerate(cast) if member.thing]
    return list(range(len(cast)))


def _main(shot: Description, cast: Sequence[CastMember], shown: Sequence[int]) -> int:
    """Whom the frame is set for: who speaks most, else the first (over a shoulder, the second)."""
    if shot.size is ShotSize.OTS and len(shown) > 1:
        return shown[1]

    def spoken(index: int) -> int:
        return sum(after - first for first, after in cast[index].placement.speaking)

    people = [index for index in shown if not cast[index].thing] or list(shown)
    return max(people, key=lambda index: (spoken(index), -index))


def _held(size: ShotSize, member: CastMember, frame: tuple[int, int]) -> tuple[float, float]:
    """First and last row of the figure that the frame holds, in parts of its height."""
    chin = member.chin
    if member.thing:
        table = {
            ShotSize.ECU: (0.15, 0.85),
            ShotSize.CU: (-0.12, 1.10),
            ShotSize.INSERT: (-0.18, 1.15),
            ShotSize.MCU: (-0.4, 1.25),
            ShotSize.MS: (-0.9, 1.4),
            ShotSize.MLS: (-1.6, 1.7),
            ShotSize.LS: (-2.8, 2.2),
            ShotSize.ELS: (-7.0, 4.0),
        }
    else:
        table = {
            ShotSize.ECU: (0.20 * chin, 1.02 * chin),
            ShotSize.CU: (-0.20 * chin, 1.55 * chin),
            ShotSize.MCU: (-0.25 * chin, 2.6 * chin),
            ShotSize.OTS: (-0.30 * chin, 2.7 * chin),
            ShotSize.MS: (-0.25 * chin, 0.54),
            ShotSize.MLS: (-0.16 * chin, 0.79),
            ShotSize.LS: (-0.11, 1.08),
            ShotSize.ELS: (-2.6, 1.75),
        }
    top, bottom = table.get(size, table[ShotSize.MS])
    # An upright frame is narrow: the same rows would cut the figure at both sides.
    widen = min(1.9, max(1.0, 1.15 * frame[1] / frame[0])) - 1
    grow = (bottom - top) * widen
    return top - 0.5 * grow, bottom + 0.5 * grow


def _lens_height(shot: Description, member: CastMember) -> float:
    """Metres of the lens over the ground."""
    tall = member.placement.height_m
    eyes = tall * (1 - 0.5 * member.chin)
    level = {
        ShotSize.MS: 0.88 * tall,
        ShotSize.MLS: 0.76 * tall,
        ShotSize.LS: 0.66 * tall,
        ShotSize.ELS: 1.0 * tall,
    }.get(shot.size, eyes)
    if member.thing:
        level = tall * 1.1
    return {
        Angle.LOW: 0.45 * level if shot.size not in _TIGHT else 0.80 * level,
        Angle.GROUND: 0.14 * tall if shot.size not in _TIGHT else 0.72 * level,
        Angle.HIGH: level * 1.25 if shot.size in _TIGHT else level + 0.75 * tall,
        Angle.OVERHEAD: level * 1.4 if shot.size in _TIGHT else level + 1.3 * tall,
    }.get(shot.angle, level)


def _marks(
    shot: Description,
    cast: Sequence[CastMember],
    shown: Sequence[int],
    main: int,
    set_down: Staging,
    size: tuple[int, int],
    nudge: float,
) -> tuple[Mark, ...]:
    columns = _columns(shot, cast, shown, main, nudge)
    marks = []
    base = _DEPTH[cast[main].placement.depth]
    for index in shown:
        ratio = _DEPTH[cast[index].placement.depth] / base
        shoulder = shot.size is ShotSize.OTS and index == shown[0] and index != main
        distance = set_down.subject_m * (0.56 if shoulder else ratio)
        column = columns[index]
        if shoulder:
            column = 0.10 if columns[main] >= 0.5 else 0.90
        x = (column - 0.5) * size[0] / set_down.start.focal * distance
        marks.append(Mark(index, x, set_down.start.z + distance, shoulder))
    return tuple(sorted(marks, key=lambda mark: -mark.z))


def _columns(
    shot: Description,
    cast: Sequence[CastMember],
    shown: Sequence[int],
    main: int,
    nudge: float,
) -> dict[int, float]:
    """Where in the frame's width each stands: thirds, lead room, nobody on top of another."""
    tight = shot.size in _TIGHT
    taken: dict[int, float] = {}
    for index in shown:
        placement = cast[index].placement
        others = len(shown) > 1
        table = _TIGHT_X if tight and not (others and index != main) else _WIDE_X
        column = table[placement.position]
        if shot.size is ShotSize.ECU:
            column = 0.5 + (column - 0.5) * 0.3
        elif not others and placement.facing in ("left", "right"):
            column += 0.06 if placement.facing == "left" else -0.06
        if shot.size is ShotSize.OTS and index == main:
            column = 0.60 if placement.facing != "right" else 0.40
        gap = 0.30 if tight else 0.2
        while any(abs(column - other) < gap * 0.6 for other in taken.values()):
            column += gap if column <= 0.5 else -gap
            if len(taken) > 4:
                break
        taken[index] = column + nudge
    return taken


def _empty(shot: Description, size: tuple[int, int], breath: float) -> Staging:
    """Nobody in the frame: the place itself, nearer for the tighter sizes."""
    lens = shot.camera.lens_mm * _ALONE_LENS.get(shot.size, 1.0) * breath
    focal = focal_px(lens, size)
    wide = shot.size in (ShotSize.LS, ShotSize.ELS, ShotSize.POV)
    height_m = {Angle.LOW: 0.7, Angle.GROUND: 0.25, Angle.HIGH: 3.0, Angle.OVERHEAD: 5.0}.get(
        shot.angle, 1.6
    )
    horizon = {Angle.LOW: 0.72, Angle.GROUND: 0.80, Angle.HIGH: 0.26, Angle.OVERHEAD: 0.05}.get(
        shot.angle, 0.54
    )
    start = Pose(
        z=0.0 if wide else 1.2,
        tilt=angle_of((horizon - 0.5) * size[1] / focal),
        roll=_DUTCH if shot.angle is Angle.DUTCH else 0.0,
        focal=focal,
    )
    reference = min(focal_px(30, size), focal * 0.97)
    subject_m = 9.0 if wide else 5.0
    return Staging(start, subject_m, height_m, horizon, reference, (), False)
