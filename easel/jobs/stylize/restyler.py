"""A painter that draws photos in styles by one of the methods: redrawn, from words, by an instruction, by edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image

from easel.jobs.frame import Frame
from easel.jobs.painter import Painter, PlannedPicture
from easel.jobs.steering import Steering, WantedMap
from easel.models.diffusion import maps
from easel.models.diffusion.batch import Control, PictureRequest
from easel.recipes.score import ScoreStyles
from easel.recipes.stylize import Stylize
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.diffusion import Diffusion

TASK = {"redraw": "image-to-image", "describe": "text-to-image", "instruct": "instruct", "canny": "control"}
"""Method -> row of `tasks.TASKS`."""
BY_CAPTION = ("describe",)
"""Methods that have nothing of the photo but its caption."""
BY_PHOTO = ("redraw", "instruct")
"""Methods whose model sees the photo itself: of these it may have been taught only some styles."""


class Restyler(Painter):
    """A loaded model that draws photos in styles by one method."""

    def __init__(
        self, recipe: Stylize | ScoreStyles, method: str, workspace: Workspace, loaded: Diffusion | None = None
    ) -> None:
        """Load the model, where it is not `loaded` for the method already, and what steers it. Raises EaselError."""
        model = recipe.model
        if method == "instruct":
            model = getattr(recipe, "instruct_model", None) or model
        super().__init__(recipe, model, workspace, recipe.strength, TASK[method], loaded)
        self.method = method
        self._steering: Steering | None = None
        self._steered: tuple[Image.Image, tuple[Control, ...]] | None = None
        if method in maps.KINDS:
            wanted = [WantedMap(method, None, recipe.control_scale)]
            self._steering = Steering.load(recipe, method, wanted, self.model, workspace)

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        return [*super().notes, *(self._steering.notes if self._steering else [])]

    @property
    def untaught(self) -> Mapping[str, str]:
        """Style that the model cannot do by this method -> a model that can."""
        return self.model.defaults.untaught_styles if self.method in BY_PHOTO else {}

    def request(self, one: PlannedPicture, photo: Image.Image | None) -> PictureRequest:
        """With the map of the photo, where there is one to follow."""
        request = super().request(one, photo)
        if self._steering is None or photo is None:
            return request
        if self._steered is None or self._steered[0] is not photo:
            self._steered = photo, self._steering.controls(photo, Frame.of(photo, photo.size))
        return replace(request, controls=self._steered[1])
