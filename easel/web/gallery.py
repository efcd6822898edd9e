"""The gallery: every picture, found by words, model, kind, date and the range of any score."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.paginator import Paginator
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from easel.errors import EaselError
from easel.kinds import KINDS
from easel.provenance import read_provenance
from easel.recipes import recipe_from, to_yaml
from easel.web import gate, index
from easel.web.gate import own
from easel.web.models import Number, Picture
from easel.web.views import PHOTO, hand_of

PAGE = 24
MOST_WORDS = 20
"""Words of a search that are looked for."""
SORTS = {"newest": "-made", "oldest": "made"}


def gallery(request: HttpRequest) -> HttpResponse:
    """The pictures that were asked for, a page of them."""
    mine = own(Picture.objects.filter(binned=None), request.user)
    found, asked, problem = search(mine, request.GET)
    pages = Paginator(found.select_related("job").prefetch_related("numbers"), PAGE)
    page = pages.get_page(request.GET.get("page"))
    names = Number.objects.filter(picture__in=mine).order_by("name").values_list("name", flat=True).distinct()
    rest = request.GET.copy()
    rest.pop("page", None)
    shown = {
        "page": page,
        "asked": asked,
        "problem": problem,
        "score_names": list(names),
        "models": list(mine.order_by("model").exclude(model="").values_list("model", flat=True).distinct()),
        "made_kinds": list(mine.order_by("kind").values_list("kind", flat=True).distinct()),
        "binned": own(Picture.objects.exclude(binned=None), request.user).count(),
        "query": rest.urlencode(),
    }
    template = "gallery_grid.html" if request.headers.get("HX-Request") else "gallery.html"
    return render(request, template, shown)


def search(pictures: Any, asked: Any) -> tuple[Any, dict[str, str], str]:
    """The pictures that fit what was asked, in the order asked; what was understood of it; and what was not."""
    said = {
        name: str(asked.get(name, "")).strip()
        for name in ("q", "model", "kind", "since", "until", "score", "low", "high", "sort")
    }
    problems = []
    for word in said["q"].casefold().split()[:MOST_WORDS]:
        pictures = pictures.filter(words__contains=word)
    for name in ("model", "kind"):
        if said[name]:
            pictures = pictures.filter(**{name: said[name]})
    for name, compare, more in (("since", "made__gte", 0), ("until", "made__lt", 86400)):
        if said[name]:
            try:
                moment = datetime.strptime(said[name], "%Y-%m-%d").astimezone().timestamp()
                pictures = pictures.filter(**{compare: moment + more})
            except ValueError:
                problems.append(f"'{said[name][:20]}' is no date: write it as 2026-01-31")
    order = SORTS.get(said["sort"], "-made")
    if said["score"]:
        value = Number.objects.filter(picture=OuterRef("pk"), name=said["score"]).order_by("-value").values("value")[:1]
        pictures = pictures.annotate(score=Subquery(value)).exclude(score=None)
        for name, compare in (("low", "score__gte"), ("high", "score__lte")):
            if said[name]:
                try:
                    pictures = pictures.filter(**{compare: float(said[name])})
                except ValueError:
                    problems.append(f"'{said[name][:20]}' is no number")
        order = {"best": "-score", "worst": "score"}.get(said["sort"], order)
    elif said["sort"] in {"best", "worst"}:
        problems.append("choose a score to sort by")
    return pictures.order_by(order, "-pk"), said, "; ".join(problems)


def picture(request: HttpRequest, number: int) -> HttpResponse:
    """One picture: large, its scores, its recipe, what it was made from, and what can be done with it."""
    row = get_object_or_404(own(Picture.objects.select_related("job"), request.user), pk=number)
    recipe, text, said = index.recipe_in(row.path), "", {}
    try:
        said = read_provenance(row.path)
        text = to_yaml(recipe_from(recipe), short=True) if recipe else ""
    except EaselError as problem:
        text = f"# {problem}\n"
    near = own(Picture.objects.filter(binned=None), request.user)
    shown = {
        "picture": row,
        "numbers": row.numbers.order_by("name"),
        "yaml": text,
        "parameters": said.get("parameters", ""),
        "chain": chain_of(row, request.user),
        "onward": [
            (word, field)
            for word in KINDS
            for hand, field in [hand_of(word)]
            if hand == PHOTO and KINDS[word].recipe.repeatable
        ],
        "made_of_it": made_of(row, request.user),
        "newer": near.filter(pk__gt=row.pk).order_by("pk").first(),
        "older": near.filter(pk__lt=row.pk).order_by("-pk").first(),
        "siblings": row.job.pictures.filter(binned=None).exclude(pk=row.pk).order_by("pk")[:12],
    }
    return render(request, "picture.html", shown)


@dataclass
class Origin:
    """What a picture was made from: a file that its recipe names."""

    setting: str
    place: str
    row: Picture | None
    """Its page, where it is a picture of ours."""
    is_picture: bool


MOST_BACK = 8
"""Steps that a chain is followed back."""


def sources_of(recipe: dict[str, Any], person: Any) -> list[Origin]:
    """What a picture was made from: each file that its recipe names."""
    found = []
    for name, value in recipe.items():
        for text in value if isinstance(value, list) else [value]:
            path = gate.own_path(text, person) if isinstance(text, str) else None
            if path is not None:
                inside = path.relative_to(Path(*path.parts[:2])).as_posix()
                job = gate.job_of(path.as_posix())
                row = own(Picture.objects.filter(name=inside, job=job), person).first() if job else None
                found.append(Origin(name, text, row, path.is_file() and path.suffix != ".safetensors"))
    return found


def chain_of(row: Picture, person: Any) -> list[list[Origin]]:
    """The steps that led to a picture, the first of them first: what each was made from."""
    steps: list[list[Origin]] = []
    now: list[Picture] = [row]
    seen = {row.pk}
    while now and len(steps) < MOST_BACK:
        step = [origin for one in now for origin in sources_of(index.recipe_in(one.path) or {}, person)]
        if step:
            steps.insert(0, step)
        now = [origin.row for origin in step if origin.row is not None and origin.row.pk not in seen]
        seen |= {one.pk for one in now}
    return steps


def made_of(row: Picture, person: Any) -> list[Picture]:
    """Pictures that were made from this one."""
    place = row.path.as_posix()
    near = own(Picture.objects.filter(binned=None), person).filter(words__contains=place.casefold())
    return list(near.exclude(pk=row.pk).select_related("job").prefetch_related("numbers").order_by("pk")[:12])


def compare(request: HttpRequest) -> HttpResponse:
    """Two pictures under one slider, with their scores side by side."""
    mine = own(Picture.objects.select_related("job"), request.user)
    numbers = [text for text in request.GET.getlist("p") if text.isdigit()][:2]
    if len(numbers) < 2:
        raise EaselError("choose two pictures in the gallery to compare")
    first, second = (get_object_or_404(mine, pk=int(number)) for number in numbers)
    scores: dict[str, list[Number | None]] = {}
    for place, one in enumerate((first, second)):
        for score in one.numbers.order_by("name"):
            scores.setdefault(f"{score.name} ({score.judge})", [None, None])[place] = score
    return render(request, "compare.html", {"first": first, "second": second, "scores": scores})


@require_POST
def to_bin(request: HttpRequest, number: int) -> HttpResponse:
    """Into the bin, or out of it."""
    row = get_object_or_404(own(Picture.objects.all(), request.user), pk=number)
    back = row.binned is not None
    Picture.objects.filter(pk=row.pk).update(binned=None if back else time.time())
    return HttpResponseRedirect("/bin/" if back else "/gallery/")


@require_POST
def several_to_bin(request: HttpRequest) -> HttpResponse:
    """All that were chosen in the gallery, into the bin."""
    numbers = [int(text) for text in request.POST.getlist("p") if text.isascii() and text.isdigit() and len(text) < 19]
    own(Picture.objects.filter(pk__in=numbers, binned=None), request.user).update(binned=time.time())
    return HttpResponseRedirect("/gallery/")


def bin_page(request: HttpRequest) -> HttpResponse:
    """What is in the bin."""
    found = own(Picture.objects.exclude(binned=None), request.user).select_related("job").order_by("-binned")
    return render(request, "bin.html", {"pictures": found})


@require_POST
def empty_bin(request: HttpRequest) -> HttpResponse:
    """Delete what is in the bin for good, with its files."""
    for row in own(Picture.objects.exclude(binned=None), request.user).select_related("job"):
        path = gate.own_path(row.path.as_posix(), request.user)
        if path is not None:
            path.unlink(missing_ok=True)
        row.delete()
    return HttpResponseRedirect("/bin/")
