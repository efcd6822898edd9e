"""Pictures from a model that `easel train` made: drawn, steered, walked between.

What makes a picture is its seed alone, and what is asked: class, attributes, words, truncation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from PIL import Image

from easel import models
from easel.errors import EaselError
from easel.jobs.generate.latent_walk import LatentPoint, walk
from easel.jobs.generate.prompts import planned
from easel.jobs.generate.steer import Steering, steer, target_indices
from easel.jobs.inputs import batches, file_name, model_label, thumbnail
from easel.jobs.painter import PlannedPicture, with_place
from easel.models.devices import dtype_word
from easel.provenance import Done, parameters
from easel.recipes.generate import Generate, attribute_target
from easel.result import Score
from easel.sheet import Cell
from easel.tensors import to_pictures
from easel.workspace import Workspace

if TYPE_CHECKING:
    from torch import Tensor, nn

    from easel.models.trained import Trained

LEAST_SIDE = 180  # of a picture on the sheet, enlarged pixel by pixel


class FromTrained:
    """A trained model and what it is to draw."""

    def __init__(self, recipe: Generate, workspace: Workspace) -> None:
        """Load the model and plan the pictures. Raises EaselError on what the model does not know or take."""
        workspace.step("loading the model", 0, 1)
        self.model = models.load(recipe.model, "generator", workspace.device)
        self.guide = AttributeClassifier.of(recipe, self.model, workspace)
        workspace.step("loading the model", 1, 1)
        self.recipe, self.workspace = recipe, workspace
        self.planned: list[PlannedPicture] = planned_for(recipe, self.model)
        self.has_words = self.model.condition_kind == "captions"
        self.files: tuple[str, ...] = ()
        self.before: list[dict[str, float]] = []
        self.after: list[dict[str, float]] = []

    def draw(self) -> list[Image.Image]:
        """Draw and save, and walk from picture to picture where that is asked. Raises EaselError and Cancelled."""
        recipe, model, guide = self.recipe, self.model, self.guide
        pictures: list[Image.Image] = []
        points: list[LatentPoint] = []
        device, dtype = str(model.device), dtype_word(next(model.generator.parameters()).dtype)
        for batch in batches(self.planned, 1 if recipe.batch_row is not None else recipe.batch_size):
            # What each picture is painted from: drawn by its seed, truncated, and steered to what was asked.
            codes = []
            for one in batch:
                knows_all = model.condition_kind == "attributes" and set(guide.targets) <= set(model.names)
                targets = guide.targets if knows_all else {}
                condition = model.condition(one.seed, one.prompt or None, recipe.label, targets)
                z = model.latents([one.seed])
                code = model.code(z, condition, recipe.truncation)
                if guide.targets:
                    plain = model.condition(one.seed, one.prompt or None, recipe.label)
                    self.before.append(guide.probabilities(model.paint(model.code(z, plain, recipe.truncation), plain)))
                    asked = target_indices(guide.targets, list(guide.names))
                    steering = Steering(keep_length=not model.is_styled)
                    code = steer(partial(model.paint, condition=condition), guide.logits, code, asked, steering)
                    self.after.append(guide.probabilities(model.paint(code, condition)))
                codes.append(LatentPoint(code, condition))
            # One that was drawn as row r of n is drawn so again: the last bits depend on it.
            rows = codes if recipe.batch_row is None else codes * recipe.batch_size
            known = [one.condition for one in rows if one.condition is not None]
            with torch.no_grad():
                painted = model.paint(torch.cat([one.code for one in rows]), torch.cat(known) if known else None)
            drawn = to_pictures(painted)
            for row, one in enumerate(batch, recipe.batch_row or 0):
                picture = drawn[row]
                done = Done(
                    device,
                    dtype,
                    model=model_label(recipe.model),
                    seed=one.seed,
                    width=picture.width,
                    height=picture.height,
                    judge=guide.name or None,
                )
                words = one.prompt or " ".join([recipe.label or "", *recipe.attribute]).strip()
                place = (row, len(rows)) if len(rows) > 1 else None
                self.workspace.save_picture(
                    one.file, picture, with_place(one.recipe, place), parameters(words, "", done), done
                )
                pictures.append(picture)
            points += codes
            self.workspace.step("drawing", len(pictures), len(self.planned))
        if recipe.walk:
            self.files = tuple(walk(model, points, recipe.walk, recipe, self.workspace, Done(device, dtype)))
        return pictures

    def cell(self, number: int, picture: Image.Image, fit: float | None) -> Cell:
        """A picture on the sheet; a small one is enlarged pixel by pixel there."""
        one = self.planned[number]
        lines = [f"seed {one.seed}"]
        if self.guide.targets:
            before, after = self.before[number], self.after[number]
            lines += [f"{name} {after[name]:.2f} (was {before[name]:.2f})" for name in after]
        lines += [] if fit is None else [f"CLIP-T {fit:.2f}"]
        if picture.width < LEAST_SIDE:
            times = -(-LEAST_SIDE // picture.width)
            picture = picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
        return Cell(thumbnail(picture), one.file.removesuffix(".png"), (one.prompt[:300], *lines))

    def scores(self) -> list[Score]:
        """The classifier's probabilities of what was asked for, in each picture."""
        return [
            Score(name=f"attribute {name}", value=value, judge=self.guide.name, of=one.file)
            for one, after in zip(self.planned, self.after, strict=False)
            for name, value in after.items()
        ]

    @property
    def heading(self) -> str:
        """What the sheet is of."""
        recipe = self.recipe
        asked = [recipe.prompt or "", recipe.label or "", *recipe.attribute]
        psi = f"psi {recipe.truncation:g}" if recipe.truncation != 1 else ""
        return ", ".join(part for part in (f"{self.model.name} ({self.model.network})", *asked, psi) if part)[:200]

    @property
    def notes(self) -> list[str]:
        """What a person should know, and how many pictures did not come to have what was asked of them."""
        found = list(self.model.notes)
        for name, value in self.guide.targets.items():
            wrong = [one for one in self.after if value and (one[name] > 0.5) != (value > 0)]
            if wrong:
                found.append(f"{name}={value:+g} was not reached in {len(wrong)} of {len(self.after)} pictures")
        return found


