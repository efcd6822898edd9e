"""Values out of a stranger's JSON, each of the form that it must have, or a word about which one is not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from easel.errors import EaselError, shortened

MOST_NUMBER = 1e9
Body = Mapping[str, Any]


def json_in(request: HttpRequest) -> dict[str, Any]:
    """The JSON object that a request carries; an empty one where it carries nothing. Raises EaselError on all else."""
    try:
        body = json.loads(request.body or b"{}", parse_constant=_refused)
    except (ValueError, RecursionError) as problem:
        raise EaselError(f"the body is no JSON object: {shortened(problem)}") from None
    if not isinstance(body, dict):
        raise EaselError("the body is no JSON object")
    return body


def _refused(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def number(body: Body, name: str, usual: float) -> float:
    """A number; `usual` where there is none."""
    value = body.get(name)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MOST_NUMBER:
        raise EaselError(f"{name}: must be a number")
    return float(value)


def whole(body: Body, name: str, usual: int, least: int | None = None) -> int:
    """A whole number, at least `least`; `usual` where there is none."""
    value = body.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        found = value
    else:
        real = number(body, name, usual)
        if not math.isfinite(real) or real != int(real):
            raise EaselError(f"{name}: must be a whole number")
        found = int(real)
    if least is not None and found < least:
        raise EaselError(f"{name}: is {found}: at least {least}")
    return found


def share(body: Body, name: str, usual: float) -> float:
    """A number from 0 to 1."""
    value = number(body, name, usual)
    if not 0 <= value <= 1:
        raise EaselError(f"{name}: is {value:g}: must be from 0 to 1")
    return value


def text(body: Body, name: str, usual: str = "") -> str:
    """A text; `usual` where there is none."""
    value = body.get(name)
    if value is None:
        return usual
    if not isinstance(value, str):
        raise EaselError(f"{name}: must be a text")
    return value


def flag(body: Body, name: str, *, usual: bool = False) -> bool:
    """Yes or no, also as 1 or 0."""
    value = body.get(name)
    if value is None:
        return usual
    if value not in (True, False):
        raise EaselError(f"{name}: must be true or false")
    return bool(value)


def names(body: Body, name: str) -> list[Any]:
    """A list; an empty one where there is none."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise EaselError(f"{name}: must be a list")
    return value


def pairs(body: Body, name: str) -> dict[str, Any]:
    """Values by name; none where there are none."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise EaselError(f"{name}: must hold values by name")
    return value
