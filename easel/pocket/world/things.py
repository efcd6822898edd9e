"""A house, a car, a vase of flowers, a bowl of fruit and a lamp: standing at (0, 0), about 1 high."""

# Lists of points stay in rows.
# fmt: off

import numpy as np

from easel.pocket.world.brush import Colour, Floats, Paint, Pen, dark, flat, one_of, pale
from easel.pocket.world.wear import TINTS, Extras

Rng = np.random.Generator
ROOFS = ((150, 60, 46), (96, 70, 60), (70, 84, 110), (176, 96, 60), (84, 88, 92))
PETALS = ((230, 60, 70), (250, 190, 50), (240, 130, 180), (150, 90, 200), (250, 246, 240), (246, 130, 60),
    (90, 130, 230))
GLASS_DAY, GLASS_NIGHT = (172, 212, 236), (255, 216, 112)


def draw(pen: Pen, kind: str, colour: Colour, rngs: tuple[Rng, Rng], extras: Extras) -> None:
    """Draw a thing; rngs are (identity, pose)."""
    if kind in ("vase", "fruit"):
        {"vase": vase, "fruit": fruit}[kind](pen, colour, rngs)
        return
    {"house": house, "car": car, "lamp": lamp}[kind](pen, colour, rngs, extras.dark)


def house(pen: Pen, colour: Colour, rngs: tuple[Rng, Rng], night: bool) -> None:
    """A house with a gable, a door, windows and a chimney."""
    who = rngs[0].random(14)
    wide, wall, eave = 0.36 + 0.16 * who[0], -0.5 - 0.12 * who[1], 0.05
    roof = Paint(one_of(ROOFS, who[2]), 0.4, 1.5, "fall", "wood", 0.3)
    plaster = Paint(colour, 0.3, 1.5, "fall", "stone", 0.14)
    trim = (250, 246, 236) if sum(colour) < 640 else (110, 140, 170)
    pen.shadow((0.05, -0.005), (wide * 1.35, 0.05))
    chimney = (0.45 + 0.25 * who[3]) * wide * (1 if who[4] < 0.5 else -1)
    pen.box((chimney - 0.05, -1.0), (chimney + 0.05, -0.7), Paint((158, 92, 74), 0.3, 1.3, texture="stone", rough=0.3))
    pen.box((chimney - 0.065, -1.02), (chimney + 0.065, -0.98), Paint((120, 70, 60), 0.2, 1.0))
    smoke = np.array([(0.03, -1.07), (0.07, -1.14), (0.13, -1.2)]) + np.array([chimney, 0])
    for (x, y), size in zip(smoke, (0.035, 0.045, 0.055), strict=True):
        pen.canvas.veil(pen.at([(x + size * np.cos(a), y + size * np.sin(a)) for a in np.linspace(0, 6, 12)]),
            pen.canvas.seen((236, 236, 240)), 0.6, 1.5)
    if who[5] < 0.5:
        pen.shape([(-wide, 0), (-wide, wall), (0, -0.93), (wide, wall), (wide, 0)], plaster)
        for side in (-1, 1):
            pen.shape([(side * (wide + eave), wall + 0.06), (side * (wide + eave), wall - 0.01), (0, -1.0),
                (0, -0.89)], roof)
        _window(pen, (0, wall - 0.1), (0.06, 0.07), trim, night)
    else:
        pen.box((-wide, wall), (wide, 0), plaster)
        pen.shape([(-wide - eave, wall + 0.03), (-wide * 0.7, -0.9), (wide * 0.7, -0.9), (wide + eave, wall + 0.03)],
            roof)
        for y in np.linspace(wall - 0.02, -0.86, 4):
            pen.ribbon([(-wide * 0.98 + (wall - y) * 0.35, y), (wide * 0.98 - (wall - y) * 0.35, y)], 0.008,
                flat(dark(roof.colour, 0.3)))
    _front(pen, (wide, wall), (colour, trim), who, night)


