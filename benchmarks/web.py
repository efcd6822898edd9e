"""The studio under load: people who queue jobs at once, pages that watch, and how long the API takes meanwhile.

Jobs of a kind that is quick (see tests/web_toy.py), so that what is measured is the studio and not a model.
`python -m benchmarks web [--jobs 200] [--people 8] [--pages 20]`
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil


class Person(threading.Thread):
    """Somebody who queues jobs one after the other, and asks for the state of each."""

    def __init__(self, port: int, jobs: int) -> None:
        super().__init__()
        self.port, self.jobs = port, jobs
        self.posted: list[float] = []
        self.asked: list[float] = []
        self.numbers: list[int] = []
        self.errors: list[str] = []

    def run(self) -> None:
        """Queue them all."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        for seed in range(self.jobs):
            made = self.call(connection, "POST", "/api/jobs", {"kind": "nap", "seed": seed}, self.posted)
            if made is not None:
                self.numbers.append(made["id"])
                self.call(connection, "GET", f"/api/jobs/{made['id']}", None, self.asked)
        connection.close()

    def call(self, connection: Any, method: str, path: str, body: Any, times: list[float]) -> Any:
        """The JSON of an answer, its time kept; None, and a word among the errors, where it is none."""
        began = time.perf_counter()
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except OSError as problem:
            self.errors.append(str(problem))
            return None
        times.append(time.perf_counter() - began)
        if answer.status >= 400:
            self.errors.append(f"{answer.status} {text[:100]!r}")
            return None
        return json.loads(text)


class Page(threading.Thread):
    """An open page that hears what changes in the queue."""

    def __init__(self, port: int, cookies: str) -> None:
        super().__init__(daemon=True)
        self.port, self.events, self.cookies = port, 0, cookies

    def run(self) -> None:
        """Count the events."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request("GET", "/jobs/events/", headers={"Cookie": self.cookies})
        answer = connection.getresponse()
        while line := answer.readline():
            self.events += line.startswith(b"event:")


def browser(port: int) -> str:
    """The cookies of a browser that has opened the page of the queue."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/jobs/")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return (answer.getheader("Set-Cookie") or "").partition(";")[0]


def split(whole: int, parts: int) -> list[int]:
    return [whole // parts + (number < whole % parts) for number in range(parts)]


def spread(times: Sequence[float]) -> str:
    cuts = statistics.quantiles(times, n=100)
    return f"p50 {1000 * statistics.median(times):6.1f} ms, p99 {1000 * cuts[98]:6.1f} ms"


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks web")
    for name, usual in (("jobs", 200), ("people", 8), ("pages", 20)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.web_toy", "web", str(Path(folder) / "studio")],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        )
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().rstrip().rstrip("/").rpartition(":")[2])
            return measured(asked, port, psutil.Process(server.pid))
        finally:
            server.terminate()
            server.wait()


def measured(asked: argparse.Namespace, port: int, server: psutil.Process) -> int:
    """Run it, and print the figures; 1 where anything went wrong."""
    browsers = [browser(port) for _ in range(asked.people)]
    pages = [Page(port, browsers[number % len(browsers)]) for number in range(asked.pages)]
    people = [Person(port, count) for count in split(asked.jobs, asked.people)]
    for page in pages:
        page.start()
    time.sleep(2)
    began = time.perf_counter()
    for person in people:
        person.start()
    for person in people:
        person.join()
    queued = time.perf_counter() - began
    numbers = {number for person in people for number in person.numbers}
    errors = [error for person in people for error in person.errors]
    watcher, states = Person(port, 0), dict[int, str]()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while len(states) < len(numbers) or not set(states.values()) <= {"done", "failed", "cancelled"}:
        rows = watcher.call(connection, "GET", f"/api/jobs?limit={min(500, asked.jobs + 10)}", None, [])
        states = {row["id"]: row["state"] for row in rows or () if row["id"] in numbers}
        time.sleep(0.5)
    done = time.perf_counter() - began
    print(f"{asked.jobs} jobs, {asked.people} people, {asked.pages} open pages, 1 worker, {os.cpu_count()} CPUs")
    print(f"    POST /api/jobs      {spread([one for person in people for one in person.posted])}")
    print(f"    GET /api/jobs/N     {spread([one for person in people for one in person.asked])}")
    print(f"    queued              {len(numbers) / queued:6.1f} a second")
    finished = sum(state == "done" for state in states.values())
    print(f"    done                {finished} of {asked.jobs} in {done:.1f} s")
    if pages:
        print(f"    events to a page    {statistics.mean(page.events for page in pages):6.1f}")
    print(f"    memory of the web process  {server.memory_info().rss / 1e6:.0f} MB, {server.num_threads()} threads")
    print(f"    errors              {len(errors + watcher.errors)}")
    for error in (errors + watcher.errors)[:5]:
        print(f"        {error}")
    return int(bool(errors or watcher.errors or finished != asked.jobs))


if __name__ == "__main__":
    sys.exit(main())
