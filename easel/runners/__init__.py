"""Where a recipe is run: in this process, in several that were started together (one for each GPU), or on a cluster."""

from __future__ import annotations

import os
from pathlib import Path

from easel.errors import EaselError
from easel.recipes.base import Recipe
from easel.result import Result
from easel.runners import local, machine
from easel.workspace import Report


def run(  # noqa: PLR0913 - what belongs to one run
    recipe: Recipe,
    out: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    report: Report | None = None,
    *,
    on: str | None = None,
    workers: str | None = None,
    shards: int | None = None,
) -> Result:
    """Run a recipe and give its result, which is also in the folder's result.json.

    `out` is made when it is not there; None makes out/KIND-TIME-SEED. Raises EaselError with one line of advice, before
    anything expensive when the device is not there or the folder cannot be written, and Cancelled when `report` does.

    `on` shares the run out among machines: local-cluster, auto, HOST:PORT or ray://HOST:PORT of a Ray cluster. So does
    EASEL_ON in the environment, for the kinds that can be shared out. `workers` is how many, '4' or '1:16', and so is
    EASEL_WORKERS. `shards` puts the pictures of so many photos into one tar. `out` may then be a bucket's folder.
    """
    if not on and os.environ.get("EASEL_ON") and not recipe.whole_only():
        on, workers = os.environ["EASEL_ON"], workers or os.environ.get("EASEL_WORKERS")
    with machine.collecting_rarely():
        if on:
            return _shared(recipe, out, device, dtype, report, (on, workers, shards))
        if workers or shards or "://" in str(out or ""):
            what = "--workers" if workers else "--shards" if shards else f"--out {out}"
            raise EaselError(f"{what} belongs to a run that is shared out among machines: give --on, or leave it out")
        if machine.processes() > 1:
            from easel.runners import distributed

            return distributed.run(local.run, recipe, out, device, dtype, report)
        return local.run(recipe, out, device, dtype, report)


def _shared(
    recipe: Recipe,
    out: str | Path | None,
    device: str,
    dtype: str,
    report: Report | None,
    asked: tuple[str, str | None, int | None],
) -> Result:
    """Run a recipe on a cluster."""
    from easel.runners import cluster
    from easel.runners.cluster import places

    one = cluster.Cluster.asked(*asked)
    to = str(out) if out is not None and places.is_remote(str(out)) else ""
    cluster.check(recipe, one, to)
    folder = places.state_of(to) if to else out
    return local.run(
        recipe, folder, device, dtype, report, lambda recipe, workspace: cluster.run(recipe, workspace, one, to)
    )
