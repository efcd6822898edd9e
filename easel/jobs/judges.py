"""The judges of restyled pictures, and their verdicts as scores that name them.

Judges are loaded without the run's dtype: what measures stays in the door's own choice, float32, so that numbers of two
runs compare.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from easel import models
from easel.errors import EaselError
from easel.jobs.inputs import batches, model_label
from easel.metrics.clip import cosines
from easel.metrics.intervals import Estimate
from easel.metrics.retrieval import AMONG
from easel.models.catalog import checks, locate, tables
from easel.result import Score
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.captioners import Answerer
    from easel.models.features import Clip, Perceptual
    from easel.models.set_features import SetFeatureModel

STYLE = "style"
STYLE_BEFORE = "style on the photo"
CLIP_T = "CLIP-T"
CLIP_I = "CLIP-I"
DISTANCE = "perceptual distance"
TOGETHER = 16  # pictures before a judge at once
HIT = 0.5
"""From this probability of yes on, the judge has said yes."""
FIT = 0.5
"""A CLIP that finds less of the photos among 20 cannot say how much of one is kept: its CLIP-I is left out."""
ENDS = {
    STYLE: (0.0, 1.0),
    STYLE_BEFORE: (0.0, 1.0),
    CLIP_T: (-1.0, 1.0),
    CLIP_I: (-1.0, 1.0),
    DISTANCE: (0.0, math.inf),
}
"""The least and the greatest that a score can be."""
MORE_IS_BETTER = {STYLE: True, CLIP_T: True, CLIP_I: True, DISTANCE: False}
"""Of scores that have a better end: which one it is. STYLE_BEFORE speaks of the photo alone."""

WHO = {STYLE: "vqa", STYLE_BEFORE: "vqa", CLIP_T: "clip", CLIP_I: "clip", DISTANCE: "perceptual"}
"""Which judge of a family gives a score."""


GENERAL = ("large", "base")
"""Families that know the pictures of any model, the best first."""


def family_for(model: str, roles: Sequence[str] = ("clip",)) -> str | None:
    """The family whose judges know a model's pictures: the model's own or that of the model which it was made from,
    else the best at hand of those that know any pictures; None where there is none. It has judges of all ``roles``.
    """
    folder = Path(model).expanduser()
    if model not in tables.ROWS and (folder / "easel.json").is_file():
        said = checks.read_json(folder / "easel.json").get("base")
        model = said if isinstance(said, str) and said in tables.ROWS else model
    row = tables.ROWS.get(model)
    has = row.parts if row else [role for role in roles if (folder / tables.SUBFOLDERS[role]).is_dir()]
    able = (model, *GENERAL) if all(role in has for role in roles) else GENERAL
    return next((family for family in able if all(_at_hand(family, role) for role in roles)), None)


def _at_hand(family: str, role: str) -> bool:
    try:
        locate.find(family, role)
    except EaselError:
        return False
    return True


def judge_name(family: str, score: str) -> str:
    """Who gives a score, such as 'vqa:pocket'."""
    return f"{WHO[score]}:{model_label(family)}"


def distance_name(judge: SetFeatureModel, model: str, of: str = "kernel") -> str:
    """What the kernel or the Fréchet distance by a judge is called: KID and FID where it is Inception, and else with
    the judge in the name, such as 'kernel distance (clip:pocket)'.
    """
    name = judge.kernel if of == "kernel" else judge.frechet
    return name if name in {"KID", "FID"} else f"{name} ({judge.kind}:{model_label(model)})"


@dataclass(frozen=True)
class Fitness:
    """How often a family's CLIP, by CLIP-I, finds the photo that a restyled picture was made of among 20 photos."""

    family: str
    found: Estimate | None = None
    """None where nobody has measured it."""
    among: int = AMONG

    @classmethod
    def of(cls, family: str) -> Fitness:
        """As it was measured once, and kept in the CLIP's own folder: `fitness` in easel.json (benchmarks.fitness).

        Raises EaselError where that is damaged.
        """
        folder = locate.find(family, "clip").path
        if not (folder / "easel.json").is_file():
            return cls(family)
        kept = checks.read_json(folder / "easel.json").get("fitness")
        try:
            return cls(family, Estimate(kept["value"], kept["low"], kept["high"], kept["n"])) if kept else cls(family)
        except (KeyError, TypeError) as problem:
            raise EaselError(f"{folder / 'easel.json'} is damaged at fitness: get the model again") from problem

    @property
    def is_fit(self) -> bool:
        """Whether CLIP-I may be shown. What nobody has measured is shown, and said not to be."""
        return self.found is None or self.found.value >= FIT

    @property
    def note(self) -> str:
        """It, in a sentence."""
        judge = judge_name(self.family, CLIP_I)
        if self.found is None:
            return f"{CLIP_I}: how well {judge} finds a photo again was not measured; {DISTANCE} tells content kept too"
        low, high = self.found.low, self.found.high
        ends = "" if low is None or high is None else f" ({low:.0%} to {high:.0%}, {self.found.n} photos)"
        said = f"{judge} finds the photo of a restyled picture among {self.among} in {self.found.value:.0%}{ends}"
        if self.is_fit:
            return f"{CLIP_I}: {said}"
        return f"{CLIP_I} is left out: {said}, too seldom to say what content is kept; {DISTANCE} is for that"


