"""kill -9 of the worker, of the web process, of both, while one job waits, one runs and one is saved."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.test_web_queue import ROOT, environment, rows, until


@contextlib.contextmanager
def studio(place: Path, **more: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A studio's processes, and where they listen; what they say beside goes into `said`."""
    with (place.parent / "said").open("w") as stream:
        command = [sys.executable, "-m", "tests.web_toy", "web", str(place)]
        made = subprocess.Popen(
            command, cwd=ROOT, env=environment() | more, stdout=subprocess.PIPE, stderr=stream, text=True
        )
    assert made.stdout is not None
    try:
        yield made, int(made.stdout.readline().rstrip().rstrip("/").rpartition(":")[2])
    finally:
        made.kill()
        made.wait()
        made.stdout.close()


def give(port: int, kind: str, steps: int) -> None:
    """Put a job into the queue."""
    body = json.dumps({"kind": kind, "steps": steps, "seconds": 0.1, "seed": 1}).encode()
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/api/jobs", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        assert answer.status == 202


STEPS = 25


@pytest.mark.enable_socket
@pytest.mark.parametrize("who", ["worker", "web", "both"])
def test_nothing_is_lost_and_nothing_done_twice(tmp_path: Path, who: str) -> None:
    place = tmp_path / "studio"
    with contextlib.ExitStack() as running:
        web, port = running.enter_context(studio(place, TOY_SAVES_SLOWLY="nap-2"))
        for kind, steps in (("siege", STEPS), ("nap", 2), ("nap", 3)):
            give(port, kind, steps)
        wait_for(place / "out" / "nap-2" / "saving")
        until(place, "select state, done > 3 from studio_job where id = 1", [("running", 1)])
        states = "select state from studio_job order by id"
        assert rows(place, states) == [("running",), ("running",), ("queued",)]
        assert rows(place, "select count(*) from studio_picture") == [(0,)]

        workers = psutil.Process(web.pid).children()
        assert len(workers) == 1
        for number in {"worker": [workers[0].pid], "web": [web.pid], "both": [web.pid, workers[0].pid]}[who]:
            os.kill(number, signal.SIGKILL)
        (place / "out" / "nap-2" / "go").touch()
        if who != "worker":  # the web process starts its worker again by itself
            web.wait()
            web, _ = running.enter_context(studio(place))

        until(place, states, [("done",)] * 3)
        for name, steps in (("siege-1", STEPS), ("nap-2", 2), ("nap-3", 3)):
            written = (place / "out" / name / "steps.txt").read_text().split()
            assert written == [str(index) for index in range(steps)]  # each once: it went on where it stopped
        assert rows(place, "select job_id, name from studio_picture order by job_id") == [
            (n, "01.png") for n in (1, 2, 3)
        ]
        assert rows(place, "select count(*) from studio_line where text like 'error%'") == [(0,)]
        with contextlib.closing(sqlite3.connect(place / "studio.sqlite3")) as connection:
            assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        web.terminate()
        assert web.wait(90) == 0


@pytest.mark.enable_socket
def test_it_ends_quietly_while_pages_watch_and_forgets_those_that_went(tmp_path: Path) -> None:
    with studio(tmp_path / "studio") as (web, port):
        opened: list[http.client.HTTPConnection] = []

        def watch() -> None:
            opened.append(http.client.HTTPConnection("127.0.0.1", port, timeout=60))
            opened[-1].request("GET", "/jobs/events/")
            assert opened[-1].getresponse().readline().startswith(b"retry")

        def leave() -> None:
            while opened:
                connection = opened.pop()
                if connection.sock is not None:
                    connection.sock.close()
                connection.close()

        stranger = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for headers, status in (
            ({"Host": "evil.example"}, 400),
            ({"X-Forwarded-For": "10.0.0.1", "Content-Length": "9000000"}, 413),
        ):
            stranger.request("POST", "/api/jobs", b"[", headers)
            with contextlib.closing(stranger.getresponse()) as answer:
                assert answer.status == status
            stranger.close()
        watch()
        leave()
        server = psutil.Process(web.pid)
        before = server.num_threads()
        for _ in range(10):
            watch()
        assert server.num_threads() > before + 1
        leave()
        patience = time.monotonic() + 30
        while server.num_threads() > before + 1 and time.monotonic() < patience:
            time.sleep(0.1)
        assert server.num_threads() <= before + 1
        for _ in range(3):
            watch()
        web.terminate()
        assert web.wait(60) == 0
        leave()
    assert (tmp_path / "said").read_text() == ""


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    for _ in range(1200):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} was never there")
