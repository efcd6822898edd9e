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
"""Parts of the set, as in the paper, with 5,000 pictures each."""


def inception_score(probabilities: ArrayLike, splits: int = SPLITS) -> Estimate:
    """Mean over `splits` parts in the order given, 1 to the number of classes, of class probabilities (n, classes).

    The 95 % interval follows from the spread of the pictures' divergences: a picture's influence through the set's
    own classes cancels, since those sum to 1. Raises ValueError where a row is no distribution, and on fewer than two
    pictures a part.
    """
    rows = features_of(probabilities, "the set", max(2, 2 * splits))
    if splits < 1 or (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1.0, atol=1e-4):
        raise ValueError("every row must be class probabilities that sum to 1, and splits at least 1")
    divergences = [_divergences(part) for part in np.array_split(rows, splits)]
    value = float(np.mean([np.exp(part.mean()) for part in divergences]))
    centred = np.concatenate([part - part.mean() for part in divergences])
    half = Z95 * float(np.sqrt((centred**2).sum() / (len(rows) - splits) / len(rows)))
    return Estimate(value, max(1.0, value * float(np.exp(-half))), value * float(np.exp(half)), len(rows))


def _divergences(rows: Floats) -> Floats:
    """Divergence (n,), in nats, of each picture's classes (n, classes) from their mean."""
    whole = rows.mean(axis=0)
    safe, base = np.where(rows > 0, rows, 1.0), np.where(whole > 0, whole, 1.0)
    result: Floats = (rows * (np.log(safe) - np.log(base))).sum(axis=1)
    return result
