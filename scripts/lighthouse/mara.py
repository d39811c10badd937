"""Mara, keeper of the light: sixty-odd, grey braid, yellow oilskin."""

from __future__ import annotations

import math

from .faces import Complexion, front_face, model, side_face
from .ink import Area, Canvas, Points, mirror, mix, rgb
from .palette import GLOW, INK, NAVY, OILSKIN, OILSKIN_DARK, SLATE

FACE = Complexion(
    skin=rgb("d6a587"), shade=rgb("7d5660"), brow=rgb("8f939b"), iris=rgb("6f9bab"),
    lip=rgb("a8605a"), lines=0.9,
)  # fmt: skip
HAIR, HAIR_DARK, HAIR_LIGHT = rgb("9ba1a8"), rgb("545d6e"), rgb("d5d6d2")
COAT = (mix(OILSKIN, GLOW, 0.22), OILSKIN, mix(OILSKIN, OILSKIN_DARK, 0.62))
BOOT = rgb("222a38")
CORD = rgb("3c3430")


def front(canvas: Canvas) -> None:
    """The whole figure, feet at y = 1800, crown near y = 40, x = 0 down the middle."""
    boots(canvas, ((-112, -16), (16, 112)))
    _hood(canvas)
    for side in (-1, 1):
        _arm(canvas, side)
    coat = canvas.lay(canvas.area(mirror([
        (0, 372), (62, 360), (120, 378), (164, 410), (176, 470), (166, 570), (168, 700),
        (184, 900), (206, 1150), (224, 1392), (110, 1410), (0, 1404),
    ])), canvas.ramp((60, 360), (-60, 1400), *COAT))  # fmt: skip
    model(canvas, coat, mix(OILSKIN_DARK, NAVY, 0.45), 90, 7)
    _coat_detail(canvas, coat)
    neck = canvas.lay(canvas.area(mirror([(0, 270), (50, 272), (56, 340), (78, 380), (0, 420)])),
                      mix(FACE.skin, FACE.shade, 0.5))  # fmt: skip
    canvas.tint(canvas.oval(-12, 322, 74, 40).blurred(8 * canvas.scale).within(neck),
                mix(FACE.shade, NAVY, 0.5), 0.85)  # fmt: skip
    canvas.lay(canvas.area([(-66, 366), (0, 352), (66, 366), (48, 420), (0, 436), (-48, 420)]),
               mix(SLATE, INK, 0.35))  # fmt: skip
    for side in (-1, 1):
        collar = canvas.lay(canvas.area([(side * x, y) for x, y in (
            (58, 334), (92, 352), (112, 398), (88, 470), (48, 500), (14, 470), (34, 420),
        )]), CORD)  # fmt: skip
        model(canvas, collar, INK, 14, 4)
    _braid(canvas, [(88, 296), (108, 350), (116, 420), (106, 500), (112, 590), (104, 650)])
    front_head(canvas.within(0, 186))


def front_head(canvas: Canvas) -> None:
    back = canvas.lay(canvas.area(mirror([
        (0, -150), (56, -143), (100, -104), (117, -44), (115, 20), (104, 62), (80, 86), (0, 96),
    ])), HAIR_DARK)  # fmt: skip
    model(canvas, back, NAVY, 30, 4)
    face = front_face(canvas, FACE)
    for side in (-1, 1):
        lock = canvas.area([(side * x, y) for x, y in (
            (-2, -152), (44, -148), (96, -112), (118, -48), (116, 16), (102, 50), (100, 10),
            (88, -40), (66, -74), (30, -98), (2, -118),
        )])  # fmt: skip
        canvas.lay(lock, canvas.ramp((0, -150), (side * 110, 40), HAIR_LIGHT, HAIR, HAIR_DARK))
        shade = lock.moved(0, 9 * canvas.scale).without(lock).blurred(3 * canvas.scale)
        canvas.tint(shade.within(face), FACE.shade, 0.8)
        for i in range(7):
            t = i / 6
            strand = [(side * 3, -146 + 26 * t), (side * (40 + 8 * (1 - t)), -138 + 40 * t),
                      (side * (84 + 14 * (1 - t)), -90 + 46 * t),
                      (side * (100 + 12 * (1 - t)), -10 + 30 * t)]  # fmt: skip
            tone = HAIR_LIGHT if i % 3 == 1 else HAIR_DARK
            canvas.tint(canvas.stroke(strand, 3.0 - t).within(lock), tone, 0.75)
        if side < 0:
            canvas.tint(lock, NAVY, 0.36)
        else:
            model(canvas, lock, HAIR_DARK, 1, 5)
    wisp = [(20, -112), (46, -92), (60, -58), (58, -40)]
    canvas.lay(canvas.stroke(wisp, 2.6), HAIR_LIGHT, 0.9)
    canvas.lay(canvas.stroke([(-30, -112), (-58, -84), (-68, -44)], 2.4), HAIR, 0.9)


