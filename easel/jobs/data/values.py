"""The values of a summary: measurements of a picture, of a set, and all that page and chart are drawn from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from easel.data import PictureSet
from easel.jobs.data.duplicates import DuplicateGroup
from easel.jobs.data.panels import Panel


@dataclass(frozen=True, eq=False)
class PictureStats:
    """Measurements of one picture as it is shown: upright, RGB, transparency on white."""

    width: int
    height: int
    """Pixels."""
    brightness: float
    """Mean luma, 0 to 255 (ITU-R BT.601)."""
    contrast: float
    """Standard deviation of the luma, 0 to 127.5."""
    is_grey: bool
    bits: int
    """The difference hash: 64 bits, each whether a pixel of an 8 x 9 copy is darker than its right neighbour."""
    copy: NDArray[np.uint8]
    """(12, 12, 3): the whole picture, squeezed."""
    note: str
    """What the opener had to say, such as that it is an animation."""
    thumbnail: NDArray[np.uint8] | None = None
    """(side, side, 3): the middle square; only where it was asked for."""


@dataclass
class SetStats:
    """Measurements of a set, in columns over the pictures that open, and the names of those that do not."""

    indices: list[int] = field(default_factory=list)
    """Index of each in the set."""
    widths: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    brightness: list[float] = field(default_factory=list)
    contrast: list[float] = field(default_factory=list)
    copies: list[NDArray[np.uint8]] = field(default_factory=list)
    bits: list[int] = field(default_factory=list)
    colourless: int = 0
    notes: list[str] = field(default_factory=list)
    thumbs: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    """(side, side, 3) by index in the set, of those that are on the map."""
    broken: dict[str, str] = field(default_factory=dict)
    """Name -> why it does not open."""

    def add(self, index: int, stats: PictureStats) -> None:
        """Append a picture's measurements."""
        self.indices.append(index)
        self.widths.append(stats.width)
        self.heights.append(stats.height)
        self.brightness.append(stats.brightness)
        self.contrast.append(stats.contrast)
        self.copies.append(stats.copy)
        self.bits.append(stats.bits)
        self.colourless += stats.is_grey
        if stats.note:
            self.notes.append(stats.note)
        if stats.thumbnail is not None:
            self.thumbs[index] = stats.thumbnail


@dataclass(frozen=True)
class Summary:
    """All that the page and the chart are drawn from."""

    title: str
    pictures: PictureSet
    stats: SetStats
    numbers: dict[str, str]
    panels: list[Panel]
    groups: list[DuplicateGroup]
    cells: dict[int, tuple[int, int]]
    """Column and row on the map by index in the set."""
    extremes: dict[str, list[int]]
    """Indices in the set of the darkest, the brightest, ... pictures."""
    judge: str
