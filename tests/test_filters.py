"""Filters: same seed, same bytes; any size; each style is far from the photo and from the others; content stays."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from easel.errors import EaselError
from easel.pocket.world import light, styles

Picture = NDArray[np.uint8]
EVERY = [(styles, name) for name in styles.STYLES] + [(light, name) for name in light.LIGHTS]
SIZES = [(1, 1), (1, 9), (2, 3), (5, 5), (17, 64), (63, 65), (257, 131)]
NAMES = ["van-gogh", "malevich", "delaunay", "banksy", "monet", "hokusai", "kandinsky"]
NAMES += ["pencil", "watercolour", "pixel-art"]


def village(height: int = 192, width: int = 192) -> Picture:
    """A picture with sky, a hill, a red-roofed house with windows and a sun: gradients, edges, texture, every hue."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    picture = np.stack([90 + 90 * rows / height, 150 + 60 * rows / height, 235 + 0 * rows], 2)
    hill = rows > height * (0.6 + 0.08 * np.sin(columns / width * 6))
    picture[hill] = (70, 130, 60)
    picture[hill, 1] += 25 * np.sin(columns + rows * 0.7)[hill]
    canvas = np.clip(picture, 0, 255).astype(np.uint8)
    spot = (np.array((0.35, 0.45, 0.75, 0.85)) * (width, height, width, height)).astype(int).tolist()
    cv2.rectangle(canvas, (spot[0], spot[1]), (spot[2], spot[3]), (235, 220, 190), -1)
    roof = np.array(((0.3, 0.45), (0.8, 0.45), (0.55, 0.25))) * (width, height)
    cv2.fillPoly(canvas, [roof.astype(np.int32)], (190, 40, 35))
    for x, y in itertools.product((0.44, 0.58), (0.54, 0.68)):
        corner = (int(x * width), int(y * height))
        cv2.rectangle(canvas, corner, (corner[0] + width // 14, corner[1] + height // 12), (40, 45, 60), -1)
    cv2.circle(canvas, (width // 6, height // 6), height // 14, (255, 225, 90), -1)
    return np.asarray(canvas, np.uint8)


def coarse(picture: Picture, side: int = 8) -> NDArray[np.float64]:
    """Lightness on a small grid, as one row with mean 0."""
    small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (side, side), interpolation=cv2.INTER_AREA)
    row = small.astype(np.float64).ravel()
    return np.asarray(row - row.mean())


def likeness(one: Picture, other: Picture) -> float:
    """Correlation of the two at low resolution, -1..1."""
    a, b = coarse(one), coarse(other)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9))


def difference(one: Picture, other: Picture) -> float:
    """Mean difference of two pictures in steps of 0..255."""
    return float(np.abs(one.astype(np.float32) - other).mean())


def test_the_table_has_the_ten_styles() -> None:
    assert list(styles.STYLES) == NAMES
    assert list(light.LIGHTS) == ["night", "sunset", "fog", "winter"]


@pytest.mark.parametrize(("module", "name"), EVERY)
def test_same_seed_same_bytes_and_input_untouched(module: object, name: str) -> None:
    picture = village(96, 80)
    kept = picture.copy()
    first, again, other = (module.apply(name, picture, seed) for seed in (3, 3, 4))  # type: ignore[attr-defined]
    assert np.array_equal(first, again)
    assert np.array_equal(picture, kept)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("module", "name"), EVERY)
def test_any_size_keeps_shape_and_type(module: object, name: str) -> None:
    for height, width in SIZES:
        result = module.apply(name, village(height, width), -7)  # type: ignore[attr-defined]
        assert result.shape == (height, width, 3)
        assert result.dtype == np.uint8


FLAT: dict[str, tuple[float, ...]] = {
    "van-gogh": (122.5, 129.6, 131.9),
    "malevich": (164.6, 160.3, 153.3),
    "delaunay": (144.4, 121.5, 105.3),
    "banksy": (225.6, 219.2, 210.5),
    "monet": (152.4, 147.0, 161.8),
    "hokusai": (97.1, 137.0, 170.5),
    "kandinsky": (64.4, 41.9, 107.7),
    "pencil": (184.1, 182.8, 180.6),
    "watercolour": (174.9, 173.0, 167.0),
    "pixel-art": (121.0, 121.0, 121.0),
    "night": (18.0, 25.0, 51.0, 25.0, 34.0, 67.0, 44.0, 59.0, 112.0),
    "sunset": (42.1, 21.9, 6.7, 129.3, 87.4, 60.1, 217.1, 153.4, 113.9),
    "fog": (115.8, 118.7, 121.5, 172.5, 175.3, 178.1, 229.6, 232.4, 235.2),
    "winter": (65.8, 66.3, 67.0, 157.4, 165.3, 176.8, 225.6, 239.6, 252.0),
}
"""Mean colours of a flat picture of level 0, 127 and 255; a style gives one for all three, which have no tones."""


