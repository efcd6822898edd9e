"""Recipe: redraw a photo in the manners of artists."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from easel.recipes.base import Recipe
from easel.recipes.knobs import Count, Drawn, FileName, ModelName, Name, Prompt, Strength

DEFAULT_STYLES = ("van-gogh", "malevich", "delaunay", "banksy")


class Styled(BaseModel):
    """Which styles, by which way, judged by whom; shared by stylize and score."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    styles: Annotated[tuple[Name, ...], Field(min_length=1)] = DEFAULT_STYLES
    """Names of styles: the four artists, monet, hokusai, kandinsky, pencil, ..., or of your own file."""
    styles_file: FileName | None = None
    """A YAML file of your own styles (name, prompt, negative_prompt, question), added to the known ones."""
    method: Literal["redraw", "describe"] = "redraw"
    """redraw starts from the photo and keeps its shapes; describe starts from its caption alone."""
    strength: Strength | None = None
    """How far redraw may leave the photo, from just over 0 to 1; the model's own when not given."""
    judge: ModelName = "pocket"
    """The family of models that scores the pictures."""
    captioner: ModelName = "pocket"
    """The model that captions the photo."""


class Stylize(Drawn, Styled, Recipe):
    """Redraw a photo in several styles, and score each picture for style and for content kept."""

    kind: Literal["stylize"] = "stylize"
    """The kind of job."""
    photo: FileName
    """The photo."""
    count: Count = 1
    """Pictures in each style."""
    caption: Prompt | None = None
    """What the photo shows, in your words; captioned by the model when not given."""
