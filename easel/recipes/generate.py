"""Recipe: make pictures from words."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from easel.recipes.base import Recipe
from easel.recipes.knobs import (
    TRAINED,
    BatchSize,
    Count,
    Drawn,
    FileName,
    IsWords,
    ModelName,
    Name,
    Only,
    Plays,
    Prompt,
    Repeated,
)


def attribute_target(text: str) -> tuple[str, float]:
    """'hat=+1' as (attribute, how much), from -1, surely without, to 1. Raises ValueError on anything else."""
    name, _, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not name or not -1 <= value <= 1:
        raise ValueError(f"is '{text}': write NAME=+1 (surely with) to NAME=-1 (surely without)")
    return name, value


def _checked_target(text: str) -> str:
    attribute_target(text)
    return text


def _once(targets: tuple[str, ...]) -> tuple[str, ...]:
    names = [attribute_target(text)[0] for text in targets]
    for name in names:
        if names.count(name) > 1:
            said = " and ".join(text for text in targets if attribute_target(text)[0] == name)
            raise ValueError(f"asks for '{name}' more than once ({said}): say it once")
    return targets


AttributeTarget = Annotated[str, AfterValidator(_checked_target), IsWords()]
AttributeTargets = Annotated[tuple[AttributeTarget, ...], AfterValidator(_once)]
NEITHER = "prompt or prompts: neither is given; give a prompt, or a YAML file of prompts"
IS_TRAINED = Only("family", TRAINED)


class Generate(Drawn, Recipe):
    """Make pictures from a prompt, or from a file with a set of them; or with a model of your own (easel train)."""

    repeatable: ClassVar = True
    positional: ClassVar = ("prompt",)
    facts: ClassVar = ("family",)
    shared_by: ClassVar = "count"

    kind: Literal["generate"] = "generate"
    """The kind of job."""
    prompt: Prompt | None = None
    """What the picture should show."""
    prompts: FileName | None = None
    """A YAML file with a set of prompts (name, prompt, negative_prompt), instead of a single one."""
    count: Count = 1
    """Pictures for each prompt."""
    batch_size: BatchSize = 1
    """Pictures that are made together; more are faster, most of all on a GPU, and take more memory."""
    batch_row: Annotated[int, Field(ge=0)] | None = None
    """Which row of its batch a picture was; written into pictures made together, so that each is made again exactly."""

    label: Annotated[Name | None, IS_TRAINED] = None
    """Class to draw, where the model knows classes; drawn by the seed when not given."""
    attribute: Annotated[AttributeTargets, IS_TRAINED, Repeated()] = ()
    """Attribute to have or not, hat=+1 (surely with) to hat=-1 (surely without); may be given several times."""
    classifier: Annotated[ModelName | None, IS_TRAINED] = None
    """Trained control-gan whose classifier knows the attributes, where the model has none itself."""
    truncation: Annotated[float, Field(ge=0, le=2), IS_TRAINED] = 1.0
    """Truncation psi; below 1 draws what is more usual and varies less."""
    walk: Annotated[int | None, Field(ge=1, le=1000), IS_TRAINED] = None
    """Frames from each picture to the next of a walk between them, which makes two pictures at least."""
    model: Annotated[ModelName, Plays("text-to-image", "generator")] = "pocket"
    """Model that draws: a name of `easel models`, a hub id, a diffusers folder, a .safetensors file, or a folder of
    `easel train`.
    """
    judge: ModelName | None = None
    """Family that scores how well the pictures fit their words: pocket, base, large, or a folder; when not given, the
    model's own, or else the best one at hand.
    """

    @model_validator(mode="after")
    def _one_source(self) -> Generate:
        if self.prompt is not None and self.prompts is not None:
            raise ValueError("prompt or prompts: both are given; give a prompt, or a YAML file of prompts")
        if self.prompt is None and self.prompts is None and self.model == type(self).model_fields["model"].default:
            raise ValueError(NEITHER)  # of other models only the job knows whether they need words
        return self

    @model_validator(mode="after")
    def _one_row(self) -> Generate:
        if self.batch_row is None:
            return self
        if self.count != 1 or self.prompts is not None or self.walk is not None:
            raise ValueError("batch_row: belongs to a picture made alone: give one prompt and count 1, or leave it out")
        if self.batch_row >= self.batch_size:
            raise ValueError(
                f"batch_row: is {self.batch_row}: must be less than batch_size, which is {self.batch_size}"
            )
        return self

    def whole_only(self) -> str:
        """A set of prompts numbers its pictures through, and a walk leads from picture to picture."""
        for name in ("prompts", "walk", "batch_row"):
            if getattr(self, name) is not None:
                return f"{name}: cannot be shared out among machines: give one prompt and a count, or leave --on out"
        return super().whole_only()
