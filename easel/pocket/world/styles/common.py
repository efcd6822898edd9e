"""What all styles share: seeded noise, tone, the direction of edges, ink lines, brush strokes, small palettes.

A picture is RGB uint8 (h, w, 3); a plane is float32 (h, w), mostly 0..1. Sizes inside a style are given for a picture
of 256 x 256 and multiplied by `scale`, so that the style looks the same at every size.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Plane = NDArray[np.floating[Any]]
Floats = NDArray[np.floating[Any]]
Field = tuple[Plane, Plane]
"""A unit vector at each pixel, (x, y). It has no sign: v and -v are the same direction."""

SMALLEST = 64
"""Manners are painted on at least this many pixels a side; smaller pictures are enlarged before and reduced after."""


def generator(seed: int, style: str) -> np.random.Generator:
    """Make a random generator of this seed and style alone; negative seeds are allowed."""
    return np.random.default_rng([seed & (2**63 - 1), *style.encode()])


def scale(picture: NDArray[np.generic]) -> float:
    """1.0 for 256 x 256, 2.0 for 512 x 512."""
    return float(np.sqrt(picture.shape[0] * picture.shape[1]) / 256)


def to_bytes(floats: NDArray[np.floating[Any]]) -> Picture:
    """0..1 floats as 0..255 bytes, rounded and clipped."""
    return np.asarray(np.clip(floats * 255 + 0.5, 0, 255), np.uint8)


def to_floats(picture: Picture) -> Floats:
    """0..255 bytes as 0..1 floats."""
    return picture.astype(np.float32) / np.float32(255)


def grey(picture: Picture) -> Plane:
    """Luma, 0..1."""
    return to_floats(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))  # type: ignore[arg-type]


def lab(picture: Picture) -> Floats:
    """CIE Lab (h, w, 3) float32: L 0..100, a and b about -100..100."""
    return np.asarray(cv2.cvtColor(to_floats(picture), cv2.COLOR_RGB2LAB), np.float32)


def from_lab(values: Floats) -> Picture:
    """CIE Lab float32 as RGB bytes, clipped to what a screen can show."""
    return to_bytes(np.asarray(cv2.cvtColor(np.ascontiguousarray(values, np.float32), cv2.COLOR_LAB2RGB), np.float32))


def blur(plane: Floats, sigma: float) -> Floats:
    """Gaussian blur; sigma in pixels."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), max(sigma, 0.2)), np.float32)


def stretch(plane: Plane, low: float = 2, high: float = 98, least: float = 0.25) -> Plane:
    """Spread the tones between two percentiles over 0..1. A span under `least` counts as `least`: flat stays flat."""
    below, above = np.percentile(plane[::2, ::2], (low, high))
    middle, span = (below + above) / 2, max(float(above - below), least)
    return np.asarray(np.clip((plane - middle) / span + 0.5, 0, 1), np.float32)


def noise(rng: np.random.Generator, shape: tuple[int, int], size: float, octaves: int = 1) -> Plane:
    """Smooth noise with spots of `size` pixels, mean near 0, deviation near 1; each octave halves size and height."""
    height, width = shape
    total = np.zeros(shape, np.float32)
    power = 0.0
    for octave in range(octaves):
        spot = max(size / 2**octave, 1.0)
        small = rng.standard_normal((int(height / spot) + 3, int(width / spot) + 3), np.float32)
        # Cubic enlargement flattens white noise to about 0.7 of its deviation; 1.4 gives that back.
        big = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC) * (1.4 if spot > 1.5 else 1.0)
        total += big / 2**octave
        power += 0.25**octave
    return (total / np.float32(np.sqrt(power))).astype(np.float32)


