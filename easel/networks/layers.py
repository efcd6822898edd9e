"""What several networks share: the growing and shrinking stacks of DCGAN, norms, conditions, and their checks.

Sizes: a stack begins (or ends) at 4x4, or at 7x7 where the resolution is 7 times a power of two, so that 28 px
(MNIST's) is exact and needs no border.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from easel.errors import EaselError, unknown

SLOPE = 0.2
"""Of every leaky ReLU here (Radford 2015, section 3)."""


def sides(resolution: int) -> list[int]:
    """The sides of the maps below ``resolution``: [4, 8, ..., resolution / 2], or [7, 14, ...] for 28, 56, 112, 224.

    Raises:
        EaselError: the resolution is neither a power of two nor 7 times one, or not in 8-1024.
    """
    side, below = resolution, []
    while side > 7 and side % 2 == 0:
        side //= 2
        below.append(side)
    if side not in (4, 7) or not 8 <= resolution <= 1024:
        raise EaselError(f"no network draws {resolution} px: take a power of two such as 32, 64, 128, 256, or 28")
    return below[::-1]


def widths(resolution: int, channels: int, widest: int) -> list[int]:
    """Channels of the maps of `sides`: ``channels`` at half the resolution, doubled downwards, at most ``widest``."""
    return [min(widest, channels * (resolution // (2 * side))) for side in sides(resolution)]


def check(config: Any, zero: Sequence[str] = ()) -> None:
    """Refuse sizes below 1 (below 0 for those in ``zero``) and a resolution that cannot be drawn."""
    sides(config.resolution)
    for field in fields(config):
        value, least = getattr(config, field.name), 0 if field.name in zero else 1
        if type(value) is int and value < least:
            raise EaselError(f"{config.network}: {field.name} is {value}, but must be at least {least}")


def draw(n: int, size: int, generator: torch.Generator | None, like: nn.Module) -> Tensor:
    """(n, size) standard normal numbers, drawn where ``generator`` lives (a CPU by default), put where ``like`` is."""
    z = torch.randn(n, size, generator=generator, device=generator.device if generator else "cpu")
    return z.to(next(like.parameters()).device)


def sample(moments: tuple[Tensor, Tensor], noise: Tensor) -> Tensor:
    """The reparameterisation trick (Kingma 2013, section 2.4): mean + noise * deviation.

    ``moments`` are the mean and the log variance; all (n, size).
    """
    mean, log_variance = moments
    return mean + noise * (0.5 * log_variance).exp()


def refuse_condition(condition: Tensor | None, network: str) -> None:
    """Refuse a condition where a network takes none."""
    if condition is not None:
        raise EaselError(f"this {network} draws without a condition: leave condition out, or train one that takes it")


def labels(condition: Tensor | None, classes: int) -> Tensor:
    """Whole numbers (n,) or shares (n, classes) -> shares (n, classes), float32. Shares let classes be blended."""
    if condition is None:
        raise EaselError(f"this network draws by class: hand it a condition, one number from 0 to {classes - 1} each")
    if condition.is_floating_point():
        return vector(condition, classes, "classes")
    if condition.ndim != 1 or condition.min() < 0 or condition.max() >= classes:
        raise EaselError(f"labels must be one whole number a picture, from 0 to {classes - 1}")
    return functional.one_hot(condition.long(), classes).float()


def vector(condition: Tensor | None, size: int, what: str) -> Tensor:
    """``condition`` as float32 (n, size), or the error that names ``what`` is missing."""
    if condition is None or condition.ndim != 2 or condition.shape[1] != size:
        given = "none" if condition is None else f"shape {tuple(condition.shape)}"
        raise EaselError(f"this network needs its {what} as condition, shape (n, {size}); it was given {given}")
    return condition.float()


def init_weights(module: nn.Module) -> None:
    """DCGAN's initialisation (Radford 2015, section 3): weights N(0, 0.02), norms N(1, 0.02), no bias."""
    known = nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm2d
    if not isinstance(module, known) or module.weight is None or parametrize.is_parametrized(module):
        return
    norm = isinstance(module, nn.BatchNorm2d)
    nn.init.normal_(module.weight, 1.0 if norm else 0.0, 0.02)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


