"""A bird, a dog and a cat of the storybook kind: feet at (0, 0), about 1 high."""

# Lists of points stay in rows.
# fmt: off

import numpy as np

from easel.pocket.world import wear
from easel.pocket.world.brush import Colour, Floats, Paint, Pen, dark, flat, mix, pale
from easel.pocket.world.wear import Extras

Rng = np.random.Generator
BACK = [(-0.46, -0.56), (-0.2, -0.6), (0.12, -0.58), (0.38, -0.68), (0.5, -0.56), (0.46, -0.36), (0.2, -0.27),
    (-0.1, -0.31), (-0.34, -0.3), (-0.5, -0.4)]
IRISES = ((90, 160, 70), (230, 170, 40), (80, 150, 210), (120, 80, 40))


def contrast(colour: Colour, share: float) -> Colour:
    """A lighter tone of a coat, or a darker one where the coat is white already."""
    return pale(colour, share) if sum(colour) < 620 else dark(colour, 0.16)


def draw(pen: Pen, kind: str, coat: Colour, rngs: tuple[Rng, Rng], extras: Extras) -> None:
    """Draw an animal; rngs are (identity, pose)."""
    {"bird": bird, "dog": dog, "cat": cat}[kind](pen, coat, rngs, extras)


def _dress(head: Pen, neck: Pen, own: wear.Wardrobe, extras: Extras) -> None:
    if "scarf" in extras.accessories:
        with head.canvas.of("scarf"):
            wear.scarf(neck, own)
    if "sunglasses" in extras.accessories:
        with head.canvas.of("sunglasses"):
            wear.sunglasses(head, own, (0.4, -0.02))
    if "hat" in extras.accessories:
        with head.canvas.of("hat"):
            wear.hat(head.inner((0, -0.72), 0.78), own)


def _eyes(head: Pen, gap: float, big: float, iris: Colour, mood: str) -> None:
    for side in (-1, 1):
        x = side * gap
        if mood == "joy":
            head.oval((x, 0.0), (big * 1.05, big * 1.15), Paint((255, 254, 248), 0.1, 0.9))
            head.oval((x, 0.02), (big * 0.75, big * 0.9), flat(iris))
            head.oval((x, 0.03), (big * 0.5, big * 0.68), flat((22, 16, 20)))
            head.dots([(x - 0.05, -0.06), (x + 0.06, 0.08)], [big * 0.3, big * 0.16], (255, 255, 255))
            continue
        head.oval((x, 0.0), (big, big * (1.0 if mood == "neutral" else 0.85)), Paint((255, 254, 248), 0.1, 0.9))
        head.oval((x, 0.04), (big * 0.72, big * 0.8), flat(iris))
        head.oval((x, 0.05), (big * 0.45, big * 0.6), flat((22, 16, 20)))
        head.dots([(x - 0.05, -0.03)], big * 0.27, (255, 255, 255))
        if mood == "sadness":
            head.ribbon([(x - side * big * 1.2, -big * 1.75), (x + side * big * 1.2, -big * 0.75)], big * 0.42,
                flat((50, 34, 34)))
            drop = [(x + side * 0.06, 0.22), (x, 0.42), (x + side * 0.06, 0.54), (x + side * 0.12, 0.42)]
            head.blob(drop, Paint((120, 196, 250), 0.2, 0.7))


def _mouth(head: Pen, y: float, mood: str, wide: float) -> None:
    ink = flat((70, 34, 38))
    if mood == "joy":
        head.blob([(-wide, y), (0, y + 0.06), (wide, y), (wide * 0.6, y + 0.26), (0, y + 0.34),
            (-wide * 0.6, y + 0.26)], Paint((140, 34, 46), 0.1, 0.9))
        head.oval((0, y + 0.25), (wide * 0.42, 0.1), flat((244, 128, 140)))
    elif mood == "sadness":
        head.ribbon([(-wide * 0.8, y + 0.2), (0, y + 0.04), (wide * 0.8, y + 0.2)], 0.06, ink)
    else:
        head.ribbon([(-wide, y + 0.02), (-wide * 0.5, y + 0.12), (0, y), (wide * 0.5, y + 0.12), (wide, y + 0.02)],
            0.055, ink)


