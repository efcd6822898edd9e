"""StyleGAN2 (Karras 2019, arXiv 1812.04948; Karras 2020, arXiv 1912.04958), without an extension to compile.

z is mapped to w; w styles every convolution of a generator that adds up RGB pictures from 4 px to full size; the critic
is residual. The layers are in `equalised`; R1, path length and augmentation in `easel.training`.
The defaults are configuration F: 30,370,060 and 29,012,513 weights at 1024 px.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from easel.errors import EaselError
from easel.networks import layers
from easel.networks.equalised import EqualConv, EqualLinear, ModulatedConv, StyledLayer, upsampled


@dataclass(frozen=True)
class Config:
    """``channels`` / side maps at each side, at most ``widest`` (on two cores: 2048 and 256); ``mapping`` layers.

    ``average_decay`` is of the mean w that truncation pulls towards; ``group`` of the minibatch deviation.
    """

    network: str = "stylegan"
    resolution: int = 64
    classes: int = 0
    latent: int = 512
    style: int = 512
    channels: int = 32768
    widest: int = 512
    mapping: int = 8
    mapping_lr: float = 0.01
    average_decay: float = 0.995
    group: int = 4

    def __post_init__(self) -> None:
        layers.check(self, zero=("classes",))
        if self.resolution.bit_count() != 1 or self.channels < self.resolution:
            raise EaselError("stylegan: resolution must be a power of two, and channels at least as large")

    def sides(self) -> list[int]:
        """[4, 8, ..., resolution]."""
        return [2**i for i in range(2, self.resolution.bit_length())]

    def width(self, side: int) -> int:
        """Maps at ``side``."""
        return min(self.widest, self.channels // side)


def pixel_norm(x: Tensor) -> Tensor:
    """(n, size) with a mean square of 1 in each row (pixel norm, Karras 2018, section 4.2)."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class Mapping(nn.Module):
    """z (n, latent) -> w (n, style). ``average`` is the moving mean of w, taken while training."""

    average: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embed = EqualLinear(config.classes, config.latent) if config.classes else None
        sizes = [config.latent * (2 if config.classes else 1), *[config.style] * config.mapping]
        steps = [EqualLinear(a, b, lr=config.mapping_lr, active=True) for a, b in pairwise(sizes)]
        self.layers = nn.Sequential(*steps)
        self.register_buffer("average", torch.zeros(config.style))

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n, latent), and labels where there are classes -> (n, style), float32."""
        x = pixel_norm(z.float())
        if self.embed is None:
            layers.refuse_condition(condition, "stylegan")
        else:
            x = torch.cat([x, pixel_norm(self.embed(layers.labels(condition, self.config.classes)).float())], dim=1)
        w: Tensor = self.layers(x).float()
        if self.training:
            self.average.lerp_(w.detach().mean(dim=0), 1 - self.config.average_decay)
        return w


class Block(nn.Module):
    """Twice the side (but the first), two styled layers (one in the first), and this side's part of the picture."""

    def __init__(self, config: Config, side: int) -> None:
        super().__init__()
        width, before, style = config.width(side), config.width(side // 2), config.style
        self.grow = StyledLayer(before, width, style, side, up=True) if side > 4 else None
        self.layer = StyledLayer(width, width, style, side)
        self.paint = ModulatedConv(width, 3, 1, style, demodulate=False)
        self.paint_bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, picture: Tensor | None, styles: Tensor, noise: str) -> tuple[Tensor, Tensor]:
        """Maps and picture at half the side, styles (n, 2 or 3, style) -> maps and picture at this side."""
        *inner, last = styles.unbind(dim=1)
        if self.grow is not None:
            x = self.grow(x, inner[0], noise)
        x = self.layer(x, inner[-1], noise)
        part, _ = self.paint(x, last)
        part = part.float() + self.paint_bias[:, None, None]
        return x, part if picture is None else upsampled(picture) + part


