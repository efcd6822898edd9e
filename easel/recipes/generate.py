"""Recipe: make pictures from words."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

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
    """Pictures that are made together: faster on a GPU, but neighbours change the last bits of a picture."""

    @model_validator(mode="after")
    def _one_source(self) -> Generate:
        if (self.prompt is None) == (self.prompts is None):
            many = "both are given" if self.prompt is not None else "neither is given"
            raise ValueError(f"prompt or prompts: {many}; give a prompt, or a YAML file of prompts")
        return self
