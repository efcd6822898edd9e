"""The places behind a subject. Each function paints a whole background and returns the row of its horizon."""

# Lists of points stay in rows.
# fmt: off

import numpy as np

from easel.pocket.world.brush import CIRCLE, Canvas, Colour, Paint, Pen, dark, mix, one_of, pale, smooth
from easel.pocket.world.land import (
    GREENS,
    SKIES,
    Setting,
    depth_at,
    fork,
    ground,
    hills,
    moon,
    pine,
    ridge,
    sky,
    tufts,
)

Rng = np.random.Generator


def forest(canvas: Canvas, rng: Rng, setting: Setting) -> float:
    """Rows of trunks, pale far away and dark near by, under a roof of leaves."""
    horizon = rng.uniform(138, 165)
    sky(canvas, rng, setting, horizon)
    green = one_of(GREENS, rng.random())
    canvas.now("plant", 0.05)
    canvas.fill(hills(rng, horizon - 52, 12), Paint(mix(green, (190, 220, 210), 0.5), 0.3, 0.0, "fall", "bush", 0.4))
    for layer, count in ((0, 9), (1, 6)):
        canvas.now("plant", 0.08 + 0.05 * layer)
        fog = 0.42 - 0.3 * layer
        foot = horizon + 4 + 10 * layer
        for x in (np.arange(count) + rng.uniform(0.1, 0.9, count)) / count * 270 - 7:
            wide = 4 + 5 * layer + 4 * rng.random()
            bark = Paint(mix((104, 76, 56), (200, 220, 214), fog), 0.4, 0.8, "tube", "bark", 0.4)
            bend = rng.uniform(-6, 6)
            canvas.fill(np.array([(x - wide / 2, foot), (x - wide * 0.34 + bend, -4), (x + wide * 0.34 + bend, -4),
                (x + wide / 2, foot)]), bark)
        leaf = Paint(mix(green, (200, 226, 210), fog), 0.5, 0.0, texture="bush", rough=0.55)
        for x in np.linspace(0, 256, 5):
            at = (x + rng.uniform(-16, 16), rng.uniform(8, 34) - 12 * layer)
            canvas.fill(CIRCLE * (44 + 12 * rng.random(), 30) + at, leaf)
    ground(canvas, hills(rng, horizon + 6, 4), Paint(mix(green, (120, 100, 50), 0.3), 0.3, 0.0, "fall", "grass",
        0.35), horizon)
    tufts(canvas, fork(rng), horizon, green, setting.mood != "sadness")
    if rng.random() < 0.7:
        for x in rng.uniform(10, 246, 2):
            mushroom(canvas, (x, rng.uniform(horizon + 34, 236)), rng.uniform(10, 16), rng.random())
    if setting.time != "night" and setting.mood != "sadness":
        for x in rng.uniform(20, 236, 2):
            canvas.veil(np.array([(x, -5), (x + 16, -5), (x - 26, horizon + 40), (x - 66, horizon + 40)]),
                (255, 246, 190), 0.17, 4)
    return horizon


def mushroom(canvas: Canvas, at: tuple[float, float], high: float, pick: float) -> None:
    """A small mushroom."""
    pen = Pen(canvas, at, high)
    cap = (206, 60, 50) if pick < 0.6 else (186, 130, 80)
    pen.blob([(-0.14, 0), (-0.1, -0.5), (0.1, -0.5), (0.14, 0)], Paint((244, 234, 214), 0.3, 0.8))
    pen.blob([(-0.5, -0.42), (-0.36, -0.85), (0, -1), (0.36, -0.85), (0.5, -0.42), (0, -0.34)], Paint(cap, 0.4, 0.8))
    pen.dots([(-0.2, -0.7), (0.12, -0.82), (0.24, -0.55)], 0.08, (255, 250, 240))


