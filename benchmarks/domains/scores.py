"""What each run is asked, and what the answer was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.domains.classifier import Lesson, Pixels, accuracy, taught
from benchmarks.domains.faces import faces
from benchmarks.domains.rows import (
    COUNT,
    EACH,
    FEATURES,
    Row,
    above_nothing,
    at_the_end,
    difference,
    drawn,
    estimate,
    kid,
    result_in,
    row,
    times_less,
)  # fmt: skip
from benchmarks.domains.runs import RUNS
from benchmarks.domains.sets import Places, labelled, pixels_of
from benchmarks.domains.words import SCENES, seeing, sharper, words
from easel.metrics.intervals import Estimate, rate_interval

EPOCHS = 30
"""Of the classifiers of clothes, which have few pictures."""
FOLDS = 3


def birds(places: Places, name: str) -> list[Row]:
    """KID of drawn birds against birds nobody has seen, and how many times less that is than untrained."""
    folder = places.run(name)
    made = drawn(folder / "drawn", folder / "model", count=COUNT)
    after = kid(places, name, places.set("birds-held-out") / "images", made)
    trained = result_in(folder / "model")
    assert trained is not None
    before = estimate(next(score for score in trained.scores if score.name == "KID untrained"))
    return [
        row(name, "KID untrained over KID trained", times_less(before.value, after), FEATURES, 10),
        row(name, "KID against held-out birds", after, FEATURES),
        row(name, "KID untrained", before, FEATURES),
    ]


def portraits(places: Places, name: str) -> list[Row]:
    """KID against the portraits, and where the run without augmentation is there, how much better."""
    made = drawn(places.run(name) / "drawn", places.run(name) / "model", count=COUNT)
    real, found = places.set("portraits-64"), []
    ours = kid(places, name, real, made)
    before = RUNS[name].after
    if before is not None:
        kept = kid(places, before, real, places.run(before) / "drawn")
        last = [at_the_end(places.run(one)) for one in (before, name)]
        what = "KID without augmentation less KID with it"
        found = [
            above_nothing(name, f"{what}, the best models", difference(kept, ours), FEATURES),
            above_nothing(name, f"{what}, the last", difference(*last), FEATURES),
        ]
    return [*found, row(name, "KID against the portraits", ours, FEATURES)]


def kinds(places: Places, name: str) -> list[Row]:
    """The kind asked for, by the judge of scenes."""
    from easel.pocket.train import judge

    folder = places.run(name)
    classes = sorted(json.loads((folder / "model" / "config.json").read_text(encoding="utf-8"))["names"])
    pixels, asked = of_classes(folder, classes)
    hits = [told == classes[place] for told, place in zip(judge.load().name(pixels)["kind"], asked, strict=True)]
    return [row(name, "the asked kind is named", rate_interval(hits), SCENES, 0.9), *seeing(name, "kind")]


def of_classes(run: Path, classes: Sequence[str]) -> tuple[Pixels, NDArray[np.int64]]:
    """As many pictures of every class, and which was asked for."""
    parts = [pixels_of(drawn(run / "drawn" / label, run / "model", label=label, count=EACH)) for label in classes]
    return np.concatenate(parts), np.repeat(np.arange(len(classes)), [len(part) for part in parts])


def fashion(places: Places, name: str) -> list[Row]:
    """The class asked for, by a judge of pictures that the network never saw, and by one of all pictures."""
    seen, places_seen, classes = labelled(places.set("fashion"))
    unseen, places_unseen, _ = labelled(places.set("fashion-held-out"))
    learned, held = Lesson(seen, {"class": places_seen}), Lesson(unseen, {"class": places_unseen})
    every = Lesson(np.concatenate([seen, unseen]), {"class": np.concatenate([places_seen, places_unseen])})
    heads = {"class": len(classes)}
    strict = taught(held, heads, EPOCHS)
    judges = (
        (taught(every, heads, EPOCHS), f"a classifier of all {len(every.pixels)} pictures", folded(every, heads)),
        (strict, f"a classifier of the {len(unseen)} held out", accuracy(strict, learned)["class"]),
    )
    found = [row(name, "real pictures new to the judge, named right", ceiling, who) for _, who, ceiling in judges]
    pixels, asked = of_classes(places.run(name), classes)
    for judge, who, _ in judges:
        found += [row(name, "the asked class is named", rate_interval(judge.named(pixels)["class"] == asked), who, 0.9)]
    against = kid(places, name, places.set("fashion"), places.run(name) / "drawn")
    return [*found, row(name, "KID against what it learned from", against, FEATURES)]


def folded(lesson: Lesson, heads: Mapping[str, int]) -> Estimate:
    """Accuracy about pictures not learned, each picture once (cross-validation)."""
    order = np.random.default_rng(3).permutation(len(lesson.pixels))
    hits = np.zeros(len(order), bool)
    for part in np.array_split(order, FOLDS):
        rest = np.setdiff1d(order, part)
        named = taught(lesson.part(rest), heads, EPOCHS).named(lesson.pixels[part])
        hits[part] = named["class"] == lesson.answers["class"][part]
    return rate_interval(hits)


SCORES: dict[str, Callable[[Places, str], list[Row]]] = {
    "birds": birds,
    "fashion": fashion,
    "kinds": kinds,
    "faces": faces,
    "words": words,
    "sharper": sharper,
    "portraits": portraits,
}
"""The word of a run -> what is measured."""
