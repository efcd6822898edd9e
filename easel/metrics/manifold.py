"""Precision and recall of a made set: how much of it lies among the real pictures, and how much of them it reaches.

Kynkäänniemi et al. 2019, arXiv 1904.06991, section 2: a set's manifold is the union of balls around its features, each
as wide as the distance to its k-th nearest neighbour in the set.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easel.metrics.arrays import pair_of_features
from easel.metrics.intervals import Estimate, rate_interval

Singles = NDArray[np.float32]

NEIGHBOURS = 3
"""k of the paper."""
BLOCK = 1024  # rows of the distance matrix in memory at once
SAME = 1e-6  # squared distances below this share of the squared lengths are rounding: the same picture


class Manifold(NamedTuple):
    """precision: share of made pictures among the real ones; recall: share of real pictures that the made ones reach.

    Both 0..1. The intervals are Wilson's, for the pictures that are asked about; the other set's balls are held fixed.
    """

    precision: Estimate
    recall: Estimate


def precision_recall(real: ArrayLike, made: ArrayLike, neighbours: int = NEIGHBOURS) -> Manifold:
    """Precision and recall of features (n, d) and (m, d). Time grows with (n + m)^2, memory with n + m.

    Raises ValueError on a set of no more than `neighbours` rows, on what is not finite, and on unequal d.
    """
    if neighbours < 1:
        raise ValueError(f"neighbours is {neighbours}: at least 1")
    first, second = pair_of_features(real, made, neighbours + 1)
    centre = first.mean(axis=0)  # distances do not change, and float32 keeps more of small ones
    left, right = (first - centre).astype(np.float32), (second - centre).astype(np.float32)
    left_radii, right_radii = _radii(left, neighbours), _radii(right, neighbours)
    among, reached = np.zeros(len(right), bool), np.zeros(len(left), bool)
    for start in range(0, len(left), BLOCK):
        part = slice(start, start + BLOCK)
        squares = _squares(left[part], right)
        among |= (squares <= left_radii[part, None]).any(axis=0)
        reached[part] = (squares <= right_radii).any(axis=1)
    return Manifold(rate_interval(among.astype(float)), rate_interval(reached.astype(float)))


def nearest(features: ArrayLike, among: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each of features (n, d) the index of the nearest of `among` (m, d), and how far it is: (n,) and (n,).

    A made picture next to a real one at hardly any distance is a copy. Raises ValueError as above.
    """
    first, second = pair_of_features(features, among, 1)
    indices, distances = [], []
    for start in range(0, len(first), BLOCK):
        squares = _squares(first[start : start + BLOCK].astype(np.float32), second.astype(np.float32))
        indices.append(squares.argmin(axis=1))
        distances.append(np.sqrt(squares.min(axis=1).astype(np.float64)))
    return np.concatenate(indices), np.concatenate(distances)


def _radii(rows: Singles, neighbours: int) -> Singles:
    """Squared distance (n,) of each row to its k-th nearest neighbour, itself not counted.

    Each pair is computed once: a block beside the diagonal serves its rows, and transposed its columns.
    """
    nearest_ones = np.full((len(rows), neighbours), np.inf, np.float32)

    def update(part: slice, squares: Singles) -> None:
        closest = np.partition(squares, min(neighbours, squares.shape[1]) - 1, axis=1)[:, :neighbours]
        both = np.hstack([nearest_ones[part], closest])
        nearest_ones[part] = np.partition(both, neighbours - 1, axis=1)[:, :neighbours]

    parts = [slice(start, start + BLOCK) for start in range(0, len(rows), BLOCK)]
    for index, part in enumerate(parts):
        own = _squares(rows[part], rows[part])
        np.fill_diagonal(own, np.inf)
        update(part, own)
        for other in parts[index + 1 :]:
            squares = _squares(rows[part], rows[other])
            update(part, squares)
            update(other, np.ascontiguousarray(squares.T))
    widest: Singles = nearest_ones.max(axis=1)
    return widest


def _squares(first: Singles, second: Singles) -> Singles:
    """Squared distances (n, m) of rows (n, d) and (m, d), >= 0."""
    lengths = (first * first).sum(axis=1)[:, None] + (second * second).sum(axis=1)
    result = first @ second.T
    result *= -2
    result += lengths
    lengths *= SAME
    result[result < lengths] = 0.0
    return result
