"""Measures: how often styles succeed beyond what the plain photos already say, how well pictures fit their texts, how
near a made set is to a real one, and how evenly a trained model's pictures change.
"""

from __future__ import annotations

from easel.jobs import score_ppl, score_prompt, score_sets, score_styles
from easel.recipes import Score
from easel.result import Result
from easel.workspace import Workspace

MEASURES = {"styles": score_styles.run, "prompt": score_prompt.run, "sets": score_sets.run, "ppl": score_ppl.run}


def run(recipe: Score, workspace: Workspace) -> Result:
    """Run a Score recipe's measure, going on where an earlier run in this folder stopped.

    Raises EaselError and Cancelled.
    """
    return MEASURES[recipe.what](recipe, workspace)
