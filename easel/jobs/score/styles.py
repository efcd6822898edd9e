"""The style-success metric over a folder: each photo in each style, is it recognised, and would the judge have said so
anyway?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from easel import models
from easel.charts import Bars, bar_chart
from easel.jobs import journal
from easel.jobs.inputs import batches, gather, model_label, opened, skipped_notes, thumbnail
from easel.jobs.judges import (
    CLIP_I,
    CLIP_T,
    DISTANCE,
    ENDS,
    HIT,
    STYLE,
    STYLE_BEFORE,
    Fitness,
    Judges,
    Verdict,
    judge_name,
    load_clip,
    load_judges,
    score_of,
    verdicts,
)
from easel.jobs.painter import Painter
from easel.jobs.score.rates import RATE, RATE_BEFORE, Pair, rates, success_scores
from easel.jobs.stylize.restyled import painter_of, plan_pictures
from easel.jobs.stylize.styles import Style, styles_of
from easel.jobs.stylize.subject import Subject, subject_of, untaught_notes
from easel.jobs.transfer import StylePainter, style_pictures
from easel.metrics.clip import cosines
from easel.metrics.intervals import mean_interval
from easel.metrics.retrieval import AMONG, retrieval
from easel.recipes.score import ScoreStyles
from easel.recipes.stylize import Stylize
from easel.recipes.transfer import Transfer
from easel.result import Result, Score
from easel.sheet import MOST_CELLS, Cell, sheet
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.captioners import Captioner

ALL = "all styles"
PHASE = "drawing and judging"
MOST_COLUMNS = 8
LEAST_PHOTOS, MOST_PHOTOS = 10, 100
"""Of a folder, with which the judge's own fitness is measured."""
TOGETHER = 16

