"""What a measurement of styles has come to: its table, chart and sheet, the rates, and which method wins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from easel.charts import Bars, bar_chart
from easel.jobs.inputs import batches, model_label, opened, thumbnail
from easel.jobs.judges import (
    CLIP_I,
    CLIP_T,
    DISTANCE,
    ENDS,
    HIT,
    STYLE,
    STYLE_BEFORE,
    Fitness,
    Verdict,
    judge_name,
    load_clip,
    score_of,
)
from easel.jobs.score.rates import GAIN, RATE, RATE_BEFORE, Pair, rates, success_scores
from easel.jobs.score.winners import Drawn, Outcome, outcome, sentence
from easel.jobs.stylize.styles import Style
from easel.metrics.clip import cosines
from easel.metrics.intervals import Estimate, mean_interval
from easel.metrics.retrieval import AMONG, retrieval
from easel.recipes.knobs import listed
from easel.recipes.score import ScoreStyles
from easel.result import Result, Score
from easel.sheet import MOST_CELLS, PAPER, Cell, sheet
from easel.workspace import Workspace

ALL = "all styles"
MOST_COLUMNS = 8
LEAST_PHOTOS, MOST_PHOTOS = 10, 100
"""Of a folder, with which the judge's own fitness is measured."""
TOGETHER = 16

HEADS = (
    "photo",
    "style",
    "method",
    "file",
    "seed",
    "prompt",
    "question",
    "yes",
    "yes on the photo",
    "p(yes)",
    "p(yes) on the photo",
    CLIP_T,
    CLIP_I,
    DISTANCE,
)
"""Of table.csv."""

Row = dict[str, Any]
"""One photo in one style by one method, as the journal keeps it: key, photo, style, method, caption, prompt, files,
seeds, verdicts.
"""


def finished(
    recipe: ScoreStyles,
    workspace: Workspace,
    styles: list[Style],
    photos: dict[str, Path],
    rows: list[Row],
    notes: list[str],
) -> Result:
    """Table, chart, sheet, the rates with their intervals, and of several methods which one wins."""
    workspace.step("laying out the sheet", 0, 1)
    by_method: dict[str, list[Row]] = {
        method: [row for row in rows if row["method"] == method] for method in recipe.method
    }
    fitness = {method: fitness_of(recipe, workspace, photos, mine) for method, mine in by_method.items() if mine}
    scores: list[Score] = []
    for method, one in fitness.items():
        by = f" by {method}" if len(recipe.method) > 1 else ""
        scores += method_scores(by_method[method], styles, recipe.judge, one, by)
    found = outcomes(styles, by_method) if len(recipe.method) > 1 else {}
    notes = [*(sentence(style.label, found[style.name]) for style in styles if style.name in found), *notes]
    for name, who in found.items():
        scores += leads(name, who, recipe.judge)
    workspace.save_csv("table.csv", HEADS, table(rows))
    workspace.save_bytes("chart.png", chart(recipe, styles, by_method, found))
    workspace.save_picture("sheet.png", overview(recipe, workspace, styles, photos, rows, fitness))
    workspace.step("laying out the sheet", 1, 1)
    of_judge: dict[str, list[str]] = {}
    for method, one in fitness.items():
        of_judge.setdefault(one.note, []).append(method)
    said = [note if len(of_judge) == 1 else f"{listed(methods)}: {note}" for note, methods in of_judge.items()]
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        pictures=tuple(file for row in rows for file in row["files"]),
        files=("table.csv", "chart.png", "sheet.png"),
        texts={row["photo"]: row["caption"] for row in rows},
        scores=tuple(scores),
        notes=(*notes, *said),
    )


def method_scores(rows: list[Row], styles: list[Style], judge: str, fitness: Fitness, by: str) -> list[Score]:
    """The scores of each style that a method drew, and of all of them; `by` says the method where there are several."""
    by_style = {style.name: mine for style in styles if (mine := [row for row in rows if row["style"] == style.name])}
    scores = [score for name, mine in by_style.items() for score in style_scores(mine, judge, name + by, fitness)]
    if len(by_style) > 1:
        names = dict.fromkeys(row["photo"] for row in rows)
        groups = [[pair for row in rows if row["photo"] == name for pair in pairs_of(row)] for name in names]
        scores += success_scores(groups, judge_name(judge, STYLE), ALL + by)
    return scores


