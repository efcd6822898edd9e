"""What a sweep leaves behind: which settings to use and why, curves, the Pareto front, what went wrong, time and
memory; and the grid, tables and page of every comparison.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image, ImageOps

from easel.charts import Course, Spot, front_chart, sweep_curves
from easel.errors import EaselError, printable
from easel.images import open_picture
from easel.jobs.compare import report
from easel.jobs.compare.advice import AXES, UNTRAINED, Advice, advice, label_of
from easel.jobs.compare.cells import Row
from easel.jobs.compare.page import page
from easel.jobs.compare.pictures import Shown
from easel.jobs.compare.standings import findings, scores_of
from easel.jobs.compare.sweep import Sweep, cells_of, recommended, weights_of
from easel.jobs.inputs import shortened_list
from easel.jobs.judges import CLIP_T
from easel.jobs.likeness import COPIES, DIV, LEARNED, SUBJECT
from easel.jobs.personalize.observer import BALANCE
from easel.result import Result
from easel.sheet import Line, grid, mosaic
from easel.workspace import clock

PANELS = (
    ("likeness (dashed: to learned photos)", SUBJECT, LEARNED),
    ("fit to the words (CLIP-T)", CLIP_T, ""),
    ("diversity (DIV)", DIV, ""),
    ("near-copies", COPIES, ""),
)
"""Heading, score, and the score of a dashed line."""
TRAININGS = ("training", "subject", "seed", "cells", "seconds", "memory MiB", "failed")
"""Heads of trainings.csv. Seconds are those of steps alone."""
LOOKED_AT = 4
"""Prompts of which a cell of the sheet shows a picture."""
TAKEN, ALARMING = "#3d8b40", "#c4472d"


def finished(sweep: Sweep) -> Result:
    """Say what to use, lay everything out and give the result. Raises EaselError where no cell came out."""
    recipe, workspace = sweep.recipe, sweep.workspace
    cells = cells_of(sweep)
    rows, failed = rows_of(cells), failures(sweep)
    if not cells:
        more = f"; all {len(failed)} trainings failed" if len(failed) > 1 else ""
        raise EaselError(f"{failed[0]['candidate']}: {failed[0]['failed']}{more}")
    found, said = findings(rows), advice(recipe, cells)
    files = ["sheet.png", "table.csv", "cells.csv", "trainings.csv", "report.html", "curves.png", "front.png"]
    texts = {"verdict": said.text}
    take = said.take
    with workspace.phase("laying out", 4) as done:
        workspace.save_csv("table.csv", report.HEADS, report.table(found))
        workspace.save_csv("cells.csv", *report.cells([*rows, *failed]))
        workspace.save_csv("trainings.csv", TRAININGS, trainings(sweep))
        done(1)
        curves, front = curves_png(said), front_png(said)
        workspace.save_bytes("curves.png", curves)
        workspace.save_bytes("front.png", front)
        workspace.save_picture("sheet.png", overview(sweep, cells, said))
        done(2)
        shown = Shown.of(recipe, workspace, {}, [*rows, *failed])
        sections = [_recommended(said), _picture("Curves over steps", curves), _front(said, front), _trainings(sweep)]
        workspace.save_text("report.html", page(shown, found, said.text, sections, "prompt"))
        done(3)
        subjects = list(dict.fromkeys(plan.subject.name for plan in sweep.plans))
        if take is not None and len(subjects) == 1:
            plan = next(one for one in sweep.plans if one.candidate.label == take.training)
            if workspace.path(weights_of(plan, take.step)).is_file():
                files += recommended(sweep, plan, take.step)
                flag = {"lora": "--lora", "full": "--model"}.get(plan.recipe.method, "--embedding")
                texts["recommended"] = f"{take.label}: the folder 'recommended' is what {flag} takes"
    notes = [*sweep.done.notes, *_failed_notes(sweep, failed)]
    notes += dict.fromkeys(note for plan in sweep.plans for note in sweep.done.rows[plan.key]["notes"])
    return Result(
        kind=recipe.kind,
        pictures=tuple(name for cell in cells for name in cell["pictures"]),
        files=tuple(files),
        texts=texts,
        scores=tuple(scores_of(found)),
        notes=tuple(notes),
    )


def rows_of(cells: Sequence[Row]) -> list[Row]:
    """Cells as the rows of a comparison: of one subject a row for each prompt, of several a row for each subject. The
    untrained model, which all trainings begin from, is in them once for each seed.
    """
    subjects = {cell["photo"] for cell in cells}
    found: dict[tuple[str, str, int], Row] = {}
    for cell in cells:
        label = label_of(cell["training"], cell["drawing"], cell["step"])
        count = len(cell["pictures"]) // max(1, len(cell["prompts"]))
        parts = enumerate(cell["prompts"]) if len(subjects) == 1 else [(None, cell["photo"])]
        for number, place in parts:
            chosen = slice(None) if number is None else slice(number, number + 1)
            values = [
                (score, cell["judges"][score], float(np.mean([np.mean(one) for one in each[chosen]])))
                for score, each in cell["values"].items()
                if each[chosen]
            ]
            files = cell["pictures"] if number is None else cell["pictures"][number * count : (number + 1) * count]
            row = {"candidate": label, "photo": place, "seed": cell["seed"], "pictures": files, "values": values}
            found.setdefault((label, place, cell["seed"]), row | {"training": cell["training"], "notes": []})
    return sorted(found.values(), key=lambda row: not row["candidate"].startswith(UNTRAINED))


def failures(sweep: Sweep) -> list[Row]:
    """A row for each training that failed, with why."""
    found = []
    for plan in sweep.plans:
        row = sweep.done.rows[plan.key]
        if "failed" in row:
            found.append(
                {
                    "candidate": plan.candidate.label,
                    "photo": plan.subject.name,
                    "seed": plan.seed,
                    "failed": row["failed"],
                }
            )
    return found


def _failed_notes(sweep: Sweep, failed: Sequence[Row]) -> list[str]:
    if not failed:
        return []
    each = shortened_list(list(dict.fromkeys(f"{row['candidate']}: {row['failed']}" for row in failed)))
    return [f"{len(failed)} of {len(sweep.plans)} trainings failed: {'; '.join(each)}"]


def trainings(sweep: Sweep) -> list[tuple[object, ...]]:
    """The lines of trainings.csv."""
    lines: list[tuple[object, ...]] = []
    for plan in sweep.plans:
        row = sweep.done.rows[plan.key]
        numbers = len(row["cells"]), row["seconds"], row["memory"] // 2**20
        lines.append((plan.candidate.label, plan.subject.name, plan.seed, *numbers, row.get("failed", "")))
    return lines


# Charts


def curves_png(said: Advice) -> bytes:
    """The course of each training over its steps, the untrained model at 0; of several ways to draw each by itself."""
    courses = []
    for training, drawing in dict.fromkeys((one.training, one.drawing) for one in said.tried if one.step):
        mine = [one for one in said.tried if one.drawing == drawing and (one.step == 0 or one.training == training)]
        points = {
            score: sorted((one.step, one.mean(score)) for one in mine if score in one.tables)
            for score in (SUBJECT, LEARNED, CLIP_T, DIV, COPIES)
        }
        alarms = [one.step for one in mine if one.label in said.alarms]
        name = ", ".join([training, *([drawing] if drawing else [])])
        courses.append(Course(name, {score: each for score, each in points.items() if each}, alarms))
    crosses = "; a cross: learned by heart" if said.alarms else ""
    return sweep_curves(courses, PANELS, f"means over {said.items} items and {said.seeds} training seeds{crosses}")


def front_png(said: Advice) -> bytes:
    """Likeness against fit to the words, in the colour of diversity."""
    numbers = {one.label: place for place, one in enumerate(said.front, 1)}
    spots = [
        Spot(
            one.mean(CLIP_T),
            one.mean(SUBJECT),
            one.mean(DIV) if DIV in one.tables else None,
            numbers.get(one.label),
            said.take is one,
        )
        for one in said.tried
        if one.step
    ]
    return front_chart(spots, ("fit to the words (CLIP-T)", "likeness", "diversity (DIV)"))


def overview(sweep: Sweep, cells: Sequence[Row], said: Advice) -> Image.Image:
    """The grid: a row for each training, a column for each checkpoint, in each cell pictures of a few prompts with the
    first seed. What to take has a green frame, and what has learned by heart a red one.
    """
    seed, subject = sweep.plans[0].seed, sweep.plans[0].subject.name
    mine = [cell for cell in cells if (cell["seed"], cell["photo"]) == (seed, subject)]
    steps = sorted({cell["step"] for cell in mine})
    by_row: dict[tuple[str, str], dict[int, Row]] = {}
    for cell in mine:
        by_row.setdefault((cell["training"], cell["drawing"]), {})[cell["step"]] = cell
    failed = {
        plan.candidate.label: sweep.done.rows[plan.key].get("failed") for plan in sweep.plans if plan.seed == seed
    }
    lines = []
    for (training, drawing), own in by_row.items():
        pictures: list[Image.Image | str] = []
        for step in steps:
            if step not in own:
                pictures.append(f"failed: {failed.get(training) or 'not reached'}")
                continue
            label = label_of(training, drawing, step)
            colour = ALARMING if label in said.alarms else None
            colour = TAKEN if said.take is not None and said.take.label == label else colour
            pictures.append(_small(sweep, own[step], colour))
        lines.append(Line(", ".join([training, *([drawing] if drawing else [])]), tuple(pictures)))
    heads = [(f"{step} steps" if step else UNTRAINED, ()) for step in steps]
    return grid(heads, lines, f"{said.text} (green frame: to take; red: learned by heart)")


def _small(sweep: Sweep, cell: Row, colour: str | None) -> Image.Image:
    count = len(cell["pictures"]) // max(1, len(cell["prompts"]))
    names = cell["pictures"][::count][:LOOKED_AT]
    made = mosaic([open_picture(sweep.workspace.folder / name) for name in names], 2 if len(names) > 1 else 1)
    width = max(4, made.width // 40)
    return made if colour is None else ImageOps.expand(ImageOps.crop(made, width), width, colour)


# The page


def _said(text: object) -> str:
    words = str(text)
    return escape(printable(words, len(words)))


def _picture(heading: str, content: bytes) -> str:
    held = base64.b64encode(content).decode()
    return f'<h2>{heading}</h2><div class="wide"><img alt="{heading}" src="data:image/png;base64,{held}"></div>'


def _recommended(said: Advice) -> str:
    """All that ran, best first, with how far behind it is, and why what is left out is."""
    if said.race is None:
        return ""
    order = sorted(range(len(said.runners)), key=lambda at: -said.race.values[at])  # type: ignore[union-attr]
    tied = {one.label for one in said.tied}
    lines = ""
    for at in order:
        one, by = said.runners[at], said.race.behind[at]
        ends = "" if by.low is None or by.high is None else f"{by.low:.3f} to {by.high:.3f}"
        word = "take" if one is said.take else "within the noise" if one.label in tied else ""
        kind = ' class="best"' if one is said.take else ' class="tied"' if one.label in tied else ""
        numbers = "".join(
            f"<td>{one.mean(score):.3f}</td>" if score in one.tables else "<td></td>"
            for score in (SUBJECT, CLIP_T, DIV, COPIES)
        )
        lines += (
            f'<tr><th scope="row">{_said(one.label)}</th><td{kind}>{said.race.values[at]:.3f}</td><td>{by.value:.3f} '
            f"<small>{ends}</small></td>{numbers}<td>{word}</td></tr>"
        )
    heads = "".join(
        f"<th>{_said(head)}</th>"
        for head in ("candidate", BALANCE, "behind the best", SUBJECT, CLIP_T, DIV, COPIES, "")
    )
    table = f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>'
    alarms = "".join(
        f'<tr><th scope="row">{_said(name)}</th><td>{_said("; ".join(words))}</td></tr>'
        for name, words in said.alarms.items()
    )
    left_out = f"<h2>Learned by heart</h2><table><tbody>{alarms}</tbody></table>" if alarms else ""
    hint = (
        "<p class=hint>Balance is likeness times fit to the words, times the share of pictures that are no "
        "near-copies. "
        "How far one is behind the best has an interval that holds for all pairs together, from a bootstrap over "
        "prompts (of several subjects, over these) and training seeds.</p>"
    )
    return f"<h2>Which settings?</h2>{table}{hint}{left_out}"


def _front(said: Advice, content: bytes) -> str:
    """The Pareto front as a chart and a list."""
    names = [name for name in AXES if all(name in one.tables for one in said.front)]
    lines = "".join(
        f'<tr><td>{number}</td><th scope="row">{_said(one.label)}</th>'
        + "".join(f"<td>{one.mean(name):.3f}</td>" for name in names)
        + "</tr>"
        for number, one in enumerate(said.front, 1)
    )
    heads = "".join(f"<th>{_said(name)}</th>" for name in ("", "candidate", *names))
    hint = (
        "<p class=hint>On the front: no other candidate is as good in all three and better in one, by their means. "
        "The star is the one to take.</p>"
    )
    table = f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>'
    return _picture("Pareto front", content) + hint + table


def _trainings(sweep: Sweep) -> str:
    """Wall time, memory, and what failed."""
    lines = ""
    for name, subject, seed, cells, seconds, memory, failed in trainings(sweep):
        word = f'<p class="failed">{_said(failed)}</p>' if failed else ""
        lines += (
            f'<tr><th scope="row">{_said(name)}</th><td>{_said(subject)}</td><td>{seed}</td><td>{cells}</td>'
            f"<td>{clock(float(str(seconds)))}</td><td>{memory}</td><td>{word}</td></tr>"
        )
    heads = "".join(f"<th>{_said(head.replace('seconds', 'time of steps'))}</th>" for head in TRAININGS)
    return (
        '<h2>Trainings</h2><div class="wide"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )
