"""The film's places. Each gives its depth layers, far to near; the plate is their sum."""

from __future__ import annotations

import math

from .ink import Area, Canvas, Colour, Paint, mix, rgb
from .palette import AMBER, BRASS, BRASS_DARK, GLOW, HAZE, INK, NAVY, NIGHT, PEACH, SLATE, STONE
from .sky_and_sea import HEIGHT, WIDTH, brushed, halo, headland, plate, sea, sky

IRON = mix(NIGHT, INK, 0.4)


def shore(lit: bool = True) -> list[Canvas]:
    """The headland seen from the beach: lighthouse and cottage against the last light."""
    far, middle, near = plate(), plate(), plate()
    sky(far, 700, 560, 11)
    sea(far, 700, 560, 12)
    headland(far, [(-20, 690), (180, 660), (360, 672), (520, 690), (640, 698)], 700, mix(SLATE,
             HAZE, 0.5))  # fmt: skip
    if lit:
        for reach, strength in ((46, 0.26), (16, 0.42)):
            beam = far.area([(1400, 298), (-60, 330 - reach * 3), (-60, 330 + reach * 3),
                             (1400, 318)], smooth=False).blurred(9)  # fmt: skip
            far.glow(beam, far.ramp((1400, 0), (-60, 0), AMBER, mix(AMBER, NAVY, 0.7)), strength)
    brushed(far, 13)
    _headland_rock(middle)
    _lighthouse(middle, 1400, lit)
    _cottage(middle)
    brushed(middle, 14, tooth=False)
    _dune(near)
    brushed(near, 15, tooth=False)
    if lit:
        halo(far, 1400, 308, 260)
    return [far, middle, near]


def _headland_rock(canvas: Canvas) -> None:
    rock = canvas.lay(canvas.area([
        (760, 742), (860, 716), (940, 690), (1040, 676), (1130, 640), (1250, 622), (1400, 616),
        (1560, 622), (1700, 600), (1940, 590), (1940, 880), (1500, 850), (1180, 800), (900, 762),
    ], smooth=False), canvas.ramp((0, 600), (0, 860), rgb("22374a"), NIGHT))  # fmt: skip
    for x, y, length, drop in (
        (1040, 678, 80, 70),
        (1170, 640, 60, 120),
        (1300, 626, 90, 150),
        (1480, 626, 70, 170),
        (1640, 618, 90, 180),
        (1800, 606, 80, 190),
    ):
        facet = canvas.area([(x, y), (x + length, y + 6), (x + length * 0.5, y + drop),
                             (x - 20, y + drop * 0.7)], smooth=False)  # fmt: skip
        canvas.tint(facet.within(rock), INK, 0.4)
    lit = rock.without(rock.moved(5, 7)).blurred(1.5).within(rock)
    canvas.glow(lit, PEACH, 0.5)
    foam = canvas.stroke([(740, 748), (900, 768), (1180, 806), (1500, 856), (1930, 884)], 9)
    canvas.lay(foam.blurred(2), STONE, 0.45)


