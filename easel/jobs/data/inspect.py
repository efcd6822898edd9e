"""What a look at one picture tells: its size, its light, and a few small copies to compare it by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.data.item import Item
from easel.data.square import middle, opened
from easel.errors import EaselError

COPY_SIDE = 12
TINT = 6
"""Levels of 255 that the channels of a picture without colour may differ by."""


@dataclass(frozen=True, eq=False)
class Look:
    """One picture, measured as it is shown: upright, RGB, transparency on white."""

    width: int
    height: int
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


def look(item: Item, thumbnail: int = 0) -> Look | str:
    """Measure the picture of an item, or say why it cannot be opened. `thumbnail`: pixels a side, 0 for none."""
    try:
        picture = opened(item)
    except EaselError as problem:
        return str(problem)
    small = picture.resize((64, 64), Image.Resampling.BOX)
    luma = np.asarray(small.convert("L"), np.float32)
    colours = np.asarray(small, np.int16)
    return Look(
        width=picture.width,
        height=picture.height,
        brightness=float(luma.mean()),
        contrast=float(luma.std()),
        is_grey=bool(np.ptp(colours, axis=2).max() <= TINT),
        bits=difference_hash(np.asarray(picture.resize((9, 8), Image.Resampling.BOX).convert("L"), np.uint8)),
        copy=np.asarray(picture.resize((COPY_SIDE, COPY_SIDE), Image.Resampling.BOX), np.uint8),
        note=str(picture.info.get("note", "")),
        thumbnail=thumb(picture, thumbnail) if thumbnail else None,
    )


def difference_hash(rows: NDArray[np.uint8]) -> int:
    """64 bits of an (8, 9) grey picture: whether each pixel is darker than the one to its right (Krawetz 2013)."""
    return int.from_bytes(np.packbits(rows[:, :-1] < rows[:, 1:]).tobytes(), "big")


def thumb(picture: Image.Image, side: int) -> NDArray[np.uint8]:
    """The middle square, (side, side, 3)."""
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX, box=middle(picture.size)), np.uint8)
