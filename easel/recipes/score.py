"""Recipe: measure over a folder of photos, or over two."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from easel.recipes.base import Recipe
from easel.recipes.knobs import Count, FileName, Sampled
from easel.recipes.stylize import Styled

ONLY_FOR: dict[str, tuple[str, ...]] = {"made": ("sets",)}
"""Settings that some measures need and the others have no use for."""


class Score(Sampled, Styled, Recipe):
    """Measure over a folder: how often styles succeed, how well pictures fit their captions, how near two sets are."""

    kind: Literal["score"] = "score"
    """The kind of job."""
    what: Literal["styles", "prompt", "sets"]
    """styles: restyle photos and ask the judge; prompt: pictures against metadata.jsonl; sets: made against real."""
    folder: FileName
    """The folder of pictures; for sets, of the real ones."""
    made: FileName | None = None
    """For sets: the folder of made pictures."""
    count: Count = 1
    """Pictures for each photo and style."""

    @model_validator(mode="after")
    def _what_it_needs(self) -> Score:
        for name, measures in ONLY_FOR.items():
            given = getattr(self, name) is not None
            if given != (self.what in measures):
                only = " and ".join(measures)
                raise ValueError(f"{name}: belongs to what: {only}" if given else f"{name}: must be given for {only}")
        return self
