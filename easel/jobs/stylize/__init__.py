"""A photo in several styles: open, load, caption, draw, save, judge, return."""

from __future__ import annotations

from easel.images import open_picture
from easel.jobs.judges import load_judges
from easel.jobs.painter import Painter
from easel.jobs.stylize.restyled import caption_of, finished, plan_pictures
from easel.jobs.stylize.styles import styles_of
from easel.recipes.stylize import Stylize
from easel.result import Result
from easel.workspace import Workspace


def run(recipe: Stylize, workspace: Workspace) -> Result:
    """Draw and judge the pictures of a Stylize recipe. Raises EaselError and Cancelled.

    Neighbours in a batch change the last bits of a sum, so each picture is drawn as `easel again` will draw it: alone.
    """
    styles = styles_of(recipe)
    original = open_picture(recipe.photo)
    judges = load_judges(recipe.judge, workspace)
    caption = recipe.caption or caption_of(original, recipe.captioner, workspace)
    painter = Painter(recipe, recipe.model, workspace, recipe.strength, redraw=recipe.method == "redraw")
    photo = painter.fitted(original)
    planned = plan_pictures(recipe, styles, caption)
    pictures = painter.draw(planned, photo)
    photos = (original, photo)
    return finished(recipe, workspace, judges, caption, photos, styles, planned, pictures, painter.notes)
