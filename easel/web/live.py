"""What changes, to those who watch: one look at the tables for all of them, and server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse

from easel.web import queue, safety
from easel.web.models import Job

LOOK = 0.4
"""Seconds between two looks at the tables while anybody watches."""
ALIVE = 15.0
"""Seconds after which a silent stream says that it lives."""
BACK = 20.0
"""Seconds back that a look goes."""
LOST = 2.0
"""Seconds until the next look after one at a database that is not reached."""


class Watcher:
    """One who watches, until `leave`."""

    def __init__(self, watchers: set[Watcher]) -> None:
        self._heard: set[int] = set()
        self._news = asyncio.Event()
        self._watchers = watchers
        watchers.add(self)

    def notify(self, changed: set[int]) -> None:
        """Say which jobs changed."""
        self._heard |= changed
        self._news.set()

    async def changed(self, seconds: float) -> set[int]:
        """The numbers of jobs that changed since this was asked last; none where nothing does for so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)
        heard, self._heard = self._heard, set()
        self._news.clear()
        return heard

    def leave(self) -> None:
        """Watch no more."""
        self._watchers.discard(self)


class Feed:
    """Tells every watcher which jobs changed. One task looks, however many watch; none looks where nobody does."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._task: asyncio.Task[None] | None = None
        self._made: dict[Any, asyncio.Future[Any]] = {}

    def watch(self) -> Watcher:
        """Begin to watch: what changes from now on is heard, also before it is asked for."""
        mine = Watcher(self._watchers)
        if self._task is None or self._task.done():
            self._made.clear()
            self._task = asyncio.create_task(self._look())
        return mine

    async def _look(self) -> None:
        seen: dict[int, float] = {}  # so that what changed just before is told once more, and not missed
        while self._watchers:
            try:
                now = await sync_to_async(stamps)()
            except DatabaseError:  # a restart of the database: those who watch go on
                await asyncio.sleep(LOST)
                continue
            changed = {number for number, stamp in now.items() if seen.get(number) != stamp}
            seen = now
            if changed:
                self._made.clear()
                for one in self._watchers:
                    one.notify(changed)
            await asyncio.sleep(LOOK)

    async def shared(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once between two changes for all who ask by the same key."""
        found = self._made.get(key)
        if found is None or (found.done() and (found.cancelled() or found.exception() is not None)):
            self._made[key] = asyncio.ensure_future(sync_to_async(make)())
        return await asyncio.shield(self._made[key])

    def end(self) -> None:
        """Wake all who watch: the server ends."""
        for one in self._watchers:
            one.notify(set())


def end() -> None:
    """The server ends, and so does every stream."""
    ENDING.set()
    for one in list(_FEEDS.values()):
        one.end()


def stamps() -> dict[int, float]:
    """When each job that changed of late did so."""
    try:
        return dict(Job.objects.filter(stamp__gt=queue.clock() - BACK).values_list("pk", "stamp"))
    except DatabaseError:
        connection.close()
        raise


_FEEDS: dict[int, Feed] = {}
_OPEN: Counter[int] = Counter()
"""Streams by person."""
MOST_STREAMS = 100
"""Streams of one person, at most: each takes a thread."""
ENDING = threading.Event()
"""That the server ends."""


def feed() -> Feed:
    """The feed of this process's loop."""
    loop = id(asyncio.get_running_loop())
    return _FEEDS.setdefault(loop, Feed())


END = ""
"""An event that ends a stream."""


def stream(
    request: HttpRequest,
    first: Callable[[], Awaitable[list[str]]],
    then: Callable[[set[int]], Awaitable[list[str]]],
    pace: float = 0.0,
) -> HttpResponseBase:
    """Server-sent events: what `first` gives, and what `then` makes of every change, until one of them says END,
    who asked is logged out, or the server ends. Between two there are `pace` seconds at least.
    """
    person = request.user.pk
    if _OPEN[person] >= MOST_STREAMS:
        words = f"{MOST_STREAMS} pages of yours watch already: close some"
        return JsonResponse({"detail": words, "fields": {}}, status=429)

    async def events() -> AsyncIterator[str]:
        _OPEN[person] += 1
        try:
            async with contextlib.aclosing(lines_as_they_come()) as coming:
                async for one in coming:
                    yield one
        finally:
            _OPEN[person] -= 1

    async def lines_as_they_come() -> AsyncGenerator[str]:
        yield "retry: 2000\n\n"
        watcher, asked = feed().watch(), time.monotonic()
        try:
            said = await first()
            while True:
                for one in said:
                    yield one
                if END in said:
                    return
                if pace and said:
                    await asyncio.sleep(pace)
                changed = await watcher.changed(ALIVE)
                if ENDING.is_set():
                    return
                if time.monotonic() - asked >= ALIVE:
                    if not await sync_to_async(safety.is_still_in)(request):
                        return
                    asked = time.monotonic()
                said = await then(changed) if changed else [": alive\n\n"]
        finally:
            watcher.leave()

    response = StreamingHttpResponse(events(), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def event(name: str, value: Any) -> str:
    """One event with a JSON value."""
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"
