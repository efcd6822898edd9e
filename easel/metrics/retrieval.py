"""Retrieval: how often a judge finds the right one among some, which tells whether its likeness says anything.

A judge that cannot find the photo that a picture was made of cannot say how much of the photo the picture keeps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from easel.metrics.intervals import Estimate, mean_interval

AMONG = 20
"""The right one, and others."""


def retrieval(likeness: ArrayLike, own: Sequence[int], among: int = AMONG) -> Estimate:
    """How often the row's own column is the likest among so many: 0..1, of likeness (n, m) and own columns (n,).

    The others are drawn from the m - 1, and this is the exact mean over all draws: with k likenesses above the row's
    own, no draw of `among` - 1 holds one of them in C(m - 1 - k, among - 1) of C(m - 1, among - 1) cases. A tie counts
    as above. With fewer columns than `among` they are all. Rows of one column belong together and count as one number,
    so n is that of columns asked for. Raises ValueError on other shapes, fewer than two columns and what is not finite.
    """
    table, columns = np.asarray(likeness, np.float64), np.asarray(own, np.intp)
    if table.ndim != 2 or table.shape[1] < 2 or columns.shape != table.shape[:1] or not len(columns):
        raise ValueError(f"wanted likeness (n, m) and n columns, got shapes {table.shape} and {columns.shape}")
    if not np.isfinite(table).all():
        raise ValueError("a likeness is not finite: the judge is broken")
    others, drawn = table.shape[1] - 1, min(among, table.shape[1]) - 1
    above = (table >= table[np.arange(len(table)), columns][:, None]).sum(axis=1) - 1
    chances = np.array([math.comb(others - k, drawn) / math.comb(others, drawn) for k in above])
    return mean_interval([chances[columns == one].mean() for one in np.unique(columns)], within=(0.0, 1.0))
