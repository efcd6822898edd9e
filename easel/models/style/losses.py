"""The losses of style transfer: content, style and smoothness (Gatys et al. 2015, arXiv 1508.06576, equations 1 to 7),
with gradients that need memory for one tile only.

Every term is relative, so that one set of weights serves networks whose maps differ in size by thousands: a content
term of 1 is as far as a flat picture, a style term of 1 as far as maps of the right spread without any pattern.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

FeatureMaps = dict[str, Tensor]
"""Layer name -> maps (1, c, h, w)."""
MIN_RELATIVE_STD = 0.1
"""A channel's standard deviation counts as at least this share of its layer's, so that one that is nearly always off
weighs little.
"""
MIN_PATTERN = 1 / 255
"""A layer that varies by less than this, or than this share of its size, shows no pattern and has no style."""
EPSILON = 1e-12


class FeatureExtractor(Protocol):
    """A network that gives maps of named layers, (1, c, h, w) each, for pictures (1, 3, h, w) in 0 to 1."""

    @property
    def strides(self) -> Mapping[str, int]:
        """Pixels between neighbours in each layer's map."""

    @property
    def reach(self) -> int:
        """Radius in pixels of the largest receptive field, at most."""

    def __call__(self, pictures: Tensor, layers: Collection[str]) -> FeatureMaps:
        """Maps by the names of layers."""


class MapSums(NamedTuple):
    """A layer's maps summed over all positions; sums of tiles add up to the sum of the whole."""

    positions: int
    """h * w."""
    first: Tensor
    """Sum of each channel, (c,)."""
    second: Tensor
    """Sum of the products of every two channels, (c, c): divided by `positions` it is the Gram matrix."""

    def plus(self, other: MapSums) -> MapSums:
        """Both together."""
        return MapSums(self.positions + other.positions, self.first + other.first, self.second + other.second)


def sums(maps: Tensor) -> MapSums:
    """Sums of maps (1, c, h, w)."""
    flat = maps[0].flatten(1)  # (c, h * w)
    return MapSums(flat.shape[1], flat.sum(dim=1), flat @ flat.T)


def gram(maps: Tensor) -> Tensor:
    """The Gram matrix (Gatys et al. 2015, equation 3) of maps (1, c, h, w), over the number of positions: (c, c)."""
    found = sums(maps)
    return found.second / found.positions


def total_variation(picture: Tensor) -> Tensor:
    """Mean squared difference to the right neighbour, plus that to the one below, of (1, 3, h, w)."""
    right, below = picture[..., 1:] - picture[..., :-1], picture[..., 1:, :] - picture[..., :-1, :]
    return right.square().mean() + below.square().mean()


def has_pattern(mean: Tensor, gram_matrix: Tensor) -> bool:
    """Whether channels of means (c,) and Gram matrix (c, c) vary over the picture."""
    variance = (gram_matrix.diagonal() - mean.square()).mean()
    return bool(variance > MIN_PATTERN**2 * (1 + gram_matrix.diagonal().mean()))


class StyleStatistics:
    """A layer's style: means, standard deviations and correlations of its channels in the style pictures."""

    def __init__(self, mean: Tensor, gram_matrix: Tensor, *, gram_only: bool = False) -> None:
        """`mean` (c,) and `gram_matrix` (c, c), averaged over positions; those of several pictures blended are their
        weighted means. `gram_only`: only Gram matrices count, as they are in the paper.
        """
        variance = (gram_matrix.diagonal() - mean.square()).clamp_min(0)
        self.gram_only = gram_only
        self.mean = torch.zeros_like(mean) if gram_only else mean
        self.std = torch.maximum(variance, MIN_RELATIVE_STD**2 * variance.mean()).sqrt() + EPSILON
        if gram_only:
            self.std = torch.ones_like(variance)
        self.target = self._standardised(mean, gram_matrix)
        self.target_square = float(self.target.square().sum()) + EPSILON

    def _standardised(self, mean: Tensor, gram_matrix: Tensor) -> Tensor:
        """The Gram matrix (c, c) of channels less the style's mean, in units of the style's standard deviation."""
        cross = mean[:, None] * self.mean
        centred = gram_matrix - cross - cross.T + self.mean[:, None] * self.mean
        return centred / (self.std[:, None] * self.std)

    def loss(self, found: MapSums) -> Tensor:
        """How far a picture's maps are from this style: 0 where means, deviations and correlations agree.

        The Gram matrices of Gatys et al. 2015, equation 4, taken of standardised channels, so that faint channels
        (colour, for one) count like strong ones.
        """
        mean, gram_matrix = found.first / found.positions, found.second / found.positions
        distance = (self._standardised(mean, gram_matrix) - self.target).square().sum() / self.target_square
        return distance if self.gram_only else distance + ((mean - self.mean) / self.std).square().mean()


