"""A line of the table, and how the numbers in it are come by: drawn by `easel generate`, scored by `easel score`."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import easel
from benchmarks.domains.classifier import Pixels
from benchmarks.domains.sets import Folders
from easel.metrics.intervals import Estimate
from easel.result import Result, Score

COUNT, EACH, FEW = 1000, 60, 30
"""Pictures drawn for KID; of each class; with each attribute."""
NAMES = ("KID", "kernel distance (clip:pocket)")
"""What the kernel distance by pocket's features is called: in runs of easel 0.2, and now."""
FIRST = 50_000_000
"""The first seed of drawn pictures."""
FEATURES = "features:pocket"


@dataclass(frozen=True)
class Measurement:
    """One line. ``bar``: what was asked, None where it is told beside; ``is_met`` then None as well."""

    run: str
    what: str
    bar: str | None
    value: float
    low: float | None
    high: float | None
    n: int
    judge: str
    is_met: bool | None = None


def measurement(run: str, what: str, found: Estimate, judge: str, least: float | None = None) -> Measurement:
    """A row of an estimate; ``least`` is its bar."""
    bar, is_met = (None, None) if least is None else (f">= {least:g}", found.value >= least)
    return Measurement(run, what, bar, found.value, found.low, found.high, found.n, judge, is_met)


def above_nothing(run: str, what: str, found: Estimate, judge: str, nothing: float = 0.0) -> Measurement:
    """A row whose bar is to be above ``nothing``."""
    return Measurement(
        run, what, f"> {nothing:g}", found.value, found.low, found.high, found.n, judge, found.value > nothing
    )


def drawn(folder: Path, model: Path, **asked: Any) -> Path:
    """Pictures by `easel generate --model`, once."""
    if not (folder / "result.json").is_file():
        easel.generate(None, model=str(model), out=folder, seed=FIRST, **({"batch_size": 32} | asked))
    return folder


def result_in(folder: Path) -> Result | None:
    """The result of a run that has ended."""
    file = folder / "result.json"
    return Result.model_validate_json(file.read_text(encoding="utf-8")) if file.is_file() else None


def estimate(score: Score) -> Estimate:
    """A score as numbers."""
    return Estimate(score.value, score.low, score.high, score.n)


def kid(folders: Folders, name: str, real: Path, made: Path) -> Estimate:
    """KID of two folders by `easel score sets`."""
    out = folders.run(name) / f"kid-{made.name}"
    result = result_in(out) or easel.score_sets(real, made, out=out, seed=1)
    return estimate(next(score for score in result.scores if score.name in NAMES))


def curve(metrics: Path) -> list[dict[str, float]]:
    """Minutes, thousands of pictures, KID with its ends, and diversity, at each measurement."""
    with metrics.open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = [
            row | {"KID": row.get("kernel distance") or row.get("KID")} for row in csv.DictReader(file)
        ]
    rows = [row for row in rows if row["KID"]]
    named = ("kimg", "KID", "low", "high", "made", "diversity", "precision", "recall")
    return [
        {"minutes": float(row["seconds"]) / 60} | {name: float(row[name]) for name in named if row.get(name)}
        for row in rows
    ]


def at_the_end(run: Path) -> Estimate:
    """KID of a run's last weights, as training measured it; the model in its folder may be an earlier, better one."""
    last = curve(run / "model" / "metrics.csv")[-1]
    return Estimate(last["KID"], last["low"], last["high"], int(last["made"]))


def difference(first: Estimate, second: Estimate) -> Estimate:
    """The first less the second, as if they were independent."""
    halves = [(one.high or one.value) - one.value for one in (first, second)]
    value, half = first.value - second.value, math.hypot(*halves)
    return Estimate(value, value - half, value + half, min(first.n, second.n))


def times_less(before: float, after: Estimate) -> Estimate:
    """How many times smaller a distance has become; no upper end where it may be nothing at all."""
    low = before / max(after.high or after.value, 1e-9)
    high = before / after.low if after.low is not None and after.low > 0 else None
    return Estimate(before / max(after.value, 1e-9), low, high, after.n)


def edge_energy(pixels: Pixels) -> NDArray[np.float64]:
    """The mean square of the slope from pixel to pixel, in the range 0-1, of each picture (n, side, side, 3)."""
    grey = pixels.astype(np.float64).mean(axis=3) / 255
    across, down = np.diff(grey, axis=2)[:, :-1], np.diff(grey, axis=1)[:, :, :-1]
    energy: NDArray[np.float64] = (across**2 + down**2).mean(axis=(1, 2))
    return energy
