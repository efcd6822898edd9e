"""Feature rows as every metric takes them: checked once, in float64, with the reason said where they are no good."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def pair_of_rows(real: ArrayLike, made: ArrayLike, least: int = 2) -> tuple[Floats, Floats]:
    """Both sets as (n, d) and (m, d) in float64. Raises ValueError as `rows_of` does, and where d differs."""
    first, second = rows_of(real, "the real set", least), rows_of(made, "the made set", least)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"features of {first.shape[1]} and of {second.shape[1]} numbers cannot be compared: use one judge for both"
        )
    return first, second


def rows_of(features: ArrayLike, name: str = "the set", least: int = 2) -> Floats:
    """Features (n, d), any range, as float64. Raises ValueError on other shapes, n < `least` and what is not finite."""
    rows = np.asarray(features, np.float64)
    if rows.ndim != 2 or not rows.shape[1]:
        raise ValueError(f"wanted features (n, d), got shape {rows.shape}")
    if len(rows) < least:
        raise ValueError(f"{name} has {len(rows)} pictures: at least {least} are needed")
    bad = int((~np.isfinite(rows)).any(axis=1).sum())
    if bad:
        raise ValueError(f"{bad} of {len(rows)} rows of {name} are not finite: the model that made them is broken")
    return rows
