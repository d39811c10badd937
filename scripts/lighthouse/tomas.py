"""Tomas, the young engineer sent to switch the light off: grey duffel coat, rust scarf."""

from __future__ import annotations

from .faces import Complexion, front_face, model, side_face
from .ink import Area, Canvas, Points, mirror, mix, rgb
from .mara import boots
from .palette import HAZE, INK, NAVY, PALE, RUST, SLATE

FACE = Complexion(
    skin=rgb("c68f6c"), shade=rgb("6b4650"), brow=rgb("2c2326"), iris=rgb("6b4c33"),
    lip=rgb("a25c50"), lines=0.0,
)  # fmt: skip
HAIR, HAIR_LIGHT = rgb("2e2528"), rgb("6a4f45")
COAT = (mix(HAZE, PALE, 0.3), mix(HAZE, SLATE, 0.45), mix(SLATE, NAVY, 0.35))
SCARF = (mix(RUST, (1, 0.8, 0.6), 0.2), RUST, mix(RUST, NAVY, 0.5))
STRAP = rgb("5d4027")


def front(canvas: Canvas) -> None:
    """The whole figure, feet at y = 1800, crown near y = 40, x = 0 down the middle."""
    boots(canvas, ((-106, -14), (14, 106)))
    _trousers(canvas, (-118, 118))
    for side_ in (-1, 1):
        _arm(canvas, side_)
    coat = canvas.lay(canvas.area(mirror([
        (0, 376), (70, 364), (140, 384), (188, 414), (198, 480), (182, 600), (170, 760),
        (176, 940), (184, 1120), (90, 1134), (0, 1130),
    ])), canvas.ramp((80, 360), (-80, 1120), *COAT))  # fmt: skip
    model(canvas, coat, NAVY, 92, 7)
    _coat_detail(canvas, coat)
    neck = canvas.lay(canvas.area(mirror([(0, 270), (58, 272), (62, 340), (80, 380), (0, 400)])),
                      mix(FACE.skin, FACE.shade, 0.6))  # fmt: skip
    canvas.tint(canvas.oval(-12, 322, 80, 40).blurred(8 * canvas.scale).within(neck), INK, 0.5)
    _scarf(canvas, coat)
    front_head(canvas.within(0, 186))


def front_head(canvas: Canvas) -> None:
    back = [(0, -146), (70, -138), (112, -90), (112, -10), (100, 30), (0, 40)]
    canvas.lay(canvas.area(mirror(back)), HAIR)
    face = front_face(canvas, FACE)
    stubble = canvas.area([(-92, 30), (-74, 60), (-44, 78), (0, 80), (44, 78), (74, 60), (92, 30),
                           (84, 110), (30, 160), (-30, 160), (-84, 110)])  # fmt: skip
    canvas.tint(stubble.blurred(7 * canvas.scale).within(face), mix(HAIR, SLATE, 0.3), 0.30)
    hair = canvas.area([
        (-104, 6), (-116, -50), (-104, -110), (-74, -152), (-20, -170), (34, -172), (84, -152),
        (114, -104), (117, -44), (104, 8), (96, -24), (92, -60), (70, -84), (40, -78), (14, -96),
        (-14, -84), (-44, -94), (-66, -74), (-86, -66), (-94, -28),
    ])  # fmt: skip
    shade = hair.moved(0, 11 * canvas.scale).without(hair).blurred(3 * canvas.scale).within(face)
    canvas.tint(shade, FACE.shade, 0.85)
    canvas.lay(hair, canvas.ramp((60, -170), (-60, -40), mix(HAIR, HAIR_LIGHT, 0.6), HAIR))
    for x, y, turn in ((-80, -110, 1), (-46, -138, 1), (-8, -148, -1), (34, -146, 1),
                       (72, -128, -1), (-62, -88, -1), (-22, -108, 1), (20, -118, -1),
                       (58, -102, 1), (92, -86, -1), (-96, -60, 1)):  # fmt: skip
        curl = [(x - 20, y + 12), (x - 10 * turn, y - 12), (x + 16, y - 8), (x + 18, y + 12)]
        canvas.tint(canvas.stroke(curl, 6).within(hair), HAIR_LIGHT, 0.8 if x > 0 else 0.4)
    model(canvas, hair, NAVY, 30, 5)


