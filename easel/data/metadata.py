"""An image folder with a table: a line of JSON, or a row, a picture.

The convention of the `datasets` library: `file_name`, `text`, and any other key an attribute. The table is called
metadata, captions or labels and is .jsonl, .csv, .tsv or .parquet; dataset.json of StyleGAN is read too.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from easel.data import tables
from easel.data.folders import (
    MOST_DEEP,
    PICTURE_FOLDERS,
    Arrangement,
    Beside,
    Finder,
    Listing,
    arranged,
    below,
    count_strange,
    has_classes,
    kept_captions,
    listed,
    same,
)
from easel.data.item import SPLITS, Item, Lost, Value, box_from
from easel.errors import EaselError, shortened
from easel.files import check_regular, read_text

WORDS = ("metadata", "captions", "labels")
ENDINGS = (".jsonl", ".csv", ".tsv", ".parquet")
STYLEGAN = "dataset.json"
FILES = (*(word + ending for word in WORDS for ending in ENDINGS), STYLEGAN)
"""What tables are called, in the order in which they are looked for."""
NAMES = ("file_name", "file", "image", "filename", "image_path", "path")
TEXTS = ("text", "captions", "caption", "prompt")
LABELS = ("label", "class", "class_name")
OWN = frozenset({*NAMES, *TEXTS, *LABELS, "split", "box"})
"""Keys with a meaning of their own; every other one is an attribute."""
MOST_JSON = 200_000_000
"""Bytes of a dataset.json, which is read whole."""
DELIMITERS = (",", ";", "\t")

Row = Mapping[str, Any]


def table_of(folder: Path) -> Path | None:
    """The folder's table, if it has one that can be read."""
    return next((folder / name for name in FILES if _is_table(folder / name)), None)


def _is_table(path: Path) -> bool:
    if not path.is_file():
        return False
    if path.name == STYLEGAN:
        return bool(_stylegan(path))
    if path.suffix == ".parquet":
        return importlib.util.find_spec("pyarrow") is not None
    if path.suffix in {".csv", ".tsv"}:
        return bool({*NAMES} & {*_heads(path)})
    return True


def is_metadata(folder: Path) -> bool:
    """A table in the folder itself, or in its train/ and test/."""
    return any(table_of(place) for _, place in _places(folder))


def names_all_classes(folder: Path) -> bool:
    """Whether a folder's table is one of the set, and not only of captions for some of its folders of classes: whether
    a row has a class, or there is a row of every folder of a class.
    """
    table = table_of(folder)
    if table is None:
        return True
    known = Classes.of(folder)
    wanted = known.folders()
    named: set[str] = set()
    for _, row in rows(table, Lost()):
        if any(row.get(key) is not None for key in LABELS):
            return True
        name = row_name(row)
        named.add(known.of_name(name.replace("\\", "/").removeprefix("./"))[0] or "" if name else "")
    named -= {""}
    return not wanted or wanted <= named or (bool(named) and named <= {*PICTURE_FOLDERS})


@dataclass(frozen=True)
class Classes:
    """The classes and splits that the folders of a set with a table are."""

    folder: Path
    arrangement: Arrangement
    homes: frozenset[str]
    """Those of the arrangement's homes that hold folders of classes."""

    @classmethod
    def of(cls, folder: Path) -> Classes:
        """What the folders are; nothing where they are no classes."""
        found = arranged(folder)
        apart = found.apart
        return cls(folder, found, frozenset(h for h in found.homes if has_classes(folder / h, () if h else apart)))

    def of_name(self, name: str) -> tuple[str | None, str]:
        """Class and split of a picture by the folders it lies in."""
        for home in sorted(self.arrangement.homes, key=len, reverse=True):
            prefix = f"{home}/" if home else ""
            if name.startswith(prefix):
                first, slash, _ = name[len(prefix) :].partition("/")
                is_class = home in self.homes and slash and (home or first not in self.arrangement.apart)
                return first if is_class else None, self.arrangement.homes[home]
        return None, ""

    def folders(self) -> set[str]:
        """The names of all classes."""
        return {
            name
            for home in self.homes
            for name in listed(self.folder / home).folders
            if (home or name not in self.arrangement.apart)
            and any(True for _ in below(self.folder / home / name, MOST_DEEP))
        }


