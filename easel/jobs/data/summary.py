"""What is in a set of pictures: open, look at every picture, compare, lay the map, write it down.

The numbers are of the pictures as they are shown. The set itself is only read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.data import Item, PictureSet, open_set
from easel.data.cache import cores
from easel.data.hashes import data_hash
from easel.errors import EaselError
from easel.jobs.data import chart, page
from easel.jobs.data.duplicates import Pair, near_duplicates
from easel.jobs.data.inspect import Look, look
from easel.jobs.data.map import on_a_grid, plane
from easel.jobs.data.panels import Panel, panels
from easel.jobs.data.words import numbers, unnamed_note
from easel.jobs.inputs import batches, called, shortened_list
from easel.jobs.judges import load_clip
from easel.recipes import Data
from easel.result import Result
from easel.workspace import Workspace

ON_THE_MAP = 384
COLUMNS, ROWS = 32, 12
THUMB, LARGE_THUMB, FEW = 96, 208, 72
"""Pixels a side of the pictures on the map, and those on a map of so few."""
TOGETHER = 64


@dataclass
class Looks:
    """Everything seen: columns over the pictures that could be opened, and the names of those that could not."""

    rows: list[int] = field(default_factory=list)
    """Place of each in the set."""
    widths: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    brightness: list[float] = field(default_factory=list)
    contrast: list[float] = field(default_factory=list)
    copies: list[NDArray[np.uint8]] = field(default_factory=list)
    bits: list[int] = field(default_factory=list)
    colourless: int = 0
    notes: list[str] = field(default_factory=list)
    thumbs: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    """(side, side, 3) by place in the set, of those that are on the map."""
    broken: dict[str, str] = field(default_factory=dict)

    def add(self, at: int, seen: Look) -> None:
        """Keep what is compared later, and let the rest go."""
        self.rows.append(at)
        self.widths.append(seen.width)
        self.heights.append(seen.height)
        self.brightness.append(seen.brightness)
        self.contrast.append(seen.contrast)
        self.copies.append(seen.copy)
        self.bits.append(seen.bits)
        self.colourless += seen.is_grey
        if seen.note:
            self.notes.append(seen.note)
        if seen.thumbnail is not None:
            self.thumbs[at] = seen.thumbnail


@dataclass(frozen=True)
class Summary:
    """What the page and the chart are drawn from."""

    title: str
    pictures: PictureSet
    looks: Looks
    numbers: dict[str, str]
    panels: list[Panel]
    pairs: list[Pair]
    cells: dict[int, tuple[int, int]]
    """Column and row on the map by place in the set."""
    extremes: dict[str, list[int]]
    """Places in the set of the darkest, the brightest, ... pictures."""
    judge: str


def run(recipe: Data, workspace: Workspace) -> Result:
    """Summarise the set of a Data recipe. Raises EaselError where there is no picture that opens, and Cancelled."""
    workspace.step("opening", 0, 1)
    pictures = open_set(recipe.folder or "", recipe.layout, recipe.split)
    # A part of a huge set is looked at because all of it would take too long to read.
    key = data_hash(pictures, tell=workspace.step) if len(pictures) <= recipe.count else ""
    looks = look_at(pictures, chosen(len(pictures), recipe.count), workspace)
    workspace.step("comparing", 0, 1)
    pairs = near_duplicates(np.array(looks.bits, np.uint64), np.stack(looks.copies))
    workspace.step("comparing", 1, 1)
    summary = Summary(
        title=pictures.folder.absolute().name,
        pictures=pictures,
        looks=looks,
        numbers=numbers(pictures, looks, pairs, key),
        panels=panels(pictures, looks.widths, looks.heights, looks.brightness),
        pairs=pairs,
        cells=lay_map(recipe.model, looks, workspace),
        extremes=extremes(looks),
        judge=f"clip:{called(recipe.model)}",
    )
    workspace.step("drawing the page", 0, 1)
    workspace.save_text("table.csv", table(summary.numbers))
    workspace.save_text("summary.html", page.page(summary))
    workspace.save_bytes("sheet.png", chart.chart(summary))
    workspace.step("drawing the page", 1, 1)
    files = ("summary.html", "sheet.png", "table.csv")
    texts = summary.numbers
    return Result(kind=recipe.kind, folder=workspace.folder, files=files, texts=texts, notes=notes(pictures, looks))


def table(numbers: dict[str, str]) -> str:
    """table.csv: what, and its value in words."""
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows([("what", "value"), *numbers.items()])
    return made.getvalue()


def chosen(total: int, most: int) -> list[int]:
    """At most so many places, spread evenly over the set."""
    return list(dict.fromkeys(np.linspace(0, total - 1, min(total, most)).round().astype(int).tolist()))


def look_at(pictures: PictureSet, places: Sequence[int], workspace: Workspace) -> Looks:
    """Look at the pictures of these places, in several threads. Raises EaselError when none of them opens."""
    looks = Looks()
    on_map = chosen(len(places), ON_THE_MAP)
    mapped = {places[at]: LARGE_THUMB if len(on_map) <= FEW else THUMB for at in on_map}
    workspace.step("looking", 0, len(places))
    done = 0
    with ThreadPoolExecutor(cores()) as pool:
        for batch in batches(places, TOGETHER):
            items = [pictures[at] for at in batch]
            see = partial(seen, sides=mapped)
            for at, item, found in zip(batch, items, pool.map(see, batch, items), strict=True):
                if isinstance(found, str):
                    looks.broken[item.name] = found.replace(f"{item.path}", item.name)
                else:
                    looks.add(at, found)
            done += len(batch)
            workspace.step("looking", done, len(places))
    if not looks.rows:
        first = next(iter(looks.broken.values()))
        raise EaselError(f"not one of {len(places)} pictures in {pictures.folder} can be opened; the first: {first}")
    return looks


def seen(at: int, item: Item, sides: dict[int, int]) -> Look | str:
    """A look, with a thumbnail for those on the map."""
    return look(item, sides.get(at, 0))


def lay_map(model: str, looks: Looks, workspace: Workspace) -> dict[int, tuple[int, int]]:
    """A cell for each picture with a thumbnail, pictures that CLIP finds alike near each other."""
    places = list(looks.thumbs)
    clip = load_clip(model, workspace)
    rows: list[NDArray[np.float32]] = []
    workspace.step("mapping", 0, len(places))
    for batch in batches(places, TOGETHER):
        rows.append(clip.images([Image.fromarray(looks.thumbs[at]) for at in batch]))
        workspace.step("mapping", min(len(rows) * TOGETHER, len(places)), len(places))
    columns, lines = grid_of(len(places))
    cells = on_a_grid(plane(np.concatenate(rows)), columns, lines)
    return {at: (int(column), int(row)) for at, (column, row) in zip(places, cells, strict=True)}


def grid_of(count: int) -> tuple[int, int]:
    """Columns and rows of a map, about 8 to 3, with as few empty cells as that allows."""
    wanted = max(1, min(COLUMNS, count, round((count * COLUMNS / ROWS) ** 0.5)))
    choices = [columns for columns in range(wanted - 1, wanted + 2) if 1 <= columns <= min(COLUMNS, count)]
    columns = min(choices, key=lambda n: (-count % n, abs(n - wanted)))
    return columns, -(-count // columns)


def extremes(looks: Looks, each: int = 6) -> dict[str, list[int]]:
    """The pictures at the ends: those a person would look at first when something is wrong with a set."""
    ratio = np.array(looks.widths) / np.array(looks.heights)
    ends = {
        "darkest": np.array(looks.brightness),
        "brightest": -np.array(looks.brightness),
        "least contrast": np.array(looks.contrast),
        "widest": -ratio,
        "tallest": ratio,
        "smallest": np.minimum(looks.widths, looks.heights),
    }
    alike = {"widest", "tallest"} if np.ptp(ratio) < 0.02 else set()
    alike |= {"smallest"} if np.ptp(ends["smallest"]) == 0 else set()
    few = min(each, len(looks.rows))
    return {
        name: [looks.rows[at] for at in np.argsort(values, kind="stable")[:few]]
        for name, values in ends.items()
        if name not in alike
    }


def notes(pictures: PictureSet, looks: Looks) -> tuple[str, ...]:
    """What a person should know before training on the set."""
    found = [f"broken: {text}" for text in shortened_list([*looks.broken.values()])]
    if pictures.missing:
        found.append(f"{pictures.missing:,} pictures are missing, such as {pictures.missing_names[0]}")
    found += unnamed_note(pictures)
    lacking = int((~pictures.captions.present).sum())
    if 0 < lacking < len(pictures):
        found.append(f"{lacking:,} pictures have no caption: text networks refuse the set")
    return (*found, *shortened_list(looks.notes))
