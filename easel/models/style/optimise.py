"""Style transfer by optimisation (Gatys, Ecker and Bethge 2015, arXiv 1508.06576; 2016, CVPR): the pixels of a picture
are moved until a network sees one picture's content in it and another's style.

From coarse to fine, each size begins where the one before ended (Gatys et al. 2017, arXiv 1611.07865, section 6): large
forms are settled where they are cheap. Plain functions over tensors; the network is handed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from easel.errors import EaselError
from easel.models.style.losses import TINY, Goal, Manner, Maps, Network, patterned, sums, tiles, whole_sums

LEARNING_RATE = 0.03
"""Of Adam, in pixels of 0 to 1; it falls to a tenth over each size by half a cosine."""
HISTORY = 20
"""Steps that L-BFGS remembers: each is a picture's worth of memory, twice."""
LEAP = 10.0
"""How many times its lowest the loss may be before L-BFGS is set back: without a line search it can run away."""
COARSER = 2.0
"""From one size to the next finer one."""
SMALLEST = 128
"""Longer side of the coarsest size, at least."""
LEAST = 16
"""Pixels of a shorter side, at least."""
MORE = 1.5
"""Steps at a size over those at the next finer one."""
MARGIN = 16
"""Pixels to each side that are painted with the picture and cut off: zeros beyond the border paint a frame."""


@dataclass(frozen=True)
class Settings:
    """What is wanted of a picture, and how it is sought."""

    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]
    content_weight: float
    style_weight: float = 1.0
    tv_weight: float = 0.0
    plain: bool = False
    """Style by the paper's Gram matrices; else they are taken in the style's own units, see `Manner`."""
    iterations: int = 60
    """At the last size; see `schedule`."""
    optimiser: Literal["lbfgs", "adam"] = "adam"
    start: Literal["photo", "noise"] = "photo"
    tile: int = 1024


@dataclass(frozen=True)
class Moment:
    """How far it is: `done` of `total` steps at the size (height, width), with the loss before the last step."""

    size: tuple[int, int]
    done: int
    total: int
    loss: float
    picture: Tensor
    """(1, c, h, w); look at it at once, since it goes on changing."""


Report = Callable[[Moment], None]


def schedule(longest: int, iterations: int) -> list[tuple[float, int]]:
    """(share of the full size, steps) from coarse to fine: halved while the longer side stays at 128 px or more.

    Each coarser size takes half as many steps again, where they are cheap and where forms are found.
    """
    rows, scale, steps = [(1.0, iterations)], 1.0, float(iterations)
    while longest * scale / COARSER >= SMALLEST:
        scale, steps = scale / COARSER, steps * MORE
        rows.append((scale, round(steps)))
    return rows[::-1]


def transfer(
    photo: Tensor,
    styles: Sequence[tuple[Tensor, float]],
    network: Network,
    settings: Settings,
    seed: int,
    report: Report | None = None,
) -> Tensor:
    """The photo painted in the blended styles, in 0 to 1, of the photo's shape.

    Args:
        photo: (1, c, h, w) in 0 to 1, of three channels, or of one where only light and dark are painted.
        styles: pictures in 0 to 1 of any size, with their weights, which need not sum to 1. At each size a style is
            looked at with as many pixels as the photo has there, so that strokes keep their share of the picture.
        seed: of the noise to start from; from the photo nothing is left to chance.
        report: called after every step; may raise Cancelled.

    Raises EaselError where the numbers run away.
    """
    generator = torch.Generator().manual_seed(seed)
    picture: Tensor | None = None
    for scale, steps in schedule(max(photo.shape[2:]), settings.iterations):
        height, width = (max(LEAST, round(side * scale)) for side in photo.shape[2:])
        here = resized(photo, height, width)
        margin = min(MARGIN, height - 1, width - 1)
        wide = replace(settings, tile=settings.tile + 2 * margin)
        goal = aims(mirrored(here, margin), [(like(style, here), weight) for style, weight in styles], network, wide)
        if picture is not None:
            picture = resized(picture, height, width)
        elif settings.start == "photo":
            picture = here
        else:
            picture = noise(here, generator)
        picture = optimised(mirrored(picture, margin), goal, steps, settings.optimiser, report, margin)
    assert picture is not None
    return picture


def aims(photo: Tensor, styles: Sequence[tuple[Tensor, float]], network: Network, settings: Settings) -> Goal:
    """What the picture is to become at this size: the photo's maps, and the style pictures' blended statistics.

    Blending the statistics by weight goes downhill as the weighted mean of the pictures' style terms does: they differ
    by a constant (Gatys et al. 2015, equation 5).
    """
    kept = settings.content_layers if settings.content_weight else {}
    wanted = settings.style_layers if settings.style_weight else {}
    parts = tiles(photo.shape[2], photo.shape[3], settings.tile, network)
    with torch.no_grad():
        content = [
            {name: part.counted(maps, network.strides[name]) for name, maps in network(part.cut(photo), kept).items()}
            for part in parts
        ]
        manners = blended(styles, network, tuple(wanted), settings)
    scales = {name: settings.content_weight * weight / flat(content, name) for name, weight in kept.items()}
    return Goal(
        network,
        parts,
        settings.tile,
        manners,
        content,
        scales,
        {name: settings.style_weight * weight for name, weight in wanted.items()},
        settings.tv_weight,
    )


def flat(content: Sequence[Maps], name: str) -> float:
    """The squared distance of the photo's maps of a layer from what a flat picture has: their own mean."""
    whole = [sums(maps[name]) for maps in content]
    total = whole[0]
    for part in whole[1:]:
        total = total.plus(part)
    return float(total.second.diagonal().sum() - total.first.square().sum() / total.places) + TINY


