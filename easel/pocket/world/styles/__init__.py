"""Styles of painting as filters: each takes any RGB picture, drawn or photographed, and gives it back in that style.

The picture keeps its size and its content; the same picture and seed give the same bytes, always.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from easel.errors import EaselError, unknown
from easel.pocket.world.styles import (
    banksy,
    delaunay,
    hokusai,
    kandinsky,
    malevich,
    monet,
    pencil,
    pixel_art,
    van_gogh,
    watercolour,
)
from easel.pocket.world.styles.common import SMALLEST, Picture

Filter = Callable[[Picture, int], Picture]


def on_any_size(filter: Filter, image: Picture, seed: int = 0) -> Picture:
    """Run a filter on a picture of any size: very small ones are enlarged first and reduced after.

    image: RGB uint8 (h, w, 3), at least 1 x 1. Returns the same shape and type. Raises EaselError for anything else.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise EaselError(f"a picture is RGB bytes (height, width, 3): this is {image.dtype} {image.shape}")
    height, width = image.shape[:2]
    roomy = (max(width, SMALLEST), max(height, SMALLEST))
    if roomy == (width, height):
        return filter(np.ascontiguousarray(image), seed)
    painted = filter(np.asarray(cv2.resize(image, roomy, interpolation=cv2.INTER_CUBIC), np.uint8), seed)
    return np.asarray(cv2.resize(painted, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


STYLES: dict[str, Filter] = {
    "van-gogh": partial(on_any_size, van_gogh.paint),
    "malevich": partial(on_any_size, malevich.paint),
    "delaunay": partial(on_any_size, delaunay.paint),
    "banksy": partial(on_any_size, banksy.paint),
    "monet": partial(on_any_size, monet.paint),
    "hokusai": partial(on_any_size, hokusai.paint),
    "kandinsky": partial(on_any_size, kandinsky.paint),
    "pencil": partial(on_any_size, pencil.paint),
    "watercolour": partial(on_any_size, watercolour.paint),
    "pixel-art": partial(on_any_size, pixel_art.paint),
}


def apply(name: str, image: Picture, seed: int = 0) -> Picture:
    """Paint the picture in a style of STYLES ("plain" gives a copy).

    image: RGB uint8 (h, w, 3). Returns RGB uint8 of the same shape. Raises EaselError for an unknown name.
    """
    if name == "plain":
        return image.copy()
    if name not in STYLES:
        raise unknown("style filter", name, ["plain", *STYLES])
    return STYLES[name](image, seed)
