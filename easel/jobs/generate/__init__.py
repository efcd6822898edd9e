"""Pictures from words, or from a model of your own: open, load, draw, measure how well each fits its words, return."""

from __future__ import annotations

from easel.jobs.generate.diffusion import FromDiffusion, refuse_no_model
from easel.jobs.judges import CLIP_T, judge_name, load_clip, score_of
from easel.metrics.clip import cosines
from easel.metrics.intervals import mean_interval
from easel.models.catalog.trained_folders import is_trained
from easel.recipes.generate import Generate
from easel.recipes.knobs import DIFFUSION, TRAINED
from easel.result import Result, Score
from easel.sheet import sheet
from easel.workspace import Workspace

JUDGE = "pocket"
ALL = "all pictures"


def facts_of(recipe: Generate) -> dict[str, str]:
    """Which family of models draws: it decides which settings apply. Raises EaselError where there is no model."""
    if is_trained(recipe.model):
        return {"family": TRAINED}
    refuse_no_model(recipe.model)
    return {"family": DIFFUSION}


def run(recipe: Generate, workspace: Workspace) -> Result:
    """Make the pictures of a Generate recipe. Raises EaselError and Cancelled."""
    if is_trained(recipe.model):
        from easel.jobs.generate.trained import FromTrained

        source: FromDiffusion | FromTrained = FromTrained(recipe, workspace)
    else:
        source = FromDiffusion(recipe, workspace)
    # before the expensive part: a judge that is missing is told now
    clip = load_clip(JUDGE, workspace) if source.has_words else None
    pictures = source.draw()
    files = [one.file for one in source.planned]
    scores = source.scores()
    fits: list[float] = []
    if clip is not None:
        workspace.step("measuring", 0, 1)
        found = cosines(clip.images(pictures), clip.texts([one.prompt for one in source.planned]))
        workspace.step("measuring", 1, 1)
        judge, fits = judge_name(JUDGE, CLIP_T), [float(fit) for fit in found]
        scores += [Score(name=CLIP_T, value=fit, judge=judge, of=file) for file, fit in zip(files, fits, strict=True)]
        scores += [score_of(CLIP_T, mean_interval(fits), judge, ALL)] if len(fits) > 1 else []
    cells = [source.cell(number, picture, fits[number] if fits else None) for number, picture in enumerate(pictures)]
    workspace.save_picture("sheet.png", sheet(cells, heading=source.heading))
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        pictures=tuple(files),
        files=(*source.files, "sheet.png"),
        texts={one.file: one.prompt for one in source.planned if one.prompt},
        scores=tuple(scores),
        notes=tuple(source.notes),
    )
