"""What jobs take in: photos gathered and opened, small YAML tables read, and what files and models are called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from easel.errors import EaselError, shortened
from easel.images import list_pictures, open_picture
from easel.recipes import Recipe
from easel.recipes.read import Lines, explain, load_yaml
from easel.result import OUR_OWN

NAMED = 5  # so many files are named before "and 7 more"

Item = TypeVar("Item")


def file_name(index: int, total: int, words: str) -> str:
    """'03-red-bird.png': the place among `total`, zeros before it so that files sort, and what it is, at most 40
    letters.
    """
    slug = "-".join(re.findall(r"\w+", words.casefold()))[:40].strip("-_")
    return f"{index + 1:0{max(2, len(str(total)))}d}-{slug or 'picture'}.png"


def joined(*texts: str) -> str:
    """Negative prompts as one, the empty ones left out."""
    return ", ".join(text.strip() for text in texts if text.strip())


def model_label(model: str) -> str:
    """What a model is called in results: its word or hub id; of a folder or file, only the name, not where it lies."""
    return Path(model).name if Path(model).exists() else model


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


def skipped_notes(broken: dict[str, str], total: int) -> list[str]:
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
    return path.name in OUR_OWN and path.resolve().parent == out.resolve()


class Row(BaseModel):
    """What every row of a table has: a name of its own, and no keys that nobody knows."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """What the row is called."""


AnyRow = TypeVar("AnyRow", bound=Row)


def read_rows(path: str | Path, kind: type[AnyRow], known: Mapping[str, AnyRow] | None = None) -> list[AnyRow]:
    """The list of rows in a YAML file.

    A row whose name is in `known` changes that one: what it leaves out is taken from there. Raises EaselError naming
    file, line and key.
    """
    values, lines = load_yaml(path)
    if not isinstance(values, list) or not values:
        keys = ", ".join(kind.model_fields)
        raise EaselError(f"{path}: wanted a list of entries, each '- name: ...' with the keys {keys}")
    rows: dict[str, AnyRow] = {}
    for index, entry in enumerate(values):
        place = f"{path}: line {lines[index,]}: "
        if not isinstance(entry, dict):
            raise EaselError(f"{place}wanted 'name: ...' and other keys, got {shortened(repr(entry))}")
        before = (known or {}).get(str(entry.get("name")))
        row = _row({**(before.model_dump() if before else {}), **entry}, kind, f"{path}: ", _below(lines, index))
        if row.name in rows:
            raise EaselError(f"{place}the name '{row.name}' stands twice")
        rows[row.name] = row
    return list(rows.values())


def _row(entry: dict[Any, Any], kind: type[AnyRow], place: str, lines: Lines) -> AnyRow:
    """One row, or an EaselError with its line: that of the key where it has one, that of the row where the key is
    missing.
    """
    if not all(isinstance(key, str) for key in entry):
        raise EaselError(f"{place}line {lines[()]}: every key must be a word")
    try:
        return kind.model_validate(entry)
    except ValidationError as problem:
        # Rows are explained in the very words that recipes are; only the type differs.
        words = explain(problem, cast("type[Recipe]", kind), lines)
        raise EaselError(place + (words if words.startswith("line ") else f"line {lines[()]}: {words}")) from problem


def _below(lines: Lines, index: int) -> Lines:
    """The lines of one entry of the list, by keys within it; its own line under ()."""
    return {keys[1:]: line for keys, line in lines.items() if keys[0] == index}
