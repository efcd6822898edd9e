"""Which of several trainings to use: who is best beyond chance, which nothing beats, and which have learned by heart.

Candidates are measured with the same training seeds on the same items (prompts, or subjects): a table holds for each
candidate its numbers by seed and item. Two things are left to chance. Items: all candidates are resampled together over
items (the paired bootstrap, Efron & Tibshirani 1993), and since a bootstrap of few draws is too narrow, its spread is
widened by sqrt(n / (n - 1)) and by Student's t over the normal point. Seeds: two or three say little of one candidate,
but what a seed does to one candidate more than to the others is a noise that all share; these residuals are pooled, and
resampled for each candidate (the residual bootstrap), widened for their degrees of freedom. With one seed nothing can
be said of other seeds, and the intervals speak of these trainings alone.

Which candidate is best is seen in the same numbers as by how much, so differences of all pairs count at once: the
interval of each has the half width q s, where q is the 95 % point of the largest |difference| / s among all pairs in a
resample (the single-step max-t method, Westfall & Young 1993).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easel.metrics.intervals import Z95, Estimate, t95

Floats = NDArray[np.float64]
RESAMPLES = 2000
LEVEL = 0.95
AT_ONCE = 4_000_000
"""Numbers that are worked on at once."""
MANY_COPIES = 0.1
"""Share of near-copies, beyond that of the untrained model, from which on pictures are learned by heart."""

Statistic = Callable[[Mapping[str, Floats]], Floats]
"""Means by name, each (..., candidates), to the number that candidates are compared by."""


@dataclass(frozen=True)
class Race:
    """How candidates stand. ``values`` (c,); ``behind``: of each how far it is behind the best, 0 for that itself."""

    values: Floats
    best: int
    behind: list[Estimate]

    @property
    def tied(self) -> list[int]:
        """Those whose difference to the best may be nothing, without it."""
        return [at for at, by in enumerate(self.behind) if at != self.best and (by.low is None or by.low <= 0)]

    @property
    def is_told(self) -> bool:
        """Whether anything can be said of chance."""
        return any(by.low is not None for by in self.behind)


def race(
    tables: Mapping[str, ArrayLike],
    statistic: Statistic,
    trainings: int | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Race:
    """Candidates by a number that is worked out of means; more is better.

    ``tables``: by name, numbers (candidates, seeds, items), any range. ``trainings``: how many of the candidates are
    independent, since checkpoints of one training share its chance; all when not given. Raises ValueError on shapes
    that differ, and on what is not finite.
    """
    numbers = {name: _table(table) for name, table in tables.items()}
    shapes = {table.shape for table in numbers.values()}
    if len(shapes) != 1:
        raise ValueError(f"tables of one shape are wanted, got {sorted(shapes)}")
    ((candidates, seeds, items),) = shapes
    values = statistic({name: table.mean(axis=(1, 2)) for name, table in numbers.items()})
    best, n = int(np.argmax(values)), items if items > 1 else seeds
    if seeds * items < 2 or candidates < 2:
        found = [Estimate(float(values[best] - value), None, None, n) for value in values]
        return Race(values, best, found)

    # Chance of the items, and of the seeds
    generator = np.random.default_rng(seed)
    centred = np.zeros((resamples, candidates))
    if items > 1:
        shares = _shares(items, resamples, generator)
        means = {name: np.einsum("ci,bi->bc", table.mean(axis=1), shares) for name, table in numbers.items()}
        centred += (statistic(means) - values) * _widening(items)
    if seeds > 1:
        each = statistic({name: table.mean(axis=2).T for name, table in numbers.items()})  # (seeds, candidates)
        left = each - each.mean(axis=0) - each.mean(axis=1, keepdims=True) + each.mean()
        free = (max(2, trainings or candidates) - 1) * (seeds - 1)
        whole = (candidates - 1) * (seeds - 1)
        drawn = generator.choice(left.ravel(), (resamples, candidates, seeds)).mean(axis=2)
        centred += drawn * math.sqrt(left.size / whole) * t95(free) / Z95

    # All pairs at once
    spread = np.stack([(centred[:, at, None] - centred).std(axis=0) for at in range(candidates)])
    point = _largest(centred, spread)
    found = []
    for at, value in enumerate(values):
        apart, half = float(values[best] - value), point * float(spread[best, at])
        found.append(Estimate(apart, apart - half, apart + half, n))
    return Race(values, best, found)


def change(after: ArrayLike, before: ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Mean of ``after - before``, each (seeds, items), with the 95 % interval that items leave, of one item seeds."""
    apart = _table(after) - _table(before)
    seeds, items = apart.shape
    mean, n = float(apart.mean()), items if items > 1 else seeds
    if seeds * items < 2:
        return Estimate(mean, None, None, 1)
    generator = np.random.default_rng(seed)
    each = apart.mean(axis=0) if items > 1 else apart[:, 0]
    drawn = _shares(n, resamples, generator) @ each
    half = Z95 * float(drawn.std()) * _widening(n)
    return Estimate(mean, mean - half, mean + half, n)


