"""A transformers ResNet run without aliasing, so that its maps carry gradients to all pixels alike.

A stride of two looks at every second place only, and a picture that is optimised through it takes on a grid. Here a
strided convolution is computed at every place, and its output smoothed before it is thinned out (Zhang 2019, arXiv
1904.11486, section 3.2). The largest of neighbours becomes their mean, as in Gatys et al. 2015, section 2.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

NARROW, WIDE = (1.0, 2.0, 1.0), (1.0, 4.0, 6.0, 4.0, 1.0)
"""Binomial kernels: before one halving, and in the stem, which halves twice."""


class SmoothResNet(nn.Module):
    """Pictures in, the maps of chosen layers out: `stem` at full resolution, then `stage1`, `stage2`, ..."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: Any, mean: Sequence[float], deviation: Sequence[float]) -> None:
        """``network``: a transformers ResNetModel; ``mean`` and ``deviation`` of the colours, 0 to 1, it was trained
        with.
        """
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None], persistent=False)
        self.strides, self.reach = self._geometry()

    def _geometry(self) -> tuple[dict[str, int], int]:
        """The stride of every layer, and how far the last one reaches."""
        stride, reach = 1, self.network.embedder.embedder.convolution.kernel_size[0] // 2
        strides = {"stem": stride}
        reach, stride = reach + 2 * (1 + 2), 4  # smoothed by five, twice, the second time at half resolution
        for number, stage in enumerate(self.network.encoder.stages, 1):
            for layer in stage.layers:
                for part in layer.layer:
                    reach += part.convolution.kernel_size[0] // 2 * stride
                    if part.convolution.stride[0] == 2:
                        reach, stride = reach + stride, stride * 2
            strides[f"stage{number}"] = stride
        return strides, reach

    def forward(self, pictures: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Maps (n, c, h, w) of ``layers``, after their ReLU, from pictures (n, 3, h, w) in 0 to 1."""
        found: dict[str, Tensor] = {}
        embedder = self.network.embedder.embedder
        # channels last: an eighth faster on a CPU
        x = ((pictures - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last)
        x = embedder.activation(embedder.normalization(_dense(embedder.convolution, x)))
        if "stem" in layers:
            found["stem"] = x
        if len(found) == len(set(layers)):
            return found
        x = smoothed(smoothed(x, WIDE), WIDE)
        for number, stage in enumerate(self.network.encoder.stages, 1):
            for layer in stage.layers:
                x = _residual(layer, x)
            if f"stage{number}" in layers:
                found[f"stage{number}"] = x
            if len(found) == len(set(layers)):
                break
        return found


def _residual(layer: Any, x: Tensor) -> Tensor:
    """A basic or bottleneck layer (He et al. 2015, equation 2), thinned out after smoothing."""
    y, short = x, x
    for part in layer.layer:
        y = part.activation(part.normalization(_dense(part.convolution, y)))
        if part.convolution.stride[0] == 2:
            y, short = smoothed(y, NARROW), smoothed(short, NARROW)
    if not isinstance(layer.shortcut, nn.Identity):
        short = layer.shortcut.normalization(_dense(layer.shortcut.convolution, short))
    return layer.activation(y + short)  # type: ignore[no-any-return]


def _dense(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """The convolution at every place. Beyond the border are zeros, as when it learned: repeated or mirrored pixels are
    seen several times over, and optimised into a frame. Zeros paint a fainter one, which the margin of transfer takes.
    """
    return functional.conv2d(x, convolution.weight, convolution.bias, padding=convolution.kernel_size[0] // 2)


def smoothed(x: Tensor, kernel: tuple[float, ...]) -> Tensor:
    """Every second place of (n, c, h, w), each a binomial mean of its neighbours."""
    row = torch.tensor(kernel, device=x.device, dtype=x.dtype)
    square = (row[:, None] * row / row.sum().square()).expand(x.shape[1], 1, len(row), len(row))
    return functional.conv2d(x, square, stride=2, padding=len(kernel) // 2, groups=x.shape[1])
