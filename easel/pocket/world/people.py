"""A woman and a man of the storybook kind: front view, feet at (0, 0), top of the head near (0, -1)."""

# Lists of points stay in rows.
# fmt: off

from typing import NamedTuple

import numpy as np

from easel.pocket.world import wear
from easel.pocket.world.brush import Colour, Floats, Paint, Pen, dark, flat, mix, one_of, pale
from easel.pocket.world.wear import Extras

SKINS = ((250, 214, 184), (240, 194, 158), (222, 168, 126), (186, 128, 88), (140, 90, 60), (104, 66, 46))
HAIRS = ((44, 32, 28), (88, 54, 32), (140, 84, 42), (214, 166, 82), (184, 78, 36), (200, 196, 192), (28, 24, 34))
SHOES = ((60, 40, 34), (40, 40, 52), (150, 60, 50), (230, 226, 220), (70, 84, 120))
TROUSERS = ((64, 74, 104), (94, 88, 84), (130, 112, 88), (52, 56, 66), (88, 104, 92))
SHOE = [(-0.035, 0.0), (-0.03, -0.035), (0.0, -0.045), (0.035, -0.03), (0.055, 0.002), (0.0, 0.008)]
Rng = np.random.Generator


class Person(NamedTuple):
    """What makes a person this person; the same in every scene of one identity."""

    skin: Colour
    hair: Colour
    style: int
    cloth: Colour
    second: Colour
    pattern: int
    shoes: Colour
    legs: Colour
    wide: float
    hem: float
    beard: int
    eye: float


def meet(rng: Rng, cloth: Colour) -> Person:
    """Draw a person's lasting details."""
    pick = rng.random(12)
    skin = SKINS[int(pick[0] * 6)]
    hair = one_of(HAIRS if pick[0] < 0.6 else HAIRS[:2] + HAIRS[5:], pick[1])
    second = pale(cloth, 0.55) if sum(cloth) < 560 else dark(cloth, 0.25)
    return Person(
        skin, hair, int(pick[2] * 4), cloth, second, int(pick[3] * 5), SHOES[int(pick[4] * 5)],
        TROUSERS[int(pick[5] * 5)], 0.92 + 0.2 * pick[6], -0.15 - 0.13 * pick[7], int(pick[8] * 5),
        0.9 + 0.35 * pick[9],
    )


def draw(pen: Pen, kind: str, cloth: Colour, rngs: tuple[Rng, Rng], extras: Extras) -> None:
    """Draw a woman or a man; rngs are (identity, pose)."""
    who = meet(rngs[0], cloth)
    things = wear.choose(rngs[0])
    pose = rngs[1].random(8)
    look = (pose[3] - 0.5) * 0.3
    pen.shadow((0.06, 0.0), (0.26, 0.035))
    head = pen.inner(((pose[0] - 0.5) * 0.02, -0.83), 0.135, 1, (pose[1] - 0.5) * 14)
    if kind == "woman":
        _back_hair(head, who)
    _legs(pen, kind, who, pose[2])
    arms = _arms(pose, extras.accessories)
    if "suitcase" in extras.accessories:
        hand = (arms[0][2][0] * 1.04, arms[0][2][1] + 0.02)
        with pen.canvas.of("suitcase"):
            wear.suitcase(pen.inner(hand, 0.3), things)
    _arm(pen, who, arms[0])
    _body(pen, kind, who)
    _arm(pen, who, arms[1])
    pen.ribbon([(0, -0.72), (0, -0.645)], 0.075, Paint(dark(who.skin, 0.12), 0.3, 0.6))
    if "scarf" in extras.accessories:
        with pen.canvas.of("scarf"):
            wear.scarf(pen.inner((0, -0.66), 0.13), things)
    _head(head, kind, who, look, extras.mood)
    _on_head(head, things, look, extras)
    if "ice-cream" in extras.accessories:
        with pen.canvas.of("ice-cream"):
            wear.ice_cream(pen.inner(arms[1][2], 0.21), things)
        pen.oval(arms[1][2], (0.03, 0.028), Paint(who.skin, 0.3, 0.8))


