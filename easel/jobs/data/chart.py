"""A summary as one PNG: its numbers, its panels, and the map of the pictures."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.charts import new_figure, png
from easel.jobs.data.panels import Panel
from easel.jobs.data.values import Summary
from easel.sheet import PAPER

RED, SAND, INK, GREY = "#c4472d", "#d9d3c4", "#1c1c1e", "#5c5c62"
WIDTH = 14.0
"""Inches, at 120 dots each."""
MAX_PANELS = 8
PER_ROW = {5: 5, 6: 3}
"""Panels in a row by how many there are; four otherwise."""
SHOWN = (
    "pictures",
    "classes",
    "captions",
    "broken",
    "missing",
    "unnamed",
    "near-duplicates",
    "sizes",
    "splits",
    "brightness",
    "without colour",
)
MIN_WIDTH = 1600
"""Pixels that the map is wide at least, up to the thumbnails' own size."""


def chart(summary: Summary) -> bytes:
    """PNG of the summary, the same for the same set."""
    chosen = summary.panels[:MAX_PANELS]
    per_row = PER_ROW.get(len(chosen), 4)
    rows = -(-len(chosen) // per_row)
    picture = map_picture(summary)
    tall = (WIDTH - 0.8) * picture.shape[0] / picture.shape[1]
    wide = min(1.0, 9.0 / tall)
    heights = [0.75 + 0.25 * max(map(len, _lines(summary))), *[2.7] * rows, tall * wide + 0.55]
    paper = (PAPER[0] / 255, PAPER[1] / 255, PAPER[2] / 255)
    figure = new_figure(WIDTH, sum(heights), 120, facecolor=paper)
    bands = figure.add_gridspec(len(heights), 1, height_ratios=heights, hspace=0, left=0, right=1, top=1, bottom=0)
    _head(figure, bands[0], summary)
    for row in range(rows):
        cells = bands[1 + row].subgridspec(1, per_row, wspace=0.0)
        for at, panel in enumerate(chosen[row * per_row : (row + 1) * per_row]):
            _panel(_inset(figure, cells[at], (0.34 if not panel.is_scale else 0.12, 0.17, 0.93, 0.85)), panel)
    axes = _inset(figure, bands[-1], (0.4 / WIDTH, 0.02, 1 - 0.4 / WIDTH, 1 - 0.5 / heights[-1]))
    axes.imshow(picture, interpolation="lanczos", aspect="equal")
    axes.set_axis_off()
    words = "map: what looks alike lies together" + (
        "" if len(summary.cells) == len(summary.stats.indices) else " (a part)"
    )
    axes.set_title(f"{words}, by {summary.judge}", fontsize=11, color=INK, loc="left", pad=6)
    return png(figure, facecolor=paper)


def _lines(summary: Summary) -> list[list[str]]:
    """The numbers in words, in two columns."""
    found = [f"{name}: {summary.numbers[name]}" for name in SHOWN if name in summary.numbers]
    half = -(-len(found) // 2)
    return [[line for text in part for line in textwrap.wrap(text, 78)[:2]] for part in (found[:half], found[half:])]


def _head(figure: Any, band: Any, summary: Summary) -> None:
    axes = _inset(figure, band, (0.4 / WIDTH, 0.0, 1 - 0.4 / WIDTH, 1.0))
    axes.set_axis_off()
    columns = _lines(summary)
    tall = 0.75 + 0.25 * max(map(len, columns))
    axes.text(
        0, 1 - 0.45 / tall, summary.title, fontsize=20, color=INK, va="center", fontweight="bold", parse_math=False
    )
    for part, lines in enumerate(columns):
        for at, line in enumerate(lines):
            place = part * 0.5, 1 - (0.82 + 0.25 * at) / tall
            axes.text(*place, line, fontsize=10.5, color=GREY, va="center", parse_math=False)


def _inset(figure: Any, band: Any, edges: tuple[float, float, float, float]) -> Any:
    """Axes within a cell of the grid: left, bottom, right, top as parts of it."""
    box = band.get_position(figure)
    left, bottom, right, top = edges
    return figure.add_axes(
        (
            box.x0 + left * box.width,
            box.y0 + bottom * box.height,
            (right - left) * box.width,
            (top - bottom) * box.height,
        )
    )


def _panel(axes: Any, panel: Panel) -> None:
    """Upright bars for a scale, lying ones for names."""
    axes.set_facecolor("none")
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.tick_params(length=0, labelsize=8.5, colors=GREY)
    axes.set_title(panel.title, fontsize=11, color=INK, loc="left", x=0.0, pad=7, parse_math=False)
    if panel.is_scale:
        axes.bar(range(len(panel.counts)), panel.counts, 0.9, color=RED)
        letters = sum(len(label) + 1.5 for label in panel.labels)
        step = max(1, math.ceil(letters / 38))
        axes.set_xticks(range(0, len(panel.labels), step), panel.labels[::step])
        axes.set_yticks([max(panel.counts)], [f"{max(panel.counts):,}"])
        axes.axhline(0, color=SAND, linewidth=1)
        return
    labels, counts = panel.labels[:10], panel.counts[:10]
    axes.barh(range(len(counts)), counts, 0.78, color=RED)
    axes.set_yticks(range(len(labels)), [label if len(label) <= 20 else label[:18] + "..." for label in labels])
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.set_xticks([])
    axes.set_xlim(0, max(counts) * 1.22 or 1)
    axes.set_ylim(max(len(counts), 6) - 0.4, -0.6)
    for at, count in enumerate(counts):
        axes.text(count + max(counts) * 0.02, at, f"{count:,}", fontsize=8, color=GREY, va="center")


def map_picture(summary: Summary) -> NDArray[np.uint8]:
    """The map, (h, w, 3): thumbnails in their cells, nothing between them."""
    columns = 1 + max(column for column, _ in summary.cells.values())
    rows = 1 + max(row for _, row in summary.cells.values())
    own = next(iter(summary.stats.thumbs.values())).shape[0] + 2
    tile = min(own, max(64, MIN_WIDTH // columns))
    page = np.empty((rows * tile, columns * tile, 3), np.uint8)
    page[:] = PAPER
    for at, (column, row) in summary.cells.items():
        small = Image.fromarray(summary.stats.thumbs[at]).resize((tile - 2, tile - 2), Image.Resampling.LANCZOS)
        top, left = row * tile + 1, column * tile + 1
        page[top : top + tile - 2, left : left + tile - 2] = np.asarray(small)
    return page
