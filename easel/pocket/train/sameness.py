"""Is it the same subject? How well a subject encoder says so: ``python -m easel.pocket.train.sameness [FOLDER]``.

Subjects that no training saw, each under changes of place, pose, mood, time and weather, against strangers and against
look-alikes, which share kind, colour, mood and things worn and differ in nothing but the details that the subject's
seed draws. An AUC is the chance that a pair of one subject is more alike than a pair of two (1/2: it cannot tell).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from easel import models
from easel.metrics.intervals import Estimate, mean_interval
from easel.models.features import Subject
from easel.pocket.train import bars, cards
from easel.pocket.train.alike import CHANGES, changed, lookalike
from easel.pocket.train.bars import Scores
from easel.pocket.train.details import OWN, details
from easel.pocket.train.export import POCKET
from easel.pocket.train.score import FIRST, TRUTH, entry, held_out, picture
from easel.pocket.world import Scene, words

COUNT = 600
"""Subjects."""
STRANGE = 2 * 10**8
"""Look-alikes' own seeds begin here."""
TOGETHER = 50
"""Pictures drawn and looked at together: so many are held in memory."""
RESAMPLES = 2000
"""Of a bootstrap."""
STRANGERS = "same subject against strangers (AUC)"
LOOKALIKES = "same subject against look-alikes (AUC)"
STRANGE_BELOW = "cosine below which two are strangers"
Rows = NDArray[np.float64]


class Trial:
    """Subjects and their look-alikes, and how alike an encoder finds them."""

    def __init__(self, encoder: Subject, count: int = COUNT) -> None:
        self.encoder = encoder
        self.scenes = held_out(count, offset=3000, style="plain", light="none")
        self.rows = self.seen(self.scenes)
        self.elsewhere = self.changed(CHANGES)
        self.twins = [lookalike(scene, STRANGE + i) for i, scene in enumerate(self.scenes)]
        """A look-alike of each subject, in the very same scene."""

    def seen(self, scenes: Sequence[Scene]) -> Rows:
        """(n, channels) of unit length."""
        parts = [scenes[i : i + TOGETHER] for i in range(0, len(scenes), TOGETHER)]
        found = [self.encoder.images([picture(scene) for scene in part]) for part in parts]
        return np.concatenate(found).astype(np.float64)

    def changed(self, what: Sequence[str]) -> list[Scene]:
        """Each scene with another of ``what``, its subject the same."""
        return [changed(scene, FIRST + 10**7 + i, what) for i, scene in enumerate(self.scenes)]

    def lookalikes(self) -> list[Scene]:
        """A look-alike of each subject in another place and pose; mood, time and weather are those of the scene."""
        return [changed(twin, FIRST + 2 * 10**7 + i, ("place", "pose")) for i, twin in enumerate(self.twins)]

    def same_details(self) -> list[bool]:
        """Whether a look-alike has every detail of its subject, so that nothing but a tint tells them apart."""
        return [details(one) == details(twin) for one, twin in zip(self.scenes, self.twins, strict=True)]

    def only(self, name: str) -> Rows:
        """Cosines of each subject with itself where nothing but this is another, of those that have another."""
        pairs = [(i, other) for i, other in enumerate(self.changed((name,))) if differ(self.scenes[i], other)]
        return cosines(self.rows[[i for i, _ in pairs]], self.seen([other for _, other in pairs]))


def differ(one: Scene, other: Scene) -> bool:
    """Whether something that `changed` may change is another."""
    return any(getattr(one, name) != getattr(other, name) for name in ("seed", "place", "mood", "time", "light"))


def cosines(a: Rows, b: Rows) -> Rows:
    """Of each row (n, d) of unit length with that in the same place: (n,)."""
    return np.asarray((a * b).sum(axis=1))


def auc_estimate(same: NDArray[Any], other: NDArray[Any]) -> Estimate:
    """The chance that one of ``same`` (n,) lies above one of ``other`` (m,), ties counted half; the interval resamples
    both.
    """

    def above(some: NDArray[Any], others: NDArray[Any]) -> float:
        line = np.sort(others)
        below = np.searchsorted(line, some, "left") + np.searchsorted(line, some, "right")
        return float(below.mean() / (2 * len(line)))

    rng = np.random.default_rng(0)
    found = [above(rng.choice(same, len(same)), rng.choice(other, len(other))) for _ in range(RESAMPLES)]
    low, high = np.quantile(found, (0.025, 0.975))
    return Estimate(above(same, other), float(low), float(high), len(same))


