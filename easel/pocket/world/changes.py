"""Changes of a whole picture, of a scene as of a real photo, with the instructions that ask for them: light, weather,
tone, and styles.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from easel.pocket.world import edits, light, styles
from easel.pocket.world.styles import on_any_size
from easel.pocket.world.styles.common import (
    Floats,
    Picture,
    blur,
    generator,
    grey,
    mix,
    noise,
    scale,
    to_bytes,
    to_floats,
)

Change = Callable[[Picture, int], Picture]
"""RGB uint8 (h, w, 3) and a seed -> the same size, changed."""

WARMER = np.array((1.3, 1.0, 0.62), np.float32)
"""What red, green and blue of linear light are multiplied by; the other way round for colder."""
LUMINANCE = np.array((0.2126, 0.7152, 0.0722), np.float32)
"""Of linear red, green and blue (Rec. 709)."""


def brighter(picture: Picture, _seed: int) -> Picture:
    """Shadows and middle tones lifted, and nothing cut: 1 - (1 - x)^2."""
    return to_bytes(1 - (1 - to_floats(picture)) ** 2)


def darker(picture: Picture, _seed: int) -> Picture:
    """A little over half of each value."""
    return to_bytes(0.55 * to_floats(picture))


def warmer(picture: Picture, _seed: int) -> Picture:
    """Light of a lower colour temperature, of the same luminance."""
    return balanced(picture, WARMER)


def colder(picture: Picture, _seed: int) -> Picture:
    """Light of a higher colour temperature, of the same luminance."""
    return balanced(picture, WARMER[::-1])


def balanced(picture: Picture, gains: Floats) -> Picture:
    """Under another white: linear light (sRGB decoded by IEC 61966-2-1) with gains, its luminance kept."""
    values = to_floats(picture)
    values = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)
    changed = values * gains
    changed *= ((values @ LUMINANCE + 1e-4) / (changed @ LUMINANCE + 1e-4))[..., None]
    changed = np.clip(changed, 0, 1)
    return to_bytes(np.where(changed <= 0.0031308, 12.92 * changed, 1.055 * changed ** (1 / 2.4) - 0.055))


def black_and_white(picture: Picture, _seed: int) -> Picture:
    """Luma alone."""
    return np.repeat(to_bytes(grey(picture))[..., None], 3, axis=2)


def rain(picture: Picture, seed: int) -> Picture:
    """Dull light, a veil over what is far up, wet sheen below, and streaks that all fall one way."""
    rng, size = generator(seed, "rain"), scale(picture)
    height, width = picture.shape[:2]
    tones = grey(picture)
    dull = mix(to_floats(picture), np.repeat(tones[..., None], 3, 2), np.full_like(tones, 0.5))
    dull = 0.72 * dull * np.array((0.94, 1.0, 1.06), np.float32) + 0.04
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None] * np.ones((1, width), np.float32)
    veil = np.clip(0.34 - 0.34 * down + 0.05 * noise(rng, (height, width), 80 * size, 3), 0, 0.5)
    wet = mix(dull, np.array((0.60, 0.64, 0.69), np.float32), veil)
    streaks = np.zeros((height, width), np.float32)
    lean = float(rng.uniform(-0.3, 0.3))
    for count, long, alpha in ((240, 9, 0.3), (110, 15, 0.45), (36, 24, 0.6)):
        layer = np.zeros((height, width), np.uint8)
        for x, y in zip(rng.uniform(0, width, count), rng.uniform(-long * size, height, count), strict=True):
            end = (round((x + lean * long * size) * 8), round((y + long * size) * 8))
            cv2.line(layer, (round(x * 8), round(y * 8)), end, 255, max(round(0.7 * size), 1), cv2.LINE_AA, 3)
        streaks = np.maximum(streaks, alpha * blur(layer.astype(np.float32) / 255, 0.35 * size))
    return to_bytes(mix(wet, np.array((0.84, 0.88, 0.94), np.float32), streaks))


def lights_off(picture: Picture, seed: int) -> Picture:
    """Night, and nothing lit."""
    return light.night(picture, seed, lamps=())


def same(picture: Picture, _seed: int) -> Picture:
    """Nothing at all: what is not asked for stays."""
    return picture


LIGHT: dict[str, tuple[Change, tuple[str, ...]]] = {
    "night": (light.LIGHTS["night"], edits.TIMES["night"]),
    "sunset": (light.LIGHTS["sunset"], edits.TIMES["sunset"]),
    "fog": (light.LIGHTS["fog"], edits.WEATHER["fog"]),
    "winter": (light.LIGHTS["winter"], edits.WEATHER["winter"]),
    "rain": (rain, ("make it rain", "make it rainy", "add rain", "let it rain")),
}
TONE: dict[str, tuple[Change, tuple[str, ...]]] = {
    "brighter": (brighter, ("make it brighter", "brighten it", "brighten the photo", "more light")),
    "darker": (darker, ("make it darker", "darken it", "darken the photo", "less light")),
    "warmer": (warmer, ("make it warmer", "make the colours warmer", "make the colors warmer", "warmer light")),
    "colder": (colder, ("make it colder", "make the colours colder", "make the colors colder", "colder light")),
    "black and white": (
        black_and_white,
        ("make it black and white", "turn it black and white", "remove the colours", "remove the colors"),
    ),
    "same": (same, ("change nothing", "keep it as it is", "leave it as it is")),
}
MANNER: dict[str, tuple[Change, tuple[str, ...]]] = {
    name: (make, edits.style_wordings(name)) for name, make in styles.STYLES.items()
}
LAMPS = {
    "off": ("turn the lights off", "turn off the lights", "switch the lights off", "lights off"),
    "on": ("turn the lights on", "turn on the lights", "switch the lights on", "lights on"),
}
"""How the lights of a picture by night are asked to go off and on."""


def apply(name: str, picture: Picture, seed: int = 0) -> Picture:
    """A change by its name in LIGHT, TONE or MANNER, whatever the picture's size."""
    make, _ = (LIGHT | TONE | MANNER)[name]
    return make(picture, seed) if name in MANNER else on_any_size(make, picture, seed)
