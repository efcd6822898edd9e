"""Photos as a job takes them: gathered by name, and opened without falling over a broken one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from PIL import Image

from easel.errors import EaselError
from easel.images import list_pictures, open_picture
from easel.result import NOT_PICTURES

NAMED = 5  # so many files are named before "and 7 more"

Item = TypeVar("Item")


def gather(photos: Sequence[str], out: Path) -> dict[str, Path]:
    """Photos and the pictures of folders, by name relative to the nearest folder that holds them all.

    `out`'s own sheet and chart are left out. Raises EaselError on what is not there and on a folder without pictures.
    """
    paths: list[Path] = []
    for photo in photos:
        if Path(photo).is_dir():
            paths += [path for path in list_pictures(photo) if not _is_our_own(path, out)]
        elif not Path(photo).exists():
            raise EaselError(f"there is no photo or folder {photo}")
        else:
            paths.append(Path(photo))
    if not paths:
        raise EaselError(f"there are no pictures in {', '.join(photos)}")
    # absolute, not resolved: a link to a photo keeps the name and the folder it has here
    absolute = [Path(os.path.normpath(path.absolute())) for path in paths]
    base = Path(os.path.commonpath([path.parent for path in absolute]))
    return {path.relative_to(base).as_posix(): shown for path, shown in zip(absolute, paths, strict=True)}


def opened(names: Iterable[str], photos: dict[str, Path], broken: dict[str, str]) -> dict[str, Image.Image]:
    """The pictures of `names` that open; why the others do not is put into `broken`."""
    pictures: dict[str, Image.Image] = {}
    for name in names:
        try:
            pictures[name] = open_picture(photos[name])
        except EaselError as problem:
            broken[name] = str(problem)
    return pictures


def told(broken: dict[str, str], total: int) -> list[str]:
    """Notes on broken pictures: how many, and which. Raises EaselError when all `total` are."""
    if not broken:
        return []
    if len(broken) == total:
        more = f"; so are all {total}" if total > 1 else ""
        raise EaselError(f"{next(iter(broken.values()))}{more}")
    return [f"{len(broken)} of {total} pictures were skipped: {'; '.join(shortened_list([*broken.values()]))}"]


def shortened_list(texts: Sequence[str]) -> list[str]:
    """The first few, and how many more there are."""
    return [*texts[:NAMED], *([f"and {len(texts) - NAMED} more"] if len(texts) > NAMED else [])]


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """`items` in lists of `size`, the last one perhaps shorter."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def thumbnail(picture: Image.Image, side: int = 360) -> Image.Image:
    """A small copy for a sheet, so that a thousand photos need not lie in memory."""
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small


def _is_our_own(path: Path, out: Path) -> bool:
    return path.name in NOT_PICTURES and path.resolve().parent == out.resolve()
