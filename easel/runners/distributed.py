"""Run a recipe in several processes that `accelerate launch` or `torchrun` started, one for each GPU.

The first process runs the recipe as one alone would: it measures, writes, reports and gives the result. The others help
it to train, and get the result from it. They write nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from easel.errors import EaselError
from easel.jobs import workers
from easel.recipes.base import Recipe
from easel.result import Result
from easel.runners import machine
from easel.training.distributed import Team, join
from easel.workspace import Report

Run = Callable[[Recipe, str | Path | None, str, str, Report | None], Result]


def run(
    run_local: Run, recipe: Recipe, out: str | Path | None, device: str, dtype: str, report: Report | None
) -> Result:
    """As ``run_local``, which is `local.run`, in every process of the team."""
    with join() as team:
        if team.rank:
            return work(team, device, dtype)
        try:
            result = run_local(recipe, out, own(device), dtype, report)
        except EaselError as problem:
            team.broadcast(problem)
            raise
        team.broadcast(result)
        return result


def work(team: Team, device: str, dtype: str) -> Result:
    """Do what the first process asks for until it is done: its result, or its error raised."""
    while True:
        message = team.broadcast()
        if isinstance(message, workers.Task):
            with contextlib.suppress(EaselError):  # the first process raises it too, and sends it
                workers.work(message, own(device), machine.resolve(own(device), dtype)[1])
        elif isinstance(message, Result):
            return message
        else:
            raise message


def own(device: str) -> str:
    """This process's own GPU, where "auto" or "cuda" was said and there are GPUs."""
    import torch

    if device in {"auto", "cuda"} and torch.cuda.is_available():
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return device
