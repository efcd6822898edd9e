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
MAX_LEADERS = 2000
"""Pictures with one band in common that the others are compared with; of more, the first so many."""
TOGETHER = 2000
"""Small copies that are compared at once, so that memory does not grow with the set."""


@dataclass(frozen=True)
class DuplicateGroup:
    """Pictures by their indices, in order, that are near-duplicates: all but one could go."""

    indices: tuple[int, ...]
    bits: int
    """Of the 64 of their difference hashes, those that differ at most from the one they were compared with."""
    difference: float
    """Root mean square difference of their small copies from that one's, at most, in levels of 255."""


def near_duplicates(hashes: NDArray[np.uint64], copies: NDArray[np.uint8]) -> list[DuplicateGroup]:
    """Groups of near-duplicates, the largest first.

    hashes: (n,), 64 bits each. copies: (n, 12, 12, 3). Pictures that share no band of 16 bits are never compared;
    within a band each is compared with the first of every group alone. So n copies of one picture take time that grows
    with n, and n pictures that are all different hardly more.
    """
    groups = _Groups(len(hashes))
    means = copies.reshape(len(copies), -1, 3).mean(axis=1) if len(copies) else np.zeros((0, 3))
    for band in range(BANDS):
        keys = (hashes >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=keys[order][:1] + np.uint64(1)))
        for indices in np.split(order, starts[1:]):
            if len(indices) > 1:
                _join(indices, hashes, copies, means, groups)
    return groups.found()


def _join(
    indices: NDArray[np.intp],
    hashes: NDArray[np.uint64],
    copies: NDArray[np.uint8],
    means: NDArray[np.float64],
    groups: _Groups,
) -> None:
    """Join the near-duplicates among pictures that share a band. One that joined a group is no leader itself."""
    joined = np.zeros(len(indices), bool)
    leaders = 0
    for at in range(len(indices)):
        if joined[at]:
            continue
        if leaders == MAX_LEADERS:
            break
        leaders += 1
        index = indices[at]
        bits = np.bitwise_count(hashes[index] ^ hashes[indices])
        # copies cannot be nearer than their mean colours are
        far = ((means[indices] - means[index]) ** 2).mean(axis=1)
        near = (bits <= MAX_BITS) & (far <= MAX_DIFFERENCE**2)
        near[at] = False
        places = np.flatnonzero(near)
        for part in np.split(places, range(TOGETHER, len(places), TOGETHER)):
            if len(part):
                change = copies[indices[part]].astype(np.float32) - copies[index].astype(np.float32)
                difference = np.sqrt((change**2).reshape(len(part), -1).mean(axis=1))
                close = difference <= MAX_DIFFERENCE
                for place, apart in zip(part[close].tolist(), difference[close].tolist(), strict=True):
                    groups.join(int(index), int(indices[place]), int(bits[place]), apart)
                joined[part[close]] = True


class _Groups:
    """Who belongs together: each picture points to another of its group, the root to itself."""

    def __init__(self, count: int) -> None:
        self._to = np.arange(count)
        self._apart: dict[int, tuple[int, float]] = {}

    def join(self, one: int, other: int, bits: int, difference: float) -> None:
        """Two near-duplicates are of one group."""
        first, second = self._root(one), self._root(other)
        self._to[max(first, second)] = root = min(first, second)
        before = [self._apart.pop(place) for place in {first, second} if place in self._apart]
        self._apart[root] = max(bits, *(b for b, _ in before), 0), max(difference, *(d for _, d in before), 0.0)

    def found(self) -> list[DuplicateGroup]:
        """All groups, the largest first."""
        members: dict[int, list[int]] = {root: [] for root in self._apart}
        for index in range(len(self._to)):
            root = self._root(index)
            if root in members:
                members[root].append(index)
        made = [DuplicateGroup(tuple(indices), *self._apart[root]) for root, indices in members.items()]
        return sorted(made, key=lambda group: (-len(group.indices), group.indices))

    def _root(self, index: int) -> int:
        while self._to[index] != index:
            self._to[index] = self._to[self._to[index]]
            index = int(self._to[index])
        return index


def redundant(groups: list[DuplicateGroup]) -> int:
    """How many pictures could go so that no near-duplicate is left: the size of each group less one, added up."""
    return sum(len(group.indices) - 1 for group in groups)
