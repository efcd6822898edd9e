"""The pictures of a folder with the text that its table has for each."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from easel.data.item import Item, Lost
from easel.data.metadata import FILES, is_metadata, item_of, metadata, rows
from easel.errors import EaselError, printable


@dataclass(frozen=True)
class Told:
    """Pictures with their texts, by names that can be shown."""

    texts: dict[str, str] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def key(self, name: str) -> str:
        """The name escaped, and told apart from another that looks the same."""
        key = printable(name, len(name))
        return key if key not in self.texts else f"{key} ({len(self.texts)})"


def read_texts(folder: Path) -> Told:
    """The pictures of a folder's metadata.jsonl (or another of its tables) that have a text; of several captions the
    first counts.

    Raises EaselError where there is no table, where not one line has a text, and on a name beyond the folder.
    """
    if not folder.is_dir():
        raise EaselError(f"there is no folder {folder}")
    if not is_metadata(folder):
        raise EaselError(
            f"{folder} has no {FILES[0]}: `easel caption {folder} --out {folder}` writes one where the pictures lie "
            f"in {folder} itself"
        )
    lost = Lost()
    return _told(metadata(folder, lost), lost, str(folder))


def read_table(table: Path, there: Container[str], folder: str) -> Told:
    """The same of a metadata.jsonl whose pictures lie elsewhere, in `folder`, where those `there` are; their paths are
    then their names.
    """
    lost, seen = Lost(), set[str]()

    def items() -> Iterator[Item]:
        for where, row in rows(table, lost):
            item = item_of(row, where, Path(), lost)
            if item is None or item.name in seen:
                continue
            seen.add(item.name)
            if item.name in there:
                yield item
            else:
                lost.add(item.name)

    return _told(items(), lost, folder)


def _told(items: Iterator[Item], lost: Lost, folder: str) -> Told:
    told = Told()
    for item in items:
        if item.captions:
            key = told.key(item.name)
            told.texts[key], told.paths[key] = " ".join(item.captions[0].split()), item.path
        else:
            lost.skip("pictures without a text are left out", item.name, f"{item.name}: 'text' is missing or is empty")
    if lost.missing.count:
        total = lost.missing.count + len(told.texts)
        told.notes.append(
            f"{lost.missing.count:,} of {total:,} pictures were skipped: {', '.join(lost.missing.names[:3])} "
            f"{'is' if lost.missing.count == 1 else 'are'} not there"
        )
    told.notes.extend(lost.said())
    if not told.texts:
        first = lost.first or next(iter(told.notes), f"{folder} has no picture with a line in its table")
        raise EaselError(printable(first))
    return told
