"""CLIP-T of the pictures in a folder with the texts in their metadata.jsonl, and with a wrong text for comparison."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from easel.data.metadata import read_texts
from easel.jobs.inputs import opened_to_read, shortened_list, skipped_notes, thumbnail
from easel.jobs.judges import CLIP_T, ENDS, judge_name, load_clip, score_of
from easel.metrics.clip import cosines
from easel.metrics.intervals import difference_interval, mean_interval
from easel.recipes.score import ScorePrompt
from easel.result import Result
from easel.sheet import MOST_CELLS, Cell, sheet
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.features import Clip

TOGETHER = 16
WRONG = "CLIP-T with the next picture's text"
GAIN = "CLIP-T beyond a wrong text"


def run(recipe: ScorePrompt, workspace: Workspace) -> Result:
    """Compare every picture with its text.

    Raises EaselError on a folder without metadata.jsonl or without pictures, and Cancelled.
    """
    told = read_texts(Path(recipe.folder or ""))
    texts = told.texts
    clip = load_clip(recipe.judge, workspace)
    broken: dict[str, str] = {}
    fits: dict[str, tuple[float, float]] = {}
    shown: dict[str, Image.Image] = {}
    wrong = dict(zip(texts, [*list(texts.values())[1:], next(iter(texts.values()))], strict=True))
    workspace.step("comparing", 0, len(texts))
    notes: list[str] = []
    for pictures in opened_to_read(texts, told.paths, broken, TOGETHER):
        notes += [str(picture.info["note"]) for picture in pictures.values() if "note" in picture.info]
        fits |= compared(clip, pictures, texts, wrong)
        shown |= {name: thumbnail(picture) for name, picture in pictures.items() if len(shown) < MOST_CELLS}
        workspace.step("comparing", len(fits) + len(broken), len(texts))
    notes = [*told.notes, *skipped_notes(broken, len(texts)), *shortened_list(notes)]
    right = [fit for fit, _ in fits.values()]
    judge, of = judge_name(recipe.judge, CLIP_T), f"{len(fits)} pictures"
    scores = [score_of(CLIP_T, mean_interval(right, within=ENDS[CLIP_T]), judge, of)]
    if len(set(texts.values())) > 1:
        chance = [other for _, other in fits.values()]
        scores += [
            score_of(WRONG, mean_interval(chance, within=ENDS[CLIP_T]), judge, of),
            score_of(GAIN, difference_interval(right, chance, within=(-2.0, 2.0)), judge, of),
        ]
    workspace.save_text("table.csv", table(texts, fits))
    cells = [
        Cell(picture, f"{fits[name][0]:.3f}", (texts[name], name)) for name, picture in list(shown.items())[:MOST_CELLS]
    ]
    heading = f"CLIP-T of {of}: mean {scores[0].value:.3f}, judged by {judge}"
    workspace.save_picture("sheet.png", sheet(cells, heading=heading))
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        files=("table.csv", "sheet.png"),
        scores=tuple(scores),
        notes=tuple(notes),
    )


def compared(
    clip: Clip, pictures: dict[str, Image.Image], texts: dict[str, str], wrong: dict[str, str]
) -> dict[str, tuple[float, float]]:
    """For each picture the cosine with its own text and with the wrong one."""
    if not pictures:
        return {}
    rows = clip.images(list(pictures.values()))
    right = cosines(rows, clip.texts([texts[name] for name in pictures]))
    other = cosines(rows, clip.texts([wrong[name] for name in pictures]))
    return {name: (float(fit), float(miss)) for name, fit, miss in zip(pictures, right, other, strict=True)}


def table(texts: dict[str, str], fits: dict[str, tuple[float, float]]) -> str:
    """table.csv: file_name, text, CLIP-T, and CLIP-T with the wrong text."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(("file_name", "text", CLIP_T, WRONG))
    for name, (fit, other) in fits.items():
        writer.writerow((name, texts[name], f"{fit:.6f}", f"{other:.6f}"))
    return made.getvalue()
