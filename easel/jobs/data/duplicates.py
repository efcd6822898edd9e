"""Near-duplicates: pictures whose difference hashes agree but for a few bits, and whose small copies agree too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BANDS = 4
MAX_BITS = BANDS - 1
"""Bits of 64 that may differ: with three wrong bits, one of four bands of 16 is still whole."""
MAX_DIFFERENCE = 8.0
"""Root mean square difference, of 255, that the small copies may have."""
MAX_BUCKET = 2000
"""Pictures with one band in common that are compared with each other; of more, the first so many."""


@dataclass(frozen=True)
class DuplicatePair:
    """Two pictures by their indices, and how different they are."""

    first: int
    second: int
    bits: int
    """Of the 64 of their difference hashes, those that differ."""
    difference: float
    """Root mean square difference of their small copies, in levels of 255."""


def near_duplicates(hashes: NDArray[np.uint64], copies: NDArray[np.uint8]) -> list[DuplicatePair]:
    """Pairs of near-duplicates, the closest first.

    hashes: (n,), 64 bits each. copies: (n, 12, 12, 3). Pictures that share no band of 16 bits are never compared,
    so the time grows with n and not with its square.
    """
    found: dict[tuple[int, int], DuplicatePair] = {}
    for band in range(BANDS):
        keys = (hashes >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=keys[order][:1] + np.uint64(1)))
        for indices in np.split(order, starts[1:]):
            if len(indices) > 1:
                for pair in _pairs(indices[:MAX_BUCKET], hashes, copies):
                    found.setdefault((pair.first, pair.second), pair)
    return sorted(found.values(), key=lambda pair: (pair.bits, pair.difference, pair.first, pair.second))


def _pairs(indices: NDArray[np.intp], hashes: NDArray[np.uint64], copies: NDArray[np.uint8]) -> list[DuplicatePair]:
    """The near-duplicates among pictures that share a band."""
    found: list[DuplicatePair] = []
    for at, index in enumerate(indices[:-1]):
        others = indices[at + 1 :]
        bits = np.bitwise_count(hashes[index] ^ hashes[others])
        close = others[bits <= MAX_BITS]
        if not len(close):
            continue
        change = copies[close].astype(np.float32) - copies[index].astype(np.float32)
        difference = np.sqrt((change**2).reshape(len(close), -1).mean(axis=1))
        found += [
            DuplicatePair(int(min(index, other)), int(max(index, other)), int(wrong), float(far))
            for other, wrong, far in zip(close, bits[bits <= MAX_BITS], difference, strict=True)
            if far <= MAX_DIFFERENCE
        ]
    return found


def redundant(pairs: list[DuplicatePair]) -> int:
    """How many pictures could go so that no near-duplicate is left: the size of each group less one, added up."""
    group: dict[int, int] = {}

    def root(index: int) -> int:
        while group.setdefault(index, index) != index:
            index = group[index]
        return index

    for pair in pairs:
        group[root(pair.first)] = root(pair.second)
    return len(group) - len({root(index) for index in list(group)})
