"""A part of a shared run, as a worker does it: photos fetched, the ordinary job run, and what it made brought together.

Knows nothing of the engine that carries parts about. What is made is named as one process would name it, whatever the
part: by the photo's or picture's place among all.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from PIL import Image

from easel.errors import EaselError, UnexpectedError, printable
from easel.images import OUR_OWN, open_picture
from easel.recipes.base import Recipe
from easel.result import Result
from easel.runners.cluster import places
from easel.runners.cluster.manifest import Item
from easel.runners.cluster.naming import packed, renamed, renumbered, swapped
from easel.runners.cluster.task import Outcome, Task
from easel.sheet import MOST_CELLS
from easel.workspace import Workspace

TABLES = (".jsonl", ".csv")
"""Endings of files that are glued line by line."""
THUMBNAIL = 360


def is_memory(problem: BaseException | None) -> bool:
    """Whether a fault is one of too little memory, of this machine or of its GPU."""
    if problem is None or isinstance(problem, MemoryError):
        return problem is not None
    torch = sys.modules.get("torch")  # it raises its own, where it is there at all
    if torch is not None:
        from easel.models import devices

        if devices.out_of_memory(problem):
            return True
    return is_memory(problem.__cause__)


class _Bare(Workspace):
    """A part's workspace: no sheet is written, and pictures name the photo as it was named, not where it lay here."""

    real: Mapping[str, str] = MappingProxyType({})
    is_whole = False
    """Whether the part is all of the run."""

    def save_picture(self, name: str, image: Image.Image, *rest: Any, **more: Any) -> Path:
        """Write a picture that the run makes; its sheet is laid out later, of all parts."""
        if name in OUR_OWN and not self.is_whole:
            return self.place_for(name)
        return super().save_picture(name, image, *rest, **more)

    def provenance(self, recipe: Recipe | dict[str, Any], done: Any = None) -> str:
        """As one process would write it."""
        plain = recipe.plain() if isinstance(recipe, Recipe) else recipe
        return super().provenance({key: self._named(value) for key, value in plain.items()}, done)

    def _named(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._named(one) for one in value]
        return self.real.get(value, value) if isinstance(value, str) else value


