"""Details kept: the change of an edit carried to the photo at its full size, so that every edge of the photo stays.

A diffusion model edits at 256 to 1024 pixels and redraws every detail. Where the edit is one of light, colour, weather
or season, only its *change* is wanted: a colour transform that varies smoothly over the picture. It is fitted at low
resolution as a bilateral grid of affine colour transforms, 3 x 4 numbers at each (y, x, brightness), and read at full
size with the photo's own brightness as the guide (bilateral guided upsampling: Chen, Adams, Wadhwa, Hasinoff 2016, ACM
TOG 35:203, here by its fast approximation; as HDRnet reads it: Gharbi et al. 2017, ACM TOG 36:118,
section 3.3). Local affine transforms keep edges, since a gradient goes through them and stays in its place (Levin,
Lischinski, Weiss 2004; He, Sun, Tang 2013, IEEE TPAMI 35:1397, section 3.2).

What no smooth transform explains, such as a new object, is an outlier of the fit: it is weighted down there
(iteratively reweighted least squares, Geman & McClure 1987), told as a residual, and taken from the edited picture.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Plane = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]
Grid = NDArray[np.float32]
"""(brightness, y, x, 3, 4): an affine colour transform at each vertex, for colours of 0..1."""

LUMA = np.array((0.299, 0.587, 0.114), np.float32)
EXPLAINED = 0.85
"""Least share of the change that the fit explains, for the change to be carried by default; docs/lab/details.md."""
ROUGH = 5.0
"""Most noise, levels, that is still an edit's shaky hand: brush strokes and hatching leave more."""
LEAST = 8
"""Pixels of the shorter side of a picture, at least."""
FIRST: tuple[int, int, int] = (1, 1, 1)


@dataclass(frozen=True)
class Settings:
    """How the change is fitted; the defaults are those of the tables in docs/lab/details.md."""

    cells: int = 16
    """Vertices of the grid along the longer side: more follow smaller lights, and bend more to new objects."""
    tones: int = 8
    """Vertices of the grid along brightness: more follow steeper tone curves."""
    fit_side: int = 512
    """Pixels of the longer side that the fit is made at; a larger edit is reduced to it."""
    smooth: float = 1.0
    """Blur of both pictures before the fit, pixels: hides what the edit lost in sharpness, and warps of a pixel."""
    stay: float = 0.02
    """Pull of each vertex to the coarser grid's transform, in shares of a vertex's mean weight of data."""
    rounds: int = 3
    """Reweightings at each size of the grid."""
    outlier: float = 3.0
    """Residual that counts a quarter, in standard deviations of the residual as its median shows it."""
    quiet: float = 6.0
    """Least residual, levels of 0..255, that can count as an outlier."""
    new: float = 14.0
    """Residual, levels, from which the edited picture is taken for certain, where noise is low."""
    shift: int = 2
    """Pixels that an edge of the edit may lie off, at the size of the fit, before it counts as new."""
    blend: bool = True
    """Whether what could not be carried is taken from the edited picture."""
    band: int = 256
    """Rows of the photo that are in float at once: more costs memory, and gains little."""


@dataclass(frozen=True)
class Carried:
    """The photo in the edit's light, and what the report says of it."""

    picture: Picture
    """(H, W, 3), the photo's own size."""
    explained: float
    """Share of the change's energy that the fit carries, 0..1: 1 - |residual|^2 / |change|^2, noise left out."""
    elsewhere: float
    """The same where the mask is not: how well the fit does outside of what is new."""
    mask: Plane
    """(h, w), the edit's size, 0..1: how much of the edited picture itself is in the blend."""
    residual: Plane
    """(h, w), levels of 0..255: what the fit leaves, root mean square over the colours."""
    change: float
    """The change that was asked for, levels, root mean square; codec loss left out where a reference was given."""
    noise: float
    """Standard deviation of the residual as its median shows it, levels."""
    seconds: float

    @property
    def fits(self) -> bool:
        """Whether this is an edit of light or colour, whose change is carried by default: `EXPLAINED` and `ROUGH`."""
        return self.explained >= EXPLAINED and self.noise <= ROUGH


