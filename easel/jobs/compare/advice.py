"""Which settings to use, from the cells of a sweep: who is best beyond chance, the Pareto front, what has been learned
by heart, and why the answer is what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from easel.jobs.compare.cells import Row
from easel.jobs.judges import CLIP_T
from easel.jobs.likeness import COPIES, DIV, LEARNED, SUBJECT
from easel.jobs.personalize.observer import BALANCE
from easel.metrics import sweeps
from easel.metrics.intervals import Estimate
from easel.metrics.sweeps import Race
from easel.recipes.compare import Compare
from easel.recipes.knobs import listed

UNTRAINED = "untrained"
MOST_NAMED = 4
"""Candidates that a sentence names."""
AXES = (SUBJECT, CLIP_T, DIV)
"""What the Pareto front is over: likeness, fit to the words, diversity; more of each is better."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tried:
    """A checkpoint of a training drawn in one way, over all seeds and subjects."""

    label: str
    training: str
    drawing: str
    step: int
    """0 is the untrained model."""
    tables: Mapping[str, Floats]
    """Score -> (seeds, items): prompts of one subject, or subjects."""

    def mean(self, score: str) -> float:
        """Over all."""
        return float(self.tables[score].mean())


@dataclass(frozen=True, eq=False)
class Advice:
    """What a sweep comes to."""

    tried: list[Tried]
    """Those that have all their cells."""
    seeds: int
    items: int
    race: Race | None = None
    """Among `runners`; None without one."""
    runners: list[Tried] = field(default_factory=list)
    take: Tried | None = None
    tied: list[Tried] = field(default_factory=list)
    """Those within the noise of the best, with it; it alone where it wins."""
    front: list[Tried] = field(default_factory=list)
    alarms: Mapping[str, list[str]] = field(default_factory=dict)
    """By label, why it is left out."""
    text: str = ""


def label_of(training: str, drawing: str, step: int) -> str:
    """What a checkpoint is called in the tables."""
    plain = [] if training == "as it is" else [training]
    if step == 0:
        return ", ".join([UNTRAINED, *([drawing] if drawing else [])])
    return ", ".join([*plain, *([drawing] if drawing else []), f"{step} steps"])


def tried_of(cells: Sequence[Row], seeds: Sequence[int]) -> list[Tried]:
    """The checkpoints that have a cell for each seed and subject, in order; of the untrained model one for each way to
    draw.
    """
    subjects = list(dict.fromkeys(cell["photo"] for cell in cells))
    groups: dict[tuple[str, str, int], dict[tuple[int, str], Row]] = {}
    for cell in cells:
        place = (cell["training"], cell["drawing"], cell["step"])
        groups.setdefault(place, {})[cell["seed"], cell["photo"]] = cell
    found: dict[str, Tried] = {}
    for (training, drawing, step), mine in groups.items():
        label = label_of(training, drawing, step)
        if label in found or any((seed, name) not in mine for seed in seeds for name in subjects):
            continue
        first = mine[seeds[0], subjects[0]]["values"]
        scores = [score for score in first if all(score in cell["values"] for cell in mine.values())]
        tables = {}
        for score in scores:
            rows = []
            for seed in seeds:
                each = [[float(np.mean(one)) for one in mine[seed, name]["values"][score]] for name in subjects]
                rows.append(each[0] if len(subjects) == 1 else [float(np.mean(one)) for one in each])
            tables[score] = np.array(rows, np.float64)
        found[label] = Tried(label, training, drawing, step, tables)
    return list(found.values())


def balances(means: Mapping[str, Floats]) -> Floats:
    """BALANCE of means by score, of many candidates at once."""
    copies = means.get(COPIES, np.zeros(()))
    made: Floats = np.maximum(means[SUBJECT], 0) * np.maximum(means[CLIP_T], 0) * (1 - copies)
    return made


def alarms_of(tried: Sequence[Tried]) -> dict[str, list[str]]:
    """What is alarming, by label."""
    found: dict[str, list[str]] = {}
    untrained = {one.drawing: one for one in tried if one.step == 0}
    for training, drawing in dict.fromkeys((one.training, one.drawing) for one in tried if one.step):
        mine = sorted(
            (one for one in tried if one.step and (one.training, one.drawing) == (training, drawing)),
            key=lambda one: one.step,
        )
        learned = [one.tables.get(LEARNED, one.tables[SUBJECT]) for one in mine]
        series: dict[str, list[Floats] | None] = {
            score: [one.tables[score] for one in mine] if all(score in one.tables for one in mine) else None
            for score in (DIV, COPIES)
        }
        before = untrained.get(drawing)
        already = before.mean(COPIES) if before is not None and COPIES in before.tables else 0.0
        said = sweeps.learned_by_heart(
            learned, [one.tables[CLIP_T] for one in mine], series[DIV], series[COPIES], already
        )
        found |= {one.label: words for one, words in zip(mine, said, strict=True) if words}
    return found