def outcomes(styles: list[Style], by_method: Mapping[str, list[Row]]) -> dict[str, Outcome | None]:
    """Who wins, by style; a style that fewer than two methods drew has no winner and is left out."""
    found = {}
    for style in styles:
        drawn = {
            method: {
                row["photo"]: Drawn(pairs_of(row), mean_of(row, DISTANCE)) for row in rows if row["style"] == style.name
            }
            for method, rows in by_method.items()
        }
        drawn = {method: mine for method, mine in drawn.items() if mine}
        if len(drawn) > 1:
            found[style.name] = outcome(drawn)
    return found


def leads(style: str, found: Outcome | None, judge: str) -> list[Score]:
    """By how much the first method of a style is ahead of each other one."""
    if found is None:
        return []
    first = found.success
    return [
        score_of(f"{GAIN} beyond {other}", one, judge_name(judge, STYLE), f"{style} by {first.best}")
        for other, one in first.behind.items()
    ]


def fitness_of(recipe: ScoreStyles, workspace: Workspace, photos: dict[str, Path], rows: list[Row]) -> Fitness:
    """How often the judge's CLIP finds the photo of a picture among the folder's first photos, one picture a style.

    In a folder of fewer than `LEAST_PHOTOS` that do open it is what is known of the judge.
    """
    names = list(dict.fromkeys(row["photo"] for row in rows))[:MOST_PHOTOS]
    seen = {name: path for name in names if (path := photos.get(name)) and path.is_file()}
    mine = [row for row in rows if row["photo"] in seen and workspace.path(row["files"][0]).is_file()]
    if len(seen) < LEAST_PHOTOS or not mine:
        return Fitness.of(recipe.judge)
    clip = load_clip(recipe.judge, workspace)
    files = {row["files"][0]: workspace.path(row["files"][0]) for row in mine}
    known, found, broken, done = {}, [], {}, 0  # type: ignore[var-annotated]
    phase, total = "measuring the judge", len(seen) + len(files)
    for part in batches(seen, TOGETHER):
        pictures = opened(part, seen, broken)
        known |= dict(zip(pictures, clip.images(list(pictures.values())), strict=True)) if pictures else {}
        workspace.step(phase, done := done + len(part), total)
    columns = {name: place for place, name in enumerate(known)}
    if len(columns) < LEAST_PHOTOS:
        return Fitness.of(recipe.judge)
    table, owner = np.stack(list(known.values())), {row["files"][0]: row["photo"] for row in mine}
    own = []
    for part in batches([file for file in files if owner[file] in columns], TOGETHER):
        pictures = opened(part, files, broken)
        found += [cosines(table, row[None]) for row in clip.images(list(pictures.values()))] if pictures else []
        own += [columns[owner[file]] for file in pictures]
        workspace.step(phase, done := done + len(part), total)
    if not found:
        return Fitness.of(recipe.judge)
    workspace.step(phase, total, total)
    return Fitness(recipe.judge, retrieval(np.stack(found), own), min(AMONG, len(columns)))


def pairs_of(row: Row) -> list[Pair]:
    """The probabilities of yes about each picture of a row, and about its photo."""
    return [(verdict[STYLE], verdict[STYLE_BEFORE]) for verdict in row["verdicts"]]


def mean_of(row: Row, name: str) -> float:
    """The mean of a number over the pictures of a row."""
    return float(sum(verdict[name] for verdict in row["verdicts"]) / len(row["verdicts"]))


def style_scores(rows: list[Row], judge: str, style: str, fitness: Fitness) -> list[Score]:
    """The rates of one style, and the means of what is kept, over photos; CLIP-I where the judge is fit for it."""
    scores = success_scores([pairs_of(row) for row in rows], judge_name(judge, STYLE), style)
    for name in (CLIP_T, *((CLIP_I,) if fitness.is_fit else ()), DISTANCE):
        means = [mean_of(row, name) for row in rows]
        scores.append(score_of(name, mean_interval(means, within=ENDS[name]), judge_name(judge, name), style))
    return scores