def bird(pen: Pen, coat: Colour, rngs: tuple[Rng, Rng], extras: Extras) -> None:
    """A song bird seen from the side, beak to the right."""
    who, pose = rngs[0].random(10), rngs[1].random(6)
    own = wear.choose(rngs[0])
    feather = Paint(coat, 0.42, 1.5, texture="leaf", rough=0.12)
    wing_colour = mix(coat, (40, 34, 60), 0.28) if sum(coat) > 200 else (84, 84, 96)
    wing = Paint(wing_colour, 0.4, 1.3, texture="leaf", rough=0.18)
    beak = Paint(((246, 170, 40), (235, 120, 50), (90, 84, 84))[int(who[0] * (3 if sum(coat) > 200 else 2))], 0.4, 1.2)
    belly = contrast(coat, 0.3 + 0.35 * who[1])
    pen.shadow((0, 0.0), (0.42, 0.045))
    for x in (-0.06, 0.09):
        pen.ribbon([(x, -0.25), (x + 0.02, -0.1), (x, -0.01)], 0.035, Paint(dark(beak.colour, 0.25), 0.2, 0.8))
        for toe in (-0.06, 0.03, 0.1):
            pen.ribbon([(x, -0.015), (x + toe, 0.005)], 0.024, flat(dark(beak.colour, 0.3)))
    tail, lift = 0.28 + 0.3 * who[2], 0.18 * pose[0] - 0.02
    for k in (-1, 1, 0):
        tip = (-0.38 - tail, -0.3 - lift + 0.07 * k)
        pen.ribbon([(-0.2, -0.42), (-0.38, -0.38 - lift / 2), tip], [0.14, 0.12, 0.09], wing)
    fat = 0.9 + 0.25 * who[3]
    pen.blob([(0.4, -0.62), (0.42, -0.42), (0.26, -0.2 * fat), (-0.02, -0.15), (-0.28, -0.27), (-0.42, -0.42),
        (-0.2, -0.58), (0.1, -0.8), (0.3, -0.8)], feather)
    pen.canvas.veil(pen.at([(0.33, -0.5), (0.34, -0.38), (0.2, -0.24), (0.0, -0.2), (-0.12, -0.24), (0.1, -0.34)]),
        pen.canvas.seen(belly), 0.75, 2.5)
    if pose[1] < 0.3:
        up = 0.1 * pose[2]
        for k in range(5):
            tip = (-0.56 + 0.115 * k, -0.84 - up - 0.075 * k + 0.012 * k * k)
            pen.ribbon([(0.02, -0.5), ((tip[0] - 0.02) / 2, (tip[1] - 0.56) / 2), tip], [0.12, 0.14, 0.08], wing)
        pen.blob([(0.14, -0.52), (-0.02, -0.4), (-0.2, -0.5), (-0.24, -0.66), (-0.06, -0.74), (0.1, -0.68)], wing)
    else:
        pen.blob([(0.16, -0.56), (0.12, -0.38), (-0.1, -0.28), (-0.48, -0.3), (-0.26, -0.48), (-0.06, -0.6)], wing)
        for k in range(3):
            pen.ribbon([(0.05 - 0.07 * k, -0.5 + 0.05 * k), (-0.12 - 0.05 * k, -0.38 + 0.03 * k),
                (-0.3, -0.345 + 0.02 * k)], 0.015, flat(dark(wing_colour, 0.35)))
    head = pen.inner((0.26, -0.83), 0.215, 1, (pose[3] - 0.6) * 26)
    _bird_head(head, who, (feather, beak, belly), extras.mood)
    _dress(head.inner((0.04, 0.0), 0.92), pen.inner((0.26, -0.66), 0.2), own, extras)


