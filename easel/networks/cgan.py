"""A conditional GAN: the class joins the noise (Mirza, Osindero 2014, arXiv 1411.1784) and tells each batch norm of the
generator its scale and shift; the critic takes the inner product of class and picture (Miyato, Koyama 2018,
arXiv 1802.05637) under spectral norm (Miyato 2018, arXiv 1802.05957). A classifier may be the third player, as in
`control_gan`: what is asked then shows more plainly than in the pictures it learned from.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from easel.networks import layers
from easel.networks.control_gan import Classifier


@dataclass(frozen=True)
class Config:
    """As dcgan's, with the number of ``classes`` and whether there is a ``classifier`` of them.

    ``norm`` is the critic's; its class embedding follows it.
    """

    network: str = "cgan"
    resolution: int = 64
    classes: int = 10
    latent: int = 100
    channels: int = 64
    widest: int = 512
    norm: str = "spectral"
    classifier: bool = False

    def __post_init__(self) -> None:
        layers.check(self)


class Generator(nn.Module):
    """z (n, latent) and classes -> pictures (n, 3, resolution, resolution) in [-1, 1]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.body = layers.Growing(config.latent + config.classes, config, config.classes)

    def latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent) standard normal numbers."""
        return layers.draw(n, self.config.latent, generator, self)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n, latent), and labels (n,) or shares (n, classes) -> (n, 3, resolution, resolution)."""
        shares = layers.labels(condition, self.config.classes)
        picture: Tensor = self.body(torch.cat([z, shares], dim=1), shares)
        return picture


class Critic(nn.Module):
    """The projection critic (Miyato, Koyama 2018, equation 3): psi(phi(x)) + <V y, phi(x)>.

    phi sums the last map over the picture, (n, wide); psi is linear; V holds one vector a class.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.classes = config.classes
        self.body = layers.Shrinking(config, config.norm)
        self.psi: nn.Module = nn.Linear(self.body.wide, 1)
        self.projection: nn.Module = nn.Linear(config.classes, self.body.wide, bias=False)
        if config.norm == "spectral":
            self.psi, self.projection = spectral_norm(self.psi), spectral_norm(self.projection)

    def features(self, x: Tensor) -> Tensor:
        """phi: (n, 3, resolution, resolution) -> (n, wide)."""
        y: Tensor = self.body(x)
        return y.float().sum(dim=(2, 3))

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Pictures (n, 3, side, side), and labels (n,) or shares (n, classes) -> scores (n,)."""
        shares, phi = layers.labels(condition, self.classes), self.features(x)
        inner = (self.projection(shares) * phi).sum(dim=1)
        scores: Tensor = self.psi(phi)[:, 0] + inner
        return scores.float()


def players(config: Config) -> dict[str, nn.Module]:
    """The generator, its critic, and the classifier of classes where there is one."""
    made: dict[str, nn.Module] = {"generator": Generator(config), "critic": Critic(config)}
    return made | ({"classifier": Classifier(config, config.classes)} if config.classifier else {})
