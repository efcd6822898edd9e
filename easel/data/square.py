"""A picture as a square of pixels: the subject's part, shrunk by area averaging, the middle cut out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.data.item import Box, Item
from easel.errors import EaselError, printable
from easel.images import open_picture

LEAST_BOX = 8
"""Pixels that the part of a picture must have a side, to be worth keeping."""

Frame = tuple[float, float, float, float]


def opened(item: Item, most_side: int | None = None) -> Image.Image:
    """The picture of an item: upright RGB, whatever its file is, its longer side at most so many pixels.

    Raises EaselError when it is broken.
    """
    return open_picture(item.path, most_side)


def cut(item: Item, side: int) -> NDArray[np.uint8]:
    """The square of an item that training sees. Raises EaselError, naming the picture, where there is none."""
    picture = opened(item)
    try:
        return square(picture, side, item.box)
    except EaselError as problem:
        raise EaselError(f"{printable(item.name)}: {problem}") from problem


def square(picture: Image.Image, side: int, box: Box | None = None) -> NDArray[np.uint8]:
    """(side, side, 3) uint8: the middle square of the picture, or the square around `box`.

    Shrinking averages areas (every pixel counts once, so nothing aliases); enlarging is bicubic. The shorter side
    becomes `side`. Raises EaselError where `box` lies outside the picture.
    """
    frame = around(box, picture.size) if box else middle(picture.size)
    edge = frame[2] - frame[0]
    method = Image.Resampling.BOX if edge >= side else Image.Resampling.BICUBIC
    return np.asarray(picture.resize((side, side), method, box=frame), np.uint8)


def middle(size: tuple[int, int]) -> Frame:
    """The largest square in the middle of a picture of this width and height."""
    width, height = size
    edge = min(width, height)
    left, top = (width - edge) / 2, (height - edge) / 2
    return left, top, left + edge, top + edge


def around(box: Box, size: tuple[int, int]) -> Frame:
    """The square that holds `box`: as wide as its longer side, moved into the picture, cut where that is too small.

    So a bird keeps its tail, which the middle square of a long box would lose.
    """
    width, height = size
    left, top = max(0, box[0]), max(0, box[1])
    right, bottom = min(width, box[2]), min(height, box[3])
    if right - left < LEAST_BOX or bottom - top < LEAST_BOX:
        raise EaselError(f"its box {box} has under {LEAST_BOX} pixels a side within {width} x {height}")
    edge = min(max(right - left, bottom - top), width, height)
    x = min(max((left + right - edge) / 2, 0), width - edge)
    y = min(max((top + bottom - edge) / 2, 0), height - edge)
    return x, y, x + edge, y + edge
