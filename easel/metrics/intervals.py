"""Means, rates and differences with their 95 % intervals.

A mean gets a percentile bootstrap interval (Efron & Tibshirani 1993, section 13.3) drawn from a seeded generator, so
that the same numbers give the same interval for ever. A rate gets Wilson's interval (1927), and the difference of two
rates on the same items Newcombe's (1998, Statistics in Medicine 17:2635, method 10): a bootstrap of ten hits out of ten
would claim a spread of nothing, and these do not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

Z95 = 1.959963984540054  # the 97.5 % point of the normal distribution: two-sided 95 %
RESAMPLES = 2000
DRAWS_AT_ONCE = 2_000_000  # so many indices are drawn in one go: 16 MB however long the list is


class Estimate(NamedTuple):
    """A number with the ends of its 95 % interval; `low` and `high` are None where n does not allow one."""

    value: float
    low: float | None
    high: float | None
    n: int


def mean_interval(values: ArrayLike, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Mean of `values` (n,), any range, with a bootstrap interval when n > 1.

    Raises ValueError on no values or a value that is not finite.
    """
    numbers = _numbers(values)
    mean = float(numbers.mean())
    if len(numbers) < 2:
        return Estimate(mean, None, None, len(numbers))
    low, high = np.quantile(_resampled_means(numbers, seed, resamples), (0.025, 0.975))
    # Rounding may put an end a hair on the wrong side of the mean when all values are equal.
    return Estimate(mean, min(float(low), mean), max(float(high), mean), len(numbers))


def difference_interval(after: ArrayLike, before: ArrayLike, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Mean of `after - before`, both (n,) and about the same items in the same order; the items are resampled, so the
    pairs stay together.
    """
    first, second = _pair(after, before)
    return mean_interval(first - second, seed, resamples)


def rate_interval(hits: ArrayLike) -> Estimate:
    """Share of `hits` (n,), each 0 or 1, with Wilson's interval. Raises ValueError on anything else."""
    marks = _marks(hits)
    low, high = wilson(int(marks.sum()), len(marks))
    return Estimate(float(marks.mean()), low, high, len(marks))


def rate_difference_interval(after: ArrayLike, before: ArrayLike) -> Estimate:
    """Rate of `after` minus rate of `before`, in -1..1, each (n,) of 0 or 1 about the same items in the same order
    (Newcombe 1998, method 10).
    """
    first, second = _pair(_marks(after), _marks(before))
    n = len(first)
    both, only_first = float((first * second).sum()), float((first * (1 - second)).sum())
    only_second, neither = float(((1 - first) * second).sum()), float(((1 - first) * (1 - second)).sum())
    p1, p2 = (both + only_first) / n, (both + only_second) / n
    low1, high1 = wilson(round(p1 * n), n)
    low2, high2 = wilson(round(p2 * n), n)
    phi = _phi(both, only_first, only_second, neither)
    below = _joined_length(p1 - low1, high2 - p2, phi)
    above = _joined_length(high1 - p1, p2 - low2, phi)
    difference = p1 - p2
    return Estimate(difference, max(-1.0, difference - below), min(1.0, difference + above), n)


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Low and high end, in 0..1, of Wilson's 95 % score interval for `successes` out of `n` (Wilson 1927)."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes out of {n} is not a rate")
    rate, square = successes / n, Z95 * Z95
    centre = (rate + square / (2 * n)) / (1 + square / n)
    half = Z95 * float(np.sqrt(rate * (1 - rate) / n + square / (4 * n * n))) / (1 + square / n)
    return (0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half)


def _phi(both: float, only_first: float, only_second: float, neither: float) -> float:
    """Correlation of the two answers, with Newcombe's continuity correction where it is positive; 0 where a margin is
    empty.
    """
    n = both + only_first + only_second + neither
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    if margins == 0:
        return 0.0
    product = both * neither - only_first * only_second
    if product > 0:
        product = max(product - n / 2, 0.0)
    return float(product / np.sqrt(margins))


def _joined_length(one: float, other: float, phi: float) -> float:
    """Length of the difference of two errors `one` and `other` whose correlation is `phi`."""
    return float(np.sqrt(max(one * one - 2 * phi * one * other + other * other, 0.0)))


def _resampled_means(numbers: Floats, seed: int, resamples: int) -> Floats:
    """`resamples` means of lists drawn with replacement from `numbers` (n,)."""
    generator = np.random.default_rng(seed)
    n = len(numbers)
    at_once = max(1, min(resamples, DRAWS_AT_ONCE // n))
    means = [
        numbers[generator.integers(0, n, (min(at_once, resamples - start), n))].mean(axis=1)
        for start in range(0, resamples, at_once)
    ]
    return np.concatenate(means)


def _numbers(values: ArrayLike) -> Floats:
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError(f"wanted a list of numbers, got shape {numbers.shape}")
    if not np.isfinite(numbers).all():
        raise ValueError("a value is not finite: the model that made it is broken")
    return numbers


def _marks(hits: ArrayLike) -> Floats:
    marks = _numbers(hits)
    if not np.isin(marks, (0.0, 1.0)).all():
        raise ValueError("a rate is made of 0 and 1 only")
    return marks


def _pair(after: ArrayLike, before: ArrayLike) -> tuple[Floats, Floats]:
    first, second = _numbers(after), _numbers(before)
    if len(first) != len(second):
        raise ValueError(f"pairs are wanted, got {len(first)} and {len(second)} values")
    return first, second