HEADS = (
    "photo",
    "style",
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
"""One photo in one style, as the journal keeps it: key, photo, style, caption, prompt, files, seeds, verdicts."""


def run(recipe: ScoreStyles, workspace: Workspace) -> Result:
    """Measure the styles over a folder, going on where an earlier run stopped. Raises EaselError and Cancelled."""
    styles = styles_of(recipe)
    photos = gather((recipe.folder,), workspace.folder)
    done = journal.Journal(workspace.path(journal.NAME), is_row)
    wanted = [key_of(name, style) for name in photos for style in styles]
    broken: dict[str, str] = {}
    notes = list(done.notes)
    if any(key not in done.rows for key in wanted):
        numbers = photo_numbers(done, photos)
        bench = Workbench.load(recipe, styles, workspace, photos)
        for index, name in enumerate(photos):
            left = [style for style in styles if key_of(name, style) not in done.rows]
            picture = opened([name], photos, broken).get(name) if left else None
            if picture is not None:
                subject = subject_of(picture, bench.captioner, recipe.captioner)
                if recipe.method == "describe" and subject.doubt:
                    broken[name] = f"{name}: {subject.doubt}"
                else:
                    done.append(bench.rows(index, numbers[name], name, picture, subject, left))
            bench.report(index, bench.each)
        notes += bench.notes
    rows = [done.rows[key] for key in wanted if key in done.rows]
    doubted = {row["photo"]: row["doubt"] for row in rows if row.get("doubt")}
    for name, doubt in [*doubted.items()][:1]:
        notes.append(f"{len(doubted)} of {len(photos)} photos have the style's words alone as prompt; {name}: {doubt}")
    return finished(recipe, workspace, styles, photos, rows, [*skipped_notes(broken, len(photos)), *notes])


def is_row(row: dict[str, Any]) -> bool:
    """Whether a row of the journal says what `Workbench.rows` says, or names the photos."""
    if row["key"] == "photos":
        return all(isinstance(name, str) for name in row["names"])
    words = [row.get("doubt", ""), *(row[name] for name in ("photo", "style", "caption", "prompt", "question"))]
    words += row["files"]
    numbers = [value for verdict in row["verdicts"] for value in Verdict.of(verdict).values.values()]
    is_told = all(isinstance(word, str) for word in words) and all(isinstance(value, float) for value in numbers)
    return is_told and 0 < len(row["files"]) == len(row["seeds"]) == len(row["verdicts"])


def photo_numbers(done: journal.Journal, photos: dict[str, Path]) -> dict[str, int]:
    """Each photo's number, on which its seeds rest: kept when the folder grows, so that a new photo moves no other."""
    known = list(done.rows.get("photos", {}).get("names", []))
    names = [*known, *(name for name in photos if name not in known)]
    if names != known:
        done.append([{"key": "photos", "names": names}])
    return {name: number for number, name in enumerate(names)}


def key_of(photo: str, style: Style) -> str:
    """The journal's key of one photo in one style."""
    return f"{photo}|{style.name}"


@dataclass(frozen=True)
class Workbench:
    """Everything loaded that the photos go through."""

    recipe: ScoreStyles
    styles: list[Style]
    workspace: Workspace
    judges: Judges
    captioner: Captioner
    painter: Painter | StylePainter
    photos: dict[str, Path]

    @classmethod
    def load(cls, recipe: ScoreStyles, styles: list[Style], workspace: Workspace, photos: dict[str, Path]) -> Workbench:
        """Load the models. Raises EaselError, on a style without a picture before anything is loaded."""
        painter: Painter | StylePainter | None = None
        if recipe.method == "neural":
            painter = StylePainter(recipe, style_pictures(recipe, styles), workspace)
        judges = load_judges(recipe.judge, workspace)
        captioner = models.load(recipe.captioner, "caption", workspace.device)
        if painter is None:
            task = "image-to-image" if recipe.method == "redraw" else "text-to-image"
            painter = Painter(recipe, recipe.model, workspace, recipe.strength, task)
        return cls(recipe, styles, workspace, judges, captioner, painter, photos)

    @property
    def notes(self) -> list[str]:
        """What a person should know about the painter."""
        untaught: Mapping[str, str] = {}
        if isinstance(self.painter, Painter) and self.recipe.method == "redraw":
            untaught = self.painter.model.defaults.untaught_styles
        return [*untaught_notes(untaught, self.styles, self.recipe.model), *self.painter.notes]

    @property
    def each(self) -> int:
        """Picture-steps that a photo takes."""
        return len(self.styles) * self.recipe.count * self.painter.steps

    def report(self, index: int, done: int) -> None:
        """Report `done` picture-steps of photo `index`."""
        self.workspace.step(PHASE, index * self.each + min(done, self.each), len(self.photos) * self.each)

    def rows(
        self, index: int, number: int, name: str, original: Image.Image, subject: Subject, left: Sequence[Style]
    ) -> list[Row]:
        """Take the photo at `index`, draw it in the styles that are left, judge: a row for each style."""
        self.report(index, 0)
        photo = self.painter.fitted(original)
        caption = subject.caption
        first = number * len(self.styles) * self.recipe.count
        kind = Transfer if self.recipe.method == "neural" else Stylize
        shared = {name: value for name, value in self.recipe.plain().items() if name in kind.model_fields}
        alone = kind.model_validate(
            shared | {"kind": kind.model_fields["kind"].default, "photo": str(self.photos[name])}
        )
        everything = batches(plan_pictures(alone, self.styles, caption, first, f"pictures/{name}/"), self.recipe.count)
        by_style = dict(zip((style.name for style in self.styles), everything, strict=True))
        pictures = [one for style in left for one in by_style[style.name]]
        skipped = self.each - len(pictures) * self.painter.steps
        done, total = index * self.each + skipped, len(self.photos) * self.each
        images = self.painter.draw(pictures, photo, phase=PHASE, done=done, total=total)
        questions = [style.question for style in left for _ in range(self.recipe.count)]
        found = batches(
            verdicts(self.judges, photo, images, [one.prompt for one in pictures], questions), self.recipe.count
        )
        return [
            {
                "key": key_of(name, style),
                "photo": name,
                "style": style.name,
                "caption": caption,
                "doubt": subject.doubt,
                "prompt": style.prompt_for(caption),
                "question": style.question,
                "files": [one.file for one in by_style[style.name]],
                "seeds": [one.seed for one in by_style[style.name]],
                "verdicts": [verdict.values for verdict in mine],
            }
            for style, mine in zip(left, found, strict=True)
        ]


def finished(
    recipe: ScoreStyles,
    workspace: Workspace,
    styles: list[Style],
    photos: dict[str, Path],
    rows: list[Row],
    notes: list[str],
) -> Result:
    """Table, chart, sheet and the rates with their intervals."""
    workspace.step("laying out the sheet", 0, 1)
    by_style = {style.name: [row for row in rows if row["style"] == style.name] for style in styles}
    fitness = fitness_of(recipe, workspace, photos, rows)
    scores = [score for name, mine in by_style.items() for score in style_scores(mine, recipe.judge, name, fitness)]
    if len(styles) > 1:
        by_photo = [
            [row for row in rows if row["photo"] == name] for name in dict.fromkeys(row["photo"] for row in rows)
        ]
        groups = [[pair for row in mine for pair in pairs_of(row)] for mine in by_photo]
        scores += success_scores(groups, judge_name(recipe.judge, STYLE), ALL)
    workspace.save_csv("table.csv", HEADS, table(rows))
    workspace.save_bytes("chart.png", chart(recipe, styles, by_style))
    workspace.save_picture("sheet.png", overview(recipe, workspace, styles, photos, rows, fitness))
    workspace.step("laying out the sheet", 1, 1)
    return Result(
        kind=recipe.kind,
        folder=workspace.folder,
        pictures=tuple(file for row in rows for file in row["files"]),
        files=("table.csv", "chart.png", "sheet.png"),
        texts={row["photo"]: row["caption"] for row in rows},
        scores=tuple(scores),
        notes=(*notes, fitness.note),
    )


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


def style_scores(rows: list[Row], judge: str, style: str, fitness: Fitness) -> list[Score]:
    """The rates of one style, and the means of what is kept, over photos; CLIP-I where the judge is fit for it."""
    scores = success_scores([pairs_of(row) for row in rows], judge_name(judge, STYLE), style)
    for name in (CLIP_T, *((CLIP_I,) if fitness.is_fit else ()), DISTANCE):
        means = [sum(verdict[name] for verdict in row["verdicts"]) / len(row["verdicts"]) for row in rows]
        scores.append(score_of(name, mean_interval(means, within=ENDS[name]), judge_name(judge, name), style))
    return scores


def table(rows: list[Row]) -> list[tuple[object, ...]]:
    """The lines of table.csv: one for each picture."""
    numbers = (STYLE, STYLE_BEFORE, CLIP_T, CLIP_I, DISTANCE)
    return [
        (
            row["photo"],
            row["style"],
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


def chart(recipe: ScoreStyles, styles: list[Style], by_style: dict[str, list[Row]]) -> bytes:
    """Bars of the rate of yes on the pictures and on the plain photos, for each style."""
    found = [rates([pairs_of(row) for row in by_style[style.name]]) for style in styles]
    series = [
        Bars(RATE, [estimate for estimate, _, _ in found]),
        Bars(RATE_BEFORE, [estimate for _, estimate, _ in found]),
    ]
    count = max(len(mine) for mine in by_style.values())
    title = f"{painter_of(recipe)}: {count} photos, judged by {judge_name(recipe.judge, STYLE)}"
    return bar_chart([style.label for style in styles], series, title, "rate of yes")


def overview(
    recipe: ScoreStyles,
    workspace: Workspace,
    styles: list[Style],
    photos: dict[str, Path],
    rows: list[Row],
    fitness: Fitness,
) -> Image.Image:
    """A row for each of the first photos: the photo, and its first picture in each style."""
    columns = len(styles) + 1
    labels = {style.name: style.label for style in styles}
    names = list(dict.fromkeys(row["photo"] for row in rows))
    cells: list[Cell] = []
    for name in names[: MOST_CELLS // columns]:
        mine = [row for row in rows if row["photo"] == name]
        files = {row["files"][0]: workspace.path(row["files"][0]) for row in mine}
        seen = opened([name, *files], photos | files, {})
        if name in seen:
            cells.append(Cell(thumbnail(seen[name]), name, (mine[0]["caption"],)))
        for row in mine:
            if row["files"][0] in seen:
                lines = Verdict.of(row["verdicts"][0]).lines(fitness)
                cells.append(Cell(thumbnail(seen[row["files"][0]]), labels[row["style"]], lines))
    heading = f"{len(names)} photos by {painter_of(recipe)}, judged by {model_label(recipe.judge)}"
    return sheet(cells, columns if columns <= MOST_COLUMNS else None, heading)
