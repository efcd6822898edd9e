"""The other processes of a training: what the first one sends them, and what they do.

A job that trains has `follower(recipe, workspace)` beside its `run`: the trainer of another process, and the step from
which it goes on.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easel.errors import EaselError
from easel.recipes import KINDS, Recipe
from easel.training import loop
from easel.training.distributed import Team
from easel.workspace import Workspace


@dataclass(frozen=True)
class Task:
    """What is to be trained, and the folder of the run."""

    recipe: Recipe
    folder: Path


def start(team: Team, task: Task) -> None:
    """The first process's part: send the others the task, and wait until they are ready.

    Raises EaselError where one cannot begin.
    """
    if team.size > 1:
        team.broadcast(task)
        _wait_for_all(team)


def work(task: Task, device: str, computed_in: str) -> None:
    """Train along until the first process says that it is over. Raises EaselError where a process cannot begin."""
    team = Team.joined()
    try:
        workspace = Workspace(task.folder, device, computed_in=computed_in)
        job: Any = importlib.import_module(KINDS[task.recipe.kind].job)
        trainer, step = job.follower(task.recipe, workspace)
    except EaselError as problem:
        _wait_for_all(team, str(problem))
        raise
    _wait_for_all(team)
    loop.follow(trainer, step)


def _wait_for_all(team: Team, problem: str | None = None) -> None:
    """Raise EaselError, in all processes, where one has a problem."""
    for rank, found in enumerate(team.gather(problem)):
        if found is not None:
            raise EaselError(f"process {rank} of {team.size} cannot begin: {found}")
