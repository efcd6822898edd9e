"""Jobs that measure, shared out: the job itself runs here, and what it does to each of its items is done by workers.

What they made is kept in manifests in the run's folder, so that the same command goes on after a kill. Then the job
puts it together, in order, by the same lines as in one process.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from easel.errors import EaselError, printable
from easel.kinds import KINDS
from easel.recipes.base import Recipe
from easel.result import Result
from easel.runners import joining, machine
from easel.runners.cluster import afar, places, pools
from easel.runners.cluster.handing import Handing
from easel.runners.cluster.manifest import NAME, Manifest, Part
from easel.runners.cluster.pools import Cluster
from easel.runners.cluster.task import Chunk, Outcome
from easel.runners.cluster.worker import FOLDER
from easel.runners.ray import Pool
from easel.workspace import Blobs, Made, Work, Workspace

ARRAY = "an array"
"""Key of an array among plain values."""


def run(recipe: Recipe, workspace: Workspace, cluster: Cluster) -> Result:
    """Run a recipe whose job hands out its own work. Raises EaselError, before the cluster is joined where what was
    asked is wrong, and Cancelled.
    """
    from easel import jobs

    may = {name for setting in recipe.afar for name in named(recipe, setting)}
    for name in named(recipe):
        if places.is_remote(name) and name not in may:
            raise EaselError(
                f"{recipe.kind} reads folders with their tables on a disk that all machines of the cluster share, and "
                f"not {name}: mount the bucket there, or copy it"
            )
    joining.check(cluster.on)
    asked = workspace.device
    try:
        workspace.device, workspace.computed_in = machine.resolve(asked, workspace.dtype)
    except EaselError:  # this machine only puts together, whatever the workers need
        workspace.device, workspace.computed_in = machine.resolve("cpu", workspace.dtype)
    with contextlib.ExitStack() as stack:
        workspace.crowd = crowd = Crowd(recipe, workspace, cluster, asked, stack)
        result = jobs.run(recipe, workspace)
    whole = result.model_copy(
        update={"notes": (*result.notes, *crowd.notes), "versions": result.versions | crowd.versions}
    )
    workspace.save_text("result.json", whole.to_json())
    return whole


def named(recipe: Recipe, *settings: str) -> list[str]:
    """The files and folders that a recipe names, in all settings or in these."""
    found = [getattr(recipe, name) for name in settings or sorted(recipe.path_settings())]
    flat = [one for value in found for one in (value if isinstance(value, tuple) else (value,))]
    return [str(one) for one in flat if one is not None]


class Crowd:
    """Workers on a cluster that is joined when the first work is handed out."""

    def __init__(
        self, recipe: Recipe, workspace: Workspace, cluster: Cluster, device: str, stack: contextlib.ExitStack
    ) -> None:
        self._recipe, self.workspace = recipe, workspace
        self._cluster, self._device, self._stack = cluster, device, stack
        self._pool: Pool | None = None
        self._turns, self._key = 0, f"{workspace.folder.absolute()} {time.time_ns()}"
        self.notes: list[str] = []
        self.versions: dict[str, str] = {}

    def afar(self, folder: str) -> Blobs | None:
        """As `afar.listed` finds it."""
        keep = tempfile.TemporaryDirectory(prefix="easel-table-")
        return afar.listed(folder, self._recipe, self, Path(self._stack.enter_context(keep)))

    @contextlib.contextmanager
    def near(self, items: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """As `Workspace.near`."""
        with afar.near(items, FOLDER) as (here, _):
            yield here

    def each(
        self, phase: str, work: Work[Any], items: Sequence[Any], size: int, lost: dict[Any, str]
    ) -> Iterator[tuple[Sequence[Any], Made]]:
        """As `Workspace.each`. A manifest for each call, in the order of the calls. Raises EaselError and Cancelled."""
        began, self._turns = time.monotonic(), self._turns + 1
        name = NAME if self._turns == 1 else NAME.replace(".", f"-{self._turns}.")
        with contextlib.closing(self._manifest(name, items, size)) as manifest:
            if manifest.waiting(0, 1):
                self._do(manifest, phase, work, items, began)
            deaths = int(manifest.fact("deaths") or 0)
            self.notes += [f"{deaths} workers died, and what they had in hand was done again"] if deaths else []
            for part, made in manifest.made():
                some = items[part.first : part.first + part.size]
                lost |= {items[number]: why for number, why in manifest.failed_in(part).items()}
                if made:
                    self.versions |= made["versions"]
                    yield some, {key: _plain(value) for key, value in made["made"].items()}

    def _manifest(self, name: str, items: Sequence[Any], size: int) -> Manifest:
        """What is done of these items, in an earlier start; of others, or of changed files, it begins anew."""
        path = self.workspace.path(name)
        mark = _mark(items, size)
        if path.exists():
            before = Manifest(path)
            if before.fact("items") == mark:
                self.workspace.place_for(name)
                before.take_back_lost()
                return before
            before.close()
            for ending in ("", "-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
            self.notes.append(f"what there is to do is not what it was at the start before: {name} begins anew")
        self.workspace.place_for(name)
        manifest = Manifest(path)
        manifest.number_named((printable(getattr(item, "name", item)) for item in items), size)
        manifest.keep(items=mark)
        return manifest

    def _do(self, manifest: Manifest, phase: str, work: Work[Any], items: Sequence[Any], began: float) -> None:
        if self._pool is None:
            self._pool = self._stack.enter_context(pools.joined(self._cluster, self.workspace, self._device))
        recipe, workspace = work.recipe, self.workspace
        here = tuple(name for name in named(recipe) if Path(name).exists())
        kind, plain, cwd = KINDS[recipe.kind], recipe.plain(), os.fspath(Path.cwd())

        def task(part: Part) -> Chunk:
            some = tuple(items[part.first : part.first + part.size])
            return Chunk(self._key, type(work), some, kind, plain, self._device, workspace.dtype, cwd, here)

        def keep(part: Part, outcome: Outcome, who: str) -> None:
            for file, content in outcome.files.items():
                workspace.save_bytes(file, content)
            made = {key: _packed(value) for key, value in outcome.made.items()}
            manifest.finish(part, {"made": made, "versions": outcome.versions}, {}, who, outcome.spent)

        handing = Handing(manifest, workspace, self._pool, began)
        handing.run(phase, task, keep, "work")
        handing.keep_clock(now=True)
        self._pool.shrink()


def _mark(items: Sequence[Any], size: int) -> str:
    """A hash of items, and of the size and time of change of files that they name by `path` or `place`."""
    mark = hashlib.sha256(str(size).encode())
    for item in items:
        mark.update(repr(item).encode("utf-8", "surrogateescape"))
        if path := getattr(item, "path", None) or getattr(item, "place", None):
            with contextlib.suppress(OSError):  # whoever opens it says what is wrong
                found = Path(path).stat()
                mark.update(b"%d %d" % (found.st_size, found.st_mtime_ns))
    return mark.hexdigest()


def _packed(value: Any) -> Any:
    """A value as JSON has it: an array by its type, shape and bytes."""
    if not hasattr(value, "dtype"):
        return value
    return {ARRAY: [value.dtype.str, list(value.shape), base64.b85encode(value.tobytes()).decode()]}


def _plain(value: Any) -> Any:
    """What was packed."""
    if not isinstance(value, dict) or list(value) != [ARRAY]:
        return value
    import numpy as np

    kind, shape, text = value[ARRAY]
    return np.frombuffer(base64.b85decode(text), np.dtype(kind)).reshape(shape).copy()
