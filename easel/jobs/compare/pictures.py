"""The pictures of a comparison as its page shows them: small ones, larger ones to look at, and each cell's recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easel.images import address, open_picture
from easel.jobs.compare.cells import Row
from easel.provenance import without_places
from easel.recipes.compare import DRAWN, TAUGHT, Compare
from easel.recipes.read import plain_to_yaml
from easel.workspace import Workspace

SMALL = 220
LARGE, LARGE_OF_MANY = 1024, 560
"""Pixels of the longer side."""
MANY, MOST = 150, 1000
"""Pictures from which on they are smaller, and beyond which a page has none."""


@dataclass(frozen=True)
class Look:
    """A picture on the page: addresses that hold it small and large, and the place of its file beside the page."""

    small: str
    large: str
    file: str


@dataclass(frozen=True)
class Shown:
    """What the page shows beside numbers."""

    rows: Sequence[Row]
    recipes: Mapping[str, Mapping[str, Any]]
    """By candidate, as plain values; none of ready pictures."""
    paths: Mapping[str, Path]
    photos: Mapping[str, Look]
    pictures: Mapping[str, Look]
    """By the names that the rows have."""
    left_out: int
    """Pictures that the page has not."""

    @classmethod
    def of(cls, recipe: Compare, workspace: Workspace, photos: Mapping[str, Path], rows: Sequence[Row]) -> Shown:
        """Open the pictures of the rows, and shrink them."""
        names = [name for row in rows for name in row.get("pictures", ())]
        side = LARGE if len(names) + len(photos) <= MANY else LARGE_OF_MANY
        recipes = {}
        if recipe.source == DRAWN:
            for one in recipe.candidates():
                recipes[one.label] = one.recipe("photo" if photos else None, 0).plain()
        elif recipe.source == TAUGHT:
            for one in recipe.candidates():
                recipes[one.label] = one.training(recipe.each_subject()[0], 0).plain()
        return cls(
            rows,
            recipes,
            photos,
            {name: look(path, side, "") for name, path in photos.items()},
            {name: look(workspace.folder / name, side, name) for name in names[:MOST]},
            max(0, len(names) - MOST),
        )

    def recipe_of(self, row: Row) -> str:
        """The recipe of a cell as YAML, with names and no places of this machine; '' for a ready picture."""
        name = str(row.get("training", row["candidate"]))
        if name not in self.recipes:
            return ""
        own = {"seed": row["seed"]} | ({"photo": str(self.paths[row["photo"]])} if row["photo"] in self.paths else {})
        return plain_to_yaml(without_places(dict(self.recipes[name]) | own))


def look(path: Path, side: int, file: str) -> Look:
    """A picture as the page holds it. Raises EaselError where it does not open."""
    picture = open_picture(path, 2 * side)
    return Look(
        address(picture, (SMALL, SMALL)), address(picture, (side, side)), "" if Path(file).is_absolute() else file
    )
