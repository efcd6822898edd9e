"""Processes of a studio for tests, with a kind of job that is quick: `python -m tests.web_toy worker FOLDER`.

`nap` writes a line into a file for each time it is run, sleeps, and goes on where it stopped.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from PIL import Image
from pydantic import Field

from easel.kinds import KINDS, Kind
from easel.recipes.base import Recipe
from easel.result import Result
from easel.workspace import Workspace


class Nap(Recipe):
    """Sleep in steps, and keep count of them on the disk."""

    resumes: ClassVar = True

    kind: Literal["nap"] = "nap"
    """The kind of job."""
    steps: Annotated[int, Field(ge=0, le=10_000)] = 1
    """Steps to sleep through."""
    seconds: Annotated[float, Field(ge=0, le=60)] = 0.0
    """Seconds of each."""


class Siege(Nap):
    """The same as a heavy job."""

    heavy: ClassVar = True

    kind: Literal["siege"] = "siege"  # type: ignore[assignment]
    """The kind of job."""


def run(recipe: Nap, workspace: Workspace) -> Result:
    """Sleep, a line in steps.txt after each step, from where an earlier run stopped."""
    place = workspace.folder / "steps.txt"
    done = len(place.read_text().splitlines()) if place.exists() else 0
    for index in range(done, recipe.steps):
        workspace.step("sleeping", index, recipe.steps)
        time.sleep(recipe.seconds)
        with place.open("a") as stream:
            stream.write(f"{index}\n")
    workspace.step("sleeping", recipe.steps, recipe.steps)
    with (workspace.folder / "runs.txt").open("a") as stream:
        stream.write("run\n")
    workspace.save_picture("01.png", Image.new("RGB", (32, 32), "teal"), recipe)
    return Result(kind=recipe.kind, pictures=("01.png",), files=("steps.txt",))


def counted(recipe: Recipe, out: Path, **_: Any) -> Result:
    """In the stead of a run: a line in a file of its own, and nothing that waits for the disk."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "runs.txt").open("a") as stream:
        stream.write("run\n")
    return Result(kind=recipe.kind, folder=out)


def add_kinds() -> None:
    """The lines in the table."""
    KINDS["nap"] = Kind("Sleep.", "tests.web_toy:Nap", "tests.web_toy")
    KINDS["siege"] = Kind("Sleep long.", "tests.web_toy:Siege", "tests.web_toy")


def enqueue(count: int, mark: int) -> None:
    """Put jobs into the queue, each with a seed of its own."""
    from easel.web import queue
    from easel.web.safety import first_owner

    owner = first_owner()
    for number in range(count):
        queue.enqueue(owner, Nap(seed=mark * 1000 + number))


def save_slowly(folder: str) -> None:
    """From here on a worker waits between the end of the run in `folder` and the index over it, from the file `saving`
    to the file `go`.
    """
    worker: Any = importlib.import_module("easel.web.worker")
    whole = worker.write_index

    def slow(job: Any, name: str, result: Result) -> bool:
        if job.folder.name == folder:
            (job.folder / "saving").touch()
            while not (job.folder / "go").exists():
                time.sleep(0.05)
        return whole(job, name, result)

    worker.write_index = slow


def skew(seconds: float) -> None:
    """From here on this process's clock is so many seconds wrong."""
    right = time.time
    time.time = lambda: right() + seconds


def main(words: list[str]) -> None:
    """One process: `worker FOLDER [once] [counting]`, `web FOLDER`, `give FOLDER KIND:STEPS ...`,
    `enqueue FOLDER COUNT MARK`; and as these start others: `worker`, `JOB WORKER`.
    """
    add_kinds()
    from easel.runners import machine
    from easel.web import start, studio

    machine.resolve = lambda device="auto", dtype="auto": ("cpu", "float32")
    start.PROCESS = (sys.executable, "-m", "tests.web_toy")
    if os.environ.get("TOY_PAINTS"):
        paint()
    if os.environ.get("TOY_SKEW"):
        skew(float(os.environ["TOY_SKEW"]))
    folder = words[1] if len(words) > 1 and not words[0].isdigit() else os.environ["EASEL_STUDIO"]
    if words[0] == "web":
        start.serve(Path(folder), start.Door("127.0.0.1", 0, (), https=False))
        return
    studio.enter(folder)
    from easel.web import queue, worker
    from easel.web.safety import first_owner

    if os.environ.get("TOY_SAVES_SLOWLY"):
        save_slowly(os.environ["TOY_SAVES_SLOWLY"])
    if words[0] == "worker":
        if "counting" in words:
            worker.runners.run = counted  # type: ignore[attr-defined]
        start.work(folder, once="once" in words, with_parent=len(words) == 1)
    elif words[0] == "give":
        for word in words[2:]:
            kind, _, steps = word.partition(":")
            queue.enqueue(first_owner(), KINDS[kind].recipe(steps=int(steps or 40), seconds=0.1, seed=1))  # type: ignore[call-arg]
    elif words[0] == "enqueue":
        enqueue(int(words[2]), int(words[3]))
    else:
        worker.run_one(int(words[0]), words[1])


