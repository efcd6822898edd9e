"""The real pages in a real browser, by role and label: what a new user does, without reading anything.

Debian's chromium and playwright's driver are needed; where one is missing these are skipped, and say so. Jobs paint a
picture of their seed (`tests/web_toy.py`), so that no model is waited for.
"""

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
from PIL import Image

from tests.conftest import drawn

ROOT = Path(__file__).parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
PATIENCE = 60_000
"""Milliseconds that a busy machine may take for a step."""


class Studio:
    """`easel web` as a process of its own, with a worker that paints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("EASEL_", "DJANGO_"))}
        self.environment = kept | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TOY_PAINTS": "1"}
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
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
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


def put_photo(page: Any, photo: Path) -> None:
    page.get_by_label("Drop a picture here").or_(page.get_by_label("Drop pictures here")).first.set_input_files(photo)
    page.locator(".held img").first.wait_for()


def until_done(page: Any) -> None:
    page.get_by_text("done", exact=True).first.wait_for()


def test_a_photo_is_stylized_found_by_score_and_made_again(page: Any, photo: Path) -> None:
    page.get_by_role("link", name="Stylize").click()
    page.get_by_role("button", name="Stylize").click()
    page.get_by_text("1 thing to put right").wait_for()
    put_photo(page, photo)
    page.get_by_label("Count", exact=True).fill("2")
    page.get_by_text("seed", exact=False).first.wait_for()
    page.locator("#yaml-text").get_by_text("count: 2").wait_for()
    page.get_by_role("button", name="Stylize").click()
    page.get_by_role("heading", name=re.compile("Stylize \\d+")).wait_for()
    until_done(page)  # by an event, without loading the page again
    page.reload()
    page.get_by_text("a spot").wait_for()
    page.get_by_role("link", name="Gallery").click()
    page.get_by_text("By score and date").click()
    page.get_by_label("Score", exact=True).select_option("style")
    page.get_by_label("Score from").fill("0.4")
    page.get_by_label("Score from").press("Tab")
    page.get_by_text("1 picture", exact=True).wait_for()
    page.locator("a.shot").first.click()
    page.get_by_role("link", name="Use its settings").click()
    page.locator(".held img").wait_for()
    assert page.get_by_label("Count", exact=True).input_value() == "1"


def test_a_mask_is_painted_on_the_photo(page: Any, photo: Path, place: Studio) -> None:
    page.get_by_role("link", name=re.compile("^Edit ")).click()
    put_photo(page, photo)
    page.get_by_label("Prompt", exact=True).fill("a red hat")
    page.get_by_label("Method").select_option("inpaint")
    page.get_by_label("Image guidance scale", exact=True).wait_for(state="hidden")
    canvas = page.get_by_role("img", name="Paint what is to change")
    canvas.wait_for()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y, steps=3)
    page.mouse.up()
    page.get_by_role("button", name="Use this mask").click()
    page.locator('[data-name="mask"] .held img').wait_for()
    name = page.locator('input[name="mask"]').input_value()
    with Image.open(place.folder / name) as mask:
        assert mask.size == (96, 64)
        assert [mask.convert("RGB").getpixel(place) for place in ((48, 32), (2, 2))] == [(255,) * 3, (0,) * 3]
    page.get_by_role("button", name="Edit", exact=True).click()
    until_done(page)


def test_a_network_is_trained_on_a_folder(page: Any, tmp_path: Path) -> None:
    folder = tmp_path / "birds"
    folder.mkdir()
    for number in range(4):
        drawn(colour=f"#{number}0{number}0ff").save(folder / f"{number}.png")
    page.get_by_role("link", name="Train").first.click()
    page.get_by_label("Network").select_option("dcgan")
    page.get_by_text("For GANs").click()
    page.get_by_label("R1 gamma", exact=True).wait_for()
    page.get_by_label("Drop a folder here").set_input_files(folder)
    page.get_by_text("birds: 4 files").wait_for()
    page.get_by_role("button", name="Train").click()
    until_done(page)


def test_the_queue_is_steered(page: Any, place: Studio) -> None:
    page.get_by_role("link", name="Jobs").click()
    page.get_by_role("button", name="Pause").click()
    page.get_by_text("It is paused").wait_for()
    for _ in range(2):
        page.goto("/nap/")
        page.get_by_role("button", name="Nap").click()
        page.get_by_text("waiting", exact=True).wait_for()
    page.get_by_role("link", name="Jobs").click()
    page.get_by_role("button", name=re.compile("Sooner")).last.click()
    page.get_by_role("button", name=re.compile("Cancel nap")).first.click()
    page.get_by_text("cancelled", exact=True).first.wait_for()
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("Nothing waits.").wait_for()


def test_the_plug_is_pulled_and_the_job_goes_on(page: Any, place: Studio) -> None:
    page.goto("/siege/")
    page.get_by_label("Steps", exact=True).fill("60")
    page.get_by_label("Seconds", exact=True).fill("0.2")
    page.get_by_role("button", name="Siege").click()
    page.get_by_text(re.compile(r"^[3-9] of 60")).wait_for()
    number = page.url.rstrip("/").rpartition("/")[2]
    place.pull_the_plug()
    place.start()
    page.goto(f"{place.address}jobs/{number}/")
    until_done(page)
    steps = (place.folder / "out" / f"siege-{number}" / "steps.txt").read_text().split()
    assert steps == [str(one) for one in range(60)]
    page.goto(place.address)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_fit_every_screen(browser: Any, place: Studio, theme: str) -> None:
    """No page is wider than a phone, a tablet or a desk; a page a kind is one of those with the most on it."""
    for width in (390, 820, 1440):
        context = browser.new_context(
            base_url=place.address, viewport={"width": width, "height": 900}, color_scheme=theme
        )
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        for address in ("/", "/edit/", "/jobs/", "/gallery/", "/models/"):
            page.goto(address)
            wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wider <= 0, f"{address} at {width} px"
        context.close()
