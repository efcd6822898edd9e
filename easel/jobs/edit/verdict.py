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
from easel.jobs.edit.depth import DepthModel
from easel.jobs.inputs import model_label
from easel.jobs.judges import CLIP_I, CLIP_T, DISTANCE, Fitness, judge_name, score_of
from easel.metrics import edits
from easel.metrics.clip import cosines
from easel.metrics.intervals import mean_interval
from easel.models.diffusion import maps, masks
from easel.result import Score
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.features import Clip, Perceptual

DIRECTION = "CLIP direction similarity"
EDGES, EDGES_CONTROL = "edges F1", "edges F1 to the control"
DEPTH, DEPTH_CONTROL = "depth correlation", "depth correlation to the control"
STRUCTURE = "structure correlation"
LUMINANCE, LUMINANCE_BEFORE = "luminance", "luminance of the photo"
SHIFT = "colour shift"
DARK, BRIGHT = "dark pixels", "bright pixels"
INSIDE, OUTSIDE = "change inside the mask", "largest change outside the mask"
ALWAYS = (CLIP_T, DISTANCE, EDGES, LUMINANCE, LUMINANCE_BEFORE, DARK, BRIGHT)
"""Numbers that every edit has."""
MORE_IS_BETTER = judges.MORE_IS_BETTER | {
    **dict.fromkeys((DIRECTION, EDGES, EDGES_CONTROL, DEPTH, DEPTH_CONTROL, STRUCTURE), True),
    OUTSIDE: False,
}
"""Of the numbers that have a better end: which one it is. Whether darker is better only the words can say."""
ENDS = judges.ENDS | {DIRECTION: (-1.0, 1.0), EDGES: (0.0, 1.0), STRUCTURE: (-1.0, 1.0), SHIFT: (0.0, math.inf)}
ENDS |= dict.fromkeys((DEPTH, DEPTH_CONTROL), (-1.0, 1.0)) | {EDGES_CONTROL: (0.0, 1.0)}
ENDS |= {DARK: (0.0, 1.0), BRIGHT: (0.0, 1.0)} | dict.fromkeys(
    (LUMINANCE, LUMINANCE_BEFORE, INSIDE, OUTSIDE), (0.0, 255.0)
)
"""The least and the greatest that a number can be."""
BY_CLIP = (DIRECTION, CLIP_T, CLIP_I)
PIXELS = "pixels"
"""The judge of what is counted and not judged by a model."""
LOOKED_AT = 1024
"""Pixels of the longer side at which photo and edit are compared."""
DEPTH_AT = 512
"""The same for their depths."""

Map = tuple[str, Image.Image]
"""A control map's kind, and the map, RGB, of the photo's proportions."""


@dataclass(frozen=True, eq=False)
class Judge:
    """The judges of a family, loaded, and a model of depth where one is at hand."""

    family: str
    clip: Clip
    perceptual: Perceptual
    fitness: Fitness
    depth: DepthModel | None
    thresholds: tuple[float | None, float | None]
    """Canny's, by which edges that were followed are looked for again; None is Otsu's."""

    @classmethod
    def load(
        cls,
        family: str,
        workspace: Workspace,
        depth: DepthModel | None = None,
        thresholds: tuple[float | None, float | None] = (None, None),
    ) -> Judge:
        """Raises EaselError where the family has not both."""
        with workspace.phase("loading judges", 2) as done:
            clip = models.load(family, "clip", workspace.device)
            done(1)
            perceptual = models.load(family, "perceptual", workspace.device)
        return cls(family, clip, perceptual, Fitness.of(family), depth, thresholds)

    @property
    def notes(self) -> list[str]:
        """What a person should know of it."""
        return [self.fitness.note]

    def values(
        self,
        photo: Image.Image,
        picture: Image.Image,
        caption: str,
        prompt: str,
        mask: Image.Image | None = None,
        followed: Sequence[Map] = (),
    ) -> dict[str, float]:
        """The numbers of one edit by their names; one that has no meaning here is left out.

        Photo and edit are of one size and compared at LOOKED_AT pixels, their depths at DEPTH_AT, a change inside and
        outside a mask at their own size. `followed` are the control maps that steered the edit.
        Without a prompt nothing is measured against words, without a caption no direction.
        """
        small = [_small(one, LOOKED_AT) for one in (photo, picture)]
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
        found |= self._depths(photo, picture, followed) | self._edges(picture, followed)
        return {name: float(value) for name, value in found.items() if math.isfinite(value)}

    def _depths(self, photo: Image.Image, picture: Image.Image, followed: Sequence[Map]) -> dict[str, float]:
        """How far the depth of an edit is that of the photo, and that of the depth map that it followed."""
        if self.depth is None:
            return {}
        before, after = self.depth.model.nearness([_small(one, DEPTH_AT) for one in (photo, picture)])
        found = {DEPTH: edits.depth_correlation(before, after)}
        for wanted in (image for kind, image in followed if kind == "depth"):
            near = np.asarray(wanted.convert("L").resize(after.shape[::-1], Image.Resampling.BILINEAR))
            found[DEPTH_CONTROL] = edits.depth_correlation(near, after)
        return found

    def _edges(self, picture: Image.Image, followed: Sequence[Map]) -> dict[str, float]:
        """How far the edges that an edit followed are found in it again, at the size of their map."""
        found = {}
        for wanted in (image for kind, image in followed if kind == "canny"):
            again = maps.canny(picture.resize(wanted.size, Image.Resampling.LANCZOS), *self.thresholds)
            asked, seen = (np.asarray(one.convert("L")) >= masks.HALF for one in (wanted, again))
            if asked.any():  # where nothing was asked for, nothing can be followed
                found[EDGES_CONTROL] = edits.edge_match(asked, seen).f1
        return found


def _small(picture: Image.Image, longer: int) -> Image.Image:
    scale = longer / max(picture.size)
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
        *([f"depth correlation {values[DEPTH]:.2f}"] if DEPTH in values else []),
        f"luminance {values[LUMINANCE_BEFORE]:.0f} to {values[LUMINANCE]:.0f}, {values[DARK]:.0%} of pixels dark",
    ]
    return said + ([f"outside the mask at most {values[OUTSIDE]:.0f} levels"] if OUTSIDE in values else [])


def scores_of(family: str, rows: Sequence[Mapping[str, Any]]) -> list[Score]:
    """The scores of each picture, and over several photos their means by each judge, a photo's own mean standing for
    it. Each row has the file, the photo, the values, and who judged depth.
    """
    scores = [
        Score(name=name, value=value, judge=judge_of(family, name, row["depth"]), of=row["file"])
        for row in rows
        for name, value in row["values"].items()
    ]
    if len({row["photo"] for row in rows}) > 1:
        for name, judge in dict.fromkeys(
            (name, judge_of(family, name, row["depth"])) for row in rows for name in row["values"]
        ):
            mine: dict[str, list[float]] = {}
            for row in rows:
                if name in row["values"] and judge_of(family, name, row["depth"]) == judge:
                    mine.setdefault(row["photo"], []).append(row["values"][name])
            each = [float(np.mean(numbers)) for numbers in mine.values()]
            scores.append(score_of(name, mean_interval(each, within=ENDS[name]), judge, f"all {len(each)} photos"))
    return scores


def judge_of(family: str, name: str, depth: str = "") -> str:
    """Who gives a number: of a family, such as 'clip:pocket', or the model of depth."""
    if name == DISTANCE:
        return judge_name(family, DISTANCE)
    if name in {DEPTH, DEPTH_CONTROL}:
        return f"depth:{depth}"
    return f"clip:{model_label(family)}" if name in BY_CLIP else PIXELS
