"""Numbers of pictures of a subject, as in DreamBooth (Ruiz et al. 2022, arXiv 2208.12242, sections 4.2 and 4.3).

Features and distances in, numbers out; means and intervals are left to callers (`easel.metrics.intervals`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easel.metrics.arrays import Floats, pair_of_features

COPY = 0.5
"""A picture nearer to a training photo than this share of how far training photos are apart is a near-copy of it.

The distance to the nearest photo is weighed by one that is usual among them, as in Carlini et al. 2023 (arXiv
2301.13188, equation 2), since how far two pictures are apart depends on what they show.
"""


def subject_fidelity(made: ArrayLike, real: ArrayLike) -> Floats:
    """Of each made picture the mean cosine, -1..1, to all real photos: (n,) from features (n, d) and (m, d).

    Their mean is DINO or CLIP-I of section 4.2, "the average pairwise cosine similarity between embeddings of generated
    and real images", and with pictures of the class in the place of the made ones PRES of section 4.3: the higher it
    is, the more has the class become the subject. Raises ValueError as `pair_of_features`, and on a row of zeros.
    """
    left, right = pair_of_features(made, real, least=1)
    lengths = [np.linalg.norm(rows, axis=1, keepdims=True) for rows in (left, right)]
    if any((length == 0).any() for length in lengths):
        raise ValueError("a row is zero: the model that made it is broken")
    found: Floats = np.clip((left / lengths[0]) @ (right / lengths[1]).T, -1.0, 1.0).mean(axis=1)
    return found


def pairs(n: int) -> list[tuple[int, int]]:
    """All pairs of n things."""
    return list(combinations(range(n), 2))


def diversity(distances: ArrayLike) -> float:
    """DIV of one prompt (section 4.3): the mean perceptual distance, 0 or more, over all pairs of its pictures.

    The paper's is LPIPS. Raises ValueError where there is no pair.
    """
    found = np.asarray(distances, np.float64)
    if found.ndim != 1 or not len(found):
        raise ValueError(f"wanted the distances of pairs (n,), got shape {found.shape}")
    return float(found.mean())


def near_copies(to_photos: Sequence[ArrayLike], apart: float) -> NDArray[np.bool_]:
    """Whether each made picture is a near-copy: its least distance to a training photo is under COPY times `apart`, how
    far two training photos are apart on average (> 0). (n,) of n lists of distances, each 0 or more.
    """
    if not apart > 0:
        raise ValueError(f"photos that are {apart} apart are all the same: nothing tells a copy")
    return np.array([float(np.min(np.asarray(row, np.float64))) < COPY * apart for row in to_photos], np.bool_)