def advice(recipe: Compare, cells: Sequence[Row]) -> Advice:
    """What to take, and why."""
    seeds = recipe.each_seed
    tried = tried_of(cells, seeds)
    trained = [one for one in tried if one.step]
    items = tried[0].tables[SUBJECT].shape[1] if tried else 0
    if not trained:
        return Advice(tried, len(seeds), items, text="no training has come to a checkpoint with all its seeds")
    alarms = alarms_of(tried)
    runners = [one for one in trained if one.label not in alarms]
    names = [name for name in (SUBJECT, CLIP_T, COPIES) if all(name in one.tables for one in tried)]
    front = _front(trained)
    if not runners:
        text = "every checkpoint has learned by heart: take fewer steps, a lower learning rate, or more photos"
        return Advice(tried, len(seeds), items, front=front, alarms=alarms, text=text)
    count = len({one.training for one in runners})
    race = sweeps.race({name: [one.tables[name] for one in runners] for name in names}, balances, count)
    best = runners[race.best]
    tied = [best, *sorted((runners[at] for at in race.tied), key=lambda one: -race.values[runners.index(one)])]
    control = next((one for one in tried if one.step == 0 and one.drawing == best.drawing), None)
    learned = None
    if control is not None:
        after, before = (balances({name: one.tables[name] for name in names}) for one in (best, control))
        learned = sweeps.change(after, before)
    is_told = learned is None or learned.low is None or learned.low > 0
    take = best if is_told and (learned is None or learned.value > 0) else None
    made = Advice(tried, len(seeds), items, race, runners, take, tied, front, alarms)
    text = "; ".join([_verdict(made, race, learned), *_edges(recipe, take), *_caveats(made)])
    return replace(made, text=text)


def _front(trained: Sequence[Tried]) -> list[Tried]:
    axes = [name for name in AXES if all(name in one.tables for one in trained)]
    return [trained[at] for at in sweeps.front([[one.mean(name) for name in axes] for one in trained])]


def _verdict(found: Advice, race: Race, learned: Estimate | None) -> str:
    """The first sentence: what wins and by how much, or that it is a tie; `learned` is how far the best is above the
    untrained model.
    """
    best = found.tied[0]
    values = {one.label: float(value) for one, value in zip(found.runners, race.values, strict=True)}
    if found.take is None and learned is not None:
        if learned.value <= 0:
            return f"nothing was learned: no checkpoint has more {BALANCE} than the untrained model"
        return (
            f"nothing is told from the untrained model: at the top is {best.label} ({_numbers(best, values)}), above "
            f"it by {learned.value:.3f} ({learned.low:.3f} to {learned.high:.3f})"
        )
    others = len(found.runners) - 1
    if not others:
        return f"{best.label} is alone ({_numbers(best, values)})"
    if not race.is_told:
        return f"at the top is {best.label} ({_numbers(best, values)}); what is noise cannot be told of one picture"
    if len(found.tied) == 1:
        second = max((one for one in found.runners if one is not best), key=lambda one: values[one.label])
        by = race.behind[found.runners.index(second)]
        return (
            f"take {best.label} ({_numbers(best, values)}): it beats all {others} others beyond chance, the next of "
            f"them, {second.label}, by {by.value:.3f} ({by.low:.3f} to {by.high:.3f})"
        )
    whole = "all" if len(found.tied) == len(found.runners) else f"{len(found.tied)} of"
    named = _listed(one.label for one in found.tied[1:])
    return (
        f"a tie within the noise: {whole} {len(found.runners)} candidates cannot be told apart; at the top is "
        f"{best.label} ({_numbers(best, values)}), and with it {named}"
    )


def _numbers(one: Tried, values: Mapping[str, float]) -> str:
    named = [(SUBJECT, "likeness"), (CLIP_T, CLIP_T), (DIV, DIV), (COPIES, COPIES)]
    said = [f"{word} {one.mean(score):.2f}" for score, word in named if score in one.tables]
    return f"{BALANCE} {values[one.label]:.3f}: {', '.join(said)}"


def _listed(labels: Iterable[str]) -> str:
    each = list(labels)
    more = [f"{len(each) - MOST_NAMED} more"] if len(each) > MOST_NAMED else []
    return listed([f"'{label}'" for label in each[:MOST_NAMED]] + more)


def _edges(recipe: Compare, take: Tried | None) -> list[str]:
    """Where what is to be taken lies at the end of an axis of numbers, that the best may lie beyond."""
    if take is None or not take.step:
        return []
    found = []
    changes = next((one.changes for one in recipe.candidates() if one.label == take.training), {})
    for name, values in recipe.axes.items():
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(set(numbers)) < 2 or name not in changes or len(numbers) < len(values):
            continue
        word = {min(numbers): "least", max(numbers): "largest"}.get(changes[name])
        if word and len(set(numbers)) > 2:
            found.append(f"its {name.replace('_', ' ')} is the {word} tried: try beyond it")
    return found


def _caveats(found: Advice) -> list[str]:
    seeds = f"{found.seeds} training seeds"
    if found.seeds == 1:
        seeds = "one training seed: what another would change is not in the noise, give --seeds two or more"
    said = [f"by {BALANCE}, likeness times {CLIP_T}, less {COPIES}; over {found.items} items, {seeds}"]
    if found.alarms:
        said.append(f"{len(found.alarms)} left out as learned by heart")
    return said