def _bird_head(head: Pen, who: Floats, paints: tuple[Paint, Paint, Colour], mood: str) -> None:
    feather, beak, belly = paints
    if who[4] < 0.4:
        for k in range(3):
            tip = (-0.35 - 0.32 * k, -1.55 + 0.25 * k)
            head.ribbon([(-0.05 - 0.1 * k, -0.8), ((tip[0] - 0.1) / 2, -1.2), tip], [0.2, 0.16, 0.12], feather)
    head.oval((0, 0), (1.0, 0.97), feather)
    if who[5] < 0.5:
        head.canvas.veil(head.at([(0.2 + 0.45 * np.cos(a), 0.3 + 0.35 * np.sin(a)) for a in np.linspace(0, 6, 12)]),
            head.canvas.seen(belly), 0.7, 1.5)
    if mood == "joy":
        head.blob([(0.8, 0.12), (1.5, 0.2), (1.3, 0.5), (0.75, 0.5)], beak.mix((90, 20, 20), 0.35))
        head.blob([(0.78, -0.2), (1.25, -0.22), (1.75, 0.02), (1.2, 0.16), (0.8, 0.2)], beak)
    else:
        head.blob([(0.8, 0.08), (1.3, 0.16), (1.2, 0.32), (0.78, 0.34)], beak.mix((60, 20, 20), 0.25))
        down = 0.12 if mood == "sadness" else 0.0
        head.blob([(0.78, -0.2), (1.25, -0.18), (1.7, 0.12 + down), (1.2, 0.16), (0.8, 0.2)], beak)
    eye = (0.4, -0.14)
    head.oval(eye, (0.27, 0.29), Paint((255, 254, 248), 0.1, 0.9))
    head.oval((eye[0] + 0.04, eye[1] + 0.02), (0.18, 0.21), flat((22, 16, 22)))
    head.dots([(eye[0], eye[1] - 0.07)], 0.075, (255, 255, 255))
    if mood == "sadness":
        head.ribbon([(0.1, -0.34), (0.4, -0.5), (0.7, -0.56)], 0.1, flat((50, 34, 34)))
        head.blob([(0.36, 0.16), (0.28, 0.4), (0.37, 0.54), (0.46, 0.4)], Paint((120, 196, 250), 0.2, 0.7))


def dog(pen: Pen, coat: Colour, rngs: tuple[Rng, Rng], extras: Extras) -> None:
    """A dog, sitting towards us or standing sideways, with a snout and soft ears."""
    who, pose = rngs[0].random(10), rngs[1].random(6)
    own = wear.choose(rngs[0])
    fur = Paint(coat, 0.38, 1.5, texture="fur", rough=0.2)
    patch = Paint(contrast(coat, 0.5), 0.3, 0.0, texture="fur", rough=0.2)
    wag = (pose[0] - 0.5) * 0.2
    if pose[1] < 0.55:
        pen.shadow((0, -0.01), (0.4, 0.05))
        pen.ribbon([(0.2, -0.12), (0.42, -0.14), (0.52, -0.34 + wag)], [0.12, 0.1, 0.06], fur)
        pen.blob([(-0.16, -0.6), (-0.24, -0.4), (-0.34, -0.16), (-0.28, -0.01), (0, 0.0), (0.28, -0.01),
            (0.34, -0.16), (0.24, -0.4), (0.16, -0.6)], fur)
        pen.blob([(0, -0.56), (-0.13, -0.46), (-0.12, -0.28), (0, -0.2), (0.12, -0.28), (0.13, -0.46)], patch)
        for side in (-1, 1):
            pen.oval((side * 0.27, -0.06), (0.13, 0.065), fur)
            pen.ribbon([(side * 0.12, -0.4), (side * 0.11, -0.2), (side * 0.115, -0.05)], [0.13, 0.11, 0.11], fur)
            pen.oval((side * 0.12, -0.035), (0.085, 0.05), patch._replace(line=1.1))
        neck, head = pen.inner((0, -0.56), 0.21), pen.inner((wag * 0.1, -0.75), 0.235, 1, (pose[2] - 0.5) * 22)
    else:
        _four_legs(pen, fur, patch, pose[3])
        pen.ribbon([(-0.42, -0.5), (-0.58, -0.62), (-0.62, -0.8 + wag)], [0.1, 0.08, 0.05], fur)
        neck, head = pen.inner((0.36, -0.56), 0.2), pen.inner((0.42, -0.76), 0.225, 1, (pose[2] - 0.5) * 22)
    if "scarf" not in extras.accessories and who[0] < 0.6:
        neck.ribbon([(-0.8, 0.0), (0, 0.22), (0.8, 0.0)], 0.22, Paint(own.scarf, 0.3, 1.0))
        neck.oval((0, 0.36), (0.16, 0.16), Paint((246, 206, 80), 0.4, 0.9))
    _dog_head(head, who, (fur, patch), extras.mood)
    _dress(head, neck, own, extras)


