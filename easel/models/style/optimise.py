"""Style transfer by optimisation (Gatys, Ecker and Bethge 2015, arXiv 1508.06576; 2016, CVPR): the pixels of a picture
are optimised until a network's features match one picture's content and another's style.

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
from easel.models.style.losses import (
    EPSILON,
    FeatureExtractor,
    FeatureMaps,
    Objective,
    StyleStatistics,
    has_pattern,
    sums,
    tiled_sums,
    tiles,
)

LEARNING_RATE = 0.03
"""Of Adam, in pixels of 0 to 1; it falls to a tenth over each size by half a cosine."""
LBFGS_HISTORY = 20
"""Steps that L-BFGS remembers: each is a picture's worth of memory, twice."""
DIVERGED = 10.0
"""How many times its lowest the loss may be before L-BFGS is set back: without a line search it can run away."""
SCALE_FACTOR = 2.0
"""From one size to the next finer one."""
COARSEST_SIDE = 128
"""Longer side in pixels of the coarsest size, at least."""
MIN_SIDE = 16
"""Pixels of a shorter side, at least."""
STEP_FACTOR = 1.5
"""Steps at a size over those at the next finer one."""
MARGIN = 16
"""Pixels to each side that are optimised with the picture and cut off: zeros beyond the border paint a frame."""


@dataclass(frozen=True)
class Settings:
    """The objective's layers and weights, and how it is minimised."""

    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]
    content_weight: float
    style_weight: float = 1.0
    tv_weight: float = 0.0
    gram_only: bool = False
    """Style by the paper's Gram matrices alone; else of standardised channels, see `StyleStatistics`."""
    iterations: int = 60
    """At the last size; see `schedule`."""
    optimizer: Literal["lbfgs", "adam"] = "adam"
    start: Literal["photo", "noise"] = "photo"
    tile: int = 1024
    """Pixels a side of the largest part that goes through the network at once."""


@dataclass(frozen=True)
class Iteration:
    """After `done` of `total` steps at the size (height, width), with the loss before the last step."""

    size: tuple[int, int]
    done: int
    total: int
    loss: float
    picture: Tensor
    """(1, c, h, w) in 0 to 1; it goes on changing, so copy what is kept."""


Report = Callable[[Iteration], None]


def schedule(longest: int, iterations: int) -> list[tuple[float, int]]:
    """(share of the full size, steps) from coarse to fine: halved while the longer side stays at 128 px or more.

    Each coarser size takes half as many steps again, where they are cheap and where forms are found.
    """
    sizes, scale, steps = [(1.0, iterations)], 1.0, float(iterations)
    while longest * scale / SCALE_FACTOR >= COARSEST_SIDE:
        scale, steps = scale / SCALE_FACTOR, steps * STEP_FACTOR
        sizes.append((scale, round(steps)))
    return sizes[::-1]


def transfer(
    photo: Tensor,
    styles: Sequence[tuple[Tensor, float]],
    network: FeatureExtractor,
    settings: Settings,
    seed: int,
    report: Report | None = None,
) -> Tensor:
    """The photo painted in the blended styles, in 0 to 1, of the photo's shape.

    Args:
        photo: (1, c, h, w) in 0 to 1, of three channels, or of one where only luminance is painted.
        styles: pictures in 0 to 1 of any size, with their weights, which need not sum to 1. At each size a style is
            given as many pixels as the photo has there, so that strokes keep their share of the picture.
        seed: of the noise to start from; from the photo nothing is left to chance.
        report: called after every step; may raise Cancelled.

    Raises EaselError where the loss is no number.
    """
    generator = torch.Generator().manual_seed(seed)
    picture: Tensor | None = None
    for scale, steps in schedule(max(photo.shape[2:]), settings.iterations):
        height, width = (max(MIN_SIDE, round(side * scale)) for side in photo.shape[2:])
        scaled = resized(photo, height, width)
        margin = min(MARGIN, height - 1, width - 1)
        padded = replace(settings, tile=settings.tile + 2 * margin)
        objective = objective_of(
            reflect_padded(scaled, margin),
            [(with_pixels_of(style, scaled), weight) for style, weight in styles],
            network,
            padded,
        )
        if picture is not None:
            picture = resized(picture, height, width)
        elif settings.start == "photo":
            picture = scaled
        else:
            picture = noise_like(scaled, generator)
        picture = optimized(
            reflect_padded(picture, margin), objective, steps, settings.optimizer, report, margin=margin
        )
    assert picture is not None
    return picture


