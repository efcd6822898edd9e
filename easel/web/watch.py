"""What a run shows of itself while it works, read from its folder: the curves of a training, its grids of samples, and
a comparison's report as its cells come in. What lies there decides, not the kind.

Nothing here writes: a run may be in the middle of a line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from easel.charts import ALONG, PANELS, SUBJECT_PANELS
from easel.errors import EaselError
from easel.jobs import journal
from easel.jobs.compare.cells import is_row
from easel.jobs.compare.report import stands
from easel.jobs.compare.standings import Finding, findings, sentence
from easel.training import curves
from easel.web.words import number

WIDE, TALL = 320.0, 150.0
"""A panel's own units: what it is drawn in, whatever its size on the page."""
MOST_POINTS = 240
"""Points of a line; of more, as many spread evenly."""
MOST_SAMPLES = 60
MOST_LINES = 40
"""Lines of a comparison's grid: photos, or seeds."""


@dataclass
class Line:
    """One number over a training."""

    name: str
    points: str
    """As SVG's polyline has them."""
    last: float
    band: str = ""
    """A polygon between the ends of its 95 % interval."""


@dataclass
class Panel:
    """Lines that share an axis."""

    title: str
    lines: list[Line]
    low: str
    high: str
    end: str
    """Where the axis along ends, in words."""

    @property
    def said(self) -> str:
        """The panel in words."""
        return f"{self.title}: {', '.join(f'{line.name} {number(line.last)}' for line in self.lines)}, at {self.end}"


def panels_of(folder: Path) -> list[Panel]:
    """The curves of a training, from its metrics.csv; none where there is none, or it cannot be read now."""
    try:
        rows = curves.read(folder / curves.FILE, lambda _: ())
    except EaselError:
        return []
    along = "kimg" if any("kimg" in row for row in rows) else "step"
    rows = [row for row in rows if along in row]
    shown = PANELS if along == "kimg" else SUBJECT_PANELS
    found = [panel_of(title, names, rows, along, is_log=is_log) for title, names, is_log in shown]
    return [panel for panel in found if panel is not None]


def panel_of(
    title: str, names: Sequence[str], rows: Sequence[dict[str, float]], along: str, *, is_log: bool
) -> Panel | None:
    """One panel; None where none of its numbers has been measured twice."""
    kept = {name: [row for row in rows if math.isfinite(row.get(name, math.nan))] for name in names}
    kept = {name: mine for name, mine in kept.items() if len(mine) > 1}
    if not kept:
        return None
    values = [row[name] for name, mine in kept.items() for row in mine]
    is_log = is_log and min(values) > 0
    scaled = math.log10 if is_log else float
    least, most = min(map(scaled, values)), max(map(scaled, values))
    span, end = (most - least) or 1.0, max(row[along] for mine in kept.values() for row in mine) or 1.0

    def at(row: dict[str, float], value: float) -> str:
        x, y = row[along] / end * WIDE, (1 - (scaled(value) - least) / span) * TALL
        return f"{x:.1f},{min(TALL, max(0.0, y)):.1f}"

    lines = []
    for name, mine in kept.items():
        few = mine[:: -(-len(mine) // MOST_POINTS)]
        few = few if few[-1] is mine[-1] else [*few, mine[-1]]
        ends = ("low", "high") if name == "kernel distance" else (f"{name} low", f"{name} high")
        band = ""
        if all(one in row for row in few for one in ends) and (not is_log or all(row[ends[0]] > 0 for row in few)):
            band = " ".join([*(at(row, row[ends[1]]) for row in few), *(at(row, row[ends[0]]) for row in few[::-1])])
        lines.append(Line(name, " ".join(at(row, row[name]) for row in few), mine[-1][name], band))
    return Panel(title, lines, f"{min(values):.3g}", f"{max(values):.3g}", f"{end:g} {ALONG[along]}")


def samples_of(folder: Path) -> list[tuple[str, str]]:
    """The grids of a training so far, in order: file from the folder, and what it is called."""
    place = folder / "samples"
    names = sorted(path.name for path in place.glob("*.png")) if place.is_dir() else []
    found = [(f"samples/{name}", _called(name.removesuffix(".png"))) for name in names]
    return found if len(found) <= MOST_SAMPLES else [*found[:: -(-len(found) // MOST_SAMPLES)], found[-1]]


def _called(stem: str) -> str:
    """'00001.024-kimg' as '1.024 kimg', '000200' as 'step 200'."""
    amount, _, unit = stem.partition("-")
    try:
        return f"{float(amount):g} {unit}" if unit else f"step {float(amount):g}"
    except ValueError:
        return stem


@dataclass
class Mean:
    """A candidate's mean of one score."""

    value: float
    low: float | None
    high: float | None
    n: int
    stands: str
    """best, within the noise, behind, or nothing."""


@dataclass
class Report:
    """A comparison so far."""

    verdict: str
    heads: list[Finding]
    candidates: list[tuple[str, list[Mean | None]]]
    """Each with its mean of every score."""
    lines: list[tuple[str, list[tuple[list[str], str]]]]
    """Each photo, or seed, with the pictures of every candidate, or why there are none."""
    cells: int
    failed: list[tuple[str, str]] = field(default_factory=list)


def report_of(folder: Path) -> Report | None:
    """The report over the cells that have come in; None where the run is no comparison, or has none yet."""
    rows = rows_of(folder)
    if not rows:
        return None
    names = list(dict.fromkeys(row["candidate"] for row in rows))
    found = findings(rows)
    by_line: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        said = row["photo"] or ("" if row["seed"] is None else f"seed {row['seed']}")
        by_line.setdefault(said, {}).setdefault(row["candidate"], []).append(row)
    lines = [(said, [_cell(mine.get(name, [])) for name in names]) for said, mine in by_line.items()]
    failed = [(f"{row['candidate']} {row['photo']}".strip(), row["failed"]) for row in rows if "failed" in row]
    table = [(name, [_mean(one, name) for one in found]) for name in names]
    verdict = sentence(found, rows) if found and len(names) > 1 else ""
    return Report(verdict, found, table, lines[:MOST_LINES], len(rows), failed)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of a comparison's journal; the last of each cell."""
    try:
        text = (folder / journal.NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    rows: dict[str, dict[str, Any]] = {}
    for line in text[: text.rfind("\n") + 1].splitlines():
        try:
            row = json.loads(line)
            if is_row(row):
                rows[row["key"]] = row
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return list(rows.values())


def _mean(one: Finding, candidate: str) -> Mean | None:
    mean = one.means.get(candidate)
    return None if mean is None else Mean(mean.value, mean.low, mean.high, mean.n, stands(one, candidate)[1])


def _cell(rows: Sequence[dict[str, Any]]) -> tuple[list[str], str]:
    pictures = [name for row in rows for name in row.get("pictures", ())]
    return pictures[:4], next((row["failed"] for row in rows if "failed" in row), "")