def _lighthouse(canvas: Canvas, x: float, lit: bool) -> None:
    tower = canvas.lay(canvas.area([(x - 44, 350), (x + 44, 350), (x + 82, 640), (x - 82, 640)],
                                   smooth=False),
                       canvas.ramp((x - 70, 0), (x + 70, 0), mix(STONE, PEACH, 0.5), STONE,
                                   mix(HAZE, SLATE, 0.4), rgb("2c4257")))  # fmt: skip
    for top, bottom in ((400, 452), (520, 580)):
        band = canvas.area(
            [
                (x - 100, top),
                (x, top + 9),
                (x + 100, top),
                (x + 100, bottom),
                (x, bottom + 9),
                (x - 100, bottom),
            ],
            smooth=False,
        ).within(tower)
        canvas.tint(band, canvas.ramp((x - 70, 0), (x + 70, 0), rgb("b2553d"), rgb("6e2f33"),
                                      rgb("32263a")), 0.95)  # fmt: skip
    for y in (478, 606):
        canvas.lay(canvas.area([(x - 8, y), (x + 8, y), (x + 8, y + 22), (x - 8, y + 22)],
                               smooth=False), AMBER if y < 500 and lit else INK)  # fmt: skip
    canvas.lay(_box(canvas, x - 66, 340, x + 66, 354), IRON)
    for step in range(-5, 6):
        canvas.lay(canvas.stroke([(x + step * 12.6, 318), (x + step * 12.6, 342)], 2.4, (1, 1)),
                   IRON)  # fmt: skip
    canvas.lay(_box(canvas, x - 66, 316, x + 66, 320), IRON)
    room = canvas.lay(_box(canvas, x - 34, 274, x + 34, 340), GLOW if lit else rgb("31485a"))
    if lit:
        canvas.tint(canvas.oval(x, 308, 20, 24).blurred(9).within(room), (1, 1, 0.94), 0.9)
    for step in range(-2, 3):
        canvas.lay(canvas.stroke([(x + step * 16, 274), (x + step * 16, 340)], 3.4, (1, 1)), IRON)
    canvas.lay(canvas.area([(x - 44, 276), (x - 30, 250), (x, 232), (x + 30, 250), (x + 44, 276)]),
               canvas.ramp((x - 40, 0), (x + 40, 0), rgb("a04c3a"), rgb("3c2733")))  # fmt: skip
    canvas.lay(canvas.stroke([(x, 238), (x, 204)], 4, (1, 0.4)), IRON)
    canvas.lay(canvas.oval(x, 230, 7, 7), IRON)


def _cottage(canvas: Canvas) -> None:
    canvas.lay(_box(canvas, 1570, 556, 1730, 622), canvas.ramp((1570, 0), (1730, 0),
               mix(HAZE, PEACH, 0.35), SLATE))  # fmt: skip
    canvas.lay(canvas.area([(1556, 560), (1590, 506), (1716, 506), (1746, 560)], smooth=False),
               rgb("22303f"))  # fmt: skip
    canvas.lay(_box(canvas, 1688, 478, 1708, 512), rgb("1c2836"))
    for x in (1600, 1664):
        canvas.lay(_box(canvas, x, 578, x + 22, 602), AMBER)
        canvas.glow(canvas.oval(x + 11, 590, 46, 40).blurred(18), AMBER, 0.5)


def _dune(canvas: Canvas) -> None:
    sand = canvas.lay(canvas.area([
        (-40, 900), (260, 872), (620, 900), (980, 962), (1340, 940), (1640, 902), (1980, 916),
        (1980, 1120), (-40, 1120),
    ]), canvas.ramp((0, 870), (0, 1080), rgb("1b2a3b"), rgb("0b111d")))  # fmt: skip
    canvas.glow(sand.without(sand.moved(0, 4)).blurred(1.4).within(sand), PEACH, 0.45)
    for i in range(210):
        x = (i * 379) % 1980 - 20
        base = 905 + 60 * math.sin(x / 330) + (i * 97) % 160
        tall, lean = 46 + (i * 53) % 90, 14 + (i * 31) % 40
        blade = [(x, base + 20), (x + lean * 0.3, base - tall * 0.6), (x + lean, base - tall)]
        canvas.lay(canvas.stroke(blade, 5, (1, 0.05)), mix(IRON, SLATE, (i % 5) * 0.09))
    for x in (90, 290, 510):
        post = canvas.lay(_box(canvas, x, 780 + x * 0.05, x + 20, 960), IRON)
        canvas.glow(post.without(post.moved(-3, 0)).within(post), PEACH, 0.5)
    for y in (812, 862):
        wire = [(-20, y - 4), (95, y), (200, y + 15), (300, y + 8), (410, y + 24), (520, y + 16)]
        canvas.lay(canvas.stroke(wire, 3, (1, 1)), IRON)


