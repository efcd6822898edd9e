"""Where a recipe is run: in this process, or in several that were started together, one for each GPU."""

from __future__ import annotations

from pathlib import Path

from easel.recipes.base import Recipe
from easel.result import Result
from easel.runners import local, machine
from easel.workspace import Report


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

            return distributed.run(local.run, recipe, out, device, dtype, report)
        return local.run(recipe, out, device, dtype, report)
