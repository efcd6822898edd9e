"""Recipe: make pictures from words."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from easel.recipes.base import Recipe
from easel.recipes.knobs import BatchSize, Count, Drawn, FileName, Prompt


class Generate(Drawn, Recipe):
    """Make pictures from a prompt, or from a file with a set of them."""

    kind: Literal["generate"] = "generate"
    """The kind of job."""
    prompt: Prompt | None = None
    """What the picture should show."""
    prompts: FileName | None = None
    """A YAML file with a set of prompts (name, prompt, negative_prompt), instead of a single one."""
    count: Count = 1
    """Pictures for each prompt."""
    batch_size: BatchSize = 1
    """Pictures that are made together, which is faster, most of all on a GPU."""
    batch_row: Annotated[int, Field(ge=0)] | None = None
    """Which row of its batch a picture was; written into pictures made together, so that each is made again exactly."""

    @model_validator(mode="after")
    def _one_source(self) -> Generate:
        if (self.prompt is None) == (self.prompts is None):
            many = "both are given" if self.prompt is not None else "neither is given"
            raise ValueError(f"prompt or prompts: {many}; give a prompt, or a YAML file of prompts")
        return self

    @model_validator(mode="after")
    def _one_row(self) -> Generate:
        if self.batch_row is None:
            return self
        if self.count != 1 or self.prompts is not None:
            raise ValueError("batch_row: belongs to a picture made alone: give one prompt and count 1, or leave it out")
        if self.batch_row >= self.batch_size:
            raise ValueError(
                f"batch_row: is {self.batch_row}: must be less than batch_size, which is {self.batch_size}"
            )
        return self
