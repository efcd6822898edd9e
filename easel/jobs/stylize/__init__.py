"""A photo in several styles: open, load, caption, draw, save, judge, return."""

from __future__ import annotations

from easel.images import open_picture
from easel.jobs.judges import load_judges
from easel.jobs.stylize.restyled import finished, plan_pictures
from easel.jobs.stylize.restyler import BY_CAPTION, Restyler
from easel.jobs.stylize.styles import styles_of
from easel.jobs.stylize.subject import caption_of, untaught_notes
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
    subject = caption_of(original, recipe, workspace)
    caption = (subject.known() if recipe.method in BY_CAPTION else subject).caption
    painter = Restyler(recipe, recipe.method, workspace)
    photo = painter.fitted(original)
    planned = plan_pictures(recipe, styles, caption)
    pictures = painter.draw(planned, photo)
    photos = (original, photo)
    said = () if recipe.method == "instruct" else subject.note  # an instruction needs no caption
    notes = [*said, *untaught_notes(painter.untaught, styles, painter.name), *painter.notes]
    return finished(recipe, workspace, judges, caption, photos, styles, planned, pictures, notes, painter.untaught)
