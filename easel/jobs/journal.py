"""What is done so far, one line of JSON a unit, so that a killed run goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from easel.errors import EaselError
from easel.files import advice

NAME = "progress.jsonl"


class Journal:
    """Rows by key, kept in a file that only grows.

    Appending is safe here without a temporary file: a line that a kill cut short is dropped at the next start, and its
    unit is done again.
    """

    def __init__(self, path: Path) -> None:
        """Read the rows of an earlier run, if there was one.

        Raises EaselError when the file cannot be read or is no journal.
        """
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        try:
            content = path.read_bytes() if path.exists() else b""
            whole = content[: content.rfind(b"\n") + 1]
            for line in whole.splitlines():
                row = json.loads(line)
                self.rows[row["key"]] = row
            if len(whole) < len(content):
                os.truncate(path, len(whole))
        except OSError as problem:
            raise EaselError(advice(problem, path)) from problem
        except (ValueError, KeyError, TypeError) as problem:
            raise EaselError(f"{path} is damaged: delete it to begin again, or choose another --out") from problem

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep rows, each with its "key": on disk before this returns. Raises EaselError when the disk is full."""
        if not rows:
            return  # and leave no empty file behind, which would pass for a run that began
        lines = "".join(json.dumps(dict(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
        try:
            with self.path.open("ab") as stream:
                stream.write(lines.encode("utf-8"))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as problem:
            raise EaselError(advice(problem, self.path)) from problem
        self.rows |= {row["key"]: dict(row) for row in rows}
