"""StackGAN (Zhang 2017, arXiv 1612.03242): stage I draws a small picture from a caption, stage II draws it again
larger, looking at the caption a second time. ``resolution`` equal to ``first`` is stage I; twice or four times that
is stage II.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from easel.errors import EaselError
from easel.networks import layers, text_dcgan


@dataclass(frozen=True)
class Config:
    """``first`` is stage I's side; ``words`` numbers are drawn about each caption; ``residuals`` blocks in stage II.

    ``channels`` at stage I's full side, doubled downwards to at most ``widest`` (64 and 1024 in the paper's networks).
    """

    network: str = "stackgan"
    resolution: int = 64
    first: int = 64
    embedding: int = 512
    words: int = 128
    latent: int = 100
    channels: int = 64
    widest: int = 1024
    residuals: int = 4
    norm: str = "batch"

    def __post_init__(self) -> None:
        layers.check(self)
        layers.sides(self.first)
        if self.resolution not in (self.first, 2 * self.first, 4 * self.first):
            sizes = f"{self.first} (stage I), {2 * self.first} or {4 * self.first} (stage II)"
            raise EaselError(f"stackgan after {self.first} px cannot draw {self.resolution} px: take {sizes}")


def doubling(a: int, b: int) -> nn.Sequential:
    """Twice the side by the nearest pixel, then a convolution: (n, a, h, w) -> (n, b, 2h, 2w)."""
    return nn.Sequential(nn.Upsample(scale_factor=2), *convolved(a, b))


def convolved(a: int, b: int) -> list[nn.Module]:
    """A 3x3 convolution, batch norm, ReLU: (n, a, h, w) -> (n, b, h, w)."""
    return [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]


class Augmentation(nn.Module):
    """Conditioning augmentation (section 3.2): a caption is a small cloud, N(mean, variance), not a point."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.standard = layers.Standard(config.embedding)
        self.linear = nn.Linear(config.embedding, 2 * config.words)

    def forward(self, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """(n, embedding) -> mean and log variance, (n, words) each. Their `kl` is the generator's regulariser."""
        embeddings = self.standard(condition)
        mean, log_variance = self.linear(embeddings).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-20, 10)


class StageOne(nn.Module):
    """z (n, latent + words) and embeddings -> pictures (n, 3, first, first) in [-1, 1].

    The last ``words`` numbers of z are the noise of the conditioning augmentation: z decides all.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.augmentation = Augmentation(config)
        self.side = layers.sides(config.first)[0]
        steps = len(layers.sides(config.first))
        wide = [min(config.widest, config.channels * 2 ** (steps - i)) for i in range(steps + 1)]
        self.open = nn.Linear(config.latent + config.words, wide[0] * self.side**2, bias=False)
        self.norm = nn.BatchNorm2d(wide[0])
        self.grow = nn.Sequential(*(doubling(a, b) for a, b in pairwise(wide)))
        self.last = nn.Conv2d(wide[-1], 3, 3, padding=1)

    def latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent + words) standard normal numbers."""
        return layers.draw(n, self.config.latent + self.config.words, generator, self)

    def moments(self, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the conditioning, (n, words) each."""
        mean, log_variance = self.augmentation(condition)
        return mean, log_variance

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n, latent + words), (n, embedding) -> (n, 3, first, first)."""
        noise, epsilon = z.split([self.config.latent, self.config.words], dim=1)
        words = layers.sample(self.moments(condition), epsilon)
        x = self.open(torch.cat([noise, words], dim=1)).unflatten(1, (-1, self.side, self.side))
        x = functional.relu(self.norm(x))  # (n, wide[0], side, side)
        return torch.tanh(self.last(self.grow(x)).float())


class Residual(nn.Module):
    """Two 3x3 convolutions with batch norm around a shortcut, (n, channels, h, w) in and out (He 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.layers = nn.Sequential(*convolved(channels, channels), second, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) in and out."""
        return functional.relu(x + self.layers(x))


class StageTwo(nn.Module):
    """z and embeddings -> pictures (n, 3, resolution, resolution) in [-1, 1]; ``first`` is a trained stage I, kept.

    Stage I's picture goes down to a quarter of its side, meets the words, passes residual blocks, grows (section 3.4).
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.first = StageOne(replace(config, resolution=config.first)).requires_grad_(False)
        self.augmentation = Augmentation(config)
        wide = [min(config.widest, 2 * config.channels * 2**i) for i in range(3)]
        self.encode = nn.Sequential(
            nn.Conv2d(3, wide[0], 3, padding=1), nn.ReLU(),
            nn.Conv2d(wide[0], wide[1], 4, 2, 1, bias=False), nn.BatchNorm2d(wide[1]), nn.ReLU(),
            nn.Conv2d(wide[1], wide[2], 4, 2, 1, bias=False), nn.BatchNorm2d(wide[2]), nn.ReLU(),
        )  # fmt: skip
        self.joint = nn.Sequential(*convolved(wide[2] + config.words, wide[2]))
        self.residuals = nn.Sequential(*(Residual(wide[2]) for _ in range(config.residuals)))
        steps = (4 * config.resolution // config.first).bit_length() - 1  # from first / 4 to resolution
        grown = [max(8, wide[2] >> i) for i in range(steps + 1)]
        self.grow = nn.Sequential(*(doubling(a, b) for a, b in pairwise(grown)))
        self.last = nn.Conv2d(grown[-1], 3, 3, padding=1)

    def train(self, mode: bool = True) -> "StageTwo":
        """Stage I stays as it was trained, its batch statistics too."""
        super().train(mode)
        self.first.eval()
        return self

    def latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent + words) standard normal numbers."""
        return self.first.latent(n, generator)

    def moments(self, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and log variance of stage II's own conditioning, (n, words) each."""
        mean, log_variance = self.augmentation(condition)
        return mean, log_variance

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n, latent + words), (n, embedding) -> (n, 3, resolution, resolution)."""
        words = layers.sample(self.moments(condition), z[:, self.config.latent :])
        x: Tensor = self.encode(self.first(z, condition))  # (n, 8 channels, first / 4, first / 4)
        words = words[:, :, None, None].expand(-1, -1, *x.shape[2:]).to(x.dtype)
        x = self.residuals(self.joint(torch.cat([x, words], dim=1)))
        return torch.tanh(self.last(self.grow(x)).float())


def players(config: Config) -> dict[str, nn.Module]:
    """The generator of the stage, and its critic: Reed's, whose words and matching StackGAN keeps (section 3.3)."""
    generator = StageOne(config) if config.resolution == config.first else StageTwo(config)
    judged = text_dcgan.Config(
        resolution=config.resolution, embedding=config.embedding, words=config.words,
        channels=config.channels, widest=config.widest, norm=config.norm,
    )  # fmt: skip
    return {"generator": generator, "critic": text_dcgan.Critic(judged)}
