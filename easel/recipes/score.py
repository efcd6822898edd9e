"""Recipe: measure over a folder of photos, over two, or over a model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from easel.recipes.base import Recipe
from easel.recipes.knobs import Count, FileName, Name, Prompt, Sampled, Split
from easel.recipes.stylize import Styled

NEEDED: dict[str, tuple[str, ...]] = {"folder": ("styles", "prompt", "sets"), "made": ("sets",)}
"""Settings that some measures need and the others have no use for."""
ONLY_FOR: dict[str, tuple[str, ...]] = {
    "space": ("ppl",),
    "sampling": ("ppl",),
    "samples": ("ppl",),
    "prompt": ("ppl",),
    "resolution": ("sets",),
    "layout": ("sets",),
    "split": ("sets",),
}
"""Settings that the others have no use for, and that need not be given."""


class Score(Sampled, Styled, Recipe):
    """Measure: how often styles succeed, how well captions fit, how near two sets are, how evenly a model changes."""

    kind: Literal["score"] = "score"
    """The kind of job."""
    what: Literal["styles", "prompt", "sets", "ppl"]
    """styles: restyle photos and ask the judge; prompt: pictures against metadata.jsonl; sets: made against real; ppl:
    the perceptual path length of a trained model.
    """
    folder: FileName | None = None
    """The folder of pictures; for sets, of the real ones, in any layout that training reads."""
    made: FileName | None = None
    """For sets: the folder of made pictures."""
    layout: Name | None = None
    """For sets: how the real one is laid out: flat, classes, metadata, cub, ...; recognised when not given."""
    split: Split | None = None
    """For sets: only this part of the real one, such as test for a model that learned from train."""
    resolution: Annotated[int, Field(ge=8, le=1024)] | None = None
    """For sets: cut every picture to a square of so many pixels a side first, as training does."""
    space: Literal["z", "w"] = "z"
    """For ppl: where the path lies; z is the latent of any network, w what StyleGAN's mapping makes of it."""
    sampling: Literal["full", "end"] = "end"
    """For ppl: where on the path a step is taken; full is anywhere, end is where it begins."""
    samples: Annotated[int, Field(ge=2, le=1_000_000)] = 1000
    """For ppl: paths; papers take 50000."""
    prompt: Prompt | None = None
    """For ppl of a model that draws from words: what its pictures show."""
    count: Count = 1
    """Pictures for each photo and style."""

    @model_validator(mode="after")
    def _what_it_needs(self) -> Score:
        for name, measures in NEEDED.items():
            given = getattr(self, name) is not None
            if self.what in measures and not given:
                raise ValueError(f"{name} is missing: it must be given for {_listed(measures)}")
            if given and self.what not in measures:
                raise ValueError(f"{name}: belongs to what: {_listed(measures)}")
        for name, measures in ONLY_FOR.items():
            if self.what not in measures and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name}: belongs to what: {_listed(measures)}")
        return self


def _listed(words: tuple[str, ...]) -> str:
    return " and ".join(words)
