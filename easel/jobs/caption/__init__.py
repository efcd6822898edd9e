"""Captions of photos: open, load, caption and rank tags batch by batch, write them down, return.

A run's folder gets metadata.jsonl in the imagefolder convention (`file_name`, `text`), file names relative to the
photos' own folder, or to the run's where all photos lie in that. The photo folder itself is never written to, unless it
is given as --out: copy metadata.jsonl beside the photos to load them as a data set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel import models
from easel.errors import EaselError
from easel.jobs import journal
from easel.jobs.caption import tags
from easel.jobs.caption.tags import Tag
from easel.jobs.doubt import guess_of, marked, ways
from easel.jobs.inputs import (
    gather,
    model_label,
    opened,
    opened_to_read,
    shortened_list,
    skipped_notes,
    strange_notes,
    thumbnail,
)
from easel.jobs.judges import load_clip
from easel.models import knowing
from easel.models.catalog import locate
from easel.recipes.caption import Caption
from easel.result import Result, Score
from easel.sheet import MOST_CELLS, TILE, Cell, sheet
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.captioners import Captioner
    from easel.models.features import Clip

Rows = dict[str, dict[str, Any]]
METADATA = "metadata.jsonl"
CONFIDENCE = "caption confidence"


def run(recipe: Caption, workspace: Workspace) -> Result:
    """Caption the photos of a Caption recipe, going on where an earlier run in this folder stopped.

    Raises EaselError and Cancelled.
    """
    groups = tags.read_tags(recipe.tags or "builtin") if recipe.tags or recipe.interrogate else {}
    photos = gather(recipe.photos, workspace.folder, workspace.folder)
    done = journal.Journal(workspace.path(journal.NAME), is_row)
    left = [name for name in photos if name not in done.rows]
    broken: dict[str, str] = {}
    notes = list(done.notes)
    small: dict[str, Image.Image] = {}
    refuse_strange_metadata(workspace, done.rows)
    try:
        if left:
            teller = Teller.load(recipe, groups, workspace)
        begun = len(photos) - len(left)
        workspace.step("captioning", begun, len(photos))
        for pictures in opened_to_read(left, photos, broken, recipe.batch_size):
            notes += [str(picture.info["note"]) for picture in pictures.values() if "note" in picture.info]
            done.append(teller.rows(pictures))
            small |= {name: thumbnail(pictures[name]) for name in pictures if len(small) < MOST_CELLS}
            begun += len(pictures)
            workspace.step("captioning", begun + len(broken), len(photos))
    finally:
        rows_now = {name: done.rows[name] for name in photos if name in done.rows}
        if rows_now:
            workspace.save_text(METADATA, metadata(rows_now, recipe))
    said = [*skipped_notes(broken, len(photos)), *shortened_list(notes), *strange_notes(recipe.photos)]
    return finished(recipe, workspace, photos, rows_now, small, said)


def is_row(row: Mapping[str, Any]) -> bool:
    """Whether a row of the journal says what `Teller.rows` says of a picture."""
    said, found = row["captions"], [Tag(*tag) for tag in row["tags"]]
    if not (isinstance(row["guess"], bool) and isinstance(row["tags_guess"], bool) and 0 <= row["confidence"] <= 1):
        return False
    words = [row["text"], row["instead"], *said, *(word for tag in found for word in (tag.group, tag.text))]
    return (
        bool(said) and all(isinstance(word, str) for word in words) and all(0 <= tag.probability <= 1 for tag in found)
    )


@dataclass(frozen=True)
class Teller:
    """The loaded models, and the tags as CLIP's rows."""

    captioner: Captioner
    clip: Clip | None
    eye: Captioner | None
    """Knows which pictures are beyond the depth of the CLIP that ranks the tags; None where nobody does."""
    groups: tags.Groups
    words: Mapping[str, NDArray[np.floating]]
    count: int
    seed: int
    interrogate: bool

    @classmethod
    def load(cls, recipe: Caption, groups: tags.Groups, workspace: Workspace) -> Teller:
        """Load what the recipe needs. Raises EaselError."""
        workspace.step("loading the model", 0, 1)
        captioner = models.load(recipe.model, "caption", workspace.device)
        workspace.step("loading the model", 1, 1)
        clip = load_clip(recipe.judge, workspace) if groups else None
        words = {group: clip.texts(list(texts)) for group, texts in groups.items()} if clip is not None else {}
        eye = captioner if recipe.judge == recipe.model else eye_of(recipe.judge, workspace) if clip else None
        return cls(captioner, clip, eye, groups, words, recipe.count, recipe.seed, recipe.interrogate)

    def rows(self, pictures: Mapping[str, Image.Image]) -> list[dict[str, Any]]:
        """What is said about each picture: its captions and tags, and the text that stands for it."""
        images = list(pictures.values())
        readings = self.captioner.read(images, count=self.count, seed=self.seed)
        ranked: list[list[Tag]] = [[] for _ in images]
        unlike = [False] * len(images)
        if self.clip is not None:
            ranked = tags.ranked(self.clip.images(images), self.words, self.groups, self.clip.scale)
            unlike = self.eye.out_of_depth(images) if self.eye is not None else unlike
        if self.clip is not None and self.eye is self.captioner:
            unlike = [strange or read.guess for strange, read in zip(unlike, readings, strict=True)]
        return [
            {
                "key": name,
                "text": tags.interrogated(read.text, [] if read.silent and guess else found)
                if self.interrogate
                else read.text,
                "captions": [read.text] if read.silent else read.captions,
                "tags": found,
                "confidence": read.confidence,
                "guess": read.guess,
                "tags_guess": guess,
                "instead": read.instead,
            }
            for name, read, found, guess in zip(pictures, readings, ranked, unlike, strict=True)
        ]


