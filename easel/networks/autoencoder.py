"""An autoencoder that spends its time at low resolution: pixels are folded into channels before the first convolution.

It has the surface of diffusers' ``AutoencoderKL`` (``encode(x).latent_dist``, ``decode(z).sample``,
``config.scaling_factor``),
so that every Stable Diffusion pipeline takes it as it is; what differs is where the work is done. ``AutoencoderKL``
convolves at full resolution, which on a CPU costs more than all the rest of a picture (docs/lab/decisions.md has the
numbers).
The folding is PixelUnshuffle (Shi et al. 2016, arXiv 1609.05158), the latent a diagonal Gaussian (Rombach et al.
2022, section 3.1).
"""

from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

FOLD = 4
"""Pixels folded into channels before the first convolution; one stride-2 step then makes the factor 8."""


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut, (batch, channels, h, w) in and out. The last one starts at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, h, w) in and out."""
        inner: Tensor = self.conv2(nn.functional.silu(self.conv1(nn.functional.silu(x))))
        return x + inner


class PixelAutoencoder(ModelMixin, ConfigMixin):
    """Pictures (batch, 3, h, w) in [-1, 1] to latents (batch, latent_channels, h/8, w/8) and back.

    Args:
        latent_channels: channels of the latent.
        block_out_channels: channels at 1, 1/2, 1/4 and 1/8 of the resolution; the first two are folded pixels and
            are named only because pipelines read the factor 8 from this length.
        encoder_blocks, decoder_blocks: residual blocks at 1/4 and at 1/8.
        scaling_factor: what pipelines multiply latents with, so that their standard deviation is one.

    ``h`` and ``w`` are multiples of 8; anything else is refused by PixelUnshuffle with its own message.
    """

    config_name = "config.json"
    _supports_gradient_checkpointing = False

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        latent_channels: int = 8,
        block_out_channels: tuple[int, ...] = (3, 12, 128, 192),
        encoder_blocks: tuple[int, int] = (1, 2),
        decoder_blocks: tuple[int, int] = (3, 2),
        scaling_factor: float = 1.0,  # noqa: ARG002 - kept in the config, where pipelines read it
        force_upcast: bool = False,  # noqa: ARG002 - likewise
    ) -> None:
        super().__init__()
        fine, coarse = block_out_channels[2:]
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(FOLD),
            nn.Conv2d(3 * FOLD**2, fine, 3, padding=1),
            *(Block(fine) for _ in range(encoder_blocks[0])),
            nn.Conv2d(fine, coarse, 4, stride=2, padding=1),
            *(Block(coarse) for _ in range(encoder_blocks[1])),
            nn.SiLU(),
            nn.Conv2d(coarse, 2 * latent_channels, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_channels, coarse, 3, padding=1),
            *(Block(coarse) for _ in range(decoder_blocks[1])),
            nn.Conv2d(coarse, 4 * fine, 1),
            nn.PixelShuffle(2),
            *(Block(fine) for _ in range(decoder_blocks[0])),
            nn.SiLU(),
            nn.Conv2d(fine, 3 * FOLD**2, 3, padding=1),
            nn.PixelShuffle(FOLD),
        )

    def encode(self, x: Tensor, return_dict: bool = True) -> Any:
        """(batch, 3, h, w) in [-1, 1] -> the latent's distribution, (batch, latent_channels, h/8, w/8)."""
        distribution = DiagonalGaussianDistribution(self.encoder(x))
        return AutoencoderKLOutput(latent_dist=distribution) if return_dict else (distribution,)

    def decode(
        self,
        z: Tensor,
        return_dict: bool = True,
        generator: torch.Generator | None = None,  # noqa: ARG002 - pipelines pass it
    ) -> Any:
        """(batch, latent_channels, h/8, w/8) -> pictures (batch, 3, h, w), about [-1, 1]. ``generator`` is not used."""
        picture: Tensor = self.decoder(z)
        return DecoderOutput(sample=picture) if return_dict else (picture,)

    def forward(self, x: Tensor) -> Tensor:
        """There and back, by the mean of the latent."""
        mean, _ = self.encoder(x).chunk(2, dim=1)
        picture: Tensor = self.decoder(mean)
        return picture
