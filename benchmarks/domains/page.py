"""docs/lab/domains.md and its pictures, from the results of `benchmarks.domains` that are there.

Numbers are kept in domains.json beside this file, so that runs that lie on another machine stay on the page.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from benchmarks.domains.measurements import above_nothing, difference
from benchmarks.domains.runs import RUNS
from benchmarks.domains.sets import Folders, pictures_in
from benchmarks.domains.words import asked_scenes
from easel.charts import png
from easel.files import write_atomic
from easel.images import open_picture
from easel.metrics.intervals import Estimate
from easel.sheet import Cell, mosaic, sheet

SEEN = Path(__file__).with_name("domains.yaml")
"""What a person sees on the grids, and what was tried: a name and its sentences."""
KEPT = SEEN.with_suffix(".json")
"""Run -> its result, of all that was ever put on the page."""
COLOURS = ("#c4472d", "#2f6f8f", "#8a8f3c", "#8a5a83", "#5c5c62")
CURVES = {
    "birds": ("stylegan-birds", "dcgan-birds", "vae-birds"),
    "portraits": ("stylegan-portraits", "stylegan-portraits-augmented"),
    "words": ("text-dcgan-birds", "stackgan-birds-1", "stackgan-birds-2"),
}
"""A chart of curves -> the runs on it."""
QUALITY, WIDEST = 76, 760
SHOWN, ROWS = 40, 8


def write_page(folders: Folders, docs: Path) -> None:
    """Write the page, a grid for each result that is here, and a chart once all on it have curves."""
    here = {
        name: read(folders.run(name) / "result.json") for name in RUNS if (folders.run(name) / "result.json").is_file()
    }
    kept = read(KEPT) | here
    results = {name: kept[name] for name in RUNS if name in kept}
    write_atomic(KEPT, (json.dumps(results, indent=1) + "\n").encode())
    images = docs / "images"
    for name in here:
        save(grid(folders, name), images / f"domain-{name}.jpg")
    for title, names in CURVES.items():
        if all(results.get(name, {}).get("curve") for name in names):
            write_atomic(images / f"domain-curves-{title}.png", curves(title, {name: results[name] for name in names}))
    seen = yaml.safe_load(SEEN.read_text(encoding="utf-8"))
    parts = [
        seen["head"].strip(),
        table(results),
        seen["table"].strip(),
        "\n".join(f"![KID over minutes, {title}](images/domain-curves-{title}.png)" for title in CURVES),
    ]
    for name, result in results.items():
        parts += [
            f"## {name}",
            f"```bash\n{RUNS[name].command(name, result['minutes'])}\n```",
            f"![{name}](images/domain-{name}.jpg)",
        ]
        parts += [seen["runs"].get(name, "").strip()]
    parts += [seen["foot"].strip()]
    write_atomic(docs / "domains.md", ("\n\n".join(part for part in parts if part) + "\n").encode())


def read(file: Path) -> Any:
    """A result."""
    return json.loads(file.read_text(encoding="utf-8"))


def save(picture: Image.Image, file: Path) -> None:
    """As a small JPEG."""
    stream = io.BytesIO()
    picture = picture.convert("RGB")
    if picture.width > WIDEST:
        picture.thumbnail((WIDEST, 10 * WIDEST), Image.Resampling.LANCZOS)
    picture.save(stream, "JPEG", quality=QUALITY, optimize=True)
    write_atomic(file, stream.getvalue())


def table(results: Mapping[str, Any]) -> str:
    """Bar, measured, interval, n, judge."""
    lines = ["| run | what | bar | measured | 95 % interval | n | judge | |", "|---|---|---|---|---|---|---|---|"]
    for result in results.values():
        lines += [line_of(row) for row in result["rows"]]
    best = best_of(results)
    return "\n".join([*lines, line_of(best)] if best else lines)


def line_of(row: Mapping[str, Any]) -> str:
    """One row as Markdown."""
    low, high = row["low"], row["high"]
    ends = "" if low is None or high is None else f"{number(low)} to {number(high)}"
    met = {True: "met", False: "**missed**", None: ""}[row["is_met"]]
    cells = (row["run"], row["what"], row["bar"] or "", number(row["value"]), ends, f"{row['n']:,}", row["judge"], met)
    return "| " + " | ".join(cells) + " |"


def number(value: float) -> str:
    """Three figures."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def best_of(results: Mapping[str, Any]) -> dict[str, Any] | None:
    """Whether StyleGAN is the best of the three that learned birds, by KID; left open where minutes are unequal."""
    runs = CURVES["birds"]
    if not set(runs) <= set(results):
        return None
    rows: dict[str, dict[str, Any]] = {
        name: next(row for row in results[name]["rows"] if row["what"].startswith("KID against")) for name in runs
    }
    others = min((row for name, row in rows.items() if name != runs[0]), key=lambda row: float(row["value"]))
    first = rows[runs[0]]
    margin = difference(*(Estimate(row["value"], row["low"], row["high"], row["n"]) for row in (others, first)))
    minutes = {name: results[name]["minutes"] for name in runs}
    said = f"KID of {others['run']} ({minutes[others['run']]:g} min) less that of {runs[0]} ({minutes[runs[0]]:g} min)"
    is_met = margin.value > 0 if len(set(minutes.values())) == 1 else None
    found = above_nothing("birds", said, margin, first["judge"])
    return asdict(found) | {"is_met": is_met, "bar": found.bar if is_met is not None else "> 0 in equal minutes"}