def eye_of(judge: str, workspace: Workspace) -> Captioner | None:
    """The captioner of the judge's family, if it has one that knows its limits."""
    try:
        known = knowing.read(locate.find(judge, "caption").path)
    except EaselError:
        return None
    return models.load(judge, "caption", workspace.device) if known.depth is not None else None


def metadata(rows: Rows, recipe: Caption) -> str:
    """metadata.jsonl as `datasets` reads it: a line a picture; sampled captions beyond the first in the column
    `captions`, how far the text can be trusted in `confidence`, and in `guess` whose guess it is and the way to better.
    """
    lines = []
    for name, row in rows.items():
        line = {"file_name": name, "text": row["text"], "confidence": round(row["confidence"], 3)}
        if row["guess"]:
            line["guess"] = f"{guess_of(model_label(recipe.model))}: {ways('--model', row['instead'])}"
        if recipe.count > 1:
            line["captions"] = row["captions"]
        lines.append(json.dumps(line, ensure_ascii=False))
    return "\n".join(lines) + "\n"


def refuse_strange_metadata(workspace: Workspace, rows: Rows) -> None:
    """Someone's own metadata.jsonl in the run's folder is not overwritten."""
    if workspace.path(METADATA).exists() and not rows:
        raise EaselError(f"{workspace.path(METADATA)} is there already and is not this run's: choose another --out")


def finished(
    recipe: Caption,
    workspace: Workspace,
    photos: dict[str, Path],
    rows: Rows,
    small: Mapping[str, Image.Image],
    notes: list[str],
) -> Result:
    """The sheet, the table of tags and the result. `small` are copies of the pictures that this run opened."""
    files = [METADATA]
    if any(row["tags"] for row in rows.values()):
        guesses = [name for name, row in rows.items() if row["tags_guess"]]
        workspace.save_text("tags.csv", tags.table({name: row["tags"] for name, row in rows.items()}, guesses))
        files.append("tags.csv")
    workspace.step("laying out the sheet", 0, 1)
    cells: list[Cell] = []
    for name in list(rows)[:MOST_CELLS]:  # one that an earlier run captioned is opened again
        copies = small if name in small else opened([name], photos, {}, 2 * TILE)
        if name in copies:
            cells.append(Cell(thumbnail(copies[name]), name, sheet_lines(rows[name], recipe)))
    heading = f"{len(rows)} pictures captioned by {model_label(recipe.model)}" if len(rows) > 1 else ""
    workspace.save_picture("sheet.png", sheet(cells, heading=heading))
    workspace.step("laying out the sheet", 1, 1)
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        files=(*files, "sheet.png"),
        texts=texts_of(rows, recipe),
        scores=tuple(score for name, row in rows.items() for score in scores_of(name, row, recipe)),
        notes=(*notes, *doubts(rows, recipe)),
    )