def _front(pen: Pen, size: tuple[float, float], paints: tuple[Colour, Colour], who: Floats, night: bool) -> None:
    (wide, wall), (_, trim) = size, paints
    door_x = (-0.5, 0.0, 0.5)[int(who[6] * 3)] * wide
    door = Paint(one_of(TINTS, who[7]), 0.3, 1.2, "fall", "wood", 0.25)
    pen.box((door_x - 0.085, -0.29), (door_x + 0.085, 0), Paint(trim, 0.1, 1.0))
    pen.box((door_x - 0.065, -0.27), (door_x + 0.065, 0), door)
    pen.dots([(door_x + 0.04, -0.13)], 0.012, (246, 214, 96))
    pen.box((door_x - 0.1, -0.02), (door_x + 0.1, 0.01), Paint((170, 164, 156), 0.2, 0.9))
    spots = [x for x in (-0.55 * wide, 0.0, 0.55 * wide) if abs(x - door_x) > 0.13]
    for x in spots:
        _window(pen, (x, -0.2), (0.07, 0.085), trim, night)
    if wall < -0.52:
        for x in (-0.55 * wide, 0.0, 0.55 * wide):
            _window(pen, (x, wall + 0.13), (0.06, 0.07), trim, night)
    for x, big in ((-wide * 1.02, 0.09), (wide * 1.04, 0.11)):
        if who[8] < 0.75:
            pen.oval((x, -0.04), (big, big * 0.75), Paint((70, 140, 66), 0.5, 1.1, texture="leaf", rough=0.5))
            pen.dots([(x - 0.03, -0.07), (x + 0.04, -0.05), (x, -0.02)], 0.014, PETALS[int(who[9] * 7)])


def _window(pen: Pen, centre: tuple[float, float], half: tuple[float, float], trim: Colour, night: bool) -> None:
    (x, y), (w, h) = centre, half
    pen.box((x - w, y - h), (x + w, y + h), Paint(trim, 0.1, 1.0))
    glass = Paint(GLASS_NIGHT if night else GLASS_DAY, 0.25, 0.0, "fall", lit=night)
    pen.box((x - w * 0.8, y - h * 0.84), (x + w * 0.8, y + h * 0.84), glass)
    bar = flat(trim)
    pen.box((x - w * 0.09, y - h), (x + w * 0.09, y + h), bar)
    pen.box((x - w, y - h * 0.08), (x + w, y + h * 0.08), bar)
    pen.lamp(centre, w, "window")
    if night:
        pen.glow(centre, 3 * w, (255, 190, 80), 0.4)


