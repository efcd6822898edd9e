"""Hokusai: a woodblock print. Few flat colours (Prussian blue, cream, ochre), dark outlines, graded sky, paper."""

from __future__ import annotations

import cv2
import numpy as np

from easel.pocket.world.styles.common import (
    Floats,
    Picture,
    Plane,
    blur,
    generator,
    grey,
    ink,
    lab,
    mix,
    nearest_rows,
    noise,
    scale,
    streaks,
    stretch,
    to_bytes,
    to_floats,
)
from easel.pocket.world.styles.watercolour import smooth

BLOCKS = np.array(
    (
        (16, 36, 74),
        (34, 74, 128),
        (92, 136, 172),
        (168, 196, 200),
        (240, 228, 196),
        (222, 198, 148),
        (196, 148, 88),
        (186, 78, 48),
        (120, 58, 44),
        (92, 116, 84),
        (156, 168, 120),
        (228, 178, 150),
    ),
    np.uint8,
)
PRUSSIAN = np.array((14, 28, 62), np.float32) / 255
CREAM = np.array((243, 232, 204), np.float32) / 255
SEAL = np.array((190, 48, 36), np.float32) / 255


def paint(picture: Picture, seed: int) -> Picture:
    """Print the picture as a woodblock print."""
    rng, size = generator(seed, "hokusai"), scale(picture)
    height, width = picture.shape[:2]
    flat = smooth(picture, size)
    printed = graded(blocks(flat, size))
    tones = stretch(grey(flat))
    lines = np.maximum(ink(tones, 1.5 * size, 0.012, 0.02), 0.9 * ink(stretch(grey(picture)), 0.9 * size, 0.03, 0.03))
    lines = np.clip(1.4 * blur(lines, 0.4 * size), 0, 1)
    printed = mix(printed, PRUSSIAN, 0.92 * lines)
    # The grain of the block and the fibres of the paper show a little in every colour.
    wood = streaks(rng, (height, width), rng.uniform(-4, 4), 70 * size) - 0.5
    fibre = noise(rng, (height, width), 1.8 * max(size, 0.7), 2)
    printed = printed + (0.055 * wood + 0.016 * fibre)[..., None] * np.array((1, 0.97, 0.88), np.float32)
    return to_bytes(stamp(rng, printed, size))


def blocks(flat: Picture, size: float) -> Floats:
    """Each region in the nearest colour of the print, 0..1."""
    values = lab(flat)
    light = stretch(values[..., 0] / 100)
    chroma = np.hypot(values[..., 1], values[..., 2])
    neutral = np.exp(-chroma / 12)
    values[..., 0] = 12 + 82 * light
    grow = 1 + 0.6 * np.exp(-chroma / 40)
    # What has no colour becomes blue in the dark and cream in the light.
    values[..., 1] = values[..., 1] * grow
    values[..., 2] = values[..., 2] * grow + neutral * (58 * light - 34)
    colours = lab(BLOCKS[None])[0]
    weight = np.array((1.0, 0.9, 0.9), np.float32)
    owner = nearest_rows(values.reshape(-1, 3) * weight, colours * weight).reshape(flat.shape[:2]).astype(np.uint8)
    kernel = 2 * round(1.6 * max(size, 0.7)) + 1
    owner = np.asarray(cv2.medianBlur(owner, min(kernel, 255)), np.uint8)
    return blur(to_floats(BLOCKS[owner]), 0.5 * size)


def graded(printed: Floats) -> Floats:
    """Bokashi: the print wiped from full colour to pale, downward, with a deep blue band along the top."""
    height = printed.shape[0]
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    pale = 0.22 * np.clip((down - 0.15) / 0.35, 0, 1) * np.clip((0.75 - down) / 0.3, 0, 1)
    light = printed.mean(2)
    printed = mix(printed, CREAM, pale * np.ones_like(light) * (light > 0.45))
    band = np.exp(-((down / 0.14) ** 2)) * 0.75 * np.clip((light - 0.3) * 4, 0, 1)
    return mix(printed, np.array((44, 84, 138), np.float32) / 255, band)


def stamp(rng: np.random.Generator, printed: Floats, size: float) -> Floats:
    """Put a cream title slip with ink marks, and a small red seal under it, in an upper corner."""
    height, width = printed.shape[:2]
    wide, tall = 11 * size, 40 * size
    left = 9 * size if rng.random() < 0.5 else width - 9 * size - wide
    slip = rectangle(printed, left, 9 * size, wide, tall)
    printed = mix(printed, PRUSSIAN, slip)
    printed = mix(printed, CREAM, rectangle(printed, left + size, 10 * size, wide - 2 * size, tall - 2 * size))
    marks = np.zeros((height, width), np.uint8)
    for row in range(4):
        for _ in range(4):
            ends = rng.uniform((0.2, 0.15), (0.8, 0.85), (2, 2)) * (wide, 8.5 * size)
            ends = np.round((ends + np.array((left, (12 + 9 * row) * size))) * 8).astype(int)
            first, last = (int(ends[0, 0]), int(ends[0, 1])), (int(ends[1, 0]), int(ends[1, 1]))
            cv2.line(marks, first, last, 255, max(round(size), 1), cv2.LINE_AA, 3)
    printed = mix(printed, PRUSSIAN, marks.astype(np.float32) / 255)
    return mix(printed, SEAL, rectangle(printed, left + 0.15 * wide, 51 * size, 0.7 * wide, 0.7 * wide))


def rectangle(picture: Floats, left: float, top: float, wide: float, tall: float) -> Plane:
    """1 inside the rectangle, in pixels, smooth at its edges."""
    x = np.arange(picture.shape[1], dtype=np.float32)[None]
    y = np.arange(picture.shape[0], dtype=np.float32)[:, None]
    inside_x = np.clip(np.minimum(x - left, left + wide - x) + 0.5, 0, 1)
    inside_y = np.clip(np.minimum(y - top, top + tall - y) + 0.5, 0, 1)
    return np.asarray(inside_x * inside_y, np.float32)
