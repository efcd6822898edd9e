"""Light on forms and the grain of things: grey tables that are made once and always the same."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
GRAINS = {
    "grain": ((128, 128), 2), "stone": ((12, 12), 5), "wood": ((64, 5), 4), "bark": ((5, 70), 3),
    "cloth": ((200, 200), 1), "sand": ((24, 24), 5), "mist": ((5, 5), 5), "water": ((70, 7), 3),
}  # fmt: skip
"""Textures of noise: cells of the coarsest noise (rows, columns), number of octaves."""
AXIS = (np.arange(64) + 0.5) / 32 - 1


@cache
def ramp(form: str, side: int) -> Bytes:
    """Light on a form, (64, 64) uint8, 128 = the paint's own colour; side -1: light from the left, 1: the right."""
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
    cells, octaves = GRAINS[name]
    return _clouds(rng, cells, octaves)
