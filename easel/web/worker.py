"""A worker: it takes jobs from the queue and runs them as the command line does, each in its own folder.

Light jobs run in this process, one after the other, so that models stay warm. A heavy one runs in a process of its own
beside it, `Runner` in both; so light jobs pass a long training. What a worker is told to stop goes back into the queue.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from django.db import DatabaseError, close_old_connections, connections

from easel import runners
from easel.errors import Cancelled, EaselError, UnexpectedError, printable, unexpected
from easel.progress import lines
from easel.runners.local import Busy
from easel.web import queue, start
from easel.web.index import save_preview, write_index
from easel.web.models import RUNNING, Job
from easel.workspace import Report, Step

IDLE = 0.2
"""Seconds between two looks at an empty queue."""
WATCH = 0.2
"""Seconds between two looks at whether a running job was asked to stop."""
PROGRESS_EVERY = 0.4
"""Seconds between two reports within one phase."""
REAP_EVERY = 2.0
GRACE = 60.0
"""Seconds that a heavy job's process has to stop by itself."""


@cache
def machine_name() -> str:
    """What this machine is called among those that share a studio.

    Containers and copied machines may share a host's name, and number their processes alike: what tells them apart is
    in it too.
    """
    marks = [socket.gethostname()]
    with contextlib.suppress(OSError):
        marks.append(str(Path("/proc/self/ns/pid").readlink()))
    with contextlib.suppress(OSError):
        marks.append(Path("/etc/machine-id").read_text().strip())
    card = uuid.getnode()
    if not card >> 40 & 1:  # else it was drawn, and each process draws another
        marks.append(f"{card:x}")
    return f"{marks[0][:40] or 'machine'}-{hashlib.sha256(' '.join(marks).encode()).hexdigest()[:8]}"


def own_name() -> str:
    """This worker: machine, process, when that began, and a word of its own."""
    began = int(psutil.Process().create_time())
    return f"{machine_name()}:{os.getpid()}:{began}:{secrets.token_hex(4)}"


def is_alive(worker: str) -> bool:
    """Whether the process of a worker may still live; of another machine only its lease can tell."""
    machine, number, began, *_ = [*worker.rsplit(":", 3), "", "", ""]
    if machine != machine_name() or not number.isdigit() or not began.isdigit():
        return True
    try:
        return abs(psutil.Process(int(number)).create_time() - int(began)) < 2
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def reap() -> None:
    """Take back what dead workers hold."""
    holders = set(Job.objects.filter(state=RUNNING).values_list("worker", flat=True))
    queue.reap([name for name in holders if not is_alive(name)])


