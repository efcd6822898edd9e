"""Augmentation of what the critic sees, real and made alike, for sets that are small.

The changes are those of differentiable augmentation (Zhao 2020, arXiv 2006.10738); each befalls a picture with
probability p, as in adaptive augmentation (Karras 2020, arXiv 2006.06676), which moves p by a sign of overfitting. At
p = 1 this is Zhao's, at p = 0 nothing. Gradients pass through all of them to the generator.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from easel.errors import unknown

Change = Callable[[Tensor, Callable[[], Tensor]], Tensor]
"""Pictures (n, 3, h, w) and a source of uniform numbers (n, 1, 1, 1) in 0-1 -> pictures changed, each its own way."""


def brightness(x: Tensor, uniform: Callable[[], Tensor]) -> Tensor:
    """Up to half of the half-range lighter or darker."""
    return x + (uniform() - 0.5)


def saturation(x: Tensor, uniform: Callable[[], Tensor]) -> Tensor:
    """Colours from none (grey) to twice as strong."""
    grey = x.mean(dim=1, keepdim=True)
    return grey + (x - grey) * (2 * uniform())


def contrast(x: Tensor, uniform: Callable[[], Tensor]) -> Tensor:
    """From half to one and a half times the contrast about each picture's mean."""
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (x - mean) * (0.5 + uniform())


def colour(x: Tensor, uniform: Callable[[], Tensor]) -> Tensor:
    """Brightness, saturation, contrast."""
    return contrast(saturation(brightness(x, uniform), uniform), uniform)


def translation(x: Tensor, uniform: Callable[[], Tensor]) -> Tensor:
    """Moved by up to an eighth of the side both ways; what comes in is 0, middle grey."""
    for dim in (2, 3):
        side = x.shape[dim]
        reach = (side + 4) // 8
        shift = (uniform() * (2 * reach + 1)).floor().long() - reach
        place = torch.arange(side, device=x.device).view([1, 1, -1, 1] if dim == 2 else [1, 1, 1, -1]) - shift
        inside = (place >= 0) & (place < side)
        x = x.gather(dim, place.clamp(0, side - 1).expand_as(x)) * inside
    return x


def cutout(x: Tensor, uniform: Callable[[], Tensor]) -> Tensor:
    """A square of half the side set to 0; its middle is anywhere, so that it may reach beyond the border."""
    outside = []
    for dim in (2, 3):
        side = x.shape[dim]
        start = (uniform() * side).floor() - side // 4
        place = torch.arange(side, device=x.device).view([1, 1, -1, 1] if dim == 2 else [1, 1, 1, -1])
        outside.append((place < start) | (place >= start + side // 2))
    return x * (outside[0] | outside[1])


CHANGES: dict[str, Change] = {"colour": colour, "translation": translation, "cutout": cutout}
"""The three of Zhao 2020, table 6, by name."""


def augmented(
    x: Tensor, p: float = 1.0, names: Sequence[str] = tuple(CHANGES), generator: torch.Generator | None = None
) -> Tensor:
    """Pictures (n, 3, h, w) in [-1, 1], each change made to each with probability ``p``; the same object at p = 0.

    Args:
        generator: a CPU generator that decides; torch's own where there is none.

    Raises:
        EaselError: a name that is not in `CHANGES`.
    """
    for name in names:
        if name not in CHANGES:
            raise unknown("augmentation", name, CHANGES)
    if p <= 0:
        return x

    def uniform() -> Tensor:
        return torch.rand(len(x), 1, 1, 1, generator=generator).to(x.device)

    for name in names:
        chosen = uniform() < p
        x = torch.where(chosen, CHANGES[name](x, uniform).to(x.dtype), x)
    return x


def overfitting(real: Tensor) -> float:
    """r_t of Karras 2020 (equation 1): the mean sign of the critic's scores of real pictures, (n,); -1 to 1.

    0 is a critic that cannot tell, 1 one that is sure of every training picture: it has learned them by heart.
    """
    return float(real.detach().float().sign().mean())


def adapted(p: float, r: float, pictures: int, target: float = 0.6, ramp: int = 500_000) -> float:
    """The next p (Karras 2020, section 3.1): up where ``r`` is above ``target``, down where below, within 0-1.

    ``pictures`` is how many the critic has seen since the last call; p goes from 0 to 1 in ``ramp`` pictures.
    """
    sign = (r > target) - (r < target)
    return min(1.0, max(0.0, p + sign * pictures / ramp))