def car(pen: Pen, colour: Colour, rngs: tuple[Rng, Rng], night: bool) -> None:
    """A car from the side, its front to the right; about twice as long as high."""
    who = rngs[0].random(8)
    body = Paint(colour, 0.5, 1.6, "fall", "grain", 0.06)
    pen.shadow((0, 0.0), (1.0, 0.07), 0.42)
    kind = int(who[0] * 4)
    roofs = (
        [(-0.72, -0.48), (-0.5, -0.86), (-0.2, -0.98), (0.15, -0.95), (0.45, -0.56)],
        [(-0.66, -0.5), (-0.42, -0.92), (0.16, -0.92), (0.42, -0.54)],
        [(-0.86, -0.5), (-0.8, -0.98), (0.3, -0.98), (0.56, -0.54)],
        [(-0.18, -0.5), (-0.08, -0.96), (0.26, -0.96), (0.48, -0.54)],
    )
    roof = roofs[kind]
    cabin = [*roof, (0.5, -0.45), (-0.8, -0.45)] if kind != 3 else [*roof, (0.5, -0.45), (-0.2, -0.45)]
    (pen.blob if kind == 0 else pen.shape)(cabin, body)
    glass = Paint((255, 220, 130) if night else (182, 218, 238), 0.4, 1.0, "fall", lit=night)
    pane = [(x * 0.86 - 0.01, y * 0.92 - 0.01) for x, y in roof]
    pen.shape([*pane[:-1], (pane[-1][0], -0.52), (pane[0][0], -0.52)], glass)
    for x in ((0.02,) if kind == 3 else (-0.2, 0.12)):
        pen.shape([(x - 0.03, -0.93), (x + 0.03, -0.93), (x + 0.04, -0.5), (x - 0.04, -0.5)], flat(dark(colour, 0.12)))
    low = [(-0.98, -0.2), (-1.0, -0.4), (-0.86, -0.52), (-0.3, -0.54), (0.42, -0.55), (0.82, -0.46), (0.98, -0.36),
        (1.0, -0.2), (0.9, -0.13), (0, -0.13), (-0.9, -0.13)]
    pen.blob(low, body)
    pen.ribbon([(-0.93, -0.36), (0, -0.37), (0.93, -0.34)], 0.03,
        flat(pale(colour, 0.4) if who[1] < 0.5 else dark(colour, 0.35)))
    pen.ribbon([(-0.12, -0.5), (-0.13, -0.3), (-0.1, -0.16)], 0.012, flat(dark(colour, 0.45)))
    pen.ribbon([(-0.3, -0.43), (-0.2, -0.43)], 0.03, flat((236, 236, 240)))
    pen.lamp((0.93, -0.31), 0.07, "lamp")
    for x in (-0.56, 0.56):
        _wheel(pen, x, 0.165 + 0.02 * who[2])
    pen.oval((0.93, -0.31), (0.055, 0.07), Paint((255, 240, 180), 0.2, 1.0, lit=night))
    pen.oval((-0.97, -0.31), (0.035, 0.06), Paint((230, 50, 46), 0.2, 0.9, lit=night))
    pen.box((0.86, -0.19), (1.03, -0.13), Paint((214, 218, 224), 0.4, 0.9, "fall"))
    pen.box((-1.03, -0.19), (-0.86, -0.13), Paint((214, 218, 224), 0.4, 0.9, "fall"))
    if night:
        pen.canvas.veil(pen.at([(0.96, -0.36), (1.9, -0.55), (1.9, 0.02), (0.96, -0.26)]), (255, 236, 160), 0.34, 3)
        pen.glow((0.95, -0.31), 0.34, (255, 226, 140), 0.9)


def _wheel(pen: Pen, x: float, radius: float) -> None:
    pen.oval((x, -radius), (radius, radius), Paint((44, 42, 48), 0.4, 1.2))
    pen.oval((x, -radius), (radius * 0.6, radius * 0.6), Paint((206, 210, 216), 0.4, 0.8))
    pen.oval((x, -radius), (radius * 0.2, radius * 0.2), flat((90, 92, 100)))


