"""How a scene comes onto the canvas: place, castle, subject, weather of the mood, grain; then light and style."""

from __future__ import annotations

import colorsys
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from easel.pocket.world import (
    animals,
    indoors,
    light,
    people,
    places,
    rooms,
    styles,
    things,
    tones,
    towns,
    words,
)
from easel.pocket.world.brush import Canvas, Colour, Paint, Pen
from easel.pocket.world.land import Setting, depth_at
from easel.pocket.world.scene import Scene
from easel.pocket.world.wear import Extras

GROUNDS = {
    "kitchen": indoors.kitchen, "forest": places.forest, "street": towns.street, "beach": places.beach,
    "moon": places.moon_ground, "acropolis": towns.acropolis, "mountains": places.mountains, "room": indoors.room,
    "plain": places.plain,
}  # fmt: skip
HEIGHTS = {
    "woman": (150, 186), "man": (150, 188), "bird": (112, 158), "dog": (118, 164), "cat": (116, 160),
    "house": (118, 154), "car": (84, 108), "vase": (136, 182), "fruit": (104, 132), "lamp": (136, 182),
}  # fmt: skip
REACH = {"house": 0.56, "car": 1.02, "fruit": 0.8, "bird": 0.76, "dog": 0.66, "cat": 0.68}


def shade_of(colour: str, rng: np.random.Generator) -> Colour:
    """The colour word with a small variation of its own."""
    r, g, b = (value / 255 for value in words.RGB[colour])
    hue, light, full = colorsys.rgb_to_hls(r, g, b)
    a, c, d = rng.uniform(-1, 1, 3)
    r, g, b = colorsys.hls_to_rgb(
        (hue + 0.012 * a) % 1, min(0.98, light * (1 + 0.06 * c)), min(1.0, full * (1 + 0.06 * d))
    )
    return (255 * r, 255 * g, 255 * b)


def draw(scene: Scene, size: int, truth: bool = False) -> Canvas:
    """Draw a scene without its style and light filters; with `truth`, the canvas holds labels, depths and parts too."""
    own = scene.seed if scene.subject is None else scene.subject
    who, pose = np.random.default_rng([own, 1]), np.random.default_rng([scene.seed, 2])
    around = np.random.default_rng([scene.seed, 3])
    canvas = Canvas(size, truth)
    canvas.side = 1 if around.random() < 0.4 else -1
    colour = shade_of(scene.colour, who)
    setting = Setting(scene.time, scene.mood)
    inside = scene.kind == "room" or scene.place in words.INDOORS
    tones.around(canvas, scene.time, scene.mood, inside)
    if scene.kind == "room":
        rooms.draw(canvas, colour, (who, pose), setting)
    else:
        horizon = GROUNDS[scene.place](canvas, around, setting)
        if scene.castle:
            towns.castle(canvas, np.random.default_rng([scene.seed, 7]), horizon, scene.time == "night")
        air = np.random.default_rng([scene.seed, 8])
        if scene.mood == "joy":
            hearts(canvas, air)
        _subject(canvas, scene, colour, (who, pose), horizon)
        if scene.mood == "sadness" and scene.place in words.OUTDOORS and scene.place != "moon":
            rain(canvas, air)
    canvas.weave("grain", 0.045)
    return canvas


class Stance(NamedTuple):
    """Where a subject stands, in 256ths of the picture: its middle and its foot, how high it is, how far it goes to
    each side.
    """

    x: float
    foot: float
    tall: float
    reach: float


def stance(scene: Scene) -> Stance:
    """Where the subject of a scene stands; what stands on a table may be drawn a little higher."""
    pose = np.random.default_rng([scene.seed, 2]).random(6)
    low, high = HEIGHTS[scene.kind]
    tall = low + (high - low) * pose[0]
    foot = 218 + 26 * pose[1]
    if is_close(scene):
        tall, foot = tall * 1.55, foot + 92
    reach = REACH.get(scene.kind, 0.3) * tall
    slack = max(8.0, min(46.0, 124 - reach))
    return Stance(128 + (pose[2] * 2 - 1) * slack, foot, tall, reach)


def is_close(scene: Scene) -> bool:
    """Whether a person is seen from near by, without the feet; never with a suitcase, which would be cut off."""
    pick = np.random.default_rng([scene.seed, 2]).random(6)[5]
    return bool(scene.kind in words.PEOPLE and pick < 0.3 and "suitcase" not in scene.accessories)


def _subject(
    canvas: Canvas, scene: Scene, colour: Colour, rngs: tuple[np.random.Generator, np.random.Generator], horizon: float
) -> None:
    x, foot, tall, reach = stance(scene)
    pose = rngs[1].random(6)
    if scene.time == "night" and scene.kind != "lamp":
        canvas.glow((x, foot - tall * 0.5), (reach * 1.7 + 30, tall * 0.85), (120, 128, 190), 0.5)
    depth = depth_at(min(foot, 250.0), horizon)
    if scene.kind in words.THINGS:
        foot = min(foot, 222.0)
        _table(canvas, scene, (x, foot), pose[4])
        depth = 0.85
    tones.itself(canvas, scene.time)
    canvas.now(scene.kind, depth)
    pen = Pen(canvas, (x, foot), tall, 1 if pose[3] < 0.5 else -1)
    extras = Extras(scene.mood, scene.accessories, scene.mask, scene.time == "night")
    module = people if scene.kind in words.PEOPLE else animals if scene.kind in words.ANIMALS else things
    module.draw(pen, scene.kind, colour, rngs, extras)


