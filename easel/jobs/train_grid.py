"""Pictures of tensors, and many pictures as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from easel.sheet import PAPER

if TYPE_CHECKING:
    from torch import Tensor

LEAST_TILE = 64
GAP = 2


def pictures_of(tensor: Tensor) -> list[Image.Image]:
    """(n, 3, side, side) in [-1, 1] as 8-bit pictures: each level stands for an equal part of the range."""
    levels = ((tensor.detach().float() + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(one) for one in levels]


def mosaic(pictures: Sequence[Image.Image], columns: int | None = None) -> Image.Image:
    """Square pictures of one size side by side, about as wide as high; small ones enlarged pixel by pixel."""
    columns = columns or max(1, math.ceil(math.sqrt(len(pictures))))
    rows = -(-len(pictures) // columns)
    side = pictures[0].width
    tile = side * -(-LEAST_TILE // side) if side < LEAST_TILE else side
    page = Image.new("RGB", (columns * (tile + GAP) + GAP, rows * (tile + GAP) + GAP), PAPER)
    for index, picture in enumerate(pictures):
        left, top = index % columns, index // columns
        page.paste(
            picture.resize((tile, tile), Image.Resampling.NEAREST),
            (GAP + left * (tile + GAP), GAP + top * (tile + GAP)),
        )
    return page
