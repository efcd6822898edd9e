"""Banksy: a black stencil with grey layers sprayed on a pale wall, a few drips, and one red thing."""

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
    lab,
    mix,
    noise,
    scale,
    step,
    stretch,
    to_bytes,
)

BLACK = np.array((24, 23, 25), np.float32) / 255
DARK_GREY = np.array((104, 103, 104), np.float32) / 255
RED = np.array((206, 22, 30), np.float32) / 255


def paint(picture: Picture, seed: int) -> Picture:
    """Paint the picture as a stencil on a wall."""
    rng, size = generator(seed, "banksy"), scale(picture)
    shape = picture.shape[:2]
    scene = wall(rng, shape, size)
    tones = flatten(grey(picture), size)
    low, high = np.percentile(tones, (27, 50))
    low, high = float(np.clip(low, 0.18, 0.48)), float(np.clip(high, 0.38, 0.66))
    black, dark = (stencil(rng, tones, level, size) for level in (low, high))
    scene = mix(scene, DARK_GREY, 0.72 * dark)
    red = red_part(picture, size)
    if red is None:
        scene = mix(scene, BLACK, 0.95 * drips(rng, black, size))
        balloon, string = heart(rng, tones, size)
        scene = mix(mix(scene, BLACK, 0.9 * string), RED, 0.95 * sprayed(rng, balloon, size))
    else:
        scene = mix(scene, RED, 0.94 * sprayed(rng, red, size))
        # On red only what is darker than the red itself stays black, or a deep red would vanish.
        deep = tones < float(np.median(tones[red > 0])) - 0.14
        black = np.where((red > 0) & ~deep, 0, black).astype(np.float32)
        scene = mix(scene, BLACK, 0.95 * drips(rng, black, size))
    return to_bytes(scene + (0.012 * rng.standard_normal(shape, np.float32))[..., None])


def wall(rng: np.random.Generator, shape: tuple[int, int], size: float) -> Floats:
    """Pale concrete, or whitewashed brick."""
    stains = 0.5 * noise(rng, shape, 90 * size, 4) + 0.4 * noise(rng, shape, 3 * size, 2)
    plaster = np.array((226, 223, 214), np.float32) / 255 + (0.026 * stains)[..., None]
    if rng.random() < 0.5:
        rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) / np.float32(size)
        course = np.floor(rows / 15)
        in_row, in_column = rows % 15, (columns + 16 * (course % 2)) % 32
        joint = np.minimum(np.minimum(in_row, 15 - in_row), np.minimum(in_column, 32 - in_column))
        joint = blur(np.clip(1.5 - joint, 0, 1).astype(np.float32), 0.6 * size)
        tint = np.sin(course * 12.9 + np.floor((columns + 16 * (course % 2)) / 32) * 78.2) * 0.022
        plaster = plaster + (tint - 0.13 * joint)[..., None]
    return plaster.astype(np.float32)


def flatten(tones: Plane, size: float) -> Plane:
    """Even out the light and smooth small things away, so that a few tones say everything."""
    tones = stretch(tones, 1, 99)
    shade = tones - 0.45 * (blur(tones, 34 * size) - float(tones.mean()))
    crisp = shade + 0.8 * (blur(shade, 1.2 * size) - blur(shade, 5 * size))
    kernel = 2 * round(1.2 * max(size, 0.8)) + 1
    smooth = cv2.medianBlur((np.clip(crisp, 0, 1) * 255).astype(np.uint8), min(kernel, 255))
    return np.asarray(smooth, np.float32) / np.float32(255)


def stencil(rng: np.random.Generator, tones: Plane, level: float, size: float) -> Plane:
    """Cut the part of the wall that is sprayed: what is dark, with the small crumbs taken out."""
    cut = (blur(tones, 0.8 * size) < level).astype(np.uint8)
    for wanted in (1, 0):
        _, parts, stats, _ = cv2.connectedComponentsWithStats((cut == wanted).astype(np.uint8), connectivity=4)
        small = stats[:, cv2.CC_STAT_AREA] < 22 * size * size
        cut = np.where(small[parts] & (cut == wanted), 1 - wanted, cut).astype(np.uint8)
    return sprayed(rng, cut.astype(np.float32), size)


