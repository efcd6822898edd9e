"""Pictures from a model that `easel train` made: open, load, draw, steer, walk, measure, return.

What makes a picture is its seed alone, and what is asked: class, attributes, words, truncation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from easel import models
from easel.errors import EaselError
from easel.jobs.generate import planned
from easel.jobs.generate.latent_walk import Stop, walk
from easel.jobs.generate.steer import Way, steer, wishes
from easel.jobs.inputs import batches, file_name, model_label, thumbnail
from easel.jobs.judges import CLIP_T, judge_name, load_clip, score_of
from easel.jobs.painter import Order, placed
from easel.metrics.clip import cosines
from easel.metrics.intervals import mean_interval
from easel.recipes.generate import Generate, wish_parts
from easel.result import Result, Score
from easel.sheet import Cell, sheet
from easel.tensors import to_pictures
from easel.version import __version__
from easel.workspace import Workspace

if TYPE_CHECKING:
    from torch import Tensor, nn

    from easel.models.trained import Trained

JUDGE = "pocket"


@dataclass(frozen=True, eq=False)
class Made:
    """One picture, and what it was painted from: a code (1, size), a condition, and the classifier's probabilities."""

    order: Order
    code: Tensor
    condition: Tensor | None
    before: dict[str, float]
    after: dict[str, float]
    picture: Image.Image | None = None


def run(recipe: Generate, workspace: Workspace) -> Result:
    """Draw. Raises EaselError on what the model does not know or take, and Cancelled."""
    workspace.step("loading the model", 0, 1)
    model = models.load(recipe.model, "generator", workspace.device)
    guide = Guide.of(recipe, model, workspace)
    workspace.step("loading the model", 1, 1)
    orders = ordered(recipe, model)
    clip = load_clip(JUDGE, workspace) if model.condition_kind == "captions" else None
    made = drawn(recipe, model, guide, orders, workspace)
    files = [one.order.file for one in made]
    if recipe.walk:
        stops = [Stop(one.code, one.condition) for one in made]
        files += walk(model, stops, recipe.walk, recipe, workspace)
    scores = [
        Score(name=f"attribute {name}", value=value, judge=guide.name, of=one.order.file)
        for one in made
        for name, value in one.after.items()
    ]
    cells = [cell(one) for one in made]
    if clip is not None:
        pictures = [one.picture for one in made if one.picture is not None]
        fits = [float(fit) for fit in cosines(clip.images(pictures), clip.texts([one.order.prompt for one in made]))]
        judge = judge_name(JUDGE, CLIP_T)
        scores += [Score(name=CLIP_T, value=fit, judge=judge, of=file) for file, fit in zip(files, fits, strict=False)]
        scores += [score_of(CLIP_T, mean_interval(fits), judge, "all pictures")] if len(fits) > 1 else []
        cells = [replace(c, lines=(*c.lines, f"CLIP-T {fit:.2f}")) for c, fit in zip(cells, fits, strict=True)]
    workspace.save_picture("sheet.png", sheet(cells, heading=heading(recipe, model)))
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        pictures=tuple(one.order.file for one in made),
        files=(*files[len(made) :], "sheet.png"),
        texts={one.order.file: one.order.prompt for one in made if one.order.prompt},
        scores=tuple(scores),
        notes=(*model.notes, *missed(recipe, made)),
    )


def ordered(recipe: Generate, model: Trained) -> list[Order]:
    """Every picture of the run; picture i has the recipe's seed + i. A walk has two at least."""
    if recipe.walk and recipe.count == 1:
        recipe = recipe.model_copy(update={"count": 2})
    alone = {"walk": None}
    if model.condition_kind == "captions":
        if recipe.prompt is None and recipe.prompts is None:
            raise EaselError(f"{model_label(recipe.model)} ({model.network}) draws from words: say what to draw")
        return [replace(order, recipe=order.recipe | alone) for order in planned(recipe)]
    if recipe.prompt is not None or recipe.prompts is not None:
        raise EaselError(f"{model_label(recipe.model)} ({model.network}) takes no words: leave the prompt out")
    words = " ".join([recipe.label or model.network, *recipe.attribute])
    plain = recipe.model_copy(update={"walk": None})
    return [
        Order(file_name(i, recipe.count, words), "", "", recipe.seed + i, plain.for_picture(i))
        for i in range(recipe.count)
    ]