def text_of(row: Mapping[str, Any], recipe: Caption) -> str:
    """The text, marked where it is a guess, or where nothing better than 'a photo' could be said."""
    label, text = model_label(recipe.model), str(row["text"])
    if row["guess"] and row["captions"] == [knowing.UNKNOWN]:
        return f"{text} ({label} cannot tell of what)"
    return marked(text, label) if row["guess"] else text


def texts_of(rows: Rows, recipe: Caption) -> dict[str, str]:
    """Each picture's text by its name; further captions and the tags under 'name, caption 2' and 'name, tags'."""
    texts: dict[str, str] = {}
    for name, row in rows.items():
        texts[name] = text_of(row, recipe)
        texts |= {f"{name}, caption {number}": said for number, said in enumerate(row["captions"][1:], 2)}
        if row["tags"]:
            ranks = "; ".join(tags.lines(row["tags"]))
            texts[f"{name}, tags"] = marked(ranks, model_label(recipe.judge)) if row["tags_guess"] else ranks
    return texts


def doubts(rows: Rows, recipe: Caption) -> list[str]:
    """Notes on captions and tags that are guesses, with the ways to better ones."""
    guessed = [row for row in rows.values() if row["guess"]]
    silent = sum(row["captions"] == [knowing.UNKNOWN] for row in guessed)
    reader, judge = model_label(recipe.model), model_label(recipe.judge)
    notes = []
    if guessed:
        rest = f", and of {silent} of these it says only '{knowing.UNKNOWN}'" if silent else ""
        notes.append(
            f"{len(guessed)} of {len(rows)} captions are {guess_of(reader)}: it does not know such pictures{rest}; "
            f"{ways('--model', guessed[0]['instead'])}"
        )
    strange = sum(row["tags_guess"] for row in rows.values())
    if strange:
        instead = guessed[0]["instead"] if guessed and recipe.judge == recipe.model else ""
        notes.append(
            f"the tags of {strange} of {len(rows)} pictures are {guess_of(judge)}, though one of each group comes "
            f"first: {ways('--judge', instead)}"
        )
    return notes


def scores_of(name: str, row: dict[str, Any], recipe: Caption) -> list[Score]:
    """How far the caption can be trusted, and the best tag of each group with its share of the group."""
    sure = Score(name=CONFIDENCE, value=row["confidence"], judge=f"caption:{model_label(recipe.model)}", of=name)
    best, judge = tags.best_of([Tag(*tag) for tag in row["tags"]]), f"clip:{model_label(recipe.judge)}"
    shares = [
        Score(name=f"{tag.group}: {tag.text}", value=tag.probability, judge=judge, of=name) for tag in best.values()
    ]
    return [sure, *shares]


def sheet_lines(row: dict[str, Any], recipe: Caption) -> tuple[str, ...]:
    """The text, other captions, and the best tag of each group; what is a guess says so."""
    best: Sequence[Tag] = [*tags.best_of([Tag(*tag) for tag in row["tags"]]).values()]
    lines = [row["text"], *row["captions"][1:]]
    if row["guess"]:
        lines[0] = f"{text_of(row, recipe)}, confidence {row['confidence']:.2f}"
    if best:
        shares = ", ".join(f"{tag.text} {tag.probability:.2f}" for tag in best)
        lines.append(marked(shares, model_label(recipe.judge)) if row["tags_guess"] else shares)
    return tuple(lines)