def beach(canvas: Canvas, rng: Rng, setting: Setting) -> float:
    """Sand, sea with waves, a boat, a palm or a parasol."""
    line = rng.uniform(96, 126)
    shore = line + rng.uniform(26, 44)
    sky(canvas, rng, setting, line)
    canvas.now("water", 0.06, 0.2, line)
    sea = {"day": ((40, 120, 190), (110, 206, 214)), "sunset": ((120, 90, 140), (240, 150, 110)),
        "night": ((14, 34, 78), (40, 84, 128))}[setting.time]
    canvas.sheet([(0, sea[0]), (1, sea[1])], line, shore + 12, lit=setting.time != "day")
    canvas.weave("water", 0.22, (0, line, 256, shore + 12))
    for x, y, w in rng.random((9, 3)):
        row = line + 4 + y * (shore - line - 6)
        canvas.veil(np.array([(256 * x - 14 * w - 5, row), (256 * x, row - 1.6), (256 * x + 14 * w + 5, row)]),
            (255, 255, 255), 0.6)
    if rng.random() < 0.6:
        boat(canvas, (rng.uniform(20, 236), line + 5), rng.uniform(20, 30))
    sand = Paint(((240, 216, 160), (246, 226, 184), (232, 200, 150))[rng.integers(3)], 0.3, 0.0, "fall", "sand", 0.22)
    edge = hills(rng, shore, 3.5)
    canvas.veil(edge - np.array([0, 3]), (255, 255, 255), 0.85, 1)
    ground(canvas, edge, sand, shore)
    canvas.veil(np.concatenate([edge[:-2], edge[-3::-1] + np.array([0, 7])]), (150, 120, 84), 0.35, 1.5)
    marks = rng.random((26, 3))
    canvas.dots(marks[:, :2] * (256, 246 - shore) + (0, shore + 8), 0.5 + marks[:, 2], dark(sand.colour, 0.25))
    side = 1 if rng.random() < 0.5 else -1
    canvas.now("plant", 0.3)
    if rng.random() < 0.6:
        palm(canvas, (128 - side * rng.uniform(88, 116), shore + 20), rng.uniform(110, 140), side)
    if rng.random() < 0.6:
        parasol(canvas, (128 + side * rng.uniform(84, 108), shore + 32), rng.uniform(60, 76), rng.random())
    if rng.random() < 0.6:
        starfish(canvas, (rng.uniform(20, 236), rng.uniform(226, 248)), rng.uniform(5, 8))
    return shore


def boat(canvas: Canvas, at: tuple[float, float], high: float) -> None:
    """A sailing boat."""
    canvas.now("building", 0.08)
    pen = Pen(canvas, at, high)
    pen.shape([(0, -0.2), (0, -1.1), (0.5, -0.2)], Paint((250, 246, 236), 0.3, 0.7))
    pen.shape([(-0.05, -0.2), (-0.05, -0.95), (-0.35, -0.2)], Paint((236, 120, 90), 0.3, 0.7))
    pen.shape([(-0.55, -0.16), (0.6, -0.16), (0.4, 0.05), (-0.4, 0.05)], Paint((130, 86, 60), 0.3, 0.7))


def palm(canvas: Canvas, at: tuple[float, float], high: float, side: int) -> None:
    """A palm tree that leans to one side."""
    pen = Pen(canvas, at, high, side)
    pen.ribbon([(0, 0), (0.05, -0.35), (0.16, -0.7), (0.24, -0.9)], [0.09, 0.07, 0.055, 0.05],
        Paint((150, 112, 74), 0.4, 1.0, "tube", "wood", 0.5))
    leaf = Paint((74, 152, 78), 0.5, 0.8, "fall", "leaf", 0.25)
    for dx, dy in ((-0.36, 0.1), (-0.26, -0.1), (-0.06, -0.16), (0.2, -0.14), (0.36, 0.02), (0.3, 0.2), (-0.24, 0.26)):
        pen.ribbon([(0.24, -0.9), (0.24 + dx * 0.55, -0.96 + dy * 0.5), (0.24 + dx, -0.88 + dy)], [0.02, 0.085, 0.01],
            leaf)
    pen.dots([(0.22, -0.87), (0.27, -0.86)], 0.03, (110, 74, 44))


def parasol(canvas: Canvas, at: tuple[float, float], high: float, pick: float) -> None:
    """A striped parasol."""
    canvas.now("furniture", depth_at(at[1], at[1] - 32))
    pen = Pen(canvas, at, high, 1, -8)
    tint = one_of(((236, 84, 80), (70, 150, 220), (250, 200, 70)), pick)
    pen.shadow((0.1, 0.02), (0.4, 0.07))
    pen.ribbon([(0, 0), (0, -0.95)], 0.03, Paint((240, 236, 226), 0.3, 0.7))
    ribs = [np.array([(x * 0.55, -0.62 - 0.02 * (1 - x * x)) for x in (a, a + 0.4)]) for a in np.arange(-1, 0.99, 0.4)]
    for k, (first, last) in enumerate(ribs):
        pen.shape([(0, -1.0), (first[0] * 0.75, -0.86), first, last, (last[0] * 0.75, -0.86)],
            Paint(tint if k % 2 == 0 else (252, 248, 240), 0.25, 0.8))


