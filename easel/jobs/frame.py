"""A photo brought to the size that a model draws at, and the drawn picture brought back: nothing is stretched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Frame:
    """Where a photo lies in the drawn picture: at its left top, the rest is filled with its mirror image."""

    whole: tuple[int, int]
    """Width and height that are drawn."""
    part: tuple[int, int]
    """Width and height of the photo in it."""

    @classmethod
    def of(cls, photo: Image.Image, whole: tuple[int, int]) -> Frame:
        """The largest place for a photo, in its proportions, in a picture of this size."""
        scale = min(whole[0] / photo.width, whole[1] / photo.height)
        across, down = (max(1, round(side * scale)) for side in photo.size)
        return cls(whole, (min(across, whole[0]), min(down, whole[1])))

    def fit(self, picture: Image.Image) -> Image.Image:
        """A picture of the photo's proportions, in the frame."""
        return self.fill(picture.resize(self.part, Image.Resampling.LANCZOS))

    def fill(self, small: Image.Image) -> Image.Image:
        """A picture of the part's size, mirrored outwards to the whole."""
        if small.size == self.whole:
            return small
        right, below = self.whole[0] - self.part[0], self.whole[1] - self.part[1]
        pixels = np.asarray(small)
        around = [(0, below), (0, right), (0, 0)][: pixels.ndim]
        return Image.fromarray(np.pad(pixels, around, mode="symmetric"))

    def back(self, drawn: Image.Image) -> Image.Image:
        """The photo's part of a drawn picture."""
        return drawn if self.part == self.whole else drawn.crop((0, 0, *self.part))
