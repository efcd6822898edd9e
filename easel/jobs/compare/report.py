"""What a comparison leaves behind: a grid picture, two tables, a page, and the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from easel.images import open_picture
from easel.jobs.compare.cells import Row
from easel.jobs.compare.page import page
from easel.jobs.compare.pictures import Shown
from easel.jobs.compare.standings import Finding, findings, scores_of, sentence
from easel.jobs.inputs import thumbnail
from easel.metrics.intervals import Estimate
from easel.recipes.compare import Compare
from easel.result import Result
from easel.sheet import MOST_COLUMNS, MOST_ROWS, Line, grid
from easel.workspace import Workspace

HEADS = (
    "candidate",
    "score",
    "judge",
    "n",
    "value",
    "low",
    "high",
    "better is",
    "behind the best",
    "from",
    "to",
    "stands",
)
"""Of table.csv: a line for each score of each candidate; low and high are the ends of the mean's 95 % interval, from
and to those of the difference to the best, which hold for all pairs together.
"""
MOST_SCORES = 5
"""Scores over a column of the grid."""


def finished(
    recipe: Compare, workspace: Workspace, photos: Mapping[str, Path], rows: Sequence[Row], notes: Sequence[str]
) -> Result:
    """Lay everything out and give the result."""
    found = findings(rows)
    text = sentence(found, rows)
    with workspace.phase("laying out", 3) as done:
        workspace.save_csv("table.csv", HEADS, table(found))
        workspace.save_csv("cells.csv", *cells(rows))
        done(1)
        workspace.save_picture("sheet.png", overview(workspace, photos, rows, found, text))
        done(2)
        workspace.save_text("report.html", page(Shown.of(recipe, workspace, photos, rows), found, text))
    return Result(
        kind=recipe.kind,
        pictures=() if recipe.pictures else tuple(name for row in rows for name in row.get("pictures", ())),
        files=("sheet.png", "table.csv", "cells.csv", "report.html"),
        texts={"verdict": text},
        scores=tuple(scores_of(found)),
        notes=tuple(notes),
    )


def table(found: Sequence[Finding]) -> list[tuple[object, ...]]:
    """The lines of table.csv."""
    lines: list[tuple[object, ...]] = []
    for one in found:
        better = {True: "more", False: "less", None: ""}[one.more_is_better]
        for candidate, mean in one.means.items():
            behind, word = stands(one, candidate)
            own = (mean.n, *_numbers(mean))
            lines.append(
                (candidate, one.name, one.judge, *own, better, *(_numbers(behind) if behind else ("", "", "")), word)
            )
    return lines


def stands(one: Finding, candidate: str) -> tuple[Estimate | None, str]:
    """How far a candidate is behind the best, and that in a word; nothing where no end is better."""
    if one.standing is None:
        return None, ""
    if candidate == one.standing.best:
        return None, "best"
    behind = one.standing.behind[candidate]
    return behind, "within the noise" if candidate in one.standing.tied else "behind"


def _numbers(estimate: Estimate) -> tuple[str, ...]:
    return tuple("" if number is None else f"{number:.6g}" for number in estimate[:3])


def cells(rows: Sequence[Row]) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """The heads and lines of cells.csv: one for each cell, with why it failed or the mean of each score."""
    names = list(dict.fromkeys((name, judge) for row in rows for name, judge, _ in row.get("values", ())))
    heads = tuple(f"{name} ({judge})" for name, judge in names)
    lines = []
    for row in rows:
        numbers = {(name, judge): f"{value:.6g}" for name, judge, value in row.get("values", ())}
        seed = "" if row["seed"] is None else row["seed"]
        first = (row["candidate"], row["photo"], seed, " ".join(row.get("pictures", ())), row.get("failed", ""))
        lines.append((*first, *(numbers.get(name, "") for name in names)))
    return ("candidate", "photo", "seed", "pictures", "failed", *heads), lines


def overview(
    workspace: Workspace, photos: Mapping[str, Path], rows: Sequence[Row], found: Sequence[Finding], text: str
) -> Image.Image:
    """The grid: a row for each photo with the first seed, or for each seed of one photo; a column a candidate."""
    candidates = list(dict.fromkeys(row["candidate"] for row in rows))
    by_place: dict[tuple[str, int | None], dict[str, Row]] = {}
    for row in rows:
        by_place.setdefault((row["photo"], row["seed"]), {})[row["candidate"]] = row
    places = list(by_place)
    if len({photo for photo, _ in places}) > 1:
        places = [place for place in places if place[1] == places[0][1]]
    lines = []
    for photo, seed in places[:MOST_ROWS]:
        mine = by_place[photo, seed]
        pictures = [_small(mine[name], workspace) for name in candidates[:MOST_COLUMNS]]
        if photo:
            pictures.insert(0, thumbnail(open_picture(photos[photo], 4 * MOST_COLUMNS * 15)))
        is_seed = seed is not None and len(places) > 1 and places[0][0] == places[1][0]
        lines.append(Line(f"seed {seed}" if is_seed or not photo else photo, tuple(pictures)))
    lines += [Line("", ())] * (len(places) - len(lines))
    heads = [(name, _notes(found, name)) for name in candidates]
    heads = [("the photo", ()), *heads] if places[0][0] else heads
    return grid(heads, lines, text)


def _notes(found: Sequence[Finding], candidate: str) -> tuple[str, ...]:
    """The first scores of a candidate, with a star for the best and a wave for what is within the noise of it."""
    marks = {"best": " *", "within the noise": " ~"}
    return tuple(
        f"{one.name} {one.means[candidate].value:.3f}{marks.get(stands(one, candidate)[1], '')}"
        for one in found[:MOST_SCORES]
        if candidate in one.means
    )


def _small(row: Row, workspace: Workspace) -> Image.Image | str:
    """A cell's first picture, small; or why there is none."""
    if "failed" in row:
        return f"failed: {row['failed']}"
    if not row["pictures"]:
        return "no picture"
    return thumbnail(open_picture(workspace.folder / row["pictures"][0], 1440))
