"""The queue: a table with leases. Whoever dies loses the lease, and the job goes to the next.

A job is claimed by one UPDATE ... RETURNING. Every later change by a worker names the worker, so one that was thought
dead and comes back changes nothing. The clock is the database's, so that machines whose clocks differ agree.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F, Min, Q

from easel.errors import EaselError
from easel.jobs import compared
from easel.recipes import Recipe
from easel.web.models import CANCELLED, DONE, FAILED, QUEUED, RUNNING, Job, Line, Studio

LEASE = 30.0
"""Seconds for which a job is a worker's without a word from it."""
MOST_ATTEMPTS = 3
"""Times that a job is begun."""
MOST_RESUMED = 10
"""The same of one that goes on where it stopped."""
FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0
"""Seconds before the second further attempt, doubled with each after it."""
HEAVY_START = 120.0
"""Seconds that a heavy job's own process has to come up and take the lease over."""
MOST_WAITING = 10_000
"""Jobs of one person that wait, at most."""
MEASURED = 30.0
"""Seconds after which the database's clock is looked at again."""

_ahead = [float("-inf"), 0.0]
"""When this process looked at the database's clock last, and how far that is ahead of its own."""

CLAIM = """
UPDATE studio_job SET state = 'running', worker = %(worker)s, slot = %(slot)s, lease_until = %(until)s,
    started = COALESCE(started, %(now)s), attempts = attempts + 1, stamp = %(now)s, error = ''
WHERE state = 'queued' AND id = (
    SELECT id FROM studio_job WHERE state = 'queued' AND run_after <= %(now)s AND heavy = %(heavy)s
    ORDER BY priority DESC, place, id LIMIT 1 {lock}
) RETURNING id
"""


class Full(EaselError):
    """One person has too many jobs in the queue."""


def clock() -> float:
    """Seconds since 1970 by the database's clock. SQLite has none of its own, and is of one machine."""
    if connection.vendor == "postgresql" and time.monotonic() - _ahead[0] > MEASURED:
        with connection.cursor() as cursor:
            before = time.time()
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
            _ahead[:] = time.monotonic(), float(cursor.fetchone()[0]) - (before + time.time()) / 2
    return time.time() + (_ahead[1] if connection.vendor == "postgresql" else 0.0)


def enqueue(owner: Any, recipe: Recipe, *, priority: int = 0, run_after: float = 0) -> Job:
    """Put a recipe at the end of its priority's line. Raises EaselError where this person has too many in it."""
    if Job.objects.filter(owner=owner, state=QUEUED).count() >= MOST_WAITING:
        raise Full(f"{MOST_WAITING:,} jobs of yours wait already: let some come to their end first")
    now = clock()
    job = Job(
        owner=owner,
        kind=recipe.kind,
        settings=recipe.plain(),
        heavy=recipe.heavy,
        priority=priority,
        created=now,
        run_after=run_after,
        stamp=now,
    )
    job.place = now
    job.save(force_insert=True)
    return job


def claim(worker: str, machine: str, *, heavy: bool) -> Job | None:
    """The next job for this worker, now running; None where there is none, the studio is paused, or, for a heavy one,
    the machine's slot is taken or the hour is not right.
    """
    studio = Studio.get()
    if studio.paused or (heavy and not is_hour(studio)):
        return None
    now = clock()
    if not Job.objects.filter(state=QUEUED, heavy=heavy, run_after__lte=now).exists():
        return None  # without a lock on what others write
    values = {
        "worker": worker,
        "slot": machine if heavy else "",
        "until": now + (HEAVY_START if heavy else LEASE),
        "now": now,
        "heavy": heavy,
    }
    lock = "FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            if heavy and Job.objects.filter(state=RUNNING, slot=machine).exists():
                return None
            cursor.execute(CLAIM.format(lock=lock), values)
            row = cursor.fetchone()
    except IntegrityError:  # another worker of this machine took the slot in the same moment
        return None
    return Job.objects.get(pk=row[0]) if row else None


def is_hour(studio: Studio, now: datetime | None = None) -> bool:
    """Whether heavy jobs may start at this hour of the machine's own clock."""
    if not studio.heavy_from or not studio.heavy_until:
        return True
    clock = (now or datetime.now().astimezone()).strftime("%H:%M")
    first, last = studio.heavy_from, studio.heavy_until
    return first <= clock < last if first < last else clock >= first or clock < last