@dataclass(frozen=True)
class Tile:
    """A part of a picture, in pixels: `outer` is what the network is given, `inner` what counts; (top, bottom, left,
    right) each.
    """

    outer: tuple[int, int, int, int]
    inner: tuple[int, int, int, int]

    def crop(self, picture: Tensor) -> Tensor:
        """The `outer` part of a picture (..., h, w); a view."""
        top, bottom, left, right = self.outer
        return picture[..., top:bottom, left:right]

    def crop_maps(self, maps: Tensor, stride: int) -> Tensor:
        """The positions of maps of `outer` that belong to `inner`."""
        slices = []
        for first, last in ((0, 1), (2, 3)):
            begin = (self.inner[first] - self.outer[first]) // stride
            ends_there = self.inner[last] == self.outer[last]
            slices.append(slice(begin, None if ends_there else (self.inner[last] - self.outer[first]) // stride))
        return maps[..., slices[0], slices[1]]


def tiles(height: int, width: int, tile_size: int, network: FeatureExtractor) -> list[Tile]:
    """A picture as tiles of at most `tile_size` pixels a side, each with a border as wide as the receptive field.

    Tiles begin at multiples of the coarsest stride, so that every position of every map is counted once, and has the
    value that it has in the whole picture. A picture that fits is one tile.
    """
    step = max(network.strides.values())
    border = -(-network.reach // step) * step

    def spans(length: int) -> list[tuple[int, int, int, int]]:
        if length <= tile_size:
            return [(0, length, 0, length)]
        size = max(step, (tile_size - 2 * border) // step * step)
        starts = range(0, length, size)
        return [(max(0, at - border), min(length, at + size + border), at, min(length, at + size)) for at in starts]

    return [
        Tile((*down[:2], *across[:2]), (*down[2:], *across[2:])) for down in spans(height) for across in spans(width)
    ]


def tiled_sums(
    picture: Tensor, network: FeatureExtractor, layers: Collection[str], tile_size: int
) -> dict[str, MapSums]:
    """Sums of each layer's maps of a picture (1, 3, h, w), tile by tile where it is larger than `tile_size`."""
    totals: dict[str, MapSums] = {}
    for tile in tiles(picture.shape[2], picture.shape[3], tile_size, network):
        for name, maps in network(tile.crop(picture), layers).items():
            part = sums(tile.crop_maps(maps, network.strides[name]))
            totals[name] = totals[name].plus(part) if name in totals else part
    return totals


@dataclass(frozen=True)
class Objective:
    """The loss of a picture of one size: content + style + total variation, each weighted."""

    network: FeatureExtractor
    tiles: Sequence[Tile]
    tile_size: int
    """Pixels a side of a tile."""
    styles: Mapping[str, StyleStatistics]
    """By layer."""
    content: Sequence[FeatureMaps]
    """The photo's maps, tile by tile."""
    content_weights: Mapping[str, float]
    """By layer: the weight divided by the squared distance of a flat picture."""
    style_weights: Mapping[str, float]
    tv_weight: float

    def loss_and_gradient(self, picture: Tensor) -> tuple[float, Tensor]:
        """The loss of a picture (1, 3, h, w), and its gradient, of the same shape.

        One tile is seen once. Several are seen twice: first to add up the sums that the style depends on, then each for
        the gradient of its content and of its share in those sums, which is exact since sums only add.
        """
        leaf = picture.detach().requires_grad_()
        smoothness = self.tv_weight * total_variation(leaf)
        (gradient,) = torch.autograd.grad(smoothness, leaf)
        loss = float(smoothness.detach())
        if len(self.tiles) == 1:
            maps = self._maps(leaf, self.tiles[0])
            whole = self._style_loss({name: sums(maps[name]) for name in self.styles}) + self._content_loss(maps, 0)
            if whole.requires_grad:
                gradient = (gradient + torch.autograd.grad(whole, leaf)[0]).contiguous()
            return loss + float(whole.detach()), gradient
        style_loss, sum_gradients = self._style_gradients(picture)
        loss += style_loss
        for number, tile in enumerate(self.tiles):
            part = tile.crop(picture).detach().clone().requires_grad_()
            maps = self._maps(part, tile)
            content_loss = self._content_loss(maps, number)
            linear = content_loss + sum(_inner(along, sums(maps[name])) for name, along in sum_gradients.items())
            if linear.requires_grad:
                tile.crop(gradient).add_(torch.autograd.grad(linear, part)[0])
            loss += float(content_loss.detach())
        return loss, gradient

    def _maps(self, picture: Tensor, tile: Tile) -> FeatureMaps:
        """The positions that count of every layer in use; `picture` is the tile's `outer` part."""
        found = self.network(picture, {*self.styles, *self.content_weights})
        return {name: tile.crop_maps(maps, self.network.strides[name]) for name, maps in found.items()}

    def _style_loss(self, found: Mapping[str, MapSums]) -> Tensor:
        terms = [self.style_weights[name] * style.loss(found[name]) for name, style in self.styles.items()]
        return torch.stack(terms).sum() if terms else torch.zeros(())

    def _content_loss(self, maps: FeatureMaps, number: int) -> Tensor:
        """One tile's share of the squared distance to the photo's maps (equation 1)."""
        terms = [
            weight * (maps[name] - self.content[number][name]).square().sum()
            for name, weight in self.content_weights.items()
        ]
        return torch.stack(terms).sum() if terms else torch.zeros(())

    def _style_gradients(self, picture: Tensor) -> tuple[float, dict[str, MapSums]]:
        """The style's loss, and its gradient with respect to each layer's sums."""
        with torch.no_grad():
            totals = tiled_sums(picture, self.network, self.styles, self.tile_size)
        leaves = {
            name: MapSums(found.positions, found.first.requires_grad_(), found.second.requires_grad_())
            for name, found in totals.items()
        }
        style_loss = self._style_loss(leaves)
        gradients = {}
        for name, leaf in leaves.items():
            first, second = torch.autograd.grad(style_loss, (leaf.first, leaf.second), retain_graph=True)
            gradients[name] = MapSums(leaf.positions, first, second)
        return float(style_loss.detach()), gradients


def _inner(along: MapSums, found: MapSums) -> Tensor:
    """Inner product of a tile's sums with a gradient: linear in the sums, so it has that gradient."""
    return (along.first * found.first).sum() + (along.second * found.second).sum()
