"""What a person has in hand, looked at before anything is asked: a set of pictures, a photo, a painting of a style."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_POST

from easel.data import open_set
from easel.errors import EaselError
from easel.images import MAGIC
from easel.jobs.data.duplicates import near_duplicates
from easel.jobs.data.panels import Panel, panels
from easel.jobs.data.summary import inspect_all, notes, spread_evenly
from easel.jobs.data.words import numbers
from easel.jobs.stylize import styles
from easel.kinds import KINDS
from easel.web import gate, index, served, views

MOST_LOOKED = 400
"""Pictures that are opened to say what a set holds; the kind data-summary opens more."""
SHOWN = 16
"""Of them those that the page shows."""
MOST_BARS = 12


@dataclass(frozen=True)
class Look:
    """A set at a glance."""

    place: str
    numbers: dict[str, str]
    pictures: tuple[tuple[str, str], ...]
    """Address and name of some, spread evenly."""
    panels: tuple[Panel, ...]
    notes: tuple[str, ...]


@lru_cache(maxsize=32)
def looked_at(place: str, _stamp: int) -> Look:
    """What a folder holds. Raises EaselError where that is no set of pictures."""
    pictures = open_set(place)
    stats = inspect_all(pictures, spread_evenly(len(pictures), MOST_LOOKED), lambda *_: None, most_on_map=1)
    groups = near_duplicates(np.array(stats.bits, np.uint64), np.stack(stats.copies))
    found = numbers(pictures, stats, groups, "")
    files = [pictures[at].path for at in spread_evenly(len(pictures), SHOWN)]
    shown = tuple((file.as_posix(), file.stem) for file in files)
    bars = panels(pictures, stats.widths, stats.heights, stats.brightness)
    return Look(place, found, shown, tuple(bars[:4]), tuple(notes(pictures, stats)[:6]))


@require_POST
def look(request: HttpRequest) -> HttpResponse:
    """What the folder in a form holds, before its settings are asked for."""
    place = request.POST.get("place", "")
    path = gate.own_path(place, request.user)
    if path is None or not path.is_dir():
        raise Http404
    try:
        found: Look | None = looked_at(path.as_posix(), path.stat().st_mtime_ns)
        problem = ""
    except EaselError as error:
        found, problem = None, str(error)
    return render(request, "look.html", {"look": found, "problem": problem, "most": MOST_BARS})


def begin(request: HttpRequest) -> HttpResponse:
    """What can be done with what was put in: a picture, a folder, a table."""
    place = request.GET.get("place", "")
    path = gate.own_path(place, request.user)
    if path is None:
        raise Http404
    if path.is_dir():
        hands: tuple[str, ...] = ("a set of pictures", views.SUBJECT)
    else:
        with path.open("rb") as stream:
            hands = (views.PHOTO,) if MAGIC.match(stream.read(64)) else ()
    rows = [
        (word, kind.about, field)
        for word, kind in KINDS.items()
        for hand, field in [views.hand_of(word)]
        if hand in hands
    ]
    recipe = index.recipe_in(path) if path.is_file() else None
    number = path.parts[1] if path.parts[0] == "uploads" else ""
    shown: dict[str, Any] = {"place": place, "rows": rows, "own": (recipe or {}).get("kind", ""), "upload": number}
    return render(request, "begin.html", shown)


def painting(request: HttpRequest, name: str) -> HttpResponseBase:
    """The painting that a style by name is taken from, small."""
    row = styles.painted().get(name)
    if row is None:
        raise Http404
    return served.file_response(request, index.thumbnail(Path(row.image)), keep="private, max-age=86400")
