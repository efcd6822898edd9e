"""Recipe: put a frame around a photo."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from easel.recipes.base import Recipe
from easel.recipes.knobs import FileName, Name, Only


class Frame(Recipe):
    """Put a frame around a photo."""

    repeatable: ClassVar = True
    positional: ClassVar = ("photo",)
    shared_by: ClassVar = "photo"

    kind: Literal["frame"] = "frame"
    """The kind of job."""
    photo: FileName
    """The photo."""
    material: Literal["wood", "paint"] = "wood"
    """What the frame is made of."""
    width: Annotated[int, Field(ge=1, le=100)] = 8
    """Width of the frame in pixels; more covers more of the wall."""
    colour: Annotated[Name | None, Only("material", "paint")] = None
    """Colour of the frame; chance chooses when not given."""
