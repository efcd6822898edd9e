"""How often a style is recognised, and how much of that the judge would have said about the plain photo anyway."""

from __future__ import annotations

from collections.abc import Sequence

from easel.jobs.judges import HIT, score_of
from easel.metrics.intervals import Estimate, grouped_rate_difference_interval, grouped_rate_interval
from easel.result import Score

RATE = "style recognised"
RATE_BEFORE = "style recognised on the photo"
GAIN = "style success"

Pair = tuple[float, float]
"""The probability of yes about a picture, and about the photo it was made from."""


def rates(groups: Sequence[Sequence[Pair]]) -> tuple[Estimate, Estimate, Estimate]:
    """Rate of yes on the pictures, on the plain photos, and their paired difference.

    A group holds what belongs together, such as all pictures of one photo: they are not independent, so groups are what
    n counts, and what the intervals speak of. Of one group with several pictures there is none.
    """
    after = [[float(style >= HIT) for style, _ in group] for group in groups]
    before = [[float(plain >= HIT) for _, plain in group] for group in groups]
    return (
        grouped_rate_interval(after),
        grouped_rate_interval(before),
        grouped_rate_difference_interval(after, before),
    )


def success_scores(groups: Sequence[Sequence[Pair]], judge: str, of: str) -> list[Score]:
    """The three rates as scores."""
    return [
        score_of(name, estimate, judge, of)
        for name, estimate in zip((RATE, RATE_BEFORE, GAIN), rates(groups), strict=True)
    ]
