"""Whether an asked attribute changes and the others stay, as a classifier sees it that knows other faces."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.domains.classifier import Classifier, LabelledPictures, accuracy, train_classifier
from benchmarks.domains.measurements import FEW, Measurement, drawn, measurement
from benchmarks.domains.runs import RUNS, WORLDS
from benchmarks.domains.sets import Folders, annotations_of, pixels_of
from easel.metrics.intervals import Estimate, rate_interval
from easel.pocket.world import words

EPOCHS = 4
UNASKED = ("kind", "colour")
"""What the network knows nothing of."""
CHANGES, KEEPS = "the asked attribute changes", "the other attributes keep"
Answers = dict[str, NDArray[np.int64]]


def faces(folders: Folders, name: str) -> list[Measurement]:
    """Ask for each attribute that a picture has not, and against each that it has; count what changed and what kept."""
    folder, names = folders.run(name), tuple(RUNS[name].settings["attributes"])
    judge, accuracies = face_judge(folders, names)
    plain = judge.predict(pixels_of(drawn(folder / "drawn" / "plain", folder / "model", count=FEW)))
    hits: dict[str, list[bool]] = {}
    for attribute in names:
        for target, sign in enumerate(("-1", "+1")):
            asked: Any = {"attribute": (f"{attribute}={sign}",), "count": FEW, "batch_size": 1}
            made = drawn(folder / "drawn" / f"{attribute}{sign}", folder / "model", **asked)
            found = compared(plain, judge.predict(pixels_of(made)), attribute, target, names)
            for what, marks in found.items():
                hits.setdefault(what, []).extend(marks)
            hits.setdefault(f"{attribute}, when asked, changes", []).extend(found[CHANGES])
    who = f"a classifier of {WORLDS['faces-judge'].count:,} other faces"
    bars = {CHANGES: 0.8, KEEPS: 0.85}
    return [
        *(measurement(name, what, rate_interval(marks), who, bars.get(what)) for what, marks in hits.items()),
        *(measurement(name, f"the same judge, {head} of real faces", right, who) for head, right in accuracies.items()),
    ]


def compared(
    plain: Answers, after: Answers, attribute: str, target: int, names: Sequence[str]
) -> dict[str, list[bool]]:
    """Of pictures that had not what was asked: whether they have it now, and whether each of the rest is as it was."""
    place = np.flatnonzero(plain[attribute] != target)
    others = [name for name in names if name != attribute]
    found = {
        CHANGES: list(after[attribute][place] == target),
        KEEPS: [bool(x) for one in others for x in (after[one] == plain[one])[place]],
    }
    for one in UNASKED:
        found[f"the {one} keeps, which it was never told"] = list((after[one] == plain[one])[place])
    return found


def face_judge(folders: Folders, names: Sequence[str]) -> tuple[Classifier, dict[str, Estimate]]:
    """A classifier of attributes, kind and colour of faces, kept once trained, and its accuracy on held-out faces."""
    from safetensors.torch import load_file, save_file

    train, test = (labelled_faces(folders.set(one), names) for one in ("faces-judge", "faces-held-out"))
    heads = dict.fromkeys(names, 2) | {"kind": len(words.PEOPLE), "colour": len(words.COLOURS)}
    kept = folders.work / "faces-judge.safetensors"
    if kept.is_file():
        judge = Classifier(heads).eval().requires_grad_(False)
        judge.load_state_dict(load_file(kept))
    else:
        judge = train_classifier(train, heads, EPOCHS)
        save_file({key: value.contiguous() for key, value in judge.state_dict().items()}, kept)
    return judge, accuracy(judge, test)


def labelled_faces(folder: Path, names: Sequence[str]) -> LabelledPictures:
    """The faces of a world set with what they wear, how they feel, who they are."""
    rows = annotations_of(folder)
    answers = {name: np.array([int(one[name]) for one in rows], np.int64) for name in names}
    answers["kind"] = np.array([words.PEOPLE.index(one["kind"]) for one in rows], np.int64)
    answers["colour"] = np.array([words.COLOURS.index(one["colour"]) for one in rows], np.int64)
    return LabelledPictures(pixels_of(folder / "images"), answers)
