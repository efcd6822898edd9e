"""The cells of a comparison: a candidate on a photo with a seed, run through its kind's own job in its own folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easel import jobs
from easel.errors import FAULT, Cancelled, EaselError, NoRoom, Unconfirmed, printable, unexpected
from easel.jobs.inputs import file_name
from easel.recipes import Recipe
from easel.recipes.compare import Candidate, Compare
from easel.result import Result
from easel.workspace import Step, Workspace

FOLDER = "cells"
LONGEST = 200
"""Bytes of a photo's name that a folder is called by."""

Row = dict[str, Any]
"""A cell as the journal keeps it: key, candidate (its label), photo ('' where there is none), seed, seconds, and failed
(why), or pictures, values ([name, judge, number] each) and notes.
"""


@contextlib.contextmanager
def failing_alone(row: Row, folder: Path) -> Iterator[None]:
    """What goes wrong with one cell or training is kept with it as `failed`, and the rest goes on; a fault of easel's
    own leaves its traceback in the folder, which goes when all is well. Raises Cancelled, Unconfirmed and NoRoom.
    """
    try:
        yield
    except (Cancelled, Unconfirmed, NoRoom):
        raise
    except EaselError as problem:
        row["failed"] = printable(problem)
    except Exception as problem:  # noqa: BLE001 - a fault in one is kept with it, and the rest goes on
        row["failed"] = printable(unexpected(problem, folder))
    else:
        (folder / FAULT).unlink(missing_ok=True)


@dataclass(frozen=True)
class Cell:
    """A candidate on a photo with a seed."""

    candidate: Candidate
    photo: str
    """Its name among the photos; '' where the kind takes none."""
    path: Path | None
    seed: int
    folder: str
    """Within the folder of the comparison."""

    @property
    def key(self) -> str:
        """The journal's key."""
        return key_of(self.candidate.label, self.photo, self.seed)

    @property
    def recipe(self) -> Recipe:
        """The recipe of its job."""
        return self.candidate.recipe(None if self.path is None else str(self.path), self.seed)

    def run(self, workspace: Workspace, phase: str, number: int, total: int) -> Row:
        """Run it as cell `number` of `total`: its row, also where it fails. Raises Cancelled; and EaselError where its
        folder cannot be written, which no other could be either.
        """

        def report(step: Step) -> None:
            workspace.step(phase, number, total, step.preview)

        workspace.step(phase, number, total)
        child = workspace.child(self.folder, report)
        begin = time.monotonic()
        row: Row = {"key": self.key, "candidate": self.candidate.label, "photo": self.photo, "seed": self.seed}
        with failing_alone(row, child.folder):
            result = jobs.run(self.recipe, child)
            row["pictures"] = [f"{self.folder}/{name}" for name in result.pictures]
            row["values"] = values_of(result)
            row["notes"] = list(result.notes)
        return row | {"seconds": round(time.monotonic() - begin, 3)}


def key_of(candidate: str, photo: str, seed: int) -> str:
    """The journal's key of a cell."""
    return json.dumps([candidate, photo, seed], ensure_ascii=False)


def planned(recipe: Compare, photos: Mapping[str, Path]) -> list[Cell]:
    """All cells, those of a candidate one after the other, so that its models are loaded once.

    Raises EaselError on a candidate with settings that its model has no use for.
    """
    candidates = recipe.candidates()
    places: dict[str, Path | None] = {**photos} or {"": None}
    cells = []
    for index, candidate in enumerate(candidates):
        place = f"{FOLDER}/{file_name(index, len(candidates), candidate.label).removesuffix('.png')}"
        mine = [
            Cell(candidate, photo, path, seed, "/".join([place, *([_folder(photo)] if photo else []), str(seed)]))
            for photo, path in places.items()
            for seed in recipe.each_seed
        ]
        _check(mine[0])
        cells += mine
    return cells


def _check(cell: Cell) -> None:
    """Raise EaselError where a candidate has settings that its model has no use for."""
    recipe = cell.recipe
    try:
        facts = jobs.facts_of(recipe)
    except EaselError:
        return  # what is missing is said by its own job, and the other candidates go on
    try:
        recipe.bound(**facts)
    except EaselError as problem:
        raise EaselError(f"{cell.candidate.label}: {problem}") from problem


def _folder(photo: str) -> str:
    """What a photo's folder is called: as the photo, where that is not too long for a name."""
    is_short = all(len(part.encode("utf-8", "backslashreplace")) <= LONGEST for part in photo.split("/"))
    return photo if is_short else hashlib.sha256(photo.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def values_of(result: Result) -> list[tuple[str, str, float]]:
    """The scores of a cell as (name, judge, number): of each the mean over its pictures, or of a result that scores no
    pictures one by one, its scores as they are.
    """
    mine = [score for score in result.scores if score.of in result.pictures] or result.scores
    found: dict[tuple[str, str], list[float]] = {}
    for score in mine:
        found.setdefault((score.name, score.judge), []).append(score.value)
    return [(name, judge, sum(numbers) / len(numbers)) for (name, judge), numbers in found.items()]


def is_row(row: Row) -> bool:
    """Whether a row of the journal says what `Cell.run` says."""
    words = all(isinstance(row[name], str) for name in ("candidate", "photo"))
    if not words or not isinstance(row["seed"], int) or not isinstance(row["seconds"], float):
        return False
    if "failed" in row:
        return isinstance(row["failed"], str)
    numbers = all(isinstance(value, float) and isinstance(name + judge, str) for name, judge, value in row["values"])
    return numbers and all(isinstance(name, str) for name in (*row["pictures"], *row["notes"]))


def is_finished(row: Row | None, workspace: Workspace) -> bool:
    """Whether a cell need not be run: what failed is tried again, and so is what was taken away since."""
    return row is not None and "failed" not in row and all(workspace.path(name).is_file() for name in row["pictures"])
