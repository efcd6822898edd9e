"""Views that answer in A1111's shape, errors too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from easel.errors import EaselError
from easel.web import queue
from easel.web.api import asked, waiting

Answer = Callable[..., Awaitable[Any]]
View = Callable[[HttpRequest, dict[str, Any]], Awaitable[Any]]


def told(*methods: str) -> Callable[[View], Answer]:
    """A view that is given the body's JSON, answers these methods alone, and errors in A1111's shape."""

    def made(view: View) -> Answer:
        @csrf_exempt
        @wraps(view)
        async def answer(request: HttpRequest) -> JsonResponse:
            if request.method not in methods:
                problem = failed(f"use {' or '.join(methods)} here", 405)
                problem["Allow"] = ", ".join(methods)
                return problem
            try:
                body = asked.json_in(request) if request.method == "POST" else {}
                return JsonResponse(await view(request, body), safe=False)
            except waiting.StillWorking as problem:
                return failed(str(problem), 504)
            except queue.Full as problem:
                return failed(str(problem), 429)
            except EaselError as problem:
                return failed(str(problem), 422)

        return answer

    return made


def failed(words: str, status: int) -> JsonResponse:
    """An error as A1111 says it."""
    return JsonResponse({"error": "EaselError", "detail": words, "body": "", "errors": words}, status=status)
