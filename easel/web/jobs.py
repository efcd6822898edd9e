"""Pages of the queue: all jobs, one job while it runs and after, and the files that jobs made."""

from __future__ import annotations

import re
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db.models import Min
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_POST

from easel.errors import EaselError
from easel.images import OUR_OWN
from easel.kinds import KINDS
from easel.recipes.read import to_yaml
from easel.result import Result
from easel.training.curves import FILE as METRICS
from easel.web import gate, index, live, queue, served, watch
from easel.web.gate import own
from easel.web.models import CANCELLED, DONE, FAILED, QUEUED, RUNNING, Job, Line, Picture, Studio

SHOWN_OVER = 60
"""Jobs that are over which the list shows."""
SHOWN_WAITING = 100
"""The same of those that wait."""
PACE = 1.0
"""Seconds from one state of the list to the next, at least."""
LOG_LINES = 200


def jobs(request: HttpRequest) -> HttpResponse:
    """Running, waiting in their order, and over; searchable by words of their logs, errors and settings."""
    return render(request, "jobs.html", listed(request))


def listed(request: HttpRequest) -> dict[str, Any]:
    """What the list shows."""
    mine = own(Job.objects.all(), request.user)
    words = request.GET.get("q", "").strip()
    over = mine.filter(state__in=(DONE, FAILED, CANCELLED)).order_by("-ended", "-pk")
    if words:
        found = Line.objects.filter(text__icontains=words).values("job")
        over = over.filter(pk__in=found) | over.filter(error__icontains=words) | over.filter(kind__icontains=words)
    waiting = mine.filter(state=QUEUED).order_by("-priority", "place", "pk")
    studio = Studio.get()
    rows = list(over[:SHOWN_OVER])
    first = Picture.objects.filter(job__in=rows, binned=None).values("job").annotate(first=Min("pk")).values("first")
    made = Picture.objects.filter(pk__in=first).select_related("job")
    return {
        "firsts": {picture.job_id: picture.path.as_posix() for picture in made},
        "running": mine.filter(state=RUNNING).order_by("started"),
        "waiting": waiting[:SHOWN_WAITING],
        "more_waiting": max(0, waiting.count() - SHOWN_WAITING),
        "over": rows,
        "words": words,
        "studio": studio,
        "is_hour": queue.is_hour(studio),
    }


def job_page(request: HttpRequest, number: int) -> HttpResponse:
    """One job: how far it is, what it made, its log and its recipe."""
    job = get_object_or_404(own(Job.objects.all(), request.user), pk=number)
    repeatable = job.kind in KINDS and KINDS[job.kind].recipe.repeatable
    return render(request, "job.html", {"yaml": yaml_of(job), "repeatable": repeatable} | panel(job))


def panel(job: Job) -> dict[str, Any]:
    """What the page shows that changes."""
    shown: dict[str, Any] = {"job": job, "has_preview": False, "ahead": 0, "is_trained": False}
    shown["lines"] = list(job.lines.order_by("-pk")[:LOG_LINES])[::-1]
    shown["resumes"] = job.kind in KINDS and KINDS[job.kind].recipe.resumes
    if job.state == QUEUED:
        shown["ahead"] = queue.ahead_of(job)
    else:
        shown["panels"] = watch.panels_of(job.folder)
        shown["report"] = watch.report_of(job.folder)
        shown["samples"] = watch.samples_of(job.folder)
        shown["latest"] = shown["samples"][-1] if shown["samples"] else None
    if job.state == RUNNING:
        shown["has_preview"] = job.preview > 0 and not shown["samples"]
    if job.state == DONE:
        shown |= _result(job)
        shown["longer"] = job.heavy and bool(lengths(job.kind))
    return shown


def lengths(word: str) -> list[str]:
    """Settings of a kind that say how long it runs, and may be more when it goes on."""
    kind = KINDS[word].recipe if word in KINDS else None
    return [name for name in ("kimg", "minutes", "steps") if kind and kind.resumes and name in kind.free]


def _result(job: Job) -> dict[str, Any]:
    """What a job made, from its folder."""
    from easel.models.catalog.trained_folders import is_trained

    try:
        result = Result.read(job.folder)
    except EaselError as problem:
        return {"result_error": str(problem)}
    pictures = list(job.pictures.filter(binned=None).prefetch_related("numbers").order_by("pk"))
    own_names = {picture.name for picture in pictures} | set(result.pictures)
    drawn = {"preview.png"} | (
        {"chart.png"} if (job.folder / METRICS).is_file() else set()
    )  # the curves are on the page
    sheets = [name for name in result.files if name in OUR_OWN and name not in drawn]
    return {
        "result": result,
        "pictures": pictures,
        "scores": [score for score in result.scores if score.of not in own_names],
        "texts": list(result.texts.items()),
        "sheets": sheets,
        "files": [name for name in result.files if name not in OUR_OWN],
        "is_trained": is_trained(job.folder),
    }


