"""A kind of job that costs what it is told to cost: the rest is what a shared run takes beside its models."""

from __future__ import annotations

import json
import time
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from easel.jobs.inputs import gather
from easel.kinds import Kind
from easel.recipes.base import Recipe
from easel.recipes.knobs import PicturesName
from easel.result import Result, Score
from easel.workspace import Workspace


class Blink(Recipe):
    """Say the size of photos' files."""

    positional: ClassVar = ("photos",)
    shared_by: ClassVar = "photos"
    together: ClassVar = True

    kind: Literal["blink"] = "blink"
    """The kind of job."""
    photos: Annotated[tuple[PicturesName, ...], Field(min_length=1)]
    """Photos."""
    seconds: float = 0.0
    """Seconds that a photo takes, slept."""


KIND = Kind("Say the size of photos' files.", "benchmarks.cluster_toy:Blink", "benchmarks.cluster_toy")


def run(recipe: Blink, workspace: Workspace) -> Result:
    """A line and a score a photo, as a captioner gives; models are what is slept for."""
    photos = gather(recipe.photos, workspace.folder, workspace.folder)
    sizes = {name: path.stat().st_size for name, path in photos.items()}
    time.sleep(recipe.seconds * len(photos))
    lines = [json.dumps({"file_name": name, "text": f"a file of {size} bytes"}) for name, size in sizes.items()]
    workspace.save_text("metadata.jsonl", "\n".join(lines) + "\n")
    return Result(
        kind=recipe.kind,
        files=("metadata.jsonl",),
        texts={name: f"a file of {size} bytes" for name, size in sizes.items()},
        scores=tuple(Score(name="bytes", value=float(size), judge="nobody", of=name) for name, size in sizes.items()),
    )