def _table(canvas: Canvas, scene: Scene, at: tuple[float, float], pick: float) -> None:
    """Something for a vase, a bowl or a lamp to stand on."""
    canvas.now("furniture", 0.8)
    wood = Paint(((166, 116, 74), (130, 88, 60), (206, 170, 124))[int(pick * 3)], 0.3, 1.3, "fall", "wood", 0.4)
    if scene.place in words.OUTDOORS:
        stone = Paint((176, 170, 164), 0.4, 1.4, "fall", "stone", 0.4)
        pen = Pen(canvas, (at[0], at[1] - 8), 1)
        half = 78.0
        pen.shadow((0, 40), (half * 1.2, 7))
        pen.shape(
            [(-half, 14), (-half + 6, 60), (half - 6, 60), (half, 14)],
            stone.mix((40, 30, 50), 0.25) if scene.place == "moon" else wood.mix((30, 20, 30), 0.2),
        )
        pen.shape(
            [(-half + 12, -6), (half - 12, -6), (half + 4, 14), (-half - 4, 14)],
            stone if scene.place == "moon" else wood,
        )
        return
    pen = Pen(canvas, (0, at[1] - 12), 1)
    pen.shape([(-4, 0), (260, 0), (260, 40), (-4, 40)], wood)
    pen.shape([(-4, 34), (260, 34), (260, 80), (-4, 80)], wood.mix((30, 20, 30), 0.3))


def hearts(canvas: Canvas, rng: np.random.Generator) -> None:
    """A few hearts in the air, for joy; they are not part of the truth."""
    shape = [(0, 0.9), (-0.9, -0.1), (-0.75, -0.75), (-0.3, -0.8), (0, -0.35), (0.3, -0.8), (0.75, -0.75), (0.9, -0.1)]
    tints = ((250, 120, 140), (255, 210, 90), (255, 240, 230))
    truth, canvas.truth = canvas.truth, False
    for x, y, big in rng.random((8, 3)):
        pen = Pen(canvas, (14 + 228 * x, 14 + 90 * y), 3.2 + 3 * big, 1, 40 * (big - 0.5))
        pen.blob(shape, Paint(tints[int(big * 3)], 0.3, 0.6, lit=True))
    canvas.truth = truth


def rain(canvas: Canvas, rng: np.random.Generator) -> None:
    """Thin rain, for sadness out of doors."""
    for x, y, long in rng.random((30, 3)):
        drop = 5 + 6 * long
        at = np.array([256 * x, 256 * y])
        canvas.veil(at + np.array([(0, 0), (1.1, 0.2), (-drop * 0.25, drop)]), (206, 222, 244), 0.6)


def lamps(canvas: Canvas) -> list[tuple[float, float, float, str]]:
    """The lamps and windows that are not hidden: x, y, radius as shares of the picture, kind; needs the truth."""
    seen = []
    for x, y, radius, kind, label in canvas.lamps:
        row, column = int(y * canvas.size), int(x * canvas.size)
        inside = 0 <= row < canvas.size and 0 <= column < canvas.size
        if inside and canvas.labels[row, column] == label:
            seen.append((x, y, radius, kind))
    return seen


def render(scene: Scene, size: int = 256) -> NDArray[np.uint8]:
    """The scene drawn, under its light, in its style: (size, size, 3) RGB uint8."""
    canvas = draw(scene, size, truth=scene.light == "night")
    image = canvas.image
    if scene.light != "none":
        image = light.apply(scene.light, image, scene.seed, lamps(canvas) if scene.light == "night" else None)
    if scene.style != "plain":
        image = styles.apply(scene.style, image, scene.seed)
    return image


def depth(scene: Scene, size: int = 256) -> NDArray[np.float32]:
    """Depth of what is seen, (size, size) float32 in 0..1, near = 1."""
    return np.clip(draw(scene, size, truth=True).depths, 0, 1)


def segmentation(scene: Scene, size: int = 256) -> NDArray[np.uint8]:
    """What is seen, (size, size) uint8, numbers of `words.LABELS`."""
    return draw(scene, size, truth=True).labels


def edges(scene: Scene, size: int = 256) -> NDArray[np.uint8]:
    """The edges of every drawn part, (size, size) uint8, 0 or 255."""
    parts = draw(scene, size, truth=True).parts
    edge = np.zeros(parts.shape, np.uint8)
    edge[:, 1:][parts[:, 1:] != parts[:, :-1]] = 255
    edge[1:][parts[1:] != parts[:-1]] = 255
    return edge
