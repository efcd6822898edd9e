"""How like its subject, how true to its words and how varied: the numbers of pictures of one subject, and their judges.

Pictures come by prompt. Those of one prompt are no independent draws, so a prompt counts as one number, and n is that
of prompts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel import models
from easel.jobs.inputs import batches, model_label
from easel.jobs.judges import CLIP_I, CLIP_T, TOGETHER, Fitness, score_of
from easel.metrics import likeness
from easel.metrics.clip import cosines
from easel.metrics.intervals import Estimate, grouped_rate_interval, mean_interval
from easel.result import Score
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.features import Clip, Perceptual, Subject

SUBJECT = "subject similarity"
"""DINO of the DreamBooth paper, where DINO judges."""
LEARNED = "similarity to learned photos"
"""The same with the photos that were learned, where others are held back: what it is more is learned by heart."""
DIV, PRES, CLASS_DIV = "DIV", "PRES", "DIV of the class"
COPIES = "near-copies"
WHO = {
    SUBJECT: "subject",
    LEARNED: "subject",
    CLIP_I: "clip",
    CLIP_T: "clip",
    DIV: "perceptual",
    COPIES: "perceptual",
} | {
    PRES: "subject",
    CLASS_DIV: "perceptual",
}
"""Which judge of a family gives a score."""
LEAST = {SUBJECT: -1.0, LEARNED: -1.0, CLIP_I: -1.0, CLIP_T: -1.0, PRES: -1.0, DIV: 0.0, CLASS_DIV: 0.0}
"""The least that a score can be, but for rates; above, a cosine is at most 1 and a distance has no end."""
MORE_IS_BETTER = {SUBJECT: True, CLIP_I: True, CLIP_T: True, DIV: True, COPIES: False}
"""Of scores that have a better end: which one it is."""
ENDS = {name: (least, np.inf if least == 0 else 1.0) for name, least in LEAST.items()} | {COPIES: (0.0, 1.0)}
"""The least and the greatest that a score can be."""
MOST_APART = 30
"""Pairs of training photos from which it is taken how far they are apart, at most."""
MOST_PHOTOS = 100
"""Photos of a subject that are looked at, at most."""
NEAREST = 8
"""Training photos that a picture is compared with, at most: those that are most like it as a subject."""

Rows = NDArray[np.float32]
Values = dict[str, list[list[float]]]
"""Score -> for each prompt the numbers of its pictures (of DIV a single one)."""


@dataclass(frozen=True, eq=False)
class LikenessJudges:
    """The three judges of a family, loaded."""

    family: str
    subject: Subject
    clip: Clip
    perceptual: Perceptual
    fitness: Fitness

    @classmethod
    def load(cls, family: str, workspace: Workspace) -> LikenessJudges:
        """Raises EaselError where the family has not all three."""
        with workspace.phase("loading judges", 3) as done:
            subject = models.load(family, "subject", workspace.device)
            done(1)
            clip = models.load(family, "clip", workspace.device)
            done(2)
            perceptual = models.load(family, "perceptual", workspace.device)
        return cls(family, subject, clip, perceptual, Fitness.of(family))

    def name_of(self, score: str) -> str:
        """Who gives a score, such as 'subject:pocket'."""
        return f"{WHO[score]}:{model_label(self.family)}"

    def distances(self, a: Sequence[Image.Image], b: Sequence[Image.Image]) -> list[float]:
        """Perceptual distance of each pair, the second picture at the size of the first."""
        found: list[float] = []
        for part in batches(zip(a, b, strict=True), TOGETHER):
            sized = [two if two.size == one.size else two.resize(one.size) for one, two in part]
            found += self.perceptual.distance([one for one, _ in part], sized)
        return found


@dataclass(frozen=True, eq=False)
class Photos:
    """Real photos as the judges see them."""

    pictures: tuple[Image.Image, ...]
    subject: Rows
    clip: Rows
    apart: float | None
    """How far two of them are apart on average; None of fewer than two, and where all are the same."""

    @classmethod
    def of(cls, pictures: Sequence[Image.Image], judges: LikenessJudges) -> Photos:
        """Look at some photos, one or more."""
        some = [pair for pair in likeness.pairs(len(pictures)) if len(pictures) > 1]
        some = [some[int(at)] for at in np.linspace(0, len(some) - 1, min(MOST_APART, len(some)))] if some else []
        far = judges.distances([pictures[i] for i, _ in some], [pictures[j] for _, j in some])
        apart = float(np.mean(far)) if far and max(far) > 0 else None
        rows = judges.subject.images(pictures), judges.clip.images(pictures)
        return cls(tuple(pictures), *rows, apart)

    @property
    def ceiling(self) -> Estimate | None:
        """How like one another the photos are themselves, the subject's own likeness elsewhere; None of one photo."""
        if len(self.pictures) < 2:
            return None
        others = [np.delete(self.subject, at, axis=0) for at in range(len(self.pictures))]
        each = [
            float(likeness.subject_fidelity(row[None], rest)[0]) for row, rest in zip(self.subject, others, strict=True)
        ]
        return mean_interval(each, within=(-1.0, 1.0))