def carry(
    photo: Picture, edited: Picture, reference: Picture | None = None, settings: Settings | None = None
) -> Carried:
    """Fit the change from the photo to its edit, and apply it to the photo at full size.

    photo: RGB uint8 (H, W, 3). edited: RGB uint8 (h, w, 3), the same view, any smaller or equal size. reference: RGB
    uint8 (h, w, 3), the photo after the model's autoencoder alone: what the codec loses is then no change. Takes
    memory for the photo, its copy and a band of rows. Raises ValueError on other shapes and types.
    """
    begun = time.perf_counter()
    settings = settings or Settings()
    pictures = {"photo": photo, "edited picture": edited}
    if reference is not None:
        pictures["reference"] = reference
        if reference.shape != edited.shape:
            raise ValueError(
                f"the reference is {reference.shape}, the edited picture {edited.shape}: one size is needed"
            )
    for name, picture in pictures.items():
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or min(picture.shape[:2]) < LEAST:
            raise ValueError(
                f"the {name} is {picture.dtype} {picture.shape}: RGB uint8 (h, w, 3) is needed, h and w >= {LEAST}"
            )

    # Everything is fitted at one small size, where both pictures are equally soft.
    tall, wide = edited.shape[:2]
    factor = min(1.0, settings.fit_side / max(tall, wide))
    size = (max(round(wide * factor), 8), max(round(tall * factor), 8))
    before = _small(photo if reference is None else reference, size)
    after = _small(edited, size)
    if reference is None:
        before = _blurred(before, _lost_sharpness(before, after, settings))
    before, after = _blurred(before, settings.smooth), _blurred(after, settings.smooth)

    grid = _fit(before, after, settings)
    carried = np.clip(_read(grid, before), 0, 1)
    error = after - carried
    residual = np.sqrt((error * error).mean(2)) * np.float32(255)
    noise = float(np.median(residual)) / 0.89  # the median of a chi of 3 degrees over its root mean square
    change = np.sqrt(((after - before) ** 2).mean(2)) * np.float32(255)
    mask = _new_parts(before, after, carried, noise, settings)
    explained = _explained(residual, change)
    elsewhere = _explained(residual[mask < 0.5], change[mask < 0.5])
    picture = np.empty_like(photo)
    drawn = mask if settings.blend and mask.max() > 0 else None
    for rows in _bands(len(photo), settings.band):
        picture[rows] = _band(photo, rows, grid, edited, drawn)
    at_edit = (wide, tall)
    return Carried(
        picture,
        explained,
        elsewhere,
        np.asarray(cv2.resize(mask, at_edit), np.float32),
        np.asarray(cv2.resize(residual, at_edit), np.float32),
        float(np.sqrt((change * change).mean())),
        noise,
        time.perf_counter() - begun,
    )


def _small(picture: Picture, size: tuple[int, int]) -> Plane:
    """RGB uint8 reduced to (w, h) by areas, as float32 (h, w, 3) in 0..1."""
    area = picture.shape[1] > size[0] or picture.shape[0] > size[1]
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if area else cv2.INTER_LINEAR)
    return np.asarray(small, np.float32) / np.float32(255)


def _blurred(picture: Plane, sigma: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32) if sigma > 0 else picture


def _lost_sharpness(before: Plane, after: Plane, settings: Settings) -> float:
    """Blur, pixels, that makes the photo as soft as the edit: the one from which a coarse grid explains it best."""
    best, least = 0.0, np.inf
    for sigma in (0.0, 0.7, 1.0, 1.4, 2.0, 2.8):
        guess = _blurred(_blurred(before, sigma), 0.5 * settings.smooth)
        goal = _blurred(after, 0.5 * settings.smooth)
        grid = _solve(guess, goal, np.ones(guess.shape[:2], np.float32), (4, *_cells(guess, 4)), None, settings.stay)
        left = float(np.abs(goal - _read(grid, guess)).mean())
        if left < 0.995 * least:
            best, least = sigma, left
    return best


def _cells(picture: Plane, longer: int) -> tuple[int, int]:
    """Vertices along y and x, when there are so many along the longer side."""
    tall, wide = picture.shape[:2]
    return max(round(longer * tall / max(tall, wide)), 1), max(round(longer * wide / max(tall, wide)), 1)


