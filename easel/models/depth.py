"""How near things in a picture are: DPT (Ranftl et al. 2021, arXiv 2103.13413), Depth Anything (Yang et al. 2024, arXiv
2406.09414).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from easel.models.catalog.locate import LocatedModel
from easel.models.vision import load_vision

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray


class Depth:
    """A loaded model of depth from one picture."""

    def __init__(self, located: LocatedModel, device: str = "auto", dtype: str = "auto") -> None:
        self.name, self.notes = located.name, list(located.notes)
        classes = ("DepthAnythingForDepthEstimation", "DPTForDepthEstimation")
        self._loaded = load_vision(located, classes, device, dtype)
        self._is_metric = getattr(self._loaded.model.config, "depth_estimation_type", "relative") == "metric"
        self._loaded.trial(lambda image: self.nearness([image]))

    def nearness(self, images: Sequence[Image.Image]) -> list[NDArray[float32]]:
        """For each picture how near things are, (h, w) at the picture's size, in 0 to 1: 1 is the nearest there.

        The scale is each picture's own; where all is equally near it is 0 throughout.
        """
        import numpy as np
        import torch

        found = []
        for image in images:  # one by one: the processor keeps proportions, so that sizes differ
            with torch.no_grad():
                far = self._loaded.model(pixel_values=self._loaded.pixels([image])).predicted_depth[:, None].float()
            near = -far if self._is_metric else far  # relative models predict inverse depth
            size = (image.height, image.width)
            sized = torch.nn.functional.interpolate(near, size=size, mode="bicubic", align_corners=False)[0, 0]
            low, high = sized.min(), sized.max()
            whole = (sized - low) / (high - low) if high > low else torch.zeros_like(sized)
            found.append(whole.cpu().numpy().astype(np.float32))
        return found

    def maps(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """For each picture its depth as ControlNet was taught it: RGB of the picture's size, near is white."""
        import numpy as np

        levels = [np.rint(near * 255).astype(np.uint8) for near in self.nearness(images)]
        return [Image.fromarray(level).convert("RGB") for level in levels]
