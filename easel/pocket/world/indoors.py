"""Places indoors: a kitchen and a room."""

# Lists of points stay in rows.
# fmt: off

import numpy as np

from easel.pocket.world.brush import Canvas, Colour, Paint, Pen, dark, flat, mix, one_of, pale
from easel.pocket.world.land import SKIES, Setting, depth_at, fork, moon

Rng = np.random.Generator
WALLS = ((238, 214, 170), (190, 214, 220), (206, 222, 190), (232, 200, 190), (214, 204, 228), (244, 232, 206),
    (196, 206, 216))


def view(canvas: Canvas, box: tuple[float, float, float, float], time: str, rng: Rng) -> None:
    """A window with what is outside: sky, sun or moon, hills."""
    left, top, right, bottom = box
    pen = Pen(canvas, (left, top), 1)
    w, h = right - left, bottom - top
    canvas.now("window", 0.12)
    pen.box((-5, -5), (w + 5, h + 5), Paint((246, 240, 228), 0.2, 1.1))
    rng = fork(rng)
    high, low = SKIES[time][int(rng.integers(3))]
    pen.box((0, 0), (w, h), Paint(mix(high, low, 0.5), 0.5, 0.0, "fall", "mist", 0.1, True)._replace(form="fall"))
    if time == "night":
        spots = rng.random((12, 2)) * (w, h * 0.8)
        pen.dots(spots, 0.8, (255, 250, 220), True)
        moon(canvas, (left + w * 0.68, top + h * 0.3), min(w, h) * 0.13, 0.9)
    elif time == "sunset":
        pen.oval((w * 0.5, h * 0.62), (w * 0.17, w * 0.17), Paint((255, 236, 150), 0.1, 0.0, lit=True))
    else:
        pen.oval((w * 0.75, h * 0.25), (w * 0.1, w * 0.1), Paint((255, 244, 180), 0.1, 0.0, lit=True))
    hill = {"day": (110, 176, 100), "sunset": (110, 84, 96), "night": (24, 40, 60)}[time]
    pen.shape([(0, h), (0, h * 0.8), (w * 0.3, h * 0.66), (w * 0.65, h * 0.82), (w, h * 0.72), (w, h)],
        flat(hill, True))
    pen.box((w / 2 - 1.5, 0), (w / 2 + 1.5, h), flat((246, 240, 228)))
    pen.box((0, h * 0.45 - 1.5), (w, h * 0.45 + 1.5), flat((246, 240, 228)))
    pen.box((-8, h + 4), (w + 8, h + 9), Paint((240, 232, 216), 0.3, 1.0))


def curtains(canvas: Canvas, box: tuple[float, float, float, float], tint: Colour, drop: float) -> None:
    """Curtains on both sides of a window and their rail."""
    left, top, right, _ = box
    canvas.now("curtain", 0.14)
    wide = (right - left) * 0.3
    cloth = Paint(tint, 0.4, 1.1, "tube", "cloth", 0.2)
    for side, x in ((1, left - 9), (-1, right + 9)):
        pen = Pen(canvas, (x, top - 10), 1, side)
        pen.blob([(0, 0), (wide, 0), (wide * 0.82, (drop - top) * 0.5), (wide * 0.66, drop - top + 8),
            (0, drop - top + 8), (-3, (drop - top) * 0.5)], cloth)
        for share in (0.25, 0.5, 0.75):
            pen.ribbon([(wide * share, 2), (wide * share * 0.9, (drop - top) * 0.6),
                (wide * share * 0.72, drop - top + 6)], 1.4, flat(dark(tint, 0.25)))
    Pen(canvas, (left, top - 11), 1).ribbon([(-14, 0), (right - left + 14, 0)], 3, Paint((130, 92, 60), 0.4, 0.8))


def boards(canvas: Canvas, horizon: float, tint: Colour, tiles: bool) -> None:
    """A floor in perspective, of boards or tiles."""
    canvas.now("floor", 0.2, 1.0, horizon)
    canvas.sheet([(0, dark(tint, 0.2)), (1, tint)], horizon, 256)
    canvas.weave("stone" if tiles else "wood", 0.24, (0, horizon, 256, 256))
    line = canvas.seen(dark(tint, 0.4))
    low = 256.0
    bottoms = np.arange(-360, 620, 44 if tiles else 34)
    for x in bottoms:
        far = 128 + (x - 128) * 0.36
        canvas.veil(np.array([(far - 0.5, horizon), (far + 0.5, horizon), (x + 1, low), (x - 1, low)]), line, 0.6)
    if tiles:
        for row in horizon + (256 - horizon) * np.array([0.14, 0.36, 0.68]):
            canvas.veil(np.array([(0, row - 0.6), (256, row - 0.6), (256, row + 0.6), (0, row + 0.6)]), line, 0.6)


