"""What each run is asked, and what the answer was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.domains.classifier import LabelledPictures, Pixels, accuracy, train_classifier
from benchmarks.domains.faces import faces
from benchmarks.domains.measurements import (
    COUNT,
    EACH,
    FEATURES,
    Measurement,
    above_nothing,
    at_the_end,
    difference,
    drawn,
    estimate,
    kid,
    measurement,
    result_in,
    times_less,
)  # fmt: skip
from benchmarks.domains.runs import RUNS
from benchmarks.domains.sets import Folders, labelled, pixels_of
from benchmarks.domains.words import SCENES, seeing, sharper, words
from easel.metrics.intervals import Estimate, rate_interval

EPOCHS = 30
"""Of the classifiers of clothes, which have few pictures."""
FOLDS = 3


def birds(folders: Folders, name: str) -> list[Measurement]:
    """KID of drawn birds against birds nobody has seen, and how many times less that is than untrained."""
    folder = folders.run(name)
    made = drawn(folder / "drawn", folder / "model", count=COUNT)
    after = kid(folders, name, folders.set("birds-held-out") / "images", made)
    trained = result_in(folder / "model")
    assert trained is not None
    before = estimate(next(score for score in trained.scores if score.name.endswith(" untrained")))
    return [
        measurement(name, "KID untrained over KID trained", times_less(before.value, after), FEATURES, 10),
        measurement(name, "KID against held-out birds", after, FEATURES),
        measurement(name, "KID untrained", before, FEATURES),
    ]


def portraits(folders: Folders, name: str) -> list[Measurement]:
    """KID against the portraits, and where the run without augmentation is there, how much better."""
    made = drawn(folders.run(name) / "drawn", folders.run(name) / "model", count=COUNT)
    real, found = folders.set("portraits-64"), []
    ours = kid(folders, name, real, made)
    before = RUNS[name].after
    if before is not None:
        kept = kid(folders, before, real, folders.run(before) / "drawn")
        last = [at_the_end(folders.run(one)) for one in (before, name)]
        what = "KID without augmentation less KID with it"
        found = [
            above_nothing(name, f"{what}, the best models", difference(kept, ours), FEATURES),
            above_nothing(name, f"{what}, the last", difference(*last), FEATURES),
        ]
    return [*found, measurement(name, "KID against the portraits", ours, FEATURES)]


def kinds(folders: Folders, name: str) -> list[Measurement]:
    """The kind asked for, by the judge of scenes."""
    from easel.pocket.train import judge

    folder = folders.run(name)
    classes = sorted(json.loads((folder / "model" / "config.json").read_text(encoding="utf-8"))["names"])
    pixels, asked = of_classes(folder, classes)
    hits = [found == classes[place] for found, place in zip(judge.load().name(pixels)["kind"], asked, strict=True)]
    return [measurement(name, "the asked kind is named", rate_interval(hits), SCENES, 0.9), *seeing(name, "kind")]


def of_classes(run: Path, classes: Sequence[str]) -> tuple[Pixels, NDArray[np.int64]]:
    """As many pictures of every class, and which was asked for."""
    parts = [pixels_of(drawn(run / "drawn" / label, run / "model", label=label, count=EACH)) for label in classes]
    return np.concatenate(parts), np.repeat(np.arange(len(classes)), [len(part) for part in parts])


def fashion(folders: Folders, name: str) -> list[Measurement]:
    """The class asked for, by a judge of pictures that the network never saw, and by one of all pictures."""
    seen, labels_seen, classes = labelled(folders.set("fashion"))
    unseen, labels_unseen, _ = labelled(folders.set("fashion-held-out"))
    learned, held = LabelledPictures(seen, {"class": labels_seen}), LabelledPictures(unseen, {"class": labels_unseen})
    every = LabelledPictures(np.concatenate([seen, unseen]), {"class": np.concatenate([labels_seen, labels_unseen])})
    heads = {"class": len(classes)}
    strict = train_classifier(held, heads, EPOCHS)
    judges = (
        (
            train_classifier(every, heads, EPOCHS),
            f"a classifier of all {len(every.pixels)} pictures",
            folded(every, heads),
        ),
        (strict, f"a classifier of the {len(unseen)} held out", accuracy(strict, learned)["class"]),
    )
    found = [
        measurement(name, "real pictures new to the judge, named right", ceiling, who) for _, who, ceiling in judges
    ]
    pixels, asked = of_classes(folders.run(name), classes)
    for judge, who, _ in judges:
        found += [
            measurement(
                name, "the asked class is named", rate_interval(judge.predict(pixels)["class"] == asked), who, 0.9
            )
        ]
    against = kid(folders, name, folders.set("fashion"), folders.run(name) / "drawn")
    return [*found, measurement(name, "KID against what it learned from", against, FEATURES)]


def folded(data: LabelledPictures, heads: Mapping[str, int]) -> Estimate:
    """Accuracy about pictures not learned, each picture once (cross-validation)."""
    order = np.random.default_rng(3).permutation(len(data.pixels))
    hits = np.zeros(len(order), bool)
    for part in np.array_split(order, FOLDS):
        rest = np.setdiff1d(order, part)
        named = train_classifier(data.part(rest), heads, EPOCHS).predict(data.pixels[part])
        hits[part] = named["class"] == data.answers["class"][part]
    return rate_interval(hits)


SCORES: dict[str, Callable[[Folders, str], list[Measurement]]] = {
    "birds": birds,
    "fashion": fashion,
    "kinds": kinds,
    "faces": faces,
    "words": words,
    "sharper": sharper,
    "portraits": portraits,
}
"""The word of a run -> what is measured."""
