"""The numbers of a training over its steps, as rows of a CSV file: written whole, read back when it goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from easel.errors import EaselError, shortened

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FILE = "metrics.csv"
Rows = list[dict[str, float]]


class Losses:
    """The losses of the steps that are in no row yet."""

    def __init__(self) -> None:
        self._values: dict[str, list[Tensor]] = {}

    def add(self, numbers: Mapping[str, Tensor]) -> None:
        """Take in those of a step."""
        for name, value in numbers.items():
            self._values.setdefault(name, []).append(value)

    def resume(self, losses: Mapping[str, Sequence[float]], device: torch.device | str = "cpu") -> None:
        """Have what `kept` gave."""
        import torch

        self._values = {name: [torch.tensor(v, device=device) for v in values] for name, values in losses.items()}

    def kept(self) -> dict[str, list[float]]:
        """All of them: a curve must not depend on where it was cut."""
        return {name: [float(value) for value in values] for name, values in self._values.items()}

    def taken(self) -> dict[str, float]:
        """The mean of each, for a row; from then on there are none."""
        import torch

        found = {name: float(torch.stack(values).float().mean()) for name, values in self._values.items()}
        self._values = {}
        return found


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
