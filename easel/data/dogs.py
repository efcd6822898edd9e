"""Stanford Dogs (Khosla et al. 2011): breeds by folder, and the dog's box in an annotation beside each picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from easel.data.folders import listed
from easel.data.item import Box, Item, Lost
from easel.errors import EaselError, shortened

BLOCK = re.compile(r"<bndbox>(.*?)</bndbox>", re.S)
EDGE = re.compile(r"<(xmin|ymin|xmax|ymax)>\s*(-?\d+(?:\.\d+)?)\s*</\1>")
EDGES = ("xmin", "ymin", "xmax", "ymax")


PLACES = {"Images": "Annotation", "images/Images": "annotations/Annotation"}
"""Where the pictures are, and their annotations: as published, and as Kaggle has them."""


def home(folder: Path) -> tuple[str, Path] | None:
    """Where the pictures lie within the folder, and the folder of their annotations."""
    found = ((images, folder / notes) for images, notes in PLACES.items() if (folder / images).is_dir())
    return next((place for place in found if place[1].is_dir()), None)


def is_dogs(folder: Path) -> bool:
    """Images/ and Annotation/, with a folder a breed in each."""
    place = home(folder)
    return bool(place and listed(folder / place[0])[1])


def dogs(folder: Path, _lost: Lost) -> Iterator[Item]:
    """Every dog, cut by the largest box of its annotation; whole where there is no annotation.

    Raises EaselError naming an annotation without a box.
    """
    place = home(folder)
    if place is None:
        raise EaselError(f"{folder} has no Images/ and Annotation/")
    images, notes = place
    for part in listed(folder / images)[1]:
        for name in listed(folder / images / part)[0]:
            note = notes / part / Path(name).stem
            yield Item(
                name=f"{images}/{part}/{name}",
                path=folder / images / part / name,
                label=breed(part),
                box=box_in(note) if note.is_file() else None,
            )


def breed(part: str) -> str:
    """'n02085620-Chihuahua' as 'Chihuahua'."""
    return (part.partition("-")[2] or part).replace("_", " ")


def box_in(note: Path) -> Box:
    """The largest box of an annotation in Pascal VOC's XML, read by its tags alone, so that nothing in it can run."""
    try:
        text = note.read_text(encoding="utf-8", errors="replace")
    except OSError as problem:
        raise EaselError(f"cannot read {note}: {shortened(problem)}") from problem
    found: list[Box] = []
    for block in BLOCK.findall(text):
        edges = {key: round(float(value)) for key, value in EDGE.findall(block)}
        if len(edges) == len(EDGES):
            left, top, right, bottom = (edges[key] for key in EDGES)
            found.append((left, top, right, bottom))
    if not found:
        raise EaselError(f"{note} has no box: wanted <bndbox> with xmin, ymin, xmax and ymax")
    return max(found, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
