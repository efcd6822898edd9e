"""A map of pictures: vectors brought down to a plane, and the plane to a grid on which every picture has its place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float64]


def principal_components(features: NDArray[np.floating], parts: int = 2) -> Vectors:
    """The first principal components, (n, parts), zeros where there are fewer. Signs are fixed: the same every time."""
    centred = np.asarray(features, np.float64) - np.mean(features, axis=0, dtype=np.float64)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    kept = min(parts, len(sizes))
    signs = np.sign(right[np.arange(kept), np.abs(right[:kept]).argmax(axis=1)])
    made = np.zeros((len(centred), parts))
    made[:, :kept] = left[:, :kept] * sizes[:kept] * signs
    return made


def tsne(features: NDArray[np.floating], perplexity: float = 20.0, steps: int = 350) -> Vectors:
    """Vectors (n, d) as points (n, 2) that keep their neighbours: t-SNE (van der Maaten and Hinton 2008).

    Exact, so for up to about a thousand. It begins at the principal components, not at chance, so the same
    features give the same map. Fewer than five are given as their principal components.
    """
    start = principal_components(features)
    count = len(start)
    if count < 5:
        return start
    affinities = _affinities(_squares(principal_components(features, min(30, count))), min(perplexity, (count - 1) / 3))
    points = start / (start[:, :1].std() + 1e-12) * 1e-4
    velocity, gain = np.zeros_like(points), np.ones_like(points)
    learning_rate = max(count / 12.0, 50.0)
    for step in range(steps):
        kernel = 1 / (1 + _squares(points))
        np.fill_diagonal(kernel, 0)
        attraction = (affinities * (12.0 if step < 100 else 1.0) - kernel / kernel.sum()) * kernel
        gradient = 4 * (attraction.sum(axis=1, keepdims=True) * points - attraction @ points)  # equation 5
        gain = np.maximum(np.where(np.sign(gradient) == np.sign(velocity), gain * 0.8, gain + 0.2), 0.01)
        velocity = (0.5 if step < 100 else 0.8) * velocity - learning_rate * gain * gradient
        points = points + velocity
        points -= points.mean(axis=0)
    return np.asarray(points)


def _squares(points: Vectors) -> Vectors:
    """Squared distances, (n, n)."""
    sizes = (points**2).sum(axis=1)
    return np.asarray(np.maximum(sizes[:, None] + sizes[None] - 2 * points @ points.T, 0))


def _affinities(squares: Vectors, perplexity: float) -> Vectors:
    """p of equation 1, made symmetric: for each point the kernel width at which it has `perplexity` neighbours."""
    count = len(squares)
    low, high = np.zeros(count), np.full(count, np.inf)
    scale = np.median(squares) + 1e-12
    beta = np.full(count, 1 / scale)
    for _ in range(50):
        raw = np.exp(-(squares - squares[~np.eye(count, dtype=bool)].min()) * beta[:, None])
        np.fill_diagonal(raw, 0)
        p = raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-300)
        entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, beta, low), np.where(wide, high, beta)
        beta = np.where(np.isinf(high), beta * 2, (low + high) / 2)
    joined = p + p.T
    return np.asarray(joined / joined.sum())


def grid_cells(points: Vectors, columns: int, rows: int) -> NDArray[np.int64]:
    """A cell of its own for each point, (n, 2) as (column, row), near where it lies; needs n <= columns * rows.

    Ranks along each axis fill the grid evenly; then the points, those in the middle first, take the nearest free cell.
    """
    count = len(points)
    if count > columns * rows:
        raise ValueError(f"{count} points on {columns} x {rows} cells")
    even = np.empty((count, 2))
    for axis, cells in enumerate((columns, rows)):
        place = points[:, axis].argsort(kind="stable").argsort(kind="stable")
        spread = (points[:, axis] - points[:, axis].min()) / (np.ptp(points[:, axis]) + 1e-12)
        even[:, axis] = (0.6 * place / max(1, count - 1) + 0.4 * spread) * (cells - 1)
    free = np.stack(np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij"), axis=-1).reshape(-1, 2)
    taken = np.zeros(len(free), bool)
    made = np.zeros((count, 2), np.int64)
    middle = np.array([(columns - 1) / 2, (rows - 1) / 2])
    for at in np.argsort(((even - middle) ** 2).sum(axis=1), kind="stable"):
        far = ((free - even[at]) ** 2).sum(axis=1)
        far[taken] = np.inf
        best = int(far.argmin())
        taken[best], made[at] = True, free[best]
    return made
