"""What restyling a photo has in common, whatever paints: the pictures to make, and how they are judged and shown."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from PIL import Image

from easel.jobs.inputs import file_name, joined, model_label
from easel.jobs.judges import CLIP_I, ENDS, STYLE, Judges, Verdict, column, picture_scores, score_of, verdicts
from easel.jobs.painter import PlannedPicture
from easel.jobs.score.rates import success_scores
from easel.jobs.stylize.styles import Style
from easel.metrics.intervals import mean_interval
from easel.recipes.stylize import Stylize
from easel.recipes.transfer import Transfer
from easel.result import Result, Score
from easel.sheet import Cell, sheet
from easel.workspace import Workspace

NOT_TAUGHT = ("not taught this on photos",)


def plan_pictures(
    recipe: Stylize | Transfer, styles: list[Style], caption: str, first: int = 0, folder: str = ""
) -> list[PlannedPicture]:
    """The pictures in the order they are drawn: `count` in each style.

    Picture i has the recipe's seed + i, counted from `first`. Its words are the style's prompt around the caption, or
    the style as an instruction.
    """
    orders = getattr(recipe, "method", "") == "instruct"
    total = len(styles) * recipe.count
    planned = []
    for index in range(total):
        style = styles[index // recipe.count]
        alone = recipe.for_picture(first + index, styles=[style.name], caption=caption)
        negative = joined(style.negative_prompt, getattr(recipe, "negative_prompt", ""))
        file = folder + file_name(index, total, style.name)
        words = style.instruction_for(caption) if orders else style.prompt_for(caption)
        planned.append(PlannedPicture(file, words, negative, recipe.seed + first + index, alone, style.name))
    return planned


def finished(  # noqa: PLR0913, PLR0917 - what a restyling has come to
    recipe: Stylize | Transfer,
    workspace: Workspace,
    judges: Judges,
    caption: str,
    photos: tuple[Image.Image, Image.Image],
    styles: Sequence[Style],
    planned: Sequence[PlannedPicture],
    pictures: Sequence[Image.Image],
    notes: Sequence[str] = (),
    untaught: Collection[str] = (),
) -> Result:
    """Judge the pictures, lay out the sheet, and give the result. `photos`: the original, and as it was painted;
    `untaught`: styles that the painter cannot do on photos.
    """
    original, photo = photos
    each = [style for style in styles for _ in range(recipe.count)]
    with workspace.phase("judging", len(pictures)):
        # what the picture should show, whatever words it was drawn by
        prompts, questions = [style.prompt_for(caption) for style in each], [style.question for style in each]
        found = verdicts(judges, photo, pictures, prompts, questions)
    cells = [Cell(photo, "the photo", (caption,))]
    cells += [
        Cell(picture, style.label, (*verdict.lines(judges.fitness), *(NOT_TAUGHT if style.name in untaught else ())))
        for picture, style, verdict in zip(pictures, each, found, strict=True)
    ]
    columns = recipe.count + 1 if recipe.count > 1 and recipe.count < 6 else None
    heading = f"{Path(recipe.photo).name} by {painter_of(recipe)}, judged by {model_label(recipe.judge)}"
    workspace.save_picture("sheet.png", sheet(laid_out(cells, recipe.count, columns), columns, heading))
    size = f"{original.width} x {original.height}"
    return Result(
        kind=recipe.kind,
        pictures=tuple(one.file for one in planned),
        files=("sheet.png",),
        texts={"caption": caption, "photo": f"{recipe.photo}, {size}, drawn at {photo.width} x {photo.height}"}
        | {one.file: one.prompt for one in planned},
        scores=tuple(scores_of(judges, styles, planned, found, recipe.count)),
        notes=tuple(note for note in [original.info.get("note"), *notes, judges.fitness.note] if note),
    )


def painter_of(recipe: Stylize | Transfer) -> str:
    """What paints, and how: 'pocket (redraw)'."""
    method = getattr(recipe, "method", "neural")
    return f"{model_label(getattr(recipe, 'features' if method == 'neural' else 'model'))} ({method})"


def scores_of(
    judges: Judges, styles: Sequence[Style], planned: Sequence[PlannedPicture], found: Sequence[Verdict], count: int
) -> list[Score]:
    """The scores of each picture; of several in one style their means, over that photo's own seeds; and over all
    pictures means and rates without an interval: one photo says nothing of others, however many pictures it has.
    """
    scores = [
        score
        for one, verdict in zip(planned, found, strict=True)
        for score in picture_scores(judges, one.file, verdict)
    ]
    if count > 1:
        for index, style in enumerate(styles):
            mine = found[index * count : (index + 1) * count]
            scores += means(judges, mine, f"{style.name} ({count} pictures of one photo)")
    if len(found) > 1:
        of = f"all {len(found)} pictures of one photo"
        scores += [score.model_copy(update={"low": None, "high": None, "n": 1}) for score in means(judges, found, of)]
        pairs = [(verdict.style, verdict.style_before) for verdict in found]
        scores += success_scores([pairs], judges.name_of(STYLE), of)
    return scores


def means(judges: Judges, found: Sequence[Verdict], of: str) -> list[Score]:
    """The mean of each number over several pictures, with its interval."""
    return [
        score_of(name, mean_interval(column(found, name), within=ENDS[name]), judges.name_of(name), of)
        for name in found[0].values
        if name != CLIP_I or judges.fitness.is_fit
    ]


def laid_out(cells: list[Cell], count: int, columns: int | None) -> list[Cell]:
    """With a row for each style the photo stands at the head of each."""
    if columns is None:
        return cells
    photo, *others = cells
    rows = [others[start : start + count] for start in range(0, len(others), count)]
    return [cell for row in rows for cell in (photo, *row)]