def wall(canvas: Canvas, rng: Rng, setting: Setting, bottom: float) -> None:
    """A wall of a room, plain, striped or dotted."""
    tint = one_of(WALLS, rng.random())
    if setting.mood == "sadness":
        tint = mix(tint, (150, 158, 172), 0.5)
    canvas.now("wall", 0.1)
    canvas.sheet([(0, dark(tint, 0.06)), (0.5, pale(tint, 0.15)), (1, dark(tint, 0.08))], 0, bottom)
    canvas.weave("stone", 0.1, (0, 0, 256, bottom))
    choice = rng.random()
    ink = canvas.seen(pale(tint, 0.45) if choice < 0.5 else dark(tint, 0.18))
    if choice < 0.35:
        for x in np.arange(rng.uniform(0, 16), 256, 18):
            canvas.veil(np.array([(x, 0), (x + 7, 0), (x + 7, bottom), (x, bottom)]), ink, 0.35)
    elif choice < 0.6:
        rows, columns = np.meshgrid(np.arange(8, bottom, 17), np.arange(6, 256, 17), indexing="ij")
        columns = columns + 8.5 * (np.arange(rows.shape[0]) % 2)[:, None]
        canvas.dots(np.stack([columns.ravel(), rows.ravel()], 1), 1.6, pale(tint, 0.5) if choice < 0.5 else dark(tint,
            0.2))


def room(canvas: Canvas, rng: Rng, setting: Setting) -> float:
    """A living room: wall, window with curtains, pictures, floor and a rug."""
    horizon = rng.uniform(158, 178)
    wall(canvas, rng, setting, horizon)
    canvas.now("wall", 0.12)
    Pen(canvas, (0, horizon), 1).box((-4, -8), (260, 1), Paint((246, 240, 230), 0.3, 1.0, "fall"))
    boards(canvas, horizon, ((176, 124, 80), (150, 104, 72), (200, 156, 110))[rng.integers(3)], False)
    side = 1 if rng.random() < 0.5 else -1
    x = 128 + side * rng.uniform(58, 78)
    box = (x - 27, 32.0, x + 27, 98.0)
    view(canvas, box, setting.time, rng)
    curtains(canvas, box, one_of(((226, 120, 100), (110, 150, 190), (236, 206, 140), (150, 180, 140)), rng.random()),
        rng.choice([104.0, horizon - 12]))
    picture(canvas, rng, (128 - side * rng.uniform(50, 76), rng.uniform(44, 66)))
    furniture(canvas, rng, 128 - side * rng.uniform(74, 98), horizon)
    canvas.now("floor", 0.4)
    rug = one_of(((190, 90, 80), (90, 120, 160), (206, 180, 120), (120, 150, 120)), rng.random())
    pen = Pen(canvas, (128 + rng.uniform(-20, 20), 222), 1)
    pen.oval((0, 0), (96, 24), Paint(rug, 0.25, 1.1, "fall", "cloth", 0.3))
    pen.oval((0, 0), (80, 18.5), Paint(pale(rug, 0.35), 0.25, 0.0, "fall", "cloth", 0.3))
    return horizon


def picture(canvas: Canvas, rng: Rng, at: tuple[float, float]) -> None:
    """A framed landscape on the wall."""
    canvas.now("picture", 0.12)
    w, h = rng.uniform(18, 28), rng.uniform(15, 22)
    pen = Pen(canvas, at, 1)
    pen.box((-w - 4, -h - 4), (w + 4, h + 4), Paint(((196, 156, 80), (96, 66, 46), (240, 236, 226))[rng.integers(3)],
        0.4, 1.1, "fall", "wood", 0.2))
    pen.box((-w, -h), (w, h), Paint(one_of(((190, 220, 236), (250, 220, 170), (226, 200, 226)), rng.random()), 0.3,
        0.7, "fall"))
    pen.shape([(-w, h), (-w, h * 0.2), (-w * 0.4, -h * 0.4), (0, h * 0.3), (w * 0.4, -h * 0.1), (w, h * 0.4), (w, h)],
        flat((110, 150, 120)))
    pen.oval((w * 0.55, -h * 0.5), (h * 0.2, h * 0.2), flat((250, 190, 90)))