def learn(recipe: Any, workspace: Workspace) -> Result:
    """What a training leaves in its folder, a step at a time, and goes on with: curves, samples, a model at its end."""
    from easel.recipes.read import to_yaml

    workspace.save_text("recipe.yaml", to_yaml(recipe))
    kept = workspace.path("metrics.csv")
    rows = kept.read_text().splitlines() if kept.exists() else ["step,kimg,critic,generator,kernel distance,low,high"]
    steps = round((recipe.kimg or 4) * 2)
    for step in range(len(rows) - 1, steps):
        workspace.step("training", step * 500, steps * 500)
        rows.append(
            f"{step},{step / 2},{1 / (step + 1)},{step / 9},{9 / (step + 2)},{8 / (step + 2)},{10 / (step + 2)}"
        )
        workspace.save_text("metrics.csv", "\n".join(rows) + "\n")
        workspace.save_picture(f"samples/{step / 2:09.3f}-kimg.png", painted(step))
        time.sleep(0.3)
    workspace.step("training", steps * 500, steps * 500)
    return trained(recipe, workspace)


def painted(seed: int) -> Any:
    """A picture of a seed."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (96, 96), (40 + seed * 37 % 200, 120, 160))
    ImageDraw.Draw(picture).ellipse((20, 20, 30 + seed * 7 % 50, 70), fill="wheat")
    return picture


def trained(recipe: Any, workspace: Workspace) -> Result:
    """The files of a trained model that knows three classes, or two attributes."""
    import json

    import numpy as np
    from safetensors.numpy import save

    from easel.result import Score

    by_attributes = recipe.network == "control-gan"
    config = {
        "model_type": "easel-trained",
        "network": {"network": recipe.network, "resolution": recipe.resolution},
        "condition": "attributes" if by_attributes else "labels",
        "names": ["hat", "glasses"] if by_attributes else ["boot", "coat", "dress"],
        "shares": [0.5, 0.5] if by_attributes else [0.2, 0.3, 0.5],
        "data": {"name": "clothes", "pictures": 4, "hash": "0123456789ab", "licence": None},
    }
    workspace.save_text("config.json", json.dumps(config))
    workspace.save_bytes("model.safetensors", save({"w": np.zeros(4, np.float32)}))
    workspace.save_text("README.md", "# A card\n\nDraws clothes.\n")
    workspace.save_picture("sheet.png", painted(3))
    scores = (Score(name="kernel distance", value=1.5, low=1.0, high=2.0, n=100, judge="features:pocket", of="it"),)
    files = ("sheet.png", "metrics.csv", "README.md", "config.json", "model.safetensors")
    made = Result(kind=recipe.kind, folder=workspace.folder, files=files, texts={"model": "clothes"}, scores=scores)
    workspace.save_text("result.json", made.to_json())
    return made


def compare(recipe: Any, workspace: Workspace) -> Result:
    """The cells of a comparison, one after the other, as its journal has them."""
    from easel.jobs.compare.cells import key_of
    from easel.jobs.journal import NAME, Journal
    from easel.recipes.read import to_yaml

    workspace.save_text("recipe.yaml", to_yaml(recipe))
    book, names = Journal(workspace.path(NAME)), []
    cells = [(one, seed) for one in recipe.candidates() for seed in recipe.each_seed]
    for number, (one, seed) in enumerate(cells):
        workspace.step("comparing", number, len(cells))
        names.append(f"cells/{number}.png")
        workspace.save_picture(names[-1], painted(number))
        values = [["CLIP-T", "clip:pocket", 0.2 + 0.1 * int(one.values["steps"]) + seed / 1000]]
        row = {"key": key_of(one.label, "", seed), "candidate": one.label, "photo": "", "seed": seed, "seconds": 0.1}
        book.append([row | {"pictures": [names[-1]], "values": values, "notes": []}])
        time.sleep(0.3)
    workspace.step("comparing", len(cells), len(cells))
    made = Result(kind=recipe.kind, folder=workspace.folder, pictures=tuple(names), texts={"verdict": "see"})
    workspace.save_text("result.json", made.to_json())
    return made


def paint() -> None:
    """Every kind but the two of this file paints a picture of its seed, without a model."""
    from easel import jobs
    from tests.conftest import fake_run

    whole = jobs.run

    own: dict[str, Any] = {"train": learn, "compare": compare}

    def run_quickly(recipe: Recipe, workspace: Workspace) -> Result:
        if recipe.kind in {"nap", "siege"}:
            return whole(recipe, workspace)
        return own.get(recipe.kind, fake_run)(recipe, workspace)

    jobs.run = run_quickly


if __name__ == "__main__":
    main(sys.argv[1:])
