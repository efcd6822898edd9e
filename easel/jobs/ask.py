"""A question about a photo: open, load, ask, return the answers with their probabilities."""

from __future__ import annotations

from pathlib import Path

from easel import models
from easel.images import open_picture
from easel.jobs.doubt import guess_of, marked, ways
from easel.jobs.inputs import model_label, note_ends
from easel.recipes.ask import Ask
from easel.result import Result, Score
from easel.sheet import Cell, sheet
from easel.workspace import Workspace


def run(recipe: Ask, workspace: Workspace) -> Result:
    """Answer the question of an Ask recipe, the most probable answers first. Raises EaselError and Cancelled."""
    photo = open_picture(recipe.photo)
    note_ends(photo, Path(recipe.photo).name)
    workspace.step("loading the model", 0, 1)
    model = models.load(recipe.model, "ask", workspace.device)
    workspace.step("asking", 0, 1)
    answers = model.answers([photo], [recipe.question], count=recipe.count)[0]
    workspace.step("asking", 1, 1)
    trust, label = model.knows([photo], [recipe.question])[0], model_label(recipe.model)
    best, probability = answers[0]
    sure, notes = trust.confidence(probability), [photo.info.get("note")]
    lines = [f"{answer}: {probability:.2f}" for answer, probability in answers]
    texts = {"answer" if rank == 0 else f"answer {rank + 1}": answer for rank, (answer, _) in enumerate(answers)}
    if trust.guess(probability):
        lines.insert(0, f"{guess_of(label)}, confidence {sure:.2f}")
        texts["answer"] = marked(best, label)
        notes.append(
            f"'{best}' is {guess_of(label)} (confidence {sure:.2f}): it does not know such pictures well enough; "
            f"{ways('--model', trust.instead)}"
        )
    workspace.save_picture("sheet.png", sheet([Cell(photo, recipe.question, tuple(lines))]))
    name, judge = Path(recipe.photo).name, f"vqa:{label}"
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        files=("sheet.png",),
        texts=texts,
        scores=(
            *(Score(name=f"answer '{answer}'", value=chance, judge=judge, of=name) for answer, chance in answers),
            Score(name="answer confidence", value=sure, judge=judge, of=name),
        ),
        notes=tuple(note for note in notes if note),
    )
