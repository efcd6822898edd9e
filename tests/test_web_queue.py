"""The queue: nothing is lost, nothing is done twice, and what a kill interrupts goes on."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from easel.errors import EaselError
from tests.web_toy import Nap, Siege

ROOT = Path(__file__).parent.parent


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The queue's clock, which the test moves."""
    now = [1000.0]
    monkeypatch.setattr("easel.web.queue.time.time", lambda: now[0])
    monkeypatch.setattr("easel.web.queue._ahead", [float("inf"), 0.0])  # no look at the database's
    return now


# One process, a clock by hand


def test_order_priority_and_place(owner: Any, clock: list[float]) -> None:
    from easel.web import queue
    from easel.web.models import Job

    first, second, urgent = (queue.enqueue(owner, Nap(), priority=number) for number in (0, 0, 5))
    assert [queue.ahead_of(job) for job in (urgent, first, second)] == [0, 1, 2]
    clock[0] += 1
    third = queue.enqueue(owner, Nap())
    queue.move(third, before=first)
    order = []
    while job := queue.claim("w", "here", heavy=False):
        order.append(job.pk)
        assert queue.finish(job, "w")
    assert order == [urgent.pk, third.pk, first.pk, second.pk]
    assert Job.objects.get(pk=third.pk).state == "done"


def test_a_lease_runs_out_and_the_late_worker_changes_nothing(owner: Any, clock: list[float]) -> None:
    from easel.web import queue
    from easel.web.models import Job

    made = queue.enqueue(owner, Nap())
    job = queue.claim("slow", "here", heavy=False)
    assert job is not None
    clock[0] += queue.LEASE - 1
    assert queue.renew(job, "slow") is False
    clock[0] += queue.LEASE - 1
    assert queue.reap() == 0
    clock[0] += 2
    assert queue.reap() == 1
    again = queue.claim("quick", "here", heavy=False)
    assert again is not None
    assert (again.pk, again.attempts) == (made.pk, 2)
    assert queue.renew(job, "slow") is None
    assert not queue.finish(job, "slow")
    assert not queue.fail(job, "slow", "late")
    assert queue.finish(again, "quick")
    assert Job.objects.get(pk=made.pk).state == "done"


def test_attempts_wait_longer_each_time_and_end(owner: Any, clock: list[float]) -> None:
    from easel.web import queue
    from easel.web.models import Job

    made = queue.enqueue(owner, Nap(seed=1))
    waits = []
    while True:
        job = queue.claim("w", "here", heavy=False)
        assert job is not None
        queue.fail(job, "w", "a fault", again=True)
        made = Job.objects.get(pk=made.pk)
        if made.state == "failed":
            break
        waits.append(made.run_after - clock[0])
        assert queue.claim("w", "here", heavy=False) is None
        clock[0] = made.run_after
    assert made.attempts == queue.MOST_RESUMED
    assert waits[:4] == [5, 10, 20, 40]
    assert made.error == "a fault"
    assert queue.retry(made)
    assert queue.claim("w", "here", heavy=False) is not None


def test_one_heavy_job_a_machine_and_light_ones_pass(owner: Any, clock: list[float]) -> None:
    from easel.web import queue

    for recipe in (Siege(), Siege(), Nap()):
        queue.enqueue(owner, recipe)
    heavy = queue.claim("a", "here", heavy=True)
    assert heavy is not None
    assert queue.claim("b", "here", heavy=True) is None
    assert queue.claim("c", "there", heavy=True) is not None
    assert queue.claim("b", "here", heavy=False) is not None
    assert queue.claim("b", "here", heavy=False) is None


def test_the_database_itself_refuses_a_second_heavy_job(owner: Any) -> None:
    from django.db import IntegrityError, transaction

    from easel.web import queue
    from easel.web.models import Job

    for _ in range(2):
        queue.enqueue(owner, Siege())
    assert queue.claim("a", "here", heavy=True) is not None
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(state="queued").update(state="running", slot="here")


def test_cancel_pause_and_the_night(owner: Any, clock: list[float]) -> None:
    from easel.web import queue
    from easel.web.models import Job, Studio

    waiting = queue.enqueue(owner, Nap())
    queue.cancel(waiting)
    assert Job.objects.get(pk=waiting.pk).state == "cancelled"
    running = queue.enqueue(owner, Nap())
    job = queue.claim("w", "here", heavy=False)
    assert job is not None
    queue.cancel(running)
    assert queue.renew(job, "w") is True
    clock[0] += queue.LEASE + 1
    queue.reap()
    assert Job.objects.get(pk=running.pk).state == "cancelled"  # its worker died before it heard
    queue.enqueue(owner, Nap())
    Studio.get()
    Studio.objects.update(paused=True)
    assert queue.claim("w", "here", heavy=False) is None
    Studio.objects.update(paused=False)
    assert queue.claim("w", "here", heavy=False) is not None
    night = Studio(heavy_from="22:00", heavy_until="06:00")
    hours = {hour: queue.is_hour(night, datetime(2026, 1, 1, hour)) for hour in (5, 6, 12, 21, 22, 23)}
    assert hours == {5: True, 6: False, 12: False, 21: False, 22: True, 23: True}
    assert queue.is_hour(Studio())


