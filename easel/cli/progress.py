"""Progress on stderr: a bar on a terminal, plain lines elsewhere; and Ctrl-C as a clean stop at the next step."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from easel.errors import Cancelled, printable
from easel.progress import in_words, lines
from easel.runners.machine import is_first

if TYPE_CHECKING:
    from easel.workspace import Report, Step


@contextlib.contextmanager
def watching(*, quiet: bool = False) -> Iterator[Report]:
    """A report for a run, shown on stderr, that raises Cancelled at the first step after Ctrl-C or a SIGTERM.

    A second Ctrl-C does not wait for the next step.
    """
    with _stopping() as stopped, _shown(quiet or not is_first()) as show:

        def report(step: Step) -> None:
            if stopped.is_set():
                raise Cancelled(f"stopped during {step.phase} ({step.done} of {step.total}); finished files are kept")
            show(step)

        yield report


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and a hang-up of the terminal set, until the block ends.

    Only the main thread may do this. A hang-up that was ignored before us, as by nohup, stays ignored.
    """
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        if number == signal.SIGINT and is_first():
            _said("stopping after this step; Ctrl-C again to stop at once")

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _shown(quiet: bool) -> Iterator[Callable[[Step], None]]:
    if quiet:
        yield lambda _step: None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield lines(_said)


def _said(line: str) -> None:
    """A line on standard error; a reader that has gone, or a full disk behind it, does not end the run."""
    with contextlib.suppress(OSError, ValueError):
        print(printable(line), file=sys.stderr, flush=True)


def asked(question: str) -> bool:
    """Whether a person at a terminal says yes; no where nobody is there to ask."""
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    _said(f"{question} [y/N]")
    try:
        return sys.stdin.readline().strip().casefold() in {"y", "yes"}
    except (OSError, ValueError, KeyboardInterrupt):
        return False


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[Step], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(bar_width=None),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), expand=True) as bar:
        tasks: dict[str, Any] = {}

        def show(step: Step) -> None:
            if step.phase not in tasks:
                tasks[step.phase] = bar.add_task(step.phase, total=step.total, note="")
            note = in_words(step).partition(", ")[2]
            bar.update(tasks[step.phase], completed=step.done, total=max(step.total, 1), note=note)

        yield show
