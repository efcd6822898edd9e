"""Settings side by side: plan the cells, run each through its own job, measure, say what wins, lay out, return."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from easel.errors import EaselError, Unconfirmed
from easel.jobs import journal
from easel.jobs.compare import ready, report, sweep, sweep_report
from easel.jobs.compare.cells import Row, is_finished, is_row, planned
from easel.jobs.inputs import gather, opened, shortened_list, skipped_notes
from easel.models.shelf import kept
from easel.recipes.compare import READY, TAUGHT, Compare
from easel.result import Result
from easel.workspace import Workspace, clock

PHASE = "comparing"
MOST_UNASKED = 500
"""Cells that are run without a yes."""
FIRST = 2
"""Cells that are run to know the pace of the others; the first one also loads the models."""


def run(recipe: Compare, workspace: Workspace) -> Result:
    """Run the cells of a Compare recipe, going on where an earlier run stopped. Raises EaselError, where nothing could
    be made; Unconfirmed, before very many cells; and Cancelled.
    """
    if recipe.source == READY:
        photos, rows, notes = ready.compared(recipe, workspace, PHASE)
        return report.finished(recipe, workspace, photos, rows, [*failed_notes(rows), *notes])
    if recipe.source == TAUGHT:
        return sweep_report.finished(sweep.run(recipe, workspace))
    done = journal.Journal(workspace.place_for(journal.NAME), is_row)
    photos, notes = photos_of(recipe, workspace)
    cells = planned(recipe, photos)
    left = [cell for cell in cells if not is_finished(done.rows.get(cell.key), workspace)]
    with kept():
        for number, cell in enumerate(left):
            if not recipe.yes and len(left) > MOST_UNASKED and number == FIRST:
                ask(done.rows, len(left) - FIRST, workspace)
            done.append([cell.run(workspace, PHASE, len(cells) - len(left) + number, len(cells))])
    workspace.step(PHASE, len(cells), len(cells))
    rows = [done.rows[cell.key] for cell in cells]
    notes += failed_notes(rows)
    notes += dict.fromkeys(note for row in rows for note in row.get("notes", ()))
    return report.finished(recipe, workspace, photos, rows, [*done.notes, *notes])


def photos_of(recipe: Compare, workspace: Workspace) -> tuple[dict[str, Path], list[str]]:
    """The photos that open, by name, and notes on the others; none for a kind that takes none."""
    if not recipe.takes_photo:
        return {}, []
    inside = workspace.folder.resolve()
    found = gather(recipe.photos, workspace.folder)
    photos = {name: path for name, path in found.items() if not path.resolve().is_relative_to(inside)}
    if not photos:
        raise EaselError(f"there are no pictures in {', '.join(recipe.photos)} but those of this run")
    broken: dict[str, str] = {}
    for name in photos:
        opened([name], photos, broken)
    return {name: path for name, path in photos.items() if name not in broken}, skipped_notes(broken, len(photos))


def ask(rows: Mapping[str, Row], left: int, workspace: Workspace) -> None:
    """Raise Unconfirmed, with the time that the cells which are left will take at the pace of the last one; or
    EaselError where none has come out so far.
    """
    paces = [row["seconds"] for row in rows.values() if "failed" not in row]
    if not paces:
        first = next(iter(rows.values()))
        raise EaselError(
            f"the first {len(rows)} cells failed, and {left} are left; {first['candidate']}: {first['failed']}"
        )
    time = f"{left} cells are left, about {clock(left * paces[-1])} at {paces[-1]:.1f} s each"
    raise Unconfirmed(
        f"{time}: add --yes (yes: true in the recipe) to run them", f"{time}: run them?", workspace.folder
    )


def failed_notes(rows: list[Row]) -> list[str]:
    """Notes on cells that failed: how many, and why. Raises EaselError where all did."""
    failed = [f"{row['candidate']}: {row['failed']}" for row in rows if "failed" in row]
    if not failed:
        return []
    if len(failed) == len(rows):
        raise EaselError(failed[0] + (f"; all {len(rows)} cells failed" if len(rows) > 1 else ""))
    each = shortened_list(list(dict.fromkeys(failed)))
    return [f"{len(failed)} of {len(rows)} cells failed: {'; '.join(each)}"]
