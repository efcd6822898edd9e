"""What a shared run has to do, what is done, and what failed and why: one SQLite file, a commit a part.

Anybody can ask it: `sqlite3 manifest.sqlite "SELECT name, why FROM photos WHERE state = 'failed'"`.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from easel.errors import EaselError, shortened
from easel.files import advice, check_regular

NAME = "manifest.sqlite"
VERSION = "1"
SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS found (id INTEGER PRIMARY KEY, source INTEGER, sort TEXT, name TEXT, place TEXT, at INTEGER,
    size INTEGER);
CREATE TABLE IF NOT EXISTS items (number INTEGER PRIMARY KEY, name TEXT NOT NULL, place TEXT NOT NULL, at INTEGER,
    size INTEGER);
CREATE TABLE IF NOT EXISTS parts (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, state TEXT NOT NULL,
    deaths INTEGER NOT NULL DEFAULT 0, seconds REAL, worker TEXT, made BLOB);
CREATE INDEX IF NOT EXISTS waiting ON parts (state, first);
CREATE TABLE IF NOT EXISTS failed (number INTEGER PRIMARY KEY, why TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, note TEXT UNIQUE NOT NULL);
CREATE VIEW IF NOT EXISTS photos AS SELECT items.number, items.name, CASE WHEN failed.why IS NOT NULL THEN 'failed'
    WHEN parts.state = 'done' THEN 'done' ELSE 'waiting' END AS state, failed.why FROM parts JOIN items ON
    items.number >= parts.first AND items.number < parts.first + parts.count LEFT JOIN failed USING (number);
"""


class Item(NamedTuple):
    """One photo, or one picture to make: its place among all, its name, and where its bytes lie (`at` and `size` within
    a shard; None where the file is the photo's own).
    """

    number: int
    name: str
    place: str = ""
    at: int | None = None
    size: int | None = None


class Part(NamedTuple):
    """Items `first` to `first + size - 1`, and how many workers have died with them in hand."""

    first: int
    size: int
    deaths: int