def _four_legs(pen: Pen, fur: Paint, patch: Paint, step: float) -> None:
    pen.shadow((0, -0.01), (0.55, 0.05))
    swing = (step - 0.5) * 0.18
    far = fur.mix((20, 14, 30), 0.22)
    for x, move in ((-0.26, -swing), (0.37, swing)):
        pen.ribbon([(x, -0.36), (x + move / 2 - 0.02, -0.18), (x + move, -0.05)], [0.14, 0.09, 0.085], far)
        pen.oval((x + move + 0.025, -0.03), (0.07, 0.04), far)
    pen.blob(BACK, fur)
    for x, move, wide in ((-0.35, swing, 0.24), (0.27, -swing, 0.17)):
        pen.ribbon([(x - 0.01, -0.4), (x + move / 2 - 0.02, -0.2), (x + move, -0.05)], [wide, 0.11, 0.095], fur)
        pen.oval((x + move + 0.025, -0.03), (0.075, 0.043), patch._replace(line=1.1))
    pen.blob([*BACK[:5], (0.36, -0.44), (0.1, -0.36), (-0.2, -0.36), (-0.42, -0.4)], fur._replace(line=0.0, shade=0.1))


def _dog_head(head: Pen, who: Floats, paints: tuple[Paint, Paint], mood: str) -> None:
    fur, patch = paints
    ear = fur.mix((30, 16, 24), 0.3) if sum(fur.colour) > 200 else fur.mix((160, 160, 170), 0.3)
    ears = int(who[1] * 3)
    if ears == 1:
        for side in (-1, 1):
            head.blob([(side * 0.4, -0.7), (side * 0.8, -1.25), (side * 1.05, -0.8), (side * 1.0, -0.45),
                (side * 0.8, -0.4)], ear)
    head.blob([(0, -0.98), (-0.7, -0.82), (-0.98, -0.2), (-0.8, 0.45), (-0.4, 0.86), (0, 0.95), (0.4, 0.86),
        (0.8, 0.45), (0.98, -0.2), (0.7, -0.82)], fur)
    if who[2] < 0.4:
        head.oval((0.42, -0.08), (0.4, 0.46), patch, 15)
    head.blob([(0, 0.1), (-0.42, 0.28), (-0.5, 0.62), (-0.2, 0.9), (0, 0.93), (0.2, 0.9), (0.5, 0.62), (0.42, 0.28)],
        patch._replace(line=0.8))
    if mood != "sadness" and who[3] < 0.6:
        head.blob([(-0.15, 0.68), (0.15, 0.68), (0.17, 1.0), (0, 1.13), (-0.17, 1.0)], Paint((246, 110, 124), 0.3, 1.0))
    _mouth(head, 0.56, mood, 0.34)
    head.blob([(-0.24, 0.22), (0, 0.17), (0.24, 0.22), (0.12, 0.42), (0, 0.47), (-0.12, 0.42)],
        Paint((40, 30, 36), 0.7, 0.9))
    _eyes(head, 0.42, 0.19, (96, 60, 34), mood)
    if ears == 0:
        for side in (-1, 1):
            head.blob([(side * 0.5, -0.85), (side * 1.0, -0.72), (side * 1.28, 0.1), (side * 1.12, 0.55),
                (side * 0.86, 0.2), (side * 0.78, -0.4)], ear)
    elif ears == 2:
        for side in (-1, 1):
            head.blob([(side * 0.42, -0.9), (side * 0.95, -1.05), (side * 1.22, -0.55), (side * 1.0, -0.25),
                (side * 0.75, -0.55)], ear)


