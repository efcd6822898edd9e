"""How often a style is recognised, and how much of that the judge would have said about the plain photo anyway."""

from __future__ import annotations

from collections.abc import Sequence

from easel.jobs.judges import HIT, score_of
from easel.metrics.intervals import (
    Estimate,
    difference_interval,
    mean_interval,
    rate_difference_interval,
    rate_interval,
)
from easel.result import Score

RATE = "style recognised"
RATE_BEFORE = "style recognised on the photo"
GAIN = "style success"

Pair = tuple[float, float]
"""The probability of yes about a picture, and about the photo it was made from."""


def rates(groups: Sequence[Sequence[Pair]]) -> tuple[Estimate, Estimate, Estimate]:
    """Rate of yes on the pictures, on the plain photos, and their paired difference.

    A group holds what belongs together, such as all pictures of one photo: they are not independent, so it counts as
    one number, its own rate. Numbers that are all 0 or 1 get Wilson's and Newcombe's intervals; others are
    bootstrapped.
    """
    after = [sum(style >= HIT for style, _ in group) / len(group) for group in groups]
    before = [sum(plain >= HIT for _, plain in group) / len(group) for group in groups]
    difference = rate_difference_interval if _whole(after) and _whole(before) else difference_interval
    return _rate(after), _rate(before), difference(after, before)


def _rate(shares: Sequence[float]) -> Estimate:
    return rate_interval(shares) if _whole(shares) else mean_interval(shares)


def _whole(shares: Sequence[float]) -> bool:
    return all(share in {0.0, 1.0} for share in shares)


def success_scores(groups: Sequence[Sequence[Pair]], judge: str, of: str) -> list[Score]:
    """The three rates as scores."""
    return [
        score_of(name, estimate, judge, of)
        for name, estimate in zip((RATE, RATE_BEFORE, GAIN), rates(groups), strict=True)
    ]
