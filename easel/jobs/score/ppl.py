"""How evenly a trained model's pictures change along a path through its latents: the perceptual path length.

Two latents are two ends of a path. On it a step of epsilon is taken, and a judge says how different the pictures at
either end of the step look. A model whose pictures jump has long paths (Karras 2019, section 4.1).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from easel import models
from easel.errors import EaselError
from easel.jobs.inputs import model_label
from easel.jobs.judges import DISTANCE, judge_name, score_of
from easel.metrics.path_length import PathOptions, along_line, along_sphere, kept_mean, lengths_at, positions_on
from easel.recipes.score import ScorePpl
from easel.result import Result
from easel.sheet import Cell, mosaic, sheet
from easel.tensors import to_pictures
from easel.workspace import Made, Work, Workspace

if TYPE_CHECKING:
    from torch import Tensor

    from easel.models.features import Perceptual
    from easel.models.trained import Trained

FRAMES = 6
"""Pictures of a path on the sheet."""
SHOWN = 4
"""Of the most even paths, and of the most uneven ones."""
COMPARED = 8
"""Paths whose ends tell whether a model draws more than one picture."""
RESIZE = "bilinear with antialias to the judge's side, no crop"


@dataclass(frozen=True, eq=False)
class Paths:
    """Some paths of a model: their ends (n, d), in z or w, and what their pictures are told, (n, k) or nothing."""

    model: Trained
    options: PathOptions
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    condition: Tensor | None

    @classmethod
    def drawn(cls, recipe: ScorePpl, model: Trained, options: PathOptions, numbers: range) -> Paths:
        """Path i begins at the latent of the recipe's seed + 2 i and ends at that of the next seed."""
        seeds = [recipe.seed + 2 * number for number in numbers]
        condition = told(recipe, model, seeds)
        ends = [model.latents(seeds), model.latents([seed + 1 for seed in seeds])]
        if options.space == "w":
            ends = [model.code(z, condition) for z in ends]
        first, last = (rows.double().cpu().numpy() for rows in ends)
        return cls(model, options, first, last, condition)

    @torch.no_grad()
    def pictures(self, rows: NDArray[np.float64]) -> Tensor:
        """Pictures (n, 3, side, side) in [-1, 1], float32, of latents (n, d)."""
        codes = torch.from_numpy(rows).to(self.model.device, torch.float32)
        if self.options.space == "z":
            codes = self.model.code(codes, self.condition)
        return self.model.paint(codes, self.condition)

    def lengths(self, judge: Perceptual, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """The length of each path by the step at its place, (n,)."""
        return lengths_at(self.starts, self.ends, places, self.pictures, judge.resized_distance, self.options)

    def frames(self) -> Image.Image:
        """The first path as pictures side by side, from end to end."""
        along = along_sphere if self.options.space == "z" else along_line
        places = np.linspace(0, 1, FRAMES)
        first, last = (np.repeat(rows[:1], FRAMES, axis=0) for rows in (self.starts, self.ends))
        condition = None if self.condition is None else self.condition[:1].expand(FRAMES, -1)
        one = Paths(self.model, self.options, first, last, condition)
        return mosaic(to_pictures(one.pictures(along(first, last, places))), FRAMES)


class Walk(Work[ScorePpl]):
    """Measure paths."""

    @cached_property
    def model(self) -> Trained:
        """Whose paths they are."""
        return models.load(self.recipe.model, "generator", self.workspace.device)

    @cached_property
    def judge(self) -> Perceptual:
        """Who says how different two pictures look."""
        return models.load(self.recipe.judge, "perceptual", self.workspace.device)

    @cached_property
    def options(self) -> PathOptions:
        """What a path is."""
        return PathOptions(self.recipe.space, self.recipe.sampling)

    @cached_property
    def places(self) -> NDArray[np.float64]:
        """Where on each path the step is taken, (samples,)."""
        return positions_on(self.options, self.recipe.samples, self.recipe.seed)

    def __call__(self, items: Sequence[int]) -> Made:
        """The lengths (n,) of a batch of paths that follow one another, by their numbers."""
        numbers = range(items[0], items[-1] + 1)
        paths = Paths.drawn(self.recipe, self.model, self.options, numbers)
        try:
            return {"lengths": paths.lengths(self.judge, self.places[numbers.start : numbers.stop])}
        except ValueError as problem:
            named = f"{model_label(self.recipe.model)} or {self.recipe.judge}"
            raise EaselError(f"{named} is broken: {problem}") from problem


def run(recipe: ScorePpl, workspace: Workspace) -> Result:
    """Measure the recipe's model, the folder that `easel train` made.

    Raises EaselError on another model, on a w that the network has not, and on numbers that are not finite; Cancelled.
    """
    work = Walk(recipe, workspace)
    options = work.options
    workspace.step("loading the model", 0, 2)
    model = work.model
    refused(recipe, model)
    workspace.step("loading the model", 1, 2)
    work.judge  # noqa: B018 - what cannot be loaded is said first
    workspace.step("loading the model", 2, 2)
    lengths = measured(recipe, work, workspace)
    estimate = kept_mean(lengths, options, recipe.seed)
    name, of = judge_name(recipe.judge, DISTANCE), f"{model_label(recipe.model)}: {options.space}, {options.sampling}"
    workspace.save_text("table.csv", table(lengths, recipe))
    heading = f"{of}: the most even and the most uneven paths; PPL {estimate.value:.1f} by {name}"
    workspace.save_picture("sheet.png", sheet(cells(recipe, model, options, lengths), columns=2, heading=heading))
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        files=("table.csv", "sheet.png"),
        texts={
            "model": f"{model.network}, {model.config.resolution} px",
            "paths": f"{recipe.samples:,} in {options.space}, sampled {options.sampling}, epsilon {options.epsilon:g}; "
            f"the outer {options.discarded:.0%} at either end of their order left out",
            "resize": RESIZE,
        },
        scores=(score_of("PPL", estimate, name, of),),
        notes=(*model.notes, *sameness_notes(recipe, model, options)),
    )