Progress = Callable[[int], None]


def measure(
    judges: LikenessJudges,
    made: Sequence[tuple[str, Sequence[Image.Image]]],
    real: Photos,
    trained: Photos | None = None,
    done: Progress = lambda _: None,
) -> Values:
    """The numbers of pictures by their prompts, as the judge of words is to read them.

    ``real``: photos that they should be like; ``trained``: those they were taught from, for near-copies. What has no
    meaning here is left out: DIV of single pictures, CLIP-I by a judge that is not fit for it. ``done`` is told how
    many prompts are done.
    """
    found: Values = {}
    for number, (prompt, pictures) in enumerate(made):
        rows, looks = judges.clip.images(pictures), judges.subject.images(pictures)
        words = judges.clip.texts([prompt])
        each = {
            SUBJECT: likeness.subject_fidelity(looks, real.subject),
            LEARNED: likeness.subject_fidelity(looks, trained.subject)
            if trained is not None and trained is not real
            else [],
            CLIP_I: likeness.subject_fidelity(rows, real.clip) if judges.fitness.is_fit else [],
            CLIP_T: cosines(rows, words),
            DIV: _diversity(judges, pictures),
            COPIES: _copies(judges, pictures, looks, trained) if trained is not None else [],
        }
        for name, values in each.items():
            if len(values):
                found.setdefault(name, []).append([float(value) for value in values])
        done(number + 1)
    return found


def of_class(judges: LikenessJudges, pictures: Sequence[Image.Image], real: Photos) -> Values:
    """PRES and DIV of pictures that were made of the class alone (DreamBooth, section 4.3)."""
    found = {PRES: [[float(v)] for v in likeness.subject_fidelity(judges.subject.images(pictures), real.subject)]}
    varied = _diversity(judges, pictures)
    return found | ({CLASS_DIV: [varied]} if varied else {})


def _diversity(judges: LikenessJudges, pictures: Sequence[Image.Image]) -> list[float]:
    both = likeness.pairs(len(pictures))
    if not both:
        return []
    return [likeness.diversity(judges.distances([pictures[i] for i, _ in both], [pictures[j] for _, j in both]))]


def _copies(
    judges: LikenessJudges, pictures: Sequence[Image.Image], looks: Rows, trained: Photos
) -> NDArray[np.bool_] | list[float]:
    if trained.apart is None:
        return []
    order = np.argsort(-(looks @ trained.subject.T), axis=1)[:, :NEAREST]
    flat = [(picture, trained.pictures[at]) for picture, row in zip(pictures, order, strict=True) for at in row]
    far = np.array(judges.distances([one for one, _ in flat], [two for _, two in flat])).reshape(order.shape)
    return likeness.near_copies(list(far), trained.apart)


def estimates(values: Values) -> dict[str, Estimate]:
    """The means over prompts with their intervals, by score; of near-copies their rate."""
    found = {}
    for name, groups in values.items():
        if name == COPIES:
            found[name] = grouped_rate_interval(groups)
        else:
            found[name] = mean_interval([float(np.mean(group)) for group in groups], within=ENDS[name])
    return found


def scores_of(judges: LikenessJudges, found: Mapping[str, Estimate], of: str, after: str = "") -> list[Score]:
    """Estimates as scores about a set; ``after`` is put behind their names."""
    return [score_of(f"{name}{after}", estimate, judges.name_of(name), of) for name, estimate in found.items()]


def without(prompt: str, identifier: str | None) -> str:
    """A prompt without the identifier, a word that no judge knows.

    >>> without("a sks dog on the moon", "sks")
    'a dog on the moon'
    """
    if not identifier:
        return prompt
    return " ".join(re.sub(rf"(?<!\w){re.escape(identifier)}(?!\w)", " ", prompt).split())
