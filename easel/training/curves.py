"""The numbers of a training over its steps, as rows of a CSV file: written whole, read back when it goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from easel.errors import EaselError, shortened

FILE = "metrics.csv"
Rows = list[dict[str, float]]


def as_csv(rows: Sequence[Mapping[str, float]]) -> str:
    """The rows under all their names, in the order in which these came."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def read(
    file: Path, needed: Callable[[Mapping[str, float]], Sequence[str]], renamed: Mapping[str, str] | None = None
) -> Rows:
    """The rows of a file, in its order; none where there is no file. ``needed`` says which names a row must have, and
    ``renamed`` what old names are called now. Raises EaselError where it is damaged.
    """
    if not file.is_file():
        return []
    try:
        table = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8")), strict=True)
        rows = [
            {(renamed or {}).get(name, name): float(value) for name, value in row.items() if value} for row in table
        ]
        for number, row in enumerate(rows):
            lacking = [name for name in needed(row) if name not in row]
            if lacking:
                raise ValueError(f"row {number + 1} has no {lacking[0]}")
    except (ValueError, TypeError, csv.Error) as problem:
        raise EaselError(
            f"{file} is damaged ({shortened(problem)}): put it back as it was, or choose another --out to begin anew"
        ) from problem
    return rows
