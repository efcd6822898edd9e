"""What changes, to those who watch: one look at the tables for all of them, and server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

from easel.web.models import Job

LOOK = 0.4
"""Seconds between two looks at the tables while anybody watches."""
ALIVE = 15.0
"""Seconds after which a silent stream says that it lives."""
BACK = 20.0
"""Seconds back that a look goes, for clocks of other machines."""


class Feed:
    """Tells every watcher which jobs changed. One task looks, however many watch; none looks where nobody does."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Queue[set[int]]] = set()
        self._task: asyncio.Task[None] | None = None

    async def changes(self) -> AsyncGenerator[set[int], None]:
        """The numbers of jobs that change, as they do; an empty set now and then, so that one who left is noticed."""
        mine: asyncio.Queue[set[int]] = asyncio.Queue()
        self._watchers.add(mine)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            while True:
                try:
                    found = await asyncio.wait_for(mine.get(), ALIVE)
                except TimeoutError:
                    found = set()
                while not mine.empty():
                    found |= mine.get_nowait()
                yield found
        finally:
            self._watchers.discard(mine)

    async def _look(self) -> None:
        seen: dict[int, float] = await sync_to_async(stamps)()
        while self._watchers:
            await asyncio.sleep(LOOK)
            now = await sync_to_async(stamps)()
            changed = {number for number, stamp in now.items() if seen.get(number) != stamp}
            seen = now
            if changed:
                for one in self._watchers:
                    one.put_nowait(changed)


def stamps() -> dict[int, float]:
    """When each job that changed of late did so."""
    return dict(Job.objects.filter(stamp__gt=time.time() - BACK).values_list("pk", "stamp"))


_FEEDS: dict[int, Feed] = {}


def feed() -> Feed:
    """The feed of this process's loop."""
    loop = id(asyncio.get_running_loop())
    return _FEEDS.setdefault(loop, Feed())


END = ""
"""An event that ends a stream."""


def stream(
    first: Callable[[], Awaitable[list[str]]], then: Callable[[set[int]], Awaitable[list[str]]]
) -> StreamingHttpResponse:
    """Server-sent events: what `first` gives, and what `then` makes of every change, until one of them says END."""

    async def events() -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        begun = await first()
        for said in begun:
            yield said
        if END in begun:
            return
        async for changed in feed().changes():
            said_now = await then(changed) if changed else [": alive\n\n"]
            for said in said_now:
                yield said
            if END in said_now:
                return

    response = StreamingHttpResponse(events(), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def event(name: str, value: Any) -> str:
    """One event with a JSON value."""
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"
