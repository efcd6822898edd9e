"""Pictures from words by a diffusion model."""

from __future__ import annotations

from PIL import Image

from easel.errors import EaselError
from easel.jobs.generate.prompts import planned
from easel.jobs.inputs import thumbnail
from easel.jobs.painter import Painter, PlannedPicture
from easel.models.catalog import locate, tables
from easel.recipes.generate import NEITHER, Generate
from easel.result import Score
from easel.sheet import Cell
from easel.workspace import Workspace


class FromDiffusion:
    """A diffusion model and what it is to draw."""

    has_words = True
    files: tuple[str, ...] = ()
    """Files beside the pictures."""

    def __init__(self, recipe: Generate, workspace: Workspace, judge: str | None) -> None:
        """Plan the pictures and load the model; `judge` is the family that will score them. Raises EaselError."""
        if recipe.prompt is None and recipe.prompts is None:
            raise EaselError(NEITHER)
        self.recipe = recipe
        self.planned: list[PlannedPicture] = planned(recipe)
        self.painter = Painter(recipe.model_copy(update={"judge": judge}), recipe.model, workspace)

    def draw(self) -> list[Image.Image]:
        """Draw and save. Raises EaselError and Cancelled."""
        return self.painter.draw(self.planned, batch_size=self.recipe.batch_size)

    def cell(self, number: int, picture: Image.Image, fit: float | None) -> Cell:
        """A picture on the sheet."""
        one = self.planned[number]
        said = f"seed {one.seed}" if fit is None else f"seed {one.seed}, CLIP-T {fit:.2f}"
        return Cell(thumbnail(picture), one.file.removesuffix(".png"), (one.prompt[:300], said))

    def scores(self) -> list[Score]:
        """What the model itself says about its pictures: nothing."""
        return []

    @property
    def heading(self) -> str:
        """What the sheet is of."""
        return (self.recipe.prompt or self.recipe.prompts or "")[:200]

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        return list(self.painter.model.notes)


def refuse_no_model(name: str) -> None:
    """Raise EaselError where a name is no word of the catalogue and nothing on this disk that could draw."""
    if name in tables.ROWS:
        return
    folder = locate.find(name, "text-to-image").path
    if folder.is_dir() and not (folder / "model_index.json").is_file():
        raise EaselError(
            f"{folder} holds no model: neither model_index.json, as diffusers writes it, nor the config.json of "
            "`easel train` is in it"
        )
