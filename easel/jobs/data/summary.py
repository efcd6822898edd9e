"""What is in a set of pictures: open, inspect every picture, compare, lay the map, write it down.

The numbers are of the pictures as they are shown. The set itself is only read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.data import Item, PictureSet, open_set
from easel.data.cache import cores
from easel.data.hashes import data_hash
from easel.errors import EaselError, printable
from easel.jobs.data import chart, page
from easel.jobs.data.duplicates import near_duplicates
from easel.jobs.data.inspect import inspect
from easel.jobs.data.map import grid_cells, tsne
from easel.jobs.data.panels import panels
from easel.jobs.data.values import PictureStats, SetStats, Summary
from easel.jobs.data.words import left_out_notes, numbers
from easel.jobs.inputs import batches, model_label, shortened_list
from easel.jobs.judges import load_clip
from easel.recipes.data import DataSummary
from easel.result import Result
from easel.workspace import Workspace

MAX_ON_MAP = 384
COLUMNS, ROWS = 32, 12
THUMB, LARGE_THUMB, SMALL_MAP = 96, 208, 72
"""Pixels a side of the pictures on the map, and those on a map of so few."""
BATCH = 64


def run(recipe: DataSummary, workspace: Workspace) -> Result:
    """Summarise the set of a Data recipe. Raises EaselError where there is no picture that opens, and Cancelled."""
    workspace.step("opening", 0, 1)
    pictures = open_set(recipe.folder or "", recipe.layout, recipe.split)
    # A part of a huge set is inspected because all of it would take too long to read.
    key = data_hash(pictures, report=workspace.step) if len(pictures) <= recipe.count else ""
    stats = inspect_all(pictures, spread_evenly(len(pictures), recipe.count), workspace.step)
    workspace.step("comparing", 0, 1)
    groups = near_duplicates(np.array(stats.bits, np.uint64), np.stack(stats.copies))
    workspace.step("comparing", 1, 1)
    summary = Summary(
        title=printable(pictures.folder.absolute().name),
        pictures=pictures,
        stats=stats,
        numbers=numbers(pictures, stats, groups, key),
        panels=panels(pictures, stats.widths, stats.heights, stats.brightness),
        groups=groups,
        cells=lay_map(recipe.model, stats, workspace),
        extremes=extremes(stats),
        judge=f"clip:{model_label(recipe.model)}",
    )
    workspace.step("drawing the page", 0, 1)
    workspace.save_text("table.csv", table(summary.numbers))
    workspace.save_text("summary.html", page.page(summary))
    workspace.save_bytes("sheet.png", chart.chart(summary))
    workspace.step("drawing the page", 1, 1)
    files = ("summary.html", "sheet.png", "table.csv")
    texts = summary.numbers
    return Result(kind=recipe.kind, folder=workspace.folder, files=files, texts=texts, notes=notes(pictures, stats))


def table(numbers: dict[str, str]) -> str:
    """table.csv: what, and its value in words."""
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows([("what", "value"), *numbers.items()])
    return made.getvalue()


def spread_evenly(total: int, most: int) -> list[int]:
    """At most so many indices, spread evenly over the set."""
    return list(dict.fromkeys(np.linspace(0, total - 1, min(total, most)).round().astype(int).tolist()))


def inspect_all(
    pictures: PictureSet, indices: Sequence[int], step: Callable[[str, int, int], None], most_on_map: int = MAX_ON_MAP
) -> SetStats:
    """Measure the pictures of these indices, in several threads. Raises EaselError when none of them opens.

    `step` hears how far it is; at most `most_on_map` of them get a thumbnail.
    """
    stats = SetStats()
    on_map = spread_evenly(len(indices), most_on_map)
    mapped = {indices[at]: LARGE_THUMB if len(on_map) <= SMALL_MAP else THUMB for at in on_map}
    step("looking", 0, len(indices))
    done = 0
    with ThreadPoolExecutor(cores()) as pool:
        for batch in batches(indices, BATCH):
            items = [pictures[at] for at in batch]
            inspect_one = partial(inspect_with_thumbnail, sides=mapped)
            for at, item, found in zip(batch, items, pool.map(inspect_one, batch, items), strict=True):
                if isinstance(found, str):
                    name = printable(item.name)
                    stats.broken[name] = printable(found.replace(f"{item.path}", item.name))
                else:
                    stats.add(at, found)
            done += len(batch)
            step("looking", done, len(indices))
    if not stats.indices:
        first = next(iter(stats.broken.values()))
        raise EaselError(f"not one of {len(indices)} pictures in {pictures.folder} can be opened; the first: {first}")
    return stats


def inspect_with_thumbnail(index: int, item: Item, sides: dict[int, int]) -> PictureStats | str:
    """`inspect`, with a thumbnail for those on the map."""
    return inspect(item, sides.get(index, 0))


def lay_map(model: str, stats: SetStats, workspace: Workspace) -> dict[int, tuple[int, int]]:
    """A cell for each picture with a thumbnail, pictures that CLIP finds alike near each other."""
    indices = list(stats.thumbs)
    clip = load_clip(model, workspace)
    features: list[NDArray[np.float32]] = []
    workspace.step("mapping", 0, len(indices))
    for batch in batches(indices, BATCH):
        features.append(clip.images([Image.fromarray(stats.thumbs[at]) for at in batch]))
        workspace.step("mapping", min(len(features) * BATCH, len(indices)), len(indices))
    columns, lines = grid_of(len(indices))
    cells = grid_cells(tsne(np.concatenate(features)), columns, lines)
    return {at: (int(column), int(row)) for at, (column, row) in zip(indices, cells, strict=True)}


def grid_of(count: int) -> tuple[int, int]:
    """Columns and rows of a map, about 8 to 3, with as few empty cells as that allows."""
    wanted = max(1, min(COLUMNS, count, round((count * COLUMNS / ROWS) ** 0.5)))
    choices = [columns for columns in range(wanted - 1, wanted + 2) if 1 <= columns <= min(COLUMNS, count)]
    columns = min(choices, key=lambda n: (-count % n, abs(n - wanted)))
    return columns, -(-count // columns)


def extremes(stats: SetStats, each: int = 6) -> dict[str, list[int]]:
    """The pictures at the ends: those a person would check first when something is wrong with a set."""
    ratio = np.array(stats.widths) / np.array(stats.heights)
    ends = {
        "darkest": np.array(stats.brightness),
        "brightest": -np.array(stats.brightness),
        "least contrast": np.array(stats.contrast),
        "widest": -ratio,
        "tallest": ratio,
        "smallest": np.minimum(stats.widths, stats.heights),
    }
    alike = {"widest", "tallest"} if np.ptp(ratio) < 0.02 else set()
    alike |= {"smallest"} if np.ptp(ends["smallest"]) == 0 else set()
    few = min(each, len(stats.indices))
    return {
        name: [stats.indices[at] for at in np.argsort(values, kind="stable")[:few]]
        for name, values in ends.items()
        if name not in alike
    }


def notes(pictures: PictureSet, stats: SetStats) -> tuple[str, ...]:
    """What a person should know before training on the set."""
    found = [f"broken: {text}" for text in shortened_list([*stats.broken.values()])]
    if pictures.missing:
        found.append(f"{pictures.missing:,} pictures are missing, such as {printable(pictures.missing_names[0])}")
    found += left_out_notes(pictures)
    lacking = int((~pictures.captions.present).sum())
    if 0 < lacking < len(pictures):
        found.append(f"{lacking:,} pictures have no caption: text networks refuse the set")
    return (*found, *shortened_list(stats.notes))