def cat(pen: Pen, coat: Colour, rngs: tuple[Rng, Rng], extras: Extras) -> None:
    """A cat, sitting towards us or walking sideways, with pointed ears, whiskers and a long tail."""
    who, pose = rngs[0].random(10), rngs[1].random(6)
    own = wear.choose(rngs[0])
    fur = Paint(coat, 0.38, 1.5, texture="fur", rough=0.2)
    patch = Paint(contrast(coat, 0.6), 0.3, 0.0, texture="fur", rough=0.15)
    curl = (pose[0] - 0.5) * 0.16
    if pose[1] < 0.6:
        pen.shadow((0, -0.01), (0.36, 0.045))
        pen.ribbon([(0.2, -0.05), (0.46, -0.1), (0.5, -0.34), (0.4 + curl, -0.52), (0.52 + curl, -0.62)],
            [0.1, 0.1, 0.085, 0.075, 0.05], fur)
        pen.blob([(-0.13, -0.58), (-0.2, -0.36), (-0.28, -0.14), (-0.22, 0.0), (0, 0.01), (0.22, 0.0), (0.28, -0.14),
            (0.2, -0.36), (0.13, -0.58)], fur)
        pen.blob([(0, -0.55), (-0.1, -0.44), (-0.09, -0.28), (0, -0.2), (0.09, -0.28), (0.1, -0.44)], patch)
        _stripes(pen, fur, who)
        for side in (-1, 1):
            pen.ribbon([(side * 0.08, -0.36), (side * 0.075, -0.18), (side * 0.08, -0.04)], [0.1, 0.09, 0.09], fur)
            pen.oval((side * 0.085, -0.03), (0.068, 0.042), patch._replace(line=1.0))
        neck, head = pen.inner((0, -0.55), 0.17), pen.inner((0, -0.71), 0.23, 1, (pose[2] - 0.5) * 20)
    else:
        pen.ribbon([(-0.42, -0.45), (-0.6, -0.6), (-0.56, -0.86), (-0.66 + curl, -0.98)], [0.09, 0.085, 0.075, 0.05],
            fur)
        _four_legs(pen, fur, patch, pose[3])
        neck, head = pen.inner((0.38, -0.55), 0.18), pen.inner((0.42, -0.72), 0.215, 1, (pose[2] - 0.5) * 20)
        if who[2] < 0.5:
            for x in (-0.3, -0.14, 0.02):
                pen.ribbon([(x, -0.57), (x + 0.02, -0.44)], 0.04, flat(dark(fur.colour, 0.35)))
    _cat_head(head, who, (fur, patch), extras.mood)
    _dress(head, neck, own, extras)


def _stripes(pen: Pen, fur: Paint, who: Floats) -> None:
    if who[2] >= 0.5:
        return
    ink = flat(dark(fur.colour, 0.35) if sum(fur.colour) > 200 else (90, 90, 100))
    for y in (-0.4, -0.3, -0.2):
        for side in (-1, 1):
            wide = 0.17 - 0.3 * (y + 0.4) * -1
            pen.ribbon([(side * (wide + 0.03), y), (side * (wide - 0.05), y + 0.025)], 0.026, ink)


def _cat_head(head: Pen, who: Floats, paints: tuple[Paint, Paint], mood: str) -> None:
    fur, patch = paints
    for side in (-1, 1):
        head.shape([(side * 0.3, -0.72), (side * 0.84, -1.34), (side * 0.98, -0.3)], fur)
        head.shape([(side * 0.5, -0.74), (side * 0.79, -1.08), (side * 0.86, -0.5)], flat((240, 150, 158)))
    head.blob([(0, -0.9), (-0.62, -0.78), (-1.0, -0.1), (-1.08, 0.38), (-0.6, 0.76), (0, 0.88), (0.6, 0.76),
        (1.08, 0.38), (1.0, -0.1), (0.62, -0.78)], fur)
    if who[2] < 0.5:
        ink = flat(dark(fur.colour, 0.35) if sum(fur.colour) > 200 else (90, 90, 100))
        for x in (-0.2, 0, 0.2):
            head.ribbon([(x, -0.84), (x * 0.8, -0.52)], 0.09, ink)
    for side in (-1, 1):
        head.oval((side * 0.2, 0.44), (0.3, 0.24), patch)
    eye = IRISES[int(who[3] * 4)]
    _eyes(head, 0.44, 0.23, eye, mood)
    _mouth(head, 0.42, mood, 0.26)
    head.shape([(-0.12, 0.26), (0.12, 0.26), (0, 0.42)], Paint((232, 110, 130), 0.3, 0.8))
    whisker = flat((250, 250, 246) if sum(fur.colour) < 560 else (90, 80, 84))
    for side in (-1, 1):
        for k in (-1, 0, 1):
            head.ribbon([(side * 0.46, 0.42 + 0.06 * k), (side * 1.3, 0.36 + 0.2 * k)], 0.03, whisker)
