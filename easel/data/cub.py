"""CUB-200-2011 (Wah et al. 2011): birds with classes, boxes and attributes, and with captions where those are.

Captions (Reed et al. 2016) lie a picture a file, ten lines each, in text_c10/ or text/, within the folder or beside it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from easel.data import tables
from easel.data.folders import Finder, kept_captions
from easel.data.item import Box, Item, Lost, Value, box_from
from easel.errors import EaselError, shortened

TABLES = ("images.txt", "image_class_labels.txt", "classes.txt")
CAPTIONS = ("text_c10", "text")


def home(folder: Path) -> Path:
    """Where the tables are: the folder, or CUB_200_2011/ in it, as the archive unpacks."""
    inner = folder / "CUB_200_2011"
    return inner if inner.is_dir() and not (folder / TABLES[0]).is_file() else folder


def is_cub(folder: Path) -> bool:
    """The three tables and images/."""
    place = home(folder)
    return all((place / name).is_file() for name in TABLES) and (place / "images").is_dir()


def cub(folder: Path, lost: Lost) -> Iterator[Item]:
    """Every bird, in the order of images.txt; one whose file is not there is counted.

    Boxes, the split, attributes and captions are read where their tables are; lines that say nothing are counted.
    """
    place = home(folder)
    prefix = "" if place == folder else f"{place.name}/"
    names = {key: pretty(name) for key, name in tables.numbered(place / "classes.txt", lost).items()}
    labels = tables.numbered(place / "image_class_labels.txt", lost)
    boxes = _boxes(place / "bounding_boxes.txt", lost)
    splits = _optional(place / "train_test_split.txt", lost)
    said = next(
        (base / name for base in (place, folder, folder.parent) for name in CAPTIONS if (base / name).is_dir()), None
    )
    attributes, finder = _Attributes(place, lost), Finder(place / "images")
    for where, (key, listed) in tables.fields(place / "images.txt", 2, lost, 2):
        name = tables.inside(listed, where)
        label = names.get(labels.get(key, ""))
        if label is None:
            lost.skip("pictures without a class in image_class_labels.txt and classes.txt", tables.short_place(where))
        known = attributes.of(key)
        found = finder.find(name)
        split = {"1": "train", "0": "test"}.get(splits.get(key, ""), "")
        if found is None:
            lost.add(f"{prefix}images/{name}", split)
            continue
        yield Item(
            name=f"{prefix}images/{found}",
            path=place / "images" / found,
            captions=() if said is None else captions(said / Path(name).with_suffix(".txt"), lost),
            label=label,
            attributes=known,
            box=boxes.get(key),
            split=split,
        )


def pretty(name: str) -> str:
    """'001.Black_footed_Albatross' as 'Black footed Albatross'."""
    return name.partition(".")[2].replace("_", " ") or name


def captions(path: Path, lost: Lost) -> tuple[str, ...]:
    """The lines of a picture's caption file; none where there is no file, and where it is no text, which is counted."""
    try:
        return kept_captions([line for _, line in tables.lines(path)], path.name, lost) if path.is_file() else ()
    except EaselError:
        lost.skip("captions that are no UTF-8 text are left out", path.name)
        return ()


def _optional(path: Path, lost: Lost) -> dict[str, str]:
    return tables.numbered(path, lost) if path.is_file() else {}


def _boxes(path: Path, lost: Lost) -> dict[str, Box]:
    """bounding_boxes.txt: id, x, y, width, height."""
    found: dict[str, Box] = {}
    for where, line in tables.lines(path) if path.is_file() else ():
        words = line.split()
        with contextlib.suppress(ValueError):
            x, y, width, height = (float(word) for word in words[1:5])
            if box := box_from([x, y, x + width, y + height]):
                found[words[0]] = box
                continue
        lost.skip("boxes that are no x, y, width and height are left out", tables.short_place(where))
    return found


class _Attributes:
    """attributes/image_attribute_labels.txt, read along with the pictures: 3.6 million lines never lie in memory.

    Its lines stand in the order of images.txt, 312 a picture: picture, attribute, present, certainty, seconds.
    """

    def __init__(self, place: Path, lost: Lost) -> None:
        names = (place / "attributes" / "attributes.txt", place / "attributes.txt", place.parent / "attributes.txt")
        table = place / "attributes" / "image_attribute_labels.txt"
        found = next((path for path in names if path.is_file()), None)
        self._names: Mapping[str, str] = tables.numbered(found, lost) if found else {}
        self._lost = lost
        rows = tables.fields(table, 3, lost) if table.is_file() else iter(())
        self._groups = groupby(rows, key=lambda row: row[1][0])
        self._waiting: tuple[str, dict[str, Value]] | None = None

    def of(self, picture: str) -> dict[str, Value]:
        """A picture's attributes, yes or no each. Raises EaselError where the table is in another order."""
        if self._waiting is None:
            key, rows = next(self._groups, ("", iter(())))
            values: dict[str, Value] = {}
            for at, words in rows:
                if self._names and words[1] not in self._names:
                    self._lost.skip("attributes that are not in attributes.txt are left out", tables.short_place(at))
                else:
                    values[self._names.get(words[1], f"attribute {words[1]}")] = words[2] == "1"
            self._waiting = key, values
        key, values = self._waiting
        if key and key != picture and _before(key, picture):
            raise EaselError(f"image_attribute_labels.txt: picture {shortened(key)} is not in the order of images.txt")
        if key != picture:
            return {}
        self._waiting = None
        return values


def _before(key: str, picture: str) -> bool:
    """Whether one id is smaller than another; ids that are no numbers are not."""
    return key.isdecimal() and picture.isdecimal() and len(key) < 20 and int(key) < int(picture)
