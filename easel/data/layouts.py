"""How sets of pictures are laid out: each layout by its word, its tree, and what recognises and reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from easel.data import celeba, cub, dogs, folders, hotels, metadata
from easel.data.annotations import Annotations, Collected, box_of, collect
from easel.data.columns import Column
from easel.data.item import SPLITS, Item, Lost
from easel.errors import EaselError, nearest, shortened, unknown


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
        'metadata.jsonl with {"file_name": ..., "text": ...} a line (or captions.jsonl, labels.jsonl), the pictures',
        metadata.is_metadata,
        metadata.metadata,
    ),
    "classes": Layout(
        "CLASS/*.jpg, two classes or more (or images/CLASS/*.jpg, or train/CLASS/*.jpg)",
        folders.is_classes,
        folders.classes,
    ),
    "flat": Layout("*.jpg (or images/*.jpg, or train/*.jpg and test/*.jpg)", folders.is_flat, folders.flat),
}
"""Layouts in the order in which they are tried: those with tables of their own first."""


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
    word = layout or recognised(folder)
    if word not in LAYOUTS:
        raise unknown("layout", word, LAYOUTS)
    if layout and not LAYOUTS[layout].matches(folder):
        raise EaselError(f"{folder} is not laid out as '{layout}', which is {LAYOUTS[layout].tree}")
    wanted = _split_word(split)
    lost = Lost(wanted)
    items = LAYOUTS[word].read(folder, lost)
    found = collect(item for item in items if wanted in (None, item.split))
    if not len(found.annotations):
        _refuse_empty(folder, word, wanted, lost)
    return _made(folder, word, found, lost)


def recognised(folder: Path) -> str:
    """The first layout that fits. Raises EaselError that shows the trees when none does."""
    found = next((word for word, layout in LAYOUTS.items() if layout.matches(folder)), None)
    if found is None:
        trees = "; ".join(f"{word}: {layout.tree}" for word, layout in reversed(LAYOUTS.items()))
        raise EaselError(f"there are no pictures in {folder} in a layout that easel knows. {trees}")
    return found


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
