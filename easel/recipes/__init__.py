"""Recipes: everything that decides what a run makes, one frozen pydantic model per kind of job, each in its file."""

from __future__ import annotations

from easel.kinds import GROUPS, KINDS, Kind
from easel.recipes.base import Recipe
from easel.recipes.knobs import SCHEDULERS, lora_parts
from easel.recipes.read import read_yaml, recipe_from, to_yaml, write_yaml

__all__ = [
    "GROUPS",
    "KINDS",
    "SCHEDULERS",
    "Kind",
    "Recipe",
    "lora_parts",
    "read_yaml",
    "recipe_from",
    "to_yaml",
    "write_yaml",
]