@pytest.mark.parametrize(("module", "name"), EVERY)
@pytest.mark.parametrize("level", [0, 1, 2])
def test_flat_input(module: object, name: str, level: int) -> None:
    """Known colours, within 1 of 255, as processors round differently."""
    flat = np.full((70, 90, 3), (0, 127, 255)[level], np.uint8)
    made = module.apply(name, flat, 1)  # type: ignore[attr-defined]
    assert made.shape == flat.shape
    colours = FLAT[name] if len(FLAT[name]) > 3 else 3 * FLAT[name]
    assert np.abs(made.reshape(-1, 3).mean(axis=0) - colours[3 * level : 3 * level + 3]).max() <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_grey_input_still_becomes_the_style(name: str) -> None:
    tones = cv2.cvtColor(village(), cv2.COLOR_RGB2GRAY)
    grey = np.repeat(np.asarray(tones, np.uint8)[..., None], 3, 2)
    assert difference(styles.apply(name, grey, 0), grey) > 5


@pytest.mark.parametrize("name", NAMES)
def test_each_style_differs_from_the_photo_and_keeps_its_content(name: str) -> None:
    picture = village()
    painted = styles.apply(name, picture, 5)
    assert difference(painted, picture) > 10
    # Stencil and pencil show darkness, not colour; Malevich moves every plane a little.
    assert likeness(painted, picture) > (0.2 if name in ("malevich", "kandinsky") else 0.4)


@pytest.mark.parametrize("name", list(light.LIGHTS))
def test_light_keeps_the_drawing(name: str) -> None:
    picture = village()
    lit = light.apply(name, picture, 5)
    assert difference(lit, picture) > 15
    ground = slice(100, 170)
    edges = [
        cv2.Sobel(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY)[ground], cv2.CV_32F, 1, 0).ravel() for each in (picture, lit)
    ]
    assert np.asarray(np.corrcoef(edges)).min() > 0.5


def test_styles_differ_from_each_other() -> None:
    picture = village()
    painted = {name: styles.apply(name, picture, 2) for name in NAMES}
    near = {pair: difference(painted[pair[0]], painted[pair[1]]) for pair in itertools.combinations(NAMES, 2)}
    assert min(near.values()) > 12, min(near, key=lambda pair: near[pair])


def test_what_a_stranger_would_name() -> None:
    picture = village()
    painted = {name: styles.apply(name, picture, 2).astype(int) for name in NAMES}
    spread = {name: float(np.ptp(each, 2).mean()) for name, each in painted.items()}
    assert spread["pencil"] < 15  # graphite has no colour
    assert spread["delaunay"] > 80  # a prism has
    reddest = (painted["banksy"][..., 0] - painted["banksy"][..., 1:].max(2)) > 80
    assert 0.005 < reddest.mean() < 0.5  # one red accent
    assert spread["banksy"] < 60
    blocks = painted["pixel-art"]
    assert float((blocks[:, 1:] == blocks[:, :-1]).all(2).mean()) > 0.7  # neighbours within a block are equal
    assert len(np.unique(blocks.reshape(-1, 3), axis=0)) <= 14


def test_night_is_dark_and_blue_and_lamps_shine_where_told() -> None:
    picture = village()
    dark = light.apply("night", picture, 1, lamps=())
    assert dark.mean() < 0.45 * picture.mean()
    assert dark[..., 2].mean() > 1.3 * dark[..., 0].mean()
    lamps = [(0.25, 0.75, 0.04, "lamp"), (0.9, 0.7, 0.04, "window")]
    lit = light.apply("night", picture, 1, lamps=lamps)
    for x, y, _, _ in lamps:
        spot = np.s_[int(y * 192) - 3 : int(y * 192) + 3, int(x * 192) - 3 : int(x * 192) + 3]
        assert lit[spot].mean() > dark[spot].mean() + 60
        assert lit[spot][..., 0].mean() > lit[spot][..., 2].mean() + 30


def test_night_finds_the_windows_of_a_house() -> None:
    picture = village(256, 256)
    lit, dark = light.apply("night", picture, 1), light.apply("night", picture, 1, lamps=())
    inside = np.s_[int(0.56 * 256), int(0.46 * 256)]
    assert int(lit[inside][0]) > int(dark[inside][0]) + 60


def test_other_lights() -> None:
    picture = village()
    dusk, mist, snow = (light.apply(name, picture, 1).astype(float) for name in ("sunset", "fog", "winter"))
    assert dusk[..., 0].mean() > dusk[..., 2].mean() + 40
    assert mist.std() < 0.8 * picture.std()
    assert mist[:48].std() < mist[-48:].std()  # thicker in the distance
    assert snow[-8:].mean() > 200  # the drift in front


def test_wrong_names_and_wrong_arrays_are_advice() -> None:
    picture = village(64, 64)
    assert np.array_equal(styles.apply("plain", picture), picture)
    assert np.array_equal(light.apply("none", picture), picture)
    with pytest.raises(EaselError, match="van-gogh"):
        styles.apply("vangogh", picture)
    with pytest.raises(EaselError, match="night"):
        light.apply("nite", picture)
    for wrong in (picture.astype(np.float32), picture[..., 0], np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(EaselError, match="RGB"):
            styles.apply("pencil", wrong)  # type: ignore[arg-type]
