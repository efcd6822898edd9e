"""Lines of the text tables that data sets come with, each with its place for an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from easel.errors import EaselError, shortened


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """(place, line) of every line that says something, one at a time; the place is 'FILE: line 3'.

    Raises EaselError when the file cannot be read as text.
    """
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield f"{path}: line {number}", line.rstrip("\r\n")
    except FileNotFoundError:
        raise EaselError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise EaselError(f"cannot read {path}: {shortened(problem)}") from problem


def fields(path: Path, least: int, most: int = -1) -> Iterator[tuple[str, list[str]]]:
    """(place, words) of every line, split at spaces into at most `most` words where that is given.

    Raises EaselError, naming the line, where there are fewer than `least`.
    """
    for place, line in lines(path):
        words = line.split(maxsplit=most - 1) if most > 0 else line.split()
        if len(words) < least:
            raise EaselError(f"{place}: wanted {least} words, got {shortened(line) or 'nothing'}")
        yield place, words


def numbered(path: Path) -> dict[str, str]:
    """'1 a b' and '2 c' as {"1": "a b", "2": "c"}: the id tables of CUB."""
    return {words[0]: words[1].strip() for _, words in fields(path, 2, 2)}


def whole(words: Sequence[str], place: str) -> list[int]:
    """Words as whole numbers, rounded. Raises EaselError naming the place."""
    try:
        return [round(float(word)) for word in words]
    except (ValueError, OverflowError) as problem:
        raise EaselError(f"{place}: '{shortened(' '.join(words))}' are not numbers") from problem


def inside(name: str, place: str) -> str:
    """A file name as it stands in a table, with forward slashes. Raises EaselError when it leaves the folder."""
    plain = name.strip().replace("\\", "/")
    parts = plain.split("/")
    if not plain or plain.startswith("/") or ".." in parts or "\x00" in plain or ":" in parts[0]:
        raise EaselError(f"{place}: '{shortened(name)}' is not a file name within the set's folder")
    return "/".join(part for part in parts if part not in ("", "."))
