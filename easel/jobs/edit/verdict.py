"""How well an edit hit: what was asked for, what was kept, and what became of light and colour."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from easel import models
from easel.jobs import judges
from easel.jobs.inputs import model_label
from easel.jobs.judges import CLIP_I, CLIP_T, DISTANCE, Fitness, judge_name, score_of
from easel.metrics import edits
from easel.metrics.clip import cosines
from easel.metrics.intervals import mean_interval
from easel.models.diffusion import masks
from easel.result import Score
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.features import Clip, Perceptual

DIRECTION = "CLIP direction similarity"
EDGES = "edges F1"
STRUCTURE = "structure correlation"
LUMINANCE, LUMINANCE_BEFORE = "luminance", "luminance of the photo"
SHIFT = "colour shift"
DARK, BRIGHT = "dark pixels", "bright pixels"
INSIDE, OUTSIDE = "change inside the mask", "largest change outside the mask"
ALWAYS = (CLIP_T, DISTANCE, EDGES, LUMINANCE, LUMINANCE_BEFORE, DARK, BRIGHT)
"""Numbers that every edit has."""
MORE_IS_BETTER = judges.MORE_IS_BETTER | {DIRECTION: True, EDGES: True, STRUCTURE: True, OUTSIDE: False}
"""Of the numbers that have a better end: which one it is. Whether darker is better only the words can say."""
ENDS = judges.ENDS | {DIRECTION: (-1.0, 1.0), EDGES: (0.0, 1.0), STRUCTURE: (-1.0, 1.0), SHIFT: (0.0, math.inf)}
ENDS |= {DARK: (0.0, 1.0), BRIGHT: (0.0, 1.0)} | dict.fromkeys(
    (LUMINANCE, LUMINANCE_BEFORE, INSIDE, OUTSIDE), (0.0, 255.0)
)
"""The least and the greatest that a number can be."""
BY_CLIP = (DIRECTION, CLIP_T, CLIP_I)
PIXELS = "pixels"
"""The judge of what is counted and not judged by a model."""
LOOKED_AT = 1024
"""Pixels of the longer side at which photo and edit are compared."""


@dataclass(frozen=True, eq=False)
class Judge:
    """The judges of a family, loaded."""

    family: str
    clip: Clip
    perceptual: Perceptual
    fitness: Fitness

    @classmethod
    def load(cls, family: str, workspace: Workspace) -> Judge:
        """Raises EaselError where the family has not both."""
        with workspace.phase("loading judges", 2) as done:
            clip = models.load(family, "clip", workspace.device)
            done(1)
            perceptual = models.load(family, "perceptual", workspace.device)
        return cls(family, clip, perceptual, Fitness.of(family))

    @property
    def notes(self) -> list[str]:
        """What a person should know of it."""
        return [self.fitness.note]

    def values(
        self, photo: Image.Image, picture: Image.Image, caption: str, prompt: str, mask: Image.Image | None
    ) -> dict[str, float]:
        """The numbers of one edit by their names; one that has no meaning here is left out.

        Photo and edit are of one size and compared at LOOKED_AT pixels, a change inside and outside a mask at theirs.
        Without a prompt nothing is measured against words, without a caption no direction.
        """
        small = [_small(one) for one in (photo, picture)]
        before, after = (np.asarray(one) for one in small)
        rows, texts = self.clip.images(small), self.clip.texts([caption, prompt])
        light, dark = edits.luminance(before, after), edits.clipped(after)
        found = {
            DIRECTION: float(edits.direction_similarity(rows[:1], rows[1:], texts[:1], texts[1:])[0])
            if caption and prompt
            else math.nan,
            CLIP_T: float(cosines(rows[1:], texts[1:])[0]) if prompt else math.nan,
            CLIP_I: float(cosines(rows[1:], rows[:1])[0]) if self.fitness.is_fit else math.nan,
            DISTANCE: float(self.perceptual.distance(small[:1], small[1:])[0]),
            EDGES: edits.edge_match(edits.edges(before), edits.edges(after)).f1,
            STRUCTURE: edits.structure_correlation(before, after),
            LUMINANCE: light.after,
            LUMINANCE_BEFORE: light.before,
            SHIFT: edits.colour(before, after).shift,
            DARK: dark.dark,
            BRIGHT: dark.bright,
        }
        if mask is not None:
            changed = edits.change(np.asarray(photo), np.asarray(picture), np.asarray(masks.levels(mask)) > 0)
            found |= {INSIDE: changed.inside_mean, OUTSIDE: changed.outside_max}
        return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _small(picture: Image.Image) -> Image.Image:
    scale = LOOKED_AT / max(picture.size)
    if scale >= 1:
        return picture
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def lines(values: Mapping[str, float]) -> list[str]:
    """The numbers as a sheet says them."""
    said = [
        f"CLIP direction {values[DIRECTION]:.2f}, CLIP-T {values[CLIP_T]:.2f}"
        if DIRECTION in values
        else f"CLIP-T {values[CLIP_T]:.2f}",
        f"edges F1 {values[EDGES]:.2f}, perceptual distance {values[DISTANCE]:.3f}",
        f"luminance {values[LUMINANCE_BEFORE]:.0f} to {values[LUMINANCE]:.0f}, {values[DARK]:.0%} of pixels dark",
    ]
    return said + ([f"outside the mask at most {values[OUTSIDE]:.0f} levels"] if OUTSIDE in values else [])


def scores_of(family: str, rows: Sequence[Mapping[str, Any]]) -> list[Score]:
    """The scores of each picture, and over several photos their means, a photo's own mean standing for it."""
    scores = [
        Score(name=name, value=value, judge=judge_of(family, name), of=row["file"])
        for row in rows
        for name, value in row["values"].items()
    ]
    photos = list(dict.fromkeys(row["photo"] for row in rows))
    if len(photos) > 1:
        for name in dict.fromkeys(name for row in rows for name in row["values"]):
            mine = [
                [row["values"][name] for row in rows if row["photo"] == photo and name in row["values"]]
                for photo in photos
            ]
            each = [float(np.mean(numbers)) for numbers in mine if numbers]
            scores.append(
                score_of(
                    name, mean_interval(each, within=ENDS[name]), judge_of(family, name), f"all {len(each)} photos"
                )
            )
    return scores


def judge_of(family: str, name: str) -> str:
    """Who of a family gives a number, such as 'clip:pocket'."""
    if name == DISTANCE:
        return judge_name(family, DISTANCE)
    return f"clip:{model_label(family)}" if name in BY_CLIP else PIXELS
