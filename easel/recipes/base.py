"""What every recipe has: frozen, strict, and with a seed that is drawn when the recipe is made."""

from __future__ import annotations

import os
import secrets
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from easel.recipes.knobs import Count, ModelName, Seed
from easel.version import __version__


def draw_seed() -> int:
    """A fresh seed below 2**31, short enough to read out and within what every tool takes."""
    return secrets.randbelow(2**31)


def _frozen(value: Any) -> Any:
    """A list as a tuple, a path as text, all else as it is."""
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


class Recipe(BaseModel):
    """All that decides what a run makes. The one place where a setting's name, meaning, limits and default stand.

    Values are never repaired: a number in quotes, an unknown key, NaN or infinity is an error.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )

    kind: str
    """The kind of job."""
    easel: str = __version__
    """The version of easel that the recipe was written for."""
    model: ModelName = "pocket"
    """The model: a name of `easel models`, a hub id, a diffusers folder, or a .safetensors file."""
    seed: Seed = Field(default_factory=draw_seed)
    """Where chance starts from; the same seed makes the same thing. Drawn afresh when not given."""
    count: Count = 1
    """How many to make."""

    @model_validator(mode="before")
    @classmethod
    def _frozen_values(cls, values: Any) -> Any:
        """YAML and JSON have lists where recipes have tuples, and Python has paths where recipes have text."""
        return {key: _frozen(value) for key, value in values.items()} if isinstance(values, dict) else values

    def for_picture(self, index: int, **changes: Any) -> dict[str, Any]:
        """The recipe of picture `index` of this run alone, as plain values: its own seed, count 1, and `changes`."""
        plain = self.model_dump(mode="json") | {"seed": self.seed + index, "count": 1} | changes
        return type(self).model_validate(plain).model_dump(mode="json")
