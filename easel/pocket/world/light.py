"""Light and weather as filters on any RGB picture: night, sunset, fog, winter.

They keep size and content, and the same picture and seed give the same bytes. `lamps` says where light is made, when
that is known (a drawn scene); a photo has none, and likely windows and lamps are looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from easel.errors import unknown
from easel.pocket.world.styles import on_any_size
from easel.pocket.world.styles.common import (
    Floats,
    Picture,
    Plane,
    blur,
    generator,
    grey,
    lab,
    mix,
    noise,
    scale,
    step,
    stretch,
    to_bytes,
    to_floats,
)

Lamp = tuple[float, float, float, str]
"""x, y as fractions of width and height, radius as a fraction of the shorter side, kind ("lamp", "window", "moon")."""

WARM = np.array((1.0, 0.80, 0.42), np.float32)
COOL = np.array((0.80, 0.88, 1.0), np.float32)
GLOW = {"lamp": WARM, "window": WARM, "moon": COOL}


def sky(picture: Picture, size: float) -> Plane:
    """How likely each pixel is open sky, 0..1: smooth, bright or blue, and joined to the upper edge."""
    values = lab(picture)
    tones = values[..., 0] / 100
    calm = blur(np.abs(cv2.Laplacian(blur(tones, 1.2 * size), cv2.CV_32F)), 3 * size) < 0.012
    blue = values[..., 2] < -6
    bright = tones > max(0.55, float(np.percentile(tones, 55)))
    open_air = (
        calm
        & (bright | (blue & (tones > (0.35 + 0.01 * values[..., 2]))))
        & (values[..., 2] < 9)
        & (values[..., 1] > -18)
    ).astype(np.uint8)
    number, parts = cv2.connectedComponents(open_air)
    top = np.bincount(parts[: max(int(0.03 * len(parts)), 1)].ravel(), minlength=number)
    # Sky fills a good part of the upper edge, or it is a window or a wall.
    wide = top > 0.12 * top.sum()
    wide[0] = False
    mask = wide[parts].astype(np.float32)
    if mask.mean() < 0.03 or mask[-max(len(mask) // 12, 1) :].mean() > 0.4:
        return np.zeros_like(mask)
    # Up to the very edge of things: what lies near and has the colour of the sky beside it is sky too.
    near = blur(mask, 5 * size)
    beside = blur(np.ascontiguousarray(values * mask[..., None]), 5 * size) / (near[..., None] + 1e-4)
    like = np.sqrt(((values - beside) ** 2).sum(2)) < 13
    grown = np.maximum(mask, ((near > 0.03) & like).astype(np.float32))
    return blur(np.asarray(cv2.medianBlur(grown, 3), np.float32), 0.8 * size)


def night(picture: Picture, seed: int, lamps: Sequence[Lamp] | None = None) -> Picture:
    """Dark and blue, with a starry sky where sky is, and warm lamps and windows with their glow."""
    rng, size = generator(seed, "night"), scale(picture)
    values = to_floats(picture)
    above = sky(picture, size)
    tones = stretch(grey(picture))
    pale = mix(values, np.repeat(tones[..., None], 3, 2), np.full_like(tones, 0.45))
    # A dim photo is lifted first, so that night is dark and never black.
    gain = float(np.clip(0.45 / max(float(pale.mean()), 0.05), 1, 1.7))
    dark = np.clip(pale * gain, 0, 1) ** 1.4 * np.array((0.23, 0.30, 0.54), np.float32)
    dark = dark + np.array((0.012, 0.02, 0.06), np.float32)
    dark = mix(dark, night_sky(rng, tones.shape, size), above)
    lights = find_lights(picture, above) if lamps is None else list(lamps)
    return to_bytes(shine(dark, values, lights, size))


def night_sky(rng: np.random.Generator, shape: tuple[int, int], size: float) -> Floats:
    """Deep blue, lighter towards the horizon, with stars."""
    down = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None, None]
    ground = np.array((0.02, 0.035, 0.12), np.float32) * (1 - down) + np.array((0.10, 0.15, 0.34), np.float32) * down
    stars = np.zeros(shape, np.float32)
    count = 90
    rows, columns = rng.integers(0, shape[0], count), rng.integers(0, shape[1], count)
    stars[rows, columns] = rng.uniform(0.3, 1.0, count) ** 2
    stars = np.clip(blur(stars, 0.45 * max(size, 0.6)) * 2.2 * max(size, 1) ** 2, 0, 1)
    return np.asarray(np.broadcast_to(ground, (*shape, 3)) + stars[..., None], np.float32)


def find_lights(picture: Picture, above: Plane) -> list[Lamp]:
    """Find likely lamps (small, very bright spots) and windows (rectangles of which there are several alike)."""
    height, width = picture.shape[:2]
    factor = min(1.0, 256 / max(height, width))
    small = cv2.resize(grey(picture), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    tones = stretch(np.asarray(small, np.float32))
    open_air = cv2.resize(above, tones.shape[::-1]) > 0.3
    local = tones - blur(tones, 0.06 * max(tones.shape))
    lamps = boxes((local > 0.30) & (tones > 0.93) & ~open_air, tones.shape, "lamp", 0.6)
    panes = boxes((local < -0.13) & ~open_air, tones.shape, "window", 0.72)
    panes += boxes((local > 0.13) & ~open_air, tones.shape, "window", 0.72)
    # Very many bright spots are a texture, gravel or leaves.
    lamps = lamps[:5] if len(lamps) < 16 else []
    return [*lamps, *[pane for pane in panes if alike(pane, panes) >= 2][:12]]


def alike(pane: Lamp, panes: Sequence[Lamp]) -> int:
    """How many others have about its size and stand level with it or above one another: one dark box is no window."""
    same = [other for other in panes if 0.66 < other[2] / pane[2] < 1.5]
    return sum(min(abs(other[0] - pane[0]), abs(other[1] - pane[1])) < 0.6 * pane[2] for other in same) - 1


def boxes(mask: NDArray[np.bool_], shape: tuple[int, int], kind: str, fullness: float) -> list[Lamp]:
    """Find connected parts of the mask that fill at least this share of their box, large ones first."""
    height, width = shape
    number, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    found: list[Lamp] = []
    for left, top, wide, tall, area in stats[1:number].tolist():
        inside = left > 0 and top > 0 and left + wide < width and top + tall < height
        good_size = 0.0004 < area / (height * width) < 0.02
        if inside and good_size and area > fullness * wide * tall and 0.35 < wide / tall < 2.4:
            radius = 0.5 * float(np.sqrt(wide * tall)) / min(height, width)
            found.append(((left + wide / 2) / width, (top + tall / 2) / height, radius, kind))
    return sorted(found, key=lambda lamp: -lamp[2])


def shine(dark: Floats, lit: Floats, lights: Sequence[Lamp], size: float) -> Floats:
    """Add each light: its own body, and a glow in which the daytime colours come back."""
    height, width = dark.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    side = min(height, width)
    glow, body = np.zeros_like(dark), np.zeros_like(dark)
    panes = np.zeros((height, width), bool)
    for x, y, radius, kind in lights:
        tint = GLOW.get(kind, WARM)
        reach = max(radius, 0.012) * side
        dx, dy = np.abs(columns - x * width), np.abs(rows - y * height)
        away = np.hypot(dx, dy)
        core = step(-np.maximum(dx, dy) if kind == "window" else -away, -reach, 2 * size)
        panes |= (core > 0) & (kind == "window")
        spread = np.exp(-away / (1.6 * reach + 0.07 * side)) * (0.32 if kind == "window" else 1.0)
        glow += spread[..., None] * tint
        body = np.maximum(body, (core * (0.92 if kind == "window" else 0.98))[..., None] * tint)
    glow = np.clip(glow, 0, 1.1)
    tones = lit.mean(2)[..., None]
    relit = dark + glow * (0.8 * lit + 0.08)
    # A lit window keeps its bars: what was darkest in it stays dark.
    detail = np.where(panes, 0.84 + 0.16 * stretch(tones[..., 0]), 1.0)[..., None]
    return np.asarray(relit * (1 - body) + body * detail + 0.22 * glow * (1 - relit), np.float32)


def sunset(picture: Picture, seed: int) -> Picture:
    """Warm low light: a graded sky with the sun near the horizon, long warm glow, blue shadows."""
    rng, size = generator(seed, "sunset"), scale(picture)
    height, width = picture.shape[:2]
    values, tones = to_floats(picture), stretch(grey(picture))
    above = sky(picture, size)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    covered = above.mean(1) > 0.2
    horizon = float(np.nonzero(covered)[0].max()) / height if covered.any() else 0.42
    x, y = float(rng.uniform(0.2, 0.8)) * width, (horizon - 0.07) * height
    away = np.hypot(columns - x, rows - y) / min(height, width)
    shade = np.array((0.42, 0.30, 0.42), np.float32)
    bright = np.array((1.12, 0.76, 0.44), np.float32)
    warm = values * (shade + (bright - shade) * (tones**0.8)[..., None])
    graded = evening_sky(rows / max(horizon * height, 1), away, noise(rng, (height, width), 60 * size, 4))
    warm = mix(warm, 0.86 * graded + 0.14 * values, above)
    glow = np.exp(-away / 0.33)[..., None] * np.array((1.0, 0.52, 0.16), np.float32)
    warm = 1 - (1 - np.clip(warm, 0, 1)) * (1 - 0.62 * glow)
    # Without open sky the sun itself is not seen, only its light.
    sun = step(-away, -0.052, 0.012) * np.clip(above * 1.4, 0, 1)
    return to_bytes(mix(warm, np.array((1.0, 0.93, 0.66), np.float32), sun))


def evening_sky(down: Plane, away: Plane, clouds: Plane) -> Floats:
    """Violet above, rose, orange, yellow at the horizon, with lit streaks of cloud."""
    stops = np.array((0.0, 0.35, 0.7, 1.0), np.float32)
    colours = np.array(((70, 60, 120), (196, 96, 122), (246, 138, 66), (255, 206, 104)), np.float32) / 255
    place = np.clip(down + 0.05 * clouds, 0, 1)
    graded = np.stack([np.interp(place, stops, colours[:, part]) for part in range(3)], 2)
    lit = 0.05 * clouds * np.exp(-away)
    return np.asarray(graded + lit[..., None] * np.array((1.0, 0.5, 0.3), np.float32), np.float32)


def fog(picture: Picture, seed: int) -> Picture:
    """Lay a pale veil, thicker in the distance: upper parts, and what is bright and has little colour."""
    rng, size = generator(seed, "fog"), scale(picture)
    height, width = picture.shape[:2]
    values = to_floats(picture)
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None] * np.ones((1, width), np.float32)
    # What is far off has no dark channel left (He, Sun, Tang 2009), so its minimum over colours tells distance.
    hazy = blur(np.asarray(cv2.erode(values.min(2), np.ones((7, 7), np.uint8)), np.float32), 9 * size)
    far = np.clip(0.95 - 0.85 * down + 0.45 * (stretch(hazy) - 0.5), 0, 1)
    drift = noise(rng, (height, width), 90 * size, 4)
    veil = np.clip(0.18 + 0.72 * far + 0.07 * drift, 0.1, 0.93)
    soft = mix(values, blur(values, 2.2 * size), np.clip(1.3 * far - 0.2, 0, 1))
    soft = mix(soft, np.repeat(soft.mean(2, keepdims=True), 3, 2), 0.5 * veil)
    return to_bytes(mix(soft, np.array((0.82, 0.84, 0.86), np.float32), veil))


def winter(picture: Picture, seed: int) -> Picture:
    """Cool light, snow on what faces upward, on green and on the ground, a drift in front, falling flakes."""
    rng, size = generator(seed, "winter"), scale(picture)
    shape = picture.shape[:2]
    values, tones = lab(picture), grey(picture)
    above = sky(picture, size)
    down = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None]
    # Leaves and grass lose their green; skin (a and b both warm) keeps clear of snow.
    green = np.clip((values[..., 2] - values[..., 1] - 8) / 30, 0, 1) * np.clip((4 - values[..., 1]) / 10, 0, 1)
    bare = 1 - np.clip((values[..., 1] - 4) / 8, 0, 1) * np.clip((values[..., 2] - 2) / 8, 0, 1)
    calm = np.clip(1 - 30 * blur(np.abs(tones - blur(tones, 3 * size)), 4 * size), 0, 1)
    patchy = step(noise(rng, shape, 22 * size, 4), -0.3, 1.2)
    ground = np.clip((down - 0.6) / 0.2, 0, 1) * (0.25 + 0.6 * calm) * np.clip(tones * 2.5, 0, 1) * (0.4 + 0.6 * bare)
    cover = np.maximum(0.75 * green * (0.4 + 0.6 * patchy), ground * (0.55 + 0.45 * patchy))
    cover = np.maximum(
        cover, ledges(rng, tones, size) * (1 - above) * (0.3 + 0.7 * blur(bare.astype(np.float32), 3 * size))
    )
    pale = mix(to_floats(picture), np.repeat(tones[..., None], 3, 2), np.full_like(tones, 0.42))
    cool = 0.86 * pale * np.array((0.90, 0.98, 1.10), np.float32) + 0.11
    white = np.array((0.90, 0.94, 1.0), np.float32) * (0.76 + 0.28 * stretch(blur(tones, size)))[..., None]
    cool = mix(cool, white, 0.95 * np.clip(cover, 0, 1))
    cool = mix(cool, np.array((0.78, 0.83, 0.89), np.float32), 0.75 * above)
    return to_bytes(mix(drift(rng, cool, size), np.ones(3, np.float32), flakes(rng, shape, size)))


def ledges(rng: np.random.Generator, tones: Plane, size: float) -> Plane:
    """Caps of snow on wide edges that face upward, 0..1: where a thing stands dark against what is light above it."""
    smooth = blur(tones, 2.0 * size)
    steep = -cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3) - 0.6 * np.abs(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3))
    edge = (steep > 0.14 / max(size, 0.5)).astype(np.uint8)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(edge, connectivity=8)
    wide = stats[:, cv2.CC_STAT_WIDTH] > 14 * size
    wide[0] = False
    cap = blur(wide[parts].astype(np.float32), 0.9 * size)
    return step(cap + 0.10 * noise(rng, tones.shape, 7 * size, 2), 0.45, 0.5)


def drift(rng: np.random.Generator, scene: Floats, size: float) -> Floats:
    """Lay a bank of snow along the lower edge with a soft uneven crest and blue shade."""
    height, width = scene.shape[:2]
    crest = height * (0.93 + 0.025 * noise(rng, (3, width), 0.3 * width, 3)[1])
    depth = (np.arange(height, dtype=np.float32)[:, None] - crest[None]) / (height * 0.1)
    shade = np.clip(0.99 - 0.13 * np.clip(depth, 0, 1) + 0.02 * noise(rng, (height, width), 14 * size, 3), 0, 1)
    snow = shade[..., None] * np.array((0.93, 0.96, 1.0), np.float32)
    return mix(scene, snow, np.clip(depth * height * 0.1 / (1.5 * size) + 0.5, 0, 1))


def flakes(rng: np.random.Generator, shape: tuple[int, int], size: float) -> Plane:
    """Falling snow in three distances, 0..1."""
    height, width = shape
    total = np.zeros(shape, np.float32)
    for count, radius, alpha in ((170, 0.8, 0.65), (90, 1.4, 0.8), (26, 2.6, 0.75)):
        layer = np.zeros(shape, np.uint8)
        for x, y, grow in zip(
            rng.uniform(0, width, count), rng.uniform(0, height, count), rng.uniform(0.7, 1.3, count), strict=True
        ):
            centre = (round(float(x) * 8), round(float(y) * 8))
            cv2.circle(layer, centre, max(round(radius * float(grow) * size * 8), 3), 255, -1, cv2.LINE_AA, 3)
        total = np.maximum(total, alpha * blur(layer.astype(np.float32) / 255, 0.35 * radius * size))
    return total


LIGHTS: dict[str, Callable[[Picture, int], Picture]] = {"night": night, "sunset": sunset, "fog": fog, "winter": winter}


def apply(name: str, image: Picture, seed: int = 0, lamps: Sequence[Lamp] | None = None) -> Picture:
    """Put the picture in another light or weather ("none" gives a copy).

    image: RGB uint8 (h, w, 3). lamps: lights of the scene (see Lamp), used by night; None looks for likely
    ones, () has none.
    Returns RGB uint8 of the same shape. Raises EaselError for an unknown name.
    """
    if name == "none":
        return image.copy()
    if name not in LIGHTS:
        raise unknown("light filter", name, ["none", *LIGHTS])
    return on_any_size(partial(night, lamps=lamps) if name == "night" else LIGHTS[name], image, seed)