def _fit(before: Plane, after: Plane, settings: Settings) -> Grid:
    """The grid, from one transform for all to the finest.

    Each size starts from the coarser one, and holds to it where there are few data or all have one colour.
    """
    grid = _solve(before, after, np.ones(before.shape[:2], np.float32), FIRST, None, settings.stay)
    longer = 2
    while True:
        longer = min(longer, settings.cells)
        shape = (min(settings.tones, max(2, longer)), *_cells(before, longer))
        for _ in range(settings.rounds):
            coarse = grid
            weights = _weights(before, after, coarse, settings)
            grid = _solve(before, after, weights, shape, coarse, settings.stay)
        if longer == settings.cells:
            return grid
        longer *= 2


def _weights(before: Plane, after: Plane, grid: Grid, settings: Settings) -> Plane:
    """Geman and McClure's weights, 1 / (1 + r^2 / s^2)^2: a quarter at a residual of s."""
    error = after - _read(grid, before)
    squares = (error * error).mean(2)
    spread = settings.outlier * float(np.sqrt(np.median(squares))) / 0.89
    scale = max(spread, settings.quiet / 255)
    return np.asarray(1 / np.square(1 + squares / np.float32(scale * scale)), np.float32)


def _places(length: int, vertices: int) -> Plane:
    """Where pixels 0..length - 1 lie between vertices 0..vertices - 1, whose first and last are half a cell inside."""
    places = (np.arange(length, dtype=np.float32) + 0.5) * np.float32(vertices / length) - 0.5
    return np.asarray(np.clip(places, 0, vertices - 1), np.float32)


def _hats(places: Plane, vertices: int, reach: float) -> Plane:
    """Weight of each pixel at each vertex, (vertices, length): a Gaussian bell of `reach` cells."""
    away = places[None] - np.arange(vertices, dtype=np.float32)[:, None]
    return np.asarray(np.exp(-0.5 * np.square(away / reach)), np.float32)


def _solve(
    before: Plane, after: Plane, weights: Plane, shape: tuple[int, int, int], prior: Grid | None, stay: float
) -> Grid:
    """The prior and what it leaves: least squares at each vertex over what is near it in place and brightness.

    The normal equations' sums are smoothed over the grid rather than the transforms, so that a vertex with few data
    takes its neighbours' (the fast approximation of Chen et al. 2016). Smoothing flattens what rises to the border;
    fitting what was left once more gives that back (twicing: Tukey 1977). `stay` holds what is added to nothing.
    """
    tones, tall, wide = shape
    base = np.zeros((*shape, 3, 4), np.float32) + np.eye(3, 4, dtype=np.float32)
    if prior is not None:
        base = np.asarray(_enlarged(prior, shape), np.float32)
    after = after - _read(base, before)
    rows = _hats(_places(before.shape[0], tall), tall, 0.7)
    columns = _hats(_places(before.shape[1], wide), wide, 0.7).T
    level = _hats(np.asarray((before @ LUMA).ravel() * (tones - 1), np.float32), tones, 0.6).reshape(
        tones, *before.shape[:2]
    )
    basis = [before[..., 0], before[..., 1], before[..., 2], np.ones(before.shape[:2], np.float32)]
    left = np.zeros((tones, tall, wide, 4, 4))
    right = np.zeros((tones, tall, wide, 4, 3))
    for tone in range(tones):
        weight = weights * level[tone]
        for i in range(4):
            part = weight * basis[i]
            for j in range(i, 4):
                left[tone, :, :, i, j] = left[tone, :, :, j, i] = rows @ (part * basis[j]) @ columns
            for colour in range(3):
                right[tone, :, :, i, colour] = rows @ (part * after[..., colour]) @ columns
    # It holds by the weight that a vertex would have if all pixels were spread evenly and counted in full.
    even = float(rows.sum() / tall * columns.sum() / wide / tones)
    hold = stay * even if prior is not None else 1e-6 * even
    # Slopes are held about the mean colour of the place, so that holding them does not hold the brightness.
    centre = left[..., 3, :3] / np.maximum(left[..., 3, 3], 1e-9)[..., None]
    full = left[..., 3, 3] > 1e-3 * even
    centre = np.where(full[..., None], centre, 0.5)
    pull = np.zeros_like(left)
    spread = 0.02  # a colour's usual variance within a cell, of 0..1
    pull[..., :3, :3] = hold * (spread * np.eye(3) + 0.2 * centre[..., :, None] * centre[..., None, :])
    pull[..., :3, 3] = pull[..., 3, :3] = 0.2 * hold * centre
    pull[..., 3, 3] = 0.2 * hold
    added = np.linalg.solve(left + pull, right)
    return base + np.asarray(np.swapaxes(added, -1, -2), np.float32)