def streaks(
    rng: np.random.Generator, shape: tuple[int, int], degrees: float, length: float, thick: float = 0.0
) -> Plane:
    """Noise drawn out into hairs `length` pixels long and `thick` wide at an angle, spread evenly over 0..1."""
    height, width = shape
    side = int(np.hypot(height, width)) + 4
    hairs: Plane = rng.standard_normal((side, side), np.float32)
    hairs = np.asarray(cv2.blur(hairs, (max(int(length), 1), 1)), np.float32)
    if thick > 0:
        hairs = np.asarray(cv2.GaussianBlur(hairs, (1, 2 * round(2 * thick) + 1), 0.2, sigmaY=0.6 * thick), np.float32)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1.0)
    turn = turn + np.array(((0, 0, width - side), (0, 0, height - side))) / 2
    plane = cv2.warpAffine(hairs, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return uniform(np.asarray(plane, np.float32))


def uniform(plane: Plane) -> Plane:
    """Bell-shaped values as evenly spread 0..1 ones (logistic approximation of the normal distribution function)."""
    spread = max(float(plane.std()), 1e-6)
    return np.asarray(1 / (1 + np.exp(-1.702 * (plane - plane.mean()) / spread)), np.float32)


def step(plane: Plane, edge: float | Plane, width: float) -> Plane:
    """0 below the edge, 1 above it, a straight ramp of this width between."""
    return np.asarray(np.clip((plane - edge) / width + 0.5, 0, 1), np.float32)


def mix(under: NDArray[np.floating[Any]], over: NDArray[np.floating[Any]], alpha: NDArray[np.floating[Any]]) -> Floats:
    """Lay `over` on `under` (h, w, 3) where the plane alpha is 1."""
    return np.asarray(under + (over - under) * alpha[..., None], np.float32)


def directions(plane: Plane, sigma: float, swirl: Field | None = None) -> Field:
    """Find the direction along the edge (structure tensor, blurred by sigma pixels); swirl where nothing is seen."""
    across = cv2.Sobel(plane, cv2.CV_32F, 1, 0, ksize=3)
    down = cv2.Sobel(plane, cv2.CV_32F, 0, 1, ksize=3)
    # Doubled angles, so that opposite directions add up instead of cancelling.
    cosine, sine = blur(down * down - across * across, sigma), blur(-2 * across * down, sigma)
    cosine, sine = cosine + 0.5 * blur(cosine, 2.5 * sigma), sine + 0.5 * blur(sine, 2.5 * sigma)
    strength = np.sqrt(cosine * cosine + sine * sine) + 1e-9
    if swirl is not None:
        clear = strength / (strength + 0.02)
        cosine = cosine / strength * clear + (swirl[0] ** 2 - swirl[1] ** 2) * (1 - clear)
        sine = sine / strength * clear + 2 * swirl[0] * swirl[1] * (1 - clear)
    half = 0.5 * np.arctan2(sine, cosine)
    return np.cos(half).astype(np.float32), np.sin(half).astype(np.float32)


def drag(plane: Plane, field: Field, reach: float, steps: int = 4) -> Plane:
    """Line-integral convolution: mean of the plane along the field, `reach` pixels both ways (Cabral, Leedom 1993)."""
    height, width = plane.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    total = plane.copy()
    for sign in (-1.0, 1.0):
        x, y, vx, vy = columns, rows, field[0] * np.float32(sign), field[1] * np.float32(sign)
        for _ in range(steps):
            x, y = x + vx * np.float32(reach / steps), y + vy * np.float32(reach / steps)
            total += cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            column = np.clip(x, 0, width - 1).astype(np.intp)
            row = np.clip(y, 0, height - 1).astype(np.intp)
            nx, ny = field[0][row, column], field[1][row, column]
            keep = np.where(nx * vx + ny * vy < 0, np.float32(-1), np.float32(1))
            vx, vy = nx * keep, ny * keep
    return total / np.float32(2 * steps + 1)


def ink(plane: Plane, sigma: float, threshold: float = 0.012, softness: float = 0.03) -> Plane:
    """Lines on the dark side of edges, 1 = ink (difference of Gaussians; Winnemoeller 2012)."""
    inner = blur(plane, sigma)
    return np.clip((blur(inner, 1.3 * sigma) - inner - threshold) / softness, 0, 1).astype(np.float32)


def scatter(rng: np.random.Generator, shape: tuple[int, int], spacing: float) -> Floats:
    """Points (n, 2) as x, y: one in each cell of a grid, jittered, in random order."""
    height, width = shape
    rows, columns = np.mgrid[0 : height : max(spacing, 1.0), 0 : width : max(spacing, 1.0)]
    points = np.stack([columns.ravel(), rows.ravel()], 1)
    points = points + rng.uniform(0, spacing, points.shape)
    return np.asarray(rng.permutation(points), np.float32)


def trace(points: Floats, field: Field, length: float | Floats, bends: int = 2) -> Floats:
    """Curves (n, 2 * bends + 1, 2) through the points along the field; length in pixels, one for all or (n,)."""
    height, width = field[0].shape
    half = []
    for sign in (-1.0, 1.0):
        place, last = points, None
        path = []
        for _ in range(bends):
            column = np.clip(place[:, 0], 0, width - 1).astype(np.intp)
            row = np.clip(place[:, 1], 0, height - 1).astype(np.intp)
            ahead = np.stack([field[0][row, column], field[1][row, column]], 1)
            turn = sign if last is None else np.where((ahead * last).sum(1, keepdims=True) < 0, -1.0, 1.0)
            last = ahead * turn
            place = place + last * (np.reshape(length, (-1, 1)) / (2 * bends))
            path.append(place)
        half.append(path)
    return np.stack([*half[0][::-1], points, *half[1]], 1).astype(np.float32)


def brush(
    canvas: Picture,
    curves: Floats,
    colours: NDArray[np.floating[Any]],
    widths: NDArray[np.floating[Any]],
    smooth: bool = True,
) -> None:
    """Paint curves (n, points, 2) on the canvas (h, w, c), in order; colours (n, c) 0..255, widths (n,) in pixels."""
    kind = cv2.LINE_AA if smooth else cv2.LINE_8  # smooth edges take four times as long
    places = np.round(curves * 8).astype(np.int32)
    thickness = np.maximum(np.round(widths), 1).astype(int).tolist()
    for curve, colour, wide in zip(places, np.clip(colours, 0, 255).tolist(), thickness, strict=True):
        cv2.polylines(canvas, [curve], isClosed=False, color=colour, thickness=wide, lineType=kind, shift=3)


def at(plane: NDArray[np.generic], points: Floats) -> NDArray[np.generic]:
    """Read the values of a plane or picture under points (n, 2)."""
    column = np.clip(points[:, 0], 0, plane.shape[1] - 1).astype(np.intp)
    row = np.clip(points[:, 1], 0, plane.shape[0] - 1).astype(np.intp)
    return plane[row, column]


def clusters(values: Floats, count: int, rng: np.random.Generator, rounds: int = 7) -> tuple[Floats, NDArray[np.intp]]:
    """k-means of rows (n, d): centres (count, d) and the centre of each row (n,) (Lloyd 1982; spread-out start)."""
    centres = [values[int(rng.integers(len(values)))]]
    far = np.full(len(values), np.inf, np.float32)
    for _ in range(count - 1):
        far = np.minimum(far, ((values - centres[-1]) ** 2).sum(1))
        total = float(far.sum())
        draw = rng.uniform(0, total)  # k-means++ (Arthur, Vassilvitskii 2007)
        centres.append(values[min(int(np.searchsorted(np.cumsum(far), draw)), len(values) - 1)])
    middle = np.stack(centres).astype(np.float32)
    for _ in range(rounds):
        owner = nearest_rows(values, middle)
        number = np.bincount(owner, minlength=count).astype(np.float32)
        sums = np.stack([np.bincount(owner, values[:, d], count) for d in range(values.shape[1])], 1)
        middle = np.where(number[:, None] > 0, sums / np.maximum(number, 1)[:, None], middle).astype(np.float32)
    return middle, nearest_rows(values, middle)


def nearest_rows(values: Floats, centres: Floats) -> NDArray[np.intp]:
    """For each row of values (n, d) the index of the nearest centre (k, d)."""
    return np.asarray(np.argmin((centres * centres).sum(1) - 2 * (values @ centres.T), 1), np.intp)
