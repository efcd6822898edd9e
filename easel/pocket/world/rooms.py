"""The hotel room: a whole scene with a bed, a lamp, a window, curtains and a chest."""

# Lists of points stay in rows.
# fmt: off

import numpy as np

from easel.pocket.world import indoors, tones
from easel.pocket.world.brush import Canvas, Colour, Paint, Pen, dark, flat, one_of, pale
from easel.pocket.world.land import Setting

Rng = np.random.Generator
WOODS = ((150, 100, 62), (110, 74, 50), (196, 152, 104), (226, 214, 194))


def draw(canvas: Canvas, colour: Colour, rngs: tuple[Rng, Rng], setting: Setting) -> None:
    """Draw a hotel room whose bedspread has the colour; rngs are (identity, pose)."""
    who, pose = rngs
    horizon = 158 + 14 * pose.random()
    indoors.wall(canvas, who, setting, horizon)
    canvas.now("wall", 0.12)
    Pen(canvas, (0, horizon), 1).box((-4, -7), (260, 1), Paint((246, 240, 230), 0.3, 1.0, "fall"))
    indoors.boards(canvas, horizon, ((176, 124, 80), (150, 104, 72), (200, 156, 110),
        (190, 180, 170))[who.integers(4)], False)
    side = 1 if pose.random() < 0.5 else -1
    wood = one_of(WOODS, who.random())
    x = 128 - side * (58 + 14 * pose.random())
    box = (x - 27, 30.0, x + 27, 100.0)
    indoors.view(canvas, box, setting.time, who)
    tint = one_of(((226, 130, 110), (110, 150, 190), (236, 206, 140), (150, 180, 140), (240, 234, 222)), who.random())
    indoors.curtains(canvas, box, tint, horizon - 10)
    indoors.picture(canvas, who, (128 + side * (44 + 14 * pose.random()), 44 + 8 * pose.random()))
    night = setting.time == "night"
    chest(canvas, (128 - side * (92 + 12 * pose.random()), horizon + 16), wood, who)
    bed_x = 128 + side * (34 + 16 * pose.random())
    stand(canvas, (bed_x - side * 84, horizon + 12), wood, night)
    bed(Pen(canvas, (bed_x, horizon), 1 + 0.12 * pose.random(), side), colour, wood, who, setting.time)


def stand(canvas: Canvas, at: tuple[float, float], wood: Colour, night: bool) -> None:
    """A night stand with a lamp."""
    canvas.now("furniture", 0.3)
    pen = Pen(canvas, at, 1)
    pen.box((-15, -36), (15, 0), Paint(wood, 0.35, 1.2, "fall", "wood", 0.25))
    pen.box((-12, -30), (12, -17), Paint(pale(wood, 0.15), 0.3, 0.8, "fall", "wood", 0.25))
    pen.dots([(0, -23)], 1.8, (230, 200, 120))
    canvas.now("light", 0.31)
    pen.lamp((0, -64), 13, "lamp")
    if night:
        pen.glow((0, -62), 90, (255, 200, 110), 0.7)
    pen.ribbon([(0, -37), (0, -54)], 5, Paint((200, 170, 110), 0.4, 0.9, "tube"))
    pen.oval((0, -37), (8, 2.4), Paint((200, 170, 110), 0.4, 0.9))
    pen.shape([(-15, -53), (-9, -74), (9, -74), (15, -53)], Paint((255, 236, 176) if night else (244, 228, 196), 0.3,
        1.1, "tube", lit=night))


def chest(canvas: Canvas, at: tuple[float, float], wood: Colour, who: Rng) -> None:
    """A chest of drawers."""
    canvas.now("chest", 0.3)
    pen = Pen(canvas, at, 1)
    pen.shadow((0, 0), (34, 4))
    pen.box((-30, -54), (30, 0), Paint(wood, 0.35, 1.3, "fall", "wood", 0.3))
    pen.box((-33, -58), (33, -53), Paint(pale(wood, 0.15), 0.3, 1.1, "fall", "wood", 0.3))
    for y in (-49, -33, -17):
        pen.box((-26, y), (26, y + 13), Paint(pale(wood, 0.12), 0.3, 0.9, "fall", "wood", 0.3))
        pen.dots([(-12, y + 6.5), (12, y + 6.5)], 1.8, (230, 200, 120))
    pen.oval((-14, -66), (6, 8), Paint(((90, 140, 160), (220, 140, 110), (240, 236, 226))[who.integers(3)], 0.4, 1.0))


def bed(pen: Pen, colour: Colour, wood: Colour, who: Rng, time: str) -> None:
    """A big bed seen from its foot, a little from one side; the origin is on the wall's foot."""
    canvas = pen.canvas
    canvas.now("bed", 0.3, 0.95, 150)
    pen.shadow((4, 78), (98, 12))
    style = int(who.integers(3))
    head = [(-66, 14), (-66, -44), (66, -44), (66, 14)]
    frame = Paint(wood, 0.35, 1.5, "fall", "wood", 0.3)
    if style == 0:
        pen.blob([(-66, 16), (-67, -34), (-40, -52), (0, -58), (40, -52), (67, -34), (66, 16)], frame)
    else:
        pen.shape(head, frame)
        if style == 1:
            for x in (-44, -15, 15, 44):
                pen.box((x - 12, -38), (x + 12, 6), Paint(pale(wood, 0.18), 0.3, 0.8, "fall", "wood", 0.2))
    sheet = Paint((250, 248, 242), 0.25, 1.1, "fall", "cloth", 0.1)
    pen.shape([(-62, 4), (62, 4), (74, 40), (-74, 40)], sheet)
    for x in (-31, 31):
        pen.blob([(x - 27, 8), (x - 25, -13), (x, -17), (x + 25, -13), (x + 27, 8), (x, 12)],
            Paint((255, 253, 248) if sum(colour) < 640 else (214, 224, 236), 0.3, 1.1, texture="cloth", rough=0.08))
    tone = canvas.tone
    tones.itself(canvas, time)
    cover = Paint(colour, 0.3, 1.5, "fall", "cloth", 0.16)
    pen.shape([(-66, 20), (66, 20), (88, 62), (-88, 62)], cover)
    pen.blob([(-88, 61), (-60, 64), (-20, 62), (30, 64), (88, 61), (90, 80), (60, 83), (0, 81), (-60, 83), (-90, 80)],
        cover.mix((20, 10, 30), 0.16))
    fold = pale(colour, 0.4) if sum(colour) < 600 else dark(colour, 0.14)
    pen.shape([(-66, 20), (66, 20), (70, 29), (-70, 29)], Paint(fold, 0.25, 1.0, "fall", "cloth", 0.1))
    _spread(pen, colour, int(who.integers(4)))
    canvas.tone = tone
    for x in (-84, 84):
        pen.box((x - 4, 80), (x + 4, 88), frame)


def _spread(pen: Pen, colour: Colour, pattern: int) -> None:
    ink = pale(colour, 0.35) if sum(colour) < 560 else dark(colour, 0.2)
    if pattern == 0:
        for x in np.linspace(-0.8, 0.8, 6):
            pen.ribbon([(x * 69, 30), (x * 86, 61)], 1.8, flat(ink))
    elif pattern == 1:
        for row, y in enumerate((36, 45, 55)):
            spread = 68 + (y - 30) * 0.55
            pen.dots([((x + 0.1 * (row % 2)) * spread, y) for x in np.linspace(-0.88, 0.8, 9)], 1.6, ink)
    elif pattern == 2:
        pen.shape([(-72, 50), (72, 50), (76, 58), (-76, 58)], flat(ink))
