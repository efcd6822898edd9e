"""An image folder with a line of JSON a picture: metadata.jsonl, or captions.jsonl and labels.jsonl of the same form.

The convention of the `datasets` library: `file_name`, `text`, and any other key an attribute.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from easel.data import tables
from easel.data.folders import MOST_DEEP, below, parts
from easel.data.item import SPLITS, Box, Item, Lost
from easel.errors import EaselError, shortened
from easel.result import OUR_OWN

FILES = ("metadata.jsonl", "captions.jsonl", "labels.jsonl")
NAMES = ("file_name", "file", "image")
TEXTS = ("text", "captions", "caption", "prompt")
LABELS = ("label", "class", "class_name")
OWN = frozenset({*NAMES, *TEXTS, *LABELS, "split", "box"})
"""Keys with a meaning of their own; every other one is an attribute."""


def table_of(folder: Path) -> Path | None:
    """The folder's table, if it has one."""
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def is_metadata(folder: Path) -> bool:
    """A table in the folder itself, or in its train/ and test/."""
    return any(table_of(place) for _, place in _places(folder))


def metadata(folder: Path, lost: Lost) -> Iterator[Item]:
    """The pictures that the table names, in its order; others in its folder are counted.

    Raises EaselError naming the line that is wrong.
    """
    for prefix, place in _places(folder):
        table = table_of(place)
        seen: set[int] = set()
        split = SPLITS.get(prefix.rstrip("/").lower(), "")
        for where, line in tables.lines(table) if table else ():
            item = _item(_row(line, where), where, place, (prefix, split))
            if hash(item.name) in seen:
                raise EaselError(f"{where}: {item.name} stands twice")
            seen.add(hash(item.name))
            if item.path.is_file():
                yield item
            else:
                lost.add(item.name, item.split)
        for name in _in_folder(place) if lost.counts(split) else ():
            if hash(prefix + name) not in seen:
                lost.unnamed.add(prefix + name)


def read_texts(folder: Path) -> dict[str, str]:
    """File name -> its text, for every line of a folder's metadata.jsonl; of several captions the first.

    Raises EaselError where there is none, and naming the line that is wrong, has no text or a name beyond the folder.
    """
    path = folder / FILES[0]
    if not folder.is_dir():
        raise EaselError(f"there is no folder {folder}")
    if not path.is_file():
        raise EaselError(
            f"{folder} has no {path.name}: `easel caption {folder}` writes one, to be copied beside the pictures"
        )
    texts: dict[str, str] = {}
    for where, line in tables.lines(path):
        item = _item(_row(line, where), where, folder, ("", ""))
        if item.name in texts:
            raise EaselError(f"{where}: {item.name} stands twice")
        if not item.captions:
            raise EaselError(f"{where}: 'text' is missing or is empty")
        texts[item.name] = item.captions[0]
    if not texts:
        raise EaselError(f"{path} is empty")
    return texts


def _in_folder(place: Path) -> Iterator[str]:
    """The pictures in a folder and below, without the sheets that a run of ours left there."""
    ours = OUR_OWN if (place / "result.json").is_file() else ()
    with contextlib.suppress(EaselError):  # a folder that nobody may read holds no picture of the set
        yield from (name for name in below(place, MOST_DEEP) if name not in ours)


def _places(folder: Path) -> list[tuple[str, Path]]:
    """The folder itself, or its splits."""
    if table_of(folder):
        return [("", folder)]
    return [(f"{part}/", folder / part) for part in parts(folder)]


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as problem:
        raise EaselError(f"{where} is not JSON: {shortened(problem)}") from problem
    if not isinstance(row, dict):
        raise EaselError(f'{where}: wanted {{"file_name": ..., "text": ...}}, got {shortened(line)}')
    return row


def _item(row: Mapping[str, Any], where: str, place: Path, part: tuple[str, str]) -> Item:
    prefix, split = part
    name = next((row[key] for key in NAMES if key in row), None)
    if not isinstance(name, str):
        raise EaselError(f"{where}: 'file_name' is missing or is no text")
    name = tables.inside(name, where)
    label = next((row[key] for key in LABELS if row.get(key) is not None), None)
    return Item(
        name=prefix + name,
        path=place / name,
        captions=_captions(row, where),
        label=None if label is None else str(label),
        attributes={key: value for key, value in row.items() if key not in OWN and is_value(value)},
        box=_box(row.get("box"), where),
        split=SPLITS.get(str(row.get("split", "")).lower(), split),
    )


def _captions(row: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """All captions of a row, each once, the one called text first; an empty one is none."""
    said: list[str] = []
    for key in TEXTS:
        value = row.get(key)
        several = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(text, str) for text in several):
            raise EaselError(f"{where}: '{key}' is not text: {shortened(repr(value))}")
        said += [text.strip() for text in several if text.strip()]
    return tuple(dict.fromkeys(said))


def _box(value: Any, where: str) -> Box | None:
    """`box`: [left, top, right, bottom] in pixels."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 4 or not all(isinstance(edge, int) for edge in value):
        raise EaselError(f"{where}: 'box' is {shortened(repr(value))}: wanted [left, top, right, bottom]")
    left, top, right, bottom = value
    return left, top, right, bottom


def is_value(value: object) -> bool:
    """Whether a JSON value can be an attribute: a word, a number, yes or no; lists and objects cannot."""
    if isinstance(value, int | float):
        return abs(value) < 1e300  # neither NaN nor beyond what a float holds
    return isinstance(value, str) and bool(value)