def renew(job: Job, worker: str) -> bool | None:
    """Keep the lease. Whether the job was asked to stop; None where it is this worker's no more."""
    now = clock()
    mine = Job.objects.filter(pk=job.pk, worker=worker, state=RUNNING)
    if not mine.update(lease_until=now + LEASE):
        return None
    return bool(mine.values_list("stop", flat=True).first())


def report(job: Job, worker: str, **progress: Any) -> None:
    """Write how far it is, and keep the lease with it."""
    now = clock()
    mine = Job.objects.filter(pk=job.pk, worker=worker, state=RUNNING)
    mine.update(lease_until=now + LEASE, stamp=now, **progress)


def log(job: Job, text: str) -> None:
    """A line into its log."""
    Line.objects.create(job=job, at=clock(), text=text)


def finish(job: Job, worker: str) -> bool:
    """Done, where it is this worker's still; the caller has written the index in the same transaction."""
    return _end(job, worker, DONE)


def fail(job: Job, worker: str, error: str, *, again: bool = False) -> bool:
    """Ended with an error; with `again` it waits for another attempt, while there are any left."""
    if again and job.attempts < most_attempts(job):
        return release(job, worker, wait=backoff(job.attempts), error=error)
    return _end(job, worker, FAILED, error)


def stopped(job: Job, worker: str) -> bool:
    """It was asked to stop, and did."""
    return _end(job, worker, CANCELLED)


def release(job: Job, worker: str, *, wait: float = 0, error: str = "", uncounted: bool = False) -> bool:
    """Back into the queue, at its own place; with `uncounted` this attempt was none. What was asked to stop ends."""
    if Job.objects.filter(pk=job.pk, worker=worker, state=RUNNING, stop=True).exists():
        return stopped(job, worker)
    now = clock()
    mine = Job.objects.filter(pk=job.pk, worker=worker, state=RUNNING)
    changes = {"attempts": F("attempts") - 1} if uncounted else {}
    changes |= {"state": QUEUED, "worker": "", "slot": "", "lease_until": None, "run_after": now + wait, "stamp": now}
    return bool(mine.update(error=error, **changes))


def _end(job: Job, worker: str, state: str, error: str = "") -> bool:
    now = clock()
    mine = Job.objects.filter(pk=job.pk, worker=worker, state=RUNNING)
    ended = {"ended": now, "stamp": now, "error": error, "worker": "", "slot": "", "lease_until": None, "stop": False}
    return bool(mine.update(state=state, eta=None, **ended))


def reap(dead: Sequence[str] = ()) -> int:
    """Take back what dead workers hold: those whose lease has run out, and those known to be dead. How many."""
    now = clock()
    held = Job.objects.filter(state=RUNNING)
    lost = [*held.filter(lease_until__lt=now), *held.filter(lease_until__gte=now, worker__in=dead)]
    count = 0
    for job in lost:
        if job.worker not in dead:
            taken = f"lost {job.worker}"[:120]
            mine = Job.objects.filter(pk=job.pk, worker=job.worker, state=RUNNING, lease_until=job.lease_until)
            if not mine.update(worker=taken):
                continue  # it was late, and renewed in the same moment
            job.worker = taken
        if job.stop:
            count += stopped(job, job.worker)
        elif job.attempts >= most_attempts(job):
            said = f"its worker ended without a word, {job.attempts} times: see its log, and whether memory was short"
            count += _end(job, job.worker, FAILED, said)
        else:
            log(job, f"its worker ended without a word (attempt {job.attempts}): it goes on")
            count += release(job, job.worker, wait=backoff(job.attempts - 1))
    return count


def most_attempts(job: Job) -> int:
    """Times that it is begun."""
    try:
        return MOST_RESUMED if job.recipe.resumes else MOST_ATTEMPTS
    except Exception:  # noqa: BLE001 - a recipe that no longer reads is told where it is run
        return MOST_ATTEMPTS


def backoff(attempts: int) -> float:
    """Seconds to wait after so many failed attempts: none after the first lost one, then 5, 10, 20, ..."""
    return 0.0 if attempts < 1 else min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempts - 1))