def gallery(lit: bool = True) -> list[Canvas]:
    """The iron balcony round the lantern, high over the sea at blue hour."""
    far, middle, near = plate(), plate(), plate()
    sky(far, 560, 1240, 21)
    sea(far, 560, 1240, 22)
    headland(far, [(-20, 520), (140, 498), (330, 512), (520, 534), (700, 552), (800, 560)], 560,
             mix(SLATE, HAZE, 0.35))  # fmt: skip
    headland(far, [(1620, 560), (1720, 546), (1840, 540), (1960, 530)], 560, mix(SLATE, HAZE, 0.6))
    halo(far, 1010, 574, 34 if lit else 60)
    brushed(far, 23)
    _deck(middle, lit)
    _rail(middle)
    _lantern_wall(middle, lit)
    brushed(middle, 24, tooth=False)
    post = near.lay(_box(near, 1800, -20, 1866, 1100), near.ramp((1800, 0), (1866, 0), IRON,
                    rgb("22344a"), IRON))  # fmt: skip
    near.glow(post.without(post.moved(6, 0)).blurred(1.5).within(post), PEACH, 0.6)
    near.lay(near.area([(1866, -20), (1960, -20), (1960, 200), (1900, 120)], smooth=False), IRON)
    brace = near.lay(near.stroke([(1810, 330), (1700, 130), (1540, -30)], 30, (1, 1)), IRON)
    near.glow(brace.without(brace.moved(3, -5)).blurred(1.5).within(brace), PEACH, 0.5)
    for turn in range(5):
        loop = [(1790, 560 + turn * 5), (1770 - turn * 4, 700 + turn * 16), (1826, 830 + turn * 9),
                (1886 + turn * 5, 700 + turn * 14), (1872, 560 + turn * 4)]  # fmt: skip
        rope = near.lay(near.stroke(loop, 15, (1, 1)), rgb("5b4a3c"))
        near.tint(rope.without(rope.moved(5, -3)).within(rope), INK, 0.75)
    brushed(near, 25, tooth=False)
    return [far, middle, near]


def _deck(canvas: Canvas, lit: bool) -> None:
    deck = canvas.lay(canvas.area([(-40, 880), (500, 850), (1000, 842), (1500, 852), (1980, 886),
                                   (1980, 1120), (-40, 1120)]),
                      canvas.ramp((0, 840), (0, 1080), rgb("2b4256"), rgb("0d1524")))  # fmt: skip
    for step in range(-16, 17):
        x = 960 + step * 74
        line = canvas.stroke([(x, 830), (960 + step * 190, 1100)], 4, (0.5, 1)).within(deck)
        canvas.tint(line, INK, 0.8)
    for step in range(7):
        y = 856 + step * step * 5.5 + step * 6
        bow = [(-40, y + 40), (500, y + 8), (1000, y), (1500, y + 10), (1980, y + 44)]
        canvas.tint(canvas.stroke(bow, 2.5 + step * 0.7, (1, 1)).within(deck), INK, 0.7)
    canvas.glow(canvas.oval(1240, 850, 420, 46).blurred(40).within(deck), PEACH, 0.5)
    canvas.glow(canvas.oval(240, 1000, 420, 150).blurred(90).within(deck), AMBER, 0.4 * lit)
    canvas.glow(deck.without(deck.moved(0, 5)).within(deck), PEACH, 0.5)


def _rail(canvas: Canvas) -> None:
    def bow(x: float, y: float) -> float:
        return y + ((x - 1000) / 1000) ** 2 * 38

    for x in range(40, 1960, 60):
        post = x % 300 == 40
        bar = canvas.stroke([(x, bow(x, 640)), (x, bow(x, 866))], 17 if post else 7, (1, 1))
        canvas.lay(bar, IRON)
        shift = -3 if x < 1240 else 3
        canvas.glow(bar.without(bar.moved(shift, 0)).within(bar), PEACH, 0.75)
        if post:
            canvas.lay(canvas.oval(x, bow(x, 630), 15, 15), IRON)
            canvas.glow(canvas.oval(x + (5 if x < 1240 else -5), bow(x, 625), 5, 5), PEACH, 0.6)
    for y, width in ((646, 16), (752, 8), (838, 10)):
        path = [(float(x), bow(x, y)) for x in range(-60, 2000, 120)]
        bar = canvas.lay(canvas.stroke(path, width, (1, 1)), IRON)
        canvas.glow(bar.without(bar.moved(0, 3)).blurred(0.7).within(bar), PEACH, 0.85)


