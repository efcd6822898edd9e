"""Colours, paints and curves."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Colour = tuple[float, float, float]
TURN = np.linspace(0, 2 * np.pi, 28, endpoint=False)
CIRCLE = np.stack([np.cos(TURN), np.sin(TURN)], axis=1)
STEPS = np.linspace(0, 1, 5, endpoint=False)
SPLINE = 0.5 * np.stack(
    [
        -STEPS + 2 * STEPS**2 - STEPS**3,
        2 - 5 * STEPS**2 + 3 * STEPS**3,
        STEPS + 4 * STEPS**2 - 3 * STEPS**3,
        -(STEPS**2) + STEPS**3,
    ],
    axis=1,
)
"""Catmull-Rom weights, (5, 4)."""


class Paint(NamedTuple):
    """How a mark is filled: colour, strength of light and shadow, outline width, form of the light, texture."""

    colour: Colour
    shade: float = 0.34
    line: float = 1.2
    form: str = "ball"
    texture: str = "grain"
    rough: float = 0.11
    lit: bool = False

    def mix(self, other: Colour, share: float) -> "Paint":
        """The same paint with `share` of another colour in it."""
        return self._replace(colour=mix(self.colour, other, share))


def flat(colour: Colour, lit: bool = False) -> Paint:
    """A paint without light, outline or texture."""
    return Paint(colour, 0.0, 0.0, "ball", "grain", 0.0, lit)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` 0 gives the first colour, 1 the second."""
    keep = 1 - share
    return (
        first[0] * keep + second[0] * share,
        first[1] * keep + second[1] * share,
        first[2] * keep + second[2] * share,
    )


def dark(colour: Colour, share: float = 0.4) -> Colour:
    """The colour in shadow."""
    return mix(colour, (24, 14, 40), share)


def pale(colour: Colour, share: float = 0.4) -> Colour:
    """The colour in light."""
    return mix(colour, (255, 252, 240), share)


def one_of(colours: Sequence[Colour], pick: float) -> Colour:
    """The colour at the share `pick`, 0..1, of a list."""
    return colours[int(pick * len(colours))]


def smooth(points: ArrayLike) -> Floats:
    """A closed Catmull-Rom curve through the points: (n, 2) -> (5 n, 2)."""
    knots = np.asarray(points, float)
    around = np.stack([np.roll(knots, 1, 0), knots, np.roll(knots, -1, 0), np.roll(knots, -2, 0)])
    return np.asarray(np.einsum("sk,knd->nsd", SPLINE, around).reshape(-1, 2))


def ribbon(points: ArrayLike, widths: ArrayLike) -> Floats:
    """The closed outline of a thick curve through points with a width at each: (n, 2), (n,) -> (m, 2)."""
    knots = np.asarray(points, float)
    wide = np.broadcast_to(np.asarray(widths, float), (len(knots),)) / 2
    ends = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    around = np.stack([ends[:-3], ends[1:-2], ends[2:-1], ends[3:]])
    curve = np.concatenate([np.einsum("sk,knd->nsd", SPLINE, around).reshape(-1, 2), knots[-1:]])
    width = np.interp(np.linspace(0, len(knots) - 1, len(curve)), np.arange(len(knots)), wide)[:, None]
    along = np.gradient(curve, axis=0)
    along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) * width
    cap = along[-1:] * width[-1:] * 0.8
    tail = along[:1] * width[:1] * 0.8
    return np.concatenate([curve + normal, curve[-1:] + cap, (curve - normal)[::-1], curve[:1] - tail])
