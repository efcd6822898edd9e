"""Near-duplicates: pictures whose difference hashes agree but for a few bits, and whose small copies agree too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BANDS = 4
MOST_BITS = BANDS - 1
"""Bits of 64 that may differ: with three wrong bits, one of four bands of 16 is still whole."""
MOST_DIFFERENCE = 8.0
"""Root mean square difference, of 255, that the small copies may have."""
MOST_ALIKE = 2000
"""Pictures with one band in common that are compared with each other; of more, the first so many."""


@dataclass(frozen=True)
class Pair:
    """Two pictures by their rows, and how far apart they are."""

    first: int
    second: int
    bits: int
    difference: float


def near_duplicates(hashes: NDArray[np.uint64], copies: NDArray[np.uint8]) -> list[Pair]:
    """Pairs of near-duplicates, the closest first.

    hashes: (n,), 64 bits each. copies: (n, 12, 12, 3). Pictures that share no band of 16 bits are never compared,
    so the time grows with n and not with its square.
    """
    found: dict[tuple[int, int], Pair] = {}
    for band in range(BANDS):
        keys = (hashes >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=keys[order][:1] + np.uint64(1)))
        for rows in np.split(order, starts[1:]):
            if len(rows) > 1:
                for pair in _pairs(rows[:MOST_ALIKE], hashes, copies):
                    found.setdefault((pair.first, pair.second), pair)
    return sorted(found.values(), key=lambda pair: (pair.bits, pair.difference, pair.first, pair.second))


def _pairs(rows: NDArray[np.intp], hashes: NDArray[np.uint64], copies: NDArray[np.uint8]) -> list[Pair]:
    """The near-duplicates among rows that share a band."""
    found: list[Pair] = []
    for at, row in enumerate(rows[:-1]):
        others = rows[at + 1 :]
        bits = np.bitwise_count(hashes[row] ^ hashes[others])
        close = others[bits <= MOST_BITS]
        if not len(close):
            continue
        apart = copies[close].astype(np.float32) - copies[row].astype(np.float32)
        difference = np.sqrt((apart**2).reshape(len(close), -1).mean(axis=1))
        found += [
            Pair(int(min(row, other)), int(max(row, other)), int(wrong), float(far))
            for other, wrong, far in zip(close, bits[bits <= MOST_BITS], difference, strict=True)
            if far <= MOST_DIFFERENCE
        ]
    return found


def extra(pairs: list[Pair]) -> int:
    """How many pictures could go so that no near-duplicate is left: the size of each group less one, added up."""
    group: dict[int, int] = {}

    def root(row: int) -> int:
        while group.setdefault(row, row) != row:
            row = group[row]
        return row

    for pair in pairs:
        group[root(pair.first)] = root(pair.second)
    return len(group) - len({root(row) for row in list(group)})
