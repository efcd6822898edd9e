"""Run a recipe in several processes that `accelerate launch` or `torchrun` started, one for each GPU.

The first process runs the recipe as one alone would: it measures, writes, reports and gives the result. The others help
it to train, and hear from it what the result was. They write nothing.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from easel.errors import EaselError
from easel.jobs.train import workers
from easel.recipes.base import Recipe
from easel.result import Result
from easel.runners import local, machine
from easel.training.distributed import Team, joined
from easel.workspace import Report


def run(recipe: Recipe, out: str | Path | None, device: str, dtype: str, report: Report | None) -> Result:
    """As `here.run`, in every process of the team."""
    with joined() as team:
        if team.rank:
            return followed(team, device, dtype)
        try:
            result = local.run_alone(recipe, out, own(device), dtype, report)
        except EaselError as problem:
            team.told(problem)
            raise
        team.told(result)
        return result


def followed(team: Team, device: str, dtype: str) -> Result:
    """Do what the first process asks for until it is done: its result, or its error raised."""
    while True:
        word = team.told()
        if isinstance(word, workers.Order):
            with contextlib.suppress(EaselError):  # the first process raises it too, and tells
                workers.follow(word, own(device), machine.resolve(own(device), dtype)[1])
        elif isinstance(word, Result):
            return word
        else:
            raise word


def own(device: str) -> str:
    """This process's own GPU, where "auto" or "cuda" was said and there are GPUs."""
    import torch

    if device in {"auto", "cuda"} and torch.cuda.is_available():
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return device
