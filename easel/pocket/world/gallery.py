"""The pictures of the world's page (`make gallery`): `python -m easel.pocket.world.gallery docs/images [photo]`."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from easel.files import write_atomic
from easel.images import open_picture
from easel.pocket.world import (
    Scene,
    depth,
    edges,
    edit_pairs,
    identity,
    light,
    render,
    segmentation,
    styles,
    words,
)
from easel.sheet import INK, PAPER

Pixels = NDArray[np.uint8]
Variant = tuple[str, dict[str, object]]
"""A label, and what is fixed of the scene under it."""

GAP, LETTERS, QUALITY = 8, 15, 85
PHOTO = Path("examples/photo.jpg")
PLAIN: dict[str, object] = {"style": "plain", "light": "none", "castle": False, "mask": False, "accessories": ()}
"""What a scene has unless its sheet is about it."""


@dataclass(frozen=True)
class Tile:
    """A picture, (h, w, 3) RGB uint8, and the words under it."""

    pixels: Pixels
    words: str = ""


def grid(rows: Sequence[Sequence[Tile]], width: int, height: int) -> Image.Image:
    """Rows of tiles, each `width` x `height` pixels, with a line of words under every tile of a row that has any."""
    font = ImageFont.load_default(LETTERS)
    feet = [round(1.5 * LETTERS) if any(tile.words for tile in row) else 0 for row in rows]
    size = GAP + max(len(row) for row in rows) * (width + GAP), GAP + sum(height + GAP + foot for foot in feet)
    page = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(page)
    top = GAP
    for row, foot in zip(rows, feet, strict=True):
        for index, tile in enumerate(row):
            left = GAP + index * (width + GAP)
            page.paste(Image.fromarray(tile.pixels).resize((width, height), Image.Resampling.LANCZOS), (left, top))
            draw.text((left + width // 2, top + height + 2), tile.words, fill=INK, font=font, anchor="ma")
        top += height + GAP + foot
    return page


def in_rows(tiles: Sequence[Tile], columns: int) -> list[list[Tile]]:
    """A list of tiles broken into rows."""
    return [list(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]


def plain(seed: int, **fixed: object) -> Scene:
    """A scene by day and without accessories, style or weather, but for what is fixed."""
    return Scene.from_seed(seed, **{**PLAIN, "time": "day", "mood": "neutral", **fixed})


def kinds(_photo: Pixels) -> Image.Image:
    """A row for each kind, a column for each colour."""
    rows = [
        [
            Tile(render(plain(100 * row + column, kind=kind, colour=colour)))
            for column, colour in enumerate(words.COLOURS)
        ]
        for row, kind in enumerate(words.KINDS)
    ]
    rows[-1] = [Tile(tile.pixels, colour) for tile, colour in zip(rows[-1], words.COLOURS, strict=True)]
    return grid(rows, 88, 88)


def places(_photo: Pixels) -> Image.Image:
    """A row for each time of day, a column for each place."""
    who = ("woman", "bird", "car", "dog", "cat", "man", "house", "lamp", "vase")
    rows = []
    for number, time in enumerate(words.TIMES):
        pairs = list(enumerate(zip(words.PLACES, who, strict=True)))
        scenes = [plain(2000 + 50 * number + at, kind=kind, place=place, time=time) for at, (place, kind) in pairs]
        rows.append([Tile(render(scene), f"{scene.place}, {time}") for scene in scenes])
    return grid(rows, 128, 128)


def people(_photo: Pixels) -> Image.Image:
    """Moods, accessories, the panda mask and the castle, on a woman and on a man."""
    moods: list[Variant] = [(mood, {"mood": mood}) for mood in words.MOODS]
    worn: list[Variant] = [(words.ACCESSORY_NAMES[name], {"accessories": (name,)}) for name in words.ACCESSORIES]
    rest: list[Variant] = [("a panda mask", {"mask": True}), ("a castle", {"castle": True, "place": "street"})]
    rows = [
        [
            Tile(render(plain(3000 + 40 * row + at, **{"kind": kind, "place": place, **given})), label)
            for at, (label, given) in enumerate(moods + worn + rest)
        ]
        for row, (kind, place) in enumerate((("woman", "beach"), ("man", "mountains")))
    ]
    return grid([part for row in rows for part in in_rows(row, 5)], 176, 176)


def painted(_photo: Pixels) -> Image.Image:
    """One scene in every style and light."""
    scene = plain(4003, kind="woman", colour="red", place="acropolis", accessories=("hat",))
    tiles = [Tile(render(replace(scene, style=style)), style) for style in words.STYLE_PHRASES]
    tiles += [Tile(render(replace(scene, light=name)), name) for name in light.LIGHTS]
    return grid(in_rows(tiles, 5), 176, 176)


def photographed(photo: Pixels) -> Image.Image:
    """A real photo in every style and light."""
    tiles = [Tile(photo, "the photo")]
    tiles += [Tile(styles.apply(name, photo), name) for name in styles.STYLES]
    tiles += [Tile(light.apply(name, photo), name) for name in light.LIGHTS]
    height = round(216 * photo.shape[0] / photo.shape[1])
    return grid(in_rows(tiles, 5), 216, height)


def truths(_photo: Pixels) -> Image.Image:
    """Three scenes with what is known of them to the pixel."""
    scenes = [
        plain(5000, kind="dog", place="forest"),
        plain(5001, kind="room"),
        plain(5002, kind="car", place="street"),
    ]
    rows = []
    for scene in scenes:
        grey = np.repeat(np.rint(255 * depth(scene))[..., None].astype(np.uint8), 3, axis=2)
        lines = np.repeat(255 - edges(scene)[..., None], 3, axis=2)
        maps = [("picture", render(scene)), ("depth", grey), ("edges", lines), ("segmentation", coloured(scene))]
        rows.append([Tile(pixels, name if scene is scenes[-1] else "") for name, pixels in maps])
    return grid(rows, 208, 208)


def coloured(scene: Scene) -> Pixels:
    """The segmentation with a colour for each label, (256, 256, 3): hues a golden angle apart."""
    numbers = np.arange(len(words.LABELS))
    hsv = np.stack([numbers * 111 % 180, 110 + numbers * 37 % 120, 150 + numbers * 53 % 100], axis=1).astype(np.uint8)
    palette = np.asarray(cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0], np.uint8)
    return np.ascontiguousarray(palette[segmentation(scene)])


def edited(_photo: Pixels) -> Image.Image:
    """Two scenes, and each after its edits."""
    rows: list[list[Tile]] = []
    for scene in (plain(6000, kind="woman", place="street", colour="blue"), plain(6004, kind="dog", place="beach")):
        chosen = edit_pairs(scene)
        spread = [chosen[round(at * (len(chosen) - 1) / 6)] for at in range(7)]
        tiles = [Tile(render(scene), "before"), *(Tile(render(edit.after), edit.instruction) for edit in spread)]
        rows += in_rows(tiles, 4)
    return grid(rows, 208, 208)


def identities(_photo: Pixels) -> Image.Image:
    """A row for each subject: its portrait, and the same one elsewhere."""
    subjects = (("woman", "green"), ("cat", "pink"), ("house", "orange"), ("vase", "purple"))
    there = ("beach", "mountains", "street", "acropolis", "moon")
    rows = []
    for seed, (kind, colour) in enumerate(subjects, 7000):
        one = identity(seed, kind=kind, colour=colour, accessories=(), mask=False, mood="neutral")
        moved = [one.elsewhere(seed + 10 * number, place) for number, place in enumerate(there, 1)]
        rows.append([Tile(render(one), f"one {kind}"), *(Tile(render(scene), scene.place) for scene in moved)])
    return grid(rows, 160, 160)


SHEETS: dict[str, Callable[[Pixels], Image.Image]] = {
    "world-kinds.jpg": kinds,
    "world-places.jpg": places,
    "world-people.jpg": people,
    "world-styles.jpg": painted,
    "world-photo.jpg": photographed,
    "world-truth.jpg": truths,
    "world-edits.jpg": edited,
    "world-identity.jpg": identities,
}
"""File -> what draws it."""


def main(arguments: Sequence[str]) -> int:
    """Draw every sheet into the folder named first; a second argument names another photo. The exit status."""
    if not 1 <= len(arguments) <= 2:
        sys.stderr.write("usage: python -m easel.pocket.world.gallery FOLDER [PHOTO]\n")
        return 2
    folder = Path(arguments[0])
    photo = np.asarray(open_picture(arguments[1] if len(arguments) == 2 else PHOTO), np.uint8)
    for name, make in SHEETS.items():
        stream = io.BytesIO()
        make(photo).save(stream, "JPEG", quality=QUALITY, optimize=True, progressive=True)
        write_atomic(folder / name, stream.getvalue())
        sys.stdout.write(f"{folder / name}  {len(stream.getvalue()) // 1000} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