def furniture(canvas: Canvas, rng: Rng, x: float, horizon: float) -> None:
    """A plant, a bookshelf or an armchair by the wall."""
    choice = int(rng.integers(3))
    depth = depth_at(horizon + 8, horizon)
    if choice == 0:
        canvas.now("plant", depth)
        pen = Pen(canvas, (x, horizon + 14), 70)
        for dx, dy in ((-0.3, -0.75), (-0.16, -0.98), (0.02, -1.1), (0.2, -0.95), (0.32, -0.7)):
            pen.ribbon([(0, -0.3), (dx * 0.5, (dy - 0.3) * 0.55), (dx, dy)], [0.03, 0.16, 0.02],
                Paint((84, 150, 84), 0.45, 0.9, texture="leaf", rough=0.2))
        pen.shape([(-0.2, -0.34), (0.2, -0.34), (0.15, 0.0), (-0.15, 0.0)], Paint((196, 110, 76), 0.4, 1.1, "tube"))
    elif choice == 1:
        canvas.now("furniture", depth)
        pen = Pen(canvas, (x, horizon + 10), 1)
        pen.box((-26, -96), (26, 0), Paint((140, 96, 62), 0.35, 1.2, "fall", "wood", 0.3))
        tints = ((200, 80, 70), (80, 120, 170), (230, 190, 90), (110, 150, 100), (230, 224, 210), (120, 80, 120))
        for shelf in (-66, -36, -6):
            pen.box((-23, shelf - 26), (23, shelf), Paint((84, 56, 40), 0.2, 0.0))
            at = -22.0
            while at < 14:
                w, h = rng.uniform(4, 7), rng.uniform(15, 24)
                pen.box((at, shelf - h), (at + w, shelf), Paint(tints[rng.integers(6)], 0.3, 0.6, "tube"))
                at += w
    else:
        canvas.now("furniture", depth)
        pen = Pen(canvas, (x, horizon + 16), 62)
        cloth = Paint(one_of(((150, 120, 100), (120, 140, 150), (190, 150, 110)), 0.5), 0.4, 1.2, texture="cloth")
        pen.blob([(-0.42, -0.2), (-0.44, -0.9), (0, -1.05), (0.44, -0.9), (0.42, -0.2)], cloth)
        pen.blob([(-0.4, -0.1), (-0.4, -0.42), (0.4, -0.42), (0.4, -0.1)], cloth.mix((255, 250, 240), 0.18))
        for side in (-1, 1):
            pen.blob([(side * 0.62, 0), (side * 0.62, -0.5), (side * 0.38, -0.52), (side * 0.36, 0)], cloth)


def kitchen(canvas: Canvas, rng: Rng, setting: Setting) -> float:
    """Tiles, a stove with a pot, cupboards, a shelf with jars and plates, a tiled floor."""
    horizon = rng.uniform(168, 184)
    wall(canvas, rng, setting, horizon)
    counter = horizon - 56
    tile = pale(one_of(((120, 170, 190), (200, 220, 210), (230, 190, 150), (220, 226, 230)), rng.random()), 0.35)
    canvas.now("wall", 0.1)
    pen = Pen(canvas, (0, 0), 1)
    pen.box((-4, counter - 46), (260, counter), Paint(tile, 0.12, 0.0, "fall", "stone", 0.05))
    grout = canvas.seen(dark(tile, 0.3))
    for x in np.arange(rng.uniform(0, 11), 256, 11.5):
        canvas.veil(np.array([(x, counter - 46), (x + 1, counter - 46), (x + 1, counter), (x, counter)]), grout, 0.65)
    for y in np.arange(counter - 46, counter, 11.5):
        canvas.veil(np.array([(0, y), (256, y), (256, y + 1), (0, y + 1)]), grout, 0.65)
    side = 1 if rng.random() < 0.5 else -1
    x = 128 + side * rng.uniform(62, 84)
    view(canvas, (x - 22, 16.0, x + 22, counter - 54), setting.time, rng)
    shelf(canvas, rng, (128 - side * rng.uniform(56, 76), counter - 58))
    boards(canvas, horizon, ((214, 190, 160), (186, 196, 200), (200, 150, 116))[rng.integers(3)], True)
    wood = one_of(((196, 150, 100), (150, 174, 168), (236, 228, 210), (140, 160, 186)), rng.random())
    canvas.now("furniture", 0.2)
    pen.box((-4, counter + 6), (260, horizon + 3), Paint(wood, 0.25, 0.0, "fall", "wood", 0.14))
    start = rng.uniform(-30, 0)
    for left in np.arange(start, 256, 44):
        pen.box((left + 3, counter + 12), (left + 41, horizon - 5), Paint(pale(wood, 0.12), 0.25, 1.0, "fall", "wood",
            0.14))
        pen.ribbon([(left + 17, counter + 17), (left + 27, counter + 17)], 2.4, flat((110, 90, 70)))
    pen.box((-4, counter), (260, counter + 7), Paint((238, 232, 222), 0.3, 1.0, "fall", "stone", 0.14))
    stove(canvas, rng, (128 - side * rng.uniform(70, 96), counter, horizon), setting.time == "night")
    return horizon


