"""Columns that stay small at a million rows: texts end to end in one run of bytes, values as numbers into a list."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from easel.data.item import Value

MISSING = -1
"""The number of a value that is not there."""


class Texts(Sequence[str]):
    """A list of texts that costs their UTF-8 bytes and 8 more each: a million file names of 40 letters take 48 MB."""

    def __init__(self, content: NDArray[np.uint8], ends: NDArray[np.uint64]) -> None:
        """`content`: all texts end to end. `ends`: where each one ends, (n,). Both may be memory-mapped."""
        self.content, self.ends = content, ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """The texts of any iterable."""
        content, ends = bytearray(), array("Q")
        for text in texts:
            content += text.encode("utf-8", "surrogateescape")
            ends.append(len(content))
        return cls(np.frombuffer(content, np.uint8), np.frombuffer(ends, np.uint64))

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        start = int(self.ends[at - 1]) if at else 0
        return self.content[start : int(self.ends[at])].tobytes().decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return (self[at] for at in range(len(self)))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Bytes of each text, (n,)."""
        return np.diff(np.asarray(self.ends, np.int64), prepend=np.int64(0)).astype(np.int64)

    def save(self, folder: Path, name: str) -> None:
        """Write NAME.npy and NAME-ends.npy."""
        np.save(folder / f"{name}.npy", self.content)
        np.save(folder / f"{name}-ends.npy", self.ends)

    @classmethod
    def load(cls, folder: Path, name: str) -> Texts:
        """What `save` wrote, memory-mapped."""
        return cls(*(mapped(folder / file) for file in (f"{name}.npy", f"{name}-ends.npy")))


class Captions(Sequence[tuple[str, ...]]):
    """The captions of each picture, each on one line."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, index: int) -> tuple[str, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[str, ...]]: ...
    def __getitem__(self, index: int | slice) -> tuple[str, ...] | list[tuple[str, ...]]:
        if isinstance(index, slice):
            return [_lines(text) for text in self.texts[index]]
        return _lines(self.texts[index])

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which pictures have any, (n,)."""
        return self.texts.lengths > 0


def _lines(text: str) -> tuple[str, ...]:
    return tuple(text.split("\n")) if text else ()


@dataclass(frozen=True, eq=False)
class Column:
    """One attribute of every picture: `values[codes[i]]`, or nothing where the code is -1."""

    name: str
    values: tuple[Value, ...]
    """The different values: words and yes/no in order, numbers by size."""
    codes: NDArray[np.int32]
    """(n,), -1 where the picture has none."""

    def __getitem__(self, index: int) -> Value | None:
        code = int(self.codes[index])
        return None if code == MISSING else self.values[code]

    @property
    def is_yes_no(self) -> bool:
        """Whether every value is yes or no."""
        return bool(self.values) and all(isinstance(value, bool) for value in self.values)

    def numbers(self) -> NDArray[np.float32]:
        """(n,) float32: numbers as they are, yes as 1 and no as 0, words as their place in `values`, NaN for none."""
        plain = [float(v) if isinstance(v, bool | int | float) else float(at) for at, v in enumerate(self.values)]
        return np.array([*plain, np.nan], np.float32)[self.codes]

    def subset(self, indices: NDArray[Any]) -> Column:
        """The column of some pictures (m,)."""
        return Column(self.name, self.values, np.ascontiguousarray(self.codes[indices]))


class ColumnBuilder:
    """A column being filled: 4 bytes a row, and each different value once."""

    def __init__(self) -> None:
        self._places: dict[tuple[type, Value], int] = {}
        self._codes = array("i")

    def set(self, row: int, value: Value | None) -> None:
        """Give `row` its value; rows that were passed over have none."""
        self._codes.extend([MISSING] * (row - len(self._codes)))
        key = sys.intern(value) if type(value) is str else value
        self._codes.append(MISSING if key is None else self._places.setdefault((type(key), key), len(self._places)))

    def done(self, name: str, rows: int) -> Column:
        """The finished column of `rows` rows, its values in order."""
        self._codes.extend([MISSING] * (rows - len(self._codes)))
        values = [value for _, value in self._places]
        order = sorted(range(len(values)), key=lambda at: _rank(values[at]))
        places = np.empty(len(values) + 1, np.int32)
        places[order] = np.arange(len(values))
        places[MISSING] = MISSING
        codes = places[np.frombuffer(self._codes, np.int32)] if rows else np.zeros(0, np.int32)
        return Column(name, tuple(values[at] for at in order), codes)


def _rank(value: Value) -> tuple[int, float, str]:
    """Numbers (and yes or no) by size, before words by letter."""
    return (1, 0.0, value) if isinstance(value, str) else (0, float(value), "")


def mapped(path: Path) -> NDArray[Any]:
    """A .npy file, memory-mapped where there is anything to map."""
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:
        found = np.load(path, allow_pickle=False)
    return found
