"""CLIP-T of the pictures in a folder with the texts in their metadata.jsonl, and with a wrong text for comparison."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from easel.data.texts import Told as Texts
from easel.data.texts import read_table, read_texts
from easel.errors import EaselError
from easel.images import READ_SIDE
from easel.jobs.inputs import afar, opened, opened_to_read, shortened_list, skipped_notes, thumbnail
from easel.jobs.judges import CLIP_T, ENDS, judge_name, load_clip, score_of
from easel.metrics.clip import cosines
from easel.metrics.intervals import difference_interval, mean_interval
from easel.recipes.score import ScorePrompt
from easel.result import Result
from easel.sheet import MOST_CELLS, Cell, sheet
from easel.workspace import Blob, Made, Work, Workspace

if TYPE_CHECKING:
    from easel.models.features import Clip

TOGETHER = 16
BATCHES = 4
"""Of so many pictures, in a worker's hands."""
WRONG = "CLIP-T with the next picture's text"
GAIN = "CLIP-T beyond a wrong text"


class Told(NamedTuple):
    """A picture of the folder, its text, another picture's, and where it begins in a shard and how long it is."""

    name: str
    path: str
    text: str
    wrong: str
    offset: int | None = None
    length: int | None = None


class Compared(Work[ScorePrompt]):
    """Of each picture the cosine with its own text and with the wrong one."""

    @cached_property
    def clip(self) -> Clip:
        """Who judges."""
        return load_clip(self.recipe.judge, self.workspace)

    def __call__(self, items: Sequence[Told]) -> Made:
        """The two numbers of each that opens, why the others do not, and notes."""
        broken: dict[str, str] = {}
        fits: dict[str, tuple[float, float]] = {}
        notes: list[str] = []
        told = {one.name: one for one in items}
        paths = {one.name: Path(one.path) for one in items}
        for pictures in opened_to_read(told, paths, broken, TOGETHER):
            notes += [str(picture.info["note"]) for picture in pictures.values() if "note" in picture.info]
            rows = self.clip.images(list(pictures.values()))
            right = cosines(rows, self.clip.texts([told[name].text for name in pictures]))
            other = cosines(rows, self.clip.texts([told[name].wrong for name in pictures]))
            fits |= {name: (float(fit), float(miss)) for name, fit, miss in zip(pictures, right, other, strict=True)}
        return {"fits": fits, "broken": broken, "notes": notes}


def run(recipe: ScorePrompt, workspace: Workspace) -> Result:
    """Compare every picture with its text.

    Raises EaselError on a folder without metadata.jsonl or without pictures, and Cancelled.
    """
    told, blobs = _read(recipe.folder or "", workspace)
    texts = told.texts
    work = Compared(recipe, workspace)
    work.clip  # noqa: B018 - what cannot be loaded is said first
    wrong = [*list(texts.values())[1:], next(iter(texts.values()))]
    items = []
    for (name, text), other in zip(texts.items(), wrong, strict=True):
        path = str(told.paths[name])
        place = blobs.get(path, Blob(name, path))
        items.append(Told(name, place.path, text, other, place.offset, place.length))
    lost: dict[Told, str] = {}
    broken: dict[str, str] = {}
    fits: dict[str, tuple[float, float]] = {}
    notes: list[str] = []
    for _, made in workspace.each("comparing", work, items, TOGETHER * BATCHES, lost):
        fits |= made["fits"]
        broken |= made["broken"]
        notes += made["notes"]
    broken |= {one.name: f"{one.name}: {why}" for one, why in lost.items()}
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
    with workspace.near([one for one in items if one.name in fits][:MOST_CELLS]) as near:
        shown = opened([one.name for one in near], {one.name: Path(one.path) for one in near}, {}, READ_SIDE)
    cells = [Cell(thumbnail(picture), f"{fits[name][0]:.3f}", (texts[name], name)) for name, picture in shown.items()]
    heading = f"CLIP-T of {of}: mean {scores[0].value:.3f}, judged by {judge}"
    workspace.save_picture("sheet.png", sheet(cells, heading=heading))
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        files=("table.csv", "sheet.png"),
        scores=tuple(scores),
        notes=tuple(notes),
    )


def _read(folder: str, workspace: Workspace) -> tuple[Texts, dict[str, Blob]]:
    """The texts of a folder, wherever that is, and where pictures lie that are in no file of this disk."""
    found = afar(folder, workspace)
    if found is None:
        return read_texts(Path(folder)), {}
    if found.table is None:
        raise EaselError(f"{folder} has no metadata.jsonl: `easel caption {folder} --on ...` writes one")
    blobs = {one.name: one for one in found.pictures}
    told = read_table(found.table, blobs, folder)
    told.notes.extend(found.notes)
    return told, blobs


def table(texts: dict[str, str], fits: dict[str, tuple[float, float]]) -> str:
    """table.csv: file_name, text, CLIP-T, and CLIP-T with the wrong text."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(("file_name", "text", CLIP_T, WRONG))
    for name, (fit, other) in fits.items():
        writer.writerow((name, texts[name], f"{fit:.6f}", f"{other:.6f}"))
    return made.getvalue()
