"""Pencil: graphite outlines and hatching, one more layer of strokes for each step darker, on toothed paper."""

from __future__ import annotations

import numpy as np

from easel.pocket.world.styles.common import (
    Picture,
    blur,
    generator,
    grey,
    ink,
    noise,
    scale,
    step,
    streaks,
    stretch,
    to_bytes,
)

PAPER = np.array((247, 245, 239), np.float32) / 255
GRAPHITE = np.array((52, 52, 58), np.float32) / 255
LAYERS = ((45.0, 0.22, 0.75), (51.0, 0.50, 0.75), (-38.0, 0.62, 0.70), (8.0, 0.80, 0.50))
"""Angle of the strokes in degrees, darkness where the layer starts, darkness over which it fills."""


def paint(picture: Picture, seed: int) -> Picture:
    """Draw the picture as a pencil drawing."""
    rng, size = generator(seed, "pencil"), scale(picture)
    tones = stretch(grey(picture), 1, 97) ** 0.9
    dark = 1 - blur(tones, 1.6 * size)
    turn = rng.uniform(-12, 12)
    marks = np.zeros_like(tones)
    for degrees, start, span in LAYERS:
        hairs = streaks(rng, tones.shape, degrees + turn, 26 * size, 1.5 * size)
        cover = np.clip((dark - start) / span, 0, 0.85)
        marks = marks + (1 - marks) * 0.60 * step(cover, hairs, 0.35)
    lines = np.maximum(ink(tones, 0.9 * size, 0.007, 0.035), 0.85 * ink(tones, 2.0 * size, 0.012, 0.05))
    tooth = noise(rng, tones.shape, 1.4 * max(size, 0.7), 2)
    smudge = 0.26 * np.clip(dark - 0.2, 0, 1)
    lead = np.clip(smudge + marks, 0, 1)
    lead = lead + (1 - lead) * 0.92 * lines
    lead = np.clip(lead * (1 - 0.15 * np.clip(tooth, -1, 2)), 0, 1)[..., None]
    paper = PAPER + 0.010 * noise(rng, tones.shape, 2 * size, 2)[..., None]
    return to_bytes(paper * (1 - lead) + GRAPHITE * lead)
