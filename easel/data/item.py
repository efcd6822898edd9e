"""One picture of a set, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
    """Pictures that only a set's tables or only its folder knows, of one split or of all."""

    split: str | None = None
    missing: Tally = field(default_factory=Tally)
    """Named by a table, and not in the folder."""
    unnamed: Tally = field(default_factory=Tally)
    """In the folder, and named by no line of its table."""

    def counts(self, split: str) -> bool:
        """Whether a picture of this split is among those asked for."""
        return self.split in (None, split)

    def add(self, name: str, split: str = "") -> None:
        """Count one more that is not in the folder."""
        if self.counts(split):
            self.missing.add(name)