def _enlarged(grid: Grid, shape: tuple[int, int, int]) -> Floats:
    """A coarser grid read at the vertices of a finer one."""
    old = grid.shape[:3]
    result: Floats = grid
    for axis in range(3):
        if axis == 0:  # the first and the last tone are black and white, whatever lies between
            places = np.linspace(0, old[0] - 1, shape[0])
        else:
            places = _places(shape[axis], old[axis]).astype(np.float64)
        low = np.minimum(places.astype(int), max(old[axis] - 2, 0))
        high = np.minimum(low + 1, old[axis] - 1)
        part = (places - low).reshape([-1 if axis == other else 1 for other in range(5)])
        result = np.take(result, low, axis) * (1 - part) + np.take(result, high, axis) * part
    return result


def _read(grid: Grid, colours: Plane, first: int = 0, tall: int | None = None) -> Plane:
    """Apply the grid to colours (n, W, 3) of 0..1: rows `first` .. `first + n` of a picture `tall` rows high.

    Trilinear: along y between the two grid rows about each picture row, along x and brightness by one look-up.
    """
    tones, vertices, wide = grid.shape[:3]
    tall = len(colours) if tall is None else tall
    down = _places(tall, vertices)[first : first + len(colours)]
    across = np.broadcast_to(_places(colours.shape[1], wide), colours.shape[:2])
    # (h, w, 4) of r, g, b, 1: a transform's row times it is the new colour
    whole = np.concatenate([colours, np.ones((*colours.shape[:2], 1), np.float32)], 2)
    bright = np.asarray(np.clip(colours @ LUMA, 0, 1) * (tones - 1), np.float32)
    result = np.empty(colours.shape, np.float32)
    low = np.minimum(down.astype(int), max(vertices - 2, 0))
    for row in np.unique(low):
        some = np.flatnonzero(low == row)
        rows = slice(int(some[0]), int(some[-1]) + 1)
        part = (down[rows] - row)[:, None, None]
        x, y = np.ascontiguousarray(across[rows]), bright[rows]
        for colour in range(3):
            upper = _looked_up(grid[:, row, :, colour], x, y)
            if vertices > 1:
                upper += (_looked_up(grid[:, row + 1, :, colour], x, y) - upper) * part
            result[rows, :, colour] = np.einsum("hwk,hwk->hw", upper, whole[rows])
    return result