def test_a_run_writes_its_index_and_errors_are_told(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from easel.web import queue, worker
    from easel.web.models import Job

    def failing(*_: Any, **__: Any) -> None:
        raise EaselError("the cat is out: call it")

    good, bad, broken = (queue.enqueue(owner, Nap(seed=number)) for number in range(3))
    stop = worker.Stop()
    for job in (good, bad, broken):
        claimed = queue.claim("w", "here", heavy=False)
        assert claimed is not None
        if job is bad:
            monkeypatch.setattr("easel.runners.run", failing)
        if job is broken:
            monkeypatch.setattr("easel.runners.run", lambda *_, **__: 1 / 0)
        worker.Runner(claimed, "w", stop).run()
    states = {job.pk: job for job in Job.objects.all()}
    assert states[good.pk].state == "done", states[good.pk].error
    assert (states[bad.pk].state, states[bad.pk].error) == ("failed", "the cat is out: call it")
    assert states[broken.pk].state == "queued"  # a fault of easel's own: tried again later
    assert "ZeroDivisionError" in states[broken.pk].error


def test_an_unknown_id_is_never_done(owner: Any) -> None:
    from easel.web.models import Job

    assert not Job.objects.filter(pk=4711).exists()


# Real processes


def process(*words: object, **more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.web_toy", *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, env=environment() | more)


def environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("EASEL_", "DJANGO_", "DATABASE"))}
    return kept | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(folder / "studio.sqlite3", timeout=20)) as connection:
        return connection.execute(query).fetchall()


def until(folder: Path, query: str, wanted: list[tuple[Any, ...]]) -> None:
    """Wait until a query answers so; what the test is about is asserted by the caller's last query."""
    for _ in range(3600):
        if rows(folder, query) == wanted:
            return
        time.sleep(0.05)
    raise AssertionError(f"{query}: {rows(folder, query)}, not {wanted}")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A studio's folder with its tables."""
    assert process("enqueue", tmp_path / "studio", 0, 0).wait() == 0
    return tmp_path / "studio"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that end with the test."""
    made: list[subprocess.Popen[bytes]] = []
    yield made
    for one in made:
        if one.poll() is None:
            one.kill()
        one.wait()


def test_eight_enqueue_a_hundred_each_and_two_work(place: Path, started: list[subprocess.Popen[bytes]]) -> None:
    started += [process("worker", place, "counting") for _ in range(2)]
    givers = [process("enqueue", place, 100, mark) for mark in range(1, 9)]
    started += givers
    assert [one.wait() for one in givers] == [0] * 8
    until(place, "select count(*) from studio_job where state = 'done'", [(800,)])
    assert rows(place, "select max(attempts), count(distinct settings) from studio_job") == [(1, 800)]
    assert rows(place, "select count(*) from studio_line where text like 'error%'") == [(0,)]
    runs = [
        (place / "out" / f"nap-{number}" / "runs.txt").read_text()
        for (number,) in rows(place, "select id from studio_job")
    ]
    assert runs == ["run\n"] * 800
    for one in started[:2]:
        one.terminate()
        assert one.wait() == 0


def give(place: Path, kind: str) -> None:
    """Put a job of four seconds into the queue, in forty steps."""
    assert process("give", place, kind).wait() == 0


def test_light_jobs_pass_and_a_told_worker_gives_its_job_back(
    place: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    give(place, "siege")
    started.append(process("worker", place))
    until(place, "select state, done > 1 from studio_job", [("running", 1)])
    give(place, "nap")
    until(place, "select state, done > 1 from studio_job where kind = 'nap'", [("running", 1)])
    assert rows(place, "select state from studio_job where kind = 'siege'") == [("running",)]
    started[0].terminate()
    assert started[0].wait() == 0
    assert rows(place, "select distinct state, attempts, worker from studio_job") == [("queued", 0, "")]


# PostgreSQL

SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@pytest.fixture
def postgresql() -> Iterator[str]:
    """A server of its own, on a socket in its own folder; its address."""
    place = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    programs, data = SERVERS[-1].parent, place / "data"
    before: list[str] = []
    if os.geteuid() == 0:  # the server refuses to be root
        shutil.chown(place, "postgres")
        before = ["runuser", "-u", "postgres", "--"]

    def pg(name: str, *words: str) -> None:
        subprocess.run([*before, str(programs / name), *words], check=True, cwd=place, stdout=subprocess.DEVNULL)

    pg("initdb", "-D", str(data), "-A", "trust", "-U", "studio", "--no-sync")
    pg("pg_ctl", "-D", str(data), "-w", "-l", str(place / "log"), "-o", f"-k {place} -c listen_addresses=''", "start")
    try:
        pg("createdb", "-h", str(place), "-U", "studio", "studio")
        yield f"postgresql://studio@/studio?host={place}"
    finally:
        pg("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.skipif(not SERVERS, reason="no PostgreSQL here: apt-get install postgresql")
def test_the_same_on_postgresql(postgresql: str, tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'easel[postgresql]'")
    place = tmp_path / "studio"
    started += [process("enqueue", place, 20, mark, DATABASE_URL=postgresql) for mark in range(1, 5)]
    assert [one.wait() for one in started] == [0] * 4
    workers = [process("worker", place, "counting", "once", DATABASE_URL=postgresql) for _ in range(2)]
    started += workers
    assert [one.wait() for one in workers] == [0, 0]
    with psycopg.connect(postgresql) as connection:
        query = "select state, count(*), max(attempts), count(distinct settings) from studio_job group by state"
        assert connection.execute(query).fetchall() == [("done", 80, 1, 80)]
    runs = [path.read_text() for path in place.glob("out/*/runs.txt")]
    assert runs == ["run\n"] * 80
    assert not (place / "studio.sqlite3").exists()