class Manifest:
    """The manifest in a run's folder. Raises EaselError where the file is damaged or the disk is full."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if path.exists():
                check_regular(path)
            # the run's own thread alone writes; after a kill the last commit stands
            self._base = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            self._base.execute("PRAGMA cache_size=-16000")
            self._base.executescript(SCHEMA)
        except sqlite3.DatabaseError as problem:
            raise EaselError(
                f"{path} is damaged ({shortened(problem)}): move it away to begin again; what was made stays"
            ) from problem
        except OSError as problem:
            raise EaselError(advice(problem, path)) from problem

    def close(self) -> None:
        """Let go of the file, everything in it."""
        self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._base.close()

    def copy(self, to: Path) -> None:
        """A whole copy of the manifest, as it is now."""
        to.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(to)) as other:
            self._base.backup(other)

    def fact(self, key: str) -> str | None:
        """One fact about the run; None where it is not known yet."""
        row = self._base.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def keep(self, **facts: str) -> None:
        """Keep facts about the run."""
        self._do("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())

    def add_found(self, source: int, rows: Iterable[tuple[str, str, str, int | None, int | None]]) -> None:
        """Keep what was found in a source: what to sort by, name, place, and offset and size in a shard."""
        self._do(
            "INSERT INTO found (source, sort, name, place, at, size) VALUES (?, ?, ?, ?, ?, ?)",
            ((source, *row) for row in rows),
        )

    def forget_found(self, source: int) -> None:
        """Take back what was found in a source before a kill, since it may be half."""
        self._base.execute("DELETE FROM found WHERE source = ?", (source,))

    def number_items(self, size: int) -> int:
        """Give everything that was found its number, cut it into parts of `size`, and say how many there are.

        Names that stand twice get _2, _3, ... behind them, so that each is told apart.
        """
        with self._base:
            self._base.execute("BEGIN")
            self._base.execute("DELETE FROM items")
            self._base.execute(
                "INSERT INTO items SELECT row_number() OVER (ORDER BY source, sort, id) - 1, name, place, at, size "
                "FROM found ORDER BY source, sort, id"
            )
            self._base.execute(
                "UPDATE items SET name = twice.name || '_' || twice.turn FROM (SELECT number, name, row_number() OVER "
                "(PARTITION BY name ORDER BY number) AS turn FROM items) AS twice "
                "WHERE twice.number = items.number AND twice.turn > 1"
            )
            self._base.execute("DELETE FROM found")
            total = int(self._base.execute("SELECT count(*) FROM items").fetchone()[0])
            self._cut(total, size)
        return total

    def number_pictures(self, total: int, size: int) -> None:
        """The parts of `total` pictures that no photo is needed for."""
        self.number_named((f"picture {number + 1}" for number in range(total)), size)

    def number_named(self, names: Iterable[str], size: int) -> None:
        """The parts of items that whoever hands them out finds by their number."""
        with self._base:
            self._base.execute("BEGIN")
            self._base.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, '', NULL, NULL)", enumerate(names))
            total = int(self._base.execute("SELECT count(*) FROM items").fetchone()[0])
            self._cut(total, size)

    def _cut(self, total: int, size: int) -> None:
        self._base.execute("DELETE FROM parts")
        self._base.executemany(
            "INSERT INTO parts (first, count, state) VALUES (?, ?, 'waiting')",
            ((first, min(size, total - first)) for first in range(0, total, size)),
        )
        for key, value in (("total", total), ("size", size)):
            self._base.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, str(value)))

    @property
    def total(self) -> int | None:
        """How many items there are; None until all are found."""
        found = self.fact("total")
        return None if found is None else int(found)

    def counts(self) -> tuple[int, int]:
        """How many items are done, and how many failed."""
        over = self._base.execute("SELECT coalesce(sum(count), 0) FROM parts WHERE state != 'waiting'").fetchone()[0]
        failed = self._base.execute("SELECT count(*) FROM failed").fetchone()[0]
        return int(over) - int(failed), int(failed)

    def waiting(self, after: int, most: int) -> list[Part]:
        """The next parts that wait, from item `after` on."""
        rows = self._base.execute(
            "SELECT first, count, deaths FROM parts WHERE state = 'waiting' AND first >= ? ORDER BY first LIMIT ?",
            (after, most),
        )
        return [Part(*row) for row in rows]

    def items(self, part: Part) -> list[Item]:
        """The items of a part."""
        rows = self._base.execute(
            "SELECT number, name, place, at, size FROM items WHERE number >= ? AND number < ? ORDER BY number",
            (part.first, part.first + part.size),
        )
        return [Item(*row) for row in rows]

    def finish(
        self, part: Part, made: Mapping[str, Any], failed: Mapping[int, str], worker: str, seconds: float
    ) -> None:
        """A part is over: what was made of it, and what failed and why, in one commit."""
        blob = zlib.compress(json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"), 3)
        with self._base:
            self._base.execute("BEGIN")
            self._base.execute(
                "UPDATE parts SET state = 'done', made = ?, worker = ?, seconds = ? WHERE first = ?",
                (blob, worker, seconds, part.first),
            )
            self._base.executemany("INSERT OR REPLACE INTO failed VALUES (?, ?)", failed.items())

    def died(self, part: Part) -> Part:
        """A worker died with this part in hand."""
        self._do("UPDATE parts SET deaths = deaths + 1 WHERE first = ?", [(part.first,)])
        return part._replace(deaths=part.deaths + 1)

    def split(self, part: Part) -> list[Part]:
        """Two smaller parts instead of one."""
        half = (part.size + 1) // 2
        halves = [Part(part.first, half, 0), Part(part.first + half, part.size - half, 0)]
        with self._base:
            self._base.execute("BEGIN")
            self._base.executemany(
                "INSERT OR REPLACE INTO parts (first, count, state) VALUES (?, ?, 'waiting')",
                [(one.first, one.size) for one in halves],
            )
        return halves

    def take_back_lost(self) -> None:
        """What failed since its worker died waits again: another start may have more memory."""
        with self._base:
            self._base.execute("BEGIN")
            self._base.execute(
                "UPDATE parts SET state = 'waiting', deaths = 0 WHERE made IS NOT NULL AND worker = '' AND first IN "
                "(SELECT number FROM failed)"
            )
            self._base.execute(
                "DELETE FROM failed WHERE number IN (SELECT first FROM parts WHERE state = 'waiting' AND count = 1)"
            )

    def note(self, notes: Iterable[str]) -> None:
        """Keep what a person should know, each once."""
        self._do("INSERT OR IGNORE INTO notes (note) VALUES (?)", ((note,) for note in notes))

    def notes(self) -> list[str]:
        """What a person should know."""
        return [str(row[0]) for row in self._base.execute("SELECT note FROM notes ORDER BY id")]

    def made(self) -> Iterator[tuple[Part, dict[str, Any]]]:
        """What was made of each part, in order, one at a time."""
        rows = self._base.execute("SELECT first, count, deaths, made FROM parts WHERE state = 'done' ORDER BY first")
        for first, count, deaths, blob in rows:
            yield Part(first, count, deaths), json.loads(zlib.decompress(blob))

    def failures(self, most: int | None = None) -> Iterator[tuple[str, str]]:
        """Name and reason of what failed, in order."""
        limit = "" if most is None else f" LIMIT {int(most)}"
        yield from self._base.execute(
            f"SELECT name, why FROM failed JOIN items USING (number) ORDER BY number{limit}"  # noqa: S608 - a number
        )

    def failed_in(self, part: Part) -> dict[int, str]:
        """What failed within a part."""
        rows = self._base.execute(
            "SELECT number, why FROM failed WHERE number >= ? AND number < ?", (part.first, part.first + part.size)
        )
        return dict(rows.fetchall())

    def spent(self) -> tuple[float, int]:
        """Seconds that workers have spent, and how many workers there were."""
        row = self._base.execute("SELECT coalesce(sum(seconds), 0), count(DISTINCT worker) FROM parts").fetchone()
        return float(row[0]), int(row[1])

    def _do(self, words: str, rows: Iterable[Any]) -> None:
        try:
            with self._base:
                self._base.execute("BEGIN")
                self._base.executemany(words, rows)
        except sqlite3.OperationalError as problem:
            raise EaselError(f"cannot write {self.path}: {shortened(problem)}: free some disk") from problem
