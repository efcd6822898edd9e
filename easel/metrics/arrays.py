"""Features as every metric takes them: checked once, in float64, with the reason said where they are no good."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def pair_of_features(real: ArrayLike, made: ArrayLike, least: int = 2) -> tuple[Floats, Floats]:
    """Both sets as (n, d) and (m, d) in float64. Raises ValueError as `features_of` does, and where d differs."""
    first, second = features_of(real, "the real set", least), features_of(made, "the made set", least)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"features of {first.shape[1]} and of {second.shape[1]} numbers cannot be compared: use one judge for both"
        )
    return first, second


def features_of(features: ArrayLike, name: str = "the set", least: int = 2) -> Floats:
    """Features (n, d), any range, as float64. Raises ValueError on other shapes, n < `least` and what is not finite."""
    array = np.asarray(features, np.float64)
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(f"wanted features (n, d), got shape {array.shape}")
    if len(array) < least:
        raise ValueError(f"{name} has {len(array)} pictures: at least {least} are needed")
    bad = int((~np.isfinite(array)).any(axis=1).sum())
    if bad:
        raise ValueError(f"{bad} of {len(array)} features of {name} are not finite: the model that made them is broken")
    return array