def vase(pen: Pen, colour: Colour, rngs: tuple[Rng, Rng]) -> None:
    """A vase with a bunch of flowers."""
    who = rngs[0].random(12)
    rngs[1].random(2)
    belly, foot, lip, neck = 0.16 + 0.08 * who[0], 0.09 + 0.05 * who[1], 0.1 + 0.06 * who[2], 0.06 + 0.04 * who[3]
    high = -0.42 - 0.08 * who[4]
    pen.shadow((0.05, 0.0), (0.3, 0.04))
    count = 5 + int(who[5] * 4)
    spread = rngs[0].random((count, 5))
    tips = []
    for k in range(count):
        angle = (k / (count - 1) - 0.5) * 2.0 + (spread[k, 0] - 0.5) * 0.3
        reach = 0.36 + 0.14 * spread[k, 1]
        tips.append((np.sin(angle) * reach * 0.95, high + 0.06 - np.cos(angle * 0.8) * reach))
    for k, (x, y) in enumerate(tips):
        pen.ribbon([(0, high + 0.1), (x * 0.45, (y + high) / 2), (x, y)], 0.018, flat((62, 130, 60)))
        leaf = (x * 0.6, (y + high) / 2 + 0.02)
        side = 1 if k % 2 else -1
        pen.blob([leaf, (leaf[0] + side * 0.06, leaf[1] - 0.05), (leaf[0] + side * 0.15, leaf[1] - 0.03),
            (leaf[0] + side * 0.07, leaf[1] + 0.02)], Paint((74, 150, 70), 0.4, 0.9))
    tints = [one_of(PETALS, who[6]), one_of(PETALS, who[7])]
    for k, (x, y) in enumerate(tips):
        _flower(pen.inner((x, y), 0.075 + 0.035 * spread[k, 2], 1, spread[k, 3] * 360),
            int(who[8] * 3 + spread[k, 4] * 1.4) % 4, tints[k % 2])
    half = [(lip, high), (neck, high + 0.08), (belly * 0.85, high * 0.66), (belly, high * 0.42),
        (belly * 0.75, high * 0.15), (foot, -0.015), (foot * 0.5, 0.004)]
    pen.blob([*half, *[(-x, y) for x, y in half[::-1]]], Paint(colour, 0.5, 1.6, "ball", "grain", 0.06))
    _glaze(pen, colour, (belly, high), who)
    pen.oval((0, high), (lip * 0.95, 0.022), Paint(dark(colour, 0.35), 0.2, 1.1))


def _glaze(pen: Pen, colour: Colour, size: tuple[float, float], who: Floats) -> None:
    belly, high = size
    ink = pale(colour, 0.6) if sum(colour) < 560 else dark(colour, 0.25)
    pattern = int(who[9] * 4)
    if pattern == 0:
        for y in (high * 0.55, high * 0.3):
            pen.ribbon([(-belly * 0.93, y), (0, y + 0.02), (belly * 0.93, y)], 0.02, flat(ink))
    elif pattern == 1:
        pen.dots([(x * belly, high * 0.45 + 0.02 * (1 - x * x)) for x in (-0.7, -0.35, 0, 0.35, 0.7)], 0.014, ink)
    elif pattern == 2:
        pen.ribbon([(x * belly, high * 0.45 + (0.03 if k % 2 else -0.03)) for k,
            x in enumerate(np.linspace(-0.85, 0.85, 8))], 0.014, flat(ink))
    shine = [(-belly * 0.62, high * 0.58), (-belly * 0.72, high * 0.42), (-belly * 0.6, high * 0.26),
        (-belly * 0.56, high * 0.42)]
    pen.canvas.veil(pen.at(shine), pen.canvas.seen((255, 255, 255)), 0.6, 1.2)


def _flower(pen: Pen, kind: int, tint: Colour) -> None:
    petal = Paint(tint, 0.35, 0.9)
    if kind == 0:
        for k in range(6):
            a = k * np.pi / 3
            pen.oval((0.62 * np.cos(a), 0.62 * np.sin(a)), (0.48, 0.33), petal, k * 60)
        pen.oval((0, 0), (0.36, 0.36), Paint((250, 200, 60), 0.4, 0.8))
    elif kind == 1:
        upright = Pen(pen.canvas, pen.origin, pen.scale)
        upright.blob([(0, 0.9), (-0.7, 0.5), (-0.75, -0.8), (-0.35, -0.3), (0, -0.95), (0.35, -0.3), (0.75, -0.8),
            (0.7, 0.5)], petal)
    elif kind == 2:
        pen.oval((0, 0), (0.95, 0.95), petal)
        for radius in (0.68, 0.42, 0.2):
            pen.oval((0.08 * radius, -0.06), (radius, radius * 0.9), petal.mix((60, 0, 30), 0.28 * (1 - radius)))
    else:
        for k in range(10):
            a = k * np.pi / 5
            pen.oval((0.66 * np.cos(a), 0.66 * np.sin(a)), (0.4, 0.17), petal._replace(line=0.6), k * 36)
        pen.oval((0, 0), (0.4, 0.4), Paint((116, 70, 40), 0.4, 0.8, texture="stone", rough=0.4))


