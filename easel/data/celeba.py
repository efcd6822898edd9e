"""CelebA (Liu et al. 2015): aligned faces with forty attributes, yes or no, and the published split.

The tables as published (.txt) or as Kaggle has them (.csv), in the folder itself, in Anno/ and in Eval/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from easel.data import tables
from easel.data.folders import Finder, has_pictures
from easel.data.item import Item, Lost, Value
from easel.errors import EaselError

FOLDERS = (
    "img_align_celeba",
    "img_align_celeba/img_align_celeba",
    "Img/img_align_celeba",
    "img_align_celeba_png",
    "Img/img_align_celeba_png",
)
PARTS = {"0": "train", "1": "valid", "2": "test"}
YES = {"1": True, "-1": False, "0": False}


def table_of(folder: Path, name: str) -> Path | None:
    """One of the set's tables, wherever it is."""
    places = [folder / part / f"{name}{end}" for part in ("", "Anno", "Eval") for end in (".txt", ".csv")]
    return next((path for path in places if path.is_file()), None)


def is_celeba(folder: Path) -> bool:
    """The attribute table, and one of the folders of aligned faces."""
    return table_of(folder, "list_attr_celeba") is not None and any((folder / name).is_dir() for name in FOLDERS)


def celeba(folder: Path, lost: Lost) -> Iterator[Item]:
    """Every face of the attribute table, whose file is there. A line without all attributes is skipped and counted."""
    pictures = next((name for name in FOLDERS if has_pictures(folder / name)), FOLDERS[0])
    table = table_of(folder, "list_attr_celeba")
    if table is None:
        raise EaselError(f"{folder} has no list_attr_celeba.txt")
    splits = _splits(folder)
    names: list[str] = []
    finder = Finder(folder / pictures)
    for where, line in tables.lines(table):
        words = re.split(r"[,\s]+", line.strip())
        if not names:
            names = [] if len(words) == 1 else [word for word in words if word != "image_id"]
            continue
        name = tables.inside(words[0], where)
        split = splits.get(name, "")
        wanted = name.removesuffix(".jpg") + ".png" if name.endswith(".jpg") and pictures.endswith("png") else name
        found = finder.find(wanted)
        if found is None:
            lost.add(f"{pictures}/{name}", split)
            continue
        if len(words) - 1 != len(names) or not set(words[1:]) <= YES.keys():
            lost.skip(f"lines without {len(names)} numbers, each 1 or -1, are skipped", tables.short_place(where))
            continue
        known: dict[str, Value] = {key: YES[word] for key, word in zip(names, words[1:], strict=True)}
        yield Item(f"{pictures}/{found}", folder / pictures / found, attributes=known, split=split)


def _splits(folder: Path) -> dict[str, str]:
    """File name to split, from list_eval_partition: 0 train, 1 valid, 2 test."""
    table = table_of(folder, "list_eval_partition")
    found: dict[str, str] = {}
    for _, line in tables.lines(table) if table else ():
        words = re.split(r"[,\s]+", line.strip())
        if len(words) == 2 and words[1] in PARTS:
            found[words[0]] = PARTS[words[1]]
    return found
