"""Antialiased brushes on a square canvas, in units of 1/256 of the picture, with the truth drawn beside the colours.

Every mark is a polygon, so a label map, a depth map and a part map can be drawn from exactly the same points.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from easel.world.words import LABELS

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Colour = tuple[float, float, float]

SHIFT = 4
"""Fraction bits of the coordinates handed to cv2."""
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
"""Catmull-Rom weights (5, 4)."""
AXIS = (np.arange(64) + 0.5) / 32 - 1
SPREAD = np.linspace(-1, 1, 256)[:, None] * np.where(np.arange(256)[:, None] < 128, [1.0, 0.94, 0.8], [0.85, 0.9, 1.0])
"""How far each of 256 steps of light moves a colour, (256, 3): shadows stay a little cool, lights a little warm."""


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
    """The outline of a thick curve through the points with a width at each: (n, 2), (n,) -> closed (m, 2)."""
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


@cache
def ramp(form: str, side: int) -> Bytes:
    """Light on a form, (64, 64) uint8, 128 = the paint's own colour; side -1: light from the left, 1: from the right."""
    x, y = np.meshgrid(AXIS * -side, AXIS)
    if form == "ball":
        light = 0.75 - 1.05 * np.hypot(x - 0.42, y + 0.5)
    elif form == "tube":
        light = 0.55 - 1.1 * np.abs(x - 0.4)
    else:
        light = -0.8 * y + 0.12 * x
    return np.asarray(np.clip(128 + 100 * light, 0, 255), np.uint8)


@cache
def glow_ramp() -> Bytes:
    """A soft round light, (64, 64) uint8."""
    x, y = np.meshgrid(AXIS, AXIS)
    return np.asarray(255 * np.clip(1 - np.hypot(x, y), 0, 1) ** 1.7, np.uint8)


def _dabs(rng: np.random.Generator, count: int, axes: tuple[float, float], turn: tuple[float, float]) -> Bytes:
    tile = np.full((512, 512), 128, np.uint8)
    for x, y, grey, big, angle in rng.random((count, 5)):
        size = (int(axes[0] * (0.6 + 0.8 * big) * 16), int(axes[1] * (0.6 + 0.8 * big) * 16))
        centre = (int(x * 8192), int(y * 8192))
        degrees = turn[0] + (turn[1] - turn[0]) * angle
        cv2.ellipse(tile, centre, size, degrees, 0, 360, int(40 + 176 * grey), -1, cv2.LINE_AA, 4)
    return tile


def _clouds(rng: np.random.Generator, cells: tuple[int, int], octaves: int) -> Bytes:
    total = np.zeros((512, 512), np.float32)
    for octave in range(octaves):
        shape = (min(512, cells[0] << octave), min(512, cells[1] << octave))
        noise = rng.standard_normal(shape, dtype=np.float32)
        total += np.asarray(cv2.resize(noise, (512, 512), interpolation=cv2.INTER_CUBIC), np.float32) / 1.7**octave
    return np.asarray(np.clip(128 + 52 * total / total.std(), 0, 255), np.uint8)


@cache
def texture(name: str) -> Bytes:
    """A grey texture, (512, 512) uint8 around 128, always the same."""
    rng = np.random.default_rng(sum(name.encode()))
    if name == "leaf":
        return _dabs(rng, 9000, (5.0, 2.6), (0, 180))
    if name == "bush":
        return _dabs(rng, 3500, (7.0, 6.0), (0, 180))
    if name == "fur":
        return _dabs(rng, 16000, (4.5, 0.7), (55, 125))
    if name == "grass":
        return _dabs(rng, 14000, (5.0, 0.8), (65, 115))
    cells, octaves = {"grain": ((128, 128), 2), "stone": ((12, 12), 5), "wood": ((64, 5), 4), "bark": ((5, 70), 3),
                      "cloth": ((200, 200), 1), "sand": ((24, 24), 5), "mist": ((5, 5), 5), "water": ((70, 7), 3)}[name]  # fmt: skip
    return _clouds(rng, cells, octaves)


