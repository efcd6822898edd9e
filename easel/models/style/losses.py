"""What style transfer goes downhill on: content kept, style matched, and smoothness (Gatys et al. 2015, equations 1 to
7), with gradients that need memory for one tile only.

Every term is relative, so that one set of weights serves networks whose maps differ in size by thousands: a content
term of 1 is as far as a flat picture, a style term of 1 as far as maps of the right spread without any pattern.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

Maps = dict[str, Tensor]
FAINT = 0.1
"""A channel's spread counts as at least this share of its layer's, so that one that is nearly always off weighs little.
"""
LEVEL = 1 / 255
"""A layer that varies by less than this, or than this share of its size, shows no pattern and has no style."""
TINY = 1e-12


class Network(Protocol):
    """What sees: maps of named layers, (1, c, h, w) each, from pictures (1, 3, h, w) in 0 to 1."""

    @property
    def strides(self) -> Mapping[str, int]:
        """Pixels between neighbours in each layer's map."""

    @property
    def reach(self) -> int:
        """Pixels to each side that a place in any map depends on at most."""

    def __call__(self, pictures: Tensor, layers: Collection[str]) -> Maps:
        """Maps by the names of layers."""


class Sums(NamedTuple):
    """A layer's maps added up over all places; sums of tiles add up to the sum of the whole."""

    places: int
    first: Tensor
    """(c,)."""
    second: Tensor
    """Products of every two channels, (c, c): by the number of places it is the Gram matrix."""

    def plus(self, other: Sums) -> Sums:
        """Both together."""
        return Sums(self.places + other.places, self.first + other.first, self.second + other.second)


def sums(maps: Tensor) -> Sums:
    """Sums of maps (1, c, h, w)."""
    rows = maps[0].flatten(1)
    return Sums(rows.shape[1], rows.sum(dim=1), rows @ rows.T)


def gram(maps: Tensor) -> Tensor:
    """The Gram matrix (Gatys et al. 2015, equation 3) of maps (1, c, h, w), by the number of places: (c, c)."""
    found = sums(maps)
    return found.second / found.places


def total_variation(picture: Tensor) -> Tensor:
    """Mean squared step to the right neighbour, plus that to the one below, of (1, 3, h, w)."""
    right, below = picture[..., 1:] - picture[..., :-1], picture[..., 1:, :] - picture[..., :-1, :]
    return right.square().mean() + below.square().mean()


def patterned(mean: Tensor, products: Tensor) -> bool:
    """Whether channels of means (c,) and Gram matrix (c, c), by place, vary over the picture."""
    spread = (products.diagonal() - mean.square()).mean()
    return bool(spread > LEVEL**2 * (1 + products.diagonal().mean()))


class Manner:
    """A layer's style: means, spreads and correlations of its channels in the style pictures."""

    def __init__(self, mean: Tensor, products: Tensor, *, plain: bool = False) -> None:
        """`mean` (c,) and Gram matrix `products` (c, c), by place; those of several pictures blended are their weighted
        means. `plain`: only Gram matrices count, as they are.
        """
        spread = (products.diagonal() - mean.square()).clamp_min(0)
        self.plain = plain
        self.mean = torch.zeros_like(mean) if plain else mean
        self.spread = torch.maximum(spread, FAINT**2 * spread.mean()).sqrt() + TINY
        if plain:
            self.spread = torch.ones_like(spread)
        self.wanted = self._standard(mean, products)
        self.size = float(self.wanted.square().sum()) + TINY

    def _standard(self, mean: Tensor, products: Tensor) -> Tensor:
        """The Gram matrix of channels less the style's mean, in units of the style's spread."""
        cross = mean[:, None] * self.mean
        centred = products - cross - cross.T + self.mean[:, None] * self.mean
        return centred / (self.spread[:, None] * self.spread)

    def term(self, found: Sums) -> Tensor:
        """How far a picture's maps are from this style: 0 where means, spreads and correlations agree.

        The Gram matrices of Gatys et al. 2015, equation 4, taken of channels in the style's own units, so that faint
        channels (colour, for one) count like strong ones.
        """
        mean, products = found.first / found.places, found.second / found.places
        apart = (self._standard(mean, products) - self.wanted).square().sum() / self.size
        return apart if self.plain else apart + ((mean - self.mean) / self.spread).square().mean()


