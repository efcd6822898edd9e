"""Places that people built: a street and the acropolis; and the fairy-tale castle."""

# Lists of points stay in rows.
# fmt: off

import numpy as np

from easel.pocket.world.brush import Canvas, Paint, Pen, dark, flat, mix, one_of, pale
from easel.pocket.world.land import GREENS, Setting, depth_at, fork, ground, hills, sky, tree, tufts

Rng = np.random.Generator
FACADES = ((226, 150, 110), (238, 204, 130), (150, 180, 190), (204, 130, 124), (166, 186, 140), (214, 196, 180),
    (180, 160, 196))
LIT = (255, 214, 110)


def street(canvas: Canvas, rng: Rng, setting: Setting) -> float:
    """A row of coloured houses, a pavement, a road, a street lamp and a tree."""
    horizon = rng.uniform(156, 174)
    night = setting.time == "night"
    sky(canvas, rng, setting, horizon)
    canvas.now("building", 0.05)
    skyline = hills(rng, horizon - 70, 6)
    canvas.fill(skyline, Paint(mix(FACADES[5], (180, 196, 216), 0.6), 0.2, 0.0, "fall", "stone", 0.2))
    at = float(rng.uniform(-30, -4))
    while at < 256:
        w, h = rng.uniform(38, 58), rng.uniform(66, 124)
        facade(canvas, fork(rng), (at, horizon, w, h), night)
        at += float(w)
    ground(canvas, np.array([(-4.0, horizon), (260, horizon), (260, 260), (-4, 260)]),
        Paint((196, 190, 182), 0.25, 0.0, "fall", "stone", 0.2), horizon)
    kerb = horizon + rng.uniform(14, 20)
    for x in np.arange(-60, 320, 26):
        canvas.veil(np.array([(128 + (x - 128) * 0.86, horizon), (129 + (x - 128) * 0.86, horizon), (x + 1, kerb),
            (x, kerb)]), canvas.seen((120, 116, 112)), 0.5)
    canvas.sheet([(0, (96, 98, 108)), (1, (126, 126, 134))], kerb + 3, 256)
    canvas.weave("stone", 0.18, (0, kerb + 3, 256, 256))
    Pen(canvas, (0, kerb), 1).box((-4, 0), (260, 4), Paint((226, 220, 210), 0.3, 0.8, "fall"))
    for dash in np.arange(rng.uniform(-50, 0), 300, 62):
        mark = np.array([(dash, 236), (dash + 34, 236), (dash + 38, 242), (dash + 2, 242)])
        canvas.veil(mark, canvas.seen((244, 238, 214)), 0.8)
    side = 1 if rng.random() < 0.5 else -1
    canvas.now("plant", depth_at(kerb, horizon))
    tree(canvas, (128 + side * rng.uniform(92, 116), kerb + 1), rng.uniform(84, 108),
        (rng.uniform(-1, 1), rng.random(), one_of(GREENS, rng.random())))
    street_lamp(canvas, (128 - side * rng.uniform(88, 112), kerb + 1), rng.uniform(100, 120), night)
    return horizon


def facade(canvas: Canvas, rng: Rng, box: tuple[float, float, float, float], night: bool) -> None:
    """One house of a row, with windows, a door or shop, and a roof."""
    left, foot, w, h = box
    canvas.now("building", 0.12)
    tint = mix(one_of(FACADES, rng.random()), (236, 232, 226), 0.2)
    pen = Pen(canvas, (left, foot), 1)
    roof = Paint(((150, 84, 66), (100, 100, 116), (120, 90, 80))[rng.integers(3)], 0.35, 1.0, "fall", "wood", 0.3)
    peak = rng.random()
    if peak < 0.45:
        pen.shape([(-2, -h), (w / 2, -h - 24), (w + 2, -h)], roof)
    elif peak < 0.8:
        pen.shape([(-2, -h), (5, -h - 15), (w - 5, -h - 15), (w + 2, -h)], roof)
    pen.box((0, -h), (w, 1), Paint(tint, 0.25, 1.0, "fall", "stone", 0.16))
    pen.box((-1, -h), (w + 1, -h + 4), Paint(pale(tint, 0.4), 0.2, 0.7))
    columns = 2 if w < 48 else 3
    for y in np.arange(-h + 11, -40, 25):
        for k in range(columns):
            x = w * (k + 0.5) / columns
            home = rng.random() < 0.6
            on = home and night
            if home:
                pen.lamp((x, y + 8), 7, "window")
            pen.box((x - 6, y), (x + 6, y + 16), Paint((248, 244, 236), 0.1, 0.7))
            pen.box((x - 4.6, y + 1.5), (x + 4.6, y + 14.5), flat(LIT if on else (120, 150, 176), on))
            pen.box((x - 0.6, y), (x + 0.6, y + 16), flat((248, 244, 236)))
    door = w * (0.3 if rng.random() < 0.5 else 0.7)
    pen.box((door - 7, -27), (door + 7, 1), Paint(dark(tint, 0.5), 0.3, 0.9, "fall", "wood", 0.2))
    other = w - door
    pen.box((other - 8, -25), (other + 8, -8), Paint(LIT if night else (150, 180, 200), 0.2, 0.9, lit=night))