def _on_head(head: Pen, things: wear.Wardrobe, look: float, extras: Extras) -> None:
    if extras.mask:
        with head.canvas.of("mask"):
            wear.panda(head)
    if "sunglasses" in extras.accessories:
        with head.canvas.of("sunglasses"):
            wear.sunglasses(head.inner((look, 0.0), 1.0), things, (0.4, 0.02))
    if "hat" in extras.accessories:
        with head.canvas.of("hat"):
            wear.hat(head.inner((0, -0.62), 1.0), things)


def _arms(pose: Floats, worn: tuple[str, ...]) -> list[list[tuple[float, float]]]:
    down = [(0.115, -0.615), (0.175, -0.5), (0.185, -0.375)]
    wave = [(0.115, -0.61), (0.225, -0.57), (0.27, -0.72)]
    hip = [(0.115, -0.61), (0.24, -0.52), (0.125, -0.43)]
    out = [(0.115, -0.61), (0.21, -0.53), (0.29, -0.46)]
    up = [(0.115, -0.61), (0.22, -0.65), (0.235, -0.82)]
    choices = [down, wave, hip, out, up]
    left, right = choices[int(pose[4] * 5)], choices[int(pose[5] * 5)]
    if "suitcase" in worn:
        left = [(0.115, -0.615), (0.19, -0.5), (0.225, -0.36)]
    if "ice-cream" in worn:
        right = [(0.115, -0.61), (0.235, -0.53), (0.225, -0.63)]
    shake = (pose[6] - 0.5) * 0.03
    return [[(-x - shake * (x > 0.15), y) for x, y in left], [(x + shake * (x > 0.15), y) for x, y in right]]


def _arm(pen: Pen, who: Person, arm: list[tuple[float, float]]) -> None:
    pen.oval(arm[2], (0.031, 0.03), Paint(who.skin, 0.3, 0.9))
    hand = (arm[2][0] * 0.82 + arm[1][0] * 0.18, arm[2][1] * 0.82 + arm[1][1] * 0.18)
    pen.ribbon([arm[0], arm[1], hand], [0.082, 0.072, 0.056], Paint(who.cloth, 0.32, 1.1, texture="cloth"))


def _legs(pen: Pen, kind: str, who: Person, step: float) -> None:
    gap = 0.05 + 0.035 * step
    for side in (-1, 1):
        foot = (side * (gap + 0.012), -0.025)
        hip = (side * 0.05, -0.38)
        if kind == "woman":
            pen.ribbon([hip, (side * gap, -0.2), foot], [0.08, 0.06, 0.042], Paint(who.skin, 0.3, 1.0))
        else:
            pen.ribbon([hip, (side * gap, -0.2), foot], [0.115, 0.1, 0.085], Paint(who.legs, 0.3, 1.0, texture="cloth"))
        pen.blob(
            [(foot[0] + side * x, y) for x, y in SHOE],
            Paint(who.shoes, 0.35, 1.0),
        )


