"""Recipe: redraw a photo in the manners of artists."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from easel.recipes.base import Recipe
from easel.recipes.knobs import (
    Count,
    Drawn,
    FileName,
    Instructed,
    ModelName,
    Only,
    PictureName,
    Plays,
    Prompt,
    Steered,
    Strength,
    StyleName,
)

Method = Literal["redraw", "describe", "instruct", "canny"]
"""Ways to draw a photo in a style with a diffusion model."""
DEFAULT_STYLES = ("van-gogh", "malevich", "delaunay", "banksy")


class Styled(BaseModel):
    """Which styles, and who judges; shared by every kind that restyles."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    styles: Annotated[tuple[StyleName, ...], Field(min_length=1)] = DEFAULT_STYLES
    """Styles by name: the four artists, monet, hokusai, kandinsky, pencil, ..., or those of your own file."""
    styles_file: FileName | None = None
    """YAML file of your own styles (name, prompt, instruction, negative_prompt, question, image), added to the known
    ones.
    """
    judge: ModelName = "pocket"
    """Family of models that scores the pictures."""
    captioner: ModelName = "pocket"
    """Model that captions the photo."""


class Redrawn(BaseModel):
    """How far a diffusion model may leave the photo."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    strength: Annotated[Strength | None, Only("method", "redraw")] = None
    """How far the picture may leave the photo; more changes more. The model's own for the style when not given."""

    @model_validator(mode="after")
    def _at_least_one_step(self) -> Redrawn:
        steps = getattr(self, "steps", None)
        if steps and self.strength and int(steps * self.strength) < 1:
            least = math.ceil(1 / self.strength)
            raise ValueError(f"steps: {steps} at strength {self.strength:g} are less than one: give {least} or more")
        return self


class Stylize(Drawn, Redrawn, Instructed, Steered, Styled, Recipe):
    """Redraw a photo in several styles, and score each picture for style and for content kept."""

    repeatable: ClassVar = True
    positional: ClassVar = ("photo",)
    shared_by: ClassVar = "photo"

    kind: Literal["stylize"] = "stylize"
    """The kind of job."""
    photo: PictureName
    """The photo."""
    method: Method = "redraw"
    """redraw starts from the photo and keeps its shapes; describe starts from its caption alone; instruct tells a model
    that edits photos to do it (InstructPix2Pix); canny keeps the photo's edges alone (ControlNet).
    """
    count: Count = 1
    """Pictures in each style."""
    caption: Prompt | None = None
    """What the photo shows, in your words; captioned by the model when not given."""
    model: Annotated[ModelName, Plays("image-to-image")] = "pocket"
    """Model that draws: a name of `easel models`, a hub id, a diffusers folder, or a .safetensors file."""
