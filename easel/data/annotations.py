"""What is known of every picture of a set, in columns: names, captions, classes, attributes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from easel.data.columns import MISSING, Captions, Column, ColumnBuilder, Texts
from easel.data.item import Box, Item
from easel.errors import EaselError, is_text, printable, unknown

V = TypeVar("V", str, str | bool | int | float)
MOST_VALUE = 1000
"""Letters of a class or of an attribute's value."""
MAX_NAMED = 3
"""So many names stand in an error before "and 7 more"."""
ADVICE = {
    "captions": "give each a line with file_name and text in metadata.jsonl, in the set's folder",
    "labels": "give each a line with file_name and label in metadata.jsonl, in the set's folder",
    "attribute": "give each a line with file_name and the attribute in metadata.jsonl, in the set's folder",
}
"""What to do about pictures that lack something: true in every layout."""


@dataclass(frozen=True, eq=False)
class Annotations:
    """Columns over n pictures. A set that is opened and a set that is packed both have them."""

    names: Texts
    """Path of each picture within the set's folder."""
    captions: Captions
    """A tuple of captions for each picture, empty where it has none."""
    label: Column
    """The class of each picture as a column; `labels` and `classes` are its two halves."""
    attributes: dict[str, Column] = field(default_factory=dict)
    """Every attribute by its name."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def labels(self) -> NDArray[np.int32]:
        """(n,) int32: the place of each picture's class in `classes`, -1 where it has none."""
        return self.label.codes

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the alphabet."""
        return tuple(str(value) for value in self.label.values)

    @property
    def captioning(self) -> str:
        """How pictures come to captions."""
        return ADVICE["captions"]

    def attribute(self, name: str) -> Column:
        """An attribute by its name. Raises EaselError with the nearest ones when there is none."""
        if name not in self.attributes:
            raise unknown("attribute", name, self.attributes)
        return self.attributes[name]

    def require(self, *wanted: str, least: int = 2) -> None:
        """Refuse a set that lacks what a job needs: "captions", "labels", or the name of an attribute.

        Raises EaselError that says how many pictures lack it, and the first of them; also when there are fewer than
        `least` pictures, and when there is only one class or one value to tell apart.
        """
        if len(self) < least:
            raise EaselError(f"the set has {_pictures(len(self))}: at least {least} are needed")
        for word in wanted:
            if word == "captions":
                self._refuse_lacking(~self.captions.present, "caption", self.captioning)
            else:
                self._require_column(word)

    def _require_column(self, word: str) -> None:
        column = self.label if word == "labels" else self.attribute(word)
        what = "class" if word == "labels" else f"value of '{word}'"
        advice = ADVICE["labels" if word == "labels" else "attribute"]
        self._refuse_lacking(column.codes == MISSING, what, advice)
        if len(np.unique(column.codes)) < 2:
            raise EaselError(f"all {len(self)} pictures have the same {what} ({column[0]}): at least two are needed")

    def _refuse_lacking(self, lacking: NDArray[np.bool_], what: str, advice: str) -> None:
        rows = np.flatnonzero(lacking)
        if len(rows):
            named = ", ".join(printable(self.names[int(at)]) for at in rows[:MAX_NAMED])
            more = f" and {len(rows) - MAX_NAMED} more" if len(rows) > MAX_NAMED else ""
            have = "has" if len(rows) == 1 else "have"
            raise EaselError(f"{len(rows)} of {_pictures(len(self))} {have} no {what} ({named}{more}): {advice}")

    def small_classes(self, least: int = 2) -> list[str]:
        """Classes with fewer than `least` pictures: a network sees too little of them, and a split may lose them."""
        counts = np.bincount(self.labels[self.labels >= 0], minlength=len(self.classes))
        return [name for name, count in zip(self.classes, counts, strict=True) if count < least]

    def subset(self, indices: NDArray[Any]) -> Annotations:
        """The annotations of some pictures (m,), in the order given."""
        places = [int(at) for at in indices]
        return Annotations(
            names=Texts.of(self.names[at] for at in places),
            captions=Captions(Texts.of(self.captions.texts[at] for at in places)),
            label=self.label.subset(indices),
            attributes={name: column.subset(indices) for name, column in self.attributes.items()},
        )


@dataclass(frozen=True, eq=False)
class Collected:
    """The annotations of a set's items, with what only an unpacked set has: (n, 4) boxes, -1 for none, and splits."""

    annotations: Annotations
    boxes: NDArray[np.int32]
    split: Column


def collect(items: Iterable[Item]) -> Collected:
    """Columns of all items, which may come from a generator: none of them is kept."""
    names, captions, boxes = _TextBuffer(), _TextBuffer(), array("i")
    label, split, columns = ColumnBuilder(), ColumnBuilder(), dict[str, ColumnBuilder]()
    for row, item in enumerate(items):
        names.add(item.name)
        captions.add("\n".join(one for text in item.captions if (one := " ".join(text.split()))))
        boxes.extend(item.box or (MISSING,) * 4)
        label.set(row, None if item.label is None else _clean(item.label))
        split.set(row, item.split or None)
        for name, value in item.attributes.items():
            columns.setdefault(_clean(name), ColumnBuilder()).set(row, _clean(value))
    count = len(names.ends)
    found = {name: codes.done(name, count) for name, codes in columns.items()}
    annotations = Annotations(names.texts(), Captions(captions.texts()), label.done("label", count), found)
    return Collected(annotations, np.frombuffer(boxes, np.int32).reshape(-1, 4), split.done("split", count))


def _clean(value: V) -> V:
    """A value that can be written as UTF-8: names that are not UTF-8 stand escaped, and none is endless."""
    if not isinstance(value, str) or (len(value) <= MOST_VALUE and is_text(value)):
        return value
    return printable(value, MOST_VALUE)


class _TextBuffer:
    """Texts being filled."""

    def __init__(self) -> None:
        self.content, self.ends = bytearray(), array("Q")

    def add(self, text: str) -> None:
        self.content += text.encode("utf-8", "surrogateescape")
        self.ends.append(len(self.content))

    def texts(self) -> Texts:
        return Texts(np.frombuffer(self.content, np.uint8), np.frombuffer(self.ends, np.uint64))


def box_of(row: Sequence[int] | NDArray[np.int32]) -> Box | None:
    """A row of `Collected.boxes` as a box."""
    left, top, right, bottom = (int(edge) for edge in row)
    return None if right == MISSING else (left, top, right, bottom)


def _pictures(count: int) -> str:
    return f"{count:,} pictures" if count != 1 else "1 picture"
