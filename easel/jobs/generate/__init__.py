"""Pictures from words: open the prompts, load, draw, measure how well each fits its words, return."""

from __future__ import annotations

from pydantic import field_validator

from easel.errors import EaselError
from easel.jobs.inputs import Row, file_name, model_label, read_rows, thumbnail
from easel.jobs.judges import CLIP_T, judge_name, load_clip, score_of
from easel.jobs.painter import Easel, Order
from easel.metrics.clip import cosines
from easel.metrics.intervals import mean_interval
from easel.models.catalog import locate, tables
from easel.models.catalog.trained_folders import is_trained
from easel.recipes.generate import NEITHER, Generate
from easel.recipes.knobs import DIFFUSION, TRAINED
from easel.result import Result, Score
from easel.sheet import Cell, sheet
from easel.workspace import Workspace

JUDGE = "pocket"
ALL = "all pictures"


class Prompt(Row):
    """One row of a prompt set."""

    prompt: str
    """What the picture should show."""
    negative_prompt: str | None = None
    """What should not be in it; the recipe's own when left out."""

    @field_validator("name", "prompt")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("is empty: say what to make")
        return text


def facts_of(recipe: Generate) -> dict[str, str]:
    """Which family draws, on which it depends what settings apply."""
    return {"family": TRAINED if is_trained(recipe.model) else DIFFUSION}


def run(recipe: Generate, workspace: Workspace) -> Result:
    """Make the pictures of a Generate recipe. Raises EaselError and Cancelled."""
    if is_trained(recipe.model):
        from easel.jobs.generate import trained

        return trained.run(recipe, workspace)
    refuse_no_model(recipe.model)
    if recipe.prompt is None and recipe.prompts is None:
        raise EaselError(NEITHER)
    orders = planned(recipe)
    clip = load_clip(JUDGE, workspace)  # before the expensive part: a judge that is missing is told now
    easel = Easel(recipe, recipe.model, workspace)
    pictures = easel.draw(orders, None, recipe.batch_size, lambda done, of: workspace.step("drawing", done, of))
    workspace.step("measuring", 0, 1)
    fits = [float(fit) for fit in cosines(clip.images(pictures), clip.texts([order.prompt for order in orders]))]
    workspace.step("measuring", 1, 1)
    cells = [
        Cell(
            thumbnail(picture),
            f"{order.file.removesuffix('.png')}",
            (order.prompt[:300], f"seed {order.seed}, CLIP-T {fit:.2f}"),
        )
        for order, picture, fit in zip(orders, pictures, fits, strict=True)
    ]
    workspace.save_picture("sheet.png", sheet(cells, heading=(recipe.prompt or recipe.prompts or "")[:200]))
    judge = judge_name(JUDGE, CLIP_T)
    each = [Score(name=CLIP_T, value=fit, judge=judge, of=order.file) for order, fit in zip(orders, fits, strict=True)]
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        pictures=tuple(order.file for order in orders),
        files=("sheet.png",),
        texts={order.file: order.prompt for order in orders},
        scores=(*each, score_of(CLIP_T, mean_interval(fits), judge, ALL)) if len(each) > 1 else tuple(each),
        notes=tuple(easel.model.notes),
    )


def refuse_no_model(name: str) -> None:
    """Raise EaselError where a name is no word of the catalogue and nothing on this disk that could draw."""
    if name in tables.ROWS:
        return
    folder = locate.find(name, "text-to-image").path
    if folder.is_dir() and not (folder / "model_index.json").is_file():
        raise EaselError(
            f"{folder} holds no model: neither model_index.json, as diffusers writes it, nor the config.json of "
            "`easel train` is in it"
        )


def planned(recipe: Generate) -> list[Order]:
    """Every picture of the run in the order it is drawn; picture i has the recipe's seed + i.

    Raises EaselError on a bad prompt set.
    """
    if recipe.prompts is None:
        rows = [Prompt(name=recipe.prompt or "", prompt=recipe.prompt or "")]
    else:
        rows = read_rows(recipe.prompts, Prompt)
    total = len(rows) * recipe.count
    orders = []
    for index in range(total):
        row = rows[index // recipe.count]
        negative = recipe.negative_prompt if row.negative_prompt is None else row.negative_prompt
        alone = recipe.for_picture(index, prompt=row.prompt, prompts=None, negative_prompt=negative)
        orders.append(Order(file_name(index, total, row.name), row.prompt, negative, recipe.seed + index, alone))
    return orders