def fruit(pen: Pen, colour: Colour, rngs: tuple[Rng, Rng]) -> None:
    """A bowl of fruit, wider than high."""
    who = rngs[0].random(10)
    order = rngs[0].random((8, 3))
    rngs[1].random(2)
    wide, rim = 0.72 + 0.16 * who[0], -0.5 - 0.06 * who[1]
    pen.shadow((0.05, 0.0), (0.75, 0.07))
    pen.oval((0, rim), (wide, 0.1), Paint(dark(colour, 0.45), 0.2, 1.3))
    spots = [(-0.3, rim - 0.3), (0.28, rim - 0.32), (0.0, rim - 0.36), (-0.52, rim - 0.08), (0.52, rim - 0.08),
        (-0.2, rim - 0.06), (0.2, rim - 0.05)]
    for k, (x, y) in enumerate(spots):
        spot = (x * wide / 0.8 + (order[k, 0] - 0.5) * 0.06, y + (order[k, 1] - 0.5) * 0.04)
        _one_fruit(pen.inner(spot, 0.22, 1, (order[k, 0] - 0.5) * 30), int(order[k, 2] * 6))
    half = [(wide, rim), (wide * 0.9, rim * 0.6), (wide * 0.6, rim * 0.22), (0.3, -0.08), (0.32, 0.0)]
    if who[2] < 0.5:
        half = [(wide, rim), (wide * 0.97, rim * 0.5), (wide * 0.75, rim * 0.12), (wide * 0.5, 0.0)]
    front = [(-wide * 0.5, rim + 0.085), (0, rim + 0.105), (wide * 0.5, rim + 0.085)]
    pen.shape([*[(-x, y) for x, y in half[::-1]], *front, *half], Paint(colour, 0.5, 1.6, "ball", "grain", 0.06))
    ink = pale(colour, 0.6) if sum(colour) < 560 else dark(colour, 0.25)
    if who[3] < 0.4:
        pen.ribbon([(-wide * 0.86, rim * 0.62), (0, rim * 0.36), (wide * 0.86, rim * 0.62)], 0.045, flat(ink))
    elif who[3] < 0.7:
        pen.dots([(x * wide, rim * (0.42 + 0.18 * x * x)) for x in (-0.66, -0.4, -0.13, 0.13, 0.4, 0.66)], 0.035, ink)
    shine = [(-wide * 0.7, rim * 0.82), (-wide * 0.66, rim * 0.5), (-wide * 0.5, rim * 0.34), (-wide * 0.56, rim * 0.6)]
    pen.canvas.veil(pen.at(shine), pen.canvas.seen((255, 255, 255)), 0.5, 1.5)


def _one_fruit(pen: Pen, kind: int) -> None:
    if kind < 2:
        skin = ((216, 44, 44), (150, 190, 60))[kind]
        pen.blob([(0, -0.8), (-0.6, -0.95), (-1.05, -0.2), (-0.7, 0.8), (0, 0.9), (0.7, 0.8), (1.05, -0.2),
            (0.6, -0.95)], Paint(skin, 0.5, 1.2))
        pen.ribbon([(0, -0.75), (0.1, -1.25)], 0.13, flat((92, 60, 36)))
        pen.blob([(0.1, -1.05), (0.45, -1.35), (0.75, -1.15), (0.4, -0.95)], Paint((80, 150, 64), 0.3, 0.8))
    elif kind == 2:
        pen.oval((0, 0), (1.0, 1.0), Paint((246, 148, 36), 0.5, 1.2, texture="stone", rough=0.2))
        pen.dots([(0.1, -0.7)], 0.1, (90, 130, 50))
    elif kind == 3:
        for k in (-1, 0):
            pen.ribbon([(-1.2, -0.9 - 0.2 * k), (-0.6, 0.2 - 0.25 * k), (0.5, 0.4 - 0.3 * k), (1.2, -0.2 - 0.3 * k)],
                [0.2, 0.55, 0.55, 0.16], Paint((250, 212, 64), 0.4, 1.2))
    elif kind == 4:
        for x, y in ((-0.5, -0.5), (0, -0.6), (0.5, -0.5), (-0.7, 0), (-0.2, 0), (0.3, 0), (0.75, 0), (-0.4, 0.5),
            (0.1, 0.5), (0.5, 0.45), (0, 0.9)):
            pen.oval((x, y), (0.33, 0.33), Paint((124, 62, 150), 0.5, 0.8))
    else:
        pen.blob([(0, -1.3), (-0.35, -0.9), (-0.5, -0.2), (-0.9, 0.4), (0, 0.95), (0.9, 0.4), (0.5, -0.2),
            (0.35, -0.9)], Paint((200, 206, 80), 0.45, 1.2))
        pen.ribbon([(0, -1.2), (0.1, -1.6)], 0.12, flat((92, 60, 36)))


