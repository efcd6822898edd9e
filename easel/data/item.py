"""One picture of a set, and what is known of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from easel.errors import printable

Value = str | bool | int | float
"""What an attribute may be: a word, yes or no, or a number."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the picture as it is shown; right and bottom are the first ones outside."""

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "valid",
    "valid": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}
"""What folders and tables call the parts of a set, and what they are called here."""

FEW = 5
"""So many names of lost pictures are kept."""
MOST_NOTE = 400
"""Letters of a note."""
MOST_CAPTION = 10_000
"""Letters of a caption."""
LARGEST = 1 << 30
"""Pixels that an edge of a box may lie at."""


def box_from(edges: Sequence[object]) -> Box | None:
    """Left, top, right, bottom as a box: rounded; None where they are no such numbers, negative, or hold nothing."""
    if len(edges) != 4:
        return None
    found: list[int] = []
    for edge in edges:
        try:
            number = float(edge) if isinstance(edge, int | float | str) and not isinstance(edge, bool) else math.nan
        except (ValueError, OverflowError):
            return None
        if not 0 <= number <= LARGEST:  # NaN is neither
            return None
        found.append(round(number))
    left, top, right, bottom = found
    return (left, top, right, bottom) if left < right and top < bottom else None


@dataclass(frozen=True, slots=True)
class Item:
    """One picture. Items are made when they are asked for; a set keeps columns, not items.

    `name` is the path within the set's folder, with forward slashes. `label` is the name of its class, `box` the part
    that shows the subject, `split` one of train, valid, test or nothing.
    """

    name: str
    path: Path
    captions: tuple[str, ...] = ()
    label: str | None = None
    attributes: Mapping[str, Value] = field(default_factory=dict)
    box: Box | None = None
    split: str = ""


@dataclass(slots=True)
class Tally:
    """How many, and the first few by name."""

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count one more."""
        self.count += 1
        self.names += [name][: FEW - len(self.names)]


@dataclass(slots=True)
class Lost:
    """What of a folder and its tables does not come into the set, of one split or of all, and what a reader doubted."""

    split: str | None = None
    missing: Tally = field(default_factory=Tally)
    """Named by a table, and not in the folder."""
    unnamed: Tally = field(default_factory=Tally)
    """In the folder, and named by no line of its table."""
    skipped: dict[str, Tally] = field(default_factory=dict)
    """Annotations that say nothing, by what is wrong with them."""
    notes: list[str] = field(default_factory=list)
    """What was left out, and what was taken for what, in sentences."""
    read: set[str] = field(default_factory=set)
    """The tables of the folder that are read, or that a note names."""
    first: str = ""
    """Why the first of what was skipped says nothing, in a sentence."""

    def counts(self, split: str) -> bool:
        """Whether a picture of this split is among those asked for."""
        return self.split in (None, split)

    def add(self, name: str, split: str = "") -> None:
        """Count one more that is not in the folder."""
        if self.counts(split):
            self.missing.add(name)

    def skip(self, what: str, name: str, why: str = "") -> None:
        """Count one more annotation, or file, that is passed over; `why` is said where nothing else is left."""
        self.first = self.first or why
        self.skipped.setdefault(what, Tally()).add(name)

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self.notes:
            self.notes.append(text)

    def said(self) -> tuple[str, ...]:
        """All notes, each on one line."""
        counted = [
            f"{what}: {tally.count:,} ({', '.join(tally.names[:2])}{', ...' if tally.count > 2 else ''})"
            for what, tally in self.skipped.items()
        ]
        return tuple(printable(text, MOST_NOTE) for text in (*self.notes, *counted))
