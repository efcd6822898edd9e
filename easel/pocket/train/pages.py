"""The pictures of the page of scores: good, typical and bad ones, picked by chance and not by eye."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.sheet import Cell, sheet

PAGE = Path("docs") / "lab" / "images" / "pocket-held-out.jpg"
ROWS, SEED = 6, 2024
"""Pictures of each sort, and the seed that picks them."""


def prompts_page(
    texts: list[str], pictures: NDArray[np.uint8], right: list[dict[str, bool]], page: Path = PAGE
) -> None:
    """Write the sheet: pictures with all facts right, with one wrong, with two or more wrong; nothing where there is
    no folder for it.
    """
    if not page.parent.is_dir():
        return
    rng, wrong = np.random.default_rng(SEED), np.array([sum(not v for v in r.values()) for r in right])
    sorts = {"all right": wrong == 0, "one wrong": wrong == 1, "two or more wrong": wrong > 1}
    cells = []
    for name, here in sorts.items():
        share = f"{name}: {here.sum()} of {len(texts)}"
        for i in rng.permutation(np.flatnonzero(here))[:ROWS]:
            missed = [fact for fact, hit in right[i].items() if not hit]
            lines = (texts[i], f"missed: {', '.join(missed)}" if missed else "")
            cells.append(Cell(Image.fromarray(pictures[i]), share, lines))
    sheet(cells, ROWS, f"Held-out prompts, picked by chance (seed {SEED})").save(page, quality=82)
