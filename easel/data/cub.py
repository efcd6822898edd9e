"""CUB-200-2011 (Wah et al. 2011): birds with classes, boxes and attributes, and with captions where those are.

Captions (Reed et al. 2016) lie a picture a file, ten lines each, in text_c10/ or text/, within the folder or beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from easel.data import tables
from easel.data.item import Box, Item, Lost, Value
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

    Boxes, the split, attributes and captions are read where their tables are. Raises EaselError naming the line.
    """
    place = home(folder)
    prefix = "" if place == folder else f"{place.name}/"
    names = {key: pretty(name) for key, name in tables.numbered(place / "classes.txt").items()}
    labels = tables.numbered(place / "image_class_labels.txt")
    boxes = _boxes(place / "bounding_boxes.txt")
    splits = _optional(place / "train_test_split.txt")
    said = next(
        (base / name for base in (place, folder, folder.parent) for name in CAPTIONS if (base / name).is_dir()), None
    )
    attributes = _Attributes(place)
    for where, (key, listed) in tables.fields(place / "images.txt", 2, 2):
        name = tables.inside(listed, where)
        if key not in labels or labels[key] not in names:
            raise EaselError(f"{where}: picture {key} has no class in image_class_labels.txt and classes.txt")
        known = attributes.of(key)
        path = place / "images" / name
        split = {"1": "train", "0": "test"}.get(splits.get(key, ""), "")
        if not path.is_file():
            lost.add(f"{prefix}images/{name}", split)
            continue
        yield Item(
            name=f"{prefix}images/{name}",
            path=path,
            captions=() if said is None else captions(said / Path(name).with_suffix(".txt")),
            label=names[labels[key]],
            attributes=known,
            box=boxes.get(key),
            split=split,
        )


def pretty(name: str) -> str:
    """'001.Black_footed_Albatross' as 'Black footed Albatross'."""
    return name.partition(".")[2].replace("_", " ") or name


def captions(path: Path) -> tuple[str, ...]:
    """The lines of a picture's caption file; none where there is no file. Raises EaselError when it is no text."""
    return tuple(line.strip() for _, line in tables.lines(path)) if path.is_file() else ()


def _optional(path: Path) -> dict[str, str]:
    return tables.numbered(path) if path.is_file() else {}


def _boxes(path: Path) -> dict[str, Box]:
    """bounding_boxes.txt: id, x, y, width, height."""
    found: dict[str, Box] = {}
    for where, words in tables.fields(path, 5) if path.is_file() else ():
        x, y, width, height = tables.whole(words[1:5], where)
        found[words[0]] = (x, y, x + width, y + height)
    return found


class _Attributes:
    """attributes/image_attribute_labels.txt, read along with the pictures: 3.6 million lines never lie in memory.

    Its lines stand in the order of images.txt, 312 a picture: picture, attribute, present, certainty, seconds.
    """

    def __init__(self, place: Path) -> None:
        names = (place / "attributes" / "attributes.txt", place / "attributes.txt", place.parent / "attributes.txt")
        table = place / "attributes" / "image_attribute_labels.txt"
        found = next((path for path in names if path.is_file()), None)
        self._names: Mapping[str, str] = tables.numbered(found) if found else {}
        rows = tables.fields(table, 3) if table.is_file() else iter(())
        self._groups = groupby(rows, key=lambda row: row[1][0])
        self._waiting: tuple[str, dict[str, Value]] | None = None

    def of(self, picture: str) -> dict[str, Value]:
        """A picture's attributes, yes or no each. Raises EaselError where the table is in another order."""
        if self._waiting is None:
            key, rows = next(self._groups, ("", iter(())))
            values: dict[str, Value] = {self._name(words[1], at): words[2] == "1" for at, words in rows}
            self._waiting = key, values
        key, values = self._waiting
        if key and key != picture and int(key) < int(picture):
            raise EaselError(f"image_attribute_labels.txt: picture {shortened(key)} is not in the order of images.txt")
        if key != picture:
            return {}
        self._waiting = None
        return values

    def _name(self, key: str, where: str) -> str:
        if self._names and key not in self._names:
            raise EaselError(f"{where}: attribute {shortened(key)} is not in attributes.txt")
        return self._names.get(key, f"attribute {key}")
