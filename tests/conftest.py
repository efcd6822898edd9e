"""What all tests share: no network, one thread, small pictures, and a job that needs no model."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from PIL import Image, ImageDraw

from easel.recipes import Recipe, recipe_from
from easel.recipes.compare import TAUGHT
from easel.recipes.read import to_yaml
from easel.result import Result, Score
from easel.workspace import Report, Step, Workspace
from tests.web_browser import browser, page, place
from tests.web_studio import client, owner, studio

__all__ = ["browser", "client", "owner", "page", "place", "studio"]

settings.register_profile("easel", deadline=None, max_examples=30, derandomize=True, database=None)
settings.load_profile("easel")


def drawn(width: int = 96, height: int = 64, colour: str = "teal") -> Image.Image:
    """A small picture with something in it."""
    image = Image.new("RGB", (width, height), "wheat")
    ImageDraw.Draw(image).ellipse((width // 4, height // 4, width // 2, height * 3 // 4), fill=colour)
    return image


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small JPEG."""
    path = tmp_path / "photo.jpg"
    drawn().save(path, quality=95)
    return path


def killed_in_training(at: int, do: Callable[[Report], object]) -> None:
    """Do it in a child process that kills itself, as `kill -9` does, once its training has come to `at`."""
    child = os.fork()
    if child == 0:  # the child never comes back from here

        def report(step: Step) -> None:
            if step.phase == "training" and step.done >= at:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            do(report)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


ONE_STEP = {"steps": 1, "evaluate_every": 1, "batch_size": 1, "sampling_steps": 1, "count": 1, "resolution": 64}


def of_few_cells(recipe: Recipe) -> Recipe:
    """A comparison with the first of its photos and seeds, of a sweep one short training; any other recipe as it is."""
    if not getattr(recipe, "base", None):
        return recipe
    plain = recipe.plain()
    if getattr(recipe, "source", None) == TAUGHT:
        axes = {name: values[:1] for name, values in plain["axes"].items()}
        drawn_by = {name: each[0] if isinstance(each, list) else each for name, each in plain["generate"].items()}
        first = {name: plain[name][:1] for name in ("photos", "subjects", "seeds")}
        return recipe_from(plain | first | {"axes": axes, "generate": drawn_by, "base": plain["base"] | ONE_STEP})
    photos = [path for name in plain["photos"] for path in sorted(map(str, Path(name).glob("*.jpg"))) or [name]]
    return recipe_from(plain | {"photos": photos[:1], "seeds": plain["seeds"][:1]})


def fake_run(recipe: Recipe, workspace: Workspace) -> Result:
    """A job of any kind that paints its seed, so that the frame can be tried without a model."""
    workspace.save_text("recipe.yaml", to_yaml(recipe))
    names = []
    count = getattr(recipe, "count", 1)
    for index in range(min(count, 100)):
        workspace.step("draw", index, count)
        seed = recipe.seed + index
        picture = Image.new("RGB", (64, 48), (seed % 256, seed // 256 % 256, 99))
        names.append(f"{index:03}.png")
        workspace.save_picture(names[-1], picture, recipe.for_picture(index), f"words\nSteps: 20, Seed: {seed}")
    workspace.step("draw", count, count)
    score = Score(name="style", value=0.5, low=0.25, high=0.75, n=count, judge="nobody", of=names[0])
    made = Result(
        kind=recipe.kind, folder=workspace.folder, pictures=tuple(names), texts={"caption": "a spot"}, scores=(score,)
    )
    whole = made.model_copy(update={"seconds": workspace.seconds, "versions": workspace.versions})
    workspace.save_text("result.json", whole.to_json())
    return whole


@pytest.fixture
def fake_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """All kinds run `fake_run` on a machine without torch."""
    monkeypatch.setattr("easel.jobs.run", fake_run)
    monkeypatch.setattr("easel.runners.machine.resolve", lambda device, dtype: ("cpu", "float32"))