def grid(folders: Folders, name: str) -> Image.Image:
    """What the run has drawn, the first pictures, none chosen."""
    return GRIDS.get(RUNS[name].score, plain)(folders, name)


def plain(folders: Folders, name: str) -> Image.Image:
    """The first pictures in rows of ten."""
    return mosaic([open_picture(path) for path in pictures_in(folders.run(name) / "drawn")[:SHOWN]], 10)


def classes(folders: Folders, name: str) -> Image.Image:
    """A row for each class, in the order of the alphabet."""
    parts = [one for one in sorted((folders.run(name) / "drawn").iterdir()) if one.is_dir()]
    shown = [open_picture(path) for one in parts for path in pictures_in(one)[:10]]
    return mosaic(shown, 10)


def attributes(folders: Folders, name: str) -> Image.Image:
    """A row for each seed: as drawn, then with and without each attribute."""
    drawn = folders.run(name) / "drawn"
    asked = ["plain", *(f"{one}{sign}" for one in RUNS[name].settings["attributes"] for sign in ("+1", "-1"))]
    columns = [pictures_in(drawn / one) for one in asked]
    return mosaic([open_picture(column[row]) for row in range(ROWS) for column in columns], len(columns))


def captioned(folders: Folders, name: str) -> Image.Image:
    """Pictures with the captions they were drawn from."""
    paths = pictures_in(folders.run(name) / "drawn")[:18]
    cells = [Cell(doubled(open_picture(path)), text) for path, (text, _, _) in zip(paths, asked_scenes(), strict=False)]
    return sheet(cells, 6)


def pairs(folders: Folders, name: str) -> Image.Image:
    """text-dcgan's pictures enlarged, and below them stage II's of the same captions."""
    folder = folders.run(name)
    both = [[open_picture(path) for path in pictures_in(one)] for one in (folder / "enlarged", folder / "drawn")]
    return mosaic([picture for start in (0, 6) for side in both for picture in side[start : start + 6]], 6)


def doubled(picture: Image.Image) -> Image.Image:
    """Twice the size, pixel by pixel."""
    return picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)


GRIDS: dict[str, Callable[[Folders, str], Image.Image]] = {
    "fashion": classes,
    "kinds": classes,
    "faces": attributes,
    "words": captioned,
    "sharper": pairs,
}


def curves(title: str, results: Mapping[str, Any]) -> bytes:
    """PNG: KID of some runs over minutes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6, 3.2), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    for colour, (name, result) in zip(COLOURS, results.items(), strict=False):
        line(axes, result["curve"], name, colour)
    axes.set_yscale("log")
    axes.set_xlabel("minutes", fontsize=8)
    axes.set_ylabel("KID, pocket's features", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False)
    return png(figure)


def line(axes: Any, rows: Sequence[Mapping[str, float]], name: str, colour: str) -> None:
    """One run's KID, with its interval."""
    minutes = [row["minutes"] for row in rows]
    axes.plot(minutes, [max(row["KID"], 1e-4) for row in rows], "o-", color=colour, label=name, markersize=2)
    if all("low" in row for row in rows):
        low = [max(row["low"], 1e-4) for row in rows]
        axes.fill_between(minutes, low, [max(row["high"], 1e-4) for row in rows], color=colour, alpha=0.15)