@dataclass(frozen=True)
class Tile:
    """A part of a picture, in pixels: `outer` is what the network sees, `inner` what is counted; (top, bottom, left,
    right) each.
    """

    outer: tuple[int, int, int, int]
    inner: tuple[int, int, int, int]

    def cut(self, picture: Tensor) -> Tensor:
        """What the network sees of the picture; a view."""
        top, bottom, left, right = self.outer
        return picture[..., top:bottom, left:right]

    def counted(self, maps: Tensor, stride: int) -> Tensor:
        """The places of maps of `outer` that belong to `inner`."""
        cuts = []
        for first, last in ((0, 1), (2, 3)):
            begin = (self.inner[first] - self.outer[first]) // stride
            ends_there = self.inner[last] == self.outer[last]
            cuts.append(slice(begin, None if ends_there else (self.inner[last] - self.outer[first]) // stride))
        return maps[..., cuts[0], cuts[1]]


def tiles(height: int, width: int, most: int, network: Network) -> list[Tile]:
    """A picture as tiles of at most `most` pixels a side, seen with a border as wide as the network reaches.

    Tiles begin at multiples of the coarsest stride, so that every place of every map is counted once, and has the value
    that it has in the whole picture. Without tiles, one that is the picture.
    """
    step = max(network.strides.values())
    border = -(-network.reach // step) * step

    def cuts(length: int) -> list[tuple[int, int, int, int]]:
        if length <= most:
            return [(0, length, 0, length)]
        size = max(step, (most - 2 * border) // step * step)
        starts = range(0, length, size)
        return [(max(0, at - border), min(length, at + size + border), at, min(length, at + size)) for at in starts]

    return [Tile((*down[:2], *across[:2]), (*down[2:], *across[2:])) for down in cuts(height) for across in cuts(width)]


def whole_sums(picture: Tensor, network: Network, layers: Collection[str], most: int) -> dict[str, Sums]:
    """Sums of each layer's maps of a picture (1, 3, h, w), tile by tile where it is larger than `most`."""
    totals: dict[str, Sums] = {}
    for tile in tiles(picture.shape[2], picture.shape[3], most, network):
        for name, maps in network(tile.cut(picture), layers).items():
            here = sums(tile.counted(maps, network.strides[name]))
            totals[name] = totals[name].plus(here) if name in totals else here
    return totals


@dataclass(frozen=True)
class Goal:
    """What a picture of one size is to become."""

    network: Network
    tiles: Sequence[Tile]
    most: int
    """Pixels a side of a tile."""
    manners: Mapping[str, Manner]
    content: Sequence[Maps]
    """The photo's maps, tile by tile."""
    content_weights: Mapping[str, float]
    """Of each layer, by the size of its term: the weight over how far a flat picture is."""
    style_weights: Mapping[str, float]
    tv_weight: float

    def slope(self, picture: Tensor) -> tuple[float, Tensor]:
        """The loss of a picture (1, 3, h, w), and its gradient.

        One tile is seen once. Several are seen twice: first to add up the sums that the style depends on, then each for
        the gradient of its content and of its share in those sums, which is exact since sums only add.
        """
        leaf = picture.detach().requires_grad_()
        smooth = self.tv_weight * total_variation(leaf)
        (gradient,) = torch.autograd.grad(smooth, leaf)
        loss = float(smooth.detach())
        if len(self.tiles) == 1:
            maps = self._maps(leaf, self.tiles[0])
            whole = self._style({name: sums(maps[name]) for name in self.manners}) + self._content(maps, 0)
            if whole.requires_grad:
                gradient = (gradient + torch.autograd.grad(whole, leaf)[0]).contiguous()
            return loss + float(whole.detach()), gradient
        style, pulls = self._pulls(picture)
        loss += style
        for number, tile in enumerate(self.tiles):
            part = tile.cut(picture).detach().clone().requires_grad_()
            maps = self._maps(part, tile)
            content = self._content(maps, number)
            pulled = content + sum(_along(pull, sums(maps[name])) for name, pull in pulls.items())
            if pulled.requires_grad:
                tile.cut(gradient).add_(torch.autograd.grad(pulled, part)[0])
            loss += float(content.detach())
        return loss, gradient

    def _maps(self, picture: Tensor, tile: Tile) -> Maps:
        """The counted places of every layer that matters; `picture` is what the network sees."""
        seen = self.network(picture, {*self.manners, *self.content_weights})
        return {name: tile.counted(maps, self.network.strides[name]) for name, maps in seen.items()}

    def _style(self, found: Mapping[str, Sums]) -> Tensor:
        terms = [self.style_weights[name] * manner.term(found[name]) for name, manner in self.manners.items()]
        return torch.stack(terms).sum() if terms else torch.zeros(())

    def _content(self, maps: Maps, number: int) -> Tensor:
        """One tile's share of the squared distance to the photo's maps (equation 1)."""
        terms = [
            weight * (maps[name] - self.content[number][name]).square().sum()
            for name, weight in self.content_weights.items()
        ]
        return torch.stack(terms).sum() if terms else torch.zeros(())

    def _pulls(self, picture: Tensor) -> tuple[float, dict[str, Sums]]:
        """The style's loss, and its gradient with respect to each layer's sums."""
        with torch.no_grad():
            totals = whole_sums(picture, self.network, self.manners, self.most)
        leaves = {
            name: Sums(found.places, found.first.requires_grad_(), found.second.requires_grad_())
            for name, found in totals.items()
        }
        style = self._style(leaves)
        pulls = {}
        for name, leaf in leaves.items():
            first, second = torch.autograd.grad(style, (leaf.first, leaf.second), retain_graph=True)
            pulls[name] = Sums(leaf.places, first, second)
        return float(style.detach()), pulls


def _along(pull: Sums, found: Sums) -> Tensor:
    """A tile's sums along the gradient: linear in them, and of the same gradient."""
    return (pull.first * found.first).sum() + (pull.second * found.second).sum()
