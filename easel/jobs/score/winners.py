"""Which of several methods wins on a style: told on the same photos, and beyond the noise or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from easel.jobs.judges import HIT
from easel.jobs.score.rates import Pair, rates
from easel.metrics.intervals import Estimate, difference_interval, grouped_rate_difference_interval
from easel.recipes.knobs import listed


class Drawn(NamedTuple):
    """A photo in a style by a method: what the judge said of each picture, and their mean distance from the photo."""

    pairs: Sequence[Pair]
    distance: float


class Lead(NamedTuple):
    """A method, and by how much it is ahead of each other one."""

    method: str
    value: float
    ahead: Mapping[str, Estimate]
    """Others, the next one first: a difference above 0 is in the method's favour."""

    @property
    def near(self) -> list[str]:
        """The methods that it is not ahead of beyond the noise."""
        return [other for other, one in self.ahead.items() if one.low is None or one.low <= 0]


class Standing(NamedTuple):
    """How the methods stand on a style, on the photos that all of them drew."""

    success: Lead
    """Of style success."""
    kept: Lead
    """Of what is kept of the photo: perceptual distance, where less is better."""
    n: int
    """Photos."""


def standing(drawn: Mapping[str, Mapping[str, Drawn]]) -> Standing | None:
    """Who leads on a style: of each method, at least two, its photos by name. None where they have no photo in common.

    The plain photos are the same for all, so a difference of style success is one of the rates of yes. Every comparison
    has its own interval of 95 %; nobody wins who is within the noise of another.
    """
    photos = [name for name in next(iter(drawn.values())) if all(name in mine for mine in drawn.values())]
    if not photos:
        return None
    success = {method: rates([mine[name].pairs for name in photos])[2].value for method, mine in drawn.items()}
    hits = {
        method: [[float(yes >= HIT) for yes, _ in mine[name].pairs] for name in photos]
        for method, mine in drawn.items()
    }
    far = {method: [mine[name].distance for name in photos] for method, mine in drawn.items()}
    means = {method: sum(values) / len(photos) for method, values in far.items()}
    first, *others = sorted(success, key=lambda method: -success[method])
    nearest, *further = sorted(means, key=lambda method: means[method])
    return Standing(
        Lead(first, success[first], {one: grouped_rate_difference_interval(hits[first], hits[one]) for one in others}),
        Lead(nearest, means[nearest], {one: difference_interval(far[one], far[nearest]) for one in further}),
        len(photos),
    )


def sentence(label: str, found: Standing | None) -> str:
    """The standing on a style, as a person says it."""
    if found is None:
        return f"{label}: the methods have no photo in common, so none can win"
    success, kept = found.success, found.kept
    second = next(iter(success.ahead))
    if success.near:
        said = f"no method wins: {success.method} has {success.value:.2f}, and {listed(success.near)} "
        said += f"{'is' if len(success.near) == 1 else 'are'} within the noise"
    else:
        said = f"{success.method} wins with {success.value:.2f}, {_by(success.ahead[second])} above {second}"
    other = next(iter(kept.ahead))
    much = f"perceptual distance {kept.value:.2f}, {_by(kept.ahead[other])} below {other}"
    most = "keeps most of the photo" if not kept.near else "keeps most of the photo, within the noise"
    return f"{label} ({found.n} photo{'s' if found.n > 1 else ''}): {said}; {kept.method} {most} ({much})"


def _by(one: Estimate) -> str:
    ends = "" if one.low is None or one.high is None else f" ({one.low:.2f} to {one.high:.2f})"
    return f"{one.value:.2f}{ends}"