def table(rows: list[Row]) -> list[tuple[object, ...]]:
    """The lines of table.csv: one for each picture."""
    numbers = (STYLE, STYLE_BEFORE, CLIP_T, CLIP_I, DISTANCE)
    return [
        (
            row["photo"],
            row["style"],
            row["method"],
            file,
            seed,
            row["prompt"],
            row["question"],
            *(int(verdict[name] >= HIT) for name in (STYLE, STYLE_BEFORE)),
            *(f"{verdict[name]:.6f}" for name in numbers),
        )
        for row in rows
        for file, seed, verdict in zip(row["files"], row["seeds"], row["verdicts"], strict=True)
    ]


def chart(
    recipe: ScoreStyles,
    styles: list[Style],
    by_method: Mapping[str, list[Row]],
    found: Mapping[str, Outcome | None],
) -> bytes:
    """Bars for each style: of one method the rate of yes on the pictures and on the plain photos; of several the style
    success of each, and under the style who wins.
    """
    estimates = {method: [_rates(mine, style.name) for style in styles] for method, mine in by_method.items()}
    count = len({row["photo"] for rows in by_method.values() for row in rows})
    judged = f"{count} photos, judged by {judge_name(recipe.judge, STYLE)}"
    if len(by_method) == 1:
        (only,) = estimates.values()
        series = [Bars(name, [one and one[place] for one in only]) for place, name in enumerate((RATE, RATE_BEFORE))]
        title = f"{painters_of(recipe)}: {judged}"
        return bar_chart([style.label for style in styles], series, title, "rate of yes")
    series = [Bars(method, [one and one[2] for one in mine]) for method, mine in estimates.items()]
    labels = [style.label + _winner(found.get(style.name)) for style in styles]
    title = f"{GAIN} (recognised, less false yes): {judged}\n{painters_of(recipe)}"
    return bar_chart(labels, series, title, "difference of two rates of yes")


def _rates(rows: list[Row], style: str) -> tuple[Estimate, Estimate, Estimate] | None:
    mine = [pairs_of(row) for row in rows if row["style"] == style]
    return rates(mine) if mine else None


def _winner(found: Outcome | None) -> str:
    if found is None:
        return ""
    return "\nwithin the noise" if found.success.tied else f"\n{found.success.best} wins"


def painters_of(recipe: ScoreStyles) -> str:
    """What paints, and how: 'pocket (redraw)', 'pocket (redraw, canny), pocket (neural)'."""
    models = {
        method: recipe.features
        if method == "neural"
        else (recipe.instruct_model if method == "instruct" else None) or recipe.model
        for method in recipe.method
    }
    by_model = {
        name: [method for method in models if models[method] == name] for name in dict.fromkeys(models.values())
    }
    return ", ".join(f"{model_label(name)} ({', '.join(methods)})" for name, methods in by_model.items())


def overview(
    recipe: ScoreStyles,
    workspace: Workspace,
    styles: list[Style],
    photos: dict[str, Path],
    rows: list[Row],
    fitness: Mapping[str, Fitness],
) -> Image.Image:
    """A row for each of the first photos and each method: the photo, and its first picture in each style."""
    columns = len(styles) + 1
    names = list(dict.fromkeys(row["photo"] for row in rows))
    cells: list[Cell] = []
    for name in names[: max(1, MOST_CELLS // (columns * len(fitness)))]:
        for method in fitness:
            mine = {row["style"]: row for row in rows if row["photo"] == name and row["method"] == method}
            files = {row["files"][0]: workspace.path(row["files"][0]) for row in mine.values()}
            seen = opened([name, *files], photos | files, {}) if mine else {}
            if name not in seen:
                continue
            title = name if len(fitness) == 1 else f"{name}, {method}"
            cells.append(Cell(thumbnail(seen[name]), title, (next(iter(mine.values()))["caption"],)))
            for style in styles:
                row = mine.get(style.name)
                if row is None or row["files"][0] not in seen:
                    cells.append(Cell(Image.new("RGB", (1, 1), PAPER), style.label, ("not drawn",)))
                    continue
                lines = Verdict.of(row["verdicts"][0]).lines(fitness[method])
                cells.append(Cell(thumbnail(seen[row["files"][0]]), style.label, lines))
    heading = f"{len(names)} photos by {painters_of(recipe)}, judged by {model_label(recipe.judge)}"
    return sheet(cells, columns if columns <= MOST_COLUMNS else None, heading)
