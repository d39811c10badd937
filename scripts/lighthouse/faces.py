"""Heads, seen from the front and in right profile. (0, 0) is between the eyes, the chin at 150."""

from __future__ import annotations

from dataclasses import dataclass

from .ink import Area, Canvas, Colour, Points, mirror, mix
from .palette import AMBER, INK, NAVY

FACE_HALF: Points = [
    (0, -114), (50, -106), (84, -66), (92, -12), (89, 40),
    (77, 88), (52, 130), (22, 151), (0, 154),
]  # fmt: skip
PROFILE: Points = [
    (-20, -128), (40, -122), (82, -92), (98, -58), (101, -34), (94, -12), (103, 12),
    (119, 38), (125, 48), (117, 58), (102, 61), (104, 71), (109, 80), (100, 87),
    (106, 95), (103, 106), (97, 113), (104, 128), (102, 144), (84, 155), (52, 148),
    (16, 128), (-10, 98), (-40, 60), (-90, 20), (-96, -60), (-66, -112),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Complexion:
    """The colours of one face; `lines` in [0, 1] is how deeply age has drawn it."""

    skin: Colour
    shade: Colour
    brow: Colour
    iris: Colour
    lip: Colour
    lines: float


def model(canvas: Canvas, area: Area, shade: Colour, depth: float, rim: float = 5.0) -> None:
    """Cool shadow on the left of a form and the lamp's warm edge on its right."""
    d = depth * canvas.scale
    away = area.without(area.moved(d, -d * 0.25)).blurred(d * 0.16).within(area)
    canvas.tint(away, shade, 0.72)
    lit = area.without(area.moved(-rim * canvas.scale, rim * 0.45 * canvas.scale))
    canvas.glow(lit.blurred(0.8).within(area), AMBER, 0.75)


def front_face(canvas: Canvas, look: Complexion) -> Area:
    """A face with ears and neck left to the figure; hands back the face mask for the hair."""
    for side in (-1, 1):
        ear = canvas.oval(side * 93, 12, 15, 30)
        canvas.lay(ear, look.skin if side > 0 else look.shade)
        canvas.lay(canvas.oval(side * 94, 12, 6, 18), look.shade)
    paint = canvas.ramp((0, -110), (0, 160), mix(look.skin, (1, 1, 1), 0.06), look.skin,
                        mix(look.skin, look.shade, 0.3))  # fmt: skip
    face = canvas.lay(canvas.area(mirror(FACE_HALF)), paint)
    _front_shadows(canvas, face, look)
    for side in (-1, 1):
        _front_eye(canvas, look, side)
    _front_mouth(canvas, look)
    _front_lines(canvas, look)
    rim = face.without(face.moved(-5 * canvas.scale, 1.5 * canvas.scale)).blurred(1.2)
    canvas.glow(rim.within(face), AMBER, 0.75)
    return face


def _front_shadows(canvas: Canvas, face: Area, look: Complexion) -> None:
    dark = canvas.area([
        (-140, -140), (-34, -126), (-26, -70), (-20, -36), (-11, -14), (-12, 14), (-19, 38),
        (-24, 54), (-10, 64), (-3, 74), (-9, 86), (-4, 100), (-13, 112), (-14, 134), (-6, 170),
        (-140, 180),
    ])  # fmt: skip
    canvas.tint(dark.blurred(1.3 * canvas.scale).within(face), look.shade, 0.66)
    deep = canvas.area([(-140, -140), (-74, -100), (-66, -30), (-72, 20), (-52, 70), (-40, 120),
                        (-30, 180), (-140, 180)])  # fmt: skip
    canvas.tint(deep.blurred(7 * canvas.scale).within(face), mix(look.shade, NAVY, 0.45), 0.55)
    for side in (-1, 1):
        socket = canvas.oval(side * 38, -5, 31, 19).blurred(8 * canvas.scale)
        canvas.tint(socket.within(face), look.shade, 0.55)
    cheek = canvas.oval(54, 46, 26, 17).blurred(9 * canvas.scale)
    canvas.tint(cheek.within(face), look.lip, 0.38)
    under = canvas.area([(-20, 55), (0, 62), (22, 54), (16, 68), (0, 72), (-16, 68)])
    canvas.tint(under.blurred(1.6 * canvas.scale), look.shade, 0.75)
    wing = canvas.area([(13, 40), (23, 48), (23, 57), (15, 58), (17, 50)])
    canvas.tint(wing.blurred(1.2 * canvas.scale), look.shade, 0.6)
    light = canvas.stroke([(5, -24), (6, 10), (7, 44)], 9).blurred(3 * canvas.scale)
    canvas.glow(light, look.skin, 0.45)
    for side in (-1, 1):
        canvas.tint(canvas.oval(side * 10, 60, 6, 2.6).blurred(0.8), INK, 0.75)


def _front_eye(canvas: Canvas, look: Complexion, side: int) -> None:
    def at(points: Points) -> Points:
        return [(side * x, y) for x, y in points]

    ball = canvas.area(at([(20, 4), (29, -5), (40, -8), (51, -4), (58, 3), (48, 8), (34, 9)]))
    white = (0.86, 0.85, 0.81) if side > 0 else (0.60, 0.60, 0.64)
    canvas.lay(ball, white)
    iris = canvas.oval(side * 39 + 1, 0, 10.5, 10.5).within(ball)
    canvas.lay(iris, mix(look.iris, INK, 0.2 if side > 0 else 0.45))
    canvas.lay(canvas.oval(side * 39 + 1, 3, 6.5, 5).within(iris), look.iris, 0.8)
    canvas.lay(canvas.oval(side * 39 + 1, 0, 5, 5).within(ball), INK)
    lid = canvas.stroke(at([(19, 6), (28, -5), (40, -9.5), (52, -5), (61, 4)]), 6.5, (0.2, 0.35))
    canvas.tint(lid.moved(0, 3 * canvas.scale).blurred(2).within(ball), INK, 0.5)
    canvas.lay(lid, INK)
    canvas.lay(canvas.oval(side * 39 + 5, -4, 2.6, 2.6), (1, 1, 0.96), 0.95)
    canvas.tint(canvas.stroke(at([(26, 9), (40, 11.5), (56, 6)]), 2.4), INK, 0.6)
    canvas.tint(canvas.stroke(at([(22, -10), (36, -19), (52, -15), (62, -5)]), 2.6), INK, 0.5)
    brow = canvas.area(at([(13, -24), (20, -33), (42, -40), (60, -34), (70, -22),
                           (58, -29), (42, -32), (24, -24), (15, -18)]))  # fmt: skip
    canvas.lay(brow, look.brow if side > 0 else mix(look.brow, NAVY, 0.4))
    if look.lines:
        canvas.tint(canvas.stroke(at([(25, 16), (38, 22), (54, 18)]), 2.2), look.shade, 0.9)
        for turn in (-7, 0, 8):
            crow = at([(63, 4 + turn * 0.4), (70, 3 + turn * 0.8), (78, 4 + turn * 1.5)])
            canvas.tint(canvas.stroke(crow, 1.9), look.shade, look.lines)


def _front_mouth(canvas: Canvas, look: Complexion) -> None:
    upper = canvas.area([(-33, 96), (-14, 89), (-5, 86), (0, 88), (5, 86), (14, 89), (33, 95),
                         (16, 97), (0, 97), (-16, 98)])  # fmt: skip
    canvas.tint(upper, mix(look.lip, INK, 0.28), 0.8)
    lower = canvas.area([(-25, 98), (0, 97), (26, 97), (17, 106), (0, 110), (-16, 107)])
    canvas.tint(lower, look.lip, 0.75)
    canvas.glow(canvas.oval(6, 103, 11, 2.6).blurred(1.6 * canvas.scale), look.skin, 0.5)
    canvas.lay(canvas.stroke([(-37, 96), (-18, 96), (0, 97.5), (18, 95.5), (38, 94)], 4), INK, 0.92)
    canvas.tint(canvas.oval(0, 116, 19, 4).blurred(2.4 * canvas.scale), look.shade, 0.85)


def _front_lines(canvas: Canvas, look: Complexion) -> None:
    nose = canvas.stroke([(-8, -18), (-13, 16), (-22, 47), (-20, 58), (-9, 62)], 2.6)
    canvas.tint(nose, INK, 0.55)
    if not look.lines:
        return
    for side in (-1, 1):
        fold = [(side * 25, 52), (side * 37, 70), (side * 43, 93)]
        canvas.tint(canvas.stroke(fold, 3.2), look.shade, 0.95)
        jowl = [(side * 41, 106), (side * 46, 119), (side * 43, 130)]
        canvas.tint(canvas.stroke(jowl, 2.2), look.shade, look.lines)
        hollow = [(side * 66, 40), (side * 60, 66), (side * 50, 84)]
        canvas.tint(canvas.stroke(hollow, 9).blurred(4 * canvas.scale), look.shade, 0.5)
    for y, reach in ((-62, 40), (-74, 46), (-86, 34)):
        brow = [(-reach, y + 2), (-reach / 3, y - 2), (reach / 3, y + 1), (reach, y - 2)]
        canvas.tint(canvas.stroke(brow, 1.8), look.shade, look.lines * 0.85)
    canvas.tint(canvas.stroke([(-5, -36), (-6, -24)], 2), look.shade, look.lines)
    canvas.tint(canvas.stroke([(6, -36), (6, -25)], 2), look.shade, look.lines)


def side_face(canvas: Canvas, look: Complexion) -> Area:
    """A head in right profile, without hair; hands back its mask."""
    paint = canvas.ramp((-60, 0), (110, 20), mix(look.skin, look.shade, 0.55), look.skin,
                        mix(look.skin, (1, 1, 1), 0.05))  # fmt: skip
    head = canvas.lay(canvas.area(PROFILE), paint)
    jaw = canvas.area([(-60, 40), (-8, 60), (22, 96), (54, 122), (86, 128), (96, 170),
                       (-80, 180)])  # fmt: skip
    canvas.tint(jaw.blurred(4 * canvas.scale).within(head), look.shade, 0.7)
    cheek = canvas.area([(30, 30), (50, 52), (44, 88), (58, 116), (20, 100), (0, 50)])
    canvas.tint(cheek.blurred(6 * canvas.scale).within(head), look.shade, 0.45)
    canvas.tint(canvas.oval(74, -4, 24, 15).blurred(7 * canvas.scale).within(head), look.shade, 0.6)
    canvas.tint(canvas.oval(62, 48, 18, 14).blurred(8 * canvas.scale), look.lip, 0.35)
    _side_eye(canvas, look, head)
    wing = canvas.stroke([(101, 34), (95, 46), (99, 57), (108, 58)], 3.2)
    canvas.tint(wing, INK, 0.6)
    canvas.tint(canvas.oval(111, 57, 5, 2.2), INK, 0.7)
    lips = canvas.area([(84, 87), (96, 76), (108, 76), (110, 83), (101, 88), (108, 95),
                        (102, 104), (92, 99)]).within(head)  # fmt: skip
    canvas.tint(lips, look.lip, 0.7)
    canvas.tint(canvas.stroke([(80, 89), (92, 87), (104, 87.5)], 3.6, (0.2, 0.8)), INK, 0.9)
    if look.lines:
        canvas.tint(canvas.stroke([(94, 60), (84, 72), (79, 90)], 3), look.shade, 0.95)
        canvas.tint(canvas.stroke([(74, 104), (70, 116), (74, 126)], 2.2), look.shade, 0.9)
        for y in (-80, -68, -56):
            canvas.tint(canvas.stroke([(70, y - 4), (84, y), (95, y + 1)], 1.8), look.shade, 0.8)
        for turn in (-7, 0, 8):
            crow = [(55, 3 + turn * 0.4), (47, 3 + turn), (40, 4 + turn * 1.6)]
            canvas.tint(canvas.stroke(crow, 1.9), look.shade, 0.9)
    ear = canvas.lay(canvas.area([(-30, -8), (-20, -24), (-2, -20), (0, 0), (-10, 20), (-16, 36),
                                  (-26, 32), (-30, 14)]), look.skin)  # fmt: skip
    model(canvas, ear, look.shade, 8, 2)
    canvas.tint(canvas.stroke([(-20, -12), (-8, -12), (-8, 4), (-18, 16)], 3), INK, 0.5)
    rim = head.without(head.moved(-4.5 * canvas.scale, 0.5 * canvas.scale)).blurred(1.2)
    canvas.glow(rim.within(head), AMBER, 0.85)
    return head


def _side_eye(canvas: Canvas, look: Complexion, head: Area) -> None:
    ball = canvas.area([(62, 3), (72, -6), (84, -8), (86, 0), (82, 7), (72, 8)]).within(head)
    canvas.lay(ball, (0.84, 0.83, 0.8))
    canvas.lay(canvas.oval(82, -1, 5.5, 8.5).within(ball), look.iris)
    canvas.lay(canvas.oval(83.5, -1, 3, 5).within(ball), INK)
    canvas.lay(canvas.oval(82, -4, 1.8, 2), (1, 1, 0.96))
    canvas.lay(canvas.stroke([(59, 5), (70, -7), (82, -10), (90, -6)], 6, (0.2, 0.5)), INK)
    canvas.tint(canvas.stroke([(66, 9), (76, 10), (84, 6)], 2.2), INK, 0.6)
    canvas.tint(canvas.stroke([(60, -8), (72, -18), (86, -17)], 2.4), INK, 0.5)
    brow = canvas.area([(54, -28), (70, -38), (92, -37), (101, -28), (90, -28), (70, -30)])
    canvas.lay(brow.within(head), look.brow)
    if look.lines:
        canvas.tint(canvas.stroke([(62, 16), (73, 20), (83, 14)], 2.2), look.shade, 0.9)
