"""Ratios that a busy machine cannot bend: the ways take turns within one process, and are compared turn by turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Timed(NamedTuple):
    """What a way took in each round, and what it gave."""

    seconds: list[float]
    made: list[Any]
    work: list[float]
    """Processor seconds, of all threads: what other programs take does not count."""


def interleaved(ways: Mapping[str, Callable[[int], Any]], rounds: int) -> dict[str, Timed]:
    """Each way called with 0, 1, ... `rounds` - 1, all ways with 0 first; a first round warms up."""
    for do in ways.values():
        do(0)
    timed = {name: Timed([], [], []) for name in ways}
    for number in range(rounds):
        for name, do in ways.items():
            begun, worked = time.perf_counter(), time.process_time()
            made = do(number)
            timed[name].seconds.append(time.perf_counter() - begun)
            timed[name].work.append(time.process_time() - worked)
            timed[name].made.append(made)
    return timed


class Ratio(NamedTuple):
    """How many times as fast as the peer: median of the rounds' ratios, the least, the most, the number of rounds."""

    value: float
    least: float
    most: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:5.2f} x  [{self.least:.2f}, {self.most:.2f}]  n={self.n}"


def ratio(peer: list[float], ours: list[float]) -> Ratio:
    """`peer` and `ours`: seconds for the same work, round by round."""
    each = [theirs / mine for theirs, mine in zip(peer, ours, strict=True)]
    return Ratio(statistics.median(each), min(each), max(each), len(each))


def threads() -> str:
    """How many threads torch computes with, for the head of a table."""
    import torch

    return f"{torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"
