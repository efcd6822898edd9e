"""The prompts of a run, and the pictures that are planned from them."""

from __future__ import annotations

from easel.errors import EaselError
from easel.jobs.inputs import Row, file_name, read_rows
from easel.jobs.painter import PlannedPicture
from easel.models.diffusion import prompts
from easel.recipes import knobs
from easel.recipes.generate import Generate


class Prompt(Row):
    """One row of a prompt set."""

    name: knobs.Prompt
    """What the row is called."""
    prompt: knobs.Prompt
    """What the picture should show."""
    negative_prompt: knobs.NegativePrompt | None = None
    """What should not be in it; the recipe's own when left out."""


def planned(recipe: Generate) -> list[PlannedPicture]:
    """Every picture of the run in the order it is drawn; picture i has the recipe's seed + i.

    Raises EaselError on a bad prompt set.
    """
    if recipe.prompts is None:
        rows = [Prompt(name=recipe.prompt or "", prompt=recipe.prompt or "")]
    else:
        rows = read_rows(recipe.prompts, Prompt)
    for row in rows if recipe.applies("negative_prompt") else ():
        try:
            prompts.check(row.prompt)
            prompts.check(recipe.negative_prompt if row.negative_prompt is None else row.negative_prompt)
        except EaselError as problem:
            raise EaselError(f"{recipe.prompts}: '{row.name}': {problem}" if recipe.prompts else str(problem)) from None
    total = len(rows) * recipe.count
    pictures = []
    for index in range(total):
        row = rows[index // recipe.count]
        changes = {"prompt": row.prompt, "prompts": None}
        negative = recipe.negative_prompt if row.negative_prompt is None else row.negative_prompt
        if recipe.applies("negative_prompt"):
            changes["negative_prompt"] = negative
        alone = recipe.for_picture(index, **changes)
        file = file_name(index, total, row.name)
        pictures.append(PlannedPicture(file, row.prompt, negative, recipe.seed + index, alone))
    return pictures
