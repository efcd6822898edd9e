"""Sets without tables: a flat folder of pictures, and a folder for each class, both perhaps within train/ and test/."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from easel.data.item import SPLITS, Item, Lost
from easel.errors import EaselError, shortened
from easel.images import SUFFIXES

MOST_DEEP = 6
"""How far below its class's folder a picture is looked for."""


def is_picture(name: str) -> bool:
    """Whether a file name ends like a picture's and is not hidden."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - a million times


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder to look into: not a hidden one, nor a link that leads to itself."""
    if entry.name.startswith("."):
        return False
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()  # noqa: PTH112 - raises on no link


def listed(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the pictures and of the folders directly in `folder`, sorted. Raises EaselError."""
    pictures, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_folder(entry) and not entry.name.startswith("__"):
                    folders.append(entry.name)
                elif is_picture(entry.name):
                    pictures.append(entry.name)
    except OSError as problem:
        raise EaselError(f"cannot read {folder}: {shortened(problem.strerror or problem)}") from problem
    return sorted(pictures), sorted(folders)


def has_pictures(folder: Path, depth: int = 0) -> bool:
    """Whether there is a picture in `folder` or, down to `depth` floors, below; stops at the first."""
    if not folder.is_dir():
        return False
    below: list[Path] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_picture(entry.name) and os.path.isfile(entry.path):  # noqa: PTH113 - likewise
                return True
            if depth and is_folder(entry):
                below.append(Path(entry.path))
    return any(has_pictures(path, depth - 1) for path in below)


def parts(folder: Path) -> dict[str, str]:
    """The sub-folders that are splits, such as {"train": "train", "val": "valid"}; empty unless all of them are."""
    _, folders = listed(folder)
    found = {name: SPLITS[name.lower()] for name in folders if name.lower() in SPLITS}
    return found if len(found) == len(folders) else {}


def is_flat(folder: Path) -> bool:
    """Pictures in the folder itself, in its one sub-folder (as anime faces come), or in train/ and test/."""
    pictures, folders = listed(folder)
    if pictures or not folders:
        return bool(pictures)
    return (len(folders) == 1 or bool(parts(folder))) and all(has_pictures(folder / name) for name in folders)


def flat(folder: Path, _lost: Lost) -> Iterator[Item]:
    """The pictures of a flat set. Deeper folders are not looked into."""
    pictures, folders = listed(folder)
    if pictures:
        yield from (Item(name, folder / name) for name in pictures)
        return
    splits = parts(folder)
    for part in splits or folders[:1]:
        for name in listed(folder / part)[0]:
            yield Item(f"{part}/{name}", folder / part / name, split=splits.get(part, ""))


def is_classes(folder: Path) -> bool:
    """At least two sub-folders with pictures; or one sub-folder, or train/ and test/, that have such.

    Pictures beside the sub-folders, such as an overview, are left out where there are fewer of them than sub-folders.
    """
    return any(_has_classes(folder / part) for part in _homes(folder))


def _homes(folder: Path) -> dict[str, str]:
    """Where the folders of classes lie, each with its split: train/ and test/, or images/, or the folder itself."""
    pictures, folders = listed(folder)
    only = {folders[0]: ""} if len(folders) == 1 and not pictures else {}
    return parts(folder) or only or {"": ""}


def _has_classes(folder: Path) -> bool:
    pictures, folders = listed(folder)
    wanted = max(2, len(pictures) + 1)
    with_pictures = (name for name in folders if has_pictures(folder / name, MOST_DEEP))
    return len(list(islice(with_pictures, wanted))) == wanted


def classes(folder: Path, _lost: Lost) -> Iterator[Item]:
    """The pictures of every class, whose name is its folder's; deeper folders belong to the class they lie in."""
    for home, split in _homes(folder).items():
        place, prefix = folder / home, f"{home}/" if home else ""
        for label in listed(place)[1]:
            for name in below(place / label, MOST_DEEP, (place.resolve(),)):
                yield Item(f"{prefix}{label}/{name}", place / label / name, label=label, split=split)


def below(folder: Path, depth: int, above: tuple[Path, ...] = ()) -> Iterator[str]:
    """Names of the pictures in a folder and below, folder after folder.

    A link that leads back to a folder on the way here (`above`), or to one that holds such a folder, is not followed.
    """
    real = folder.resolve()
    if any(one.is_relative_to(real) for one in above):
        return iter(())
    pictures, folders = listed(folder)
    way = (*above, real)
    deeper = (f"{name}/{one}" for name in folders if depth for one in below(folder / name, depth - 1, way))
    return chain(pictures, deeper)