def side(canvas: Canvas) -> None:
    """The figure in right profile, feet at y = 1800."""
    boots(canvas, ((-96, -4), (-14, 76)), toe=58)
    _trousers(canvas, (-100, 86))
    coat = canvas.lay(canvas.area([
        (-76, 376), (0, 356), (70, 382), (116, 460), (122, 580), (112, 760), (120, 940),
        (130, 1116), (0, 1136), (-128, 1122), (-124, 940), (-120, 760), (-140, 580), (-130, 440),
    ]), canvas.ramp((110, 380), (-110, 1120), *COAT))  # fmt: skip
    model(canvas, coat, NAVY, 84, 7)
    canvas.tint(canvas.stroke([(-126, 1092), (0, 1104), (128, 1088)], 3, (1, 1)), INK, 0.5)
    neck = canvas.area([(-52, 250), (50, 290), (56, 350), (-40, 400), (-66, 320)])
    canvas.lay(neck, mix(FACE.skin, FACE.shade, 0.7))
    _side_arm(canvas)
    _wrap(canvas, [(-92, 350), (-50, 318), (20, 330), (82, 356), (88, 404), (30, 436), (-60, 428),
                   (-96, 396)])  # fmt: skip
    head = canvas.within(6, 186)
    face = side_face(head, FACE)
    beard = head.area([(-6, 40), (20, 76), (64, 100), (92, 108), (110, 126), (100, 160), (40, 156),
                       (-20, 100)])  # fmt: skip
    head.tint(beard.blurred(7 * head.scale).within(face), mix(HAIR, SLATE, 0.3), 0.34)
    _side_hair(head)


def _side_hair(canvas: Canvas) -> None:
    hair = canvas.area([
        (98, -86), (104, -122), (76, -158), (20, -176), (-44, -168), (-94, -134), (-118, -70),
        (-114, 0), (-92, 56), (-60, 74), (-40, 50), (-34, 0), (-22, -28), (2, -30), (12, -6),
        (22, -30), (34, -66), (64, -84),
    ])  # fmt: skip
    canvas.lay(hair, canvas.ramp((70, -170), (-60, 0), mix(HAIR, HAIR_LIGHT, 0.6), HAIR))
    for x, y, turn in ((78, -120, 1), (40, -148, -1), (-8, -152, 1), (-52, -130, -1), (20, -108, 1),
                       (-28, -98, -1), (-84, -84, 1), (-56, -60, -1), (-88, -30, 1), (-66, 10, -1),
                       (56, -100, -1)):  # fmt: skip
        curl = [(x - 20, y + 12), (x - 10 * turn, y - 12), (x + 16, y - 8), (x + 18, y + 12)]
        canvas.tint(canvas.stroke(curl, 6).within(hair), HAIR_LIGHT, 0.75 if x > -20 else 0.4)
    model(canvas, hair, NAVY, 34, 5)


def _trousers(canvas: Canvas, span: tuple[int, int]) -> None:
    left, right = span
    middle = (left + right) / 2
    for a, b in ((left, middle + 4), (middle - 4, right)):
        leg = canvas.lay(canvas.area([(a, 1080), (b, 1080), (b - 6, 1590), (a + 6, 1590)],
                                     smooth=False), rgb("2f3340"))  # fmt: skip
        model(canvas, leg, INK, 34, 5)


def _scarf(canvas: Canvas, coat: Area) -> None:
    tail = canvas.area([(18, 410), (72, 402), (84, 560), (92, 690), (36, 700), (28, 560)])
    shadow = tail.moved(-12 * canvas.scale, 10 * canvas.scale).blurred(6 * canvas.scale)
    canvas.tint(shadow.within(coat), INK, 0.5)
    canvas.lay(tail, canvas.ramp((60, 400), (40, 700), *SCARF))
    model(canvas, tail, SCARF[2], 24, 4)
    for x in (44, 56, 68, 80):
        canvas.lay(canvas.stroke([(x, 690), (x + 3, 722)], 5), SCARF[1])
    _wrap(canvas, [(-92, 352), (-60, 326), (0, 346), (60, 326), (94, 350), (98, 398), (50, 432),
                   (-10, 440), (-70, 428), (-98, 396)])  # fmt: skip


