"""Which of several candidates is best, and which differences are no more than noise.

Candidates are measured on the same items (photos, seeds), so two are compared by their items' own differences: a photo
that is hard for both does not count as spread. The interval of a mean difference of n items is Student's,
d +- t s / sqrt(n) (Student 1908), which asks for a bell-shaped spread of the mean, and is made wide enough to hold for
all pairs of candidates at once: with m pairs each has the level 1 - 0.05 / m (Bonferroni; Dunn 1961, Journal of the
American Statistical Association 56:52). All pairs count and not only those with the best one, since which one is best
was read from the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from easel.metrics.intervals import Estimate

Item = TypeVar("Item", bound=Hashable)
LEVEL = 0.95
"""Of all pairs together."""


def within(t: float, degrees: int) -> float:
    """Probability, 0..1, that Student's t with whole degrees of freedom >= 1 lies between -t and t >= 0.

    Abramowitz & Stegun 1964, equations 26.7.3 and 26.7.4: finite sums, exact but for rounding.
    """
    angle = math.atan(t / math.sqrt(degrees))
    square = math.cos(angle) ** 2
    term = total = 1.0 if degrees % 2 == 0 else math.cos(angle)
    for power in range(2 + degrees % 2, degrees - 1, 2):
        term *= square * (power - 1) / power
        total += term
    if degrees % 2 == 0:
        return math.sin(angle) * total
    return 2 / math.pi * (angle + (math.sin(angle) * total if degrees > 1 else 0.0))


def student(level: float, degrees: int) -> float:
    """The t between whose negative and itself Student's distribution has the share `level`, 0..1 without the ends."""
    if not 0 < level < 1 or degrees < 1:
        raise ValueError(f"a level in 0..1 and at least one degree of freedom are wanted, got {level} and {degrees}")
    low, high = 0.0, 1.0
    while within(high, degrees) < level:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle, degrees) < level else (low, middle)
    return high


@dataclass(frozen=True)
class Standing:
    """Where the candidates stand on one score, by name, the best first."""

    best: str
    behind: Mapping[str, Estimate]
    """How far each other one is behind the best, with the interval that holds for all pairs; positive is behind. Ends
    are None where fewer than two items are shared.
    """

    @property
    def tied(self) -> list[str]:
        """Those whose difference to the best may be nothing, or cannot be told from nothing."""
        return [name for name, by in self.behind.items() if by.low is None or by.low <= 0]

    @property
    def is_told(self) -> bool:
        """Whether anything can be said of noise."""
        return any(by.low is not None for by in self.behind.values())


def standing(table: Mapping[str, Mapping[Item, float]], *, more_is_better: bool) -> Standing:
    """How candidates stand: for each its number by item. Of unequal sets of items pairs take what both have.

    Raises ValueError without a candidate, on one without items, and on a number that is not finite.
    """
    sign = 1.0 if more_is_better else -1.0
    means: dict[str, float] = {}
    for name, numbers in table.items():
        if not numbers or not all(math.isfinite(value) for value in numbers.values()):
            raise ValueError(f"{name} has no numbers, or one that is not finite")
        means[name] = sign * math.fsum(numbers.values()) / len(numbers)
    order = sorted(means, key=lambda name: -means[name])  # stable: of equals the first given leads
    level = level_of_each(len(order))
    first = table[order[0]]
    behind = {}
    for name in order[1:]:
        shared = [item for item in first if item in table[name]]
        apart = sign * np.array([first[item] - table[name][item] for item in shared], np.float64)
        behind[name] = _mean_at(apart, level)
    return Standing(order[0], behind)


def level_of_each(candidates: int) -> float:
    """The level, 0..1, of each pair's interval, so that all pairs of so many candidates have LEVEL together."""
    return 1 - (1 - LEVEL) / max(1, candidates * (candidates - 1) // 2)


def _mean_at(numbers: np.ndarray[tuple[int, ...], np.dtype[np.float64]], level: float) -> Estimate:
    """The mean of `numbers` (n,) with Student's interval at a level; NaN for none at all."""
    n = len(numbers)
    mean = float(numbers.mean()) if n else math.nan
    if n < 2:
        return Estimate(mean, None, None, n)
    half = student(level, n - 1) * float(numbers.std(ddof=1)) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)
