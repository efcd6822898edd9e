"""One story per kind of job. Jobs never print, and know nothing of the command line, the web or a cluster.

A job is a module with `run(recipe, workspace) -> Result`. Where only the disk can say what applies to a recipe (is its
model a trained one?), it has `facts_of(recipe)` beside it, asked before anything else.
"""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path
from typing import Any

from easel.errors import EaselError
from easel.recipes import KINDS, Recipe, read_yaml, write_yaml
from easel.result import Result
from easel.workspace import Workspace


def run(recipe: Recipe, workspace: Workspace) -> Result:
    """Run a recipe of any kind in a workspace: recipe.yaml is written first, result.json last.

    Raises EaselError with one line of advice, and Cancelled when the workspace's report says so.
    """
    job: Any = importlib.import_module(KINDS[recipe.kind].job)
    known = facts_of(recipe)
    recipe = continued(recipe.bound(**known) if known else recipe, workspace)
    replaced = earlier(workspace)
    write_yaml(recipe, workspace.place_for("recipe.yaml"))
    result: Result = job.run(recipe, workspace)
    how = {"folder": workspace.folder, "seconds": workspace.seconds, "versions": workspace.versions}
    whole = result.model_copy(update=how)
    workspace.save_text("result.json", whole.to_json())
    for path in replaced - set(whole.paths):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    return whole


def facts_of(recipe: Recipe) -> dict[str, str]:
    """What the job of a recipe finds out about it on the disk. Raises EaselError where what it needs is not there."""
    job: Any = importlib.import_module(KINDS[recipe.kind].job)
    return job.facts_of(recipe) if hasattr(job, "facts_of") else {}


def earlier(workspace: Workspace) -> set[Path]:
    """The files of the run before in the same folder, which go when this one has ended: a folder is of one run."""
    try:
        return set(Result.read(workspace.folder).paths)
    except EaselError:
        return set()


def continued(recipe: Recipe, workspace: Workspace, *, resumes: bool = False) -> Recipe:
    """The recipe to run where an earlier run may lie: the same one, with that run's seed when it goes on, as kinds do
    that resume, and all do with `resumes`.

    Raises EaselError when the folder holds another kind of run, or one that would go on with other settings.
    """
    place = workspace.path("recipe.yaml")
    if not place.exists():
        return recipe
    before = read_yaml(place)
    if before.kind != recipe.kind:
        raise EaselError(f"{workspace.folder} holds a run of '{before.kind}': choose another --out")
    if not (recipe.resumes or resumes):
        return recipe
    then, now = compared(before), compared(recipe)
    fixed = {"seed"} if "seed" in recipe.model_fields_set and recipe.seed != before.seed else set()
    for key in then | now:
        if (then.get(key) != now.get(key) and key not in recipe.free) or key in fixed:
            raise EaselError(
                f"{workspace.folder} holds a run with other settings ({key} was {then.get(key)}, is {now.get(key)}): "
                "use the same to go on with it, or choose another --out"
            )
    return recipe.model_copy(update={"seed": before.seed})


def compared(recipe: Recipe) -> dict[str, Any]:
    """Settings that apply, as they are compared: 'photos/' and 'photos' are one folder."""
    plain = recipe.plain()
    for key in recipe.path_settings() & plain.keys():
        value = plain[key]
        if value is not None:
            plain[key] = str(Path(value)) if isinstance(value, str) else [str(Path(item)) for item in value]
    return plain
