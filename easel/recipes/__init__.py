"""Recipes: everything that decides what a run makes, one frozen pydantic model per kind of job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from easel.recipes import read
from easel.recipes.ask import Ask
from easel.recipes.base import Recipe
from easel.recipes.caption import Caption
from easel.recipes.data import Data
from easel.recipes.generate import Generate
from easel.recipes.knobs import SCHEDULERS, lora_parts
from easel.recipes.read import to_yaml, write_yaml
from easel.recipes.score import Score
from easel.recipes.stylize import DEFAULT_STYLES, Stylize
from easel.recipes.train import Train

__all__ = [
    "DEFAULT_STYLES",
    "KINDS",
    "SCHEDULERS",
    "AnyRecipe",
    "Ask",
    "Caption",
    "Data",
    "Generate",
    "Recipe",
    "Score",
    "Stylize",
    "Train",
    "lora_parts",
    "read_yaml",
    "recipe_from",
    "to_yaml",
    "write_yaml",
]

AnyRecipe = Annotated[Caption | Ask | Generate | Stylize | Score | Data | Train, Field(discriminator="kind")]
"""A recipe of any kind, told apart by its kind."""

KINDS: dict[str, type[Recipe]] = {
    "caption": Caption,
    "ask": Ask,
    "generate": Generate,
    "stylize": Stylize,
    "score": Score,
    "data": Data,
    "train": Train,
}


def read_yaml(path: str | Path, changes: Mapping[str, Any] | None = None, kind: str | None = None) -> Recipe:
    """The recipe in a YAML file, with `changes` laid over it, which must be of `kind` where one is named.

    Raises EaselError naming file, line and key.
    """
    return read.read_file(KINDS, path, changes, kind)


def recipe_from(values: Mapping[str, Any], place: str = "") -> Recipe:
    """The recipe that plain values (a form, a PNG's provenance) describe, upgraded from older versions.

    Raises EaselError, beginning with `place`, that names the wrong key and the nearest right one.
    """
    return read.make(KINDS, values, place=place)
