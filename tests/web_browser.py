"""A studio and a browser for tests: `easel web` as processes of its own, and Debian's chromium."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
PATIENCE = 60_000
"""Milliseconds that a busy machine may take for a step."""


class Studio:
    """`easel web` as a process of its own, with a worker that paints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("EASEL_", "DJANGO_"))}
        self.environment = kept | {
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "TOY_PAINTS": "1",
            "HF_HUB_OFFLINE": "1",
        }
        self.start()

    def start(self) -> None:
        """Start, and read the address from its first line."""
        command = [sys.executable, "-m", "tests.web_toy", "web", str(self.folder)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        found = re.search(r"http://\S+/", self.process.stdout.readline())
        assert found is not None
        self.address = found[0]

    def pull_the_plug(self) -> None:
        """Kill the web process, the worker, and what it started, all at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._close()

    def stop(self) -> None:
        """End as with Ctrl-C."""
        self.process.terminate()
        try:
            self.process.wait(120)
            self._close()
        except subprocess.TimeoutExpired:
            self.pull_the_plug()

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    made = Studio(tmp_path_factory.mktemp("studio"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install playwright")
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def page(browser: Any, place: Studio) -> Iterator[Any]:
    """A page at the studio's start; what its console complains of, the content policy first, fails the test."""
    context = browser.new_context(base_url=place.address, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    made = context.new_page()
    complaints: list[str] = []
    made.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    made.on("pageerror", lambda problem: complaints.append(str(problem)))
    made.goto("/")
    yield made
    context.close()
    assert [one for one in complaints if "Failed to load resource" not in one] == []