def starfish(canvas: Canvas, at: tuple[float, float], radius: float) -> None:
    """A starfish on the sand."""
    turn = np.arange(10) * np.pi / 5
    ring = np.where(np.arange(10) % 2, 0.45, 1.0)[:, None] * np.stack([np.cos(turn), 0.7 * np.sin(turn)], 1)
    canvas.fill(smooth(ring * radius) + np.array(at), Paint((240, 120, 84), 0.35, 0.8))


def moon_ground(canvas: Canvas, rng: Rng, setting: Setting) -> float:
    """Grey ground with craters under a black sky with stars and the earth."""
    horizon = rng.uniform(128, 160)
    canvas.now("sky", 0.0)
    canvas.sheet([(0, (4, 4, 10)), (1, (18, 18, 34))], 0, horizon + 24, lit=True)
    stars = rng.random((90, 3))
    canvas.dots(stars[:, :2] * (256, horizon), 0.3 + 1.0 * stars[:, 2] ** 4, (255, 252, 236), True)
    earth(canvas, (rng.uniform(34, 222), rng.uniform(28, 60)), rng.uniform(17, 28), rng)
    grey = Paint({"day": (176, 176, 182), "sunset": (186, 182, 186), "night": (112, 116, 136)}[setting.time], 0.4,
        0.0, "fall", "stone", 0.3)
    canvas.now("rock", 0.08)
    canvas.fill(hills(rng, horizon - 2, 10), grey.mix((60, 60, 76), 0.45))
    ground(canvas, hills(rng, horizon + 8, 4), grey, horizon)
    for x, y, big in sorted(rng.random((9, 3)).tolist(), key=lambda spot: spot[1]):
        row = horizon + 16 + y * (236 - horizon)
        wide = (6 + 20 * big) * (0.4 + 0.9 * (row - horizon) / (256 - horizon))
        canvas.fill(CIRCLE * (wide, wide * 0.36) + (256 * x, row), Paint(dark(grey.colour, 0.42), 0.5, 0.0, "fall",
            "stone", 0.2))
        canvas.fill(CIRCLE * (wide * 0.84, wide * 0.25) + (256 * x, row + wide * 0.07),
            Paint(dark(grey.colour, 0.2), 0.4, 0.0, "fall", "stone", 0.2))
        edge = np.stack([np.cos(np.linspace(0.2, 2.94, 12)) * wide, np.sin(np.linspace(0.2, 2.94, 12)) * wide * 0.36],
            1)
        canvas.veil(np.concatenate([edge, edge[::-1] * np.array([1, 0.72])]) + np.array([256 * x, row]),
            canvas.seen(pale(grey.colour, 0.5)), 0.8)
    stones = rng.random((18, 3))
    rows = horizon + 12 + (240 - horizon) * stones[:, 1]
    canvas.dots(np.stack([256 * stones[:, 0], rows], 1), 0.6 + 2 * stones[:, 2] * (rows - horizon) / 100,
        dark(grey.colour, 0.3))
    return horizon


def earth(canvas: Canvas, at: tuple[float, float], radius: float, rng: Rng) -> None:
    """The blue planet."""
    canvas.glow(at, (radius * 2, radius * 2), (90, 150, 240), 0.5)
    canvas.fill(CIRCLE * radius + at, Paint((50, 116, 210), 0.5, 0.0, lit=True))
    pen = Pen(canvas, at, radius, 1, rng.uniform(0, 90))
    land = Paint((86, 164, 90), 0.3, 0.0, texture="stone", rough=0.3, lit=True)
    pen.blob([(-0.7, -0.3), (-0.3, -0.75), (0.1, -0.5), (-0.1, -0.1), (-0.4, 0.15)], land)
    pen.blob([(0.1, 0.1), (0.55, -0.05), (0.6, 0.4), (0.2, 0.75), (0.05, 0.4)], land)
    pen.canvas.veil(pen.at(smooth([(-0.8, 0.35), (-0.2, 0.3), (0.2, 0.5), (-0.3, 0.5)])), (255, 255, 255), 0.8, 0.6)
    pen.canvas.veil(pen.at(smooth([(0.1, -0.75), (0.6, -0.45), (0.5, -0.3), (0.1, -0.55)])), (255, 255, 255), 0.8, 0.6)