def objective_of(
    photo: Tensor, styles: Sequence[tuple[Tensor, float]], network: FeatureExtractor, settings: Settings
) -> Objective:
    """The loss at this size: against the photo's maps and the style pictures' blended statistics.

    Blending the statistics by weight has the gradient of the weighted mean of the pictures' style terms: they differ by
    a constant (Gatys et al. 2015, equation 5).
    """
    content_layers = settings.content_layers if settings.content_weight else {}
    style_layers = settings.style_layers if settings.style_weight else {}
    parts = tiles(photo.shape[2], photo.shape[3], settings.tile, network)
    with torch.no_grad():
        content = [
            {
                name: part.crop_maps(maps, network.strides[name])
                for name, maps in network(part.crop(photo), content_layers).items()
            }
            for part in parts
        ]
        statistics = blended_statistics(styles, network, tuple(style_layers), settings)
    return Objective(
        network,
        parts,
        settings.tile,
        statistics,
        content,
        {
            name: settings.content_weight * weight / flat_distance(content, name)
            for name, weight in content_layers.items()
        },
        {name: settings.style_weight * weight for name, weight in style_layers.items()},
        settings.tv_weight,
    )


def flat_distance(content: Sequence[FeatureMaps], name: str) -> float:
    """The squared distance of a layer's maps, tile by tile, from those of a flat picture: their own mean."""
    parts = [sums(maps[name]) for maps in content]
    total = parts[0]
    for part in parts[1:]:
        total = total.plus(part)
    return float(total.second.diagonal().sum() - total.first.square().sum() / total.positions) + EPSILON


def blended_statistics(
    styles: Sequence[tuple[Tensor, float]], network: FeatureExtractor, layers: Sequence[str], settings: Settings
) -> dict[str, StyleStatistics]:
    """Each layer's style: the statistics of the style pictures, by their shares of the weight.

    A layer without a pattern is left out, since its deviation is the unit: a flat one, or one of a single position.
    """
    if not layers:
        return {}
    total_weight = sum(weight for _, weight in styles)
    means: FeatureMaps = {}
    grams: FeatureMaps = {}
    for picture, weight in styles:
        for name, found in tiled_sums(picture, network, layers, settings.tile).items():
            share = weight / total_weight / found.positions
            means[name] = means.get(name, 0) + share * found.first
            grams[name] = grams.get(name, 0) + share * found.second
    kept = [name for name in layers if settings.gram_only or has_pattern(means[name], grams[name])]
    return {name: StyleStatistics(means[name], grams[name], gram_only=settings.gram_only) for name in kept}


def resized(picture: Tensor, height: int, width: int) -> Tensor:
    """(1, c, height, width), in 0 to 1, antialiased where it shrinks."""
    if picture.shape[2:] == (height, width):
        return picture
    made = functional.interpolate(picture, size=(height, width), mode="bicubic", antialias=True, align_corners=False)
    return made.clamp(0, 1)


def reflect_padded(picture: Tensor, margin: int) -> Tensor:
    """The picture continued by `margin` pixels to each side, as in a mirror."""
    return functional.pad(picture, (margin,) * 4, mode="reflect")