def cancel(job: Job) -> None:
    """Stop it: at once while it waits, at its next step while it runs."""
    now = clock()
    waiting = Job.objects.filter(pk=job.pk, state=QUEUED)
    if not waiting.update(state=CANCELLED, ended=now, stamp=now):
        Job.objects.filter(pk=job.pk, state=RUNNING).update(stop=True, stamp=now)


def retry(job: Job) -> bool:
    """Again from the end of the line; what resumes goes on where it stopped. Whether it was over."""
    now = clock()
    over = Job.objects.filter(pk=job.pk, state__in=(FAILED, CANCELLED))
    fresh = {"attempts": 0, "error": "", "ended": None, "started": None, "stop": False, "run_after": 0}
    fresh |= {"phase": "", "done": 0, "total": 0, "rate": None, "eta": None, "preview": 0}
    return bool(over.update(state=QUEUED, place=now, stamp=now, **fresh))


def go_on(job: Job, recipe: Recipe) -> dict[str, str]:
    """Again in the folder where it ended, with what may be more then, such as the length of a training; or what may not
    change, by setting.
    """
    then, now = compared(job.recipe), compared(recipe)
    fixed = [key for key in then | now if then.get(key) != now.get(key) and key not in recipe.free]
    if fixed or not recipe.resumes:
        return {key: f"was {then.get(key)}, and stays so when it goes on" for key in fixed} or {"": "it does not go on"}
    kept = recipe.model_copy(update={"seed": job.recipe.seed}).plain()
    over = Job.objects.filter(pk=job.pk, state__in=(DONE, FAILED, CANCELLED))
    if not over.update(settings=kept, state=CANCELLED) or not retry(job):
        return {"": "it is still under way"}
    return {}


def move(job: Job, *, before: Job | None) -> None:
    """To the place just before another waiting job, taking its priority; None is the end of its own priority's line."""
    with transaction.atomic():
        waiting = Job.objects.filter(state=QUEUED)
        priority = job.priority if before is None else before.priority
        line = [one for one in waiting.filter(priority=priority).order_by("place", "pk") if one.pk != job.pk]
        numbers = [one.pk for one in line]
        at = numbers.index(before.pk) if before is not None and before.pk in numbers else len(line)
        low = line[at - 1].place if at else None
        high = line[at].place if at < len(line) else None
        place = _between(low, high)
        if (low is not None and place <= low) or (high is not None and place >= high):
            # No number lies between the two any more: all get places a second apart, up to that of the last.
            last = line[-1].place
            numbers.insert(at, job.pk)
            for index, number in enumerate(numbers):
                waiting.filter(pk=number).update(place=last - (len(numbers) - 1 - index))
            place = last - (len(numbers) - 1 - at)
        waiting.filter(pk=job.pk).update(place=place, priority=priority, stamp=clock())


def _between(low: float | None, high: float | None) -> float:
    """A place between two; None is that there is none on that side."""
    if high is None:
        return max(clock(), (low or 0.0) + 0.001)
    return high - 1 if low is None else (low + high) / 2


def move_among(job: Job, person: Any, *, before: Job | None) -> None:
    """Just before another waiting job of this person's, or behind all of them: only their own jobs change places, so
    that nobody else waits longer for it.
    """
    with transaction.atomic():
        own = list(Job.objects.filter(state=QUEUED, owner=person).order_by("-priority", "place", "pk"))
        places = [(one.priority, one.place) for one in own]
        numbers = [one.pk for one in own]
        if job.pk not in numbers:
            return
        rest = [number for number in numbers if number != job.pk]
        at = rest.index(before.pk) if before is not None and before.pk in rest else len(rest)
        rest.insert(at, job.pk)
        for number, (priority, place) in zip(rest, places, strict=True):
            Job.objects.filter(pk=number, state=QUEUED).update(priority=priority, place=place, stamp=clock())


def ahead_of(job: Job) -> int:
    """How many waiting jobs come before it."""
    waiting = Job.objects.filter(state=QUEUED)
    sooner = Q(priority__gt=job.priority) | Q(priority=job.priority, place__lt=job.place)
    return waiting.filter(sooner | Q(priority=job.priority, place=job.place, pk__lt=job.pk)).count()


def first_waiting() -> float | None:
    """When the next attempt of a waiting job is due."""
    found: float | None = Job.objects.filter(state=QUEUED).aggregate(first=Min("run_after"))["first"]
    return found