def yaml_of(job: Job) -> str:
    """A job's recipe as YAML."""
    try:
        return to_yaml(job.recipe, short=True)
    except EaselError as problem:
        return f"# {problem}\n"


async def job_events(request: HttpRequest, number: int) -> HttpResponseBase:
    """The changing part of one job's page, as it changes."""

    def fragment() -> list[str]:
        job = own(Job.objects.all(), request.user).filter(pk=number).first()
        if job is None:
            return []
        shown = panel(job)
        parts = {"panel": "panel.html", "log": "log.html", "busy": "busy.html"}
        return [
            live.event("part", {"id": id, "html": render_to_string(file, shown, request)}) for id, file in parts.items()
        ]

    if not await sync_to_async(lambda: own(Job.objects.all(), request.user).filter(pk=number).exists())():
        raise Http404

    async def first() -> list[str]:
        return await sync_to_async(fragment)()

    async def then(changed: set[int]) -> list[str]:
        return await sync_to_async(fragment)() if number in changed else []

    return live.stream(request, first, then)


async def list_events(request: HttpRequest) -> HttpResponseBase:
    """The list of jobs, as it changes."""

    def fragment() -> str:
        return live.event("part", {"id": "list", "html": render_to_string("job_list.html", listed(request), request)})

    # The pages of one browser show the same, down to the token of their forms.
    key = (request.user.pk, request.COOKIES.get(settings.CSRF_COOKIE_NAME), request.META.get("QUERY_STRING"))

    async def first() -> list[str]:
        return [await live.feed().shared(key, fragment)]

    async def then(_changed: set[int]) -> list[str]:
        return await first()

    return live.stream(request, first, then, pace=PACE)


@require_POST
def act(request: HttpRequest, number: int, what: str) -> HttpResponse:
    """Cancel, try again, or move in the line."""
    job = get_object_or_404(own(Job.objects.all(), request.user), pk=number)
    if what == "cancel":
        queue.cancel(job)
    elif what == "retry":
        queue.retry(job)
    elif what == "move":
        before = request.POST.get("before", "")
        target = (
            own(Job.objects.filter(state=QUEUED), request.user).filter(pk=int(before)).first()
            if before.isdigit()
            else None
        )
        _move(job, request.user, target)
    elif what in {"sooner", "later"}:
        _step(job, request.user, -1 if what == "sooner" else 1)
    else:
        raise Http404
    back = request.POST.get("next", "")
    return HttpResponseRedirect("/jobs/" if back != "job" else f"/jobs/{number}/")


def _step(job: Job, person: Any, by: int) -> None:
    """One place forward or back among this person's waiting jobs."""
    order = list(own(Job.objects.filter(state=QUEUED), person).order_by("-priority", "place", "pk"))
    places = [one.pk for one in order]
    if job.pk not in places:
        return
    target = places.index(job.pk) + (by if by < 0 else by + 1)
    if target < 0:
        return
    _move(job, person, order[target] if target < len(order) else None)


def _move(job: Job, person: Any, before: Job | None) -> None:
    """The owner orders the whole queue, others what is theirs in it."""
    if person.is_superuser:
        queue.move(job, before=before)
    else:
        queue.move_among(job, person, before=before)


@require_POST
def steer(request: HttpRequest) -> HttpResponse:
    """Pause the queue or let it go on; the hours of heavy jobs. The owner's alone."""
    if not request.user.is_superuser:
        raise EaselError("only the owner of the studio pauses its queue")
    changes: dict[str, Any] = {}
    if "pause" in request.POST:
        changes["paused"] = request.POST["pause"] == "yes"
    if "heavy_from" in request.POST:
        first, last = (request.POST.get(name, "").strip() for name in ("heavy_from", "heavy_until"))
        for hour in (first, last):
            if hour and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", hour):
                raise EaselError(f"'{hour[:20]}' is no time of day: write it as 22:00")
        if bool(first) != bool(last):
            raise EaselError("give both hours, or none")
        changes |= {"heavy_from": first, "heavy_until": last}
    Studio.get()
    Studio.objects.filter(pk=1).update(**changes)
    return HttpResponseRedirect("/jobs/")


def preview(request: HttpRequest, number: int) -> HttpResponseBase:
    """The picture of a run under way."""
    job = get_object_or_404(own(Job.objects.all(), request.user), pk=number)
    return served.file_response(request, index.preview_path(job))


def file(request: HttpRequest, place: str) -> HttpResponseBase:
    """A file that this person put in, or that a job of theirs made."""
    path = gate.own_path(place, request.user)
    if path is None or not path.is_file():
        raise Http404
    if request.GET.get("small"):
        try:
            small = index.thumbnail(path)
        except EaselError as problem:
            raise Http404 from problem
        return served.file_response(request, small, keep="private, max-age=86400")
    return served.file_response(request, path, download=bool(request.GET.get("download")))
