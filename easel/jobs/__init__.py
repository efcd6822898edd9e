"""One story per kind of job. Jobs never print, and know nothing of the command line, the web or a cluster."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from easel.errors import EaselError
from easel.recipes import Recipe, read_yaml, write_yaml
from easel.result import Result
from easel.workspace import Workspace

JOBS = {
    "caption": "easel.jobs.caption",
    "ask": "easel.jobs.ask",
    "generate": "easel.jobs.generate",
    "stylize": "easel.jobs.stylize",
    "score": "easel.jobs.score",
    "data": "easel.jobs.data",
    "train": "easel.jobs.train",
}
"""Where the story of each kind is; it is imported when it is told, since it needs torch."""

RESUMED = frozenset({"caption", "score", "data", "train"})
"""Kinds that go on where an earlier run in the same folder stopped."""

FREE = frozenset({"easel", "seed", "batch_size"})
"""Settings that may differ when a run goes on."""

FREE_IN = {"train": frozenset({"easel", "seed", "kimg", "minutes", "licence"})}
"""The same for a kind whose batches decide what comes out."""

PATHS = frozenset({"photos", "folder", "made", "data", "stage_one"})


def run(recipe: Recipe, workspace: Workspace) -> Result:
    """Run a recipe of any kind in a workspace: recipe.yaml is written first, result.json last.

    Raises EaselError with one line of advice, and Cancelled when the workspace's report says so.
    """
    recipe = continued(recipe, workspace)
    write_yaml(recipe, workspace.path("recipe.yaml"))
    result: Result = importlib.import_module(JOBS[recipe.kind]).run(recipe, workspace)
    whole = result.model_copy(update={"seconds": workspace.seconds, "versions": workspace.versions})
    workspace.save_text("result.json", whole.to_json())
    return whole


def continued(recipe: Recipe, workspace: Workspace) -> Recipe:
    """The recipe to run where an earlier run may lie: the same one, with that run's seed when it goes on.

    Raises EaselError when the folder holds another kind of run, or one that would go on with other settings.
    """
    place = workspace.path("recipe.yaml")
    if not place.exists():
        return recipe
    before = read_yaml(place)
    if before.kind != recipe.kind:
        raise EaselError(f"{workspace.folder} holds a run of '{before.kind}': choose another --out")
    if recipe.kind not in RESUMED:
        return recipe
    then, now = _compared(before), _compared(recipe)
    fixed = {"seed"} if "seed" in recipe.model_fields_set and recipe.seed != before.seed else set()
    for key in then:
        if (then[key] != now[key] and key not in FREE_IN.get(recipe.kind, FREE)) or key in fixed:
            raise EaselError(
                f"{workspace.folder} holds a run with other settings ({key} was {then[key]}, is {now[key]}): "
                "use the same to go on with it, or choose another --out"
            )
    return recipe.model_copy(update={"seed": before.seed})


def _compared(recipe: Recipe) -> dict[str, Any]:
    """Settings as they are compared: 'photos/' and 'photos' are one folder."""
    plain = recipe.model_dump(mode="json")
    for key in PATHS & plain.keys():
        value = plain[key]
        if value is None:
            continue
        plain[key] = str(Path(value)) if isinstance(value, str) else [str(Path(item)) for item in value]
    return plain
