"""Where a job works: a folder, a device, and `step`, which reports and may cancel in the same call."""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import platform
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from PIL import Image

from easel.errors import Cancelled, EaselError
from easel.files import check_folder, write_atomic
from easel.images import save_png
from easel.provenance import Done, record
from easel.recipes.base import Recipe
from easel.version import __version__

__all__ = ["Blob", "Blobs", "Cancelled", "Crowd", "Made", "Report", "Step", "Work", "Workspace", "versions"]

LIBRARIES = ("torch", "diffusers", "transformers", "pillow")


@dataclass(frozen=True)
class Step:
    """How far a phase is: `done` of `total`, at `rate` a second, `eta` seconds left (None until it can be told)."""

    phase: str
    done: int
    total: int
    rate: float | None
    eta: float | None
    preview: Image.Image | None = None


Report = Callable[[Step], None]
Made = dict[str, Any]
"""What was made of a few items: plain values, as JSON has them, and arrays."""
Asked = TypeVar("Asked", bound=Recipe)


class Work(ABC, Generic[Asked]):
    """What a job does to each of its items, a few at a time; what it writes into its workspace belongs to the run.

    It stands at the top of its module, and loads what it needs when it is first called: where a run is shared out, each
    worker makes its own of the recipe alone.
    """

    reports = False
    """Whether it says itself, in one process, how far it is."""

    def __init__(self, recipe: Asked, workspace: Workspace) -> None:
        self.recipe, self.workspace = recipe, workspace

    @abstractmethod
    def __call__(self, items: Sequence[Any]) -> Made:
        """Do a few items. Raises EaselError where the run cannot go on."""


class Blob(NamedTuple):
    """A picture in a bucket or a shard: its name, its place, and where its bytes begin in a shard and how many."""

    name: str
    path: str
    offset: int | None = None
    length: int | None = None


class Blobs(NamedTuple):
    """A folder of pictures that is a bucket's, or that has them in shards."""

    pictures: Sequence[Blob]
    notes: Sequence[str]
    """What is wrong with shards."""
    table: Path | None
    """A copy of its metadata.jsonl, where it has one."""


class Crowd(Protocol):
    """Workers elsewhere that do a job's work."""

    def afar(self, folder: str) -> Blobs | None:
        """What lies in a bucket or in shards; None of a plain folder. Raises EaselError."""

    def near(self, items: Sequence[Any]) -> AbstractContextManager[Sequence[Any]]:
        """As `Workspace.near`."""

    def each(
        self, phase: str, work: Work[Any], items: Sequence[Any], size: int, lost: dict[Any, str]
    ) -> Iterator[tuple[Sequence[Any], Made]]:
        """As `Workspace.each`."""