def side(canvas: Canvas) -> None:
    """The figure in right profile, feet at y = 1800."""
    boots(canvas, ((-84, 14), (-22, 76)), toe=58)
    hood = canvas.lay(canvas.area([(-150, 380), (-120, 336), (-60, 330), (0, 352), (20, 400),
                                   (-60, 470), (-140, 460)]), COAT[2])  # fmt: skip
    model(canvas, hood, NAVY, 24, 0.1)
    coat = canvas.lay(canvas.area([
        (-70, 372), (0, 352), (64, 376), (110, 450), (122, 560), (116, 720), (130, 900),
        (150, 1150), (172, 1388), (20, 1410), (-160, 1396), (-158, 1150), (-144, 900),
        (-138, 720), (-146, 560), (-126, 430),
    ]), canvas.ramp((110, 380), (-110, 1400), *COAT))  # fmt: skip
    model(canvas, coat, mix(OILSKIN_DARK, NAVY, 0.45), 90, 7)
    for line in ([(60, 700), (70, 900), (84, 1120), (92, 1370)],
                 [(-70, 760), (-84, 960), (-86, 1180), (-100, 1380)]):  # fmt: skip
        canvas.tint(canvas.stroke(line, 11).blurred(3 * canvas.scale), COAT[2], 0.8)
    canvas.tint(canvas.stroke([(-160, 1370), (20, 1382), (170, 1362)], 3, (1, 1)), INK, 0.5)
    neck = canvas.area([(-40, 260), (50, 290), (52, 340), (70, 386), (-40, 400), (-62, 320)])
    canvas.lay(neck, mix(FACE.skin, FACE.shade, 0.6))
    collar = canvas.lay(canvas.area([(-84, 352), (-40, 322), (20, 336), (74, 356), (84, 400),
                                     (40, 432), (-50, 430)]), CORD)  # fmt: skip
    model(canvas, collar, INK, 16, 4)
    _side_arm(canvas)
    head = canvas.within(6, 186)
    side_face(head, FACE)
    _side_hair(head)
    _braid(canvas, [(-92, 250), (-134, 320), (-150, 410), (-146, 500), (-156, 590), (-150, 650)])


def _side_hair(canvas: Canvas) -> None:
    hair = canvas.lay(canvas.area([
        (74, -112), (50, -138), (0, -152), (-60, -140), (-104, -96), (-118, -30), (-108, 30),
        (-84, 66), (-52, 62), (-34, 30), (-34, -10), (-16, -34), (22, -52), (52, -84),
    ]), canvas.ramp((60, -130), (-90, 60), HAIR_LIGHT, HAIR, HAIR_DARK))  # fmt: skip
    for i in range(9):
        t = i / 8
        strand = [(66 - 14 * t, -112 + 22 * t), (10 - 10 * t, -140 + 84 * t),
                  (-60 + 6 * t, -112 + 94 * t), (-92 + 16 * t, -10 + 60 * t)]  # fmt: skip
        tone = HAIR_LIGHT if i % 3 == 1 else HAIR_DARK
        canvas.tint(canvas.stroke(strand, 3.4).within(hair), tone, 0.7)
    model(canvas, hair, NAVY, 34, 4)


