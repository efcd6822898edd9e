"""Pictures from words, or from a model of your own: open, load, draw, measure how well each fits its words, return."""

from __future__ import annotations

from pathlib import Path

from easel.errors import EaselError
from easel.jobs.generate.diffusion import FromDiffusion, refuse_no_model
from easel.jobs.judges import CLIP_T, family_for, judge_name, load_clip, score_of
from easel.metrics.clip import cosines
from easel.metrics.intervals import mean_interval
from easel.models.catalog.trained_folders import described, is_trained
from easel.recipes.generate import Generate
from easel.recipes.knobs import DIFFUSION, TRAINED
from easel.result import Result, Score
from easel.sheet import sheet
from easel.workspace import Workspace

NO_JUDGE = (
    "how well the pictures fit their words was not measured, since no family at hand knows this model's pictures: "
    "`easel models pull base` fetches one for --judge base (--judge pocket knows pocket's own world alone)"
)
ALL = "all pictures"


def facts_of(recipe: Generate) -> dict[str, str]:
    """Which family of models draws: it decides which settings apply. Raises EaselError where there is no model."""
    if is_trained(recipe.model):
        return {"family": TRAINED}
    refuse_no_model(recipe.model)
    return {"family": DIFFUSION}


def judge_of(recipe: Generate) -> str | None:
    """The family that scores the pictures: as asked, or the one that the model belongs to (of a trained model that its
    text encoder belongs to), or the best at hand of those that know any pictures; None where there is none.
    """
    if recipe.judge is not None:
        return recipe.judge
    own = recipe.model
    if is_trained(own):
        own = str(described(Path(own).expanduser()).get("text_encoder") or own)
    return family_for(own)


def run(recipe: Generate, workspace: Workspace) -> Result:
    """Make the pictures of a Generate recipe. Raises EaselError and Cancelled."""
    family = judge_of(recipe)
    if is_trained(recipe.model):
        from easel.jobs.generate.trained import FromTrained

        source: FromDiffusion | FromTrained = FromTrained(recipe, workspace)
    else:
        source = FromDiffusion(recipe, workspace, family)
    if recipe.judge is not None and not source.has_words:
        raise EaselError("judge: scores how well pictures fit their words, and this model takes none: leave it out")
    # before the expensive part: a judge that is missing is told now
    clip = load_clip(family, workspace) if source.has_words and family is not None else None
    pictures = source.draw()
    files = [one.file for one in source.planned]
    scores = source.scores()
    fits: list[float] = []
    if clip is not None:
        workspace.step("measuring", 0, 1)
        found = cosines(clip.images(pictures), clip.texts([one.prompt for one in source.planned]))
        workspace.step("measuring", 1, 1)
        judge, fits = judge_name(str(family), CLIP_T), [float(fit) for fit in found]
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
        notes=(*source.notes, *([NO_JUDGE] if source.has_words and clip is None else [])),
    )
