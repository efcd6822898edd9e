"""Malevich: suprematism. The picture's own regions become flat tilted planes of strong colour on off-white."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from easel.pocket.world.styles.common import (
    Floats,
    Picture,
    blur,
    clusters,
    generator,
    grey,
    lab,
    nearest_rows,
    noise,
    scale,
    stretch,
    to_bytes,
    to_floats,
)

GROUND = (243, 238, 224)
PLANES = np.array(
    (
        (22, 20, 22),
        (204, 34, 30),
        (244, 190, 24),
        (24, 58, 158),
        (20, 112, 72),
        (250, 246, 236),
        (232, 108, 30),
        (120, 168, 214),
        (132, 128, 124),
        (142, 40, 26),
        (246, 182, 128),
    ),
    np.uint8,
)
GREY, STRONG = 8, np.array((1, 2, 3, 6))
"""Rows of PLANES."""
SIDE = 72
"""Regions are looked for at this many pixels along the long side."""


class Plane(NamedTuple):
    """A flat shape: corners (n, 2) in pixels of the small picture, and its colour."""

    corners: Floats
    colour: tuple[int, int, int]


def paint(picture: Picture, seed: int) -> Picture:
    """Paint the picture as flat tilted planes."""
    rng, size = generator(seed, "malevich"), scale(picture)
    height, width = picture.shape[:2]
    factor = SIDE / max(height, width)
    small = (max(round(width * factor), 8), max(round(height * factor), 8))
    wanted = strong(np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.uint8))
    tilt = float(rng.choice((-1, 1)) * rng.uniform(7, 15))
    chosen = compose(rng, wanted, tilt)
    middle = np.array(small, np.float32) / 2
    canvas = np.full(picture.shape, GROUND, np.uint8)
    grow = np.array((width / small[0], height / small[1]), np.float32)
    for plane in chosen:
        # Drawn a little smaller, so that the ground is seen all round the composition.
        inset = Plane((plane.corners - middle) * 0.91 + middle, plane.colour)
        draw(canvas, inset, grow, max(1.1 * size, 1.0))
    # Straight edges are looked for at one size too, or a large photo would show none.
    clear = cv2.resize(grey(picture), (3 * small[0], 3 * small[1]), interpolation=cv2.INTER_AREA)
    for bar in bars(rng, np.asarray(clear, np.float32)):
        draw(canvas, bar, grow / 3, max(0.8 * size, 1.0))
    painted = to_floats(canvas) + (0.012 * noise(rng, (height, width), 2.5 * size, 2))[..., None]
    return to_bytes(painted + (0.014 * noise(rng, (height, width), 40 * size, 3))[..., None])


def strong(small: Picture) -> Floats:
    """Lab with spread lightness and strong colour."""
    values = lab(np.asarray(cv2.medianBlur(small, 3), np.uint8))
    values[..., 0] = 100 * stretch(values[..., 0] / 100, 3, 97)
    values[..., 1:] *= 1.45
    return values


def compose(rng: np.random.Generator, wanted: Floats, tilt: float) -> list[Plane]:
    """Planes from large to small; a plane is kept when it brings the canvas nearer to the picture."""
    height, width = wanted.shape[:2]
    colours = lab(PLANES[None])[0]
    canvas = np.tile(lab(np.array([[GROUND]], np.uint8)), (height, width, 1)).astype(np.float32)
    weight = np.array((0.8, 1.0, 1.0), np.float32)
    kept: list[Plane] = []
    for count, place, least in ((5, 0.25, 90), (9, 0.45, 30), (16, 0.7, 9), (26, 1.0, 6)):
        for mask, area in regions(rng, wanted, count, place, least):
            pixels = wanted[mask]
            near = colour_of(rng, np.median(pixels, 0), colours, area / mask.size)
            corners = shape_of(mask, area, tilt + rng.normal(0, 3))
            cover = np.zeros((height, width), np.uint8)
            cv2.fillConvexPoly(cover, np.round(corners * 16).astype(np.int32), 1, cv2.LINE_8, 4)
            inside = cover.astype(bool)
            before = np.abs((canvas[inside] - wanted[inside]) * weight).sum(1)
            after = np.abs((colours[near] - wanted[inside]) * weight).sum(1)
            if before.size and float((before - after).sum()) > 4.0 * before.size:
                canvas[inside] = colours[near]
                kept.append(Plane(corners, tuple(PLANES[near].tolist())))
    return kept


def colour_of(rng: np.random.Generator, wanted: Floats, colours: Floats, share: float) -> int:
    """Find the plane colour nearest to a Lab colour; a small grey region may get a strong one of its lightness."""
    weight = np.array((0.8, 1.0, 1.0), np.float32)
    near = int(nearest_rows(wanted[None] * weight, colours * weight)[0])
    if near == GREY and share < 0.2 and rng.random() < 0.75:
        return int(STRONG[np.argmin(np.abs(colours[STRONG, 0] - wanted[0] + rng.normal(0, 10, len(STRONG))))])
    return near


def regions(
    rng: np.random.Generator, wanted: Floats, count: int, place: float, least: int
) -> list[tuple[NDArray[np.bool_], int]]:
    """Find connected regions of like colour with at least this many pixels, large ones first."""
    height, width = wanted.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    values = np.dstack([wanted, rows * place * 100 / SIDE, columns * place * 100 / SIDE]).reshape(-1, 5)
    _, owner = clusters(np.ascontiguousarray(values, np.float32), count, rng, 5)
    labels = owner.reshape(height, width)
    found = []
    for label in range(count):
        number, parts, stats, _ = cv2.connectedComponentsWithStats((labels == label).astype(np.uint8), connectivity=4)
        for part in range(1, number):
            area = int(stats[part, cv2.CC_STAT_AREA])
            if area >= least:
                found.append((parts == part, area))
    return sorted(found, key=lambda pair: -pair[1])


def shape_of(mask: NDArray[np.bool_], area: int, tilt: float) -> Floats:
    """Give the region's place, spread and area to a rectangle, or to a triangle or circle where it is like one."""
    rows, columns = np.nonzero(mask)
    points = np.stack([columns, rows], 1).astype(np.float32)
    middle = points.mean(0)
    spread = np.cov((points - middle).T) + np.eye(2) * 0.1
    lengths, axes = np.linalg.eigh(spread)
    # Points are the middles of pixels, so half a pixel is added to a radius and a whole one to a side.
    _, radius = cv2.minEnclosingCircle(points)
    _, box, _ = cv2.minAreaRect(points)
    full = area / ((box[0] + 1) * (box[1] + 1))
    if area / (np.pi * (radius + 0.5) ** 2) > max(0.78, full):
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        ring = np.stack([np.cos(angle), np.sin(angle)], 1) * np.sqrt(area / np.pi)
        return np.asarray(middle + ring, np.float32)
    if area > 20 and full < 0.68:
        triangle_area, triangle = cv2.minEnclosingTriangle(points[:, None])
        if triangle is not None and area > 0.72 * triangle_area:
            return turned(np.asarray(triangle, np.float32).reshape(-1, 2), middle, tilt)
    half = np.sqrt(3 * lengths)
    half = half * np.sqrt(1.05 * area / (4 * half[0] * half[1]))
    signs = np.array(((-1, -1), (1, -1), (1, 1), (-1, 1)))
    return turned((middle + (signs * half) @ axes.T).astype(np.float32), middle, tilt)


