"""Perceptual path length: how evenly a generator's pictures change along a straight way through its latent space.

Karras et al. 2019, arXiv 1812.04948, section 4.1, equations 2 and 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from easel.metrics.arrays import Floats, pair_of_rows
from easel.metrics.intervals import Estimate, mean_interval

Generate = Callable[[Floats], Any]
"""Latents (n, d) to n pictures, of any kind that the distance takes, in float32 or finer: 8 bits see no small step."""
Distance = Callable[[Any, Any], ArrayLike]
"""n pictures and n pictures to n squared perceptual distances."""


@dataclass(frozen=True)
class Walk:
    """Which way through the latent space, and where the step on it is taken."""

    space: Literal["z", "w"] = "w"
    """z: along the sphere, for latents that are Gaussian; w: along the straight line, for what a mapping made."""
    sampling: Literal["full", "end"] = "end"
    """full: anywhere between the two ends; end: at the first of them, where what is seen has been trained."""
    epsilon: float = 1e-4
    """Length of the step, as a share of the way."""
    discarded: float = 0.01
    """Share of the steps left out at either end of the order, as in the paper's own program."""
    together: int = 16
    """Pairs before the generator at once."""

    def __post_init__(self) -> None:
        """Raises ValueError on a step, share or batch out of range."""
        if not (0 < self.epsilon <= 1 and 0 <= self.discarded < 0.5 and self.together >= 1):
            raise ValueError("a walk needs 0 < epsilon <= 1, 0 <= discarded < 0.5 and together >= 1")


def perceptual_path_length(
    starts: ArrayLike, ends: ArrayLike, generate: Generate, distance: Distance, walk: Walk = Walk(), seed: int = 0
) -> Estimate:
    """`kept_mean` of `path_lengths`."""
    return kept_mean(path_lengths(starts, ends, generate, distance, walk, seed), walk, seed)


def kept_mean(lengths: ArrayLike, walk: Walk = Walk(), seed: int = 0) -> Estimate:
    """Mean of lengths (n,) without the share at either end of their order, with its bootstrap interval and n kept."""
    ordered = np.sort(np.asarray(lengths, np.float64))
    low, high = (
        np.quantile(ordered, walk.discarded, method="lower"),
        np.quantile(ordered, 1 - walk.discarded, method="higher"),
    )
    return mean_interval(ordered[(ordered >= low) & (ordered <= high)], seed)


def path_lengths(
    starts: ArrayLike, ends: ArrayLike, generate: Generate, distance: Distance, walk: Walk = Walk(), seed: int = 0
) -> Floats:
    """Squared distance of the pictures at t and at t + epsilon, over epsilon squared, for each pair of latents: (n,).

    Args:
        starts, ends: latents (n, d), in z or already mapped to w, as `walk.space` says.
        generate, distance: what draws and what sees, handed in.
        walk: the space, where on the way, and the length of the step.
        seed: draws the places of `full`.

    Raises ValueError on latents of unequal shape or not finite, and on distances that are not n finite numbers.
    """
    first, last = pair_of_rows(starts, ends, 1)
    if len(first) != len(last):
        raise ValueError(f"pairs are wanted, got {len(first)} starts and {len(last)} ends")
    places = places_on(walk, len(first), seed)
    parts = [slice(start, start + walk.together) for start in range(0, len(first), walk.together)]
    return np.concatenate(
        [lengths_at(first[part], last[part], places[part], generate, distance, walk) for part in parts]
    )


def places_on(walk: Walk, count: int, seed: int = 0) -> Floats:
    """Where on each of ``count`` ways the step is taken, 0..1: (count,). More ways leave the first ones as they are."""
    return np.random.default_rng(seed).random(count) if walk.sampling == "full" else np.zeros(count)


def lengths_at(
    starts: Floats, ends: Floats, places: Floats, generate: Generate, distance: Distance, walk: Walk = Walk()
) -> Floats:
    """`path_lengths` of pairs (n, d) that are drawn at once, at `places` (n,). `generate` is called twice.

    Raises ValueError on distances that are not n finite numbers.
    """
    between = along_sphere if walk.space == "z" else along_line
    here, there = (generate(between(starts, ends, places + step)) for step in (0.0, walk.epsilon))
    seen = np.asarray(distance(here, there), np.float64)
    if seen.shape != (len(starts),) or not np.isfinite(seen).all():
        raise ValueError(f"the distance gave shape {seen.shape} or values not finite: wanted one number a pair")
    return seen / walk.epsilon**2


def along_line(starts: Floats, ends: Floats, places: Floats) -> Floats:
    """Points (n, d) at `places` (n,), 0..1, of the straight ways from starts to ends (n, d)."""
    result: Floats = starts + (ends - starts) * places[:, None]
    return result


def along_sphere(starts: Floats, ends: Floats, places: Floats) -> Floats:
    """The same along the sphere (Shoemake 1985): directions turn evenly, lengths change evenly from one to the other.

    StyleGAN brings every latent to one length before it maps it; there this is its own way. Raises ValueError on a
    latent of zeros.
    """
    lengths = np.linalg.norm(starts, axis=1, keepdims=True), np.linalg.norm(ends, axis=1, keepdims=True)
    if not (lengths[0].all() and lengths[1].all()):
        raise ValueError("a latent of zeros has no direction: draw it again")
    first, last = starts / lengths[0], ends / lengths[1]
    cosine = (first * last).sum(axis=1, keepdims=True).clip(-1.0, 1.0)
    aside = last - cosine * first
    size = np.linalg.norm(aside, axis=1, keepdims=True)
    aside = np.divide(aside, size, out=np.zeros_like(aside), where=size > 1e-12)
    angle = np.arctan2(size, cosine) * places[:, None]
    result: Floats = along_line(lengths[0], lengths[1], places) * (first * np.cos(angle) + aside * np.sin(angle))
    return result
