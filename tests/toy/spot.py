"""A kind whose scores are known beforehand: a spot of some level on a photo, recipe and job in one."""

from __future__ import annotations

import os
import signal
from typing import Annotated, ClassVar, Literal

from PIL import Image, ImageStat
from pydantic import Field

from easel.errors import EaselError
from easel.images import open_picture
from easel.recipes.base import Recipe
from easel.recipes.knobs import Count, FileName, Only
from easel.result import Result, Score
from easel.workspace import Workspace

LETHAL: list[int] = []
"""How many cells are still run before the process is killed in the middle of one; empty for never."""
RUNS: list[str] = []
"""What was run."""


class Spot(Recipe):
    """Put a spot on a photo."""

    repeatable: ClassVar = True
    positional: ClassVar = ("photo",)

    kind: Literal["spot"] = "spot"
    """The kind of job."""
    photo: FileName
    """The photo."""
    way: Literal["round", "square", "broken", "faulty"] = "round"
    """Shape of the spot."""
    level: Annotated[float, Field(ge=0, le=1), Only("way", "round", "broken", "faulty", title="round ones")] = 0.5
    """Lightness of the spot; more is lighter."""
    count: Count = 1
    """How many."""


def run(recipe: Spot, workspace: Workspace) -> Result:
    """CLIP-T is the level and the photo's lightness; perceptual distance has the sign of the photo's own colour for one
    half of the levels, so that nobody can win.
    """
    RUNS.append(workspace.folder.as_posix())
    photo = open_picture(recipe.photo)
    light = ImageStat.Stat(photo.convert("L")).mean[0] / 2550
    workspace.step("spotting", 0, 1)
    names = []
    for index in range(recipe.count):
        names.append(f"{index}.png")
        picture = Image.new("RGB", photo.size, (round(255 * recipe.level), (recipe.seed + index) % 256, 0))
        workspace.save_picture(names[-1], picture, recipe.for_picture(index))
    if LETHAL:
        LETHAL[0] -= 1
        if not LETHAL[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    if recipe.way == "broken":
        raise EaselError("the spot ran out: take another")
    if recipe.way == "faulty":
        raise ZeroDivisionError("no spot")
    workspace.step("spotting", 1, 1)
    even = round(light * 2550) % 2 == 0
    distance = 0.5 + (0.01 if even == (recipe.level > 0.4) else -0.01)
    scores = [
        Score(name=name, value=value, judge="nobody", of=file)
        for file in names
        for name, value in (("CLIP-T", recipe.level + light), ("perceptual distance", distance), ("width", 3.0))
    ]
    return Result(kind=recipe.kind, pictures=tuple(names), scores=tuple(scores), notes=("a spot is round",))
