"""A studio for tests: Django is set up once in a process, each test finds the tables empty."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from easel.kinds import KINDS
from tests import web_toy

FOLDER: list[Path] = []
JSON = "application/json"


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The studio's folder, which is where one stands; its tables are empty, and the toy kinds are known."""
    from easel.web.studio import FOLDERS, enter

    monkeypatch.setattr("easel.runners.machine.resolve", lambda device="auto", dtype="auto": ("cpu", "float32"))
    before = Path.cwd()
    kinds = dict(KINDS)
    if not FOLDER:
        os.environ["EASEL_OPEN"] = "1"
        os.environ["EASEL_HOSTS"] = "localhost,testserver"
        os.environ["DATABASE_URL"] = os.environ.get("EASEL_TEST_DATABASE", "")  # '' is SQLite in the folder
        FOLDER.append(Path(tempfile.mkdtemp(prefix="easel-studio-")))
    for name in FOLDERS:  # numbers begin anew with the tables, and folders of jobs are named by them
        shutil.rmtree(FOLDER[0] / name, ignore_errors=True)
    enter(FOLDER[0])
    web_toy.add_kinds()
    from django.conf import settings
    from django.core.cache import cache
    from django.core.management import call_command
    from django.db import connection

    monkeypatch.setattr(settings, "PASSWORD_HASHERS", ["django.contrib.auth.hashers.MD5PasswordHasher"])
    call_command("flush", verbosity=0, interactive=False)
    cache.clear()
    yield FOLDER[0]
    connection.close()
    KINDS.clear()
    KINDS.update(kinds)
    os.chdir(before)


@pytest.fixture
def owner(studio: Path) -> Any:
    """The studio's owner, without a password."""
    from easel.web.safety import first_owner

    return first_owner()


@pytest.fixture
def client(studio: Path) -> Any:
    """A browser on this machine."""
    from django.test import Client

    return Client(headers={"host": "localhost"})


def drawn() -> Image.Image:
    """A small picture."""
    return Image.effect_noise((96, 64), 40).convert("RGB")


def png(**info: Any) -> bytes:
    """A small PNG."""
    stream = io.BytesIO()
    drawn().save(stream, "PNG", **info)
    return stream.getvalue()


def put_in(person: Any, name: str = "photo.png", content: bytes | None = None) -> Any:
    """Put a file in."""
    from django.core.files.uploadedfile import SimpleUploadedFile

    from easel.web import uploads

    return uploads.take_file(person, SimpleUploadedFile(name, png() if content is None else content))


def a_result(person: Any) -> tuple[Any, Any]:
    """A job of this person's that is done, and its one picture."""
    from easel.result import Result, Score
    from easel.web import index, queue

    job = queue.enqueue(person, web_toy.Nap(seed=5), priority=99)
    claimed = queue.claim("w", "here", heavy=False)
    assert claimed is not None
    claimed.folder.mkdir(parents=True, exist_ok=True)
    drawn().save(claimed.folder / "01.png")
    score = Score(name="style", value=0.75, low=0.5, high=0.9, n=9, judge="pocket", of="01.png")
    made = Result(
        kind="nap", folder=claimed.folder, pictures=("01.png",), scores=(score,), texts={"caption": "a wheat spot"}
    )
    (claimed.folder / "result.json").write_text(made.to_json())
    assert index.write_index(claimed, "w", made)
    return job, job.pictures.get()


def a_training(person: Any, network: str = "cgan") -> Any:
    """A job of this person's that is done and left a trained model, without a step of training."""
    from easel.recipes import recipe_from
    from easel.web import index, queue
    from easel.workspace import Workspace

    recipe = recipe_from({"kind": "train", "network": network, "data": "uploads/x/clothes", "kimg": 4.0, "seed": 1})
    job = queue.enqueue(person, recipe)
    claimed = queue.claim("w", "here", heavy=True)
    assert claimed is not None
    shutil.rmtree(claimed.folder, ignore_errors=True)  # of another test
    workspace = Workspace(claimed.folder, "cpu", "float32")
    rows = ["step,kimg,critic,generator,kernel distance,low,high", "0,0,1,2,10,8,12", "9,4,3,1,0.1,0.05,0.2"]
    workspace.save_text("metrics.csv", "\n".join(rows) + "\n")
    for name in ("00000.000-kimg", "00004.000-kimg"):
        workspace.save_picture(f"samples/{name}.png", drawn())
    assert index.write_index(claimed, "w", web_toy.trained(recipe, workspace))
    return job
