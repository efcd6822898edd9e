"""Recipe: ask a question about a photo."""

from __future__ import annotations

from typing import Literal

from easel.recipes.base import Recipe
from easel.recipes.knobs import Count, FileName, Prompt


class Ask(Recipe):
    """Ask a question about a photo; the answers come with their probabilities."""

    kind: Literal["ask"] = "ask"
    """The kind of job."""
    photo: FileName
    """The photo."""
    question: Prompt
    """The question, such as "is this in the style of Van Gogh?"."""
    count: Count = 1
    """How many answers, the most probable first."""