class Canvas:
    """A square RGB picture; with `truth` it also keeps labels, depth (near = 1) and part numbers of what is in front."""

    def __init__(self, size: int, truth: bool = False) -> None:
        self.size = size
        self.unit = size / 256
        self.image: Bytes = np.full((size, size, 3), 255, np.uint8)
        self.side = -1
        self.tone: tuple[float, Floats, Floats] = (1.0, np.ones(3), np.zeros(3))
        self.truth = truth
        self.label = 0
        self.rows: Floats | float = 0.0
        self.part = 0
        if truth:
            self.labels: Bytes = np.zeros((size, size), np.uint8)
            self.depths: NDArray[np.float32] = np.zeros((size, size), np.float32)
            self.parts: NDArray[np.float32] = np.zeros((size, size), np.float32)

    def now(self, label: str, depth: float, near: float | None = None, top: float = 0.0) -> None:
        """What follows is `label` at `depth`; with `near`, depth runs from row `top` to `near` at the bottom row."""
        self.label = LABELS[label]
        if near is None:
            self.rows = depth
        else:
            y = (np.arange(self.size) + 0.5) / self.unit
            self.rows = depth + (near - depth) * np.clip((y - top) / max(256 - top, 1), 0, 1)

    @contextmanager
    def of(self, label: str) -> Iterator[None]:
        """What is drawn inside is `label` at the same depth."""
        was = self.label
        self.label = LABELS[label]
        yield
        self.label = was

    def seen(self, colour: Colour, lit: bool = False) -> Colour:
        """The colour in the light of the scene."""
        if lit:
            return colour
        keep, gain, lift = self.tone
        grey = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]
        out = [
            min(255.0, max(0.0, (grey + (c - grey) * keep) * g + b)) for c, g, b in zip(colour, gain, lift, strict=True)
        ]
        return (out[0], out[1], out[2])

    def fixed(self, points: Floats) -> NDArray[np.int32]:
        """Points in units -> cv2 fixed-point pixels."""
        return np.asarray(np.rint((points * self.unit - 0.5) * (1 << SHIFT)), np.int32)

    def fill(self, points: Floats, paint: Paint) -> None:
        """Fill a polygon, (n, 2) in units."""
        where = self.fixed(points)
        self.part += 1
        colour = self.seen(paint.colour, paint.lit)
        if paint.shade or paint.rough:
            self._shaded(where, colour, paint)
        else:
            cv2.fillPoly(self.image, [where], colour, cv2.LINE_AA, SHIFT)
        if paint.line:
            edge = self.seen(dark(paint.colour, 0.52), paint.lit)
            cv2.polylines(self.image, [where], True, edge, max(1, round(paint.line * self.unit)), cv2.LINE_AA, SHIFT)
        if self.truth:
            self._mark(where)

    def _box(self, where: NDArray[np.int32], margin: int = 1) -> tuple[int, int, int, int] | None:
        x, y, w, h = cv2.boundingRect(where)
        left, top = max(0, (x >> SHIFT) - margin), max(0, (y >> SHIFT) - margin)
        right = min(self.size, ((x + w) >> SHIFT) + 2 + margin)
        bottom = min(self.size, ((y + h) >> SHIFT) + 2 + margin)
        return (left, top, right, bottom) if right > left and bottom > top else None

    def _shaded(self, where: NDArray[np.int32], colour: Colour, paint: Paint) -> None:
        box = self._box(where)
        if box is None:
            return
        left, top, right, bottom = box
        mask = np.zeros((bottom - top, right - left), np.uint8)
        cv2.fillPoly(mask, [where - np.array([left << SHIFT, top << SHIFT], np.int32)], 255, cv2.LINE_AA, SHIFT)
        x, y, w, h = (v >> SHIFT for v in cv2.boundingRect(where))
        light = cv2.resize(ramp(paint.form, self.side), (w + 8, h + 8), interpolation=cv2.INTER_LINEAR)
        light = light[top - y + 3 : bottom - y + 3, left - x + 3 : right - x + 3]
        if paint.rough and paint.shade:
            grain = self._grain(paint.texture, (right - left, bottom - top))
            weight = paint.rough / paint.shade
            light = cv2.addWeighted(light, 1.0, grain, weight, -128 * weight)
        steps = np.clip(np.array(colour) + SPREAD * (paint.shade * (26 + 0.5 * np.array(colour))), 0, 255)
        table = np.asarray(steps + 0.5, np.uint8)[:, None, :]
        self._blend(
            (left, top, right, bottom), np.asarray(cv2.LUT(cv2.merge([light, light, light]), table), np.uint8), mask
        )

    def _grain(self, name: str, size: tuple[int, int]) -> Bytes:
        width, height = int(size[0] / self.unit) + 1, int(size[1] / self.unit) + 1
        x, y = (self.part * 37) % (512 - min(width, 511)), (self.part * 61) % (512 - min(height, 511))
        tile = texture(name)[y : y + height, x : x + width]
        if self.size == 256:
            return tile[: size[1], : size[0]]
        return np.asarray(cv2.resize(tile, size), np.uint8)

    def _blend(self, box: tuple[int, int, int, int], paint: Bytes, mask: Bytes) -> None:
        left, top, right, bottom = box
        under = self.image[top:bottom, left:right]
        weight = cv2.merge([mask, mask, mask])
        over = cv2.multiply(paint, weight, scale=1 / 255)
        rest = cv2.multiply(under, cv2.bitwise_not(weight), scale=1 / 255)
        self.image[top:bottom, left:right] = cv2.add(over, rest)

    def _mark(self, where: NDArray[np.int32]) -> None:
        cv2.fillPoly(self.labels, [where], self.label, cv2.LINE_8, SHIFT)
        cv2.fillPoly(self.parts, [where], self.part, cv2.LINE_8, SHIFT)
        if isinstance(self.rows, float):
            cv2.fillPoly(self.depths, [where], self.rows, cv2.LINE_8, SHIFT)
        else:
            inside = np.zeros((self.size, self.size), np.uint8)
            cv2.fillPoly(inside, [where], 1, cv2.LINE_8, SHIFT)
            self.depths[...] = np.where(inside > 0, self.rows[:, None], self.depths)

    def veil(self, points: Floats, colour: Colour, strength: float, blur: float = 0.0) -> None:
        """Lay a see-through polygon over the picture (shadows, haze); the truth does not change."""
        where = self.fixed(points)
        soft = round(blur * self.unit)
        box = self._box(where, 1 + 2 * soft)
        if box is None:
            return
        left, top, right, bottom = box
        mask = np.zeros((bottom - top, right - left), np.uint8)
        value = int(255 * strength)
        cv2.fillPoly(mask, [where - np.array([left << SHIFT, top << SHIFT], np.int32)], value, cv2.LINE_AA, SHIFT)
        if soft:
            mask = np.asarray(cv2.blur(cv2.blur(mask, (2 * soft + 1, 2 * soft + 1)), (soft + 1, soft + 1)), np.uint8)
        paint = np.empty((bottom - top, right - left, 3), np.uint8)
        paint[:] = np.asarray(colour, np.uint8)
        self._blend(box, paint, mask)

    def glow(self, centre: tuple[float, float], radius: tuple[float, float], colour: Colour, strength: float) -> None:
        """Add a soft round light; the truth does not change."""
        (x, y), (rx, ry) = (
            (centre[0] * self.unit, centre[1] * self.unit),
            (radius[0] * self.unit, radius[1] * self.unit),
        )
        left, top, right, bottom = round(x - rx), round(y - ry), round(x + rx), round(y + ry)
        light = cv2.resize(glow_ramp(), (max(2, right - left), max(2, bottom - top)))
        cut = light[max(0, -top) : self.size - top, max(0, -left) : self.size - left]
        if not cut.size:
            return
        table = np.asarray(np.linspace(0, strength, 256)[:, None] * np.asarray(colour), np.uint8)[:, None, :]
        left, top = max(0, left), max(0, top)
        view = self.image[top : top + cut.shape[0], left : left + cut.shape[1]]
        view[...] = cv2.add(view, cv2.LUT(cv2.merge([cut, cut, cut]), table))

    def sheet(self, stops: list[tuple[float, Colour]], top: float, bottom: float, lit: bool = False) -> None:
        """Fill whole rows from `top` to `bottom` with a gradient through (row share, colour) stops."""
        first, last = max(0, round(top * self.unit)), min(self.size, round(bottom * self.unit))
        if last <= first:
            return
        at = np.linspace(0, 1, last - first)
        shares = [share for share, _ in stops]
        seen = [self.seen(colour, lit) for _, colour in stops]
        rows = np.stack([np.interp(at, shares, [colour[channel] for colour in seen]) for channel in range(3)], axis=1)
        self.image[first:last] = np.asarray(rows + 0.5, np.uint8)[:, None, :]
        self.part += 1
        if self.truth:
            self.labels[first:last] = self.label
            self.parts[first:last] = self.part
            self.depths[first:last] = self.rows if isinstance(self.rows, float) else self.rows[first:last, None]

    def weave(self, name: str, strength: float, box: tuple[float, float, float, float] = (0, 0, 256, 256)) -> None:
        """Lay a texture over a box of the picture (left, top, right, bottom)."""
        left, top, right, bottom = (min(self.size, max(0, round(v * self.unit))) for v in box)
        if right <= left or bottom <= top:
            return
        self.part += 1
        grain = self._grain(name, (right - left, bottom - top))
        view = self.image[top:bottom, left:right]
        view[...] = cv2.addWeighted(view, 1.0, cv2.merge([grain, grain, grain]), strength, -128 * strength)

    def dots(self, points: Floats, radii: ArrayLike, colour: Colour, lit: bool = False) -> None:
        """Small round marks (stars, petals, pebbles); too small for the truth."""
        seen = self.seen(colour, lit)
        wide = np.broadcast_to(np.asarray(radii, float) * self.unit * (1 << SHIFT), (len(points),)).astype(int).tolist()
        for (x, y), radius in zip(self.fixed(points).tolist(), wide, strict=True):
            cv2.circle(self.image, (x, y), radius, seen, -1, cv2.LINE_AA, SHIFT)