class Stop:
    """That this process is to end: by a signal, or since the one that started it is gone."""

    def __init__(self, *, with_parent: bool = False) -> None:
        self._event = threading.Event()
        self._parent = os.getppid() if with_parent else None

    def set(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """End at the next step."""
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set() or (self._parent is not None and os.getppid() != self._parent)

    def wait(self, seconds: float) -> None:
        """Sleep so long, or until the end."""
        self._event.wait(seconds)

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as the word to end."""
        signal.signal(signal.SIGTERM, self.set)
        signal.signal(signal.SIGINT, self.set)


class Lost(Cancelled):
    """The job is another worker's now."""


class Shown:
    """A report to people who see what a picture looks like while it is drawn."""

    shows_previews = True

    def __init__(self, report: Report) -> None:
        self._report = report

    def __call__(self, step: Step) -> None:
        """Report."""
        self._report(step)


class Runner:
    """One job in this process, with a thread beside it that keeps the lease and hears whether it is to stop."""

    def __init__(self, job: Job, worker: str, stop: Stop) -> None:
        self.job, self.worker, self._stop = job, worker, stop
        self._asked, self._lost, self._over = threading.Event(), threading.Event(), threading.Event()
        self._written: tuple[str, float] = ("", 0.0)
        self._log = lines(lambda line: queue.log(job, printable(line)))

    def run(self) -> None:
        """Run it, and write how it ended. What goes wrong is said in the job; where the database is lost meanwhile,
        its lease runs out, and it goes on with the next attempt.
        """
        try:
            self._run()
        except DatabaseError as problem:
            print(f"job {self.job.pk}: the database is not reached: {printable(problem)}", file=sys.stderr, flush=True)
            close_old_connections()

    def _run(self) -> None:
        job, worker = self.job, self.worker
        watch = threading.Thread(target=self._watch, daemon=True)
        watch.start()
        try:
            queue.log(job, f"begins (attempt {job.attempts})")
            result = runners.run(job.recipe, job.folder, report=Shown(self._report))
            if write_index(job, worker, result):
                queue.log(job, "done")
        except Lost:
            return
        except Cancelled as problem:
            if self._asked.is_set():
                queue.log(job, f"cancelled: {problem}")
                queue.stopped(job, worker)
            else:
                queue.log(job, "the worker was told to stop: it goes on later")
                queue.release(job, worker, uncounted=True)
        except Busy:
            queue.release(job, worker, wait=queue.FIRST_WAIT, uncounted=True)
        except UnexpectedError as problem:
            self._failed(problem, again=True)
        except EaselError as problem:
            self._failed(problem)
        except Exception as problem:  # noqa: BLE001 - a worker outlives whatever a job does
            self._failed(unexpected(problem), again=True)
        finally:
            self._over.set()
            watch.join()

    def _failed(self, problem: EaselError, *, again: bool = False) -> None:
        queue.log(self.job, f"error: {printable(problem)}")
        queue.fail(self.job, self.worker, printable(problem), again=again)

    def _report(self, step: Step) -> None:
        """What the workspace calls with every step: stop here, or write how far it is."""
        if self._lost.is_set():
            raise Lost("another worker has this job")
        if self._asked.is_set() or self._stop:
            raise Cancelled(f"stopped during {step.phase} ({step.done} of {step.total}); finished files are kept")
        phase, at = self._written
        now = time.monotonic()
        if step.phase == phase and step.done < step.total and now - at < PROGRESS_EVERY and step.preview is None:
            return
        self._written = (step.phase, now)
        with contextlib.suppress(DatabaseError):  # a restart of the database, or a full disk: the run goes on
            self._write_progress(step)

    def _write_progress(self, step: Step) -> None:
        """Write how far it is."""
        self._log(step)
        facts: dict[str, Any] = {"phase": step.phase[:200], "done": step.done, "total": step.total}
        facts |= {"rate": step.rate, "eta": step.eta}
        if step.preview is not None:
            save_preview(self.job, step.preview)
            facts["preview"] = queue.clock()
        queue.report(self.job, self.worker, **facts)

    def _watch(self) -> None:
        """Until the job is over: renew the lease, hear whether it is to stop."""
        renewed = 0.0
        while not self._over.wait(WATCH):
            try:
                if time.monotonic() - renewed > queue.LEASE / 4:
                    asked = queue.renew(self.job, self.worker)
                    renewed = time.monotonic()
                else:
                    mine = Job.objects.filter(pk=self.job.pk, worker=self.worker, state=RUNNING)
                    asked = mine.values_list("stop", flat=True).first()
            except DatabaseError:  # a restart of the database: the lease has time
                close_old_connections()
                continue
            if asked is None and not self._over.is_set():
                self._lost.set()
            elif asked:
                self._asked.set()
        connections.close_all()


class Worker:
    """Takes jobs until it is told to stop."""

    def __init__(self, *, stop: Stop, once: bool = False) -> None:
        """`once`: end when there is nothing left to do."""
        self.name, self.machine, self.stop, self.once = own_name(), machine_name(), stop, once
        self._child: subprocess.Popen[bytes] | None = None
        self._heavy: Job | None = None

    def run(self) -> None:
        """Until the end."""
        reaped = 0.0
        with self._children():
            while not self.stop:
                try:
                    if time.monotonic() - reaped > REAP_EVERY:
                        reap()
                        reaped = time.monotonic()
                    if not self._begin_next() and self._is_finished():
                        return
                except DatabaseError as problem:
                    print(f"the database is not reached: {printable(problem)}", file=sys.stderr, flush=True)
                    close_old_connections()
                    self.stop.wait(5 * IDLE)

    def _begin_next(self) -> bool:
        """Run the next light job, or start the next heavy one; whether there was one."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
            if self._heavy is not None:  # it died before it took the lease over
                error = "its process did not come up: see whether memory is short"
                queue.fail(self._heavy, self.name, error, again=True)
            reap()  # what it held, if it was killed
        if self._child is None and (heavy := queue.claim(self.name, self.machine, heavy=True)):
            self._start(heavy)
            return True
        job = queue.claim(self.name, self.machine, heavy=False)
        if job is None:
            self.stop.wait(IDLE)
            return False
        Runner(job, self.name, self.stop).run()
        return True

    def _is_finished(self) -> bool:
        waits = queue.first_waiting() is not None
        return self.once and self._child is None and not waits

    def _start(self, job: Job) -> None:
        """Run a heavy job in a process of its own; the lease goes to it when it begins."""
        self._heavy = job
        self._child = subprocess.Popen([*start.PROCESS, str(job.pk), self.name])

    @contextlib.contextmanager
    def _children(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self._child is not None and self._child.poll() is None:
                self._child.terminate()
                try:
                    self._child.wait(GRACE)
                except subprocess.TimeoutExpired:
                    self._child.kill()
                    self._child.wait()
                if self._heavy is not None:  # told to end before it took the lease over
                    queue.release(self._heavy, self.name, uncounted=True)
                reap()


def run_one(number: int, worker: str) -> None:
    """Run the heavy job that `worker` claimed, in this process, which takes the lease over."""
    stop, name = Stop(with_parent=True), own_name()
    stop.listen()
    if Job.objects.filter(pk=number, worker=worker, state=RUNNING).update(worker=name):
        Runner(Job.objects.get(pk=number), name, stop).run()
