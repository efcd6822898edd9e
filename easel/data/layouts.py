"""How sets of pictures are laid out: each layout by its word, its tree, and what recognises and reads it."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from easel.data import celeba, cub, dogs, folders, hotels, metadata
from easel.data.annotations import ADVICE, Annotations, Collected, box_of, collect
from easel.data.columns import Column
from easel.data.item import SPLITS, Item, Lost
from easel.errors import EaselError, nearest, shortened, unknown

MOST_PLACES = 3
"""So many folders stand in an advice."""
MOST_FLOORS, MOST_LOOKED_INTO, FEW_FOLDERS = 2, 100, 8
"""How far below a folder without pictures a set is looked for, in how many folders; below more than few, no further."""


@dataclass(frozen=True)
class Layout:
    """One way to lay out a set. `matches` recognises a folder, `read` gives its items and counts what is lost."""

    tree: str
    matches: Callable[[Path], bool]
    read: Callable[[Path, Lost], Iterator[Item]]


LAYOUTS: dict[str, Layout] = {
    "hotels": Layout(
        "hotel_info.csv, chain_info.csv, train_set.csv (here, in dataset/ or in input/dataset/) and "
        "images/train/CHAIN/HOTEL/SOURCE/*.jpg, images/test/unoccluded/...",
        hotels.is_hotels,
        hotels.hotels,
    ),
    "cub": Layout(
        "images.txt, image_class_labels.txt, classes.txt, images/001.Name/*.jpg (and bounding_boxes.txt, "
        "train_test_split.txt, attributes/, text_c10/001.Name/*.txt)",
        cub.is_cub,
        cub.cub,
    ),
    "celeba": Layout(
        "list_attr_celeba.txt (here or in Anno/), img_align_celeba/*.jpg (and list_eval_partition.txt)",
        celeba.is_celeba,
        celeba.celeba,
    ),
    "dogs": Layout(
        "Images/n01-Breed/*.jpg, Annotation/n01-Breed/* without ending (or images/Images/ and annotations/Annotation/)",
        dogs.is_dogs,
        dogs.dogs,
    ),
    "metadata": Layout(
        'metadata.jsonl with {"file_name": ..., "text": ...} a line (or metadata.csv, captions.jsonl, labels.csv, '
        "dataset.json), the pictures",
        metadata.is_metadata,
        metadata.metadata,
    ),
    "classes": Layout(
        "CLASS/*.jpg, two classes or more (or images/CLASS/*.jpg, or train/CLASS/*.jpg)",
        folders.is_classes,
        folders.classes,
    ),
    "flat": Layout(
        "*.jpg, perhaps with captions in *.txt (or images/*.jpg, or train/*.jpg and test/*.jpg)",
        folders.is_flat,
        folders.flat,
    ),
}
"""Layouts in the order in which they are tried: those with tables of their own first."""
WITH_TABLES = [word for word in LAYOUTS if word not in {"classes", "flat"}]


@dataclass(frozen=True, eq=False)
class PictureSet(Annotations):
    """A set of pictures, opened: columns in memory, the pictures themselves on the disk.

    `opened_set[i]` is an `Item`, made when asked for. A million pictures take about 100 to 200 MB.
    """

    folder: Path = Path()
    layout: str = "flat"
    boxes: NDArray[np.int32] | None = None
    """(n, 4) left, top, right, bottom; -1 where a picture has none."""
    split: Column | None = None
    """train, valid or test of each picture; nothing where it is in none."""
    missing: int = 0
    """How many pictures the set's tables name that are not in the folder."""
    missing_names: tuple[str, ...] = ()
    """The first few of them."""
    unnamed: int = 0
    """How many pictures in the folder have no line in its metadata.jsonl, and so are none of the set."""
    unnamed_names: tuple[str, ...] = ()
    """The first few of them."""
    notes: tuple[str, ...] = ()
    """What was left out of the folder and its tables, and what was taken for what, each in a line."""

    def __getitem__(self, index: int) -> Item:
        at = range(len(self))[index]
        name = self.names[at]
        label = self.label[at]
        split = self.split[at] if self.split else None
        values = {key: value for key, column in self.attributes.items() if (value := column[at]) is not None}
        return Item(
            name=name,
            path=self.folder / name,
            captions=self.captions[at],
            label=None if label is None else str(label),
            attributes=values,
            box=None if self.boxes is None else box_of(self.boxes[at]),
            split=str(split or ""),
        )

    def __iter__(self) -> Iterator[Item]:
        return (self[at] for at in range(len(self)))

    @property
    def captioning(self) -> str:
        """The command that writes captions where this set's are read, or what to write by hand."""
        if self.layout == "metadata":
            return ADVICE["captions"]
        within = dict.fromkeys(name.rpartition("/")[0] for name in self.names)
        places = [shlex.quote(str(self.folder / one)) for one in islice(within, MOST_PLACES + 1)]
        depths = {len(one.split("/")) if one else 0 for one in within}
        parent = os.path.commonpath(within) if "" not in within else ""
        if len(places) > MOST_PLACES and len(depths) == 1:
            stars = depths.pop() - (len(parent.split("/")) if parent else 0)
            places = ["/".join([shlex.quote(str(self.folder / parent)), *["*"] * stars, ""])]
        elif len(places) > MOST_PLACES:
            return ADVICE["captions"]
        out = shlex.quote(str(self.folder))
        return f"`easel caption {' '.join(places)} --out {out}` writes them; or {ADVICE['captions']}"