def metadata(folder: Path, lost: Lost) -> Iterator[Item]:
    """The pictures that the table names, in its order; others in its folder are counted.

    A picture named by several lines has all their captions. Where a line has no class or split, the folder that the
    picture lies in may be one; where it has no caption, a text beside the picture may be.

    Raises EaselError on a name that leaves the folder, and where not one line can be read.
    """
    known = Classes.of(folder)
    for prefix, place in _places(folder):
        table = table_of(place)
        finder, seen, problems = Finder(place), set[int](), Lost()
        again = _said_again(table) if table else {}
        lines = 0
        for where, row in rows(table, problems) if table else ():
            item = item_of(row, where, place, problems)
            if item is None:
                continue
            lines += 1
            key = same(item.name)
            if hash(key) in seen:
                continue
            seen.add(hash(key))
            captions = tuple(dict.fromkeys((*item.captions, *again.get(key, ()))))
            found = finder.find(item.name)
            label, split = known.of_name(prefix + (found or item.name))
            item = replace(item, captions=captions, label=item.label or label, split=item.split or split)
            if found is None:
                lost.add(prefix + item.name, item.split)
                continue
            seen.add(hash(same(found)))
            if not captions:
                item = replace(item, captions=_beside(place, found, lost))
            yield replace(item, name=prefix + found, path=place / found)
        lost.skipped |= problems.skipped
        if table and not lines:
            raise EaselError(problems.first or f"{table} is empty")
        split = SPLITS.get(prefix.rstrip("/").lower(), "")
        for name in below(place, MOST_DEEP) if lost.counts(split) else ():
            if hash(same(name)) not in seen:
                lost.unnamed.add(prefix + name)
        if table:
            lost.read.add(prefix + table.name)
            note_parquet(place, lost)
            count_strange(listed(place), lost, prefix)


def _said_again(table: Path) -> dict[str, list[str]]:
    """The captions of the second and later lines of a picture."""
    seen, found, unheard = set[int](), dict[str, list[str]](), Lost()
    for where, row in rows(table, unheard):
        if name := row_name(row):
            key = same(tables.inside(name, where))
            if hash(key) in seen:
                found.setdefault(key, []).extend(_captions(row, where, unheard))
            seen.add(hash(key))
    return found


def filled(items: Iterator[Item], folder: Path, lost: Lost) -> Iterator[Item]:
    """Items of another layout, with the captions, class and attributes that a table of the folder has for those that
    have none.
    """
    table = table_of(folder)
    note_parquet(folder, lost)
    if table is None:
        yield from items
        return
    lost.read.add(table.name)
    known: dict[str, Item] = {}
    for where, row in rows(table, lost):
        item = item_of(row, where, folder, lost)
        if item is not None:
            for name in {same(item.name), same(item.name.replace("\\", "/"))}:
                before = known.get(name, item)
                known[name] = replace(before, captions=tuple(dict.fromkeys((*before.captions, *item.captions))))
    lost.note(f"captions and classes that the pictures lack are taken from {table.name}")
    for item in items:
        more = known.get(same(item.name))
        if more is None:
            yield item
        else:
            values = {**more.attributes, **item.attributes}
            yield replace(
                item, captions=item.captions or more.captions, label=item.label or more.label, attributes=values
            )


def note_parquet(place: Path, lost: Lost) -> None:
    """Say that a table is there which only another package could read."""
    for word in WORDS if importlib.util.find_spec("pyarrow") is None else ():
        name = f"{word}.parquet"
        if (place / name).is_file():
            lost.read.add(name)
            lost.note(
                f"{name} is there and is not read: `pip install pyarrow`, or write it as {word}.csv with "
                "`pandas.read_parquet(...).to_csv(...)`"
            )


def _places(folder: Path) -> list[tuple[str, Path]]:
    """The folder itself, or its splits."""
    if table_of(folder):
        return [("", folder)]
    found = [name for name in listed(folder).folders if name.lower() in SPLITS]
    return [(f"{part}/", folder / part) for part in found]


# Rows


def rows(table: Path, lost: Lost) -> Iterator[tuple[str, Row]]:
    """(place, row) of every line that can be read; the others are counted. Raises EaselError on what is no text."""
    if table.name == STYLEGAN:
        yield from _stylegan(table)
    elif table.suffix == ".parquet":
        yield from _parquet(table)
    elif table.suffix in {".csv", ".tsv"}:
        yield from _csv(table, lost)
    else:
        for where, line in tables.lines(table):
            row = _parsed(line)
            if isinstance(row, dict):
                yield where, row
            else:
                wanted = 'wanted {"file_name": ..., "text": ...}'
                what = "lines that are not JSON are skipped" if row is None else "lines without keys are skipped"
                why = f"{where} is not JSON" if row is None else f"{where}: {wanted}"
                lost.skip(what, tables.short_place(where), why)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _csv(table: Path, lost: Lost) -> Iterator[tuple[str, Row]]:
    """The rows of a table of values with commas, semicolons or tabs between them."""
    heads = _heads(table)
    try:
        with tables.opened(table, newline="") as stream:
            reader = csv.reader(stream, delimiter=_delimiter(stream.readline()), skipinitialspace=True)
            while True:
                where = f"{table}: line {reader.line_num + 2}"
                try:
                    values = next(reader)
                except StopIteration:
                    return
                except csv.Error:
                    lost.skip("rows that are no CSV are skipped", tables.short_place(where))
                    continue
                for value in values:
                    tables.check_line(value, where)
                if len(values) > len(heads):
                    lost.skip("rows with more values than columns are skipped", tables.short_place(where))
                elif any(values):
                    cells = zip(heads, values, strict=False)
                    yield where, {key: value if key in OWN else _value(value) for key, value in cells if value.strip()}
    except (OSError, UnicodeError) as problem:
        raise EaselError(f"cannot read {table}: {shortened(problem)}") from problem