@dataclass(frozen=True, eq=False)
class Guide:
    """What is asked of attributes, and the classifier that sees to it."""

    wish: dict[str, float]
    names: tuple[str, ...] = ()
    judge: nn.Module | None = None
    side: int = 0
    name: str = ""

    @classmethod
    def of(cls, recipe: Generate, model: Trained, workspace: Workspace) -> Guide:
        """The classifier of the model, or of the one named for it. Raises EaselError where there is none."""
        wish = dict(wish_parts(text) for text in recipe.attribute)
        if not wish:
            return cls({})
        source = model if recipe.classifier is None else models.load(recipe.classifier, "generator", workspace.device)
        if "classifier" not in source.players or source.condition_kind != "attributes":
            raise EaselError(
                f"{model_label(recipe.classifier or recipe.model)} ({source.network}) has no classifier of attributes: name "
                "a trained control-gan with --classifier"
            )
        wishes(wish, list(source.names))
        who = f"classifier:{model_label(recipe.classifier or recipe.model)}"
        return cls(wish, source.names, source.players["classifier"], source.config.resolution, who)

    def logits(self, pictures: Tensor) -> Tensor:
        """(n, attributes) of pictures of any side; differentiable."""
        assert self.judge is not None
        if pictures.shape[-1] != self.side:
            size = (self.side, self.side)
            pictures = torch.nn.functional.interpolate(pictures, size, mode="bilinear", antialias=True)
        return self.judge(pictures)  # type: ignore[no-any-return]

    def seen(self, pictures: Tensor) -> dict[str, float]:
        """Probability of each asked attribute in one picture (1, 3, side, side)."""
        with torch.no_grad():
            row = torch.sigmoid(self.logits(pictures))[0]
        return {name: float(row[self.names.index(name)]) for name in self.wish}


def drawn(recipe: Generate, model: Trained, guide: Guide, orders: list[Order], workspace: Workspace) -> list[Made]:
    """Codes one by one, pictures in batches; each is saved with its own recipe."""
    done: list[Made] = []
    for batch in batches(orders, 1 if recipe.batch_row is not None else recipe.batch_size):
        codes = [coded(recipe, model, guide, order) for order in batch]
        for made, picture in zip(codes, painted(model, codes, recipe), strict=True):
            own = placed(made.order.recipe, picture)
            workspace.save_picture(made.order.file, picture, own, parameters(recipe, made.order, picture))
            done.append(replace(made, picture=picture))
        workspace.step("drawing", len(done), len(orders))
    return done


def coded(recipe: Generate, model: Trained, guide: Guide, order: Order) -> Made:
    """What one picture is painted from: drawn by its seed, truncated, and steered to what was asked."""
    own = guide.wish if model.condition_kind == "attributes" and set(guide.wish) <= set(model.names) else {}
    plain = model.condition(order.seed, order.prompt or None, recipe.label)
    condition = model.condition(order.seed, order.prompt or None, recipe.label, own)
    z = model.latents([order.seed])
    code = model.code(z, condition, recipe.truncation)
    if not guide.wish:
        return Made(order, code, condition, {}, {})
    before = guide.seen(model.paint(model.code(z, plain, recipe.truncation), plain))
    way = Way(sphere=not model.is_styled)
    asked = wishes(guide.wish, list(guide.names))
    code = steer(lambda at: model.paint(at, condition), guide.logits, code, asked, way)
    return Made(order, code, condition, before, guide.seen(model.paint(code, condition)))


@torch.no_grad()
def painted(model: Trained, made: list[Made], recipe: Generate) -> list[Image.Image]:
    """Pictures of a batch. One that was drawn as row r of n is drawn so again: the last bits depend on it."""
    row, count = recipe.batch_row, len(made)
    if row is not None:
        made, count = [made[0]] * recipe.batch_size, recipe.batch_size
    codes = torch.cat([one.code for one in made])
    known = [one.condition for one in made if one.condition is not None]
    pictures = to_pictures(model.paint(codes, torch.cat(known) if known else None))
    for index, picture in enumerate(pictures):
        if count > 1:
            picture.info["place"] = (index, count)
    return pictures if row is None else [pictures[row]]


def parameters(recipe: Generate, order: Order, picture: Image.Image) -> str:
    """The text that other tools read."""
    size = f"{picture.width}x{picture.height}"
    facts = f"Seed: {order.seed}, Size: {size}, Model: {model_label(recipe.model)}, Version: easel {__version__}"
    return f"{order.prompt or ' '.join([recipe.label or '', *recipe.attribute]).strip()}\n{facts}"


def cell(made: Made) -> Cell:
    """A picture on the sheet; a small one is enlarged pixel by pixel there."""
    assert made.picture is not None
    lines = [f"seed {made.order.seed}"]
    lines += [f"{name} {made.after[name]:.2f} (was {made.before[name]:.2f})" for name in made.after]
    small = made.picture
    if small.width < 180:
        times = -(-180 // small.width)
        small = small.resize((small.width * times, small.height * times), Image.Resampling.NEAREST)
    return Cell(thumbnail(small), made.order.file.removesuffix(".png"), (made.order.prompt[:300], *lines))


def heading(recipe: Generate, model: Trained) -> str:
    """What the sheet is of."""
    asked = [recipe.prompt or "", recipe.label or "", *recipe.attribute]
    psi = f"psi {recipe.truncation:g}" if recipe.truncation != 1 else ""
    return ", ".join(part for part in (f"{model.name} ({model.network})", *asked, psi) if part)[:200]


def missed(recipe: Generate, made: list[Made]) -> list[str]:
    """How many pictures did not come to have what was asked of them."""
    found: list[str] = []
    for name, value in (wish_parts(text) for text in recipe.attribute):
        wrong: Any = [one for one in made if value and (one.after[name] > 0.5) != (value > 0)]
        if wrong:
            found.append(f"{name}={value:+g} was not reached in {len(wrong)} of {len(made)} pictures")
    return found
