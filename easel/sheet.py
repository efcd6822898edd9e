"""The contact sheet: pictures in a grid, each with a title and a few lines, readable at a glance. Pillow only."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

TILE = 360
GAP = 24
TITLE_SIZE, LINE_SIZE, HEADING_SIZE = 22, 17, 28
PAPER, INK, GREY, FRAME = (250, 249, 246), (28, 28, 30), (92, 92, 98), (222, 220, 214)
MOST_CELLS = 60
MOST_LINES = 8
LEAST_TILE, TILE_GAP = 64, 2  # of a mosaic
MOST_COLUMNS, MOST_ROWS = 24, 20
"""Of a grid."""
MOST_SIDE, LEAST_SIDE, PAGE = 280, 130, 2400  # of a tile of a grid, and of all its columns together
SIDE_LABEL, GRID_GAP, SMALL_SIZE = 150, 8, 14

TYPOGRAPHY = str.maketrans(
    {
        "\u2014": "-",
        "\u2013": "-",
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u00d7": "x",
        "\u00b1": "+-",
    }
)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Cell:
    """One picture of the sheet, the title under it, and short lines of text (captions, scores) under that."""

    image: Image.Image
    title: str = ""
    lines: tuple[str, ...] = ()


def sheet(cells: Sequence[Cell], columns: int | None = None, heading: str = "") -> Image.Image:
    """An RGB contact sheet of up to 60 cells, `columns` wide (chosen by their number when None); long text is wrapped.

    Pillow's bundled font has plain Latin letters only: accents are dropped, other scripts appear as question marks.
    """
    shown = list(cells[:MOST_CELLS])
    columns = columns or _columns(len(shown))
    width = columns * TILE + (columns + 1) * GAP
    rows = [shown[start : start + columns] for start in range(0, len(shown), columns)]
    head = _wrapped(heading, HEADING_SIZE, width - 2 * GAP, 3)
    left_out = len(cells) - len(shown)
    foot = [f"and {left_out} more, not shown"] if left_out else []
    boxes = [max(_fitted_size(cell.image)[1] for cell in row) for row in rows]
    heights = [box + max(_text_height(cell) for cell in row) for row, box in zip(rows, boxes, strict=True)]
    text_height = len(head) * _step(HEADING_SIZE) + (GAP if head else 0) + len(foot) * _step(LINE_SIZE)
    page = Image.new("RGB", (width, GAP + text_height + sum(heights) + GAP * len(rows)), PAPER)
    draw = ImageDraw.Draw(page)
    top = _write(draw, (GAP, GAP), head, HEADING_SIZE, INK) + (GAP if head else 0)
    for row, box, height in zip(rows, boxes, heights, strict=True):
        for index, cell in enumerate(row):
            _draw_cell(page, cell, (GAP + index * (TILE + GAP), top), box)
        top += height + GAP
    _write(draw, (GAP, top - GAP // 2), foot, LINE_SIZE, GREY)
    return page


def mosaic(pictures: Sequence[Image.Image], columns: int | None = None) -> Image.Image:
    """Square pictures of one size side by side, about as wide as high; small ones enlarged pixel by pixel."""
    columns = columns or max(1, math.ceil(math.sqrt(len(pictures))))
    rows = -(-len(pictures) // columns)
    side = pictures[0].width
    tile = side * -(-LEAST_TILE // side) if side < LEAST_TILE else side
    page = Image.new("RGB", (columns * (tile + TILE_GAP) + TILE_GAP, rows * (tile + TILE_GAP) + TILE_GAP), PAPER)
    for index, picture in enumerate(pictures):
        left, top = index % columns, index // columns
        page.paste(
            picture.resize((tile, tile), Image.Resampling.NEAREST),
            (TILE_GAP + left * (tile + TILE_GAP), TILE_GAP + top * (tile + TILE_GAP)),
        )
    return page


@dataclass(frozen=True)
class Line:
    """A row of a grid: what it is called, and its pictures; instead of one that is not there, words that say why."""

    title: str
    pictures: tuple[Image.Image | str, ...]


def grid(heads: Sequence[tuple[str, tuple[str, ...]]], lines: Sequence[Line], heading: str = "") -> Image.Image:
    """An RGB picture of rows and columns with labels: over each column a title and a few lines, beside each row its
    title. Up to `MOST_COLUMNS` columns and `MOST_ROWS` rows; what is left out is said below.
    """
    shown, below = list(heads[:MOST_COLUMNS]), list(lines[:MOST_ROWS])
    tile = max(LEAST_SIDE, min(MOST_SIDE, PAGE // (len(shown) + 1)))
    left = GAP + SIDE_LABEL + GAP // 2
    width = left + len(shown) * (tile + GRID_GAP) + GAP
    titles = [_wrapped(title, LINE_SIZE + 2, tile, 3) for title, _ in shown]
    notes = [[part for note in head[1] for part in _wrapped(note, SMALL_SIZE, tile, 2)] for head in shown]
    top_height = max((len(title) for title in titles), default=0) * _step(LINE_SIZE + 2)
    note_height = max((len(note) for note in notes), default=0) * _step(SMALL_SIZE)
    head = _wrapped(heading, TITLE_SIZE, width - 2 * GAP, 4)
    missing = [(len(heads) - len(shown), "columns"), (len(lines) - len(below), "rows")]
    foot = [f"and {count} {what} more, not shown" for count, what in missing if count]
    boxes = [_row_height(line, len(shown), tile) for line in below]
    above = GAP + len(head) * _step(TITLE_SIZE) + GAP // 2 + top_height + note_height + GRID_GAP
    page = Image.new(
        "RGB", (width, above + sum(boxes) + GRID_GAP * len(boxes) + len(foot) * _step(LINE_SIZE) + GAP), PAPER
    )
    draw = ImageDraw.Draw(page)
    top = _write(draw, (GAP, GAP), head, TITLE_SIZE, INK) + GAP // 2
    for index, (title, note) in enumerate(zip(titles, notes, strict=True)):
        across = left + index * (tile + GRID_GAP)
        start = _write(draw, (across, top), title, LINE_SIZE + 2, INK)
        _write(draw, (across, start), note, SMALL_SIZE, GREY)
    top = above
    for line, box in zip(below, boxes, strict=True):
        _write(draw, (GAP, top), _wrapped(line.title, LINE_SIZE, SIDE_LABEL, 4), LINE_SIZE, INK)
        for index, picture in enumerate(line.pictures[: len(shown)]):
            corner = left + index * (tile + GRID_GAP), top
            if isinstance(picture, str):
                draw.rectangle((corner[0], top, corner[0] + tile - 1, top + box - 1), outline=FRAME)
                _write(draw, (corner[0] + 6, top + 6), _wrapped(picture, SMALL_SIZE, tile - 12, 6), SMALL_SIZE, GREY)
            else:
                small = picture.convert("RGB").resize(_fitted_size(picture, tile), Image.Resampling.LANCZOS)
                page.paste(small, corner)
        top += box + GRID_GAP
    _write(draw, (GAP, top), foot, LINE_SIZE, GREY)
    return page


def _row_height(line: Line, columns: int, tile: int) -> int:
    """Pixels that a row of a grid needs: for its pictures, its title, or the words that stand for one."""
    heights = [
        _step(SMALL_SIZE) * 4 if isinstance(picture, str) else _fitted_size(picture, tile)[1]
        for picture in line.pictures[:columns]
    ]
    return max([len(_wrapped(line.title, LINE_SIZE, SIDE_LABEL, 4)) * _step(LINE_SIZE), *heights])


def _columns(count: int) -> int:
    """Up to six in one row, then a grid about half as high as it is wide."""
    return max(1, count if count <= 6 else math.ceil(math.sqrt(count * 1.4)))


def _fitted_size(image: Image.Image, tile: int = TILE) -> tuple[int, int]:
    """The picture's width and height when it is as large as fits a tile."""
    scale = min(tile / image.width, tile / image.height)
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _text_height(cell: Cell) -> int:
    titles, lines = _texts(cell)
    return 10 + len(titles) * _step(TITLE_SIZE) + len(lines) * _step(LINE_SIZE)


