"""An antialiased square canvas, in units of 1/256 of the picture, with the truth drawn beside the colours.

Every form is a polygon, so a label map, a depth map and a part map are drawn from exactly the same points.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from easel.pocket.world.paint import Colour, Floats, Paint, dark
from easel.pocket.world.texture import Bytes, glow_ramp, ramp, texture
from easel.pocket.world.words import LABELS

SHIFT = 4
"""Fraction bits of the coordinates handed to cv2."""
SPREAD = np.linspace(-1, 1, 256)[:, None] * np.where(np.arange(256)[:, None] < 128, [1.0, 0.94, 0.8], [0.85, 0.9, 1.0])
"""How far each of 256 steps of light moves a colour, (256, 3): shadows stay a little cool, lights a little warm."""


class Canvas:
    """A square RGB picture; with `truth` also the label, depth (near = 1) and part number of what is in front."""

    def __init__(self, size: int, truth: bool = False) -> None:
        self.size = size
        self.unit = size / 256
        self.image: Bytes = np.full((size, size, 3), 255, np.uint8)
        self.side = -1
        self.tone: tuple[float, Floats, Floats] = (1.0, np.ones(3), np.zeros(3))
        self.lamps: list[tuple[float, float, float, str, int]] = []
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
            self._mark(where, max(1, round(paint.line * self.unit)) if paint.line else 0)

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

    def _mark(self, where: NDArray[np.int32], line: int) -> None:
        """Draw the form and its outline, without antialiasing, into the truth."""
        inside = np.zeros((self.size, self.size), np.uint8)
        cv2.fillPoly(inside, [where], 1, cv2.LINE_8, SHIFT)
        if line:
            cv2.polylines(inside, [where], True, 1, line, cv2.LINE_8, SHIFT)
        seen = inside > 0
        self.labels[seen] = self.label
        self.parts[seen] = self.part
        if isinstance(self.rows, float):
            self.depths[seen] = self.rows
        else:
            self.depths[...] = np.where(seen, self.rows[:, None], self.depths)

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
