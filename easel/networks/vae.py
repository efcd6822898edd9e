"""A variational autoencoder (Kingma, Welling 2013, arXiv 1312.6114; beta: Higgins 2017) with DCGAN's stacks.

Its generator is the decoder, so that it draws, walks and is scored as any GAN. The two terms of its loss are
`easel.training.objectives.gaussian_error` and `kl`, weighed by `kl_weight`. With ``prior`` "flow" the generator begins
with a flow that has learned where codes lie; `decode` is what follows it, and what the encoder's codes go through.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from easel.errors import EaselError, unknown
from easel.networks import layers
from easel.networks.flow import Flow

PRIORS = "normal", "flow"


@dataclass(frozen=True)
class Config:
    """``latent`` numbers; with ``classes`` above 0 encoder and decoder are conditioned on the class (Sohn 2015).

    ``prior``: "normal", or a "flow" learned along (Chen 2017), which knows no classes.
    """

    network: str = "vae"
    resolution: int = 64
    classes: int = 0
    latent: int = 128
    channels: int = 64
    widest: int = 512
    prior: str = "normal"

    def __post_init__(self) -> None:
        if self.prior not in PRIORS:
            raise unknown("prior", self.prior, PRIORS)
        layers.check(self, zero=("classes",))
        if self.prior == "flow" and self.latent < 2:
            raise EaselError("vae: a flow moves one half of the numbers by the other: latent must be at least 2")


def class_shares(condition: Tensor | None, classes: int, n: int, like: Tensor) -> Tensor:
    """The class as shares (n, classes), or (n, 0) where the network knows no classes."""
    if classes:
        return layers.labels(condition, classes)
    layers.refuse_condition(condition, "vae")
    return like.new_zeros(n, 0, dtype=torch.float32)


class Encoder(nn.Module):
    """Pictures (n, 3, resolution, resolution) -> mean and log variance of z, (n, latent) each."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.classes = config.classes
        self.body = layers.Shrinking(config, "batch")
        flat = self.body.wide * self.body.side**2
        self.moments = nn.Linear(flat + config.classes, 2 * config.latent)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(n, 3, side, side), and labels where there are classes -> two of (n, latent), log variance in [-20, 10]."""
        flat = self.body(x).flatten(1)
        both = torch.cat([flat, class_shares(condition, self.classes, len(x), x).to(flat.dtype)], dim=1)
        mean, log_variance = self.moments(both).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-20, 10)


class Generator(nn.Module):
    """The decoder: z (n, latent) -> pictures (n, 3, resolution, resolution) in [-1, 1]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.body = layers.Growing(config.latent + config.classes, config, config.classes)
        self.prior = Flow(config.latent) if config.prior == "flow" else None

    def latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent) standard normal numbers."""
        return layers.draw(n, self.config.latent, generator, self)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n, latent), and labels where there are classes -> (n, 3, resolution, resolution)."""
        return self.decode(z if self.prior is None else self.prior(z), condition)

    def latent_of(self, code: Tensor) -> Tensor:
        """The latent that a code of the encoder's is drawn from, (n, latent) both."""
        return code if self.prior is None else self.prior.inverse(code)[0]

    def decode(self, code: Tensor, condition: Tensor | None = None) -> Tensor:
        """Codes as the encoder gives them, (n, latent) -> (n, 3, resolution, resolution)."""
        shares = class_shares(condition, self.config.classes, len(code), code)
        picture: Tensor = self.body(torch.cat([code, shares], dim=1), shares)
        return picture


def reconstruct(encoder: nn.Module, generator: nn.Module, x: Tensor, condition: Tensor | None = None) -> Tensor:
    """Pictures (n, 3, side, side) there and back by the mean of their latents."""
    picture: Tensor = generator.decode(encoder(x, condition)[0], condition)  # type: ignore[operator]
    return picture


def interpolate(
    encoder: nn.Module, generator: nn.Module, pair: Tensor, count: int, condition: Tensor | None = None
) -> Tensor:
    """``count`` pictures on the straight line between the latents of two: pair (2, 3, side, side) -> (count, ...).

    With a flow the line is in the normal numbers before it, where what lies between two pictures is one as well.
    ``condition`` has one row for each of the two; between them it is blended as the latents are.
    """
    shares = None if condition is None else layers.labels(condition, encoder.classes)  # type: ignore[arg-type]
    ends = generator.latent_of(encoder(pair, shares)[0])  # type: ignore[operator]
    way = torch.linspace(0, 1, count, device=ends.device)[:, None]
    between = None if shares is None else torch.lerp(shares[:1], shares[1:], way)
    pictures: Tensor = generator(torch.lerp(ends[:1], ends[1:], way), between)
    return pictures


def players(config: Config) -> dict[str, nn.Module]:
    """The decoder, under the name all generators have, and the encoder."""
    return {"generator": Generator(config), "encoder": Encoder(config)}
