"""A view of an API: some methods alone, and errors in its clients' own shape."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from easel.errors import EaselError
from easel.web import queue
from easel.web.api import waiting

View = Callable[[HttpRequest], Awaitable[Any]]
Answer = Callable[..., Awaitable[HttpResponseBase]]


def api_view(
    failed: Callable[[EaselError, int], HttpResponseBase], wrong: int, *methods: str
) -> Callable[[View], Answer]:
    """A view of these methods whose errors `failed` words: with 504 where a job goes on, 429 where a person's line is
    full, and the status `wrong` for all other advice. What is no response yet is sent as JSON.
    """

    def made(view: View) -> Answer:
        @csrf_exempt
        @wraps(view)
        async def answer(request: HttpRequest) -> HttpResponseBase:
            if request.method not in methods:
                refused = failed(EaselError(f"use {' or '.join(methods)} here"), 405)
                refused["Allow"] = ", ".join(methods)
                return refused
            try:
                found = await view(request)
            except waiting.StillWorking as problem:
                return failed(problem, 504)
            except queue.Full as problem:
                return failed(problem, 429)
            except EaselError as problem:
                return failed(problem, wrong)
            return found if isinstance(found, HttpResponseBase) else JsonResponse(found, safe=False)

        return answer

    return made
