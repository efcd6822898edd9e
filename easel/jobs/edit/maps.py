"""The control maps of an edit: brought ready or made from the photo, each with the network that reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from PIL import Image

from easel import models
from easel.errors import EaselError
from easel.images import open_picture
from easel.jobs.edit.frame import Frame
from easel.models.catalog.controls import depth_for
from easel.models.diffusion import maps
from easel.models.diffusion.batch import Control
from easel.recipes.edit import Edit, control_parts
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.depth import Depth
    from easel.models.diffusion import Diffusion
    from easel.models.diffusion.control import ControlNetwork

SHAPE = 0.02
"""How much the proportions of a map or mask may differ from the photo's."""


@dataclass(frozen=True)
class WantedMap:
    """A control that was asked for: its kind, the ready map or None, and its scale."""

    kind: str
    ready: Image.Image | None
    scale: float


def wanted_maps(recipe: Edit) -> list[WantedMap]:
    """The controls of a recipe whose method is chosen; ready maps are opened. EaselError on what does not open."""
    method = recipe.method.removeprefix("adapter-")
    if method not in maps.KINDS:
        return []
    found = []
    for text in recipe.control:
        kind, file, scale = control_parts(text)
        ready = open_picture(file) if file else None
        found.append(WantedMap(kind or method, ready, recipe.control_scale if scale is None else scale))
    if all(one.kind != method for one in found):
        found.insert(0, WantedMap(method, None, recipe.control_scale))
    return found


def check_shape(what: str, picture: Image.Image, photo: Image.Image) -> None:
    """Raise EaselError where a map or mask has other proportions than the photo."""
    ours, its = photo.width / photo.height, picture.width / picture.height
    if abs(its / ours - 1) > SHAPE:
        raise EaselError(
            f"the {what} is {picture.width} x {picture.height} and the photo {photo.width} x {photo.height}: "
            f"give a {what} of the photo's proportions"
        )


@dataclass(frozen=True, eq=False)
class Steering:
    """The networks and the depth model that an edit needs, loaded."""

    recipe: Edit
    wanted: list[WantedMap]
    networks: list[ControlNetwork]
    depth: Depth | None

    @classmethod
    def load(cls, recipe: Edit, wanted: list[WantedMap], model: Diffusion, workspace: Workspace) -> Steering:
        """Load what the controls need for a model. Raises EaselError where there is no network for one."""
        way: Literal["adapter", "controlnet"] = "adapter" if recipe.method.startswith("adapter-") else "controlnet"
        names = [
            recipe.control_model
            if recipe.control_model and one.kind == recipe.method.removeprefix("adapter-")
            else model.control_for(one.kind, way)
            for one in wanted
        ]
        with workspace.phase("loading the control", len(names)):
            loaded = {name: models.load(name, way, workspace.device, workspace.dtype) for name in dict.fromkeys(names)}
        needs_depth = any(one.ready is None and maps.KINDS[one.kind].needs_depth for one in wanted)
        estimator = recipe.depth_model or depth_for(model.base)
        depth = models.load(estimator, "depth", workspace.device) if needs_depth else None
        return cls(recipe, wanted, [loaded[name] for name in names], depth)

    @property
    def multiple(self) -> int:
        """Of how many pixels the drawn sides must be multiples."""
        return max([8, *(network.multiple for network in self.networks)])

    def controls(self, photo: Image.Image, frame: Frame) -> tuple[Control, ...]:
        """The controls for a photo, their maps in the frame. Raises EaselError on a map of another shape."""
        small = photo.resize(frame.part, Image.Resampling.LANCZOS)
        return tuple(
            Control(
                network,
                frame.fill(self._map(one, photo, small)),
                one.scale,
                self.recipe.control_start,
                self.recipe.control_end,
            )
            for one, network in zip(self.wanted, self.networks, strict=True)
        )

    def _map(self, one: WantedMap, photo: Image.Image, small: Image.Image) -> Image.Image:
        if one.ready is not None:
            check_shape(f"{one.kind} map", one.ready, photo)
            return maps.fitted(one.ready, small.size, one.kind)
        if one.kind == "canny":
            return maps.canny(small, self.recipe.canny_low, self.recipe.canny_high)
        return maps.make(one.kind, small, depth_model=self.depth)

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        return [note for network in dict.fromkeys(self.networks) for note in network.notes]
