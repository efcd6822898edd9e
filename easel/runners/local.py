"""Run a recipe in this process."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from easel.recipes.base import Recipe
from easel.result import Result
from easel.runners import machine
from easel.workspace import Report, Workspace


def run(
    recipe: Recipe,
    out: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    report: Report | None = None,
) -> Result:
    """Run a recipe and give its result, which is also in the folder's result.json.

    `out` is made when it is not there; None makes out/KIND-TIME-SEED. Raises EaselError with one line of advice, before
    anything expensive when the device is not there or the folder cannot be written, and Cancelled when `report` does.
    """
    with machine.collecting_rarely():
        if machine.processes() > 1:
            from easel.runners import distributed

            return distributed.run(recipe, out, device, dtype, report)
        return run_alone(recipe, out, device, dtype, report)


def run_alone(recipe: Recipe, out: str | Path | None, device: str, dtype: str, report: Report | None) -> Result:
    """`run` in one process, whatever was started beside it."""
    from easel import jobs

    device, computed_in = machine.resolve(device, dtype)
    folder = Path(out or default_folder(recipe))
    is_new = not folder.exists()
    workspace = Workspace(folder, device, dtype, report, computed_in)
    try:
        result = jobs.run(recipe, workspace)
    except BaseException:
        if is_new:
            remove_if_idle(folder)
        raise
    whole = result.model_copy(
        update={
            "folder": workspace.folder,
            "versions": result.versions | workspace.versions,
            "seconds": result.seconds or workspace.seconds,
        }
    )
    if whole != result:
        workspace.save_text("result.json", whole.to_json())
    return whole


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