def _wrap(canvas: Canvas, outline: Points) -> None:
    wrap = canvas.lay(canvas.area(outline), canvas.ramp((90, 340), (-90, 430), *SCARF))
    for y in (364, 390, 414):
        fold = [(-96, y - 16), (-30, y + 6), (40, y), (94, y - 20)]
        canvas.tint(canvas.stroke(fold, 7).blurred(1.6 * canvas.scale).within(wrap), SCARF[2], 0.9)
    model(canvas, wrap, SCARF[2], 26, 5)


def _arm(canvas: Canvas, side_: int) -> None:
    def at(points: Points) -> Points:
        return [(side_ * x, y) for x, y in points]

    hand = canvas.lay(canvas.area(at([(196, 880), (238, 880), (246, 930), (238, 985), (220, 1012),
                                      (202, 990), (190, 940)])), FACE.skin)  # fmt: skip
    model(canvas, hand, FACE.shade, 22, 4)
    for x in (209, 221, 232):
        canvas.tint(canvas.stroke(at([(x, 942), (x - 1, 968), (x - 3, 994)]), 3), FACE.shade, 0.9)
    sleeve = canvas.lay(canvas.area(at([
        (146, 392), (196, 416), (216, 500), (228, 680), (244, 820), (248, 904), (190, 910),
        (174, 820), (160, 680), (150, 560),
    ])), canvas.ramp((side_ * 200, 400), (side_ * 190, 900), *COAT))  # fmt: skip
    model(canvas, sleeve, NAVY, 34, 6)
    for y in (640, 680):
        fold = at([(160, y), (190, y + 20), (226, y + 6)])
        canvas.tint(canvas.stroke(fold, 8).blurred(2 * canvas.scale).within(sleeve), COAT[2], 0.9)


def _side_arm(canvas: Canvas) -> None:
    hand = canvas.lay(canvas.area([(14, 880), (60, 884), (74, 930), (70, 986), (48, 1012),
                                   (26, 988), (14, 930)]), FACE.skin)  # fmt: skip
    model(canvas, hand, FACE.shade, 20, 4)
    sleeve = canvas.lay(canvas.area([
        (-56, 424), (-4, 398), (46, 432), (58, 540), (60, 680), (76, 820), (80, 904), (6, 912),
        (-10, 820), (-40, 690), (-62, 560),
    ]), canvas.ramp((50, 400), (-10, 900), *COAT))  # fmt: skip
    model(canvas, sleeve, NAVY, 46, 6)
    for y in (640, 690):
        fold = [(-40, y + 10), (0, y + 26), (56, y)]
        canvas.tint(canvas.stroke(fold, 8).blurred(2 * canvas.scale).within(sleeve), COAT[2], 0.9)


def _coat_detail(canvas: Canvas, coat: Area) -> None:
    canvas.tint(canvas.stroke([(14, 430), (16, 800), (18, 1126)], 3.4, (1, 1)), INK, 0.65)
    for y in (560, 700, 840):
        for x in (-44, 52):
            canvas.tint(canvas.oval(x - 1, y + 5, 12, 12).within(coat), INK, 0.5)
            canvas.lay(canvas.oval(x, y, 11, 11), rgb("6b4a2e"))
            canvas.glow(canvas.oval(x + 3, y - 4, 4, 3), PALE, 0.6)
    for points in ([(96, 640), (104, 860), (112, 1110)], [(-96, 660), (-104, 880), (-108, 1110)]):
        line = canvas.stroke(points, 12).blurred(4 * canvas.scale).within(coat)
        canvas.tint(line, COAT[2], 0.9)
    for side_ in (-1, 1):
        flap = canvas.area(
            [(side_ * x, y) for x, y in ((78, 930), (158, 922), (162, 966), (80, 976))],
            smooth=False,
        )
        canvas.tint(flap.moved(-3, 9 * canvas.scale).blurred(4).within(coat), INK, 0.5)
        canvas.lay(flap, COAT[1] if side_ > 0 else COAT[2])
    strap = canvas.stroke([(-170, 400), (-30, 640), (150, 960)], 26, (1, 1)).within(coat)
    canvas.tint(strap.moved(-6, 10 * canvas.scale).blurred(5).within(coat), INK, 0.45)
    canvas.lay(strap, canvas.ramp((100, 900), (-100, 500), mix(STRAP, PALE, 0.15), STRAP))