class Synthesis(nn.Module):
    """Styles (n, layers, style) -> pictures (n, 3, resolution, resolution), a skip generator (figure 7b)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(config.width(4), 4, 4))
        self.blocks = nn.ModuleList(Block(config, side) for side in config.sides())
        self.layers = 2 * len(self.blocks)
        """Layers that take a style. A block's last is shared with the first of the next: 18 at 1024 px."""

    def forward(self, styles: Tensor, noise: str = "fixed") -> Tensor:
        """(n, layers, style) -> (n, 3, resolution, resolution), about [-1, 1]. Noise: fixed, random or none."""
        x = self.constant.expand(len(styles), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        picture: Tensor | None = None
        for index, block in enumerate(self.blocks):
            start = max(0, 2 * index - 1)
            x, picture = block(x, picture, styles[:, start : 2 * index + 2], noise)
        assert picture is not None  # there are at least two blocks
        return picture


class Generator(nn.Module):
    """z (n, latent) -> pictures (n, 3, resolution, resolution), within [-1, 1] in ``eval()``."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.mapping = Mapping(config)
        self.synthesis = Synthesis(config)

    def latent(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """(n, latent) standard normal numbers."""
        return layers.draw(n, self.config.latent, generator, self)

    def styles(self, z: Tensor, condition: Tensor | None = None, truncation_psi: float = 1.0) -> Tensor:
        """(n, latent) -> (n, layers, style), pulled to the mean w where ``truncation_psi`` is below 1 (2019, B)."""
        w: Tensor = self.mapping(z, condition)
        if truncation_psi != 1:
            w = torch.lerp(self.mapping.average, w, truncation_psi)
        return w[:, None].expand(-1, self.synthesis.layers, -1)

    def forward(self, z: Tensor, condition: Tensor | None = None, truncation_psi: float = 1.0) -> Tensor:
        """Pictures. In training noise is drawn anew and nothing is clipped; in ``eval()`` z decides all."""
        styles = self.styles(z, condition, truncation_psi)
        picture: Tensor = self.synthesis(styles, "random" if self.training else "fixed")
        return picture if self.training else picture.clamp(-1, 1)


def mixed_styles(styles: Tensor, other: Tensor, probability: float, generator: torch.Generator | None = None) -> Tensor:
    """Style mixing (Karras 2019, section 3.1): from a layer on, drawn for each picture, the styles are the other's.

    (n, layers, style) both and out; ``probability`` of mixing at all, 0.9 in the paper. Drawn on the CPU.
    """
    n, depth, _ = styles.shape
    crossover = torch.randint(1, depth, (n,), generator=generator)
    kept = torch.rand(n, generator=generator) >= probability
    crossover = torch.where(kept, depth, crossover).to(styles.device)
    first = torch.arange(depth, device=styles.device) < crossover[:, None]
    return torch.where(first[:, :, None], styles, other)


def minibatch_stddev(x: Tensor, group: int) -> Tensor:
    """Minibatch deviation (Karras 2018, section 3): (n, channels, h, w) -> the same with one channel more.

    The channel is the mean deviation within groups of at most ``group`` pictures, so that sameness is seen.
    """
    n, _, h, w = x.shape
    size = max(k for k in range(1, min(group, n) + 1) if n % k == 0)
    grouped = x.float().unflatten(0, (size, -1))  # (size, n / size, channels, h, w)
    variance = (grouped - grouped.mean(dim=0)).square().mean(dim=0)
    spread = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))
    plane = spread.repeat(size)[:, None, None, None].expand(-1, 1, h, w)
    return torch.cat([x, plane.to(x.dtype)], dim=1)


class CriticBlock(nn.Module):
    """Half the side: (n, channels, h, w) -> (n, made, h/2, w/2), the sum of two ways at equal power (figure 7c)."""

    def __init__(self, channels: int, made: int) -> None:
        super().__init__()
        self.same = EqualConv(channels, channels, 3)
        self.halve = EqualConv(channels, made, 3, down=True, gain=1.0)  # sqrt(2) of the ReLU by sqrt(1/2) of the sum
        self.skip = EqualConv(channels, made, 1, down=True, gain=math.sqrt(0.5), active=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, made, h/2, w/2)."""
        y: Tensor = self.halve(self.same(x)) + self.skip(x)
        return y


class Critic(nn.Module):
    """Pictures (n, 3, resolution, resolution) -> scores (n,); with classes, their projection (Miyato 2018)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        wide = [config.width(side) for side in config.sides()[::-1]]
        self.open = EqualConv(3, wide[0], 1)
        self.blocks = nn.Sequential(*(CriticBlock(a, b) for a, b in pairwise(wide)))
        self.last = EqualConv(wide[-1] + 1, wide[-1], 3)
        self.flat = EqualLinear(wide[-1] * 16, wide[-1], active=True)
        self.score = EqualLinear(wide[-1], wide[-1] if config.classes else 1)
        self.embed = EqualLinear(config.classes, wide[-1]) if config.classes else None

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n, 3, resolution, resolution), and labels where there are classes -> (n,), float32."""
        x = self.blocks(self.open(x.contiguous(memory_format=torch.channels_last)))  # (n, wide, 4, 4)
        x = self.last(minibatch_stddev(x, self.config.group))
        out: Tensor = self.score(self.flat(x.flatten(1))).float()
        if self.embed is None:
            layers.refuse_condition(condition, "stylegan")
            return out[:, 0]
        embedded = pixel_norm(self.embed(layers.labels(condition, self.config.classes)).float())
        return (out * embedded).sum(dim=1) / math.sqrt(out.shape[1])


def players(config: Config) -> dict[str, nn.Module]:
    """The generator and its critic."""
    return {"generator": Generator(config), "critic": Critic(config)}