def _body(pen: Pen, kind: str, who: Person) -> None:
    w = who.wide
    cloth = Paint(who.cloth, 0.36, 1.4, texture="cloth")
    if kind == "woman":
        hem = who.hem
        top = [(-0.06, -0.665), (-0.125 * w, -0.635), (-0.1 * w, -0.52), (-0.085 * w, -0.455)]
        skirt = [(-0.15 * w, hem - 0.14), (-0.2 * w, hem - 0.01), (-0.1 * w, hem + 0.015), (0, hem + 0.02)]
        half = top + skirt
        pen.blob(half + [(-x, y) for x, y in half[-2::-1]], cloth)
        for x in (-0.07, 0.02, 0.09):
            pen.canvas.veil(
                pen.at([(x * 0.7, -0.42), (x * 1.9 - 0.012, hem), (x * 1.9 + 0.012,
                    hem)]), dark(pen.canvas.seen(who.cloth), 0.45), 0.4
            )
        _pattern(pen, who, hem)
        belt = pale(who.cloth, 0.3) if who.pattern % 2 else dark(who.cloth, 0.35)
        pen.ribbon([(-0.088 * w, -0.46), (0, -0.45), (0.088 * w, -0.46)], 0.03, Paint(belt, 0.3, 0.8))
        return
    hem = -0.33
    half = [(-0.06, -0.67), (-0.138 * w, -0.64), (-0.128 * w, -0.5), (-0.132 * w, hem - 0.02), (-0.08, hem + 0.008),
        (0, hem + 0.012)]
    pen.blob(half + [(-x, y) for x, y in half[-2::-1]], cloth)
    shirt = (246, 242, 232) if sum(who.cloth) < 640 else (120, 150, 200)
    pen.shape([(-0.055, -0.672), (0.055, -0.672), (0, -0.56)], Paint(shirt, 0.2, 0.8))
    for side in (-1, 1):
        pen.shape([(side * 0.055, -0.68), (side * 0.085, -0.64), (side * 0.05, -0.585), (0, -0.545)],
            cloth.mix((20, 14, 30), 0.16))
    if who.pattern < 3:
        pen.shape([(-0.014, -0.655), (0.014, -0.655), (0.02, -0.57), (0, -0.545), (-0.02, -0.57)],
            Paint(who.second, 0.3, 0.6))
    pen.canvas.veil(pen.at([(-0.004, -0.545), (0.004, -0.545), (0.004, hem), (-0.004, hem)]),
        dark(pen.canvas.seen(who.cloth), 0.6), 0.8)
    pen.dots([(0.022, -0.5), (0.022, -0.44), (0.022, -0.38)], 0.009, who.second)
    for side in (-1, 1):
        pen.ribbon([(side * 0.06, -0.4), (side * 0.105, -0.4)], 0.012, flat(dark(who.cloth, 0.4)))


def _pattern(pen: Pen, who: Person, hem: float) -> None:
    if who.pattern == 0:
        for row, y in enumerate(np.arange(-0.41, hem - 0.02, 0.055)):
            spread = 0.07 + (y + 0.45) * 0.36
            pen.dots([(x + 0.02 * (row % 2), y) for x in np.arange(-spread, spread, 0.05)], 0.0085, who.second)
    elif who.pattern == 1:
        for y in (hem - 0.05, hem - 0.1):
            spread = 0.1 + (y + 0.45) * 0.3
            pen.ribbon([(-spread, y - 0.008), (0, y + 0.014), (spread, y - 0.008)], 0.014, flat(who.second))
    elif who.pattern == 2:
        pen.blob([(-0.06, -0.66), (0, -0.625), (0.06, -0.66), (0.05, -0.6), (0, -0.59), (-0.05, -0.6)],
            Paint(who.second, 0.2, 0.7))
    else:
        pen.dots([(0, y) for y in (-0.61, -0.565, -0.52)], 0.009, who.second)


def _back_hair(head: Pen, who: Person) -> None:
    hair = Paint(dark(who.hair, 0.2), 0.35, 1.1, texture="fur", rough=0.3)
    if who.style == 0:
        head.blob([(-0.95, -0.5), (-1.12, 0.4), (-1.05, 1.6), (0, 1.75), (1.05, 1.6), (1.12, 0.4), (0.95, -0.5),
            (0, -1.1)], hair)
    elif who.style == 1:
        head.blob([(-0.95, -0.5), (-1.15, 0.3), (-0.95, 0.95), (0, 0.8), (0.95, 0.95), (1.15, 0.3), (0.95, -0.5),
            (0, -1.1)], hair)
    elif who.style == 2:
        head.oval((0, -1.15), (0.46, 0.42), hair)
    else:
        for side in (-1, 1):
            head.blob([(side * 0.8, 0.1), (side * 1.25, 0.2), (side * 1.4, 0.9), (side * 1.15, 1.5),
                (side * 1.0, 0.9)], hair)


