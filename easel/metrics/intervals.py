"""Means, rates and differences with their 95 % intervals.

A mean of fewer than 30 values gets Student's t interval, which asks for a bell-shaped spread and pays for a small n
with its width: at n 2, 3, 5 and 12 it covers the truth in 95 % of cases where a percentile bootstrap covers 45, 75, 83
and 90. From 30 on it is that bootstrap (Efron & Tibshirani 1993, section 13.3), from a seeded generator, so that the
same numbers give the same interval for ever, and asking for no shape. A rate gets Wilson's interval (1927), and the
difference of two rates on the same items Newcombe's (1998, Statistics in Medicine 17:2635, method 10): a bootstrap of
ten hits out of ten would claim a spread of nothing, and these do not. Where several answers belong to one item, items
are what was drawn, and the rate's n is the effective one (Kish 1965, section 5.4; Korn & Graubard 1998).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

Z95 = 1.959963984540054  # the 97.5 % point of the normal distribution: two-sided 95 %
RESAMPLES = 2000
BELL = 30
"""From so many values on a mean is bootstrapped; below it has Student's t interval."""
# The 97.5 % point of Student's t with 1, 2, ... 29 degrees of freedom.
T95 = (
    12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139, 2.200985,
    2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963, 2.079614, 2.073873,
    2.068658, 2.063899, 2.059539, 2.055529, 2.051831, 2.048407, 2.045230,
)  # fmt: skip
EVERYWHERE = (-math.inf, math.inf)
DRAWS_AT_ONCE = 2_000_000  # so many indices are drawn in one go: 16 MB however long the list is


class Estimate(NamedTuple):
    """A number with the ends of its 95 % interval; `low` and `high` are None where n does not allow one."""

    value: float
    low: float | None
    high: float | None
    n: int


def t95(degrees: int) -> float:
    """The 97.5 % point of Student's t; beyond 29 degrees of freedom by Cornish and Fisher's first term, 0.1 % off."""
    return T95[degrees - 1] if degrees <= len(T95) else Z95 + (Z95**3 + Z95) / (4 * degrees)


def mean_interval(
    values: ArrayLike,
    seed: int = 0,
    resamples: int = RESAMPLES,
    within: tuple[float, float] = EVERYWHERE,
) -> Estimate:
    """Mean of `values` (n,), any range, with its interval when n > 1: Student's t below `BELL`, else a bootstrap.

    `within` is the least and the greatest that a mean can be: an interval ends there. Raises ValueError on no values or
    a value that is not finite.
    """
    numbers = _numbers(values)
    n, mean = len(numbers), float(numbers.mean())
    if n < 2:
        return Estimate(mean, None, None, n)
    if n < BELL:
        half = t95(n - 1) * float(numbers.std(ddof=1)) / math.sqrt(n)
        low, high = mean - half, mean + half
    else:
        low, high = (float(end) for end in np.quantile(_resampled_means(numbers, seed, resamples), (0.025, 0.975)))
    # Rounding may put an end a hair on the wrong side of the mean when all values are equal.
    return Estimate(mean, min(max(low, within[0]), mean), max(min(high, within[1]), mean), n)


def difference_interval(
    after: ArrayLike,
    before: ArrayLike,
    seed: int = 0,
    resamples: int = RESAMPLES,
    within: tuple[float, float] = EVERYWHERE,
) -> Estimate:
    """Mean of `after - before`, both (n,) and about the same items in the same order: `mean_interval` of the items'
    own differences, so that the pairs stay together.
    """
    first, second = _pair(after, before)
    return mean_interval(first - second, seed, resamples, within)


def rate_interval(hits: ArrayLike) -> Estimate:
    """Share of `hits` (n,), each 0 or 1, with Wilson's interval. Raises ValueError on anything else."""
    marks = _marks(hits)
    low, high = wilson(int(marks.sum()), len(marks))
    return Estimate(float(marks.mean()), low, high, len(marks))


def rate_difference_interval(after: ArrayLike, before: ArrayLike, z: float = Z95) -> Estimate:
    """Rate of `after` minus rate of `before`, in -1..1, each (n,) of 0 or 1 about the same items in the same order
    (Newcombe 1998, method 10). `z` is the normal distribution's point for another level than 95 %.
    """
    first, second = _pair(_marks(after), _marks(before))
    n = len(first)
    both, only_first = float((first * second).sum()), float((first * (1 - second)).sum())
    only_second, neither = float(((1 - first) * second).sum()), float(((1 - first) * (1 - second)).sum())
    p1, p2 = (both + only_first) / n, (both + only_second) / n
    low1, high1 = _wilson_of(round(p1 * n) / n, n, z)
    low2, high2 = _wilson_of(round(p2 * n) / n, n, z)
    phi = _phi(both, only_first, only_second, neither)
    below = _joined_length(p1 - low1, high2 - p2, phi)
    above = _joined_length(high1 - p1, p2 - low2, phi)
    difference = p1 - p2
    return Estimate(difference, max(-1.0, difference - below), min(1.0, difference + above), n)


