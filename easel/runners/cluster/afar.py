"""What a job measures where it lies in a bucket or in shards: found once, and laid down here while it is looked at."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easel.errors import EaselError
from easel.images import SHARD
from easel.jobs.inputs import holds_shards
from easel.recipes.base import Recipe
from easel.runners.cluster import places, sources
from easel.workspace import Blob, Blobs, Made, Work

if TYPE_CHECKING:
    from easel.runners.cluster.crowd import Crowd

FINDING = "finding pictures"


class Heads(Work[Recipe]):
    """Read the heads of shards."""

    def __call__(self, items: Sequence[sources.Source]) -> Made:
        """The photos in them, by name, place, offset and size, and notes."""
        rows: list[Sequence[Any]] = []
        notes: list[str] = []
        for source in items:
            found, note = sources.read_heads(source.place, source.root)
            rows += [row[1:] for row in found]
            notes += [note] if note else []
        return {"rows": rows, "notes": notes}


def listed(folder: str, recipe: Recipe, crowd: Crowd, keep: Path) -> Blobs | None:
    """What a folder holds that is a bucket's, or that has its pictures in shards; None of a plain one. Workers read the
    heads of shards; a copy of its table is laid into the folder `keep`. Raises EaselError.
    """
    named_so = (places.is_remote(folder) or SHARD in folder.lower()) and not Path(folder).is_dir()
    if not (named_so or holds_shards(folder)):
        return None  # whoever opens it says what is wrong
    found = sources.sources([folder])
    root = sources.common_root(found)
    plain = sorted(row for one in found if one.sort != "shard" for row in sources.listed(one, root))
    pictures = [Blob(name, place, at, size) for _, name, place, at, size in plain]
    shards = [one._replace(root=root) for one in found if one.sort == "shard"]
    notes: list[str] = []
    lost: dict[Any, str] = {}
    if shards:
        for _, made in crowd.each(FINDING, Heads(recipe, crowd.workspace), shards, 1, lost):
            pictures += [Blob(*row) for row in made["rows"]]
            notes += made["notes"]
        notes += [f"{source.place}: {why}" for source, why in lost.items()]
    if not pictures:
        raise EaselError(notes[0]) if notes else sources.nothing_found([folder])
    return Blobs(pictures, notes, _table(root, keep))


def _table(root: str, keep: Path) -> Path | None:
    """The table of a folder, on this disk; None where it has none."""
    from easel.data.metadata import FILES

    place = places.below(root, FILES[0])
    if not places.is_remote(place):
        return Path(place) if Path(place).is_file() else None
    copy = keep / FILES[0]
    return copy if places.fetch(place, copy) else None


@contextlib.contextmanager
def near(items: Sequence[Any], prefix: str) -> Iterator[tuple[Sequence[Any], dict[str, str]]]:
    """The items, those that lie afar with a copy as their path until the block ends; and the name of each copy. One
    that is gone has a path without a file. Raises EaselError where it cannot be read.
    """
    if not any(_is_afar(item) for item in items):
        yield items, {}
        return
    folder = tempfile.TemporaryDirectory(prefix=f"{prefix}{os.getpid()}-", ignore_cleanup_errors=True)
    real: dict[str, str] = {}
    with folder as top:
        here = []
        for number, item in enumerate(items):
            if not _is_afar(item):
                here.append(item)
                continue
            copy = Path(top) / f"{number}{sources.ending(item.path if item.offset is None else item.name)}"
            real[str(copy)] = item.name
            here.append(item._replace(path=str(copy), offset=None, length=None))
            try:
                copy.write_bytes(places.read(item.path, item.offset or 0, item.length))
            except EaselError as problem:
                if not isinstance(problem.__cause__, FileNotFoundError):
                    raise
        yield here, real


def _is_afar(item: Any) -> bool:
    return hasattr(item, "offset") and (item.offset is not None or places.is_remote(item.path))


def named(made: Any, real: Mapping[str, str]) -> Any:
    """What was made, with the names of items in the place of where they lay."""
    if not real:
        return made
    if isinstance(made, str):
        for path, name in real.items():
            made = made.replace(path, name)
        return made
    if isinstance(made, dict):
        return {key: named(value, real) for key, value in made.items()}
    return [named(value, real) for value in made] if isinstance(made, list) else made
