"""Runs shared out on a local Ray cluster, measured: `python -m benchmarks.cluster [tiny|overhead|efficiency|killed]`.

tiny: photos of a few bytes through the real path (shards read, parts done, written down, put together) by a job that
costs nothing: items a second, the driver's own processor time an item, its memory, and what follows for more workers.
overhead: the same at 50 ms an item. efficiency: pocket's captions by two workers of one core against one, in turn.
killed: `easel caption` over small pictures in shards, its driver killed twice, ends with one file in order.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from functools import partial
from pathlib import Path

import psutil
from PIL import Image

from benchmarks.timing import Row, ratio

SHARD = 1000
DIFFERENT = 5
"""Shards of drawn pictures that differ; the others are these again, under names of their own."""
EACH = 0.05
FEW = 400
"""Photos of the one table."""
WORKERS = (1, 8, 64, 256, 1000)
MODELS = (
    ("captions by BLIP base on a data-centre GPU", 0.02),
    ("captions by pocket on one core", 0.1),
    ("an edit by SD-1.5 in 20 steps on a data-centre GPU", 1.0),
)
"""Seconds a photo, assumed for the arithmetic: measure your own on a few photos first."""


def shards(folder: Path, count: int, *, drawn: bool = False) -> Path:
    """`count` photos in tars of a thousand: tiny ones, one tar under many names; or `drawn` ones of pocket's world, of
    which the first DIFFERENT shards differ.
    """
    folder.mkdir(parents=True)
    whole: list[Path] = []
    for start in range(0, count, SHARD):
        path, size = folder / f"photos-{start // SHARD:06d}.tar", min(SHARD, count - start)
        if len(whole) == (DIFFERENT if drawn else 1) and size == SHARD:
            os.link(whole[start // SHARD % len(whole)], path)
            continue
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for number in range(start, start + size):
                content = _photo(number, drawn=drawn)
                member = tarfile.TarInfo(f"{number % SHARD:04d}.{'jpg' if drawn else 'png'}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        whole.append(path)
    return folder


def _photo(number: int, *, drawn: bool) -> bytes:
    stream = io.BytesIO()
    if not drawn:
        Image.new("RGB", (16, 16), (number % 256, 0, 0)).save(stream, "PNG")
        return stream.getvalue()
    from easel.pocket.world import Scene, render

    Image.fromarray(render(Scene.from_seed(number))).resize((96, 96)).save(stream, "JPEG")
    return stream.getvalue()


class Watch:
    """A run's report that keeps the driver's memory over time."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float, int, float]] = []
        self._me = psutil.Process()

    def __call__(self, step: object) -> None:
        """Note the time, the processor's time, and the memory."""
        phase, done, total = (getattr(step, name) for name in ("phase", "done", "total"))
        if phase == "tally" and total:
            self.seen.append((time.perf_counter(), time.process_time(), done, self._me.memory_info().rss / 1e6))

    def memory_at(self, share: float) -> float:
        """MB of the driver when so much was done."""
        total = self.seen[-1][2]
        return next(memory for _, _, done, memory in self.seen if done >= share * total)


def tally(folder: Path, count: int, seconds: float, workers: int) -> tuple[float, float, Watch, float]:
    """Seconds and the driver's processor seconds an item, what was watched, and seconds of the whole run."""
    from easel.kinds import KINDS
    from easel.runners import cluster, local
    from tests.cluster_toy import KIND, Tally

    KINDS["tally"] = KIND
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    photos, watch = str(shards(folder / "photos", count)), Watch()
    recipe = Tally(photos=(photos,), seconds=seconds, blind=True, seed=1)
    one = cluster.Cluster("local-cluster", workers, workers)
    begun = time.perf_counter()
    made = local.run(recipe, folder / "out", "cpu", "float32", watch, lambda mine, place: cluster.run(mine, place, one))
    whole = time.perf_counter() - begun
    assert made.folder is not None
    with (made.folder / "metadata.jsonl").open() as stream:
        names = [json.loads(line)["file_name"] for line in stream] if count <= 100_000 else []
        assert names == sorted(names)
    begun_items = next(row for row in watch.seen if row[2] > 0)
    last = watch.seen[-1]
    items = last[2] - begun_items[2]
    return (last[0] - begun_items[0]) / items, (last[1] - begun_items[1]) / items, watch, whole


def tiny(folder: Path, count: int) -> None:
    each, work, watch, whole = tally(folder, count, 0.0, os.cpu_count() or 1)
    print(f"{count:,} tiny photos in shards, {os.cpu_count()} workers: {1 / each:.0f} a second, {whole:.0f} s in all")
    early, late, most = watch.memory_at(0.1), watch.memory_at(1.0), max(row[3] for row in watch.seen)
    print(f"driver's memory: {early:.0f} MB at a tenth, {late:.0f} MB at the end, {most:.0f} MB at most")
    print(f"driver's processor time: {work * 1e6:.0f} us an item, so it keeps up with {1 / work:,.0f} items a second")
    print("| a photo takes | " + " | ".join(f"{workers:,} workers" for workers in WORKERS) + " |")
    for name, seconds in (("what is simulated: 50 ms", EACH), *MODELS):
        cells = []
        for workers in WORKERS:
            rate = min(workers / seconds, 1 / work)
            share = rate * seconds / workers
            cells.append(f"{1e6 / rate / 3600:.1f} h" + ("" if share > 0.99 else f" ({share:.0%} busy)"))
        print(f"| a million: {name} ({seconds:g} s) | " + " | ".join(cells) + " |")


