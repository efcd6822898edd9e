"""Delaunay: discs of concentric rings cut into prismatic colours; how light each colour is follows the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from easel.pocket.world.styles.common import (
    Floats,
    Picture,
    Plane,
    blur,
    generator,
    grey,
    mix,
    noise,
    scale,
    stretch,
    to_bytes,
    to_floats,
)

PRISM = (
    np.array(
        (
            (214, 32, 40),
            (240, 112, 24),
            (250, 204, 36),
            (112, 178, 52),
            (16, 140, 110),
            (40, 150, 210),
            (34, 66, 170),
            (118, 52, 150),
            (226, 90, 130),
        ),
        np.float32,
    )
    / 255
)
LUMA = np.array((0.299, 0.587, 0.114), np.float32)


def paint(picture: Picture, seed: int) -> Picture:
    """Paint the picture in prismatic discs."""
    rng, size = generator(seed, "delaunay"), scale(picture)
    height, width = picture.shape[:2]
    tones = stretch(blur(grey(picture), 0.8 * size))
    shade = stretch(tones + 0.9 * (tones - blur(tones, 14 * size)), least=0.35)
    centres = places(rng, tones)
    # Painted twice as large and reduced, so that rings have smooth edges.
    rows, columns = np.mgrid[0 : 2 * height, 0 : 2 * width].astype(np.float32) / 2
    hue, rim = discs(rng, rows, columns, centres, min(height, width))
    big = np.asarray(cv2.resize(shade, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR))
    level = np.clip(big * 255, 0, 255).astype(np.intp)
    flat = ramps()[hue, level]
    flat = np.asarray(cv2.resize(flat, (width, height), interpolation=cv2.INTER_AREA))
    rim = np.asarray(cv2.resize(rim, (width, height), interpolation=cv2.INTER_AREA))
    own = to_floats(picture)
    own = own - (own @ LUMA)[..., None]
    painted = flat + 0.55 * own + 0.07 * (rim - 0.5)[..., None]
    painted = mix(painted, painted * 0.35, edges(tones, size))
    return to_bytes(painted + 0.018 * noise(rng, (height, width), 3 * size, 2)[..., None])


def places(rng: np.random.Generator, tones: Plane) -> NDArray[np.float64]:
    """Centres and radii of discs (n, 3) as x, y, radius in pixels: on what stands out, apart from each other."""
    height, width = tones.shape
    energy = cv2.resize(np.abs(tones - blur(tones, max(height, width) / 12)), (24, 24), interpolation=cv2.INTER_AREA)
    energy = blur(np.asarray(energy, np.float32), 1.2) + 0.02
    rows, columns = np.mgrid[0:24, 0:24]
    found = []
    for number in range(7):
        sums = np.cumsum(energy.astype(np.float64))
        row, column = divmod(min(int(np.searchsorted(sums, rng.uniform(0, sums[-1]))), 575), 24)
        radius = (0.42 if number == 0 else rng.uniform(0.16, 0.32)) * min(height, width)
        found.append(((column + rng.random()) / 24 * width, (row + rng.random()) / 24 * height, radius))
        energy = energy * (1 - np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 30.0))
    return np.array(found)


def discs(
    rng: np.random.Generator, rows: Plane, columns: Plane, centres: NDArray[np.float64], side: int
) -> tuple[NDArray[np.intp], Plane]:
    """Find the index of the prism colour at each pixel, and a shading 0..1 across each ring."""
    best = np.full(rows.shape, np.inf, np.float32)
    ring_at, turn_at = np.zeros_like(rows), np.zeros_like(rows)
    owner = np.zeros(rows.shape, np.intp)
    for number, (x, y, radius) in enumerate(centres):
        reach = np.hypot(columns - np.float32(x), rows - np.float32(y)) / np.float32(radius)
        mine = reach < best
        best = np.where(mine, reach, best)
        owner = np.where(mine, number, owner)
        wide = float(rng.uniform(4.0, 5.2)) if radius > 0.3 * side else float(rng.uniform(3.0, 4.0))
        ring_at = np.where(mine, reach * np.float32(wide), ring_at)
    dx, dy = columns - centres[owner, 0].astype(np.float32), rows - centres[owner, 1].astype(np.float32)
    start = rng.uniform(0, 1, len(centres)).astype(np.float32)[owner]
    ring = ring_at.astype(np.intp)
    turn_at = (np.arctan2(dy, dx) / np.float32(2 * np.pi) + start) * 4 + 0.5 * (ring % 2)
    quarter = np.floor(turn_at).astype(np.intp) % 4
    hue = (owner * 4 + ring * 2 + quarter * np.where(ring % 3 == 0, 5, 2)) % len(PRISM)
    return hue, (ring_at - ring).astype(np.float32)


def ramps() -> Floats:
    """For each prism colour 256 colours from nearly black through the pure colour to nearly white, (9, 256, 3)."""
    level = np.linspace(0, 1, 256, dtype=np.float32)[None, :, None]
    pure = PRISM[:, None, :]
    # The picture decides three quarters of the lightness, the colour itself one quarter.
    luma = (PRISM @ LUMA)[:, None, None]
    wanted = 0.08 + 0.84 * (0.80 * level + 0.20 * luma)
    dark = pure * (wanted / luma)
    lift = np.clip((wanted - luma) / (1 - luma), 0, 1)
    return np.where(wanted < luma, dark, pure + (1 - pure) * lift).astype(np.float32)


def edges(tones: Plane, size: float) -> Plane:
    """Faint drawing, so that the subject holds together under the discs."""
    return np.clip((blur(tones, 2.2 * size) - blur(tones, 1.0 * size) - 0.03) * 7, 0, 0.6).astype(np.float32)