def mountains(canvas: Canvas, rng: Rng, setting: Setting) -> float:
    """Layers of peaks with snow above a meadow with firs."""
    horizon = rng.uniform(140, 168)
    sky(canvas, rng, setting, horizon)
    rock = one_of(((110, 120, 150), (128, 116, 124), (104, 128, 140)), rng.random())
    canvas.now("rock", 0.04)
    canvas.fill(ridge(rng, horizon - 30, 46, 11), Paint(mix(rock, (206, 220, 240), 0.55), 0.3, 0.0, "fall", "stone",
        0.2))
    count = int(rng.integers(3, 5))
    order = rng.permutation(count)
    for k in order:
        x = (k + 0.5 + rng.uniform(-0.25, 0.25)) * 256 / count
        peak(canvas, rng, (x, horizon + 6), (rng.uniform(52, 76), rng.uniform(78, 122)), rock)
    green = one_of(GREENS, rng.random())
    canvas.now("plant", 0.1)
    canvas.fill(hills(rng, horizon + 2, 6), Paint(dark(green, 0.22), 0.35, 0.0, "fall", "bush", 0.3))
    for x in rng.uniform(0, 256, 7):
        pine(canvas, (x, horizon + 8 + rng.uniform(-3, 4)), rng.uniform(20, 34), dark(green, 0.4))
    ground(canvas, hills(rng, horizon + 16, 5), Paint(green, 0.32, 0.0, "fall", "grass", 0.3), horizon)
    tufts(canvas, fork(rng), horizon + 8, green, setting.mood != "sadness")
    canvas.now("plant", depth_at(horizon + 26, horizon))
    for x in (rng.uniform(-6, 34), rng.uniform(222, 262)):
        pine(canvas, (x, horizon + 28), rng.uniform(56, 84), dark(green, 0.3))
    return horizon


def peak(canvas: Canvas, rng: Rng, foot: tuple[float, float], size: tuple[float, float], rock: Colour) -> None:
    """A mountain with a cap of snow, light on one side."""
    (x, y), (w, h) = foot, size
    canvas.now("rock", 0.06)
    top = (x + rng.uniform(-8, 8), y - h)
    canvas.fill(np.array([(x - w, y), (x - w * 0.45, y - h * 0.52), top, (x + w * 0.4, y - h * 0.6), (x + w, y)]),
        Paint(rock, 0.3, 0.9, "fall", "stone", 0.3))
    canvas.veil(np.array([top, (x + w * 0.4, y - h * 0.6), (x + w, y), (x + w * 0.05, y), (x + 6, y - h * 0.5)]),
        canvas.seen(dark(rock, 0.5)), 0.42)
    jag = rng.uniform(-4, 4, 5)
    left = (top[0] - (top[0] - (x - w * 0.45)) * 0.72, top[1] + (h * 0.48) * 0.72)
    right = (top[0] + (x + w * 0.4 - top[0]) * 0.85, top[1] + h * 0.4 * 0.85)
    across = [(right[0] + (left[0] - right[0]) * s,
        right[1] + (left[1] - right[1]) * s + (9 if k % 2 else -7) + jag[k]) for k,
        s in enumerate((0.16, 0.34, 0.5, 0.68, 0.86))]
    canvas.fill(np.array([left, top, right, *across]), Paint((248, 250, 255), 0.2, 0.7, "fall", "stone", 0.08))
    canvas.veil(np.array([top, right, across[0], across[1], across[2]]), canvas.seen((150, 170, 210)), 0.4)


def plain(canvas: Canvas, rng: Rng, setting: Setting) -> float:
    """A soft backdrop with a floor."""
    horizon, own = rng.uniform(168, 192), fork(rng)
    tints = ((244, 226, 200), (206, 226, 236), (222, 232, 206), (236, 212, 214), (220, 212, 234), (214, 214, 210),
        (250, 238, 206))
    tint = one_of(tints, rng.random())
    if setting.mood == "sadness":
        tint = mix(tint, (150, 160, 176), 0.6)
    canvas.now("wall", 0.1)
    if setting.time == "day":
        canvas.sheet([(0, pale(tint, 0.35)), (1, tint)], 0, horizon)
    else:
        top, low = SKIES[setting.time][int(own.integers(3))]
        canvas.sheet([(0, top), (1, low)], 0, horizon, lit=True)
        if setting.time == "night":
            stars = own.random((24, 3))
            canvas.dots(stars[:, :2] * (256, horizon * 0.8), 0.5 + stars[:, 2], (255, 246, 210), True)
            moon(canvas, (own.uniform(26, 230), own.uniform(24, 50)), 12, 0.9)
    canvas.weave("mist", 0.16)
    canvas.now("floor", 0.2, 1.0, horizon)
    floor = dark(tint, 0.16)
    canvas.sheet([(0, floor), (0.25, mix(floor, pale(tint), 0.5)), (1, floor)], horizon, 256)
    canvas.weave("stone", 0.1, (0, horizon, 256, 256))
    canvas.glow((128, 120), (150, 140), (255, 244, 220), 0.16)
    return horizon
