"""How far a run is, in words: for the command line, and for the logs of the studio."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from easel.workspace import Step, clock

LINE_EVERY = 10.0
"""Seconds between plain lines within one phase."""


def lines(write: Callable[[str], Any]) -> Callable[[Step], None]:
    """A report in plain lines: at the end of each phase, and every ten seconds within one."""
    last: dict[str, Any] = {"phase": None, "time": 0.0}

    def show(step: Step) -> None:
        now = time.monotonic()
        if step.done >= step.total or step.phase != last["phase"] or now - last["time"] >= LINE_EVERY:
            last.update(phase=step.phase, time=now)
            write(in_words(step))

    return show


def in_words(step: Step) -> str:
    """'stylize: 3 of 20, 1.5 a second, 0:11 left'."""
    parts = [f"{step.phase}: {step.done} of {step.total}"]
    if step.rate:
        parts.append(speed(step.rate))
    if step.eta is not None and step.done < step.total:
        parts.append(f"{clock(step.eta)} left")
    return ", ".join(parts)


def speed(rate: float) -> str:
    """A rate people can read: '2.5 a second', or '12 s each' for slow things."""
    return f"{rate:.1f} a second" if rate >= 1 else f"{1 / rate:.1f} s each"
