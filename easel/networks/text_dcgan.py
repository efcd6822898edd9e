"""Text to image by a DCGAN (Reed 2016, arXiv 1605.05396): the caption's embedding, made by a text encoder elsewhere,
joins the noise of the generator and the last map of a matching-aware critic.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from easel.networks import layers


@dataclass(frozen=True)
class Config:
    """``embedding`` numbers a caption, squeezed to ``words`` in each player (128 in the paper, section 4)."""

    network: str = "text-dcgan"
    resolution: int = 64
    embedding: int = 512
    words: int = 128
    latent: int = 100
    channels: int = 64
    widest: int = 1024
    norm: str = "batch"

    def __post_init__(self) -> None:
        layers.check(self)


def squeeze(config: Config) -> nn.Sequential:
    """The embedding made small: (n, embedding) -> (n, words)."""
    return nn.Sequential(
        layers.Standard(config.embedding), nn.Linear(config.embedding, config.words), nn.LeakyReLU(layers.SLOPE)
    )


class Generator(nn.Module):
    """z (n, latent) and embeddings (n, embedding) -> pictures (n, 3, resolution, resolution) in [-1, 1]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.words = squeeze(config)
        self.body = layers.Growing(config.latent + config.words, config)

    def latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent) standard normal numbers."""
        return layers.draw(n, self.config.latent, generator, self)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n, latent), (n, embedding) -> (n, 3, resolution, resolution)."""
        words = self.words(condition)
        picture: Tensor = self.body(torch.cat([z, words.to(z.dtype)], dim=1))
        return picture


class Critic(nn.Module):
    """Pictures (n, 3, side, side) and embeddings (n, embedding) -> scores (n,): is it real, and does it match?

    The words stand at every place of the last map; a 1x1 convolution looks at both (Reed 2016, section 4.1). It
    learns to match from real pictures with a wrong caption: `easel.training.objectives.matching_aware`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.words = squeeze(config)
        self.body = layers.Shrinking(config, config.norm)
        wide, side = self.body.wide, self.body.side
        self.joint = layers.convolution(config.norm, wide + config.words, wide, 1)
        self.norm = layers.NORMS[config.norm](wide)
        self.score = layers.convolution(config.norm, wide, 1, side)
        for part in (self.joint, self.norm, self.score):
            part.apply(layers.init_weights)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n, 3, resolution, resolution), (n, embedding) -> (n,)."""
        features: Tensor = self.body(x)  # (n, wide, side, side)
        words = self.words(condition)[:, :, None, None].expand(-1, -1, *features.shape[2:])
        both = self.norm(self.joint(torch.cat([features, words.to(features.dtype)], dim=1)))
        scores: Tensor = self.score(functional.leaky_relu(both, layers.SLOPE))
        return scores.flatten().float()


def interpolated(embeddings: Tensor, share: float = 0.5) -> Tensor:
    """Captions nobody wrote, between two that somebody did: (n, embedding) in and out (Reed 2016, section 4.3).

    Each is interpolated with its neighbour, the last with the first. The generator alone is trained on these.
    """
    return torch.lerp(embeddings, embeddings.roll(-1, dims=0), 1 - share)


def players(config: Config) -> dict[str, nn.Module]:
    """The generator and its matching-aware critic."""
    return {"generator": Generator(config), "critic": Critic(config)}