def stove(canvas: Canvas, rng: Rng, at: tuple[float, float, float], night: bool) -> None:
    """A stove with an oven door and a steaming pot."""
    x, top, foot = at
    canvas.now("furniture", 0.22)
    pen = Pen(canvas, (x, 0), 1)
    pen.box((-28, top), (28, foot + 4), Paint((226, 228, 232), 0.3, 1.3, "fall"))
    pen.box((-28, top), (28, top + 9), Paint((150, 154, 162), 0.3, 1.0, "fall"))
    pen.dots([(-20, top + 4.5), (-10, top + 4.5), (10, top + 4.5), (20, top + 4.5)], 2.4, (40, 40, 46))
    pen.box((-21, top + 16), (21, foot - 5), Paint((54, 54, 62), 0.4, 1.1))
    pen.box((-15, top + 22), (15, foot - 11), Paint((246, 160, 70) if night else (96, 84, 84), 0.5, 0.0, lit=night))
    pen.ribbon([(-18, top + 13), (18, top + 13)], 2.5, Paint((200, 204, 210), 0.3, 0.7))
    pot = one_of(((206, 84, 70), (90, 120, 160), (230, 180, 80)), rng.random())
    pen.ribbon([(-22, top - 13), (22, top - 13)], 3, flat(dark(pot, 0.4)))
    pen.blob([(-16, top - 20), (16, top - 20), (16, top - 2), (12, top), (-12, top), (-16, top - 2)],
        Paint(pot, 0.45, 1.1))
    pen.oval((0, top - 21), (17, 3.4), Paint(pale(pot, 0.2), 0.4, 1.0))
    pen.dots([(0, top - 25)], 2, dark(pot, 0.3))
    for k in range(3):
        canvas.veil(pen.at([(3 + 7 * np.cos(a) * (0.6 + 0.2 * k) + 3 * k,
            top - 34 - 9 * k + 5 * np.sin(a)) for a in np.linspace(0, 6, 10)]), (255, 255, 255), 0.3, 2)


def shelf(canvas: Canvas, rng: Rng, at: tuple[float, float]) -> None:
    """A shelf with jars, plates and pans hanging below."""
    x, y = at
    canvas.now("furniture", 0.14)
    pen = Pen(canvas, (x, y), 1)
    for level in (0, -34):
        at_x = -38.0
        while at_x < 30:
            w, h = rng.uniform(8, 13), rng.uniform(12, 22)
            tint = ((200, 90, 70), (230, 200, 130), (120, 160, 150), (236, 232, 224), (150, 110, 80))[rng.integers(5)]
            if rng.random() < 0.3:
                pen.oval((at_x + 9, level - 10), (9.5, 9.5), Paint((240, 244, 246), 0.3, 0.9))
                pen.oval((at_x + 9, level - 10), (5.5, 5.5), Paint(tint, 0.2, 0.0))
                at_x += 20
                continue
            pen.box((at_x, level - h), (at_x + w, level), Paint(tint, 0.4, 0.8, "tube"))
            pen.box((at_x + 1, level - h - 3), (at_x + w - 1, level - h), Paint((150, 120, 90), 0.3, 0.7))
            at_x += w + 2
        pen.box((-44, level), (44, level + 5), Paint((156, 110, 72), 0.3, 1.0, "fall", "wood", 0.3))
