"""Masks of what is drawn anew: white is, black is kept, grey between is blended when the picture is pasted back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from easel.errors import EaselError

if TYPE_CHECKING:
    from torch import Tensor

HALF = 128
"""From this level (of 255) on a pixel is drawn anew."""


def check(mask: Image.Image, photo: Image.Image) -> None:
    """EaselError where a mask is of another size than its photo, or marks nothing."""
    if mask.size != photo.size:
        raise EaselError(
            f"the mask is {mask.width} x {mask.height} and the photo {photo.width} x {photo.height}: give a mask of "
            "the photo's size"
        )
    if levels(mask).getextrema()[1] < HALF:  # type: ignore[operator]
        raise EaselError("the mask marks nothing: what is to be drawn anew is white in it")


TINT, TINTED = 64, 0.01
"""A mask with a larger spread of its colours (levels of 255) in more than this share of its pixels is not grey."""


def is_coloured(mask: Image.Image) -> bool:
    """Whether a picture is in colours, and not in black, white and grey (as JPEG leaves them)."""
    import numpy as np

    return bool((np.ptp(np.asarray(mask.convert("RGB")), axis=2) > TINT).mean() > TINTED)


def levels(mask: Image.Image) -> Image.Image:
    """A mask in one channel, transparency as black."""
    if "A" in mask.getbands():
        mask = Image.alpha_composite(Image.new("RGBA", mask.size, "black"), mask.convert("RGBA"))
    return mask.convert("L")


def hard(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A mask of two levels, 0 and 255, at a size."""
    at_size = levels(mask).resize(size, Image.Resampling.BILINEAR) if mask.size != size else levels(mask)
    return at_size.point([255 if level >= HALF else 0 for level in range(256)])


def in_latents(mask: Image.Image, size: tuple[int, int], factor: int) -> Tensor:
    """Which cells of a latent are drawn anew, (1, 1, h / factor, w / factor), 1 or 0: each that a marked pixel touches.

    `size` is (w, h), multiples of `factor`.
    """
    import numpy as np
    import torch

    marked = torch.from_numpy(np.array(hard(mask, size), dtype=np.float32))[None, None] / 255
    cells: Tensor = torch.nn.functional.max_pool2d(marked, factor)
    return cells


def paste_back(photo: Image.Image, picture: Image.Image, mask: Image.Image) -> Image.Image:
    """The picture where the mask is white, the photo to the last bit where it is black, blended where it is grey.

    All three are of one size; EaselError where they are not.
    """
    if not photo.size == picture.size == mask.size:
        raise EaselError(
            f"photo, picture and mask are of three sizes ({photo.size}, {picture.size}, {mask.size}): make them one"
        )
    return Image.composite(picture.convert("RGB"), photo.convert("RGB"), levels(mask))