def _lantern_wall(canvas: Canvas, lit: bool) -> None:
    wall = canvas.lay(canvas.area([(-40, -20), (330, -20), (344, 940), (-40, 1000)], smooth=False),
                      canvas.ramp((0, 0), (344, 0), rgb("5d6d78"), rgb("8a8f90"), rgb("3c5265"),
                                  rgb("20324a")))  # fmt: skip
    for y in range(80, 960, 96):
        canvas.tint(canvas.stroke([(-20, y + 14), (170, y + 6), (344, y - 10)], 3, (1, 1)), NAVY,
                    0.45)  # fmt: skip
        for x in (30, 130, 220, 290):
            canvas.lay(canvas.oval(x + (y % 2), y - 10, 4, 4), NAVY, 0.6)
    panes = (GLOW, AMBER) if lit else (SLATE, NIGHT)
    pane = canvas.lay(canvas.area([(36, 150), (226, 162), (226, 560), (36, 576)], smooth=False),
                      canvas.ramp((36, 150), (226, 570), *panes))  # fmt: skip
    if lit:
        canvas.tint(canvas.oval(110, 350, 90, 170).blurred(34).within(pane), (1, 0.97, 0.86), 0.8)
    for points in ([(131, 150), (131, 576)], [(36, 292), (226, 296)], [(36, 430), (226, 428)],
                   [(32, 150), (230, 162)], [(32, 578), (230, 562)], [(34, 150), (34, 576)],
                   [(228, 160), (228, 562)]):  # fmt: skip
        canvas.lay(canvas.stroke(points, 11, (1, 1)), IRON)
    if lit:
        halo(canvas, 140, 360, 420)
    else:
        canvas.tint(wall, NAVY, 0.45)
    canvas.glow(wall.without(wall.moved(-6, 0)).blurred(2).within(wall), PEACH, 0.7)
    skirt = canvas.stroke([(-20, 985), (180, 972), (350, 938)], 30, (1, 1))
    canvas.lay(skirt, IRON)


def lamp_room(lit: bool = True) -> list[Canvas]:
    """Inside the lantern: the great lens on its brass drum, the sea beyond the glass."""
    far, middle, near = plate(), plate(), plate()
    sky(far, 650, 1500, 31)
    sea(far, 650, 1500, 32)
    far.tint(far.whole, NIGHT, 0.16 if lit else 0.42)
    _glazing(far, lit)
    brushed(far, 33)
    _floor(middle, lit)
    _lens(middle, lit)
    brushed(middle, 34, tooth=False)
    _switch_and_tools(near, lit)
    brushed(near, 35, tooth=False)
    if not lit:
        for canvas in (middle, near):
            canvas.tint(canvas.whole, NIGHT, 0.30)
    return [far, middle, near]


def _glazing(canvas: Canvas, lit: bool) -> None:
    edge = AMBER if lit else HAZE
    for x in (60, 420, 780, 1140, 1500, 1860):
        bar = canvas.lay(_box(canvas, x - 14, -10, x + 14, 800), IRON)
        side = -5 if x > 700 else 5
        canvas.glow(bar.without(bar.moved(side * -1, 0)).within(bar), edge, 0.75 if lit else 0.4)
    for y in (190, 470):
        bar = canvas.lay(_box(canvas, -10, y - 8, WIDTH + 10, y + 8), IRON)
        canvas.glow(bar.without(bar.moved(0, -3)).within(bar), edge, 0.6 if lit else 0.35)
    for x in (60, 420, 1140, 1500):
        sheen = canvas.area([(x + 70, 0), (x + 150, 0), (x + 20, 470), (x + 14, 300)], smooth=False)
        canvas.glow(sheen.blurred(6), GLOW if lit else HAZE, 0.13)
    ceiling = canvas.lay(canvas.area([(-20, -20), (1940, -20), (1940, 60), (960, 96), (-20, 60)],
                                     smooth=False), canvas.ramp((0, 0), (0, 96), INK, rgb("3a3434")
                                                                if lit else IRON))  # fmt: skip
    canvas.glow(canvas.oval(760, 90, 520, 60).blurred(40).within(ceiling), AMBER, 0.55 * lit)
    wall = canvas.lay(
        _box(canvas, -10, 770, WIDTH + 10, 900),
        canvas.ramp((0, 770), (0, 900), rgb("314355"), rgb("1a2535")),
    )
    canvas.glow(canvas.oval(760, 800, 700, 120).blurred(80).within(wall), AMBER, 0.6 * lit)
    for x in range(20, WIDTH, 60):
        canvas.lay(canvas.oval(x, 792, 5, 5), INK, 0.8)
    canvas.tint(canvas.stroke([(0, 772), (WIDTH, 772)], 8, (1, 1)), BRASS if lit else SLATE, 0.9)


