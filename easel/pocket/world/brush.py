"""The brush: forms in a frame of their own on a canvas; with it, all that drawing needs."""

import numpy as np
from numpy.typing import ArrayLike

from easel.pocket.world.canvas import Canvas
from easel.pocket.world.paint import CIRCLE, Colour, Floats, Paint, dark, flat, mix, one_of, pale, ribbon, smooth

__all__ = ["CIRCLE", "Canvas", "Colour", "Floats", "Paint", "Pen", "dark", "flat", "mix", "one_of", "pale", "smooth"]


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

    def lamp(self, centre: ArrayLike, radius: float, kind: str) -> None:
        """Remember where a "lamp" or a "window" would give light; draws nothing."""
        x, y = self.at(centre) / 256
        self.canvas.lamps.append((float(x), float(y), radius * self.scale / 256, kind, self.canvas.label))

    def glow(self, centre: ArrayLike, radius: float, colour: Colour, strength: float) -> None:
        """A soft light."""
        x, y = self.at(centre)
        self.canvas.glow((x, y), (radius * self.scale, radius * self.scale), colour, strength)
