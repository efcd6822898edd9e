"""What is sent to the studio, bounded before any of it is kept: a stranger sends a megabyte, a person what they have
room for, and nobody more than the disk takes.

Django writes the whole body of a request to the disk before it asks who sent it; hence this stands before Django.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse

from easel.files import ROOM_WANTED
from easel.web import safety

SMALL = 1_000_000
"""Bytes that anybody may send."""
AROUND = 1_000_000
"""Bytes that a form has around its files."""

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


class Bounded:
    """An application that is sent no more than `most` says."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer 413 or 507 in the studio's stead, or hand the request on and count what comes."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._application(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"")
        size = int(said) if said.isdigit() and len(said) < 19 else None
        limit, problem = SMALL, HttpResponse("this is longer than it says", status=413, content_type="text/plain")
        if size is None or size > SMALL:
            limit, problem = await sync_to_async(most)(scope)
        if size is not None and size > limit:
            await answer(problem, send)
            return
        got, begun, is_over = 0, False, False

        async def counted() -> Message:
            nonlocal got, is_over
            message = await receive()
            got += len(message.get("body", b""))
            is_over = is_over or got > limit
            return {"type": "http.disconnect"} if is_over else message

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        await self._application(scope, counted, sent)
        if is_over and not begun:
            await answer(problem, send)


def most(scope: Message) -> tuple[int, HttpResponse]:
    """Bytes that who asks may send, and the answer where there are more."""
    from easel.web import uploads

    request = ASGIRequest(scope, io.BytesIO())
    SessionMiddleware(lambda _request: HttpResponse()).process_request(request)
    request.user = get_user(request)
    stranger = safety.who(request)
    if stranger is not None:
        return SMALL, safety.refused(request, "this is too large for somebody who is not logged in", 413)
    limits = {
        (413, f"this is too large: at most {settings.MOST_WEIGHTS / 1e6:,.0f} MB"): settings.MOST_WEIGHTS,
        (413, uploads.NO_ROOM): uploads.room_left(request.user),
        # The body is written to the disk, and what it holds once more.
        (507, "the disk of the studio is full"): (shutil.disk_usage(settings.FOLDER).free - ROOM_WANTED) // 2,
    }
    (status, words), least = min(limits.items(), key=lambda item: item[1])
    return max(least, 0) + AROUND, safety.refused(request, words, status)


async def answer(response: HttpResponse, send: Send) -> None:
    """Send a whole answer, and close the connection, on which more would come."""
    headers = [(name.lower().encode(), value.encode()) for name, value in response.items()]
    headers += [(b"content-length", str(len(response.content)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
