"""ControlGAN (Lee, Seok 2017, arXiv 1708.00598): three players. The critic only tells real from made; a classifier,
taught on real pictures alone, tells attributes; the generator has to please both, in a proportion that
`easel.training.objectives.update_classifier_weight` moves (equation 4).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from easel.networks import layers


@dataclass(frozen=True)
class Config:
    """As dcgan's, with the number of ``attributes``; ``norm`` is the critic's, the classifier has batch norm."""

    network: str = "control-gan"
    resolution: int = 64
    attributes: int = 1
    latent: int = 100
    channels: int = 64
    widest: int = 512
    norm: str = "spectral"

    def __post_init__(self) -> None:
        layers.check(self)


class Generator(nn.Module):
    """z (n, latent) and attributes (n, attributes) in 0-1 -> pictures (n, 3, resolution, resolution) in [-1, 1]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.body = layers.Growing(config.latent + config.attributes, config, config.attributes)

    def latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent) standard normal numbers."""
        return layers.draw(n, self.config.latent, generator, self)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n, latent), (n, attributes) from 0, without, to 1, with -> (n, 3, resolution, resolution)."""
        signs = 2 * layers.vector(condition, self.config.attributes, "attributes") - 1
        picture: Tensor = self.body(torch.cat([z, signs], dim=1), signs)
        return picture


class Critic(nn.Module):
    """Pictures (n, 3, resolution, resolution) -> scores (n,). Attributes are the classifier's part."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.body = layers.Shrinking(config, config.norm)
        self.score = layers.convolution(config.norm, self.body.wide, 1, self.body.side)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:  # noqa: ARG002 - the players' contract
        """(n, 3, resolution, resolution) -> (n,); the condition is left aside."""
        scores: Tensor = self.score(self.body(x))
        return scores.flatten().float()


class Classifier(nn.Module):
    """Pictures (n, 3, resolution, resolution) -> logits (n, outputs): one an attribute, above 0 where it is there.

    For cgan's classes the highest says which.
    """

    def __init__(self, config: Any, outputs: int) -> None:
        super().__init__()
        self.body = layers.Shrinking(config, "batch")
        self.logits = nn.Conv2d(self.body.wide, outputs, self.body.side)
        layers.init_weights(self.logits)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, resolution, resolution) -> (n, outputs)."""
        logits: Tensor = self.logits(self.body(x))
        return logits[:, :, 0, 0].float()


def players(config: Config) -> dict[str, nn.Module]:
    """The generator, its critic, and the classifier of attributes."""
    classifier = Classifier(config, config.attributes)
    return {"generator": Generator(config), "critic": Critic(config), "classifier": classifier}
