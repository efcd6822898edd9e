"""A question about a photo: open, load, ask, return the answers with their probabilities."""

from __future__ import annotations

from pathlib import Path

from easel import models
from easel.images import open_picture
from easel.jobs.inputs import model_label
from easel.recipes.ask import Ask
from easel.result import Result, Score
from easel.sheet import Cell, sheet
from easel.workspace import Workspace


def run(recipe: Ask, workspace: Workspace) -> Result:
    """Answer the question of an Ask recipe, the most probable answers first. Raises EaselError and Cancelled."""
    photo = open_picture(recipe.photo)
    workspace.step("loading the model", 0, 1)
    model = models.load(recipe.model, "ask", workspace.device)
    workspace.step("asking", 0, 1)
    answers = model.answers([photo], [recipe.question], count=recipe.count)[0]
    workspace.step("asking", 1, 1)
    lines = tuple(f"{answer}: {probability:.2f}" for answer, probability in answers)
    workspace.save_picture("sheet.png", sheet([Cell(photo, recipe.question, lines)]))
    name, judge = Path(recipe.photo).name, f"vqa:{model_label(recipe.model)}"
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        files=("sheet.png",),
        texts={"answer" if rank == 0 else f"answer {rank + 1}": answer for rank, (answer, _) in enumerate(answers)},
        scores=tuple(
            Score(name=f"answer '{answer}'", value=chance, judge=judge, of=name) for answer, chance in answers
        ),
        notes=tuple(note for note in [photo.info.get("note")] if note),
    )