def _braid(canvas: Canvas, spine: Points) -> None:
    """A plait along a spine: leaning lobes, each over the one before, then a tied tail."""
    lobes = 20
    for i in range(lobes):
        at = i / (lobes - 1) * (len(spine) - 1.001)
        k, t = int(at), at - int(at)
        x = spine[k][0] + (spine[k + 1][0] - spine[k][0]) * t
        y = spine[k][1] + (spine[k + 1][1] - spine[k][1]) * t
        lean = 1 if i % 2 else -1
        size = 31 - 11 * i / lobes
        lobe = canvas.lay(_leaf(canvas, x + lean * size * 0.34, y, size, -lean), HAIR)
        model(canvas, lobe, HAIR_DARK, size * 0.5, 2.5)
        sheen = _leaf(canvas, x + lean * size * 0.4, y - 3, size * 0.42, -lean)
        canvas.tint(sheen, HAIR_LIGHT, 0.5)
    x, y = spine[-1]
    tail = [(x - 10, y + 8), (x + 10, y + 6), (x + 13, y + 40), (x + 2, y + 78), (x - 9, y + 42)]
    canvas.lay(canvas.area(tail), canvas.ramp((x, y), (x, y + 70), HAIR, HAIR_DARK))
    canvas.lay(canvas.stroke([(x - 14, y + 10), (x + 14, y + 8)], 11, (0.9, 0.9)), rgb("8c3b30"))


def _leaf(canvas: Canvas, x: float, y: float, size: float, lean: int) -> Area:
    turn = lean * 0.75
    ring = []
    for step in range(12):
        a = step / 12 * 2 * math.pi
        u, v = size * 0.62 * math.cos(a), size * 1.15 * math.sin(a)
        across = u * math.cos(turn) - v * math.sin(turn)
        ring.append((x + across, y + u * math.sin(turn) + v * math.cos(turn)))
    return canvas.area(ring)


def _hood(canvas: Canvas) -> None:
    hood = canvas.lay(canvas.area(mirror([(0, 300), (90, 306), (140, 340), (162, 400), (130, 440),
                                          (0, 450)])), COAT[2])  # fmt: skip
    model(canvas, hood, NAVY, 40, 6)
    canvas.tint(canvas.oval(0, 350, 96, 46).blurred(10 * canvas.scale).within(hood), INK, 0.6)


def _arm(canvas: Canvas, side: int) -> None:
    def at(points: Points) -> Points:
        return [(side * x, y) for x, y in points]

    hand = canvas.lay(canvas.area(at([(190, 880), (230, 880), (240, 930), (232, 985), (214, 1010),
                                      (196, 990), (184, 940)])), FACE.skin)  # fmt: skip
    model(canvas, hand, FACE.shade, 22, 4)
    for x in (203, 215, 226):
        canvas.tint(canvas.stroke(at([(x, 942), (x - 1, 968), (x - 3, 994)]), 3), FACE.shade, 0.9)
    sleeve = canvas.lay(canvas.area(at([
        (130, 386), (176, 410), (200, 500), (220, 680), (238, 820), (244, 900), (182, 908),
        (166, 820), (150, 680), (138, 560),
    ])), canvas.ramp((side * 200, 400), (side * 190, 900), *COAT))  # fmt: skip
    model(canvas, sleeve, mix(OILSKIN_DARK, NAVY, 0.4), 34, 6)
    for y in (640, 672, 712):
        fold = at([(150, y), (180, y + 22), (214, y + 8)])
        canvas.tint(canvas.stroke(fold, 8).blurred(2 * canvas.scale).within(sleeve), COAT[2], 0.9)
    canvas.tint(canvas.stroke(at([(178, 872), (210, 880), (242, 866)]), 3, (1, 1)), INK, 0.5)


