"""What is done so far, one line of JSON a unit, so that a killed run goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from easel.files import check_regular, unwritable

NAME = "progress.jsonl"


class Journal:
    """Rows by key, kept in a file that only grows.

    Appending is safe here without a temporary file: a line that a kill cut short is dropped at the next start, and its
    unit is done again.
    """

    def __init__(self, path: Path, is_whole: Callable[[dict[str, Any]], bool] = bool) -> None:
        """Read the rows of an earlier run, if there was one; `is_whole` says whether a row has what its job needs.

        A line that is no row, however it came there, ends what is believed: the run goes on from the line before, and
        a note says so. Raises EaselError when the file cannot be read.
        """
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        self.notes: list[str] = []
        if not path.exists():
            return
        check_regular(path)
        try:
            content = path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            for number, line in enumerate(whole.splitlines(), 1):
                row = _row(line)
                if row is not None and not _holds(is_whole, row):
                    row = None
                if row is None:
                    whole = b"".join(whole.splitlines(keepends=True)[: number - 1])
                    self.notes.append(f"{path.name} is damaged at line {number}: what it told from there is done again")
                    break
                self.rows[row["key"]] = row
            if len(whole) < len(content):
                os.truncate(path, len(whole))
        except OSError as problem:
            raise unwritable(problem, path) from problem

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
            raise unwritable(problem, self.path) from problem
        self.rows |= {row["key"]: dict(row) for row in rows}


def _row(line: bytes) -> dict[str, Any] | None:
    """A row, or None where the line is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("key"), str) else None


def _holds(is_whole: Callable[[dict[str, Any]], bool], row: dict[str, Any]) -> bool:
    """Whether a row is whole; one that cannot even be asked is not."""
    try:
        return is_whole(row)
    except (TypeError, KeyError, ValueError, AttributeError, IndexError):
        return False