def overhead(folder: Path, count: int) -> None:
    each, _, _, _ = tally(folder, count, EACH, 1)
    more = f"{each / EACH - 1:.1%} beyond the job's own"
    print(f"{count:,} photos of 50 ms, one worker: {each * 1000:.2f} ms each, {more}")
    with sqlite3.connect(folder / "out" / "manifest.sqlite") as base:
        spent, done = base.execute("SELECT sum(seconds), sum(count) FROM parts WHERE first > 0").fetchone()
    idle = 1 - spent / done / each
    print(f"of these {spent / done * 1000:.2f} ms in the worker: {idle:.1%} of the time it waited for parts")


def efficiency(folder: Path, count: int, rounds: int = 2) -> None:
    """One worker, two workers, one, two, ...: the rate once all are warm, from the manifest's own clock."""
    photos = shards(folder / "photos", count, drawn=True)
    rates: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(rounds):
        for workers, found in rates.items():
            found.append(_rate(photos, folder / f"out-{turn}-{workers}", workers))
            print(f"round {turn + 1}, {workers} workers of one core: {found[-1]:.2f} captions a second")
    shares = [two / one / 2 for one, two in zip(rates[1], rates[2], strict=True)]
    print(f"two workers against one: {statistics.median(shares):.2f} of twice the rate, n={rounds}")


def _rate(photos: Path, out: Path, workers: int) -> float:
    """Captions a second from the first part that came back to the last."""
    from easel import runners
    from easel.recipes.caption import Caption

    seen: list[tuple[float, int]] = []

    def report(step: object) -> None:
        if getattr(step, "phase", "") == "caption":
            seen.append((time.perf_counter(), int(getattr(step, "done", 0))))

    runners.run(
        Caption(photos=(str(photos),), seed=1), out, "cpu", report=report, on="local-cluster", workers=str(workers)
    )
    warm = 64 * 2 * workers
    first = next(row for row in seen if row[1] >= min(warm, seen[-1][1] // 2))
    last = next(row for row in seen if row[1] == seen[-1][1])
    return (last[1] - first[1]) / (last[0] - first[0])


def killed(folder: Path, count: int, model: str = "pocket") -> None:
    """The driver is killed with SIGKILL at a third and at two thirds. ``model``: a captioner, or 'tiny' for one of few
    weights, so that what takes the time is the sharing.
    """
    begun = time.perf_counter()
    photos, out = shards(folder / "photos", count, drawn=True), folder / "out"
    print(f"{count:,} pictures in {-(-count // SHARD)} shards drawn in {time.perf_counter() - begun:.0f} s")
    words = [sys.executable, "-m", "easel", "caption", str(photos), "--on", "local-cluster", "--workers", "2"]
    if model == "tiny":
        from tests.tiny import blip

        model = str(blip(folder / "captioner"))
    words += ["--model", model, "--out", str(out), "--seed", "1", "--quiet"]
    begun = time.perf_counter()
    for share in (1 / 3, 2 / 3, None):
        driver = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        while driver.poll() is None and (share is None or _done(out) < share * count):
            time.sleep(0.2)
        if share is not None:
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            print(f"killed with {_done(out):,} done, after {time.perf_counter() - begun:.0f} s")
    assert driver.returncode == 0
    with (out / "metadata.jsonl").open() as stream:
        names = [json.loads(line)["file_name"] for line in stream]
    wanted = [f"photos-{n // SHARD:06d}.tar/{n % SHARD:04d}.jpg" for n in range(count)]
    assert names == wanted, "the metadata is not each picture once, in order"
    print(f"{len(names):,} lines, each picture once, in order, after {time.perf_counter() - begun:.0f} s")
    print((out / "report.md").read_text())


def _done(out: Path) -> int:
    try:
        with sqlite3.connect(f"file:{out / 'manifest.sqlite'}?mode=ro", uri=True) as base:
            return int(base.execute("SELECT coalesce(sum(count), 0) FROM parts WHERE state = 'done'").fetchone()[0])
    except sqlite3.Error:
        return 0


def rows(_asked: argparse.Namespace) -> list[Row]:
    """Of the one table: photos of 50 ms by one worker, beside the loop that does nothing else; seconds by the clock."""
    work, peer = f"shared out, {FEW} photos of 50 ms, one worker", "a plain loop, which does nothing else"
    if importlib.util.find_spec("ray") is None:
        return [Row.not_run(work, peer, "needs Ray: pip install easel[ray]")]
    with tempfile.TemporaryDirectory(prefix="easel-cluster-") as name:
        each, *_ = tally(Path(name), FEW, EACH, 1)
    clock = ratio([EACH * FEW], [each * FEW])
    return [Row(work, peer, each * FEW, EACH * FEW, clock, None, "parts handed out and written down")]


def main(words: list[str]) -> None:
    modes = {"tiny": (tiny, 1_000_000), "overhead": (overhead, 2000), "efficiency": (efficiency, 2000)}
    modes["killed"] = (killed, 100_000)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", choices=modes, default="overhead")
    parser.add_argument("--count", type=int, help="photos; a million for tiny, 100,000 for killed when not given")
    parser.add_argument("--model", default="pocket", help="of killed: a captioner, or 'tiny'")
    asked = parser.parse_args(words)
    do, usual = modes[asked.mode]
    if asked.mode == "killed":
        do = partial(killed, model=asked.model)
    folder = Path(tempfile.mkdtemp(prefix="easel-cluster-"))
    try:
        do(folder, asked.count or usual)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
