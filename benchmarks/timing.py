"""Ratios that a busy machine cannot bend: the ways take turns within one process, and are compared turn by turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple


class Timed(NamedTuple):
    """What a way took in each round, and what it gave."""

    seconds: list[float]
    made: list[Any]
    work: list[float]
    """Processor seconds, of all threads: what other programs take does not count."""

    @classmethod
    def of(cls, each: Iterable[Any]) -> Timed:
        """Of what has `seconds` and `work`, one a round."""
        both = [(one.seconds, one.work) for one in each]
        return cls([seconds for seconds, _ in both], [], [work for _, work in both])


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


@dataclass(frozen=True)
class Row:
    """A line of the one table: what is done, by whom it is done else, and how many times as fast."""

    work: str
    peer: str
    ours: float | None = None
    """Seconds by the clock, the median; None where it was not run."""
    theirs: float | None = None
    clock: Ratio | None = None
    processor: Ratio | None = None
    """Of the processor seconds of all threads, which other programs bend less; None where they say nothing."""
    limit: str = ""
    """What keeps ours from being faster; or why it was not run."""

    @classmethod
    def of(cls, work: str, peer: str, theirs: Timed, ours: Timed, limit: str) -> Row:
        """Of what both took, round by round."""
        medians = statistics.median(ours.seconds), statistics.median(theirs.seconds)
        return cls(work, peer, *medians, ratio(theirs.seconds, ours.seconds), ratio(theirs.work, ours.work), limit)

    @classmethod
    def not_run(cls, work: str, peer: str, why: str) -> Row:
        """A line without numbers, that says why."""
        return cls(work, peer, limit=f"not run: {why}")

    def cells(self) -> tuple[str, ...]:
        """As text: work, ours, peer, theirs, times as fast by the clock and the processor, n, what limits it."""
        if self.ours is None or self.theirs is None or self.clock is None:
            return self.work, "", self.peer, "", "", "", "", self.limit
        both = (self.clock, self.processor)
        times = ["" if one is None else f"{one.value:.2f} ({one.least:.2f} to {one.most:.2f})" for one in both]
        seconds = [f"{value:.3g} s" for value in (self.ours, self.theirs)]
        return self.work, seconds[0], self.peer, seconds[1], *times, str(self.clock.n), self.limit

    def plain(self) -> dict[str, Any]:
        """As values that JSON has; `from_plain` reads them."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Row:
        """What `plain` gave."""
        kept = {name: Ratio(*plain[name]) for name in ("clock", "processor") if plain[name] is not None}
        return cls(**{**plain, **kept})


def threads() -> str:
    """How many threads torch computes with, for the head of a table."""
    import torch

    return f"{torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"
