"""Measures: how often styles succeed beyond what the plain photos already say, how well pictures fit their texts, how
near a made set is to a real one, and how evenly a trained model's pictures change.
"""

from __future__ import annotations

import importlib

from easel.recipes import Score
from easel.result import Result
from easel.workspace import Workspace


def run(recipe: Score, workspace: Workspace) -> Result:
    """Run a Score recipe's measure, going on where an earlier run in this folder stopped.

    Raises EaselError and Cancelled.
    """
    result: Result = importlib.import_module(f"easel.jobs.score.{recipe.what}").run(recipe, workspace)
    return result
