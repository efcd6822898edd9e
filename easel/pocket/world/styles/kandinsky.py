"""Kandinsky: the picture in bold flat colours with black contours, under circles, rays, triangles and checks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from easel.pocket.world.styles.common import (
    Floats,
    Picture,
    Plane,
    blur,
    clusters,
    generator,
    grey,
    ink,
    lab,
    mix,
    noise,
    scale,
    stretch,
    to_bytes,
    to_floats,
)
from easel.pocket.world.styles.watercolour import smooth

BOLD = np.array(
    (
        (26, 22, 48),
        (58, 34, 120),
        (20, 74, 168),
        (186, 28, 52),
        (230, 80, 36),
        (40, 150, 140),
        (228, 120, 160),
        (110, 180, 220),
        (248, 196, 44),
        (250, 228, 150),
        (248, 242, 226),
    ),
    np.uint8,
)
"""From dark to light: a region takes the colour of about its own lightness and hue."""
BLACK = (20, 18, 24)


def paint(picture: Picture, seed: int) -> Picture:
    """Paint the picture as an abstraction with circles, lines and triangles."""
    rng, size = generator(seed, "kandinsky"), scale(picture)
    flat = smooth(picture, size)
    painted = bold(rng, flat)
    tones = stretch(grey(flat))
    canvas = to_bytes(painted)
    spots = corners(tones, size)
    shapes(rng, canvas, spots, size)
    lines = np.clip(1.3 * ink(tones, 1.7 * size, 0.014, 0.025), 0, 1)
    scene = mix(to_floats(canvas), np.array(BLACK, np.float32) / 255, 0.92 * lines)
    return to_bytes(scene + (0.02 * noise(rng, tones.shape, 3 * size, 2))[..., None])


def bold(rng: np.random.Generator, flat: Picture) -> Floats:
    """Regions in bold colours, each shaded a little from edge to edge, 0..1."""
    height, width = flat.shape[:2]
    values = lab(flat)
    light = stretch(values[..., 0] / 100)
    values[..., 0] = 10 + 86 * light
    values[..., 1:] *= 1.6
    sample = np.asarray(cv2.resize(values, (56, 56), interpolation=cv2.INTER_AREA), np.float32)
    centres, _ = clusters(sample.reshape(-1, 3), 11, rng, 5)
    colours = lab(BOLD[None])[0]
    # Each region takes its nearest bold colour, but a colour already taken becomes dearer, so that many are used.
    taken = np.zeros(len(colours))
    chosen = np.zeros(len(centres), np.intp)
    for region in np.argsort(centres[:, 0], kind="stable"):
        far = ((colours - centres[region]) * np.array((1.15, 0.55, 0.55))) ** 2
        chosen[region] = int(np.argmin(np.sqrt(far.sum(1)) + 14 * taken))
        taken[chosen[region]] += 1
    distance = (centres * centres).sum(1) - 2 * (values.reshape(-1, 3) @ centres.T)
    owner = np.argmin(distance, 1)
    owner = np.asarray(cv2.medianBlur(owner.reshape(height, width).astype(np.uint8), 5), np.uint8)
    painted = blur(to_floats(BOLD[chosen][owner]), 0.6)
    return (painted * (0.82 + 0.36 * light)[..., None]).astype(np.float32)


def corners(tones: Plane, size: float) -> Floats:
    """Up to twelve points (n, 2) where the picture is most lively, apart from each other."""
    side = min(tones.shape)
    found = cv2.goodFeaturesToTrack(blur(tones, 2 * size), 12, 0.02, 0.13 * side, blockSize=5)
    return np.zeros((0, 2), np.float32) if found is None else np.asarray(found, np.float32).reshape(-1, 2)


def shapes(rng: np.random.Generator, canvas: Picture, spots: Floats, size: float) -> None:
    """Circles, rays, triangles, a checkerboard and arcs, on and round the lively points."""
    height, width = canvas.shape[:2]
    side = min(height, width)
    free = rng.uniform((0.06, 0.06), (0.94, 0.94), (14, 2)) * (width, height)
    places = np.concatenate([rng.permutation(spots)[:3], free])[:14]
    for kind, (x, y) in zip(ORDER, places, strict=False):
        reach = float(rng.uniform(0.05, 0.11) * side)
        DRAW[kind](rng, canvas, (float(x), float(y)), reach, size)


def colour(rng: np.random.Generator) -> list[int]:
    """One of the bold colours."""
    return [int(part) for part in BOLD[int(rng.integers(1, len(BOLD)))]]


def fixed(*points: tuple[float, float]) -> NDArray[np.int32]:
    """Points in the eighths of a pixel that OpenCV draws with."""
    return np.round(np.array(points) * 8).astype(np.int32)


def blend(canvas: Picture, drawn: Picture, alpha: float) -> None:
    """Lay a see-through drawing on the canvas."""
    cv2.addWeighted(drawn, alpha, canvas, 1 - alpha, 0, canvas)


Place = tuple[float, float]


def rings(rng: np.random.Generator, canvas: Picture, place: Place, reach: float, size: float) -> None:
    """Concentric circles, the outermost see-through and with a halo."""
    drawn = canvas.copy()
    centre = tuple(int(part) for part in fixed(place)[0])
    cv2.circle(drawn, centre, round(reach * 1.5 * 8), colour(rng), -1, cv2.LINE_AA, 3)
    blend(canvas, drawn, 0.55)
    for part in (1.0, 0.72, 0.42):
        cv2.circle(canvas, centre, round(reach * part * 8), colour(rng), -1, cv2.LINE_AA, 3)
    cv2.circle(canvas, centre, round(reach * 8), BLACK, max(round(1.2 * size), 1), cv2.LINE_AA, 3)


def triangle(rng: np.random.Generator, canvas: Picture, place: Place, reach: float, size: float) -> None:
    """Draw a sharp triangle, see-through, with a black outline."""
    turn = rng.uniform(0, 2 * np.pi) + np.array((0.0, 2.5, 3.7))
    ends = np.array(place) + np.stack([np.cos(turn), np.sin(turn)], 1) * reach * np.array((2.0, 1.2, 1.2))[:, None]
    points = np.round(ends * 8).astype(np.int32)
    drawn = canvas.copy()
    cv2.fillConvexPoly(drawn, points, colour(rng), cv2.LINE_AA, 3)
    blend(canvas, drawn, 0.78)
    outline(canvas, points, size)


def ray(rng: np.random.Generator, canvas: Picture, place: Place, reach: float, size: float) -> None:
    """Two or three long lines through the place, nearly parallel."""
    angle = rng.uniform(0, np.pi)
    for number in range(int(rng.integers(2, 4))):
        turn = angle + rng.normal(0, 0.08)
        along = np.array((np.cos(turn), np.sin(turn))) * reach * rng.uniform(2.0, 3.8)
        middle = np.array(place) + number * 0.35 * reach * np.array((-np.sin(angle), np.cos(angle)))
        ends = np.round(np.stack([middle - along, middle + along]) * 8).astype(np.int32)
        wide = max(round(rng.uniform(0.7, 2.2) * size), 1)
        cv2.polylines(canvas, [ends], isClosed=False, color=BLACK, thickness=wide, lineType=cv2.LINE_AA, shift=3)


def outline(canvas: Picture, points: NDArray[np.int32], size: float) -> None:
    """Draw a closed black line through points in eighths of a pixel."""
    wide = max(round(size), 1)
    cv2.polylines(canvas, [points], isClosed=True, color=BLACK, thickness=wide, lineType=cv2.LINE_AA, shift=3)


def arc(rng: np.random.Generator, canvas: Picture, place: Place, reach: float, size: float) -> None:
    """Bows, one inside the other."""
    centre = tuple(int(part) for part in fixed(place)[0])
    start = float(rng.uniform(0, 360))
    for number, tint in enumerate((BLACK, colour(rng), BLACK)):
        axes = (round(reach * (1.7 - 0.3 * number) * 8),) * 2
        cv2.ellipse(
            canvas, centre, axes, start, 0, 160, tint, max(round((1.6 + number % 2 * 2) * size), 1), cv2.LINE_AA, 3
        )


def check(rng: np.random.Generator, canvas: Picture, place: Place, reach: float, size: float) -> None:
    """Draw a small slanted checkerboard."""
    angle = rng.uniform(-0.5, 0.5)
    across = np.array((np.cos(angle), np.sin(angle))) * reach * 0.45
    down = np.array((-np.sin(angle) - 0.3, np.cos(angle))) * reach * 0.45
    tint = colour(rng)
    for row in range(4):
        for column in range(4):
            corner = np.array(place) + (column - 2) * across + (row - 2) * down
            square = np.stack([corner, corner + across, corner + across + down, corner + down])
            shade = BLACK if (row + column) % 2 else tint
            cv2.fillConvexPoly(canvas, np.round(square * 8).astype(np.int32), shade, cv2.LINE_AA, 3)
    frame = np.array(place) + np.stack([-across - down, across - down, across + down, down - across]) * 2
    outline(canvas, np.round(frame * 8).astype(np.int32), 0.8 * size)


def dots(rng: np.random.Generator, canvas: Picture, place: Place, reach: float, size: float) -> None:
    """Draw a handful of small discs."""
    for _ in range(6):
        spot = np.array(place) + rng.normal(0, 1.2 * reach, 2)
        centre = tuple(int(part) for part in np.round(spot * 8))
        radius = round(rng.uniform(0.10, 0.3) * reach * 8)
        cv2.circle(canvas, centre, radius, colour(rng), -1, cv2.LINE_AA, 3)
        cv2.circle(canvas, centre, radius, BLACK, max(round(0.8 * size), 1), cv2.LINE_AA, 3)


ORDER = (
    *("rings", "triangle", "ray", "rings", "ray", "check", "arc"),
    *("triangle", "ray", "rings", "arc", "ray", "triangle", "dots"),
)
DRAW = {"rings": rings, "triangle": triangle, "ray": ray, "arc": arc, "check": check, "dots": dots}