def with_pixels_of(style: Tensor, photo: Tensor) -> Tensor:
    """The style picture in its own proportions with about as many pixels as the photo."""
    scale = ((photo.shape[2] * photo.shape[3]) / (style.shape[2] * style.shape[3])) ** 0.5
    return resized(style, *(max(32, round(side * scale)) for side in style.shape[2:]))


def luminance(picture: Tensor) -> Tensor:
    """The luma (ITU-R BT.601) of (1, 3, h, w): (1, 1, h, w)."""
    red, green, blue = picture.split(1, dim=1)
    made: Tensor = 0.299 * red + 0.587 * green + 0.114 * blue
    return made


def luminance_matched(style: Tensor, photo: Tensor) -> Tensor:
    """`style` (1, 1, h, w) with the mean and standard deviation of `photo`, in 0 to 1 (Gatys et al. 2016, arXiv
    1606.05897, equation 10).
    """
    centred = (style - style.mean()) * (photo.std() / style.std().clamp_min(EPSILON))
    made: Tensor = (centred + photo.mean()).clamp(0, 1)
    return made


def noise_like(photo: Tensor, generator: torch.Generator) -> Tensor:
    """Noise about the photo's mean colour, drawn on the CPU so that every device starts alike."""
    drawn = torch.randn(photo.shape, generator=generator).to(photo)
    made: Tensor = (photo.mean(dim=(2, 3), keepdim=True) + 0.1 * drawn).clamp(0, 1)
    return made


def lbfgs(x: Tensor) -> torch.optim.LBFGS:
    """L-BFGS with an empty history, one step at a time, without a line search."""
    return torch.optim.LBFGS([x], max_iter=1, history_size=LBFGS_HISTORY, tolerance_grad=0.0, tolerance_change=0.0)


def optimized(
    picture: Tensor,
    objective: Objective,
    steps: int,
    kind: Literal["lbfgs", "adam"],
    report: Report | None = None,
    *,
    margin: int = 0,
) -> Tensor:
    """`picture` after `steps` steps of the optimizer, in 0 to 1, without the `margin` of pixels around it.

    A step of L-BFGS after which the loss is ``DIVERGED`` times the lowest or no number is taken back. Raises EaselError
    where a loss is no number all the same.
    """
    x = picture.clone().contiguous().requires_grad_()
    optimizer: torch.optim.Optimizer
    if kind == "lbfgs":
        optimizer = lbfgs(x)
    else:
        optimizer = torch.optim.Adam([x], lr=LEARNING_RATE, betas=(0.9, 0.99))
        lr_schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, LEARNING_RATE / 10)
    inside = x.detach()[..., margin : x.shape[2] - margin, margin : x.shape[3] - margin]
    size = (inside.shape[2], inside.shape[3])

    def closure() -> float:
        loss, x.grad = objective.loss_and_gradient(x.detach())
        return loss

    lowest, best = math.inf, picture
    for done in range(1, steps + 1):
        before = x.detach().clone() if kind == "lbfgs" else picture
        loss = float(optimizer.step(closure))
        if kind == "adam":
            lr_schedule.step()
            with torch.no_grad():
                x.clamp_(0, 1)
        elif not loss <= DIVERGED * lowest:  # the last step diverged: back, and begin a new history
            x.data.copy_(best)
            optimizer, loss = lbfgs(x), lowest
        elif loss <= lowest:
            lowest, best = loss, before
        check_numbers(loss, x, done, size, kind)
        if report is not None:
            report(Iteration(size, done, steps, loss, inside))
    return inside.clamp(0, 1)


def check_numbers(loss: float, picture: Tensor, done: int, size: tuple[int, int], kind: str) -> None:
    """Raises EaselError where the loss or the picture holds a NaN or an infinity."""
    if loss - loss != 0 or not bool(torch.isfinite(picture.sum())):
        other = "--optimiser adam, or " if kind != "adam" else ""
        raise EaselError(
            f"the picture stopped being numbers at step {done} of {size[1]} x {size[0]} px: use {other}a smaller "
            "--style-weight"
        )
