"""DCGAN (Radford, Metz, Chintala 2015, arXiv 1511.06434): convolutions alone, any side from 8 to 1024 that is a power
of two, and 28 exactly (see `layers.sides`). With the defaults, the 64 px networks of the paper at half its width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easel.networks import layers


@dataclass(frozen=True)
class Config:
    """``channels`` at half the resolution, doubled downwards to at most ``widest``; ``norm`` of the critic."""

    network: str = "dcgan"
    resolution: int = 64
    latent: int = 100
    channels: int = 64
    widest: int = 1024
    norm: str = "batch"

    def __post_init__(self) -> None:
        layers.check(self)


class Generator(nn.Module):
    """z (n, latent) -> pictures (n, 3, resolution, resolution) in [-1, 1]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.body = layers.Growing(config.latent, config)

    def latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent) standard normal numbers."""
        return layers.draw(n, self.config.latent, generator, self)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n, latent) -> (n, 3, resolution, resolution)."""
        layers.refuse_condition(condition, "dcgan")
        picture: Tensor = self.body(z)
        return picture


class Critic(nn.Module):
    """Pictures (n, 3, resolution, resolution) -> scores (n,), higher is more real."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.body = layers.Shrinking(config, config.norm)
        self.score = layers.convolution(config.norm, self.body.wide, 1, self.body.side)
        self.score.apply(layers.init_weights)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n, 3, resolution, resolution) -> (n,)."""
        layers.refuse_condition(condition, "dcgan")
        scores: Tensor = self.score(self.body(x))  # (n, 1, 1, 1)
        return scores.flatten().float()


def players(config: Config) -> dict[str, nn.Module]:
    """The generator and its critic."""
    return {"generator": Generator(config), "critic": Critic(config)}