class Workspace:
    """A run's own folder and clock. Made once by a runner, handed to the job; makes no choice itself."""

    def __init__(
        self,
        folder: str | Path,
        device: str = "auto",
        dtype: str = "auto",
        report: Report | None = None,
        computed_in: str | None = None,
    ) -> None:
        """Make `folder` and prove that it can be written. Raises EaselError when it cannot, or the disk is full.

        `dtype` is the word that models are loaded with, "auto" leaving judges in float32; `computed_in` is the number
        format that pictures are then made in, for their provenance.
        """
        self.folder = Path(folder)
        self.device = device
        self.dtype = dtype
        self.computed_in = computed_in or dtype
        self.written: set[str] = set()
        """Names of what this run has written."""
        self._report = report
        self.shows_previews = bool(getattr(report, "shows_previews", False))
        """Whether who is reported to shows pictures under way, which take a little time to make."""
        self._clock = _Clock()
        check_folder(self.folder)
        self.crowd: Crowd | None = None
        """Who does the run's work, where that is shared out among machines."""
        self.had_recipe = (self.folder / "recipe.yaml").exists()
        """Whether an earlier run has been here."""
        self._foreign = frozenset() if self.had_recipe else _names_in(self.folder)

    def step(self, phase: str, done: int, total: int, preview: Image.Image | None = None) -> None:
        """Report that `done` of `total` in `phase` are finished. Raises Cancelled when the run is to stop here."""
        rate = self._clock.tick(phase, done, total)
        eta = (total - done) / rate if rate else None
        if self._report is not None:
            self._report(Step(phase, done, total, rate, eta, preview))

    @contextlib.contextmanager
    def phase(self, name: str, total: int = 1) -> Iterator[Callable[[int], None]]:
        """A phase of `total` parts: nothing of it is done at its start, all at its end; between them call what this
        gives with the number done. Raises Cancelled as `step` does.

        >>> with workspace.phase("judging", len(pictures)) as done:  # doctest: +SKIP
        ...     done(3)
        """
        self.step(name, 0, total)
        yield lambda done: self.step(name, done, total)
        self.step(name, total, total)

    def each(
        self, phase: str, work: Work[Any], items: Sequence[Any], size: int, lost: dict[Any, str]
    ) -> Iterator[tuple[Sequence[Any], Made]]:
        """Do a job's `work` to its items, `size` at a time, here or by the crowd: the items and what was made of them,
        in order. What no worker outlives is put into `lost`, with the reason. Raises EaselError and Cancelled.

        What is made of a few items must depend on these alone, so that it is the same whoever does it.
        """
        if self.crowd is not None:
            yield from self.crowd.each(phase, work, items, size, lost)
            return
        for start in range(0, len(items), size):
            some = items[start : start + size]
            if start == 0 and not work.reports:
                self.step(phase, 0, len(items))
            yield some, work(some)
            if not work.reports:
                self.step(phase, start + len(some), len(items))

    def near(self, items: Sequence[Any]) -> AbstractContextManager[Sequence[Any]]:
        """The items, each with a `path` that can be opened here until the block ends, wherever it lies."""
        return contextlib.nullcontext(items) if self.crowd is None else self.crowd.near(items)

    def child(self, name: str, report: Report | None = None) -> Workspace:
        """A workspace in the folder `name` inside this one, of the same device, that reports to the same place, or to
        `report`.
        """
        return Workspace(self.path(name), self.device, self.dtype, report or self._report, self.computed_in)

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds spent by phase, in the order the phases came; one still open counts up to now."""
        return self._clock.seconds()

    @property
    def versions(self) -> dict[str, str]:
        """What made the pictures: versions of easel, python and the libraries, and the device and dtype."""
        return versions() | {"device": self.device, "dtype": self.computed_in}

    def path(self, name: str) -> Path:
        """Where the file called `name` lies or will lie. Raises EaselError on a name that leaves the folder."""
        if not name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise EaselError(f"'{name}' is not a file name inside {self.folder}")
        return self.folder / name

    def save_bytes(self, name: str, content: bytes) -> Path:
        """Write a file, whole or not at all. Raises EaselError where somebody else's file has that name."""
        place = self.place_for(name)
        write_atomic(place, content)
        return place

    def place_for(self, name: str) -> Path:
        """The path of a file about to be written. Raises EaselError where somebody else's file has that name."""
        place = self.path(name)
        if name in self._foreign:
            raise EaselError(
                f"{place} was there before and is of no run of easel: choose another --out, or move it away"
            )
        self.written.add(name)
        return place

    def save_text(self, name: str, text: str) -> Path:
        """Write a UTF-8 text file, whole or not at all."""
        return self.save_bytes(name, text.encode("utf-8"))

    def save_csv(self, name: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
        """Write a table as UTF-8 CSV with a line of heads, whole or not at all."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows(rows)
        return self.save_text(name, stream.getvalue())

    def save_picture(
        self,
        name: str,
        image: Image.Image,
        recipe: Recipe | dict[str, Any] | None = None,
        parameters: str | None = None,
        done: Done | None = None,
    ) -> Path:
        """Write a PNG with its provenance: `recipe` of this one picture, A1111's `parameters` text, and what was done.

        Without `done` the workspace's own device and dtype are written.
        """
        texts = {}
        if recipe is not None:
            texts["easel"] = self.provenance(recipe, done)
        if parameters is not None:
            texts["parameters"] = parameters
        place = self.place_for(name)
        save_png(place, image, texts)
        return place

    def provenance(self, recipe: Recipe | dict[str, Any], done: Done | None = None) -> str:
        """The JSON of a picture's "easel" chunk: its recipe, and what it was made with."""
        plain = recipe.plain() if isinstance(recipe, Recipe) else recipe
        facts = (done or Done(self.device, self.computed_in)).facts()
        return record(plain, versions=versions(), **facts)


def _names_in(folder: Path) -> frozenset[str]:
    """Names of what lies directly in a folder, if there is one."""
    try:
        return frozenset(path.name for path in folder.iterdir())
    except OSError:
        return frozenset()


class _Clock:
    """Books time by phase, whether a job reports before its items (0 of n), after them (1 of n), or both."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._open: str | None = None
        self._seconds: dict[str, float] = {}
        self._phase: str | None = None
        self._began = (0.0, 0)

    def tick(self, phase: str, done: int, total: int) -> float | None:
        """Book the time since the last tick, and tell the phase's rate in items a second once it is known."""
        now = time.perf_counter()
        if phase != self._phase:
            # The first report of a batch job may say 8 of 40: what came before it cannot be timed.
            self._began = (self._last if done == 1 else now, 0 if done == 1 else done)
            self._phase = phase
        owner = self._open or phase
        self._seconds[owner] = self._seconds.get(owner, 0.0) + now - self._last
        self._seconds.setdefault(phase, 0.0)
        self._last, self._open = now, phase if done < total else None
        start, first = self._began
        return (done - first) / (now - start) if done > first and now > start else None

    def seconds(self) -> dict[str, float]:
        """Seconds by phase, rounded to milliseconds."""
        running = {self._open: time.perf_counter() - self._last} if self._open else {}
        return {name: round(spent + running.get(name, 0.0), 3) for name, spent in self._seconds.items()}


def clock(seconds: float) -> str:
    """75 as '1:15', 3675 as '1:01:15'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def versions() -> dict[str, str]:
    """Versions of easel, python and the libraries that decide what a picture looks like; none is imported for it."""
    return {"easel": __version__, "python": platform.python_version()} | {name: _version(name) for name in LIBRARIES}


@functools.cache
def _version(name: str) -> str:
    """A library's version, looked up once: it is asked for each picture that is saved."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
