"""A photo in several styles: open, load, caption, draw, save, judge, return."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from easel import models
from easel.images import open_picture
from easel.jobs.inputs import batches, called, file_name, joined
from easel.jobs.judges import STYLE, Judges, Verdict, column, load_judges, picture_scores, score_of, verdicts
from easel.jobs.painter import Easel, Order
from easel.jobs.score.rates import success_scores
from easel.jobs.stylize.styles import Style, alone
from easel.jobs.transfer import NeuralEasel, manners
from easel.metrics.intervals import mean_interval
from easel.pocket.world.words import without_manner
from easel.recipes import Score as Scored
from easel.recipes import Stylize
from easel.result import Result, Score
from easel.sheet import Cell, sheet
from easel.workspace import Workspace

TOGETHER = 1
"""Pictures drawn in one go.

Neighbours in a batch change the last bits of a sum, so each is drawn as `easel again` will draw it: alone.
"""
ALL = "all pictures"


def run(recipe: Stylize, workspace: Workspace) -> Result:
    """Draw and judge the pictures of a Stylize recipe. Raises EaselError and Cancelled."""
    styles = alone(recipe)
    original = open_picture(recipe.photo)
    neural = NeuralEasel(recipe, manners(recipe, styles), workspace) if recipe.method == "neural" else None
    judges = load_judges(recipe.judge, workspace)
    caption = recipe.caption or said_of(original, recipe.captioner, workspace)
    easel = neural or furnished(recipe, workspace)
    photo = easel.fitted(original)
    orders = planned(recipe, styles, caption)
    tell = neural.tell if neural else lambda done, of: workspace.step("drawing", done, of)
    pictures = easel.draw(orders, photo, TOGETHER, tell)
    workspace.step("judging", 0, len(pictures))
    each = [style for style in styles for _ in range(recipe.count)]
    found = verdicts(judges, photo, pictures, [order.prompt for order in orders], [style.question for style in each])
    workspace.step("judging", len(pictures), len(pictures))
    cells = [Cell(photo, "the photo", (caption,))]
    cells += [
        Cell(picture, style.label, verdict.lines) for picture, style, verdict in zip(pictures, each, found, strict=True)
    ]
    columns = recipe.count + 1 if recipe.count > 1 and recipe.count < 6 else None
    workspace.save_picture("sheet.png", sheet(laid_out(cells, recipe.count, columns), columns, heading_of(recipe)))
    size = f"{original.width} x {original.height}"
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        files=(*(order.file for order in orders), "sheet.png"),
        texts={"caption": caption, "photo": f"{recipe.photo}, {size}, drawn at {photo.width} x {photo.height}"}
        | {order.file: order.prompt for order in orders},
        scores=tuple(scores_of(judges, styles, orders, found, recipe.count)),
        notes=tuple(note for note in [original.info.get("note"), *easel.model.notes] if note),
    )


def furnished(recipe: Stylize | Scored, workspace: Workspace) -> Easel:
    """The diffusion model that draws by the recipe's method, loaded."""
    return Easel(recipe, recipe.model, workspace, recipe.strength, redraw=recipe.method == "redraw")


def said_of(photo: Image.Image, captioner: str, workspace: Workspace) -> str:
    """What the captioner says about the photo."""
    workspace.step("captioning", 0, 1)
    caption = subject_of(photo, models.load(captioner, "caption", workspace.device))
    workspace.step("captioning", 1, 1)
    return caption


def subject_of(photo: Image.Image, captioner: Any) -> str:
    """What is in the photo, in the captioner's words; a manner that it sees there is left out."""
    return without_manner(captioner.caption([photo], count=1)[0][0])


def planned(recipe: Stylize, styles: list[Style], caption: str, first: int = 0, folder: str = "") -> list[Order]:
    """The pictures in the order they are drawn: `count` in each style.

    Picture i has the recipe's seed + i, counted from `first`.
    """
    total = len(styles) * recipe.count
    orders = []
    for index in range(total):
        style = styles[index // recipe.count]
        alone = recipe.for_picture(first + index, styles=[style.name], caption=caption)
        negative = joined(style.negative_prompt, recipe.negative_prompt)
        file = folder + file_name(index, total, style.name)
        orders.append(Order(file, style.prompt_for(caption), negative, recipe.seed + first + index, alone, style.name))
    return orders


def scores_of(
    judges: Judges, styles: list[Style], orders: list[Order], found: list[Verdict], count: int
) -> list[Score]:
    """Five scores of each picture; their means over each style's pictures when there are several, and over all; and how
    often the style was recognised beyond what the judge says about the plain photo.
    """
    scores = [
        score
        for order, verdict in zip(orders, found, strict=True)
        for score in picture_scores(judges, order.file, verdict)
    ]
    if count > 1:
        for index, style in enumerate(styles):
            scores += means(judges, found[index * count : (index + 1) * count], f"{style.name} ({count} pictures)")
    if len(found) > 1:
        scores += means(judges, found, ALL)
        pairs = [(verdict.style, verdict.style_before) for verdict in found]
        scores += success_scores(list(batches(pairs, count)), judges.name_of(STYLE), ALL)
    return scores


def means(judges: Judges, found: list[Verdict], of: str) -> list[Score]:
    """The mean of each number over several pictures, with its interval."""
    return [score_of(name, mean_interval(column(found, name)), judges.name_of(name), of) for name in found[0].values]


def heading_of(recipe: Stylize) -> str:
    """What the sheet is about, and who judged."""
    return f"{Path(recipe.photo).name} by {painter(recipe)}, judged by {called(recipe.judge)}"


def painter(recipe: Stylize | Scored) -> str:
    """What draws, and how: 'pocket (redraw)'."""
    return f"{called(recipe.features if recipe.method == 'neural' else recipe.model)} ({recipe.method})"


def laid_out(cells: list[Cell], count: int, columns: int | None) -> list[Cell]:
    """With a row for each style the photo stands at the head of each."""
    if columns is None:
        return cells
    photo, *others = cells
    rows = [others[start : start + count] for start in range(0, len(others), count)]
    return [cell for row in rows for cell in (photo, *row)]