def _floor(canvas: Canvas, lit: bool) -> None:
    floor = canvas.lay(_box(canvas, -20, 884, WIDTH + 20, 1110),
                       canvas.ramp((0, 884), (0, 1080), rgb("33343a") if lit else rgb("1f2e3e"),
                                   rgb("0c111c")))  # fmt: skip
    for step in range(-14, 15):
        x = 960 + step * 90
        canvas.tint(canvas.stroke([(x, 880), (960 + step * 190, 1100)], 5, (0.6, 1)), INK, 0.75)
    for y in (906, 936, 976, 1030):
        canvas.tint(canvas.stroke([(-10, y), (WIDTH + 10, y)], 4, (1, 1)), INK, 0.7)
    canvas.glow(canvas.oval(760, 930, 640, 110).blurred(70).within(floor), AMBER, 0.65 * lit)
    canvas.glow(canvas.oval(1500, 900, 380, 60).blurred(50).within(floor), PEACH, 0.25)


def _lens(canvas: Canvas, lit: bool) -> None:
    x = 760.0
    drum = canvas.lay(_box(canvas, x - 150, 720, x + 150, 930), _metal(canvas, x, 150, lit))
    for y, reach in ((716.0, 190.0), (742.0, 168.0), (900.0, 168.0), (928.0, 200.0)):
        ring = canvas.lay(_box(canvas, x - reach, y - 14, x + reach, y + 12),
                          _metal(canvas, x, reach, lit))  # fmt: skip
        canvas.tint(ring.without(ring.moved(0, -6)).within(ring), INK, 0.6)
    canvas.tint(drum.without(drum.moved(0, -30)).blurred(8).within(drum), INK, 0.5)
    plaque = canvas.lay(canvas.oval(x, 822, 54, 36), BRASS if lit else mix(BRASS_DARK, SLATE, 0.4))
    canvas.tint(plaque.without(plaque.moved(-4, -4)).within(plaque), INK, 0.6)
    glass = canvas.lay(canvas.area([
        (x - 96, 150), (x + 96, 150), (x + 190, 240), (x + 226, 340), (x + 236, 430),
        (x + 226, 520), (x + 190, 620), (x + 120, 704), (x - 120, 704), (x - 190, 620),
        (x - 226, 520), (x - 236, 430), (x - 226, 340), (x - 190, 240),
    ]), canvas.ramp((x, 150), (x, 704), *_glass_tones(lit)))  # fmt: skip
    for i in range(-9, 10):
        y, bulge = 430 + i * 29.0, (1 - (i / 10.5) ** 2) ** 0.5
        sag = i * 2.6
        line = [(x - 236 * bulge, y - sag), (x - 90 * bulge, y + sag), (x + 90 * bulge, y + sag),
                (x + 236 * bulge, y - sag)]  # fmt: skip
        prism = canvas.stroke(line, 15, (0.8, 0.8)).within(glass)
        canvas.tint(prism, canvas.ramp((x - 230, 0), (x + 230, 0), *_prism_tones(lit)), 0.6)
        lower = [(a, b + 9) for a, b in line]
        canvas.tint(canvas.stroke(lower, 3.5, (1, 1)).within(glass),
                    BRASS_DARK if lit else NIGHT, 0.75)  # fmt: skip
    for radius in (118.0, 86.0, 54.0, 24.0):
        ring = canvas.oval(x, 430, radius, radius)
        canvas.tint(ring, (GLOW if lit else HAZE), 0.22)
        inner = canvas.oval(x, 430, radius - 4, radius - 4)
        canvas.tint(ring.without(inner), BRASS_DARK if lit else NIGHT, 0.7)
    for reach in (-236.0, -84.0, 84.0, 236.0):
        rib = [(x + reach * 0.42, 150), (x + reach * 0.9, 280), (x + reach, 430),
               (x + reach * 0.9, 580), (x + reach * 0.5, 704)]  # fmt: skip
        bar = canvas.lay(canvas.stroke(rib, 13, (1, 1)), BRASS if lit else mix(BRASS_DARK, SLATE,
                                                                            0.5))  # fmt: skip
        canvas.tint(bar.without(bar.moved(-4, 0)).within(bar), INK, 0.6)
    canvas.lay(canvas.area([(x - 110, 156), (x - 70, 112), (x, 98), (x + 70, 112), (x + 110, 156)]),
               _metal(canvas, x, 110, lit))  # fmt: skip
    canvas.lay(_box(canvas, x - 7, -10, x + 7, 104), IRON)
    if lit:
        halo(canvas, x, 430, 430)
        canvas.tint(canvas.oval(x, 430, 40, 58).blurred(16), (1, 0.98, 0.9), 0.95)
    else:
        canvas.glow(glass.without(glass.moved(-9, 0)).blurred(3).within(glass), PEACH, 0.7)