def open_set(folder: str | Path, layout: str | None = None, split: str | None = None) -> PictureSet:
    """Open a folder as a set of pictures. No picture is read yet.

    Args:
        folder: where the set lies.
        layout: a word of `LAYOUTS`; recognised from the folder when None.
        split: only this part: train, valid or test.

    Raises:
        EaselError: no such folder, no pictures in it, an unknown layout, a folder that has not the layout's tree (the
            tree is shown), a wrong line in one of its tables (the line is named), or a split that it has not.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise EaselError(f"there is no folder {folder}" if not folder.exists() else f"{folder} is not a folder")
    if layout is not None and layout not in LAYOUTS:
        raise unknown("layout", layout, LAYOUTS)
    wanted = _split_word(split)
    lost = Lost(wanted)
    given, (folder, word) = folder, recognised(folder, layout)
    if folder != given:
        lost.note(f"the set was found in {folder.relative_to(given).as_posix()}/")
    items = LAYOUTS[word].read(folder, lost)
    if word == "classes":
        _note_sets(folder, lost)
    if word != "metadata":
        items = metadata.filled(items, folder, lost)
    found = collect(item for item in items if wanted in (None, item.split))
    if not len(found.annotations):
        _refuse_empty(folder, word, wanted, lost)
    return _made(folder, word, found, lost)


def _note_sets(folder: Path, lost: Lost) -> None:
    """Say which folders of classes are sets of their own."""
    for home in folders.arranged(folder).homes:
        for name in folders.listed(folder / home).folders[:MOST_LOOKED_INTO]:
            own = next((word for word in WITH_TABLES if LAYOUTS[word].matches(folder / home / name)), None)
            if own:
                lost.note(
                    f"{name}/ is a set of its own (layout '{own}'), here taken for a class: name it to open it alone"
                )


def recognised(folder: Path, layout: str | None = None) -> tuple[Path, str]:
    """Where the set lies, which is the folder or one within it, and the layout there: that of the word, or else the
    first that fits.

    Raises EaselError that shows the trees when none does, and that names the sets when there are several.
    """
    word = _fits(folder, layout)
    if word is not None:
        return folder, word
    found = list(_deeper(folder, layout))
    if len(found) == 1:
        return found[0]
    if found and layout is None:
        named = ", ".join(str(place) for place, _ in found[:MOST_PLACES])
        raise EaselError(f"{folder} holds {len(found)} sets of pictures ({named}): name one of them")
    if layout:
        fits = _fits(folder, None)
        other = f"; it is laid out as '{fits}'" if fits else ""
        raise EaselError(f"{folder} is not laid out as '{layout}', which is {LAYOUTS[layout].tree}{other}")
    trees = "; ".join(f"{word}: {layout.tree}" for word, layout in reversed(LAYOUTS.items()))
    raise EaselError(f"there are no pictures in {folder} in a layout that easel knows. {trees}")


def _fits(folder: Path, layout: str | None) -> str | None:
    """The word of the layout that a folder has. A table of captions for some of its classes does not make the set."""
    if layout is not None:
        return layout if LAYOUTS[layout].matches(folder) else None
    found = next((word for word, one in LAYOUTS.items() if one.matches(folder)), None)
    if found == "metadata" and folders.is_classes(folder) and not metadata.names_all_classes(folder):
        return "classes"
    return found


def _deeper(folder: Path, layout: str | None) -> Iterator[tuple[Path, str]]:
    """Sets in the folders of a folder without pictures: archives often unpack so. Few are looked at."""
    floor = [folder]
    for _ in range(MOST_FLOORS):
        below = [place / name for place in floor for name in folders.listed(place).folders[:MOST_LOOKED_INTO]]
        found = []
        for place in below[:MOST_LOOKED_INTO]:
            with contextlib.suppress(EaselError):  # a folder that nobody may read holds no set
                if word := _fits(place, layout):
                    found.append((place, word))
        if found or len(below) > FEW_FOLDERS:
            yield from found
            return
        floor = below


def _made(folder: Path, word: str, found: Collected, lost: Lost) -> PictureSet:
    annotations = found.annotations
    return PictureSet(
        names=annotations.names,
        captions=annotations.captions,
        label=annotations.label,
        attributes=annotations.attributes,
        folder=folder,
        layout=word,
        boxes=found.boxes if len(found.boxes) and (found.boxes >= 0).any() else None,
        split=found.split if found.split.values else None,
        missing=lost.missing.count,
        missing_names=tuple(lost.missing.names),
        unnamed=lost.unnamed.count,
        unnamed_names=tuple(lost.unnamed.names),
        notes=lost.said(),
    )


def _split_word(split: str | None) -> str | None:
    if split is None:
        return None
    if split.lower() not in SPLITS:
        raise EaselError(f"no split called '{shortened(split)}': {nearest(split, dict.fromkeys(SPLITS.values()))}")
    return SPLITS[split.lower()]


def _refuse_empty(folder: Path, word: str, split: str | None, lost: Lost) -> None:
    part = f" in the split '{split}'" if split else ""
    if lost.missing.count:
        named = ", ".join(lost.missing.names[:3])
        raise EaselError(
            f"none of the {lost.missing.count:,} pictures that {folder} speaks of{part} is there ({named}, ...)"
        )
    raise EaselError(f"there are no pictures in {folder}{part}; layout '{word}' is {LAYOUTS[word].tree}")
