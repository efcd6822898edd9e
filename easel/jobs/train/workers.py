"""A training by several processes: what the first one says to the others, and what they do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from easel.data import open_set
from easel.errors import EaselError
from easel.jobs.train import setup
from easel.recipes import Train
from easel.training import batches
from easel.training.distributed import Team
from easel.training.evaluation import Collapsed
from easel.training.trainer import Studio
from easel.workspace import Workspace


@dataclass(frozen=True)
class Order:
    """What is to be trained, the folder of the run, and where its checkpoint lies."""

    recipe: Train
    folder: Path
    state: Path


def refused(team: Team, batch_size: int) -> None:
    """Raise EaselError on a batch that cannot be shared."""
    if batch_size % team.size:
        raise EaselError(
            f"batch_size {batch_size} cannot be shared among {team.size} processes: take a multiple of {team.size}"
        )


@contextlib.contextmanager
def led(order: Order) -> Iterator[Callable[[], None]]:
    """Lead the others through a training: each call of what this gives lets them take one more step.

    Raises EaselError where another process cannot begin.
    """
    team = Team.here()
    team.told(order if team.size > 1 else None)
    agreed(team)
    try:
        yield lambda: team.told(True)
    except (EaselError, FloatingPointError, Collapsed):
        team.told(False)
        raise
    team.told(False)


def follow(order: Order, device: str, computed_in: str) -> None:
    """Train along until the first process says that it is over. Raises EaselError where a process cannot begin."""
    team, problem = Team.here(), None
    try:
        studio, step = studio_for(order, team, device, computed_in)
    except EaselError as found:
        problem = str(found)
    agreed(team, problem)
    while team.told():
        with contextlib.suppress(FloatingPointError):  # the first process meets it too, and ends the training
            studio.step(step)
        step += 1


def agreed(team: Team, problem: str | None = None) -> None:
    """Raise EaselError, in all processes, where one has a problem."""
    for rank, said in enumerate(team.heard(problem)):
        if said is not None:
            raise EaselError(f"process {rank} of {team.size} cannot begin: {said}")


def studio_for(order: Order, team: Team, device: str, computed_in: str) -> tuple[Studio, int]:
    """This process's studio, and the step that it begins with. Raises EaselError."""
    recipe, workspace = order.recipe, Workspace(order.folder, device, computed_in=computed_in)
    pictures = open_set(recipe.data, recipe.layout, recipe.split)
    plan = setup.refused(recipe, pictures)
    data = setup.packed_of(recipe, pictures)
    told = setup.told_of(recipe, data, workspace)
    source = batches.Feed(data, told, plan.batch_size, recipe.seed, recipe.mirror)
    source.team = team
    studio = setup.studio_of(recipe, plan, source, workspace)
    return studio, int(studio.restore(order.state)["step"]) if order.state.exists() else 0
