"""The pictures pocket learns from: real photos at 256 px, world scenes, and both under filters. One memory map each."""

import json
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

SIDE = 256
FOLDERS = ("photos_pd", "clothing10", "portraits", "dreambooth", "paintings_pd")
"""Folders of real pictures that may train pocket. photos_commons is not among them: it is what pocket is tested on."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Photo:
    """A real picture and what is known of it in words."""

    path: str
    caption: str
    folder: str


def photos(root: Path) -> list[Photo]:
    """Every captioned picture below ``root``, in a fixed order; empty where the folders are absent."""
    found = []
    for folder in FOLDERS:
        for name in ("captions.jsonl", "labels.jsonl"):
            table = root / folder / name
            if table.exists():
                rows = [json.loads(line) for line in table.read_text().splitlines()]
                found += [Photo(str(root / folder / row["file"]), row["caption"], folder) for row in rows]
    return found + subjects(root / "dreambooth")


def subjects(folder: Path) -> list[Photo]:
    """DreamBooth's photos: the class noun is the caption."""
    table = folder / "prompts_and_classes.txt"
    if not table.exists():
        return []
    lines = table.read_text().split("Prompts")[0].splitlines()
    nouns = dict(line.split(",") for line in lines if "," in line and not line.startswith("subject_name"))
    return [
        Photo(str(path), f"a photo of a {noun.strip()}", "dreambooth")
        for name, noun in sorted(nouns.items())
        for path in sorted((folder / name).glob("*.jpg"))
    ]


def square(path: str, rng: np.random.Generator, zoom: float = 1.0) -> Pixels:
    """A 256 px square of the picture: its shorter side scaled to 256 * zoom, then cut at random (the middle at zoom
    1).
    """
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    scale = SIDE * zoom / min(image.size)
    size = (max(SIDE, round(image.width * scale)), max(SIDE, round(image.height * scale)))
    pixels = np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    room = (pixels.shape[0] - SIDE, pixels.shape[1] - SIDE)
    y, x = (int(rng.integers(0, r + 1)) if zoom > 1 else r // 2 for r in room)
    return pixels[y : y + SIDE, x : x + SIDE]


class Store:
    """Pictures in one memory-mapped file (n, 256, 256, 3) uint8, and a line of JSON for each."""

    def __init__(self, folder: Path, name: str) -> None:
        self.pixels: Pixels = np.load(folder / f"{name}.npy", mmap_mode="r")
        self.rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        if len(self.rows) != len(self.pixels):
            raise ValueError(f"{folder / name}: {len(self.pixels)} pictures, {len(self.rows)} lines; build it again")

    def every(self, step: int) -> "Store":
        """Every second, third ... picture (``step`` 2, 3 ...), beginning with the first, from the same file."""
        part = copy(self)
        part.pixels, part.rows = self.pixels[::step], self.rows[::step]
        return part

    @staticmethod
    def exists(folder: Path, name: str) -> bool:
        """Whether the store was finished: its lines are written last."""
        return (folder / f"{name}.jsonl").exists()


def pack_photos(root: Path, folder: Path, zooms: tuple[float, ...] = (1.0, 1.25, 1.6)) -> None:
    """Write the store ``photos``: every real picture at each zoom."""
    known = photos(root)
    folder.mkdir(parents=True, exist_ok=True)
    shape = (len(known) * len(zooms), SIDE, SIDE, 3)
    pixels = np.lib.format.open_memmap(folder / "photos.npy", mode="w+", dtype=np.uint8, shape=shape)
    lines = []
    for i in range(shape[0]):
        photo, zoom = known[i // len(zooms)], zooms[i % len(zooms)]
        pixels[i] = square(photo.path, np.random.default_rng(i), zoom)
        lines.append(json.dumps(asdict(photo) | {"zoom": zoom}))
    pixels.flush()
    (folder / "photos.jsonl").write_text("\n".join(lines) + "\n")
