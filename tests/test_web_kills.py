"""kill -9 of the worker, of the web process, of both, while one job waits, one runs and one is saved."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.test_web_queue import process, rows, started, until

__all__ = ["started"]


@pytest.mark.parametrize("who", ["worker", "web", "both"])
def test_nothing_is_lost_and_nothing_done_twice(
    tmp_path: Path, started: list[subprocess.Popen[bytes]], who: str
) -> None:
    place = tmp_path / "studio"
    assert process("give", place, "siege:40", "nap:2", "nap:3").wait() == 0
    started.append(process("web", place, TOY_SAVES_SLOWLY="nap-2"))
    wait_for(place / "out" / "nap-2" / "saving")
    until(place, "select state, done > 3 from studio_job where id = 1", [("running", 1)])
    states = "select state from studio_job order by id"
    assert rows(place, states) == [("running",), ("running",), ("queued",)]
    assert rows(place, "select count(*) from studio_picture") == [(0,)]

    web = started[0]
    workers = psutil.Process(web.pid).children()
    assert len(workers) == 1
    for number in {"worker": [workers[0].pid], "web": [web.pid], "both": [web.pid, workers[0].pid]}[who]:
        os.kill(number, signal.SIGKILL)
    (place / "out" / "nap-2" / "go").touch()
    if who != "worker":  # the web process starts its worker again by itself
        web.wait()
        started.append(process("web", place))

    until(place, states, [("done",)] * 3)
    for name, steps in (("siege-1", 40), ("nap-2", 2), ("nap-3", 3)):
        written = (place / "out" / name / "steps.txt").read_text().split()
        assert written == [str(index) for index in range(steps)]  # each once: it went on where it stopped
    assert rows(place, "select job_id, name from studio_picture order by job_id") == [(n, "01.png") for n in (1, 2, 3)]
    assert rows(place, "select count(*) from studio_line where text like 'error%'") == [(0,)]
    with contextlib.closing(sqlite3.connect(place / "studio.sqlite3")) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    started[-1].terminate()
    assert started[-1].wait() == 0


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    for _ in range(1200):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} was never there")
