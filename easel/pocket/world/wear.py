"""What a subject wears or carries; each in a frame of the right size (a head of radius 1, a hand at the origin)."""

# Lists of points stay in rows.
# fmt: off

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from easel.pocket.world.brush import Colour, Paint, Pen, dark, flat, one_of, pale

TINTS = ((214, 60, 52), (250, 190, 50), (60, 130, 210), (70, 160, 90), (150, 80, 180), (240, 236, 226), (120, 80, 50),
    (60, 60, 76))


class Extras(NamedTuple):
    """What the scene says of its subject beside kind and colour."""

    mood: str
    accessories: tuple[str, ...]
    mask: bool
    dark: bool


class Wardrobe(NamedTuple):
    """The accessories that one identity owns."""

    hat: int
    hat_colour: Colour
    band: Colour
    glasses: Colour
    scarf: Colour
    case: Colour
    scoops: tuple[Colour, ...]


def apart(colours: Sequence[Colour], other: Colour, pick: float) -> Colour:
    """One of the colours that is not close to `other`."""
    far = [colour for colour in colours if sum(abs(a - b) for a, b in zip(colour, other, strict=True)) > 120]
    return one_of(far, pick)


def choose(rng: np.random.Generator) -> Wardrobe:
    """Draw the accessories of an identity."""
    pick = rng.random(8)
    ices = ((252, 236, 200), (246, 160, 180), (130, 84, 60), (176, 226, 180))
    hat = one_of(TINTS, pick[1])
    return Wardrobe(
        int(pick[0] * 4), hat, apart(TINTS, hat, pick[2]), one_of(((24, 24, 30), (70, 34, 22), (190, 40, 60)), pick[3]),
        one_of(TINTS, pick[4]), one_of(TINTS, pick[5]), (ices[int(pick[6] * 4)], ices[int(pick[7] * 4)]),
    )


def hat(pen: Pen, own: Wardrobe) -> None:
    """A hat whose brim is at the origin, for a head of radius 1."""
    felt, band = Paint(own.hat_colour, 0.4, 1.3, texture="cloth"), Paint(own.band, 0.3, 0.9)
    if own.hat == 0:
        pen.blob([(-0.72, 0.05), (-0.74, -0.5), (-0.4, -0.95), (0.4, -0.95), (0.74, -0.5), (0.72, 0.05)], felt)
        pen.ribbon([(-0.74, -0.12), (0, -0.02), (0.74, -0.12)], 0.24, band)
        pen.oval((0, 0.05), (1.5, 0.27), felt)
        pen.blob([(-0.72, 0.0), (-0.74, -0.5), (-0.4, -0.95), (0.4, -0.95), (0.74, -0.5), (0.72, 0.0), (0, 0.13)],
            felt._replace(line=0.0))
        pen.ribbon([(-0.73, -0.14), (0, 0.0), (0.73, -0.14)], 0.24, band)
    elif own.hat == 1:
        pen.blob([(-0.98, 0.1), (-0.95, -0.5), (-0.45, -0.98), (0.45, -0.98), (0.95, -0.5), (0.98, 0.1), (0, 0.0)],
            felt)
        pen.ribbon([(-0.97, 0.06), (0, -0.05), (0.97, 0.06)], 0.32, band)
        pen.oval((0, -1.02), (0.26, 0.25), band._replace(texture="fur", rough=0.4))
    elif own.hat == 2:
        pen.oval((0, 0.02), (1.2, 0.2), felt)
        pen.shape([(-0.7, 0.04), (-0.64, -1.15), (0.64, -1.15), (0.7, 0.04)], felt._replace(form="tube"))
        pen.shape([(-0.7, 0.03), (-0.68, -0.25), (0.68, -0.25), (0.7, 0.03)], band._replace(form="tube"))
    else:
        pen.shape([(-0.78, 0.12), (0.05, -1.45), (0.78, 0.12)], felt)
        pen.dots([(-0.25, -0.12), (0.2, -0.3), (0.0, -0.7), (0.4, 0.0)], 0.1, own.band)
        pen.oval((0.05, -1.45), (0.2, 0.2), band)


