"""Old recipes replay: each upgrade turns a recipe of an older easel, as plain values, into the next form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from easel.errors import EaselError
from easel.version import __version__

Plain = dict[str, Any]
Upgrade = tuple[str, Callable[[Plain], Plain]]

UPGRADES: tuple[Upgrade, ...] = ()
"""(version, function) in order: the function is applied to recipes written before that version of easel."""


def numbers(version: str) -> tuple[int, ...]:
    """'0.10.2' as (0, 10, 2), to compare versions. Raises EaselError on what is no version."""
    found = re.match(r"\d+(\.\d+)*", version)
    if found is None:
        raise EaselError(f"easel: '{version}' is not a version such as {__version__}")
    return tuple(int(part) for part in found.group().split("."))


def upgraded(recipe: Mapping[str, Any], upgrades: Sequence[Upgrade] = UPGRADES, now: str = __version__) -> Plain:
    """`recipe` in today's form. One from a newer easel is refused, since its settings may mean something else here."""
    plain = dict(recipe)
    written = plain.get("easel", now)
    if not isinstance(written, str):
        raise EaselError(f'easel: {written!r} is not a version; write it in quotes, such as "{now}"')
    if numbers(written)[:2] > numbers(now)[:2]:
        raise EaselError(f"the recipe was written for easel {written} and this is {now}: install easel {written}")
    for version, change in upgrades:
        if numbers(written) < numbers(version):
            plain = change(plain)
    return plain | {"easel": now}
