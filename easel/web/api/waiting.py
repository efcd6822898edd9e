"""Calls that answer with pictures at once: they wait on the queue, and give up in words, never dropping the job."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async

from easel.errors import EaselError
from easel.recipes import Recipe
from easel.result import Result
from easel.web import gate, live, queue
from easel.web.models import CANCELLED, DONE, FAILED, Job

PATIENCE = 540.0
"""Seconds that a call waits: less than clients do, some of which would send the same again."""
LOOK_AGAIN = 2.0
"""Seconds after which a call looks again by itself."""


class StillWorking(EaselError):
    """The job goes on, but this call waited long enough."""


async def enqueued(person: Any, recipe: Recipe) -> Job:
    """Put a program's recipe into the queue. Raises EaselError where it names what this person may not."""
    await sync_to_async(gate.admitted)(recipe, person)
    job: Job = await sync_to_async(queue.enqueue)(person, recipe)
    return job


async def made(person: Any, recipe: Recipe, patience: float = PATIENCE) -> Job:
    """Put a recipe into the queue and wait until it is done. Raises EaselError with the job's own words where it
    failed, and StillWorking where it takes too long.
    """
    job = await enqueued(person, recipe)
    return await over(job, patience)


async def over(job: Job, patience: float = PATIENCE) -> Job:
    """Wait until a job is over, and done."""
    async for now in followed(job, patience):
        if now.state == DONE:
            return now
    raise AssertionError("a job that is followed ends done, or with an error")


async def followed(job: Job, patience: float = PATIENCE) -> AsyncIterator[Job]:
    """A job as it changes, and every few seconds, until it is done. Raises EaselError with its own words where it
    failed, and StillWorking where it takes too long.
    """
    until = time.monotonic() + patience
    watcher = live.feed().watch()
    try:
        while True:
            now: Job = await Job.objects.aget(pk=job.pk)
            if now.state == FAILED:
                raise EaselError(now.error)
            if now.state == CANCELLED:
                raise EaselError(f"job {job.pk} was cancelled")
            yield now
            if now.state == DONE:
                return
            left = 0.0 if live.ENDING.is_set() else until - time.monotonic()
            if left <= 0:
                why = "now that the studio stops" if live.ENDING.is_set() else f"after {patience:.0f} seconds"
                raise StillWorking(f"job {job.pk} is not done {why}: it goes on, see /jobs/{job.pk}/")
            await watcher.changed(min(left, LOOK_AGAIN))
    finally:
        watcher.leave()


def picture_paths(job: Job) -> list[Path]:
    """The pictures that a job made."""
    return [picture.path for picture in job.pictures.filter(binned=None).select_related("job").order_by("pk")]


def maps_of(job: Job) -> list[Path]:
    """The control maps that a job followed, where it saved them."""
    return [job.folder / name for name in Result.read(job.folder).files if name.startswith("controls/")]


def texts_of(job: Job) -> dict[str, str]:
    """What a job says of its pictures."""
    return dict(Result.read(job.folder).texts)
