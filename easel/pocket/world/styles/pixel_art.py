"""Pixel art: 32 to 64 blocks along the short side, a dozen colours, a little ordered dither, dark outlines."""

from __future__ import annotations

import cv2
import numpy as np

from easel.pocket.world.styles.common import Picture, clusters, from_lab, generator, lab, nearest_rows, stretch

BAYER = np.array(((0, 8, 2, 10), (12, 4, 14, 6), (3, 11, 1, 9), (15, 7, 13, 5)), np.float32) / 16 - 0.47
COLOURS = 14


def paint(picture: Picture, seed: int) -> Picture:
    """Draw the picture in large square pixels of few colours."""
    rng = generator(seed, "pixel-art")
    height, width = picture.shape[:2]
    block = max(round(min(height, width) / 46), 2)
    grid = (-(-width // block), -(-height // block))
    room = cv2.copyMakeBorder(picture, 0, grid[1] * block - height, 0, grid[0] * block - width, cv2.BORDER_REPLICATE)
    values = lab(np.asarray(cv2.resize(room, grid, interpolation=cv2.INTER_AREA), np.uint8))
    light = stretch(values[..., 0] / 100, 1, 99)
    crisp = light + 0.7 * (light - cv2.GaussianBlur(light, (0, 0), 1.0))
    outline = np.clip(cv2.GaussianBlur(light, (0, 0), 1.2) - light - 0.05, 0, 0.3)
    values[..., 0] = 100 * np.clip(0.05 + 0.92 * crisp - 0.9 * outline, 0, 1)
    values[..., 1:] *= 1.5
    flat = values.reshape(-1, 3)
    # Colour counts for more than lightness, so that a small red thing keeps its red.
    weight = np.array((0.8, 1.2, 1.2), np.float32)
    centres, _ = clusters(flat * weight, COLOURS, rng)
    tiles = np.tile(BAYER, (grid[1] // 4 + 1, grid[0] // 4 + 1))[: grid[1], : grid[0]]
    dithered = flat.copy()
    dithered[:, 0] += 9 * tiles.ravel()
    owner = nearest_rows(dithered * weight, centres)
    small = from_lab((centres[owner] / weight).reshape(values.shape))
    return np.ascontiguousarray(small.repeat(block, 0).repeat(block, 1)[:height, :width])