class PartRun:
    """One part at work."""

    def __init__(self, task: Task, top: Path, outcome: Outcome) -> None:
        from easel.runners import machine

        self.task, self.top, self.outcome = task, top, outcome
        self.kind: type[Recipe] = task.kind.recipe
        self.recipe = self.kind.model_validate(dict(task.recipe))
        self.device, self.computed_in = machine.resolve(task.device, task.dtype)
        self.real: dict[str, str] = {}

    def run(self) -> None:
        """Run the job over the items, together or one by one, and pack what it made."""
        items = self.task.items
        if self.kind.shared_by == "count":
            recipe = self.recipe.part(items[0].number, len(items))
            with self._failing(items):
                self._take_pictures(items, self._result(recipe, 0))
        elif self.kind.together:
            laid = self._laid(items)
            if laid:
                with self._failing([item for item, _ in laid]):
                    recipe = self.recipe.part(0, 0, [path for _, path in laid])
                    self._take_photos(laid, self._result(recipe, 0))
                for item, path in laid:  # of photos that do not open each has its own reason
                    if item.number in self.outcome.failed:
                        with self._failing([item]):
                            open_picture(path, THUMBNAIL)
        else:
            for turn, item in enumerate(items):
                for _, path in self._laid([item]):
                    with self._failing([item]):
                        self._take_one(item, path, self._result(self.recipe.part(0, 0, [path]), turn))
        self._pack()

    @contextlib.contextmanager
    def _failing(self, items: Sequence[Item]) -> Iterator[None]:
        """What goes wrong is the items' own failure; a photo that does not open is told by its own reason."""
        try:
            yield
        except Exception as problem:
            if is_memory(problem):
                raise MemoryError from problem
            expected = isinstance(problem, EaselError) and not isinstance(problem, UnexpectedError)
            if not expected:
                if len(items) > 1:
                    raise  # smaller parts will tell which photo it is
                self.outcome.fault = traceback.format_exc()
                problem = unexpected_of(problem)
            for item in items:
                self.outcome.failed[item.number] = self._said(problem)

    def _said(self, problem: Exception) -> str:
        text = str(problem)
        for path, name in self.real.items():
            text = text.replace(path, name)
            if self.task.total > 1:
                text = text.replace(Path(path).name, Path(name).name)
        return printable(text, 500)

    def _laid(self, items: Sequence[Item]) -> list[tuple[Item, str]]:
        """Where each photo can be opened: where it lies, or in this part's folder where it comes from elsewhere."""
        laid = []
        for item in items:
            if item.at is None and not places.is_remote(item.place):
                laid.append((item, str(places.local(item.place))))
                continue
            try:
                content = places.read(item.place, item.at or 0, item.size)
                if item.size is not None and len(content) < item.size:
                    raise EaselError(f"{item.name} is cut short, with its shard")
            except EaselError as problem:
                self.outcome.failed[item.number] = printable(problem, 500)
                continue
            path = self._place_of(item)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            self.real[str(path)] = item.name if item.at is not None else item.place
            laid.append((item, str(path)))
        return laid

    def _result(self, recipe: Recipe, turn: int) -> Result:
        """The job's own result, in a folder of its own."""
        job: Any = importlib.import_module(self.task.kind.job)
        known = job.facts_of(recipe) if hasattr(job, "facts_of") else {}
        workspace = _Bare(self.top / f"run-{turn}", self.device, self.task.dtype, None, self.computed_in)
        workspace.real, workspace.is_whole = self.real, self.task.total == 1
        result: Result = job.run(recipe.bound(**known) if known else recipe, workspace)
        for name, value in workspace.seconds.items():
            self.outcome.seconds[name] = self.outcome.seconds.get(name, 0.0) + value
        self.outcome.versions |= workspace.versions
        self.outcome.notes += [self._said(EaselError(note)) for note in result.notes]
        return result.model_copy(update={"folder": workspace.folder})

    def _take_pictures(self, items: Sequence[Item], result: Result) -> None:
        """Pictures that no photo is needed for: the job made one for each item, in order."""
        names = {}
        for item, old in zip(items, result.pictures, strict=True):
            names[old] = renumbered(old, item.number, self.task.total)
        for item, old in zip(items, result.pictures, strict=True):
            self._keep_one(item, result, names, [old], {})
        self._keep_tables(result, names)

    def _take_one(self, item: Item, path: str, result: Result) -> None:
        """All that was made of one photo."""
        each, stem = len(result.pictures), Path(item.name).stem
        names = {Path(path).name: item.name, path: self.real.get(path, path)}
        for turn, old in enumerate(result.pictures):
            if self.task.total > 1:
                names[old] = renumbered(old, item.number * each + turn, self.task.total * each, stem)
            else:
                names[old] = old
        stems = {Path(old).stem: Path(names[old]).stem for old in result.pictures}
        for old in result.files:
            if "/" in old:
                own = next((one for one in stems if Path(old).name.startswith(one)), None)
                base = Path(old).name if own is None else stems[own] + Path(old).name[len(own) :]
                names[old] = f"{Path(old).parent.as_posix()}/{base}"
        if self.task.total == 1:
            self._take_whole(result, names)
            return
        self._keep_one(item, result, names, result.pictures, result.texts, [old for old in result.files if "/" in old])
        self._keep_tables(result, names)

    def _take_whole(self, result: Result, names: Mapping[str, str]) -> None:
        """Everything as the job made it, where the photo is the only one."""
        folder = result.folder or self.top
        self.outcome.files = {name: (folder / name).read_bytes() for name in (*result.pictures, *result.files)}
        texts = {key: self._said(EaselError(text)) for key, text in result.texts.items()}
        scores = [score.model_copy(update={"of": names.get(score.of, score.of)}) for score in result.scores]
        whole = result.model_copy(update={"texts": texts, "scores": tuple(scores), "notes": tuple(self.outcome.notes)})
        self.outcome.whole = whole.to_json()

    def _take_photos(self, laid: Sequence[tuple[Item, str]], result: Result) -> None:
        """What was said about photos that went through the job together; those it left out did not open."""
        from easel.jobs.inputs import gather

        folder = result.folder or self.top
        found = gather([path for _, path in laid], folder, folder)
        names = {key: item.name for (item, path), key in zip(laid, found, strict=True)}
        for (item, path), key in zip(laid, found, strict=True):
            if key in result.texts:
                mine = {name: text for name, text in result.texts.items() if name == key or name.startswith(f"{key}, ")}
                self._keep_one(item, result, names, [], mine)
                continue
            try:
                open_picture(path)
                raise EaselError("the job said nothing about it")
            except EaselError as problem:
                self.outcome.failed[item.number] = self._said(problem)
        self.outcome.notes = [note for note in self.outcome.notes if "pictures were skipped" not in note]
        self._keep_tables(result, names)

    def _keep_one(  # what belongs to one photo
        self,
        item: Item,
        result: Result,
        names: Mapping[str, str],
        pictures: Sequence[str],
        texts: Mapping[str, str],
        others: Sequence[str] = (),
    ) -> None:
        folder = result.folder or self.top
        for old in (*pictures, *others):
            self.outcome.files[names[old]] = (folder / old).read_bytes()
        own = {*pictures, *([] if pictures else [name for name in names if names[name] == item.name])}
        said = dict(texts) or {old: result.texts[old] for old in pictures if old in result.texts}
        row = {
            "number": item.number,
            "photo": item.name,
            "pictures": [names[old] for old in pictures],
            "files": [names[old] for old in others],
            "texts": {swapped(key, names): self._said(EaselError(text)) for key, text in said.items()},
            "scores": [
                score.model_dump() | {"of": names.get(score.of, score.of)} for score in result.scores if score.of in own
            ],
        }
        self.outcome.done.append(row)
        if item.number < MOST_CELLS or not self.outcome.preview:
            self._show(item, [folder / old for old in pictures], row)

    def _show(self, item: Item, pictures: Sequence[Path], row: Mapping[str, Any]) -> None:
        """A small copy of what was made of a photo, or of the photo itself: for the sheet, and as a preview."""
        path = pictures[0] if pictures else self._path_of(item)
        if path is None:
            return
        with contextlib.suppress(EaselError):
            picture = open_picture(path, 2 * THUMBNAIL)
            picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
            stream = io.BytesIO()
            picture.save(stream, "JPEG", quality=85)
            self.outcome.preview = stream.getvalue()
            if item.number < MOST_CELLS:
                scores = [f"{score['name']} {score['value']:.2f}" for score in row["scores"]]
                title = row["pictures"][0].removesuffix(".png") if row["pictures"] else item.name
                lines = [*[str(text) for text in row["texts"].values()][:2], *scores[:3]]
                self.outcome.cells.append((item.number, stream.getvalue(), title, lines))

    def _place_of(self, item: Item) -> Path:
        """Where a photo that was fetched lies."""
        name = Path(item.name).name or "photo"
        return self.top / "photos" / (name if self.task.total == 1 else f"{item.number}-{name}")

    def _path_of(self, item: Item) -> Path | None:
        path = (
            places.local(item.place) if item.at is None and not places.is_remote(item.place) else self._place_of(item)
        )
        return path if item.place and path.is_file() else None

    def _keep_tables(self, result: Result, names: Mapping[str, str]) -> None:
        """The job's tables, with names as they are in the whole run."""
        for name in result.files:
            if name.endswith(TABLES) and "/" not in name and result.folder is not None:
                text = (result.folder / name).read_text(encoding="utf-8")
                before = self.outcome.tables.get(name, "")
                self.outcome.tables[name] = before + renamed(text, name, names, with_head=not before)

    def _pack(self) -> None:
        """Pictures into a shard where one is asked for, and into the bucket where there is one."""
        outcome, task = self.outcome, self.task
        if task.shard and outcome.files:
            outcome.files = {task.shard: packed(outcome)}
        outcome.names = list(outcome.files)
        if task.to:
            for name, content in outcome.files.items():
                places.write(places.below(task.to, name), content)
            outcome.files = {}


def unexpected_of(problem: Exception) -> EaselError:
    """A fault of easel's own over one photo, in a line; its traceback is in the run's folder."""
    return EaselError(f"easel met something it did not expect: {type(problem).__name__}: {problem}")
