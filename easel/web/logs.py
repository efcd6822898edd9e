"""The logs of all jobs: searched by words, by job, by what went wrong; new lines come by themselves."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string

from easel.web import live
from easel.web.gate import own
from easel.web.models import Job, Line

SHOWN = 300
"""Lines on the page, the newest."""
ERROR = "error: "
"""How a line that says what went wrong begins (`worker.Runner`)."""


def logs(request: HttpRequest) -> HttpResponse:
    """The newest lines that have all the words."""
    template = "log_lines.html" if request.headers.get("HX-Request") else "logs.html"
    return render(request, template, found(request))


def found(request: HttpRequest) -> dict[str, Any]:
    """What was asked for, and the lines, the newest first."""
    asked = {name: request.GET.get(name, "").strip()[:200] for name in ("q", "job", "errors")}
    mine = own(Job.objects.all(), request.user)
    rows = Line.objects.filter(job__in=mine).select_related("job")
    if asked["job"].isascii() and asked["job"].isdigit() and len(asked["job"]) < 19:
        rows = rows.filter(job__pk=int(asked["job"]))
    if asked["errors"]:
        rows = rows.filter(text__startswith=ERROR)
    for word in asked["q"].split():
        rows = rows.filter(text__icontains=word)
    lines = list(rows.order_by("-pk")[:SHOWN])
    query = urlencode({name: value for name, value in asked.items() if value})
    return {"lines": lines, "asked": asked, "is_cut": len(lines) == SHOWN, "query": query, "most": SHOWN}


async def log_events(request: HttpRequest) -> HttpResponseBase:
    """The lines, as new ones come."""

    def fragment() -> list[str]:
        html = render_to_string("log_lines.html", found(request), request)
        return [live.event("part", {"id": "log-lines", "html": html})]

    async def first() -> list[str]:
        return await sync_to_async(fragment)()

    async def then(_changed: set[int]) -> list[str]:
        return await sync_to_async(fragment)()

    return live.stream(request, first, then)
