"""Models that stay loaded from one job to the next, for a run that goes through many jobs with the same ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator
from contextvars import ContextVar
from typing import Any

MOST_DRAWING, MOST_OTHERS = 2, 12
"""Models that draw, which are large, and others that are kept; the one not used for longest goes."""

_shelves: ContextVar[tuple[dict[Hashable, Any], dict[Hashable, Any]] | None] = ContextVar("shelves", default=None)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Until the block ends `models.load` gives the same model for the same words, and loads it once."""
    if _shelves.get() is not None:  # within another such block
        yield
        return
    token = _shelves.set(({}, {}))
    try:
        yield
    finally:
        _shelves.reset(token)


def keep() -> None:
    """The same from here on, for as long as the context lives: for a process that does nothing else."""
    if _shelves.get() is None:
        _shelves.set(({}, {}))


def taken(key: Hashable, load: Callable[[], Any], *, draws: bool) -> Any:
    """The model under this key: the one that is kept, or else a new one. A model is loaded after another has gone, so
    that no more are in memory than are kept.
    """
    shelves = _shelves.get()
    if shelves is None:
        return load()
    shelf, most = (shelves[0], MOST_DRAWING) if draws else (shelves[1], MOST_OTHERS)
    if key in shelf:
        shelf[key] = shelf.pop(key)
        return shelf[key]
    while len(shelf) >= most:
        del shelf[next(iter(shelf))]
    shelf[key] = load()
    return shelf[key]