def _metal(canvas: Canvas, x: float, reach: float, lit: bool) -> Paint:
    tones: tuple[Colour, ...] = (BRASS_DARK, BRASS, mix(BRASS, GLOW, 0.6), BRASS, BRASS_DARK, INK)
    if not lit:
        tones = tuple(mix(tone, NAVY, 0.62) for tone in tones)
    return canvas.ramp((x - reach, 0), (x + reach, 0), *tones)


def _glass_tones(lit: bool) -> tuple[Colour, ...]:
    if lit:
        return (rgb("b98a4c"), rgb("f0c06c"), GLOW, rgb("f0c06c"), rgb("9a6b3a"))
    return (rgb("25394c"), rgb("4a6a7c"), rgb("6f8c97"), rgb("3f5c6f"), rgb("1c2c3e"))


def _prism_tones(lit: bool) -> tuple[Colour, ...]:
    if lit:
        return (rgb("c28a42"), AMBER, (1, 0.97, 0.86), AMBER, rgb("c28a42"))
    return (rgb("22384a"), rgb("547486"), rgb("7f9aa3"), rgb("547486"), rgb("b58d7c"))


def _switch_and_tools(canvas: Canvas, lit: bool) -> None:
    edge = AMBER if lit else HAZE
    bench = canvas.lay(canvas.area([(1480, 850), (1960, 830), (1960, 1100), (1500, 1100)],
                                   smooth=False), canvas.ramp((0, 830), (0, 1100), rgb("2a2a31"),
                                                              INK))  # fmt: skip
    canvas.glow(bench.without(bench.moved(4, 6)).blurred(1.5).within(bench), edge, 0.7)
    can = canvas.lay(canvas.area([(1600, 720), (1690, 720), (1704, 846), (1588, 846)],
                                 smooth=False), canvas.ramp((1590, 0), (1700, 0), BRASS, BRASS_DARK,
                                                            INK))  # fmt: skip
    canvas.lay(canvas.stroke([(1690, 816), (1740, 750), (1790, 706)], 14, (1, 0.6)), BRASS_DARK)
    canvas.lay(canvas.stroke([(1612, 722), (1645, 664), (1680, 722)], 9, (1, 1)), IRON)
    canvas.glow(can.without(can.moved(5, 0)).blurred(1).within(can), edge, 0.8)
    board = canvas.lay(canvas.area([(1830, 300), (1960, 290), (1960, 700), (1830, 690)],
                                   smooth=False), canvas.ramp((1830, 0), (1960, 0), rgb("32303a"),
                                                              INK))  # fmt: skip
    canvas.glow(board.without(board.moved(5, 0)).blurred(1.2).within(board), edge, 0.8)
    handle = [(1868, 520), (1850, 440), (1838, 372)] if lit else [(1868, 520), (1850, 590),
                                                                    (1838, 660)]  # fmt: skip
    canvas.lay(canvas.stroke(handle, 20, (1, 1)), BRASS)
    canvas.lay(canvas.oval(*handle[-1], 22, 22), rgb("8c3b30"))
    canvas.lay(canvas.oval(1872, 520, 24, 24), BRASS_DARK)


def _box(canvas: Canvas, left: float, top: float, right: float, bottom: float) -> Area:
    return canvas.area([(left, top), (right, top), (right, bottom), (left, bottom)], smooth=False)


def flatten(layers: list[Canvas]) -> Canvas:
    """The layers as one plate."""
    whole = Canvas(WIDTH, HEIGHT)
    for layer in layers:
        clear = 1 - layer.paint[..., 3:]
        whole.paint[:] = whole.paint * clear + layer.paint
    return whole
