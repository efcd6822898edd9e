"""A worker of a shared run: does part after part, or chunk after chunk of a job's own work, with models kept loaded.

Knows nothing of the engine that carries parts about.
"""

from __future__ import annotations

import contextlib
import contextvars
import io
import os
import platform
import shutil
import socket
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from PIL import Image

from easel.errors import EaselError, printable
from easel.images import SUFFIXES
from easel.kinds import KINDS
from easel.runners import machine
from easel.runners.cluster import afar, sources
from easel.runners.cluster.part import THUMBNAIL, PartRun, is_memory
from easel.runners.cluster.task import Chunk, Outcome, Task
from easel.version import __version__
from easel.workspace import Work, Workspace

FOLDER = "easel-part-"
"""How the folders begin in which workers work."""


class Worker:
    """Does part after part, with models kept loaded from one to the next."""

    def __init__(self) -> None:
        self._context = contextvars.copy_context()
        self._folder = contextlib.ExitStack()
        self._kept: tuple[Any, Work[Any]] | None = None
        _sweep()

    def hello(self) -> dict[str, str]:
        """Who this is: versions, which must be those of the driver, machine and process."""
        return {
            "easel": __version__,
            "python": platform.python_version(),
            "machine": socket.gethostname(),
            "process": str(os.getpid()),
        }

    def do(self, task: Task) -> Outcome:
        """Do a part. What goes wrong is in the outcome: nothing is raised."""
        return self._context.run(self._do, task)

    def index(self, shard: str, root: str) -> tuple[list[Any], str]:
        """The photos in a shard, and a note where something is wrong with it."""
        return sources.read_heads(shard, root)

    def _do(self, task: Task) -> Outcome:
        begun, outcome = time.perf_counter(), Outcome()
        try:
            self._go_to(task)
            with tempfile.TemporaryDirectory(prefix=f"{FOLDER}{os.getpid()}-", ignore_cleanup_errors=True) as top:
                PartRun(task, Path(top), outcome).run()
        except EaselError as problem:  # of all of it: a bucket that cannot be written
            outcome.failed |= {item.number: printable(problem) for item in task.items}
        except Exception as problem:  # noqa: BLE001 - a worker outlives whatever a part does
            outcome.lacked_memory = is_memory(problem)
            outcome.fault = "" if outcome.lacked_memory else traceback.format_exc()
        outcome.spent = time.perf_counter() - begun
        return outcome

    def _go_to(self, task: Task | Chunk) -> None:
        """Stand where the driver does, know its kind, and keep models."""
        from easel.models import shelf

        shelf.keep()
        KINDS.setdefault(str(task.recipe["kind"]), task.kind)
        if task.cwd and Path.cwd() != Path(task.cwd) and Path(task.cwd).is_dir():
            os.chdir(task.cwd)

    def work(self, chunk: Chunk) -> Outcome:
        """Do a job's own work to a few items. What goes wrong is in the outcome: nothing is raised."""
        return self._context.run(self._work, chunk)

    def _work(self, chunk: Chunk) -> Outcome:
        begun, outcome = time.perf_counter(), Outcome()
        try:
            self._go_to(chunk)
            work = self._work_of(chunk)
            with afar.near(chunk.items, FOLDER) as (items, real):
                outcome.made = afar.named(work(items), real)
            _take_written(work.workspace, outcome)
            outcome.versions = work.workspace.versions
        except EaselError as problem:
            outcome.lacked_memory = is_memory(problem)
            outcome.refused = "" if outcome.lacked_memory else printable(problem)
        except Exception as problem:  # noqa: BLE001 - a worker outlives whatever a chunk does
            outcome.lacked_memory = is_memory(problem)
            outcome.fault = "" if outcome.lacked_memory else traceback.format_exc()
        outcome.spent = time.perf_counter() - begun
        return outcome

    def _work_of(self, chunk: Chunk) -> Work[Any]:
        """The work of the run, made once, in a folder of its own. Raises EaselError where its files are not here."""
        if self._kept is not None and self._kept[0] == (chunk.key, chunk.work):
            return self._kept[1]
        self._kept = None
        self._folder.close()
        for name in chunk.named:
            if not Path(name).exists():
                raise EaselError(
                    f"{socket.gethostname()} does not see {name}: name one on a disk that all machines of the cluster "
                    "have at the same place"
                )
        top = tempfile.TemporaryDirectory(prefix=f"{FOLDER}{os.getpid()}-", ignore_cleanup_errors=True)
        folder = Path(self._folder.enter_context(top))
        device, computed_in = machine.resolve(chunk.device, chunk.dtype)
        workspace = Workspace(folder / "run", device, chunk.dtype, None, computed_in)
        work = chunk.work(chunk.kind.recipe.model_validate(dict(chunk.recipe)), workspace)
        self._kept = (chunk.key, chunk.work), work
        return work


def _sweep() -> None:
    """Take away what killed workers of this machine left."""
    for path in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        number = path.name.removeprefix(FOLDER).partition("-")[0]
        if number.isdigit() and not Path(f"/proc/{number}").exists() and Path("/proc/self").exists():
            shutil.rmtree(path, ignore_errors=True)


def _take_written(workspace: Workspace, outcome: Outcome) -> None:
    """What a work has written belongs to the run: handed back, and gone from here."""
    for name in sorted(workspace.written):
        path = workspace.path(name)
        if path.is_file():
            outcome.files[name] = path.read_bytes()
            path.unlink()
            outcome.preview = small(path, outcome.files[name]) or outcome.preview
    workspace.written.clear()


def small(path: Path, content: bytes) -> bytes:
    """A small copy of a picture as a preview; nothing of another file."""
    if path.suffix.lower() not in SUFFIXES:
        return b""
    with Image.open(io.BytesIO(content)) as picture:
        copy = picture.convert("RGB")
    copy.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    copy.save(stream, "JPEG", quality=85)
    return stream.getvalue()