def planned_for(recipe: Generate, model: Trained) -> list[PlannedPicture]:
    """Every picture of the run; picture i has the recipe's seed + i. A walk has two at least."""
    if recipe.walk and recipe.count == 1:
        recipe = recipe.model_copy(update={"count": 2})
    if model.condition_kind == "captions":
        if recipe.prompt is None and recipe.prompts is None:
            raise EaselError(f"{model_label(recipe.model)} ({model.network}) draws from words: say what to draw")
        return [replace(one, recipe=one.recipe | {"walk": None}) for one in planned(recipe)]
    if recipe.prompt is not None or recipe.prompts is not None:
        raise EaselError(f"{model_label(recipe.model)} ({model.network}) takes no words: leave the prompt out")
    words = " ".join([recipe.label or model.network, *recipe.attribute])
    plain = recipe.model_copy(update={"walk": None})
    return [
        PlannedPicture(file_name(i, recipe.count, words), "", "", recipe.seed + i, plain.for_picture(i))
        for i in range(recipe.count)
    ]


@dataclass(frozen=True, eq=False)
class AttributeClassifier:
    """The targets of attributes, and the classifier that judges how far a picture has them."""

    targets: dict[str, float]
    names: tuple[str, ...] = ()
    judge: nn.Module | None = None
    side: int = 0
    name: str = ""

    @classmethod
    def of(cls, recipe: Generate, model: Trained, workspace: Workspace) -> AttributeClassifier:
        """The classifier of the model, or of the one named for it. Raises EaselError where there is none."""
        targets = dict(attribute_target(text) for text in recipe.attribute)
        if not targets:
            return cls({})
        source = model if recipe.classifier is None else models.load(recipe.classifier, "generator", workspace.device)
        if "classifier" not in source.players or source.condition_kind != "attributes":
            raise EaselError(
                f"{model_label(recipe.classifier or recipe.model)} ({source.network}) has no classifier of attributes: "
                "name a trained control-gan with --classifier"
            )
        target_indices(targets, list(source.names))
        who = f"classifier:{model_label(recipe.classifier or recipe.model)}"
        return cls(targets, source.names, source.players["classifier"], source.config.resolution, who)

    def logits(self, pictures: Tensor) -> Tensor:
        """(n, attributes) of pictures of any side; differentiable."""
        assert self.judge is not None
        if pictures.shape[-1] != self.side:
            size = (self.side, self.side)
            pictures = torch.nn.functional.interpolate(pictures, size, mode="bilinear", antialias=True)
        return self.judge(pictures)  # type: ignore[no-any-return]

    def probabilities(self, pictures: Tensor) -> dict[str, float]:
        """Probability of each asked attribute in one picture (1, 3, side, side)."""
        with torch.no_grad():
            row = torch.sigmoid(self.logits(pictures))[0]
        return {name: float(row[self.names.index(name)]) for name in self.targets}
