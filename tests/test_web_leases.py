"""The queue's corners, each with a known answer: clocks that differ, late workers, cancels, places, hours."""

from __future__ import annotations

import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from easel.result import Result
from tests.test_web_queue import SERVERS, clock, postgresql, process, started
from tests.web_studio import drawn
from tests.web_toy import Nap, Siege

__all__ = ["clock", "postgresql", "started"]


def state_of(job: Any) -> str:
    from easel.web.models import Job

    return str(Job.objects.get(pk=job.pk).state)


def test_the_clock_is_the_database_s(owner: Any, clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    from easel.web import queue

    class Cursor:
        def execute(self, _sql: str) -> None: ...

        def fetchone(self) -> tuple[float]:
            return (5000.0,)

        def __enter__(self) -> Cursor:
            return self

        def __exit__(self, *_: object) -> None: ...

    class Connection:
        vendor = "postgresql"
        cursor = Cursor

    assert queue.clock() == 1000
    monkeypatch.setattr(queue, "connection", Connection())
    monkeypatch.setattr(queue, "_ahead", [float("-inf"), 0.0])
    assert queue.clock() == 5000
    clock[0] += 7  # not asked again so soon
    assert queue.clock() == 5007


def test_a_lease_renewed_in_the_last_moment_is_kept(owner: Any, clock: list[float], monkeypatch: Any) -> None:
    from easel.web import queue
    from easel.web.models import Job

    queue.enqueue(owner, Nap())
    job = queue.claim("late", "here", heavy=False)
    assert job is not None
    clock[0] += queue.LEASE + 1
    real = Job.objects.filter

    def renewing(*words: Any, **named: Any) -> Any:
        if "lease_until__gte" in named:
            return real(pk=-1)
        if named.get("worker") == "late" and "lease_until" in named:  # between the look and the taking back
            real(pk=job.pk).update(lease_until=clock[0] + queue.LEASE)
        return real(*words, **named)

    monkeypatch.setattr(Job.objects, "filter", renewing)
    assert queue.reap() == 0
    assert queue.renew(job, "late") is False


def test_a_cancel_is_kept_whatever_happens_then(owner: Any, clock: list[float]) -> None:
    from easel.web import queue

    for end in (
        lambda job: queue.release(job, "w", uncounted=True),
        lambda job: queue.fail(job, "w", "a fault", again=True),
    ):
        queue.enqueue(owner, Nap())
        job = queue.claim("w", "here", heavy=False)
        assert job is not None
        queue.cancel(job)
        assert end(job)
        assert state_of(job) == "cancelled"
        queue.cancel(job)
        assert state_of(job) == "cancelled"
    done = queue.enqueue(owner, Nap())
    claimed = queue.claim("w", "here", heavy=False)
    assert claimed is not None
    assert queue.finish(claimed, "w")
    queue.cancel(done)
    assert state_of(done) == "done"
    assert not queue.retry(done)


def test_a_retry_begins_with_clean_figures_and_writes_over_halves(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from easel.web import queue, worker
    from easel.web.models import Job, Picture

    made = queue.enqueue(owner, Nap(steps=2, seed=1))
    job = queue.claim("w", "here", heavy=False)
    assert job is not None
    queue.report(job, "w", phase="sleeping", done=1, total=2, rate=1.0, eta=1.0, preview=5.0)
    job.folder.mkdir(parents=True)
    (job.folder / "recipe.yaml").write_text("kind: nap\nseed: 1\nsteps: 2\n")
    (job.folder / "steps.txt").write_text("0\n")
    (job.folder / ".01.png.0123abcd.part").write_bytes(b"half")
    assert queue.fail(job, "w", "the disk is full")
    assert queue.retry(made)
    fresh = Job.objects.get(pk=made.pk)
    assert (fresh.phase, fresh.done, fresh.total, fresh.rate, fresh.eta, fresh.preview) == ("", 0, 0, None, None, 0)
    again = queue.claim("w", "here", heavy=False)
    assert again is not None
    worker.Runner(again, "w", worker.Stop()).run()
    assert state_of(made) == "done", Job.objects.get(pk=made.pk).error
    assert (made.folder / "steps.txt").read_text() == "0\n1\n"
    assert not list(made.folder.glob(".*.part"))
    assert Picture.objects.count() == 1


def test_a_worker_that_lost_its_job_leaves_no_rows(owner: Any, clock: list[float]) -> None:
    from easel.web import index, queue
    from easel.web.models import Picture

    queue.enqueue(owner, Nap())
    job = queue.claim("slow", "here", heavy=False)
    assert job is not None
    job.folder.mkdir(parents=True, exist_ok=True)
    drawn().save(job.folder / "01.png")
    clock[0] += queue.LEASE + 1
    assert queue.reap() == 1
    assert not index.write_index(job, "slow", Result(kind="nap", folder=job.folder, pictures=("01.png",)))
    assert not Picture.objects.exists()
    assert state_of(job) == "queued"


def test_places_never_run_out(owner: Any, clock: list[float]) -> None:
    from easel.web import queue
    from easel.web.models import Job

    first, second, *others = (queue.enqueue(owner, Nap(seed=number)) for number in range(4))  # all in one moment
    wanted = [first.pk, second.pk, *(job.pk for job in others)]
    for turn in range(80):  # each time between the same two
        moved = Job.objects.get(pk=wanted[-1] if turn % 2 else wanted[2])
        target = Job.objects.get(pk=wanted[1])
        if moved.pk == target.pk:
            continue
        queue.move(moved, before=target)
        wanted.remove(moved.pk)
        wanted.insert(wanted.index(target.pk), moved.pk)
        assert list(Job.objects.order_by("-priority", "place", "pk").values_list("pk", flat=True)) == wanted
    newest = queue.enqueue(owner, Nap())
    assert list(Job.objects.order_by("place", "pk").values_list("pk", flat=True)) == [*wanted, newest.pk]


def test_the_hours_of_heavy_jobs(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """'Train from 22:00': a heavy job waits for its hour, light ones do not; one that runs is not stopped by day."""
    from easel.web import queue
    from easel.web.models import Studio

    Studio.get()
    Studio.objects.update(heavy_from="22:00", heavy_until="06:00")
    hour = [12]

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2026, 1, 1, hour[0], 0)

    monkeypatch.setattr(queue, "datetime", Clock)
    queue.enqueue(owner, Siege())
    queue.enqueue(owner, Nap())
    assert queue.claim("w", "here", heavy=True) is None
    assert queue.claim("w", "here", heavy=False) is not None
    hour[0] = 23
    night = queue.claim("w", "here", heavy=True)
    assert night is not None
    hour[0] = 6
    assert queue.renew(night, "w") is False
    for first, last, inside in (
        ("09:00", "17:00", {9, 12, 16}),
        ("22:00", "06:00", {22, 23, 0, 5}),
        ("00:00", "00:00", set(range(24))),
        ("", "", set(range(24))),
    ):
        open_at = {
            at
            for at in range(24)
            if queue.is_hour(Studio(heavy_from=first, heavy_until=last), datetime(2026, 1, 1, at))
        }
        assert inside <= open_at
        assert len(open_at) == {"09:00": 8, "22:00": 8}.get(first, 24)


def test_priority_before_order_and_waits_hold_nobody_up(owner: Any, clock: list[float]) -> None:
    from easel.web import queue

    plain, late, urgent = (
        queue.enqueue(owner, Nap(), priority=at, run_after=after) for at, after in ((0, 0), (5, 2000), (1, 0))
    )
    order = [queue.claim("w", "here", heavy=False) for _ in range(3)]
    assert [job and job.pk for job in order] == [urgent.pk, plain.pk, None]
    clock[0] = 2000
    due = queue.claim("w", "here", heavy=False)
    assert due is not None
    assert due.pk == late.pk
    assert [queue.backoff(attempts) for attempts in (0, 1, 2, 3, 4, 7, 50)] == [0, 5, 10, 20, 40, 300, 300]


def test_a_heavy_process_that_never_comes_up_gives_its_job_back(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from easel.web import queue, start, worker
    from easel.web.models import Job

    monkeypatch.setattr(start, "PROCESS", (sys.executable, "-c", "raise SystemExit(1)"))
    made = queue.enqueue(owner, Siege())
    one = worker.Worker(stop=worker.Stop(), once=True)
    assert one._begin_next()
    assert one._child is not None
    held = Job.objects.get(pk=made.pk)
    assert (held.state, held.lease_until is not None and held.lease_until - time.time() > queue.LEASE) == (
        "running",
        True,
    )
    one._child.wait()
    one._begin_next()
    again = Job.objects.get(pk=made.pk)
    assert (again.state, again.attempts) == ("queued", 1)
    assert again.run_after > time.time() + 4
    assert "did not come up" in again.error


def test_a_run_outlives_a_restart_of_the_database(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    from easel.web import queue, worker

    told = []

    def broken(*_: Any, **__: Any) -> None:
        told.append(1)
        raise OperationalError("the server closed the connection")

    made = queue.enqueue(owner, Nap(steps=3, seconds=0.01, seed=1))
    job = queue.claim("w", "here", heavy=False)
    assert job is not None
    monkeypatch.setattr(queue, "report", broken)
    worker.Runner(job, "w", worker.Stop()).run()
    assert told
    assert state_of(made) == "done"
    # Lost at the very end: the lease runs out, and the next attempt finds all done.
    other = queue.enqueue(owner, Nap(steps=3, seed=2))
    job = queue.claim("w", "here", heavy=False)
    assert job is not None
    monkeypatch.setattr(queue, "finish", broken)
    monkeypatch.setattr(queue, "fail", broken)
    worker.Runner(job, "w", worker.Stop()).run()
    assert state_of(other) == "running"


def test_those_who_watch_outlive_it_too(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from django.db import OperationalError

    from easel.web import live

    answers: list[Any] = [{}, OperationalError("gone"), {7: 1.0}]

    def look() -> dict[int, float]:
        found = answers.pop(0) if answers else {7: 1.0}
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(live, "stamps", look)
    monkeypatch.setattr(live, "LOOK", 0.01)
    monkeypatch.setattr(live, "LOST", 0.01)

    async def heard() -> set[int]:
        watcher = live.feed().watch()
        try:
            return await watcher.changed(10)
        finally:
            watcher.leave()

    assert asyncio.run(heard()) == {7}


def test_machines_of_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    import uuid

    from easel.web import worker

    names = set()
    for card in (1, 2):
        monkeypatch.setattr(uuid, "getnode", lambda card=card: card)
        worker.machine_name.cache_clear()
        names.add(worker.machine_name())
        assert worker.is_alive(worker.own_name())
    assert len(names) == 2
    worker.machine_name.cache_clear()
    drawn_anew = 1 << 40  # what Python draws where there is no card
    monkeypatch.setattr(uuid, "getnode", lambda: drawn_anew + time.monotonic_ns() % 1000)
    first = worker.machine_name()
    worker.machine_name.cache_clear()
    assert worker.machine_name() == first
    worker.machine_name.cache_clear()
    assert not worker.is_alive(f"{worker.machine_name()}:999999999:1:abcd")
    assert worker.is_alive("elsewhere:1:1:abcd")
    worker.machine_name.cache_clear()


def test_a_job_says_that_it_was_cancelled(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled within one step, and the next in the line begins."""
    from easel.web import queue, worker
    from easel.web.models import Job

    made = queue.enqueue(owner, Nap(steps=100, seconds=0.05, seed=1))
    job = queue.claim("w", "here", heavy=False)
    assert job is not None
    real, steps = worker.Runner._report, []

    def reported(self: Any, step: Any) -> None:
        steps.append(step.done)
        if step.done == 2:
            queue.cancel(made)
            time.sleep(3 * worker.WATCH)
        real(self, step)

    monkeypatch.setattr(worker.Runner, "_report", reported)
    worker.Runner(job, "w", worker.Stop()).run()
    assert steps == [0, 1, 2]
    assert state_of(made) == "cancelled"
    assert "stopped during sleeping (2 of 100)" in " ".join(
        Job.objects.get(pk=made.pk).lines.values_list("text", flat=True)
    )


@pytest.mark.skipif(not SERVERS, reason="no PostgreSQL here: apt-get install postgresql")
def test_a_worker_whose_clock_is_wrong_takes_nothing_away(
    postgresql: str, tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'easel[postgresql]'")
    place = tmp_path / "studio"
    assert process("give", place, "nap:20", DATABASE_URL=postgresql).wait() == 0
    started.append(process("worker", place, "once", DATABASE_URL=postgresql, TOY_SKEW="-7200"))
    with psycopg.connect(postgresql, autocommit=True) as connection:
        for _ in range(1200):
            if connection.execute(
                "select count(*) from studio_job where state = 'running' and done > 2"
            ).fetchone() == (1,):
                break
            time.sleep(0.05)
        started.append(process("worker", place, "once", DATABASE_URL=postgresql, TOY_SKEW="7200"))
        assert [one.wait() for one in started] == [0, 0]
        assert connection.execute("select state, attempts from studio_job").fetchall() == [("done", 1)]
        low, high = connection.execute("select started, extract(epoch from now()) from studio_job").fetchone()
        assert 0 < float(high) - low < 300
    assert (place / "out" / "nap-1" / "runs.txt").read_text() == "run\n"
