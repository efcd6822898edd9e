"""Which of several methods wins on a style: told on the same photos, and beyond the noise or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

from easel.jobs.judges import HIT
from easel.jobs.score.rates import Pair, rates
from easel.metrics.intervals import Estimate, grouped_rate_difference_interval
from easel.metrics.pairs import Standing, level_of_each, standing
from easel.recipes.knobs import listed


class Drawn(NamedTuple):
    """A photo in a style by a method: what the judge said of each picture, and their mean distance from the photo."""

    pairs: Sequence[Pair]
    distance: float


class Outcome(NamedTuple):
    """How the methods stand on a style, on the photos that all of them drew."""

    success: Standing
    """By style success."""
    best: float
    """The style success of the best."""
    kept: Standing
    """By what is kept of the photo: perceptual distance, where less is better."""
    nearest: float
    """The perceptual distance of the one that keeps most."""
    n: int
    """Photos."""


def outcome(drawn: Mapping[str, Mapping[str, Drawn]]) -> Outcome | None:
    """How they stand on a style: of each method, at least two, its photos by name. None where all share no photo.

    The plain photos are the same for all, so a difference of style success is one of the rates of yes; as a rate it has
    Newcombe's interval, at the level that `metrics.pairs` gives each pair of candidates.
    """
    photos = [name for name in next(iter(drawn.values())) if all(name in mine for mine in drawn.values())]
    if not photos:
        return None
    success = {method: rates([mine[name].pairs for name in photos])[2].value for method, mine in drawn.items()}
    hits = {
        method: [[float(yes >= HIT) for yes, _ in mine[name].pairs] for name in photos]
        for method, mine in drawn.items()
    }
    best, *others = sorted(success, key=lambda method: -success[method])
    z = NormalDist().inv_cdf(0.5 + level_of_each(len(drawn)) / 2)
    behind = {other: grouped_rate_difference_interval(hits[best], hits[other], z) for other in others}
    far = {method: {name: mine[name].distance for name in photos} for method, mine in drawn.items()}
    kept = standing(far, more_is_better=False)
    nearest = sum(far[kept.best].values()) / len(photos)
    return Outcome(Standing(best, behind), success[best], kept, nearest, len(photos))


def sentence(label: str, found: Outcome | None) -> str:
    """The outcome on a style, as a person says it."""
    if found is None:
        return f"{label}: the methods have no photo in common, so none can win"
    success, kept = found.success, found.kept
    second, other = next(iter(success.behind)), next(iter(kept.behind))
    if success.tied:
        said = f"no method wins: {success.best} has {found.best:.2f}, and {listed(success.tied)} "
        said += f"{'is' if len(success.tied) == 1 else 'are'} within the noise"
    else:
        said = f"{success.best} wins with {found.best:.2f}, {_by(success.behind[second])} above {second}"
    much = f"perceptual distance {found.nearest:.2f}, {_by(kept.behind[other])} below {other}"
    most = "keeps most of the photo" + (", within the noise" if kept.tied else "")
    return f"{label} ({found.n} photo{'s' if found.n > 1 else ''}): {said}; {kept.best} {most} ({much})"


def _by(one: Estimate) -> str:
    ends = "" if one.low is None or one.high is None else f" ({one.low:.2f} to {one.high:.2f})"
    return f"{one.value:.2f}{ends}"
