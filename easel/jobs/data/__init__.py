"""Sets of pictures: look at one, or draw one out of the world."""

from __future__ import annotations

from easel.jobs.data import summary, world
from easel.recipes import Data
from easel.result import Result
from easel.workspace import Workspace

TASKS = {"summary": summary.run, "world": world.run}


def run(recipe: Data, workspace: Workspace) -> Result:
    """Run a Data recipe's task. Raises EaselError and Cancelled."""
    return TASKS[recipe.task](recipe, workspace)