class Pen:
    """A brush in a frame of its own: `scale` units long, origin at `at`, y down; flip -1 mirrors, angle in degrees."""

    def __init__(self, canvas: Canvas, at: ArrayLike, scale: float, flip: int = 1, angle: float = 0.0) -> None:
        self.canvas = canvas
        self.origin = np.asarray(at, float)
        self.scale = scale
        self.flip = flip
        self.angle = angle
        cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        self.matrix = scale * np.array([[flip * cos, sin], [-flip * sin, cos]])

    def inner(self, at: ArrayLike, scale: float, flip: int = 1, angle: float = 0.0) -> "Pen":
        """A frame inside this frame."""
        return Pen(self.canvas, self.at(at), self.scale * scale, self.flip * flip, flip * self.angle + angle)

    def at(self, points: ArrayLike) -> Floats:
        """Points of the frame -> units of the canvas, (..., 2) both."""
        return np.asarray(np.asarray(points, float) @ self.matrix + self.origin)

    def shape(self, points: ArrayLike, paint: Paint) -> None:
        """A polygon with straight sides."""
        self.canvas.fill(self.at(points), paint)

    def blob(self, points: ArrayLike, paint: Paint) -> None:
        """A smooth closed form through the points."""
        self.canvas.fill(self.at(smooth(points)), paint)

    def oval(self, centre: ArrayLike, radii: tuple[float, float], paint: Paint, angle: float = 0.0) -> None:
        """An ellipse, turned by angle in degrees."""
        ring = CIRCLE * np.asarray(radii)
        if angle:
            cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
            ring = ring @ np.array([[cos, sin], [-sin, cos]])
        self.canvas.fill(self.at(ring + np.asarray(centre, float)), paint)

    def ribbon(self, points: ArrayLike, widths: ArrayLike, paint: Paint) -> None:
        """A thick smooth curve, one width or one for each point."""
        self.canvas.fill(self.at(ribbon(points, widths)), paint)

    def box(self, corner: ArrayLike, other: ArrayLike, paint: Paint) -> None:
        """A rectangle between two opposite corners."""
        (left, top), (right, bottom) = np.asarray(corner, float), np.asarray(other, float)
        self.canvas.fill(self.at([(left, top), (right, top), (right, bottom), (left, bottom)]), paint)

    def dots(self, points: ArrayLike, radius: ArrayLike, colour: Colour, lit: bool = False) -> None:
        """Small round marks."""
        self.canvas.dots(self.at(points), np.asarray(radius, float) * self.scale, colour, lit)

    def shadow(self, centre: ArrayLike, radii: tuple[float, float], strength: float = 0.34) -> None:
        """A soft shadow on the ground."""
        ring = CIRCLE * np.asarray(radii) + np.asarray(centre, float)
        self.canvas.veil(self.at(ring), (22, 16, 40), strength, 0.25 * radii[1] * self.scale)

    def glow(self, centre: ArrayLike, radius: float, colour: Colour, strength: float) -> None:
        """A soft light."""
        x, y = self.at(centre)
        self.canvas.glow((x, y), (radius * self.scale, radius * self.scale), colour, strength)