class Standard(nn.Module):
    """(n, size) in and out, each number brought to mean 0 and deviation 1 by what `fit` has seen; as it is before that.

    Embeddings of captions point nearly all the same way; what tells captions apart is the small rest.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def fit(self, seen: Tensor) -> None:
        """Remember the mean and deviation of ``seen``, (n, size). A number that never varies is only centred."""
        deviation = seen.float().std(dim=0, correction=0)
        self.mean.copy_(seen.float().mean(dim=0))
        self.deviation.copy_(torch.where(deviation > 1e-6, deviation, torch.ones_like(deviation)))

    def forward(self, x: Tensor) -> Tensor:
        """(n, size) in and out."""
        standard: Tensor = (vector(x, len(self.mean), "caption embeddings") - self.mean) / self.deviation
        return standard


class ConditionalNorm(nn.Module):
    """Batch norm whose scale and shift follow from a vector (de Vries 2017; Miyato 2018); plain where ``size`` is 0."""

    def __init__(self, channels: int, size: int = 0) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=size == 0)
        self.told = nn.Linear(size, 2 * channels) if size else None

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n, channels, h, w) in and out; condition (n, size)."""
        y: Tensor = self.norm(x)
        if self.told is None:
            return y
        scale, shift = self.told(condition)[:, :, None, None].to(y.dtype).chunk(2, dim=1)
        return torch.addcmul(shift, y, 1 + scale)


class Growing(nn.Module):
    """DCGAN's generator (Radford 2015, figure 1): (n, size) -> pictures (n, 3, resolution, resolution) in [-1, 1].

    Transposed convolutions double the side; batch norm (conditional where ``condition`` is above 0) and ReLU
    follow each but the last, tanh the last.
    """

    def __init__(self, size: int, config: Any, condition: int = 0) -> None:
        super().__init__()
        wide = widths(config.resolution, config.channels, config.widest)
        self.first = nn.ConvTranspose2d(size, wide[0], sides(config.resolution)[0], bias=False)
        self.steps = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False) for a, b in pairwise(wide))
        self.norms = nn.ModuleList(ConditionalNorm(width, condition) for width in wide)
        self.last = nn.ConvTranspose2d(wide[-1], 3, 4, 2, 1, bias=False)
        self.apply(init_weights)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """(n, size) and (n, condition) -> (n, 3, resolution, resolution), float32 also under autocast."""
        x = x[:, :, None, None]
        for step, norm in zip([self.first, *self.steps], self.norms, strict=True):
            x = functional.relu(norm(step(x), condition))  # (n, widths[i], sides[i], sides[i])
        return torch.tanh(self.last(x).float())


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "layer": lambda channels: nn.GroupNorm(1, channels),
    "spectral": lambda _: nn.Identity(),
    "none": lambda _: nn.Identity(),
}
"""What a critic may keep its maps in bounds with: batch (Radford 2015), layer (for WGAN-GP: Gulrajani 2017, section 4),
spectral (Miyato 2018; on the weights), none.
"""


def convolution(norm: str, a: int, b: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    """A convolution of a critic: with a bias but under batch norm, spectrally normed where ``norm`` says so."""
    if norm not in NORMS:
        raise unknown("norm", norm, NORMS)
    made = nn.Conv2d(a, b, kernel, stride, padding, bias=norm != "batch")
    return spectral_norm(made) if norm == "spectral" else made


class Shrinking(nn.Module):
    """DCGAN's critic up to its last map: (n, 3, resolution, resolution) -> (n, ``wide``, ``side``, ``side``)."""

    def __init__(self, config: Any, norm: str) -> None:
        super().__init__()
        wide = widths(config.resolution, config.channels, config.widest)[::-1]
        self.wide, self.side = wide[-1], sides(config.resolution)[0]
        parts: list[nn.Module] = [convolution(norm, 3, wide[0], 4, 2, 1), nn.LeakyReLU(SLOPE)]
        for a, b in pairwise(wide):
            parts += [convolution(norm, a, b, 4, 2, 1), NORMS[norm](b), nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*parts)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, resolution, resolution) -> (n, wide, side, side)."""
        y: Tensor = self.layers(x)
        return y