def blended(
    styles: Sequence[tuple[Tensor, float]], network: Network, layers: Sequence[str], settings: Settings
) -> dict[str, Manner]:
    """Each layer's style: the statistics of the style pictures, by their shares of the weight.

    A layer without a pattern is left out, since its spread is the unit: a flat one, or one of a single place.
    """
    if not layers:
        return {}
    weight_of_all = sum(weight for _, weight in styles)
    means: Maps = {}
    products: Maps = {}
    for picture, weight in styles:
        for name, found in whole_sums(picture, network, layers, settings.tile).items():
            share = weight / weight_of_all / found.places
            means[name] = means.get(name, 0) + share * found.first
            products[name] = products.get(name, 0) + share * found.second
    kept = [name for name in layers if settings.plain or patterned(means[name], products[name])]
    return {name: Manner(means[name], products[name], plain=settings.plain) for name in kept}


def resized(picture: Tensor, height: int, width: int) -> Tensor:
    """(1, 3, height, width), in 0 to 1, smoothed where it shrinks."""
    if picture.shape[2:] == (height, width):
        return picture
    made = functional.interpolate(picture, size=(height, width), mode="bicubic", antialias=True, align_corners=False)
    return made.clamp(0, 1)


def mirrored(picture: Tensor, margin: int) -> Tensor:
    """The picture continued by `margin` pixels to each side, as in a mirror."""
    return functional.pad(picture, (margin,) * 4, mode="reflect")


def like(style: Tensor, photo: Tensor) -> Tensor:
    """The style picture in its own proportions with about as many pixels as the photo."""
    scale = ((photo.shape[2] * photo.shape[3]) / (style.shape[2] * style.shape[3])) ** 0.5
    return resized(style, *(max(32, round(side * scale)) for side in style.shape[2:]))


def luminance(picture: Tensor) -> Tensor:
    """The brightness (ITU-R BT.601) of (1, 3, h, w): (1, 1, h, w)."""
    red, green, blue = picture.split(1, dim=1)
    made: Tensor = 0.299 * red + 0.587 * green + 0.114 * blue
    return made


def matched(style: Tensor, photo: Tensor) -> Tensor:
    """`style` with the mean and the spread of `photo`, in 0 to 1 (Gatys et al. 2016, arXiv 1606.05897, equation 10)."""
    centred = (style - style.mean()) * (photo.std() / style.std().clamp_min(TINY))
    made: Tensor = (centred + photo.mean()).clamp(0, 1)
    return made


def noise(photo: Tensor, generator: torch.Generator) -> Tensor:
    """Noise about the photo's mean colour, drawn on the CPU so that every device starts alike."""
    drawn = torch.randn(photo.shape, generator=generator).to(photo)
    made: Tensor = (photo.mean(dim=(2, 3), keepdim=True) + 0.1 * drawn).clamp(0, 1)
    return made


def lbfgs(x: Tensor) -> torch.optim.LBFGS:
    """One step at a time, without a search along the line, nothing known of the slopes yet."""
    return torch.optim.LBFGS([x], max_iter=1, history_size=HISTORY, tolerance_grad=0.0, tolerance_change=0.0)


def optimised(
    picture: Tensor,
    goal: Goal,
    steps: int,
    optimiser: Literal["lbfgs", "adam"],
    report: Report | None = None,
    margin: int = 0,
) -> Tensor:
    """`picture` after `steps` steps downhill, in 0 to 1, without the `margin` of pixels around it.

    A step of L-BFGS after which the loss is ``LEAP`` times the lowest or no number is taken back. Raises EaselError
    where a loss is no number all the same.
    """
    x = picture.clone().contiguous().requires_grad_()
    walk: torch.optim.Optimizer
    if optimiser == "lbfgs":
        walk = lbfgs(x)
    else:
        walk = torch.optim.Adam([x], lr=LEARNING_RATE, betas=(0.9, 0.99))
        fall = torch.optim.lr_scheduler.CosineAnnealingLR(walk, steps, LEARNING_RATE / 10)
    inside = x.detach()[..., margin : x.shape[2] - margin, margin : x.shape[3] - margin]
    size = (inside.shape[2], inside.shape[3])

    def slope() -> float:
        loss, x.grad = goal.slope(x.detach())
        return loss

    lowest, kept = math.inf, picture
    for done in range(1, steps + 1):
        before = x.detach().clone() if optimiser == "lbfgs" else picture
        loss = float(walk.step(slope))
        if optimiser == "adam":
            fall.step()
            with torch.no_grad():
                x.clamp_(0, 1)
        elif not loss <= LEAP * lowest:  # the last step went astray: back, and forget the slopes
            x.data.copy_(kept)
            walk, loss = lbfgs(x), lowest
        elif loss <= lowest:
            lowest, kept = loss, before
        check(loss, x, done, size, optimiser)
        if report is not None:
            report(Moment(size, done, steps, loss, inside))
    return inside.clamp(0, 1)


def check(loss: float, picture: Tensor, done: int, size: tuple[int, int], optimiser: str) -> None:
    """Raises EaselError where the loss or the picture holds something that is no number."""
    if loss - loss != 0 or not bool(torch.isfinite(picture.sum())):
        other = "--optimiser adam, or " if optimiser != "adam" else ""
        raise EaselError(
            f"the picture stopped being numbers at step {done} of {size[1]} x {size[0]} px: use {other}a smaller "
            "--style-weight"
        )
