"""Monet: short dabs of broken pastel colour, violet shadows, warm light, no outline."""

from __future__ import annotations

import numpy as np

from easel.pocket.world.styles.common import (
    Floats,
    Picture,
    at,
    blur,
    brush,
    directions,
    from_lab,
    generator,
    grey,
    lab,
    scale,
    scatter,
    streaks,
    stretch,
    to_bytes,
    to_floats,
    trace,
)


def paint(picture: Picture, seed: int) -> Picture:
    """Paint the picture in short dabs of pastel colour."""
    rng, size = generator(seed, "monet"), scale(picture)
    tones = grey(picture)
    level = np.ones_like(tones), np.zeros_like(tones)
    field = directions(blur(tones, 2 * size), 5 * size, level)
    colours = pastel(picture, size)
    canvas = np.ascontiguousarray(colours)
    detail = blur(np.abs(tones - blur(tones, 2 * size)), 2 * size)
    for spacing, length, width, fine in ((5.5, 11, 6.0, False), (4.1, 8, 3.6, False), (3.1, 4.5, 1.9, True)):
        points = scatter(rng, tones.shape, spacing * size)
        if fine:
            points = points[np.asarray(at(detail, points)) > 0.012]
        count = len(points)
        shades = broken(rng, np.asarray(at(colours, points), np.float32), 0.6 if fine else 1.0)
        curves = trace(points, field, length * size * rng.uniform(0.5, 1.2, count).astype(np.float32), 1)
        curves[:, 0] += rng.normal(0, 1.2 * size, (count, 2))
        brush(canvas, curves, shades, width * size * rng.uniform(0.7, 1.2, count), smooth=spacing < 5)
    canvas_weave = streaks(rng, tones.shape, 0, 5) + streaks(rng, tones.shape, 90, 5) - 1
    return to_bytes(to_floats(canvas) + (0.03 * canvas_weave)[..., None])


def pastel(picture: Picture, size: float) -> Picture:
    """Light, soft colour: blacks lifted to violet, lights warmed."""
    values = blur(lab(picture), 1.0 * size)
    light = stretch(values[..., 0] / 100)
    chroma = np.hypot(values[..., 1], values[..., 2])
    values[..., 0] = 24 + 67 * light
    grow = 1 + 0.9 * np.exp(-chroma / 22)
    values[..., 1] = values[..., 1] * grow + 12 * (1 - light) ** 1.5 + 1
    values[..., 2] = values[..., 2] * grow - 24 * (1 - light) ** 1.3 + 12 * light**2
    return from_lab(values)


def broken(rng: np.random.Generator, colours: Floats, amount: float) -> Floats:
    """Each dab leans to pink, lilac, blue, mint or straw, as if the colours were mixed by the eye."""
    leans = np.array(((40, -4, 8), (14, -10, 40), (-30, 6, 40), (-26, 26, -4), (34, 24, -34)), np.float32)
    count = len(colours)
    lean = leans[rng.integers(0, len(leans), count)] * rng.uniform(0.2, 1.0, (count, 1)) * 0.55
    shade = rng.normal(3, 10, (count, 1))
    return (colours + amount * (lean + shade)).astype(np.float32)
