"""Views that answer in A1111's shape, errors too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, JsonResponse

from easel.errors import EaselError
from easel.web.api import asked
from easel.web.api.views import Answer, api_view

View = Callable[[HttpRequest, dict[str, Any]], Awaitable[Any]]


def a1111_view(*methods: str) -> Callable[[View], Answer]:
    """A view that is given the body's JSON, answers these methods alone, and errors in A1111's shape."""

    def made(view: View) -> Answer:
        @wraps(view)
        async def with_body(request: HttpRequest) -> Any:
            return await view(request, asked.json_in(request) if request.method == "POST" else {})

        return api_view(_failed, 422, *methods)(with_body)

    return made


def _failed(problem: EaselError, status: int) -> JsonResponse:
    return failed(str(problem), status)


def failed(words: str, status: int) -> JsonResponse:
    """An error as A1111 says it."""
    return JsonResponse({"error": "EaselError", "detail": words, "body": "", "errors": words}, status=status)
