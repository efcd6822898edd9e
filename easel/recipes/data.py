"""Recipe: look at a set of pictures, or draw one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from easel.recipes.base import Recipe
from easel.recipes.knobs import FileName, Name, Split


class Data(Recipe):
    """Look at a set of pictures (what is in it, what is broken, a map), or draw a captioned one out of the world."""

    kind: Literal["data"] = "data"
    """The kind of job."""
    task: Literal["summary", "world"]
    """summary: look at a folder of pictures; world: draw a captioned set into the run's folder."""
    folder: FileName | None = None
    """The folder of the set: the one to look at, or to draw into."""
    layout: Name | None = None
    """How the set is laid out: flat, classes, metadata, cub, celeba, dogs or hotels; recognised when not given."""
    split: Split | None = None
    """Only this part of the set."""
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
    """Pixels a side of the pictures to draw."""
    count: Annotated[int, Field(ge=1, le=500_000)] = 10_000
    """How many pictures to draw, or the most to look at, spread evenly over the set."""

    @model_validator(mode="after")
    def _has_its_folder(self) -> Data:
        if self.task == "summary" and self.folder is None:
            raise ValueError("folder is missing: name the folder of pictures to look at")
        if self.task == "world" and self.folder is not None:
            raise ValueError("folder is only for a summary: a world set is drawn into the run's folder (--out)")
        return self
