"""Recipes: look at a set of pictures, or draw one."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from easel.recipes.base import Recipe
from easel.recipes.knobs import FolderName, LayoutName, ModelName, Split


class DataSummary(Recipe):
    """Look at a set of pictures: what is in it, what is broken, a map."""

    positional: ClassVar = ("folder",)
    resumes: ClassVar = True

    kind: Literal["data-summary"] = "data-summary"
    """The kind of job."""
    folder: FolderName
    """Folder of the set."""
    layout: LayoutName | None = None
    """How the set is laid out; recognised when not given."""
    split: Split | None = None
    """Only this part of the set."""
    count: Annotated[int, Field(ge=1, le=500_000)] = 10_000
    """Pictures to look at, at most, spread evenly over the set."""
    model: ModelName = "pocket"
    """CLIP that lays out the map."""


class DataWorld(Recipe):
    """Draw a captioned, attributed set of pictures out of the world."""

    positional: ClassVar = ("out",)
    resumes: ClassVar = True
    heavy: ClassVar = True

    kind: Literal["data-world"] = "data-world"
    """The kind of job."""
    what: Literal[
        "birds",
        "dogs",
        "cats",
        "animals",
        "faces",
        "people",
        "rooms",
        "houses",
        "cars",
        "vases",
        "fruit",
        "lamps",
        "kinds",
    ] = "birds"
    """What to draw; faces are portraits of people, kinds is everything."""
    resolution: Annotated[int, Field(ge=32, le=1024)] = 128
    """Pixels a side of the pictures."""
    count: Annotated[int, Field(ge=1, le=500_000)] = 10_000
    """Pictures to draw."""