def _side_arm(canvas: Canvas) -> None:
    hand = canvas.lay(canvas.area([(10, 880), (56, 884), (70, 930), (66, 986), (44, 1012),
                                   (22, 988), (10, 930)]), FACE.skin)  # fmt: skip
    model(canvas, hand, FACE.shade, 20, 4)
    canvas.tint(canvas.stroke([(46, 934), (50, 964), (44, 1000)], 3), FACE.shade, 0.9)
    sleeve = canvas.lay(canvas.area([
        (-52, 420), (-4, 396), (44, 430), (54, 540), (56, 680), (72, 820), (76, 902), (2, 910),
        (-14, 820), (-40, 690), (-58, 560),
    ]), canvas.ramp((50, 400), (-10, 900), *COAT))  # fmt: skip
    model(canvas, sleeve, mix(OILSKIN_DARK, NAVY, 0.4), 46, 6)
    for y in (640, 676, 716):
        fold = [(-40, y + 10), (0, y + 26), (52, y)]
        canvas.tint(canvas.stroke(fold, 8).blurred(2 * canvas.scale).within(sleeve), COAT[2], 0.9)
    canvas.tint(canvas.stroke([(-2, 874), (36, 882), (76, 866)], 3, (1, 1)), INK, 0.5)


def _coat_detail(canvas: Canvas, coat: Area) -> None:
    for points in ([(70, 760), (84, 960), (96, 1180), (104, 1388)],
                   [(-60, 800), (-80, 1000), (-88, 1200), (-100, 1390)],
                   [(130, 560), (124, 660), (134, 780)]):  # fmt: skip
        line = canvas.stroke(points, 13).blurred(4 * canvas.scale).within(coat)
        canvas.tint(line, COAT[2], 0.85)
    placket = canvas.area([(-26, 430), (26, 430), (30, 800), (34, 1404), (-34, 1404), (-30, 800)],
                          smooth=False).within(coat)  # fmt: skip
    canvas.tint(placket, COAT[2], 0.28)
    canvas.tint(canvas.stroke([(28, 440), (31, 800), (35, 1402)], 3.4, (1, 1)), INK, 0.6)
    for y in (520, 660, 800, 940):
        canvas.lay(canvas.stroke([(-34, y), (36, y)], 15, (0.8, 0.8)), CORD)
        canvas.lay(canvas.oval(24, y, 11, 11), rgb("c9b07c"))
        canvas.tint(canvas.oval(22, y + 3, 6, 5), INK, 0.5)
    for side in (-1, 1):
        flap = canvas.area(
            [(side * x, y) for x, y in ((70, 968), (158, 960), (164, 1012), (72, 1022))],
            smooth=False,
        )
        shadow = flap.moved(-3 * canvas.scale, 12 * canvas.scale).blurred(4 * canvas.scale)
        canvas.tint(shadow.within(coat), OILSKIN_DARK, 0.7)
        canvas.lay(flap, COAT[1] if side > 0 else COAT[2])
        model(canvas, flap, OILSKIN_DARK, 10, 3)
    canvas.tint(canvas.stroke([(-220, 1368), (0, 1382), (220, 1368)], 3.4, (1, 1)), INK, 0.5)


def boots(canvas: Canvas, spans: tuple[tuple[int, int], ...], toe: int = 0) -> None:
    for left, right in spans:
        trouser = canvas.lay(
            canvas.area(
                [(left, 1340), (right, 1340), (right - 4, 1580), (left + 4, 1580)], smooth=False
            ),
            mix(NAVY, INK, 0.3),
        )
        model(canvas, trouser, INK, 30, 4)
        boot = canvas.lay(canvas.area([
            (left - 6, 1540), (right + 6, 1540), (right + 4, 1660), (right + 8 + toe * 0.3, 1716),
            (right + 12 + toe, 1756), (right + 12 + toe, 1797), (left - 10, 1797),
            (left - 10, 1740), (left, 1660),
        ]), BOOT)  # fmt: skip
        model(canvas, boot, INK, 34, 5)
        canvas.tint(canvas.stroke([(left - 4, 1556), (right + 4, 1556)], 8, (1, 1)),
                    mix(SLATE, INK, 0.2), 0.9)  # fmt: skip
        sole = canvas.area([(left - 12, 1780), (right + 14 + toe, 1780), (right + 14 + toe, 1800),
                            (left - 12, 1800)], smooth=False)  # fmt: skip
        canvas.tint(sole, INK)
