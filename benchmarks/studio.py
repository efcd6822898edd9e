"""Pictures of the studio's pages for its guide: `python -m benchmarks.studio docs/images`.

A studio in a temporary folder does real work with pocket (some minutes on two cores), and Debian's chromium is asked
what its pages look like. JPEG, each below MOST_BYTES.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parent.parent
MOST_BYTES = 120_000
WIDTH, HEIGHT = 1280, 880
JSON = {"Content-Type": "application/json"}
NIGHT = ("avenue", "bridge", "coffee")


@contextlib.contextmanager
def studio() -> Iterator[str]:
    """A studio of its own, and its address."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "easel", "web", "--studio", folder, "--port", "8700"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        found = re.search(r"http://\S+/", process.stdout.readline())
        assert found is not None
        try:
            yield found[0]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(120)


def sent(address: str, body: bytes, kind: dict[str, str]) -> Any:
    """What the studio answers to a POST."""
    with urllib.request.urlopen(urllib.request.Request(address, body, kind)) as answer:  # noqa: S310 - our own server
        return json.load(answer)


def put_in(address: str, path: Path) -> str:
    """Put a picture in; its place."""
    edge = "7d3f0c"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
    body = head.encode() + path.read_bytes() + f"\r\n--{edge}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    return str(sent(f"{address}api/uploads", body, kind)["place"])


def asked(address: str, **recipe: Any) -> int:
    """Put a recipe into the queue; its number."""
    return int(sent(f"{address}api/jobs", json.dumps(recipe).encode(), JSON)["id"])


def wait_for(address: str, number: int, share: float = 1.0) -> None:
    """Wait until a job is done, or so far."""
    while True:
        with urllib.request.urlopen(f"{address}api/jobs/{number}") as answer:  # noqa: S310
            job = json.load(answer)
        if job["state"] in {"failed", "cancelled"}:
            raise SystemExit(f"job {number}: {job['error']}")
        is_far = job["phase"] == "training" and job["total"] and job["done"] >= share * job["total"]
        if job["state"] == "done" or (share < 1 and is_far):
            return
        time.sleep(1)


def main(out: Path) -> None:
    """Fill the studio, and take the pictures."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with studio() as address, sync_playwright() as driver:
        photo = put_in(address, ROOT / "examples" / "photo.jpg")
        night = [put_in(address, ROOT / "examples" / "night" / f"{name}.jpg") for name in NIGHT]
        birds = asked(address, kind="data-world", what="birds", count=600, resolution=32, seed=1)
        stylized = asked(address, kind="stylize", photo=photo, seed=1)
        drawn = [
            asked(address, kind="generate", prompt=prompt, count=3, seed=seed)
            for seed, prompt in enumerate(("a red bird on a branch", "a blue house by the sea", "a portrait of a man"))
        ]
        asked(address, kind="edit", photo=night[1], prompt="make it night", seed=2)
        painted = asked(address, kind="transfer", photo=night[2], styles=["hokusai"], side=384, seed=1)
        base = {"kind": "generate", "prompt": "a blue cat", "count": 1}
        axes = {"steps": [4, 20], "guidance_scale": [1.5, 5.0]}
        compared = asked(address, kind="compare", base=base, axes=axes, seeds=[1, 2, 3], seed=1)
        wait_for(address, birds)
        plan = {"resolution": 32, "kimg": 48.0, "channels": 32, "widest": 128, "score_every": 4.0, "score_count": 200}
        data = f"out/data-world-{birds}"
        training = asked(address, kind="train", network="dcgan", data=data, count=48, seed=1, **plan)
        for number in (stylized, *drawn, painted, compared):
            wait_for(address, number)
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shoot(browser, address, "", out / "studio-home.jpg")
        shoot(browser, address, f"transfer/?job={painted}", out / "studio-transfer.jpg")
        shoot(browser, address, f"jobs/{compared}/", out / "studio-compare.jpg")
        shoot(browser, address, "gallery/?score=style&sort=best", out / "studio-gallery.jpg")
        shoot(browser, address, f"jobs/{stylized}/", out / "studio-stylized.jpg", theme="dark")
        wait_for(address, training, share=0.7)
        shoot(browser, address, f"jobs/{training}/", out / "studio-training.jpg")
        browser.close()


def shoot(browser: Any, address: str, path: str, place: Path, theme: str = "light") -> None:
    """Take the picture of a page, as large as MOST_BYTES allows."""
    page = browser.new_page(base_url=address, viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme)
    page.goto(f"/{path}")
    page.wait_for_timeout(2500)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    for quality in range(90, 30, -5):
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=quality, optimize=True, progressive=True)
        if stream.tell() < MOST_BYTES:
            place.write_bytes(stream.getvalue())
            print(f"{place}: {stream.tell()} bytes, quality {quality}")
            return
    raise SystemExit(f"{place} is too large at any quality")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