def street_lamp(canvas: Canvas, at: tuple[float, float], high: float, night: bool) -> None:
    """A street lamp, lit at night."""
    canvas.now("light", 0.3)
    pen = Pen(canvas, at, high)
    iron = Paint((52, 56, 64), 0.4, 0.7, "tube")
    pen.ribbon([(0, 0), (0, -0.86)], 0.035, iron)
    pen.box((-0.045, -0.07), (0.045, 0), iron)
    pen.lamp((0, -0.92), 0.08, "lamp")
    if night:
        pen.glow((0, -0.92), 0.6, (255, 206, 120), 0.8)
    pen.shape([(-0.05, -0.86), (-0.075, -0.98), (0.075, -0.98), (0.05, -0.86)],
        Paint((255, 236, 160) if night else (236, 236, 224), 0.1, 0.8, lit=night))
    pen.shape([(-0.095, -0.98), (0, -1.05), (0.095, -0.98)], iron)


def acropolis(canvas: Canvas, rng: Rng, setting: Setting) -> float:
    """A temple with columns on a rocky hill, cypresses and dry grass."""
    horizon = rng.uniform(146, 168)
    sky(canvas, rng, setting, horizon)
    canvas.now("ground", 0.05)
    canvas.fill(hills(rng, horizon - 14, 8), Paint((150, 166, 176), 0.3, 0.0, "fall", "stone", 0.25))
    x, top = rng.uniform(96, 160), horizon - rng.uniform(30, 44)
    canvas.now("rock", 0.08)
    rock = [(x - 150, horizon + 14), (x - 118, horizon - 12), (x - 92, top + 4), (x - 60, top - 1), (x + 60, top - 1),
        (x + 94, top + 5), (x + 122, horizon - 10), (x + 150, horizon + 14)]
    canvas.fill(np.array(rock), Paint((206, 176, 130), 0.4, 1.0, "fall", "stone", 0.5))
    temple(canvas, (x, top), rng.uniform(62, 74), setting.time == "night")
    dry = ((206, 186, 116), (190, 180, 110), (176, 178, 104))[rng.integers(3)]
    canvas.now("plant", 0.12)
    for k in rng.uniform(0, 256, 8):
        Pen(canvas, (k, horizon + 5), rng.uniform(8, 16)).oval((0, -0.3), (0.9, 0.6),
            Paint((110, 134, 84), 0.5, 0.6, texture="leaf", rough=0.4))
    ground(canvas, hills(rng, horizon + 8, 4), Paint(dry, 0.3, 0.0, "fall", "grass", 0.28), horizon)
    tufts(canvas, rng, horizon + 6, dark(dry, 0.1), rng.random() < 0.4)
    canvas.now("plant", 0.3)
    for k in (rng.uniform(6, 30), rng.uniform(226, 250)):
        pen = Pen(canvas, (k, horizon + 22), rng.uniform(66, 92))
        pen.blob([(-0.1, -0.08), (-0.12, -0.4), (0, -1.05), (0.12, -0.4), (0.1, -0.08), (0, -0.04)],
            Paint((60, 104, 66), 0.5, 0.9, texture="leaf", rough=0.4))
    if rng.random() < 0.6:
        drum(canvas, (rng.uniform(20, 236), rng.uniform(206, 226)), rng.uniform(18, 26))
    return horizon


def temple(canvas: Canvas, at: tuple[float, float], half: float, night: bool) -> None:
    """A Greek temple: steps, eight columns, architrave and pediment."""
    canvas.now("building", 0.1)
    pen = Pen(canvas, at, half)
    marble = Paint((248, 232, 200), 0.32, 0.9, "fall", "stone", 0.16)
    if night:
        pen.glow((0, -0.4), 1.7, (255, 190, 100), 0.6)
        marble = Paint((240, 196, 130), 0.32, 0.9, "fall", "stone", 0.16, True)
    for k in range(3):
        pen.box((-1.12 + 0.05 * k, -0.05 * (k + 1)), (1.12 - 0.05 * k, -0.05 * k + 0.01), marble)
    pen.box((-0.94, -0.78), (0.94, -0.15), Paint(dark(marble.colour, 0.5), 0.3, 0.0, lit=night))
    for x in np.linspace(-0.9, 0.9, 8):
        pen.shape([(x - 0.07, -0.15), (x - 0.055, -0.74), (x + 0.055, -0.74), (x + 0.07, -0.15)],
            marble._replace(form="tube", shade=0.5))
        pen.box((x - 0.085, -0.78), (x + 0.085, -0.73), marble)
    pen.box((-1.03, -0.92), (1.03, -0.78), marble)
    pen.ribbon([(-1.0, -0.85), (1.0, -0.85)], 0.014, flat(dark(marble.colour, 0.35)))
    pen.shape([(-1.1, -0.92), (0, -1.32), (1.1, -0.92)], marble)
    pen.shape([(-0.8, -0.96), (0, -1.24), (0.8, -0.96)], Paint(dark(marble.colour, 0.18), 0.2, 0.6, lit=night))