def of_strangers(same: NDArray[Any], other: NDArray[Any]) -> dict[str, Any]:
    """The cosine below which none of one subject's pairs (n,) lie, and how many of strangers' (m,) do: nobody should
    be told for nothing that photos show two subjects.
    """
    least = float(same.min())
    what = f"{(other < least).mean():.0%} of strangers' pairs lie below, and none of one subject's"
    return entry(Estimate(least, None, None, len(same)), TRUTH, what)


def measure(encoder: Subject, count: int = COUNT) -> Scores:
    """What is said of a subject encoder."""
    trial = Trial(encoder, count)
    elsewhere = trial.seen(trial.elsewhere)
    same, strangers = cosines(trial.rows, elsewhere), cosines(trial.rows, np.roll(elsewhere, 1, axis=0))
    twins, alike = (cosines(trial.rows, trial.seen(others)) for others in (trial.twins, trial.lookalikes()))
    everything = "place, pose, mood, time and weather another"
    found: Scores = {
        STRANGERS: entry(auc_estimate(same, strangers), TRUTH, f"{everything}; two subjects drawn by chance"),
        LOOKALIKES: entry(
            auc_estimate(same, alike),
            TRUTH,
            f"{everything}; same kind, colour, mood, things worn, time and weather",
        ),
        "same subject against look-alikes in its own place and pose (AUC)": entry(
            auc_estimate(same, twins), TRUTH, f"{everything}; everything the same but the subject"
        ),
    }
    for name in CHANGES:
        what = "against the same look-alikes, of those that have another"
        found[f"same subject, only the {name} another (AUC)"] = entry(
            auc_estimate(trial.only(name), alike), TRUTH, what
        )
    kinds, same_details = np.array([scene.kind for scene in trial.scenes]), np.array(trial.same_details())
    for kind in words.KINDS:
        of = kinds == kind
        if of.sum() > 1:
            shared = f", {same_details[of].mean():.0%} of which share every detail" if OWN[kind] else ""
            estimate = auc_estimate(same[of], alike[of])
            found[f"same {kind} (AUC)"] = entry(estimate, TRUTH, f"{everything}; against look-alikes{shared}")
    means = {"one subject": same, "look-alikes": alike, "strangers": strangers}
    for name, values in means.items():
        found[f"cosine of {name}"] = entry(mean_interval(values.tolist(), within=(-1.0, 1.0)), TRUTH, everything)
    found[STRANGE_BELOW] = of_strangers(same, strangers)
    return found


def subject(photos: Path) -> Scores:
    """Of the encoder as it ships."""
    del photos
    return measure(models.load("pocket", "subject"))


PARTS = {"subject": subject}


def tell(folder: Path = POCKET / "subject") -> None:
    """Write easel.json from scores.json: below which cosine `easel personalize` takes photos for two subjects."""
    measured = json.loads((folder / "scores.json").read_text())[STRANGE_BELOW]["value"]
    (folder / "easel.json").write_text(json.dumps({"stranger": round(measured, 2)}, indent=1) + "\n")


def main() -> None:
    """Measure pocket's encoder, or that of a folder; with --write the cards and easel.json say so."""
    parser = argparse.ArgumentParser(prog="easel.pocket.train.sameness", description=__doc__)
    parser.add_argument("folder", nargs="?", default="pocket", help="a model folder with a subject encoder")
    parser.add_argument("--count", type=int, default=COUNT, help="subjects")
    parser.add_argument("--write", action="store_true", help="keep the scores beside pocket's weights")
    asked = parser.parse_args()
    found = measure(models.load(asked.folder, "subject"), asked.count)
    for name, score in found.items():
        numbers = f"{score['value']} ({score['low']} to {score['high']}, n {score['n']})"
        print(f"{name}: {numbers} {bars.verdict('subject', name, score['value'])}".rstrip(), flush=True)
    if asked.write:
        (POCKET / "subject" / "scores.json").write_text(json.dumps(found, indent=1) + "\n")
        tell()
        cards.write(POCKET)


if __name__ == "__main__":
    main()
