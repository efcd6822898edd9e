"""Recipe: measure over a folder of photos."""

from __future__ import annotations

from typing import Literal

from easel.recipes.base import Recipe
from easel.recipes.knobs import Count, FileName, Sampled
from easel.recipes.stylize import Styled


class Score(Sampled, Styled, Recipe):
    """Measure over a folder: how often styles succeed, or how well pictures fit their captions."""

    kind: Literal["score"] = "score"
    """The kind of job."""
    what: Literal["styles", "prompt"]
    """styles: restyle every photo and ask the judge; prompt: compare pictures with their metadata.jsonl."""
    folder: FileName
    """The folder of pictures."""
    count: Count = 1
    """Pictures for each photo and style."""