def grouped_rate_interval(groups: Sequence[ArrayLike]) -> Estimate:
    """Mean of the groups' own rates, with an interval over groups, which are what was drawn; n counts groups.

    A group holds the answers, each 0 or 1, that belong to one item, such as all pictures of one photo. The interval is
    Wilson's at the effective number of answers: so many independent ones would give the spread that the groups' rates
    have (the design effect, Kish 1965), made less for the few groups that it is known from by (z / t)^2 (Korn &
    Graubard 1998), and neither less than the number of groups nor more than that of answers. So it has a width even
    where all groups agree. One group of several answers says nothing of other items: no interval.
    Raises ValueError as above.
    """
    marks = [_marks(group) for group in groups]
    shares = _numbers([float(group.mean()) for group in marks])
    answers = sum(len(group) for group in marks)
    value, n = float(shares.mean()), len(shares)
    if n == 1 and answers > 1:
        return Estimate(value, None, None, n)
    low, high = _wilson_of(value, _effective(shares, answers))
    return Estimate(value, low, high, n)


def grouped_rate_difference_interval(
    after: Sequence[ArrayLike], before: Sequence[ArrayLike], z: float = Z95
) -> Estimate:
    """`grouped_rate_interval` of `after` less that of `before`, in -1..1, about the same items in the same order; z as
    above.

    With one answer an item this is Newcombe's. Else the two intervals' halves are joined in the same way, as lengths at
    an angle (Zou & Donner 2008), with the correlation of the items' rates for that of the answers.
    """
    first, second = [_marks(group) for group in after], [_marks(group) for group in before]
    one, other = (_numbers([float(group.mean()) for group in groups]) for groups in (first, second))
    one, other = _pair(one, other)
    n, sizes = len(one), [sum(len(group) for group in groups) for groups in (first, second)]
    if n == 1 and max(sizes) > 1:
        return Estimate(float(one[0] - other[0]), None, None, 1)
    if _all_whole(one) and _all_whole(other):
        return rate_difference_interval(one, other, z)
    p1, p2 = float(one.mean()), float(other.mean())
    low1, high1 = _wilson_of(p1, _effective(one, sizes[0]), z)
    low2, high2 = _wilson_of(p2, _effective(other, sizes[1]), z)
    # Of few items a correlation is mostly chance: one that would narrow the interval counts for less.
    found = _correlation(one, other)
    phi = found if found < 0 else max(0.0, found - 1 / math.sqrt(n))
    below, above = _joined_length(p1 - low1, high2 - p2, phi), _joined_length(high1 - p1, p2 - low2, phi)
    difference = p1 - p2
    return Estimate(difference, max(-1.0, difference - below), min(1.0, difference + above), n)


def _effective(shares: Floats, answers: int) -> float:
    """How many independent answers the rates of groups (n,) with so many answers in all are worth."""
    n, rate = len(shares), float(shares.mean())
    if n == answers:
        return float(n)
    variance = float(shares.var(ddof=1)) / n if n > 1 else 0.0
    if variance <= 0:  # no spread is seen: what it is cannot be told, so each group counts as one answer
        return float(n)
    return min(float(answers), max(float(n), rate * (1 - rate) / variance * (Z95 / t95(n - 1)) ** 2))


def _correlation(first: Floats, second: Floats) -> float:
    """Of two lists (n,), in -1..1; 0 where one does not vary."""
    one, other = first - first.mean(), second - second.mean()
    size = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / size if size > 0 else 0.0


def _all_whole(shares: Floats) -> bool:
    return bool(np.isin(shares, (0.0, 1.0)).all())


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Low and high end, in 0..1, of Wilson's 95 % score interval for `successes` out of `n` (Wilson 1927)."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes out of {n} is not a rate")
    return _wilson_of(successes / n, n)


def rate_of(rate: float, worth: float, n: int) -> Estimate:
    """A rate, 0..1, of n answers that are worth so many independent ones, > 0, with Wilson's interval."""
    return Estimate(rate, *_wilson_of(rate, worth), n)


def _wilson_of(rate: float, n: float, z: float = Z95) -> tuple[float, float]:
    """The same for a rate, 0..1, of so many answers, which need not be a whole number."""
    square = z * z
    centre = (rate + square / (2 * n)) / (1 + square / n)
    half = z * math.sqrt(rate * (1 - rate) / n + square / (4 * n * n)) / (1 + square / n)
    return (0.0 if rate == 0 else centre - half, 1.0 if rate == 1 else centre + half)


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