@dataclass(frozen=True)
class Judges:
    """One family of judges, loaded."""

    family: str
    ask: Answerer
    clip: Clip
    perceptual: Perceptual
    fitness: Fitness

    def name_of(self, score: str) -> str:
        """Who gives a score, such as 'vqa:pocket'."""
        return judge_name(self.family, score)


@dataclass(frozen=True)
class Verdict:
    """What the judges say about one picture."""

    style: float
    """Probability, 0 to 1, of yes to the style's question, asked about the picture."""
    style_before: float
    """The same about the plain photo: what the judge would have said anyway."""
    clip_t: float
    """Cosine, -1 to 1, of the picture with the style's prompt."""
    clip_i: float
    """Cosine, -1 to 1, of the picture with the photo."""
    distance: float
    """Perceptual distance of picture and photo: 0 when they are the same, more the less of it is kept."""

    @property
    def values(self) -> dict[str, float]:
        """The numbers by the names that their scores have."""
        return {
            STYLE: self.style,
            STYLE_BEFORE: self.style_before,
            CLIP_T: self.clip_t,
            CLIP_I: self.clip_i,
            DISTANCE: self.distance,
        }

    @classmethod
    def of(cls, values: Mapping[str, float]) -> Verdict:
        """The verdict whose `values` these are."""
        return cls(values[STYLE], values[STYLE_BEFORE], values[CLIP_T], values[CLIP_I], values[DISTANCE])

    def lines(self, fitness: Fitness) -> tuple[str, ...]:
        """The numbers as a sheet says them."""
        content = f", CLIP-I {self.clip_i:.2f}" if fitness.is_fit else ""
        return (
            f"style {self.style:.2f} (photo {self.style_before:.2f})",
            f"CLIP-T {self.clip_t:.2f}{content}",
            f"perceptual distance {self.distance:.3f}",
        )


def load_clip(family: str, workspace: Workspace) -> Clip:
    """The family's judge of how well a picture fits words. Raises EaselError when it has none."""
    workspace.step("loading judges", 0, 1)
    clip = models.load(family, "clip", workspace.device)
    workspace.step("loading judges", 1, 1)
    return clip


def load_judges(family: str, workspace: Workspace) -> Judges:
    """The three judges of a family. Raises EaselError when it has not all of them."""
    device = workspace.device
    workspace.step("loading judges", 0, 3)
    ask = models.load(family, "ask", device)
    workspace.step("loading judges", 1, 3)
    clip = models.load(family, "clip", device)
    workspace.step("loading judges", 2, 3)
    perceptual = models.load(family, "perceptual", device)
    workspace.step("loading judges", 3, 3)
    return Judges(family, ask, clip, perceptual, Fitness.of(family))


def verdicts(
    judges: Judges,
    photo: Image.Image,
    pictures: Sequence[Image.Image],
    prompts: Sequence[str],
    questions: Sequence[str],
) -> list[Verdict]:
    """What the judges say about `pictures`, all made from `photo`, each with its style's prompt and question."""
    asked = list(dict.fromkeys(questions))
    before = dict(zip(asked, judges.ask.yes([photo] * len(asked), asked), strict=True))
    row = judges.clip.images([photo])
    found: list[Verdict] = []
    for part in batches(zip(pictures, prompts, questions, strict=True), TOGETHER):
        images, texts, questions_now = (list(column) for column in zip(*part, strict=True))
        rows = judges.clip.images(images)
        numbers = zip(
            judges.ask.yes(images, questions_now),
            (before[question] for question in questions_now),
            cosines(rows, judges.clip.texts(texts)),
            cosines(rows, row),
            judges.perceptual.distance([photo.resize(image.size) for image in images], images),
            strict=True,
        )
        found += [Verdict(*(float(number) for number in five)) for five in numbers]
    return found


def picture_scores(judges: Judges, of: str, verdict: Verdict) -> list[Score]:
    """The scores of one picture; without CLIP-I where the judge is not fit for it."""
    return [
        Score(name=name, value=value, judge=judges.name_of(name), of=of)
        for name, value in verdict.values.items()
        if name != CLIP_I or judges.fitness.is_fit
    ]


def score_of(name: str, estimate: Estimate, judge: str, of: str) -> Score:
    """An estimate as a score about a set."""
    return Score(
        name=name, value=estimate.value, low=estimate.low, high=estimate.high, n=estimate.n, judge=judge, of=of
    )


def column(found: Iterable[Verdict], name: str) -> list[float]:
    """One number of every verdict, by its score's name."""
    return [verdict.values[name] for verdict in found]
