"""A T2I-Adapter (Mou et al. 2023, arXiv 2302.08453) that says for each block whether it halves its map, so that one
can be made for any UNet; diffusers' own follows the blocks of Stable Diffusion 1.x or XL.
"""

from typing import Any

from diffusers.configuration_utils import register_to_config
from diffusers.models.adapter import T2IAdapter
from torch import nn


class PooledAdapter(T2IAdapter):
    """Maps (batch, in_channels, h, w) in [0, 1] to features, one tensor for each block of a UNet.

    Args:
        in_channels, channels, num_res_blocks, downscale_factor, adapter_type: as in diffusers.
        pooled_blocks: for each block whether it halves the map first; None leaves that to `adapter_type`, and the class
            is diffusers' own then.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 3,
        channels: tuple[int, ...] = (320, 640, 1280, 1280),
        num_res_blocks: int = 2,
        downscale_factor: int = 8,
        adapter_type: str = "full_adapter",
        pooled_blocks: tuple[bool, ...] | None = None,
    ) -> None:
        super().__init__(in_channels, list(channels), num_res_blocks, downscale_factor, adapter_type)
        for block, pooled in zip(self.blocks, pooled_blocks or (), strict=False):
            block.downsample = nn.AvgPool2d(kernel_size=2, stride=2, ceil_mode=True) if pooled else None

    @property
    def blocks(self) -> Any:
        """The blocks, each of which gives one tensor."""
        return self.adapter.body

    @property
    def pixels_a_cell(self) -> list[int]:
        """For each block how many pixels of the map a cell of its tensor stands for, along a side."""
        side, found = int(self.downscale_factor), []
        for block in self.blocks:
            side *= 1 if block.downsample is None else 2
            found.append(side)
        return found