def lamp(pen: Pen, colour: Colour, rngs: tuple[Rng, Rng], night: bool) -> None:
    """A lamp with a coloured shade; lit at night."""
    who = rngs[0].random(8)
    rngs[1].random(2)
    brass = Paint(((196, 160, 84), (110, 76, 52), (150, 154, 164), (226, 220, 208))[int(who[0] * 4)], 0.5, 1.3, "tube")
    top, low = 0.16 + 0.08 * who[1], 0.34 + 0.08 * who[2]
    edge = -0.5 - 0.06 * who[3]
    pen.shadow((0.05, 0.0), (0.32, 0.045))
    if who[4] < 0.5:
        pen.ribbon([(0, -0.04), (0, edge + 0.02)], 0.045, brass)
        pen.oval((0, -0.02), (0.24, 0.045), brass)
    else:
        half = [(0.05, edge), (0.06, edge * 0.85), (0.17, edge * 0.5), (0.13, edge * 0.2), (0.18, -0.01)]
        pen.blob([*half, *[(-x, y) for x, y in half[::-1]]], brass._replace(form="ball"))
    if night:
        pen.glow((0, edge - 0.15), 1.5, (255, 200, 110), 0.55)
    pen.lamp((0, (edge - 0.98) / 2), low, "lamp")
    shade = Paint(pale(colour, 0.12) if night else colour, 0.5, 1.5, "tube", "cloth", 0.14, night)
    points = [(-low, edge), (-top, -0.98), (top, -0.98), (low, edge)]
    if who[5] < 0.35:
        points = [(-low, edge), (-low * 0.9, -0.72), (-top * 0.8, -0.95), (top * 0.8, -0.95), (low * 0.9, -0.72),
            (low, edge)]
    pen.shape(points, shade)
    ink = pale(colour, 0.5) if sum(colour) < 560 else dark(colour, 0.25)
    pen.ribbon([(-low * 0.985, edge - 0.02), (low * 0.985, edge - 0.02)], 0.025, flat(ink, night))
    if who[6] < 0.4:
        for share in (-0.5, 0.0, 0.5):
            pen.ribbon([(share * low, edge - 0.03), (share * top, -0.97)], 0.012, flat(dark(colour, 0.3), night))
    if night:
        pen.canvas.veil(pen.at([(-low * 0.6, edge - 0.02), (-top * 0.6, -0.92), (top * 0.6, -0.92),
            (low * 0.6, edge - 0.02)]), pale(colour, 0.62), 0.42, 5)
    bulb = (255, 244, 200) if night else dark(colour, 0.45)
    pen.oval((0, edge + 0.005), (low * 0.8, 0.025), flat(bulb, night))
    pen.ribbon([(low * 0.5, edge), (low * 0.5, edge + 0.13)], 0.01, flat((200, 180, 120)))
