"""Stanford Dogs (Khosla et al. 2011): breeds by folder, and the dog's box in an annotation beside each picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from easel.data.folders import listed
from easel.data.item import Box, Item, Lost, box_from
from easel.errors import EaselError
from easel.files import check_regular

BLOCK = re.compile(r"<bndbox>(.*?)</bndbox>", re.S)
EDGE = re.compile(r"<(xmin|ymin|xmax|ymax)>\s*([^<\s]{1,400})\s*</\1>")
EDGES = ("xmin", "ymin", "xmax", "ymax")
MOST_NOTE = 1_000_000
"""Bytes of an annotation."""

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


def dogs(folder: Path, lost: Lost) -> Iterator[Item]:
    """Every dog, cut by the largest box of its annotation; whole where there is no annotation, or none with a box:
    those are counted.
    """
    place = home(folder)
    if place is None:
        raise EaselError(f"{folder} has no Images/ and Annotation/")
    images, notes = place
    for part in listed(folder / images)[1]:
        for name in listed(folder / images / part)[0]:
            note = notes / part / Path(name).stem
            box = box_in(note) if note.is_file() else None
            if box is None and note.is_file():
                lost.skip("annotations without a box are left out", f"{part}/{note.name}")
            yield Item(f"{images}/{part}/{name}", folder / images / part / name, label=breed(part), box=box)


def breed(part: str) -> str:
    """'n02085620-Chihuahua' as 'Chihuahua'."""
    return (part.partition("-")[2] or part).replace("_", " ")


def box_in(note: Path) -> Box | None:
    """The largest box of an annotation in Pascal VOC's XML, read by its tags alone, so that nothing in it can run; None
    where there is none.
    """
    try:
        if check_regular(note).st_size > MOST_NOTE:
            return None
        text = note.read_bytes().decode("utf-8", "replace")
    except (OSError, EaselError):
        return None
    blocks = (dict(EDGE.findall(block)) for block in BLOCK.findall(text))
    found = [box for edges in blocks if (box := box_from([edges.get(key) for key in EDGES])) is not None]
    return max(found, key=lambda box: (box[2] - box[0]) * (box[3] - box[1])) if found else None