def front(points: ArrayLike) -> list[int]:
    """The Pareto front of points (n, d), more being better in all d: those that no other one is as good as in all and
    better than in one. Of equal ones all are in it.
    """
    numbers = np.asarray(points, np.float64)
    if numbers.ndim != 2 or not np.isfinite(numbers).all():
        raise ValueError(f"wanted finite points (n, d), got shape {numbers.shape}")
    return [
        at for at, one in enumerate(numbers) if not ((numbers >= one).all(axis=1) & (numbers > one).any(axis=1)).any()
    ]


def learned_by_heart(
    learned: Sequence[ArrayLike],
    words: Sequence[ArrayLike],
    variety: Sequence[ArrayLike] | None,
    copies: Sequence[ArrayLike] | None,
    untrained_copies: float = 0.0,
) -> list[list[str]]:
    """What is alarming at each checkpoint of a training, in order, in words; nothing where all is well.

    Each is a list over checkpoints of (seeds, items): likeness to the photos that were learned, fit to the words, and
    where they are known variety and the share of near-copies. A checkpoint is alarming where likeness has risen since
    an earlier one and words and variety have fallen, each beyond chance (`change`); or where near-copies are
    MANY_COPIES more than the untrained model has.
    """
    found: list[list[str]] = []
    for now in range(len(learned)):
        said = []
        for then in range(now):
            rose = _beyond(change(learned[now], learned[then]), 1)
            fell = _beyond(change(words[now], words[then]), -1)
            less = variety is None or _beyond(change(variety[now], variety[then]), -1)
            if rose and fell and less:
                both = "fit to the words falls" if variety is None else "fit to the words and variety fall"
                said.append(f"likeness to the learned photos rises while {both}")
                break
        share = 0.0 if copies is None else float(_table(copies[now]).mean())
        if share - untrained_copies >= MANY_COPIES:
            said.append(f"{share:.0%} of the pictures are near-copies of learned photos")
        found.append(said)
    return found


def _beyond(estimate: Estimate, sign: int) -> bool:
    ends = (estimate.low, estimate.high)
    return all(end is not None and sign * end > 0 for end in ends)


def _table(values: ArrayLike) -> Floats:
    numbers = np.asarray(values, np.float64)
    if not numbers.size or not np.isfinite(numbers).all():
        raise ValueError(f"a table of finite numbers is wanted, got shape {numbers.shape}")
    return numbers


def _widening(n: int) -> float:
    return math.sqrt(n / (n - 1)) * t95(n - 1) / Z95


def _shares(n: int, resamples: int, generator: np.random.Generator) -> Floats:
    """How often each of n things is drawn in a resample, as shares (resamples, n)."""
    return generator.multinomial(n, [1 / n] * n, resamples) / n


def _largest(centred: Floats, spread: Floats) -> float:
    """The LEVEL point of the largest |difference| / spread of all pairs; `centred` (resamples, candidates)."""
    candidates = centred.shape[1]
    safe = np.where(spread > 1e-12, spread, np.inf)
    step = max(1, AT_ONCE // candidates**2)
    most = [
        (np.abs(rows[:, :, None] - rows[:, None, :]) / safe).max(axis=(1, 2))
        for rows in (centred[start : start + step] for start in range(0, len(centred), step))
    ]
    return float(np.quantile(np.concatenate(most), LEVEL))
