"""A kind of job for tests and measurements of shared runs: it looks at photos together, and says their mean level, or
blindly the size of their files. No model is needed.

Photos with a word in their names misbehave: `killer` ends the process, `hungry` lacks memory, `faulty` is a bug,
`broken` does not open. `python -m tests.cluster_toy ADDRESS OUT PHOTO...` runs it on a cluster, for tests that kill it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from easel.errors import EaselError
from easel.images import open_picture
from easel.jobs.inputs import gather, opened_to_read, skipped_notes
from easel.kinds import KINDS, Kind
from easel.recipes.base import Recipe
from easel.recipes.knobs import BatchSize, PicturesName
from easel.result import Result, Score
from easel.workspace import Workspace


class Tally(Recipe):
    """Say how light photos are."""

    positional: ClassVar = ("photos",)
    shared_by: ClassVar = "photos"
    together: ClassVar = True

    kind: Literal["tally"] = "tally"
    """The kind of job."""
    photos: Annotated[tuple[PicturesName, ...], Field(min_length=1)]
    """Photos, or folders of photos."""
    seconds: Annotated[float, Field(ge=0, le=60)] = 0.0
    """Seconds that each photo takes."""
    blind: bool = False
    """Whether photos are not opened: what is left is what sharing them out takes."""
    log: str = ""
    """File that gets a line for each photo that is looked at."""
    batch_size: BatchSize = 4
    """Photos that are looked at together."""


KIND = Kind("Say how light photos are.", "tests.cluster_toy:Tally", "tests.cluster_toy")


def run(recipe: Tally, workspace: Workspace) -> Result:
    """A line of metadata.jsonl and a score for each photo; its place in its batch is part of what is said."""
    photos = gather(recipe.photos, workspace.folder, workspace.folder)
    broken: dict[str, str] = {}
    rows: dict[str, float] = {}
    if recipe.blind:
        time.sleep(recipe.seconds * len(photos))
        rows = {name: float(path.stat().st_size) for name, path in photos.items()}
    for pictures in opened_to_read(() if recipe.blind else photos, photos, broken, recipe.batch_size):
        for place, (name, picture) in enumerate(pictures.items()):
            if "killer" in name:
                os.kill(os.getpid(), signal.SIGKILL)
            if "hungry" in name:
                raise MemoryError
            if "faulty" in name:
                raise ZeroDivisionError(name)
            time.sleep(recipe.seconds)
            rows[name] = picture.resize((1, 1)).getpixel((0, 0))[0] + place / 10  # type: ignore[index]
            workspace.step("looking", len(rows), len(photos))
    if recipe.log:
        with Path(recipe.log).open("a") as stream:
            stream.write("".join(f"{name}\n" for name in rows))
    lines = [json.dumps({"file_name": name, "text": f"level {value}"}) for name, value in rows.items()]
    workspace.save_text("metadata.jsonl", "\n".join(lines) + "\n")
    return Result(
        kind=recipe.kind,
        files=("metadata.jsonl",),
        texts={name: f"level {value}" for name, value in rows.items()},
        scores=tuple(Score(name="level", value=value, judge="nobody", of=name) for name, value in rows.items()),
        notes=(*skipped_notes(broken, len(photos)), f"{len(rows)} of {len(photos)} photos are light"),
    )


def level_of(path: Path) -> int:
    """What the job says of a photo, for tests that know the answer."""
    value = open_picture(path).resize((1, 1)).getpixel((0, 0))
    if not isinstance(value, tuple):
        raise EaselError("no colours")
    return int(value[0])


if __name__ == "__main__":
    from easel.runners import cluster, local

    KINDS["tally"] = KIND
    on, out, log, seconds, *named = sys.argv[1:]
    asked, one = Tally(photos=tuple(named), seconds=float(seconds), log=log, seed=1), cluster.Cluster(on, 2, 2, part=4)
    local.run(asked, out, "cpu", "float32", None, lambda mine, place: cluster.run(mine, place, one))
