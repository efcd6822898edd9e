"""The model of depth that makes an edit's depth maps, and that judges whether the edit's depth is the photo's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from easel import models
from easel.errors import EaselError
from easel.jobs.inputs import model_label
from easel.models.catalog import locate
from easel.recipes.edit import Edit
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.depth import Depth

USUAL = "depth-small"
"""Taken where a model's own family has none."""


@dataclass(frozen=True, eq=False)
class DepthModel:
    """A loaded model of depth, and what results call it."""

    model: Depth
    label: str


def load(recipe: Edit, workspace: Workspace, is_needed: bool) -> DepthModel | None:
    """The model that was asked for, else the first at hand; None where there is none and a score alone would need it.

    Nothing is fetched for a score. Raises EaselError where maps need one, or the one that was asked for is not there.
    """
    name = recipe.depth_model or next(filter(is_at_hand, (recipe.model, USUAL)), None)
    if name is None:
        name = USUAL if is_needed else recipe.judge if is_at_hand(recipe.judge) else None
    if name is None:
        return None
    return DepthModel(models.load(name, "depth", workspace.device), model_label(name))


def is_at_hand(name: str) -> bool:
    """Whether a model, or the family that it is of, has a model of depth on this machine."""
    try:
        return (locate.find(name, "depth").path / "config.json").is_file()
    except EaselError:
        return False