def turned(corners: Floats, middle: Floats, degrees: float) -> Floats:
    """Turn the corners round the middle."""
    angle = np.radians(degrees)
    spin = np.array(((np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))), np.float32)
    return ((corners - middle) @ spin + middle).astype(np.float32)


def bars(rng: np.random.Generator, tones: Floats) -> list[Plane]:
    """Lay a few thin bars along the longest straight edges."""
    edges = cv2.Canny((blur(tones, 1.2) * 255).astype(np.uint8), 40, 110)
    side = min(tones.shape)
    lines = cv2.HoughLinesP(edges, 1, np.pi / 90, int(0.16 * side), minLineLength=0.2 * side, maxLineGap=0.03 * side)
    if lines is None:
        return []
    ends = np.asarray(lines, np.float32).reshape(-1, 4)
    order = np.argsort(-np.hypot(ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1]), kind="stable")
    found: list[Plane] = []
    middles: list[Floats] = []
    for x0, y0, x1, y1 in ends[order]:
        middle = np.array((x0 + x1, y0 + y1), np.float32) / 2
        if any(float(np.hypot(*(middle - other))) < 0.14 * side for other in middles):
            continue
        middles.append(middle)
        along = np.array((x1 - x0, y1 - y0), np.float32)
        across = np.array((-along[1], along[0]), np.float32) / max(float(np.hypot(*along)), 1) * rng.uniform(0.8, 1.9)
        start, end = middle - along * 0.6, middle + along * 0.6
        colour = PLANES[int(rng.choice((0, 0, 0, 1, 3)))]
        corners = np.stack([start - across, end - across, end + across, start + across])
        found.append(Plane(turned(corners, middle, float(rng.normal(0, 5))), tuple(colour.tolist())))
        if len(found) == 4:
            break
    return found


def draw(canvas: Picture, plane: Plane, grow: Floats, gap: float) -> None:
    """Fill the plane with smooth edges and leave a thin line of ground round it."""
    corners = np.round(((plane.corners + 0.5) * grow - 0.5) * 16).astype(np.int32)
    cv2.fillConvexPoly(canvas, corners, plane.colour, cv2.LINE_AA, 4)
    wide = max(round(gap), 1)
    cv2.polylines(canvas, [corners], isClosed=True, color=GROUND, thickness=wide, lineType=cv2.LINE_AA, shift=4)
