"""Recipe: redraw a photo in the manners of artists."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from easel.recipes.base import Recipe
from easel.recipes.knobs import Count, Drawn, FileName, ModelName, Name, Prompt, Sampled, Strength
from easel.recipes.transfer import Neural

DEFAULT_STYLES = ("van-gogh", "malevich", "delaunay", "banksy")
ONLY_BY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(Neural.model_fields, ("neural",)),
    **dict.fromkeys(("model", "negative_prompt", *Sampled.model_fields), ("redraw", "describe")),
    "strength": ("redraw",),
}
"""Settings that other methods have no use for."""


class Named(BaseModel):
    """Which styles, by which way, judged by whom."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    styles: Annotated[tuple[Name, ...], Field(min_length=1)] = DEFAULT_STYLES
    """Names of styles: the four artists, monet, hokusai, kandinsky, pencil, ..., or of your own file."""
    styles_file: FileName | None = None
    """A YAML file of your own styles (name, prompt, negative_prompt, question, image), added to the known ones."""
    method: Literal["redraw", "describe", "neural"] = "redraw"
    """redraw starts from the photo and keeps its shapes; describe starts from its caption alone; neural takes the style
    from a picture.
    """
    strength: Strength | None = None
    """How far redraw may leave the photo, from just over 0 to 1; the model's own for the style when not given."""
    judge: ModelName = "pocket"
    """The family of models that scores the pictures."""
    captioner: ModelName = "pocket"
    """The model that captions the photo."""


class Styled(Neural, Named):
    """All that decides how a photo is restyled and judged; shared by stylize and score."""

    @model_validator(mode="after")
    def _each_method_has_its_own(self) -> Styled:
        fields = type(self).model_fields
        for name, methods in ONLY_BY.items():
            if name in fields and self.method not in methods and getattr(self, name) != fields[name].default:
                raise ValueError(f"{name}: belongs to method: {' and '.join(methods)}")
        if self.style_image and len(self.styles) > 1 and self.styles != DEFAULT_STYLES:
            raise ValueError("styles: with a style_image all would be painted alike: give one name, or none")
        if self.method == "neural" and self.start == "photo" and getattr(self, "count", 1) > 1:
            raise ValueError("count: from the photo every picture comes out the same: use start: noise, or count: 1")
        steps = getattr(self, "steps", None)
        if steps and self.strength and int(steps * self.strength) < 1:
            least = math.ceil(1 / self.strength)
            raise ValueError(f"steps: {steps} at strength {self.strength:g} are less than one: give {least} or more")
        return self


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