def _heads(table: Path) -> list[str]:
    """The names of a table's columns."""
    try:
        with tables.opened(table, newline="") as stream:
            first = stream.readline(100_000)
        heads = next(csv.reader([first], delimiter=_delimiter(first), skipinitialspace=True), [])
    except (OSError, UnicodeError, csv.Error) as problem:
        raise EaselError(f"cannot read {table}: {shortened(problem)}") from problem
    tables.check_line(first, f"{table}: line 1")
    return [head.strip() if head.strip().lower() not in OWN else head.strip().lower() for head in heads]


def _value(text: str) -> Value:
    """A cell of a table of values as the number, yes or no that it reads like."""
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def _delimiter(first: str) -> str:
    return max(DELIMITERS, key=first.count)


def _parquet(table: Path) -> Iterator[tuple[str, Row]]:
    """The rows of a parquet table, by pyarrow."""
    check_regular(table)
    try:
        read: Any = importlib.import_module("pyarrow.parquet")
        number = 0
        for batch in read.ParquetFile(table).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"{table}: row {number}", row
    except EaselError:
        raise
    except Exception as problem:  # whatever pyarrow raises on damaged files
        raise EaselError(f"cannot read {table}: {shortened(problem)}") from problem


def _stylegan(table: Path) -> list[tuple[str, Row]]:
    """The labels of StyleGAN's dataset.json; none where the file says something else.

    {"labels": [["00000/img00000000.png", 6], ...]}; a label may be a vector with a one in it.
    """
    try:
        found = json.loads(read_text(table, MOST_JSON))
    except (EaselError, ValueError, RecursionError):
        return []
    pairs = found.get("labels") if isinstance(found, dict) else None
    made: list[tuple[str, Row]] = []
    for at, pair in enumerate(pairs if isinstance(pairs, list) else (), 1):
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str):
            label = pair[1]
            if isinstance(label, list):
                label = label.index(1) if label.count(1) == 1 and label.count(0) == len(label) - 1 else None
            made.append((f"{table}: label {at}", {"file_name": pair[0], "label": label}))
    return made


def row_name(row: Row) -> str | None:
    """The file that a row speaks of."""
    name = next((row[key] for key in NAMES if row.get(key) is not None), None)
    return name if isinstance(name, str) and name.strip() else None


def item_of(row: Row, where: str, place: Path, lost: Lost) -> Item | None:
    """What a row says, as far as it can be read; None where it names no file."""
    name = row_name(row)
    if name is None:
        why = f"{where}: 'file_name' is missing or is no text"
        lost.skip("lines without a file_name are skipped", tables.short_place(where), why)
        return None
    name = tables.inside(name, where)
    box = row.get("box")
    made = None if box is None else box_from(_list(box))
    if box is not None and made is None:
        lost.skip("boxes that are not [left, top, right, bottom] in pixels are left out", tables.short_place(where))
    label = next((row[key] for key in LABELS if row.get(key) is not None), None)
    if not (label is None or isinstance(label, str | int | float)):
        lost.skip("classes that are no word or number are left out", tables.short_place(where))
        label = None
    split = row.get("split")
    return Item(
        name=name,
        path=place / name,
        captions=_captions(row, where, lost),
        label=None if label is None or not str(label).strip() else str(label),
        attributes={str(key): value for key, value in row.items() if key not in OWN and is_value(value)},
        box=made,
        split=SPLITS.get(split.lower(), "") if isinstance(split, str) else "",
    )


def _list(value: Any) -> Sequence[object]:
    """A list, which in a table of values stands as text."""
    value = _parsed(value) if isinstance(value, str) else value
    return value if isinstance(value, list) else ()


def _captions(row: Row, where: str, lost: Lost) -> tuple[str, ...]:
    """All captions of a row, each once, the one called text first; an empty one is none."""
    said: list[str] = []
    for key in TEXTS:
        value = row.get(key)
        several = value if isinstance(value, list) else [] if value is None else [value]
        said += [text for text in several if isinstance(text, str)]
        if not all(isinstance(text, str) for text in several):
            lost.skip("captions that are no text are left out", tables.short_place(where))
    return kept_captions(said, tables.short_place(where), lost)


def is_value(value: object) -> bool:
    """Whether a JSON value can be an attribute: a word, a number, yes or no; lists and objects cannot."""
    if isinstance(value, int | float):
        return abs(value) < 1e300  # neither NaN nor beyond what a float holds
    return isinstance(value, str) and bool(value)


def _beside(place: Path, name: str, lost: Lost) -> tuple[str, ...]:
    """The caption beside a picture."""
    folder, _, last = name.rpartition("/")
    base = Path(last).stem
    texts = [one for one in (f"{base}.txt", f"{base}.caption", f"{last}.txt") if (place / folder / one).is_file()]
    return Beside(place / folder, Listing([], [], texts, []), lost).of(last) if texts else ()
