"""One process at a time: a file that is locked while one of them works, which the others wait for."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

PAUSE = 0.2
"""Seconds from one look at a lock to the next."""


@contextlib.contextmanager
def alone(file: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock on `file`, which is made where it is not there; `waiting` is called while another holds it.

    The system lets go of it when its process ends, even one that is killed. Where files cannot be locked (on Windows,
    on some network drives) nobody waits. What `waiting` raises ends the wait. Raises OSError where `file` cannot be
    made.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as stream:
        while not _is_ours(stream.fileno()):
            waiting()
            time.sleep(PAUSE)
        yield


def _is_ours(handle: int) -> bool:
    """Take the lock, unless another has it."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a drive without locks
    return True
