"""The sets that the runs learn from, and those that only judges see: made once, by the same jobs as anybody's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import easel
from benchmarks.domains.classifier import Pixels
from benchmarks.domains.runs import WORLDS
from easel.data import open_set, packed
from easel.images import list_pictures, open_picture

FASHION_SEEN = 60
"""Of a class's ninety pictures, the network learns from so many; the rest is held out."""


@dataclass(frozen=True)
class Folders:
    """The folders of a benchmark: ``work`` for what is made, ``data`` with fashion_mnist_900 and portraits."""

    work: Path
    data: Path

    def set(self, name: str) -> Path:
        """The folder of a set, made when it is not there yet."""
        folder = self.work / "sets" / name
        if name in WORLDS:
            self._world(name, folder)
        elif name.startswith("fashion"):
            self._fashion(folder, held_out=name == "fashion-held-out")
        elif name == "portraits-64":
            self._small(self.data / "portraits", folder)
        elif name == "portraits":
            return self.data / "portraits"
        return folder

    def run(self, name: str) -> Path:
        """The folder of a run."""
        return self.work / name

    def _world(self, name: str, folder: Path) -> None:
        if not (folder / "result.json").is_file():
            set_ = WORLDS[name]
            facts = {"what": set_.what, "count": set_.count, "resolution": set_.resolution, "seed": set_.seed}
            easel.run({"kind": "data-world"} | facts, out=folder)

    def _fashion(self, folder: Path, held_out: bool) -> None:
        classes = [one for one in sorted((self.data / "fashion_mnist_900").iterdir()) if one.is_dir()]
        for one in classes:
            names = sorted(one.glob("*.png"))
            for picture in names[FASHION_SEEN:] if held_out else names[:FASHION_SEEN]:
                target = folder / one.name / picture.name
                if not target.is_file():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(picture, target)

    def _small(self, source: Path, folder: Path) -> None:
        """Pictures as training sees them, 64 px, so that both sides of a score are of one size."""
        if folder.is_dir():
            return
        pixels = packed(open_set(str(source)), 64, self.work / "packed").pixels
        folder.mkdir(parents=True)
        for index in range(len(pixels)):
            Image.fromarray(np.asarray(pixels[index])).save(folder / f"{index:04d}.png")


def annotations_of(folder: Path) -> list[dict[str, Any]]:
    """What metadata.jsonl says, a row a picture."""
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]


def pixels_of(folder: Path, count: int | None = None) -> Pixels:
    """Pictures of a folder in their names' order, (n, side, side, 3); the sheet of a run is left out."""
    return np.stack([np.asarray(open_picture(path).convert("RGB")) for path in pictures_in(folder)[:count]])


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder in order; the sheet of a run is left out."""
    return [path for path in list_pictures(folder) if path.name != "sheet.png"]


def by_class(folder: Path) -> Iterator[tuple[str, Pixels]]:
    """Class folders one by one."""
    for one in sorted(folder.iterdir()):
        if one.is_dir():
            yield one.name, pixels_of(one)


def labelled(folder: Path) -> tuple[Pixels, NDArray[np.int64], list[str]]:
    """All pictures of class folders, the index of each one's class, and the classes."""
    parts = list(by_class(folder))
    labels = np.repeat(np.arange(len(parts)), [len(pixels) for _, pixels in parts])
    return np.concatenate([pixels for _, pixels in parts]), labels, [name for name, _ in parts]