def sunglasses(pen: Pen, own: Wardrobe, eyes: tuple[float, float]) -> None:
    """Sunglasses over eyes at (+-eyes[0], eyes[1]) on a head of radius 1."""
    x, y = eyes
    pen.ribbon([(-0.88, y - 0.1), (0, y - 0.08), (0.88, y - 0.1)], 0.09, flat(own.glasses))
    for side in (-1, 1):
        pen.blob(
            [(side * (x - 0.29), y - 0.14), (side * (x + 0.3), y - 0.17), (side * (x + 0.27), y + 0.16),
                (side * x, y + 0.27), (side * (x - 0.25), y + 0.13)],
            Paint(dark(own.glasses, 0.3), 0.7, 1.4),
        )
        pen.ribbon([(side * x - 0.12, y - 0.06), (side * x - 0.02, y - 0.08)], 0.05, flat((230, 236, 250)))


def scarf(pen: Pen, own: Wardrobe) -> None:
    """A scarf round a neck at the origin, half as wide as 1."""
    wool, edge = Paint(own.scarf, 0.38, 1.2, texture="cloth", rough=0.3), pale(own.scarf, 0.5)
    pen.shape([(0.12, 0.1), (0.55, 0.12), (0.66, 1.35), (0.26, 1.4)], wool)
    for y in (0.95, 1.15):
        pen.ribbon([(0.25, y), (0.6, y)], 0.09, flat(edge))
    pen.blob([(-0.85, -0.3), (0, -0.1), (0.85, -0.3), (0.9, 0.18), (0, 0.45), (-0.9, 0.18)], wool)
    pen.ribbon([(-0.8, 0.0), (0, 0.18), (0.8, 0.0)], 0.08, flat(dark(own.scarf, 0.25)))


def ice_cream(pen: Pen, own: Wardrobe) -> None:
    """An ice cream cone held at the origin, about 1 high."""
    pen.shape([(0, 0.3), (-0.23, -0.42), (0.23, -0.42)], Paint((226, 166, 92), 0.4, 1.1))
    for x in (-0.1, 0.04):
        pen.ribbon([(x, -0.4), (x + 0.08, -0.05)], 0.03, flat((176, 118, 58)))
    pen.oval((0, -0.9), (0.22, 0.22), Paint(own.scoops[1], 0.4, 1.1))
    pen.oval((0, -0.6), (0.28, 0.25), Paint(own.scoops[0], 0.4, 1.1))
    pen.oval((0.06, -1.13), (0.075, 0.075), Paint((220, 40, 50), 0.5, 0.8))


def suitcase(pen: Pen, own: Wardrobe) -> None:
    """A suitcase that hangs from a hand at the origin, about 1 high."""
    leather = Paint(own.case, 0.36, 1.4, "fall")
    pen.ribbon([(-0.17, 0.22), (-0.15, 0.02), (0.15, 0.02), (0.17, 0.22)], 0.08, Paint(dark(own.case, 0.5), 0.2, 0.8))
    pen.blob([(-0.52, 0.24), (-0.5, 0.2), (0.5, 0.2), (0.52, 0.24), (0.54, 0.92), (0.5, 0.97), (-0.5, 0.97),
        (-0.54, 0.92)], leather)
    for x in (-0.3, 0.3):
        pen.box((x - 0.05, 0.2), (x + 0.05, 0.97), Paint(dark(own.case, 0.35), 0.3, 0.7))
        pen.box((x - 0.06, 0.4), (x + 0.06, 0.48), flat((240, 214, 120)))


def panda(pen: Pen) -> None:
    """A panda mask over a face of radius 1."""
    ink = Paint((30, 28, 34), 0.4, 1.0)
    for side in (-1, 1):
        pen.oval((side * 0.78, -0.82), (0.38, 0.38), ink)
    pen.blob([(0, -1.02), (-0.75, -0.78), (-1.05, 0.0), (-0.8, 0.75), (0, 1.0), (0.8, 0.75), (1.05, 0.0),
        (0.75, -0.78)], Paint((252, 251, 247), 0.22, 1.4))
    for side in (-1, 1):
        pen.oval((side * 0.42, 0.0), (0.26, 0.34), ink, side * 28)
        pen.dots([(side * 0.4, -0.03)], 0.12, (255, 255, 255))
        pen.dots([(side * 0.39, -0.02)], 0.075, (20, 18, 22))
    pen.oval((0, 0.36), (0.17, 0.11), ink)
    pen.ribbon([(-0.24, 0.58), (0, 0.66), (0.24, 0.58)], 0.06, flat((30, 28, 34)))
