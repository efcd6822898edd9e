"""Lines of the text tables that data sets come with, each with its place for an error."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from easel.data.item import Lost
from easel.errors import EaselError, is_text, shortened
from easel.files import check_regular

MOST_TABLE = 8 << 30
"""Bytes of a table that is read line by line."""
MOST_LINE = 32_000_000
"""Letters of one of its lines."""
ESCAPED = re.compile(r"^\\(x[0-9a-f]{2}|u[0-9a-f]{4}|[nrt])")
"""How a name begins whose first letter cannot be shown."""
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks, which make an encoding certain."""


def opened(path: Path, newline: str | None = None, errors: str = "surrogateescape") -> TextIO:
    """A table's text: UTF-8, or what its byte order mark says.

    Bytes that are no UTF-8 come as lone surrogates, for `check_line`, or as `errors` says. Raises EaselError where
    there is no such file.
    """
    size = check_regular(path).st_size
    if size > MOST_TABLE:
        raise EaselError(f"{path} has {size:,} bytes: at most {MOST_TABLE:,} are read")
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
        encoding = next((word for mark, word in MARKS.items() if start.startswith(mark)), "utf-8")
        return path.open(
            encoding=encoding, errors=errors if encoding.startswith("utf-8") else "strict", newline=newline
        )
    except OSError as problem:
        raise EaselError(f"cannot read {path}: {shortened(problem.strerror or problem)}") from problem


def check_line(line: str, place: str) -> None:
    """Raise EaselError, naming the place and the probable encoding, where a line was no UTF-8."""
    if "\0" in line:
        raise EaselError(f"{place} is not UTF-8 text (it may be UTF-16, or no text at all): save it as UTF-8")
    if not is_text(line):
        raise EaselError(f"{place} is not UTF-8 text (it may be Latin-1): save it as UTF-8")


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """(place, line) of every line that says something, one at a time; the place is 'FILE: line 3'.

    Raises EaselError when the file cannot be read as text, naming the line, and on a line without end.
    """
    try:
        with opened(path) as stream:
            number = 0
            while line := stream.readline(MOST_LINE):
                number += 1
                place = f"{path}: line {number}"
                if len(line) == MOST_LINE and not line.endswith("\n"):
                    raise EaselError(f"{place} has over {MOST_LINE:,} letters: is it a table?")
                check_line(line, place)
                if line.strip():
                    yield place, line.rstrip("\r\n")
    except (OSError, UnicodeError) as problem:
        raise EaselError(f"cannot read {path}: {shortened(problem)}") from problem


def fields(path: Path, least: int, lost: Lost, most: int = -1) -> Iterator[tuple[str, list[str]]]:
    """(place, words) of every line, split at spaces into at most `most` words where that is given.

    Lines with fewer than `least` are counted.
    """
    for place, line in lines(path):
        words = line.split(maxsplit=most - 1) if most > 0 else line.split()
        if len(words) < least:
            lost.skip(f"lines of {path.name} with under {least} words are skipped", short_place(place))
        else:
            yield place, words


def numbered(path: Path, lost: Lost) -> dict[str, str]:
    """'1 a b' and '2 c' as {"1": "a b", "2": "c"}: the id tables of CUB."""
    return {words[0]: words[1].strip() for _, words in fields(path, 2, lost, 2)}


def inside(name: str, place: str) -> str:
    """A file name as it stands in a table, without needless parts. Backslashes stay: they part folders on Windows, and
    escape letters where easel shows strange names; `folders.Finder` tries both.

    Raises EaselError when it leaves the folder.
    """
    plain = ESCAPED.sub("-", name.strip()).replace("\\", "/")
    parts = plain.split("/")
    if not plain or plain.startswith("/") or ".." in parts or "\x00" in plain or ":" in parts[0]:
        raise EaselError(f"{place}: '{shortened(name)}' is not a file name within the set's folder")
    return "/".join(part for part in name.strip().split("/") if part not in ("", "."))


def short_place(place: str) -> str:
    """'metadata.jsonl: line 3' of the whole place, for a note."""
    return place.rpartition("/")[2]