def drum(canvas: Canvas, at: tuple[float, float], high: float) -> None:
    """A broken piece of a column."""
    canvas.now("rock", 0.5)
    pen = Pen(canvas, at, high)
    marble = Paint((240, 226, 198), 0.45, 1.0, "tube", "stone", 0.2)
    pen.shadow((0, 0), (0.7, 0.12))
    pen.shape([(-0.42, 0), (-0.4, -0.8), (0.4, -0.95), (0.42, 0)], marble)
    for x in (-0.22, 0.0, 0.22):
        pen.ribbon([(x, -0.05), (x, -0.78)], 0.05, flat(dark(marble.colour, 0.2)))


def castle(canvas: Canvas, rng: Rng, horizon: float, night: bool) -> None:
    """A fairy-tale castle on the horizon, with fireworks at night."""
    canvas.now("castle", 0.11)
    side = 1 if rng.random() < 0.5 else -1
    pen = Pen(canvas, (128 + side * rng.uniform(0, 44), horizon + 10), rng.uniform(118, 136))
    wall_paint = Paint((242, 226, 236) if not night else (196, 170, 220), 0.35, 1.0, "tube", "stone", 0.1, night)
    roof = Paint(one_of(((74, 110, 190), (230, 120, 160), (120, 90, 180)), rng.random()), 0.45, 1.0, "tube", "wood",
        0.15, night)
    if night:
        pen.glow((0, -0.5), 1.0, (190, 130, 230), 0.55)
    towers = ((-0.3, 0.07, 0.52), (0.3, 0.07, 0.55), (-0.15, 0.065, 0.72), (0.17, 0.065, 0.68), (0.0, 0.08, 0.86),
        (-0.44, 0.06, 0.36), (0.44, 0.06, 0.38))
    for x, w, h in towers[:5]:
        _tower(pen, (x, w, h), (wall_paint, roof), night)
    pen.box((-0.36, -0.34), (0.36, 0.0), wall_paint._replace(form="fall"))
    for x in np.arange(-0.34, 0.34, 0.08):
        pen.box((x, -0.38), (x + 0.045, -0.335), wall_paint)
    for x, w, h in towers[5:]:
        _tower(pen, (x, w, h), (wall_paint, roof), night)
    pen.blob([(-0.07, 0.0), (-0.07, -0.14), (0, -0.21), (0.07, -0.14), (0.07, 0.0)], Paint((110, 70, 80), 0.3, 0.9))
    for x in (-0.22, -0.13, 0.13, 0.22):
        pen.box((x - 0.016, -0.25), (x + 0.016, -0.18), flat(LIT if night else (110, 120, 160), night))
    if night:
        for x, y in ((-0.42, -0.86), (0.38, -0.92)):
            tint = ((255, 150, 170), (150, 220, 255), (255, 226, 130))[rng.integers(3)]
            turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
            for radius in (0.06, 0.1, 0.14):
                pen.dots(np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], 1), 0.006 + 0.02 * radius,
                    tint, True)


def _tower(pen: Pen, size: tuple[float, float, float], paints: tuple[Paint, Paint], night: bool) -> None:
    x, w, h = size
    pen.box((x - w, -h), (x + w, 0.0), paints[0])
    pen.box((x - w * 1.2, -h - 0.02), (x + w * 1.2, -h + 0.02), paints[0])
    pen.shape([(x - w * 1.3, -h - 0.01), (x, -h - w * 3.4), (x + w * 1.3, -h - 0.01)], paints[1])
    pen.box((x - 0.02, -h + 0.06), (x + 0.02, -h + 0.13), flat(LIT if night else (110, 120, 160), night))
    top = -h - w * 3.4
    pen.ribbon([(x, top + 0.02), (x, top - 0.05)], 0.01, flat((120, 100, 90)))
    pen.shape([(x, top - 0.06), (x + 0.06, top - 0.04), (x, top - 0.02)], flat((240, 190, 80), night))
