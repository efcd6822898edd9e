"""What the cells come to: the mean of each score of each candidate, which one wins on what, and what is noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from easel.jobs import likeness
from easel.jobs.compare.cells import Row
from easel.jobs.edit import verdict
from easel.jobs.judges import score_of
from easel.metrics.intervals import EVERYWHERE, Estimate, mean_interval
from easel.metrics.pairs import Standing, standing
from easel.recipes.knobs import listed
from easel.result import Score

BETTER = verdict.MORE_IS_BETTER | likeness.MORE_IS_BETTER
ENDS = verdict.ENDS | likeness.ENDS
MOST_NAMED = 4
"""Candidates that a sentence names of those who share a place."""


@dataclass(frozen=True)
class Finding:
    """One score of one judge: the mean of each candidate that has it, and how they stand, where it has a better end."""

    name: str
    judge: str
    means: Mapping[str, Estimate]
    standing: Standing | None

    @property
    def more_is_better(self) -> bool | None:
        """Whether more is better; None where that cannot be said."""
        return BETTER.get(self.name)


def findings(rows: Sequence[Row]) -> list[Finding]:
    """What the rows say about each score, those with a better end first.

    Photos are what was drawn from the world, so each counts once, by its mean over seeds, and only where none of its
    seeds failed; of one photo, or without one, it is the seeds.
    """
    by_photo = len({row["photo"] for row in rows}) > 1
    seeds = len({row["seed"] for row in rows})
    found: dict[tuple[str, str], dict[str, dict[str | int, list[float]]]] = {}
    for row in rows:
        item = row["photo"] if by_photo else row["seed"]
        for name, judge, number in row.get("values", ()):
            mine = found.setdefault((name, judge), {}).setdefault(row["candidate"], {})
            mine.setdefault(item, []).append(number)
    result = []
    for (name, judge), table in found.items():
        items = {
            candidate: {
                item: sum(each) / len(each) for item, each in mine.items() if len(each) == seeds or not by_photo
            }
            for candidate, mine in table.items()
        }
        whole = {candidate: mine for candidate, mine in items.items() if mine}
        if not whole:
            continue
        more, within = BETTER.get(name), ENDS.get(name, EVERYWHERE)
        means = {candidate: mean_interval(list(mine.values()), within=within) for candidate, mine in whole.items()}
        stands = None if more is None or len(whole) < 2 else standing(whole, more_is_better=more)
        result.append(Finding(name, judge, means, stands))
    return sorted(result, key=lambda one: one.more_is_better is None)


def scores_of(found: Sequence[Finding]) -> list[Score]:
    """The means as scores, each of its candidate."""
    return [
        score_of(one.name, estimate, one.judge, candidate) for one in found for candidate, estimate in one.means.items()
    ]


def sentence(found: Sequence[Finding], rows: Sequence[Row]) -> str:
    """Which candidate wins on what, and which differences are within the noise."""
    candidates = list(dict.fromkeys(row["candidate"] for row in rows))
    if len(candidates) < 2:
        return f"{candidates[0]} is alone: there is nothing to compare it with"
    ranked = [one for one in found if one.standing is not None]
    told = [one for one in ranked if one.standing is not None and one.standing.is_told]
    if not ranked:
        return (
            f"none of the scores of these {len(candidates)} candidates has a better end, or only one candidate has it"
        )
    if not told:
        tops = [f"{one.name}: {one.standing.best}" for one in ranked if one.standing is not None]
        top = "; ".join(tops)
        return f"of {counted(rows)} nothing can be said of noise, give more photos or seeds; at the top are {top}"
    parts = [_said(names, best, tied, count) for (best, tied, count), names in _grouped(told).items()]
    most = max(len(one.means) for one in told)
    pairs = most * (most - 1) // 2
    level = "paired differences, 95 %" if pairs == 1 else f"paired differences, 95 % for all {pairs} pairs of a score"
    return f"{'; '.join(parts)} ({counted(rows)}; {level})"


def _grouped(told: Sequence[Finding]) -> dict[tuple[str, tuple[str, ...], int], list[str]]:
    """Names of scores by who is best, who is within the noise of it, and how many there are; wins first."""
    groups: dict[tuple[str, tuple[str, ...], int], list[str]] = {}
    for one in told:
        if one.standing is not None:
            key = one.standing.best, tuple(sorted(one.standing.tied)), len(one.means)
            groups.setdefault(key, []).append(one.name)
    return dict(sorted(groups.items(), key=lambda item: len(item[0][1])))


def _said(names: Sequence[str], best: str, tied: Sequence[str], count: int) -> str:
    on = listed(list(names))
    if len(tied) == count - 1:
        return f"{on}: a tie, nobody is beyond the noise of the best ({best})"
    if not tied:
        return f"{on}: {best} wins"
    others = f"{len(tied)} others" if len(tied) > MOST_NAMED else listed(list(tied))
    return f"{on}: {best} is best, and {others} {'is' if len(tied) == 1 else 'are'} within the noise of it"


def counted(rows: Sequence[Row], noun: str = "photo") -> str:
    """'10 photos, 2 seeds each', of what there is."""
    photos = len({row["photo"] for row in rows if row["photo"]})
    seeds = len({row["seed"] for row in rows if row["seed"] is not None})
    each = " each" if photos > 1 and seeds > 1 else ""
    said = [f"{photos} {noun}{'s' * (photos > 1)}"] if photos else []
    return ", ".join([*said, *([f"{seeds} seed{'s' * (seeds > 1)}{each}"] if seeds else [])])
