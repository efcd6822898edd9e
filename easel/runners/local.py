"""Run a recipe in this process: its device, its folder, and its job."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from easel.recipes.base import Recipe
from easel.result import Result
from easel.runners import machine
from easel.workspace import Report, Workspace


def run(recipe: Recipe, out: str | Path | None, device: str, dtype: str, report: Report | None) -> Result:
    """`runners.run` in one process, whatever was started beside it."""
    from easel import jobs

    device, computed_in = machine.resolve(device, dtype)
    folder = Path(out or default_folder(recipe))
    is_new = not folder.exists()
    workspace = Workspace(folder, device, dtype, report, computed_in)
    try:
        return jobs.run(recipe, workspace)
    except BaseException:
        if is_new:
            remove_if_idle(folder)
        raise


def remove_if_idle(folder: Path) -> None:
    """Take away the folder of a run that ended before it made anything but its recipe.yaml."""
    if {path.name for path in folder.iterdir()} <= {"recipe.yaml"}:
        (folder / "recipe.yaml").unlink(missing_ok=True)
        folder.rmdir()


def default_folder(recipe: Recipe) -> Path:
    """out/stylize-20250131-142501-1234: kind, UTC time and seed, so that runs sort by time and none meets another."""
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    first = Path("out") / f"{recipe.kind}-{now}-{recipe.seed}"
    choices = [first, *(first.with_name(f"{first.name}-{number}") for number in range(2, 1000))]
    return next((folder for folder in choices if not folder.exists()), first)