def sameness_notes(recipe: ScorePpl, model: Trained, options: PathOptions) -> list[str]:
    """That the model draws one picture only, where it does: the evenest of all, and worth nothing."""
    ends = Paths.drawn(recipe, model, options, range(min(COMPARED, recipe.samples)))
    pictures = torch.cat([ends.pictures(ends.starts), ends.pictures(ends.ends)])
    apart = float((pictures - pictures.mean(dim=0)).abs().max()) * 127.5
    if apart >= 1:
        return []
    many = f"{len(pictures)} differ by {apart:.2g} of 255"
    return [f"the model draws one picture, whatever its latent ({many}): its path length says nothing"]


def refused(recipe: ScorePpl, model: Trained) -> None:
    """Raise EaselError on a w where there is none, and on no words where a network draws from them."""
    if recipe.space == "w" and not model.is_styled:
        raise EaselError(f"{model.network} has no w, only stylegan maps z to one: use --space z")
    if model.condition_kind == "captions" and recipe.prompt is None:
        raise EaselError(f"{model.name} ({model.network}) draws from words: say with --prompt what its pictures show")


def told(recipe: ScorePpl, model: Trained, seeds: list[int]) -> Tensor | None:
    """What the pictures of paths are told: their own class or attributes each, or all the same words. EaselError."""
    if model.condition_kind == "captions":
        row = model.condition(recipe.seed, recipe.prompt)
        return None if row is None else row.expand(len(seeds), -1)
    rows = [model.condition(seed, recipe.prompt) for seed in seeds]
    known = [row for row in rows if row is not None]
    return torch.cat(known) if known else None


def measured(recipe: ScorePpl, work: Walk, workspace: Workspace) -> NDArray[np.float64]:
    """The lengths of all paths, (samples,). Raises EaselError and Cancelled."""
    lost: dict[int, str] = {}
    parts = workspace.each("measuring", work, range(recipe.samples), work.options.batch_size, lost)
    found = [made["lengths"] for _, made in parts]
    for number, why in lost.items():
        raise EaselError(f"path {number} cannot be measured: {why}")
    return np.concatenate(found)


def table(lengths: NDArray[np.float64], recipe: ScorePpl) -> str:
    """table.csv: every path, the seed of its beginning, and its length."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(("path", "seed", "length"))
    for number, length in enumerate(lengths):
        writer.writerow((number, recipe.seed + 2 * number, f"{length:.6g}"))
    return written.getvalue()


def cells(recipe: ScorePpl, model: Trained, options: PathOptions, lengths: NDArray[np.float64]) -> list[Cell]:
    """On the left the most even paths, on the right the most uneven ones, each from end to end."""
    order = np.argsort(lengths, kind="stable")
    shown = min(SHOWN, len(order) // 2)
    pairs = zip(order[:shown], order[::-1][:shown], strict=True)
    return [
        Cell(
            Paths.drawn(recipe, model, options, range(number, number + 1)).frames(),
            f"path {number}",
            (f"length {lengths[number]:.1f}",),
        )
        for number in (int(one) for pair in pairs for one in pair)
    ]
