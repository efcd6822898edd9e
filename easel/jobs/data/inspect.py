"""Measuring one picture of a set: its size, its brightness, and a few small copies to compare it by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.data.item import Item
from easel.data.square import middle, opened
from easel.errors import EaselError
from easel.images import READ_SIDE, size_of
from easel.jobs.data.values import PictureStats

COPY_SIDE = 12
MAX_TINT = 6
"""Levels of 255 that the channels of a picture without colour may differ by."""


def inspect(item: Item, thumbnail: int = 0) -> PictureStats | str:
    """Measure the picture of an item, or say why it cannot be opened. `thumbnail`: pixels a side, 0 for none."""
    try:
        picture = opened(item, READ_SIDE)
    except EaselError as problem:
        return str(problem)
    small = picture.resize((64, 64), Image.Resampling.BOX)
    luma = np.asarray(small.convert("L"), np.float32)
    colours = np.asarray(small, np.int16)
    width, height = size_of(picture)
    return PictureStats(
        width=width,
        height=height,
        brightness=float(luma.mean()),
        contrast=float(luma.std()),
        is_grey=bool(np.ptp(colours, axis=2).max() <= MAX_TINT),
        bits=difference_hash(np.asarray(picture.resize((9, 8), Image.Resampling.BOX).convert("L"), np.uint8)),
        copy=np.asarray(picture.resize((COPY_SIDE, COPY_SIDE), Image.Resampling.BOX), np.uint8),
        note=str(picture.info.get("note", "")),
        thumbnail=middle_square(picture, thumbnail) if thumbnail else None,
    )


def difference_hash(pixels: NDArray[np.uint8]) -> int:
    """64 bits of an (8, 9) grey picture: whether each pixel is darker than the one to its right (Krawetz 2013)."""
    return int.from_bytes(np.packbits(pixels[:, :-1] < pixels[:, 1:]).tobytes(), "big")


def middle_square(picture: Image.Image, side: int) -> NDArray[np.uint8]:
    """The middle square, (side, side, 3)."""
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX, box=middle(picture.size)), np.uint8)