def sprayed(rng: np.random.Generator, mask: Plane, size: float) -> Plane:
    """Give a mask slightly soft edges, thin spots inside and a mist of droplets outside."""
    soft = step(blur(mask, 0.9 * size), 0.5, 0.6)
    thin = 1 - 0.14 * np.clip(noise(rng, mask.shape, 26 * size, 3), 0, 1.5)
    halo = blur(mask, 5 * size)
    specks = noise(rng, mask.shape, 1.7 * max(size, 0.6)) > 2.7 - 1.5 * halo
    mist = 0.55 * blur(specks.astype(np.float32), 0.5 * size) * (halo > 0.06) + 0.10 * halo
    return np.clip(np.maximum(soft * thin, mist * (1 - soft)), 0, 1).astype(np.float32)


def drips(rng: np.random.Generator, black: Plane, size: float) -> Plane:
    """Add to the stencil a few runs of paint below its lower edges."""
    height = black.shape[0]
    solid = black > 0.6
    depth = round(10 * size)
    lower = solid[:-1] & ~solid[1:]
    lower[:depth] = False
    lower[int(0.86 * height) :] = False
    rows, columns = np.nonzero(lower)
    canvas = (black * 255).astype(np.uint8)
    if len(rows) == 0:
        return black
    for pick in rng.integers(0, len(rows), 7):
        x, y = int(columns[pick]), int(rows[pick])
        if not solid[max(y - depth, 0) : y, x].all():
            continue
        end = y + round(rng.uniform(10, 36) * size)
        wide = max(round(rng.uniform(1.2, 2.4) * size), 1)
        cv2.line(canvas, (x, y - depth), (x, end), 235, wide, cv2.LINE_AA)
        cv2.circle(canvas, (x, end), max(round(0.75 * wide), 1), 240, -1, cv2.LINE_AA)
    return np.asarray(canvas, np.float32) / np.float32(255)


def red_part(picture: Picture, size: float) -> Plane | None:
    """Find the largest clearly red region as a mask; None when nothing is red, or nearly everything is."""
    values = blur(lab(picture), 1.2 * size)
    a, b = values[..., 1], values[..., 2]
    redness = (a - 0.35 * np.abs(b - 0.6 * a)).astype(np.float32)
    # Ruddy skin is light and leans to yellow; lips and cloth are darker, or redder.
    skin = (values[..., 0] > 50) & (a < 44) & (b > 0.3 * a)
    mask = ((redness > 27) & ~skin).astype(np.uint8)
    mask = np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((2 * round(size) + 1,) * 2, np.uint8)), np.uint8)
    number, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if number < 2:
        return None
    areas = stats[1:, cv2.CC_STAT_AREA]
    part = 1 + int(np.argmax(areas))
    share = float(areas.max()) / mask.size
    if not 0.004 < share < 0.5:
        return None
    keep: NDArray[np.bool_] = parts == part
    return keep.astype(np.float32)


def heart(rng: np.random.Generator, tones: Plane, size: float) -> tuple[Plane, Plane]:
    """Draw a heart-shaped balloon and its string, as masks, where the picture is emptiest and bright."""
    height, width = tones.shape
    side = min(height, width)
    busy = blur(np.abs(tones - blur(tones, 3 * size)), 0.08 * side) * 6 + 0.6 * (1 - blur(tones, 0.06 * side))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    busy = (
        busy
        + 0.5 * (0.5 - np.abs(columns / width - 0.5))
        + 0.35 * rows / height
        + 0.02 * noise(rng, tones.shape, 0.3 * side)
    )
    radius = 0.105 * side
    out = (rows < 1.3 * radius) | (rows > 0.6 * height) | (columns < 1.3 * radius) | (columns > width - 1.3 * radius)
    y, x = np.unravel_index(int(np.argmin(np.where(out, np.inf, busy))), busy.shape)
    u, v = (columns - x) / radius, (y - rows) / radius + 0.1
    lean = float(rng.uniform(-0.25, 0.25))
    u, v = u * np.cos(lean) - v * np.sin(lean), u * np.sin(lean) + v * np.cos(lean)
    shape = (u * u + v * v - 0.62) ** 3 - 1.1 * u * u * v**3
    shine = (u + 0.42) ** 2 + (v - 0.42) ** 2 < 0.018
    string = np.zeros((height, width), np.uint8)
    fall = np.linspace(0, 1, 20)
    path = np.stack([x + np.sin(fall * 6) * 0.10 * radius * (1 + fall), y + radius * (0.85 + 2.6 * fall)], 1)
    curve, wide = np.round(path * 8).astype(np.int32), max(round(0.9 * size), 1)
    cv2.polylines(string, [curve], isClosed=False, color=255, thickness=wide, lineType=cv2.LINE_AA, shift=3)
    return ((shape < 0) & ~shine).astype(np.float32), string.astype(np.float32) / np.float32(255)
