"""A photo in a frame: open, frame, save, return."""

from __future__ import annotations

import random

from PIL import ImageOps

from easel.images import open_picture
from easel.result import Result
from easel.workspace import Workspace
from tests.toy.recipe import Frame

WOOD = "#8a5a2b"


def run(recipe: Frame, workspace: Workspace) -> Result:
    """Put the frame around the photo."""
    photo = open_picture(recipe.photo)
    with workspace.phase("framing"):
        chance = "#" + "".join(random.Random(recipe.seed).choices("0123456789abcdef", k=6))
        colour = WOOD if recipe.material == "wood" else recipe.colour or chance
        picture = ImageOps.expand(photo, recipe.width, colour)
    workspace.save_picture("01-framed.png", picture, recipe.for_picture(0), f"Frame: {recipe.width}")
    return Result(kind=recipe.kind, pictures=("01-framed.png",), texts={"frame": colour})