def _head(head: Pen, kind: str, who: Person, look: float, mood: str) -> None:
    skin = Paint(who.skin, 0.3, 1.2)
    for side in (-1, 1):
        head.oval((side * 0.86, 0.12), (0.16, 0.22), skin)
    head.blob([(0, -1), (-0.62, -0.78), (-0.86, -0.1), (-0.66, 0.62), (0, 0.98), (0.66, 0.62), (0.86, -0.1),
        (0.62, -0.78)], skin)
    hair = Paint(who.hair, 0.42, 1.0, texture="fur", rough=0.3)
    if kind == "man" and who.beard in (1, 2):
        head.blob([(-0.82, 0.1), (-0.5, 0.38), (0, 0.34), (0.5, 0.38), (0.82, 0.1), (0.66, 0.78), (0, 1.12),
            (-0.66, 0.78)], hair)
    face(head, look, mood, who.eye, lips=(200, 70, 80) if kind == "woman" else mix(who.skin, (120, 40, 40), 0.6))
    if kind == "man" and who.beard == 3:
        head.blob([(look, 0.3), (look - 0.38, 0.42), (look, 0.42), (look + 0.38, 0.42)], hair)
    part = 0.4 if who.style % 2 else -0.3
    if kind == "woman":
        head.blob([(-0.95, 0.25), (-1.02, -0.4), (-0.6, -1.05), (0.1, -1.2), (0.7, -1.02), (1.02, -0.4), (0.95, 0.25),
                   (0.78, -0.25), (part, -0.72), (-0.78, -0.2)], hair)
    elif who.style == 3 and who.beard in (1, 2, 3):
        return
    else:
        head.blob([(-0.9, 0.05), (-0.98, -0.55), (-0.5, -1.14), (0.2, -1.2), (0.8, -0.95), (0.93, -0.4), (0.9, 0.05),
                   (0.76, -0.36), (0.3, -0.58 - 0.1 * part), (-0.3, -0.62 + 0.1 * part), (-0.74, -0.36)], hair)


def face(head: Pen, look: float, mood: str, eye: float = 1.0, lips: Colour = (190, 70, 76)) -> None:
    """Eyes, brows, nose, cheeks and mouth on a head of radius 1."""
    canvas = head.canvas
    for side in (-1, 1):
        x = look + side * 0.36
        head.oval((x, 0.02), (0.17 * eye, 0.19 * eye), Paint((255, 253, 250), 0.1, 0.7))
        head.oval((x + look * 0.15, 0.05), (0.105 * eye, 0.135 * eye), flat((40, 28, 30)))
        head.dots([(x + look * 0.15 - 0.035, 0.0)], 0.04, (255, 255, 255))
        tilt = {"joy": 0.0, "neutral": 0.03, "sadness": -0.16}[mood]
        high = {"joy": -0.38, "neutral": -0.32, "sadness": -0.3}[mood]
        head.ribbon([(x - side * 0.16, high + tilt), (x, high - 0.05), (x + side * 0.17, high - tilt * 0.6)], 0.065,
            flat((62, 40, 34)))
        strength = 0.6 if mood == "joy" else 0.3
        canvas.veil(head.at([(x + side * 0.14 + a, 0.36 + b) for a, b in _CHEEK]), (240, 104, 96), strength, 1.2)
    head.ribbon([(look + 0.0, 0.12), (look + 0.07, 0.28), (look - 0.04, 0.3)], 0.05, flat((176, 104, 80)))
    if mood == "joy":
        head.blob([(look - 0.34, 0.44), (look, 0.54), (look + 0.34, 0.44), (look + 0.2, 0.7), (look, 0.77),
            (look - 0.2, 0.7)], Paint((150, 34, 44), 0.1, 0.8))
        head.blob([(look - 0.26, 0.49), (look, 0.555), (look + 0.26, 0.49), (look, 0.62)], flat((255, 252, 246)))
    elif mood == "sadness":
        head.ribbon([(look - 0.25, 0.68), (look, 0.52), (look + 0.25, 0.68)], 0.08, flat(lips))
        for side in (-1, 1):
            head.blob([(look + side * 0.4, 0.2), (look + side * 0.33, 0.42), (look + side * 0.4, 0.52),
                (look + side * 0.47, 0.42)], Paint((120, 196, 250), 0.2, 0.7))
    else:
        head.ribbon([(look - 0.2, 0.56), (look, 0.61), (look + 0.2, 0.56)], 0.085, flat(lips))


_CHEEK = [(0.15 * np.cos(a), 0.11 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 10, endpoint=False)]