def _texts(cell: Cell) -> tuple[list[str], list[str]]:
    lines = [part for line in cell.lines for part in _wrapped(line, LINE_SIZE, TILE, 4)]
    return _wrapped(cell.title, TITLE_SIZE, TILE, 2), lines[:MOST_LINES]


def _draw_cell(page: Image.Image, cell: Cell, corner: tuple[int, int], box: int) -> None:
    """One cell at `corner`: its picture in a frame `box` pixels high, its texts below."""
    left, top = corner
    draw = ImageDraw.Draw(page)
    draw.rectangle((left - 1, top - 1, left + TILE, top + box), fill=(240, 238, 233), outline=FRAME)
    picture = cell.image.convert("RGB").resize(_fitted_size(cell.image), Image.Resampling.LANCZOS)
    page.paste(picture, (left + (TILE - picture.width) // 2, top + (box - picture.height) // 2))
    titles, lines = _texts(cell)
    below = _write(draw, (left, top + box + 10), titles, TITLE_SIZE, INK)
    _write(draw, (left, below), lines, LINE_SIZE, GREY)


def _write(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], lines: Sequence[str], size: int, colour: tuple[int, int, int]
) -> int:
    """Draw lines of text downwards from `corner`; the y just under them."""
    left, top = corner
    for line in lines:
        draw.text((left, top), line, fill=colour, font=_font(size))
        top += _step(size)
    return top


def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _step(size: int) -> int:
    return round(size * 1.3)


def _wrapped(text: str, size: int, width: int, most: int) -> list[str]:
    """`text` in lines no wider than `width` pixels, at most `most` of them; what is cut ends in dots."""
    font = _font(size)
    lines: list[str] = []
    line = ""
    for word in _pieces(_latin(text[:2000]), font, width):
        longer = f"{line} {word}".strip()
        if line and font.getlength(longer) > width:
            lines.append(line)
            longer = word
        line = longer
    if line:
        lines.append(line)
    if len(lines) > most:
        last = lines[most - 1]
        while last and font.getlength(last + "...") > width:
            last = last[:-1]
        lines = [*lines[: most - 1], last + "..."]
    return lines


def _latin(text: str) -> str:
    """`text` in the letters that the bundled font has."""
    bare = unicodedata.normalize("NFKD", text.translate(TYPOGRAPHY))
    return "".join(letter for letter in bare if not unicodedata.combining(letter)).encode("ascii", "replace").decode()


def _pieces(text: str, font: Font, width: int) -> list[str]:
    """The words of `text`, those wider than a line cut into parts that fit."""
    pieces: list[str] = []
    for word in text.split():
        rest = word
        while font.getlength(rest) > width and len(rest) > 1:
            cut = next(n for n in range(len(rest) - 1, 0, -1) if n == 1 or font.getlength(rest[:n]) <= width)
            pieces.append(rest[:cut])
            rest = rest[cut:]
        pieces.append(rest)
    return pieces
