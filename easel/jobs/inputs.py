"""What jobs take in: photos gathered and opened, small YAML tables read, and what files and models are called."""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from easel.errors import EaselError, printable, shortened
from easel.images import OUR_OWN, READ_SIDE, SHARD, SUFFIXES, list_pictures, open_picture, strange_endings
from easel.recipes import Recipe
from easel.recipes.read import Lines, explain, load_yaml
from easel.workspace import Blobs, Workspace

NAMED = 5  # so many files are named before "and 7 more"
MOST_TOGETHER = 32_000_000  # pixels in memory at once

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


def afar(folder: str, workspace: Workspace) -> Blobs | None:
    """What a folder holds that is a bucket's, or that has its pictures in shards; None of a plain one. Raises
    EaselError, and where nobody is there to read them.
    """
    if workspace.crowd is not None:
        return workspace.crowd.afar(folder)
    is_shard = folder.lower().endswith(SHARD) and not Path(folder).is_dir()
    if "://" in folder or is_shard or holds_shards(folder):
        raise EaselError(f"{folder} is a bucket's or has its pictures in shards: add --on local-cluster to read them")
    return None


def holds_shards(folder: str) -> bool:
    """Whether a folder has shards, and neither pictures nor folders, which may have some."""
    found = False
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            ending = Path(entry.name).suffix.lower()
            if ending in SUFFIXES or (entry.is_dir() and not entry.name.startswith(".")):
                return False
            found = found or ending == SHARD
    return found


def gather(photos: Sequence[str], out: Path, base: Path | None = None) -> dict[str, Path]:
    """Photos and the pictures of folders, by name relative to `base` where all lie in it, else to the nearest folder
    that holds them all. Names that are not UTF-8 are shown escaped.

    The sheets of `out` and of any run of ours are left out. Raises EaselError on what is not there and on a folder
    without pictures.
    """
    paths: list[Path] = []
    for photo in photos:
        if Path(photo).is_dir():
            paths += [path for path in list_pictures(photo) if path.name not in OUR_OWN or not _is_in(path, out)]
        elif not Path(photo).exists():
            hint = ": a bucket is read by a run that is shared out, see --on" if "://" in photo else ""
            raise EaselError(f"there is no photo or folder {photo}{hint}")
        else:
            paths.append(Path(photo))
    if not paths:
        raise EaselError(f"there are no pictures in {', '.join(photos)}")
    # absolute, not resolved: a link to a photo keeps the name and the folder it has here
    absolute = [Path(os.path.normpath(path.absolute())) for path in paths]
    base = None if base is None else Path(os.path.normpath(base.absolute()))
    if base is None or not all(path.is_relative_to(base) for path in absolute):
        base = Path(os.path.commonpath([path.parent for path in absolute]))
    found: dict[str, Path] = {}
    for path, shown in zip(absolute, paths, strict=True):
        name = path.relative_to(base).as_posix()
        key = printable(name, len(name))
        while found.get(key, shown) != shown:  # two names that are not UTF-8 may look the same
            key += "_"
        found[key] = shown
    return found


def strange_notes(photos: Sequence[str]) -> list[str]:
    """Notes on pictures in these folders whose endings say that they are not read."""
    found = Counter(ending for photo in photos if Path(photo).is_dir() for ending in strange_endings(Path(photo)))
    return [f"{count} {ending} files are not read, convert them" for ending, count in found.items()]


def opened(
    names: Iterable[str], photos: Mapping[str, Path], broken: dict[str, str], most_side: int | None = None
) -> dict[str, Image.Image]:
    """The pictures of `names` that open; why the others do not is put into `broken`."""
    pictures: dict[str, Image.Image] = {}
    for name in names:
        try:
            pictures[name] = open_picture(photos[name], most_side)
        except EaselError as problem:
            broken[name] = printable(problem)
    return pictures


def opened_to_read(
    names: Iterable[str], photos: Mapping[str, Path], broken: dict[str, str], size: int
) -> Iterator[dict[str, Image.Image]]:
    """The pictures of `names` that open, as models that read them need them, in batches of `size` or fewer: a batch has
    at most 32 million pixels, so that memory grows neither with the number of photos nor with their size.

    Why the others do not open is put into `broken`. They keep their place in a batch, so that what is read together
    depends on the names alone.
    """
    pictures: dict[str, Image.Image] = {}
    pixels = 0
    for place, name in enumerate(names):
        if place % size == 0 and pictures:
            yield pictures
            pictures, pixels = {}, 0
        for picture in opened([name], photos, broken, READ_SIDE).values():
            note_ends(picture, Path(name).name)
            area = picture.width * picture.height
            if pictures and pixels + area > MOST_TOGETHER:
                yield pictures
                pictures, pixels = {}, 0
            pictures[name] = picture
            pixels += area
    if pictures:
        yield pictures


def note_ends(picture: Image.Image, name: str) -> None:
    """Say in `picture.info["note"]` that a model which sees the middle square of a picture loses a panorama's ends."""
    from easel.models.vision import MAX_ASPECT

    long, short = max(picture.size), min(picture.size)
    if long > MAX_ASPECT * short:
        before = f"{picture.info['note']}; " if "note" in picture.info else ""
        what = "wide as it is high" if picture.width == long else "high as it is wide"
        picture.info["note"] = f"{before}{name} is {long / short:.0f} times as {what}: a model sees its middle alone"


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


def _is_in(path: Path, out: Path) -> bool:
    """Whether a file lies in a run's folder, which has nothing of the run yet when it begins."""
    return path.resolve().parent == out.resolve()


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
