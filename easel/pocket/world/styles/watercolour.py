"""Watercolour: transparent washes that run past the drawing, dark wet edges, paper grain, a ragged white border."""

from __future__ import annotations

import cv2
import numpy as np

from easel.pocket.world.styles.common import (
    Floats,
    Picture,
    Plane,
    blur,
    from_lab,
    generator,
    lab,
    noise,
    scale,
    stretch,
    to_bytes,
    to_floats,
)

PAPER = np.array((252, 250, 244), np.float32) / 255


def paint(picture: Picture, seed: int) -> Picture:
    """Paint the picture in watercolour."""
    rng, size = generator(seed, "watercolour"), scale(picture)
    shape = picture.shape[:2]
    soft = wobble(rng, smooth(picture, size), size)
    wash = to_floats(washes(soft, size))
    tone = wash.mean(2)
    # Pigment gathers where a wash ends: the dark side of each edge becomes darker.
    rim = np.clip(blur(tone, 2.2 * size) - tone, 0, 1) + 0.8 * np.clip(blur(tone, 6 * size) - tone, 0, 0.15)
    blotch = noise(rng, shape, 46 * size, 4)
    grain = noise(rng, shape, 1.6 * max(size, 0.7), 2)
    pigment = 1 - wash
    pigment = pigment * (1 + 0.20 * blotch + 0.09 * grain + 2.2 * rim)[..., None]
    pigment = pigment * border(rng, shape, size)[..., None]
    return to_bytes(PAPER - 0.95 * np.clip(pigment, 0, 1) + (0.012 * grain)[..., None])


def smooth(picture: Picture, size: float) -> Picture:
    """Flat regions with kept edges, worked out at a reduced size."""
    height, width = picture.shape[:2]
    factor = max(size * 1.5, 1.0)
    small = cv2.resize(picture, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA)
    for _ in range(2):
        small = cv2.bilateralFilter(small, 7, 34, 4)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def wobble(rng: np.random.Generator, picture: Picture, size: float) -> Picture:
    """Edges pushed to and fro, as water runs."""
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    dx, dy = (1.5 * size * noise(rng, (height, width), 11 * size, 3) for _ in range(2))
    moved = cv2.remap(picture, columns + dx, rows + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.uint8)


def washes(picture: Picture, size: float) -> Picture:
    """Lift the picture to a few soft steps of lightness; colour wider than the drawing, so that it bleeds."""
    values: Floats = lab(picture)
    light = stretch(values[..., 0] / 100)
    steps = light * 5
    stepped = (np.floor(steps) + np.clip((steps - np.floor(steps) - 0.5) * 3.5 + 0.5, 0, 1)) / 5
    values[..., 0] = 100 * (0.30 + 0.69 * (0.3 * light + 0.7 * stepped) ** 0.85)
    values[..., 1:] = 1.45 * (0.45 * values[..., 1:] + 0.55 * blur(np.ascontiguousarray(values[..., 1:]), 5 * size))
    return from_lab(values)


def border(rng: np.random.Generator, shape: tuple[int, int], size: float) -> Plane:
    """1 where paint is, 0 on the ragged rim of bare paper, slightly above 1 at the wet edge."""
    height, width = shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    inside = np.minimum(np.minimum(rows, height - 1 - rows), np.minimum(columns, width - 1 - columns)) / np.float32(
        size
    )
    inside = inside + 4.5 * noise(rng, shape, 34 * size, 4)
    cover = np.clip((inside - 9) / 2.0, 0, 1)
    wet = np.exp(-(((inside - 12) / 2.5) ** 2))
    return np.asarray(cover * (1 + 0.35 * wet), np.float32)