def _looked_up(table: Grid, x: Plane, y: Plane) -> Plane:
    """A table (tones, wide, 4) read at x and y between its vertices, linearly."""
    return np.asarray(
        cv2.remap(np.ascontiguousarray(table), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


def _explained(residual: Plane, change: Plane) -> float:
    """1 - |residual|^2 / |change|^2 in 0..1; 1 where there is no change that could be seen, 2 levels."""
    asked = float((change * change).mean()) if change.size else 0.0
    if asked < 4:
        return 1.0
    return float(np.clip(1 - float((residual * residual).mean()) / asked, 0, 1))


def _new_parts(before: Plane, after: Plane, carried: Plane, noise: float, settings: Settings) -> Plane:
    """How much each pixel of the edit is new, 0..1: its residual, above noise, drawn to the edges of both pictures."""
    low = max(0.5 * settings.new, 2.5 * noise)
    high = max(settings.new, 4 * noise)
    residual = _blurred(_unmatched(after, carried, settings.shift), 1.0)
    soft = np.asarray(np.clip((residual - low) / (high - low), 0, 1), np.float32)
    # Specks and lines along edges are the edit's shaky hand; a new thing is a few pixels wide.
    radius = max(round(max(residual.shape) / 128), 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    opened = np.asarray(cv2.morphologyEx(soft, cv2.MORPH_OPEN, disc), np.float32)
    if opened.max() <= 0.5:
        return np.zeros_like(soft)
    whole = _whole(opened, soft, radius)
    return guided(whole, np.stack([before @ LUMA, after @ LUMA], 2), 2 * radius, 1e-4)


def _unmatched(after: Plane, carried: Plane, shift: int) -> Plane:
    """Residual (h, w), levels, against the nearest colour within `shift` pixels: an edge a pixel off is nothing new."""
    tall, wide = after.shape[:2]
    around = cv2.copyMakeBorder(carried, shift, shift, shift, shift, cv2.BORDER_REPLICATE)
    least = np.full((tall, wide), np.inf, np.float32)
    for y in range(2 * shift + 1):
        for x in range(2 * shift + 1):
            error = after - around[y : y + tall, x : x + wide]
            np.minimum(least, np.einsum("hwk,hwk->hw", error, error), out=least)
    return np.asarray(np.sqrt(least / 3) * 255, np.float32)


def _whole(opened: Plane, soft: Plane, radius: int) -> Plane:
    """Each part whole: grown back over all that is joined to it, gaps closed and holes filled."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (4 * radius + 1, 4 * radius + 1))
    near = cv2.dilate((opened > 0.5).astype(np.uint8), disc)
    grown = ((soft > 0.5) & (near > 0)).astype(np.uint8)
    closed = np.asarray(cv2.morphologyEx(grown, cv2.MORPH_CLOSE, disc), np.uint8)
    lines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(closed)
    cv2.drawContours(filled, lines, -1, 1, cv2.FILLED)
    return filled.astype(np.float32)


def guided(plane: Plane, guide: Plane, radius: int, least: float) -> Plane:
    """He, Sun and Tang's guided filter of a plane (h, w), 0..1, by a guide of two channels (h, w, 2), 0..1.

    Equations 14 to 16 for a guide of several channels, whose 2 x 2 covariance is inverted in closed form. `least` is
    epsilon: a variance below it is no edge. Returns (h, w), cut to 0..1.
    """

    def mean(values: Floats) -> Floats:
        return np.asarray(cv2.blur(np.asarray(values, np.float64), (2 * radius + 1, 2 * radius + 1)), np.float64)

    one, other = guide[..., 0].astype(np.float64), guide[..., 1].astype(np.float64)
    m1, m2, mp = mean(one), mean(other), mean(plane)
    v11, v22, v12 = (
        mean(one * one) - m1 * m1 + least,
        mean(other * other) - m2 * m2 + least,
        mean(one * other) - m1 * m2,
    )
    c1, c2 = mean(one * plane) - m1 * mp, mean(other * plane) - m2 * mp
    size = v11 * v22 - v12 * v12
    a1, a2 = (v22 * c1 - v12 * c2) / size, (v11 * c2 - v12 * c1) / size
    drawn = mean(a1) * one + mean(a2) * other + mean(mp - a1 * m1 - a2 * m2)
    return np.asarray(np.clip(drawn, 0, 1), np.float32)


def _bands(tall: int, band: int) -> Iterator[slice]:
    for start in range(0, tall, band):
        yield slice(start, min(start + band, tall))


def _band(photo: Picture, rows: slice, grid: Grid, edited: Picture, mask: Plane | None) -> Picture:
    """Rows of the carried photo; where the mask says so they are the edited picture's, enlarged."""
    tall, wide = photo.shape[:2]
    colours = _read(grid, photo[rows].astype(np.float32) / np.float32(255), rows.start, tall) * np.float32(255)
    if mask is not None:
        alpha = _rows_of(mask, rows, tall, wide, cv2.INTER_LINEAR)
        if alpha.max() > 0:
            new = _rows_of(edited, rows, tall, wide, cv2.INTER_CUBIC).astype(np.float32)
            colours += (new - colours) * alpha[..., None]
    return np.asarray(np.clip(colours + np.float32(0.5), 0, 255), np.uint8)


def _rows_of(small: Any, rows: slice, tall: int, wide: int, interpolation: int) -> Any:
    """The given rows of a small picture enlarged to (tall, wide), without the rest of it."""
    down, across = small.shape[0] / tall, small.shape[1] / wide
    matrix = np.array(((across, 0, 0.5 * across - 0.5), (0, down, (rows.start + 0.5) * down - 0.5)))
    return cv2.warpAffine(
        small,
        matrix,
        (wide, rows.stop - rows.start),
        flags=interpolation | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
