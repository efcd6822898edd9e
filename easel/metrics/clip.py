"""Scores of unit vectors of CLIP (or any encoder): how well a picture fits a text or another picture (Radford 2021)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def cosines(first: ArrayLike, second: ArrayLike) -> Floats:
    """Cosine, -1..1, of each row of `first` (n, d) with the same row of `second` (n, d) or with its only row (1, d).

    Picture rows against text rows this is CLIP-T, picture against picture CLIP-I (Ruiz et al. 2023, section 4.2). It is
    the plain cosine, not the 2.5 times of CLIPScore (Hessel et al. 2021). Raises ValueError on shapes that do not fit
    and on a row of zeros.
    """
    left, right = _unit(first), _unit(second)
    if left.shape[1] != right.shape[1] or right.shape[0] not in (1, left.shape[0]):
        raise ValueError(f"rows of shapes {left.shape} and {right.shape} cannot be paired")
    result: Floats = np.clip((left * right).sum(axis=1), -1.0, 1.0)
    return result


def probabilities(pictures: ArrayLike, texts: ArrayLike, scale: float) -> Floats:
    """Softmax over the texts for each picture: (n, d) and (m, d) give (n, m), each row sums to 1; `scale` is CLIP's
    exp(logit scale), > 0.
    """
    left, right = _unit(pictures), _unit(texts)
    if left.shape[1] != right.shape[1]:
        raise ValueError(f"rows of shapes {left.shape} and {right.shape} cannot be compared")
    logits = scale * left @ right.T
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Floats = weights / weights.sum(axis=1, keepdims=True)
    return result


def _unit(rows: ArrayLike) -> Floats:
    """Rows of length one, in float64."""
    array = np.asarray(rows, np.float64)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"wanted rows (n, d), got shape {array.shape}")
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise ValueError("a row is zero or not finite: the model that made it is broken")
    result: Floats = array / lengths
    return result
