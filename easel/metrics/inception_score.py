"""Inception Score: how sure the class of each picture is, and how many classes the set has.

Salimans et al. 2016, arXiv 1606.03498, section 4: exp of the mean Kullback-Leibler divergence of a picture's classes
from those of the whole set. It knows no real pictures, so it cannot see what is missing or copied.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from easel.metrics.arrays import Floats, features_of
from easel.metrics.intervals import Z95, Estimate

SPLITS = 10
"""Parts of the set, at most, as in the paper."""
PART = 5000
"""Pictures a part, at least, as in the paper: parts of few have few classes, and the score falls."""
ROWS = 4096  # at once


def parts_of(n: int) -> int:
    """Parts that a set of n pictures is cut into: the paper's ten from 50,000 on, one below 10,000."""
    return max(1, min(SPLITS, n // PART))


def inception_score(probabilities: ArrayLike, splits: int | None = None) -> Estimate:
    """Mean over `splits` parts in the order given, 1 to the number of classes, of class probabilities (n, classes).

    Parts are `parts_of(n)` when not given. The 95 % interval follows from the spread of the pictures' divergences: a
    picture's influence through the set's own classes cancels, since those sum to 1. It speaks of sets of n pictures:
    what they lack to a large set is `missing`. Raises ValueError where a row is no distribution, and on fewer than two
    pictures a part.
    """
    rows = _distributions(probabilities, max(2, 2 * (splits or 1)))
    splits = parts_of(len(rows)) if splits is None else splits
    if splits < 1:
        raise ValueError(f"splits is {splits}: at least 1")
    divergences = [_divergences(part) for part in np.array_split(rows, splits)]
    value = float(np.mean([np.exp(part.mean()) for part in divergences]))
    centred = np.concatenate([part - part.mean() for part in divergences])
    half = Z95 * float(np.sqrt((centred**2).sum() / (len(rows) - splits) / len(rows)))
    return Estimate(value, max(1.0, value * float(np.exp(-half))), value * float(np.exp(half)), len(rows))


def missing(probabilities: ArrayLike) -> float:
    """What the score of n pictures, in one part, lacks on average to that of a large set of the same kind, >= 0.

    A small set has few classes, so it scores low. This is the jackknife's estimate (Quenouille 1956): (n - 1) times
    what the score loses by one picture less, of (n, classes). Raises ValueError as above, and on fewer than three.
    """
    rows = _distributions(probabilities, 3)
    n, whole = len(rows), rows.mean(axis=0)
    information = np.concatenate([_information(rows[start : start + ROWS]) for start in range(0, n, ROWS)])
    score = np.exp(information.mean() - _information(whole[None])[0])
    without = np.concatenate([
        (information.sum() - information[start : start + ROWS]) / (n - 1)
        - _information(((n * whole - rows[start : start + ROWS]) / (n - 1)).clip(min=0))
        for start in range(0, n, ROWS)
    ])  # fmt: skip
    return max(0.0, (n - 1) * float(score - np.exp(without).mean()))


def _distributions(probabilities: ArrayLike, least: int) -> Floats:
    rows = features_of(probabilities, "the set", least)
    if (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1.0, atol=1e-4):
        raise ValueError("every row must be class probabilities that sum to 1")
    return rows


def _divergences(rows: Floats) -> Floats:
    """Divergence (n,), in nats, of each picture's classes (n, classes) from their mean."""
    whole = rows.mean(axis=0)
    safe, base = np.where(rows > 0, rows, 1.0), np.where(whole > 0, whole, 1.0)
    result: Floats = (rows * (np.log(safe) - np.log(base))).sum(axis=1)
    return result


def _information(rows: Floats) -> Floats:
    """Sum of p log p, in nats, of each row: (n,) of (n, classes)."""
    result: Floats = (rows * np.log(np.where(rows > 0, rows, 1.0))).sum(axis=1)
    return result
