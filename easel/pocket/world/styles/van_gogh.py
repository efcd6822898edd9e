"""Van Gogh: thick strokes that flow along edges and swirl where nothing is; blue and yellow, dark contours, relief."""

from __future__ import annotations

import cv2
import numpy as np

from easel.pocket.world.styles.common import (
    Field,
    Floats,
    Picture,
    Plane,
    at,
    blur,
    brush,
    directions,
    drag,
    from_lab,
    generator,
    grey,
    ink,
    lab,
    mix,
    noise,
    scale,
    scatter,
    stretch,
    to_bytes,
    to_floats,
    trace,
)

CONTOUR = np.array((14, 22, 58), np.float32) / 255


def paint(picture: Picture, seed: int) -> Picture:
    """Paint the picture in thick flowing strokes."""
    rng, size = generator(seed, "van-gogh"), scale(picture)
    tones = grey(picture)
    field = directions(blur(tones, 1.2 * size), 3.5 * size, swirls(rng, tones, size))
    colours = vivid(picture)
    # The fourth channel is the thickness of the paint, laid by the same strokes.
    canvas = np.dstack([(colours * 0.55).astype(np.uint8), np.full(tones.shape, 60, np.uint8)])
    detail = blur(np.abs(tones - blur(tones, 2 * size)), 3 * size)
    for spacing, length, width, fine in ((6.5, 26, 7.5, False), (5.0, 18, 4.9, False), (4.0, 9, 2.5, True)):
        points = scatter(rng, tones.shape, spacing * size)
        if fine:
            points = points[np.asarray(at(detail, points)) > 0.018]
        count = len(points)
        shades = jitter(rng, np.asarray(at(colours, points), np.float32))
        thickness = rng.uniform(30, 255, (count, 1)).astype(np.float32)
        widths = width * size * rng.uniform(0.7, 1.2, count)
        curves = trace(points, field, length * size * rng.uniform(0.6, 1.2, count).astype(np.float32), 1 if fine else 2)
        # The first coat is nearly all painted over: its edges need not be smooth.
        brush(canvas, curves, np.hstack([shades, thickness]), widths, smooth=spacing < 6)
    return finish(rng, canvas, tones, field, size)


def vivid(picture: Picture) -> Picture:
    """Strong colour: lights go to yellow, darks to blue, and what colour there is grows."""
    values = lab(picture)
    light = stretch(values[..., 0] / 100)
    chroma = np.hypot(values[..., 1], values[..., 2])
    neutral = np.exp(-chroma / 14)
    values[..., 0] = 14 + 78 * (0.75 * light + 0.25 * light * light * (3 - 2 * light))
    grow = 1 + 1.1 * np.exp(-chroma / 45)
    values[..., 1] = values[..., 1] * grow + 4 * neutral * (light - 0.5)
    values[..., 2] = values[..., 2] * grow + (85 * light - 48) * neutral
    return from_lab(values)


def swirls(rng: np.random.Generator, tones: Plane, size: float) -> Field:
    """Whirls round a few points, most of them in the upper half, on a wavy drift."""
    height, width = tones.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = 0.5 * noise(rng, (height, width), 70 * size)
    cosine, sine = 0.25 * np.cos(2 * angle), 0.25 * np.sin(2 * angle)
    for _ in range(5):
        x, y = rng.uniform(0, width), height * rng.uniform(0, 1) ** 1.5
        dx, dy = columns - x, (rows - y) * rng.uniform(1.0, 1.6)
        near = np.exp(-(dx * dx + dy * dy) / (rng.uniform(30, 60) * size) ** 2)
        twice = 2 * np.arctan2(dx, -dy)
        cosine, sine = cosine + near * np.cos(twice), sine + near * np.sin(twice)
    half = 0.5 * np.arctan2(sine, cosine)
    return np.cos(half).astype(np.float32), np.sin(half).astype(np.float32)


def jitter(rng: np.random.Generator, colours: Floats) -> Floats:
    """Vary each stroke in lightness; some turn to cobalt, turquoise or chrome yellow of the same lightness."""
    count = len(colours)
    light = colours @ np.array((0.3, 0.59, 0.11), np.float32)
    colours = colours * rng.uniform(0.8, 1.22, (count, 1)) + rng.normal(0, 9, (count, 3))
    accents = np.array(((45, 90, 190), (70, 160, 170), (250, 200, 60), (120, 150, 60)), np.float32)
    pick = np.where(light < 105, rng.integers(0, 2, count), rng.integers(1, 4, count))
    turned = accents[pick] * (light / (accents[pick] @ np.array((0.3, 0.59, 0.11), np.float32)))[:, None]
    share = np.where(rng.random(count) < 0.17, 0.55, 0.0)[:, None]
    return np.asarray(colours * (1 - share) + turned * share, np.float32)


def finish(rng: np.random.Generator, canvas: Picture, tones: Plane, field: Field, size: float) -> Picture:
    """Bristle marks, light from the upper left on the thick paint, and dark blue contours."""
    bristles = drag(rng.standard_normal(tones.shape, np.float32), field, 7 * max(size, 0.6))
    thick = to_floats(canvas[..., 3]) + 0.32 * bristles
    thick = blur(thick, 0.7 * size)
    light = cv2.Sobel(thick, cv2.CV_32F, 1, 0, ksize=3) + cv2.Sobel(thick, cv2.CV_32F, 0, 1, ksize=3)
    light = np.clip(-light * 0.16 * max(size, 0.5), -0.22, 0.26)
    painted = to_floats(canvas[..., :3]) * (1 + 0.9 * light + 0.10 * bristles)[..., None] + 0.35 * light[..., None]
    smooth = blur(tones, 1.2 * size)
    lines = drag(ink(smooth, 1.8 * size, 0.012, 0.03), field, 4 * size, 2)
    return to_bytes(mix(painted, CONTOUR, 0.8 * np.clip(lines * 1.3, 0, 1)))
