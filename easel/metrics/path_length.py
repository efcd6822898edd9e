"""Perceptual path length: how evenly a generator's pictures change along a straight path through its latent space.

Karras et al. 2019, arXiv 1812.04948, section 4.1, equations 2 and 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from easel.metrics.arrays import Floats, pair_of_features
from easel.metrics.intervals import Estimate, mean_interval

Generate = Callable[[Floats], Any]
"""Latents (n, d) to n pictures, of any kind that the distance takes, in float32 or finer: 8 bits lose small steps."""
Distance = Callable[[Any, Any], ArrayLike]
"""n pictures and n pictures to n squared perceptual distances."""


@dataclass(frozen=True)
class PathOptions:
    """The path through the latent space, and where the step on it is taken."""

    space: Literal["z", "w"] = "w"
    """z: along the sphere, for latents that are Gaussian; w: along the straight line, for what a mapping made."""
    sampling: Literal["full", "end"] = "end"
    """full: anywhere between the two ends; end: at the first of them, where the latents are those of training."""
    epsilon: float = 1e-4
    """Length of the step, as a share of the path."""
    discarded: float = 0.01
    """Share of the steps left out at either end of the order, as in the paper's own program."""
    batch_size: int = 16
    """Pairs that the generator draws at once."""

    def __post_init__(self) -> None:
        """Raises ValueError on a step, share or batch out of range."""
        if not (0 < self.epsilon <= 1 and 0 <= self.discarded < 0.5 and self.batch_size >= 1):
            raise ValueError("a path needs 0 < epsilon <= 1, 0 <= discarded < 0.5 and batch_size >= 1")


def perceptual_path_length(
    starts: ArrayLike,
    ends: ArrayLike,
    generate: Generate,
    distance: Distance,
    options: PathOptions = PathOptions(),
    seed: int = 0,
) -> Estimate:
    """`kept_mean` of `path_lengths`."""
    return kept_mean(path_lengths(starts, ends, generate, distance, options, seed), options, seed)


def kept_mean(lengths: ArrayLike, options: PathOptions = PathOptions(), seed: int = 0) -> Estimate:
    """Mean of lengths (n,) without the share at either end of their order, with its interval and n kept."""
    ordered = np.sort(np.asarray(lengths, np.float64))
    low, high = (
        np.quantile(ordered, options.discarded, method="lower"),
        np.quantile(ordered, 1 - options.discarded, method="higher"),
    )
    return mean_interval(ordered[(ordered >= low) & (ordered <= high)], seed, within=(0.0, math.inf))


def path_lengths(
    starts: ArrayLike,
    ends: ArrayLike,
    generate: Generate,
    distance: Distance,
    options: PathOptions = PathOptions(),
    seed: int = 0,
) -> Floats:
    """Squared distance of the pictures at t and at t + epsilon, over epsilon squared, for each pair of latents: (n,).

    Args:
        starts, ends: latents (n, d), in z or already mapped to w, as `options.space` says.
        generate, distance: the generator and the perceptual distance, handed in.
        options: the space, where on the path, and the length of the step.
        seed: draws the positions of `full`.

    Raises ValueError on latents of unequal shape or not finite, and on distances that are not n finite numbers.
    """
    first, last = pair_of_features(starts, ends, 1)
    if len(first) != len(last):
        raise ValueError(f"pairs are wanted, got {len(first)} starts and {len(last)} ends")
    positions = positions_on(options, len(first), seed)
    parts = [slice(start, start + options.batch_size) for start in range(0, len(first), options.batch_size)]
    return np.concatenate(
        [lengths_at(first[part], last[part], positions[part], generate, distance, options) for part in parts]
    )


def positions_on(options: PathOptions, count: int, seed: int = 0) -> Floats:
    """Where on each of ``count`` paths the step is taken, 0..1: (count,). More paths keep the first ones' places."""
    return np.random.default_rng(seed).random(count) if options.sampling == "full" else np.zeros(count)


def lengths_at(
    starts: Floats,
    ends: Floats,
    positions: Floats,
    generate: Generate,
    distance: Distance,
    options: PathOptions = PathOptions(),
) -> Floats:
    """`path_lengths` of pairs (n, d) that are drawn at once, at `positions` (n,). `generate` is called twice.

    Raises ValueError on distances that are not n finite numbers.
    """
    between = along_sphere if options.space == "z" else along_line
    before, after = (generate(between(starts, ends, positions + step)) for step in (0.0, options.epsilon))
    found = np.asarray(distance(before, after), np.float64)
    if found.shape != (len(starts),) or not np.isfinite(found).all():
        raise ValueError(f"the distance gave shape {found.shape} or values not finite: wanted one number a pair")
    return found / options.epsilon**2


def along_line(starts: Floats, ends: Floats, positions: Floats) -> Floats:
    """Points (n, d) at `positions` (n,), 0..1, of the straight paths from starts to ends (n, d)."""
    result: Floats = starts + (ends - starts) * positions[:, None]
    return result


def along_sphere(starts: Floats, ends: Floats, positions: Floats) -> Floats:
    """The same along the sphere (Shoemake 1985): directions turn evenly, lengths change evenly from one to the other.

    StyleGAN brings every latent to one length before it maps it; there this is its own path. Raises ValueError on a
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
    angle = np.arctan2(size, cosine) * positions[:, None]
    result: Floats = along_line(lengths[0], lengths[1], positions) * (first * np.cos(angle) + aside * np.sin(angle))
    return result
