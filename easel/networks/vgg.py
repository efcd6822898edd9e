"""The convolutional part of VGG-19 (Simonyan and Zisserman 2014, arXiv 1409.1556, table 1, column E), which Gatys took
for style.

Its tensors are named as in torchvision's release, `features.N.weight` and `features.N.bias`: 20,024,384 numbers.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512))
"""Channels of each convolution, block by block; a pooling by two ends every block."""
LAYERS = tuple(f"conv{block}_{place}" for block, row in enumerate(WIDTHS, 1) for place in range(1, len(row) + 1))
"""The paper's names, conv1_1 to conv5_4: what comes out of each convolution and its ReLU."""
STRIDES = {name: 2 ** (int(name[4]) - 1) for name in LAYERS}
"""Pixels between neighbours in each layer's map."""
REACH = sum(2**block * (len(row) + 1) for block, row in enumerate(WIDTHS))
"""Pixels to each side that a place in the last layer's map depends on at most."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colours, 0 to 1, that the published weights were trained with."""


class Vgg19(nn.Module):
    """Pictures in, the maps of chosen layers out."""

    def __init__(self, average: bool = True) -> None:
        """``average``: pool by the mean, as Gatys et al. 2015, section 2, did, instead of by the largest; it may be
        changed at any time.
        """
        super().__init__()
        self.average = average
        parts: list[nn.Module] = []
        channels = 3
        for row in WIDTHS:
            for width in row:
                parts += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            parts.append(nn.MaxPool2d(2, ceil_mode=True))
        self.features = nn.Sequential(*parts)

    def forward(self, pictures: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Maps (n, c, h, w) of ``layers``, after their ReLU, from pictures (n, 3, h, w) in 0 to 1.

        Nothing beyond the last wanted layer is computed. The border of the picture is repeated once around it, where
        zeros would draw a frame.
        """
        found: dict[str, Tensor] = {}
        names = iter(LAYERS)
        x = normalised(pictures)
        for part in self.features:
            if len(found) == len(set(layers)):
                break
            if isinstance(part, nn.Conv2d) and part.in_channels == 3:
                x = functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), part.weight, part.bias)
            elif isinstance(part, nn.MaxPool2d) and self.average:
                x = functional.avg_pool2d(x, 2, ceil_mode=True)
            else:
                x = part(x)
            if isinstance(part, nn.ReLU) and (name := next(names)) in layers:
                found[name] = x
        return found


def normalised(pictures: Tensor) -> Tensor:
    """Pictures (n, 3, h, w) in 0 to 1 as the published weights want them."""
    mean, deviation = (torch.tensor(row, device=pictures.device)[:, None, None] for row in (MEAN, DEVIATION))
    return (pictures - mean) / deviation
