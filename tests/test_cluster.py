"""Runs shared out among machines: a real Ray cluster of two nodes, killed workers, nodes and drivers, tar shards."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import easel
from easel import images, runners
from easel.cli import main
from easel.errors import Cancelled, EaselError
from easel.kinds import KINDS, Kind
from easel.provenance import read_provenance
from easel.recipes import Recipe
from easel.result import Result
from easel.runners import cluster
from easel.runners.cluster import glue, pools, sources
from easel.runners.cluster.manifest import Manifest, Part
from easel.runners.cluster.naming import renumbered
from easel.runners.cluster.task import Task
from easel.runners.cluster.worker import Worker
from easel.workspace import Step
from tests.cluster_toy import KIND, Tally, level_of
from tests.toy.recipe import Frame

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'easel[ray]'")
pytestmark = [pytest.mark.enable_socket, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).parent.parent
WAIT = 180.0


@pytest.fixture(scope="module")
def head() -> Iterator[Any]:
    """A cluster of two nodes with a core each, and this process without a part in it."""
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray spells it so; or the other tests leave its workers hardly any time
    args = {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=args)
    made.second = made.add_node(num_cpus=1, object_store_memory=100_000_000)
    yield made
    pools.close()
    ray.shutdown()
    made.shutdown()


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "tally", KIND)
    monkeypatch.setitem(KINDS, "frame", Kind("Put a frame around a photo.", "tests.toy.recipe:Frame", "tests.toy.job"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twenty photos of twenty levels."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(20):
        Image.new("RGB", (20, 16), (10 * number, 0, 0)).save(folder / f"{number}.png")
    return folder


def shared(recipe: Recipe, out: Path | str, head: Any, *, part: int = 4, to: str = "", **more: Any) -> Result:
    """The recipe on the cluster, in parts of four."""
    from easel.runners import local

    one = cluster.Cluster(head.address, 1, 2, part=part, **more)
    return local.run(recipe, out, "cpu", "float32", None, lambda mine, place: cluster.run(mine, place, one, to))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_as_in_one_process(head: Any, photos: Path, tmp_path: Path) -> None:
    (photos / "7.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    recipe = Tally(photos=(str(photos),), seed=1)
    alone = runners.run(recipe, tmp_path / "alone", "cpu", "float32")
    one = shared(recipe, tmp_path / "one", head)
    two = shared(recipe, tmp_path / "two", head, part=8)
    for made in (one, two):
        assert made.folder is not None
        assert (made.folder / "metadata.jsonl").read_bytes() == (tmp_path / "alone" / "metadata.jsonl").read_bytes()
        assert made.texts == alone.texts
        own = [score for score in made.scores if not score.of.startswith("all")]
        assert own == list(alone.scores)
    mean = one.scores[-1]
    assert (mean.name, mean.n, mean.of) == ("level", 19, "all 19 photos")
    assert mean.low is not None
    assert mean.high is not None
    assert mean.low < mean.value < mean.high
    assert "19 of 19 photos are light" in one.notes
    assert any("1 of 20 failed" in note and "7.png" in note for note in one.notes)
    told = lines(tmp_path / "one" / "photos.jsonl")
    assert [row["photo"] for row in told] == [f"{number}.png" for number in range(20)]
    assert "not a picture" in told[7]["failed"]
    assert told[3]["scores"] == {"level": 30.3}
    with (tmp_path / "one" / "scores.csv").open() as stream:
        assert sum(float(row["value"]) for row in csv.DictReader(stream)) == pytest.approx(mean.value * 19)
    report = (tmp_path / "one" / "report.md").read_text()
    assert "| done | 19 |" in report
    assert "7.png" in report


def test_pictures_as_in_one_process(head: Any, photos: Path, tmp_path: Path) -> None:
    recipe = Frame(photo=str(photos), width=3, material="paint", seed=5)
    made = shared(recipe, tmp_path / "out", head)
    assert len(made.pictures) == 20
    one = Frame(photo=str(photos / "11.png"), width=3, material="paint", seed=5)
    alone = runners.run(one, tmp_path / "one", "cpu", "float32")
    name = "12-11-framed.png"
    assert made.pictures[11] == name
    assert (tmp_path / "out" / name).read_bytes() == alone.picture_paths[0].read_bytes()
    inside = read_provenance(tmp_path / "out" / name)
    assert inside is not None
    assert inside["easel"]["recipe"]["photo"] == "11.png"
    single = shared(one, tmp_path / "single", head)
    assert (single.pictures, single.texts) == (alone.pictures, alone.texts)
    assert single.picture_paths[0].read_bytes() == alone.picture_paths[0].read_bytes()


def test_shards_in_and_out(head: Any, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    folder.mkdir()
    for shard in range(2):
        with tarfile.open(folder / f"photos-{shard:03d}.tar", "w") as tar:
            for number in range(10 * shard, 10 * shard + 10):
                tar.add(photos / f"{number}.png", f"{number:04d}.png")
                note = tarfile.TarInfo(f"{number:04d}.txt")
                note.size = 4
                tar.addfile(note, io.BytesIO(b"text"))
    whole = folder / "photos-001.tar"
    content = whole.read_bytes()
    with tarfile.open(whole) as tar:
        last = tar.getmember("0017.png")
    whole.write_bytes(content[: last.offset_data + 20])
    recipe = Frame(photo=str(folder / "photos-{000..001}.tar"), width=3, seed=5)
    made = shared(recipe, tmp_path / "out", head, shards=8)
    assert len(made.pictures) == 17
    assert any("photos-001.tar is cut short" in note and "7 whole photos" in note for note in made.notes)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.tar")) == [
        f"pictures-00000{number}.tar" for number in range(3)
    ]
    with tarfile.open(tmp_path / "out" / "pictures-000001.tar") as tar:
        names = tar.getnames()
        assert names[:2] == ["09-0008-framed.png", "09-0008-framed.json"]
        facts = json.loads(tar.extractfile(names[1]).read())  # type: ignore[union-attr]
        picture = Image.open(io.BytesIO(tar.extractfile(names[0]).read()))  # type: ignore[union-attr]
        assert picture.getpixel((10, 10)) == (80, 0, 0)
    assert facts["photo"] == "photos-000.tar/0008.png"
    again = shared(Frame(photo=str(tmp_path / "out" / "pictures-*.tar"), width=1, seed=5), tmp_path / "again", head)
    assert len(again.pictures) == 17


def test_what_misbehaves_is_named(head: Any, photos: Path, tmp_path: Path) -> None:
    for number, word in enumerate(("killer", "hungry", "faulty")):
        (photos / f"{5 + 4 * number}.png").rename(photos / f"{5 + 4 * number}{word}.png")
    made = shared(Tally(photos=(str(photos),), seed=1, batch_size=2), tmp_path / "out", head, part=2)
    why = {row["photo"]: row["failed"] for row in lines(tmp_path / "out" / "photos.jsonl") if "failed" in row}
    assert set(why) == {"5killer.png", "9hungry.png", "13faulty.png"}
    assert "2 workers died over it" in why["5killer.png"]
    assert "too little memory" in why["9hungry.png"]
    assert "ZeroDivisionError" in why["13faulty.png"]
    assert "ZeroDivisionError" in (tmp_path / "out" / "photo-errors.txt").read_text()
    assert len(made.texts) == 17
    assert len(lines(tmp_path / "out" / "metadata.jsonl")) == 17
    with sqlite3.connect(tmp_path / "out" / "manifest.sqlite") as base:
        states = dict(base.execute("SELECT state, count(*) FROM photos GROUP BY state"))
    assert states == {"done": 17, "failed": 3}


def test_driver_and_node_are_killed(head: Any, photos: Path, tmp_path: Path) -> None:
    """The driver twice, and a node in the middle: every photo once, in order."""
    log, out = tmp_path / "log", tmp_path / "out"
    words = [sys.executable, "-m", "tests.cluster_toy", head.address, str(out), str(log), "0.05", str(photos)]

    def kill_after(count: int) -> None:
        driver = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE)
        end = time.monotonic() + WAIT
        while time.monotonic() < end and driver.poll() is None and _count(log) < count:
            time.sleep(0.02)
        assert driver.poll() is None, driver.communicate()[1]
        driver.send_signal(signal.SIGKILL)
        driver.communicate()

    kill_after(3)
    done = _done(out)
    kill_after(_count(log) + 4)
    assert _done(out) >= done
    node = head.add_node(num_cpus=1, object_store_memory=100_000_000)
    killer = threading.Thread(target=_kill_node, args=(head, node, log, _count(log) + 3))
    killer.start()
    one = cluster.Cluster(head.address, 3, 3)
    from easel.runners import local

    recipe = Tally(photos=(str(photos),), seconds=0.05, log=str(log), seed=1)
    made = local.run(recipe, out, "cpu", "float32", None, lambda mine, place: cluster.run(mine, place, one))
    killer.join()
    told = lines(out / "metadata.jsonl")
    assert [row["file_name"] for row in told] == [f"{number}.png" for number in range(20)]
    assert [float(row["text"].split()[1]) // 1 for row in told] == [level_of(photos / f"{n}.png") for n in range(20)]
    assert len(made.texts) == 20
    assert "| starts | 3 |" in (out / "report.md").read_text()
    assert not list(out.glob(".*.part"))


def _count(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def _done(out: Path) -> int:
    with contextlib.closing(sqlite3.connect(out / "manifest.sqlite")) as base:
        return int(base.execute("SELECT count(*) FROM photos WHERE state = 'done'").fetchone()[0])


def _kill_node(head: Any, node: Any, log: Path, count: int) -> None:
    end = time.monotonic() + WAIT
    while time.monotonic() < end and _count(log) < count:
        time.sleep(0.02)
    head.remove_node(node, allow_graceful=False)


def test_cancel_and_progress(head: Any, photos: Path, tmp_path: Path) -> None:
    from easel.runners import local

    seen: list[Step] = []

    def report(step: Step) -> None:
        seen.append(step)
        if step.phase == "tally" and step.done >= 8:
            raise Cancelled("enough")

    recipe = Tally(photos=(str(photos),), seconds=0.02, seed=1)
    one = cluster.Cluster(head.address, 1, 2, part=4)
    with pytest.raises(Cancelled):
        local.run(recipe, tmp_path / "out", "cpu", "float32", report, lambda mine, place: cluster.run(mine, place, one))
    last = seen[-1]
    assert last.total == 20
    assert last.eta is not None
    assert any(step.preview is not None for step in seen)
    made = shared(recipe, tmp_path / "out", head)
    assert len(made.texts) == 20
    with pytest.raises(EaselError, match="other settings"):
        shared(Tally(photos=(str(photos),), seconds=0.5, seed=1), tmp_path / "out", head)


def test_on_the_command_line(head: Any, photos: Path, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    words = ["tally", str(photos), "--seed", "1", "--out", str(tmp_path / "out"), "--quiet", "--device", "cpu"]
    words += ["--dtype", "float32"]
    assert main([*words, "--on", head.address, "--workers", "1:2"]) == 0
    monkeypatch.setenv("EASEL_ON", head.address)
    assert main([*words[:5], str(tmp_path / "web"), *words[6:]]) == 0
    assert (tmp_path / "web" / "manifest.sqlite").exists()
    monkeypatch.delenv("EASEL_ON")
    capsys.readouterr()
    for more, said in (
        (["--on", "localhost:1"], "nobody answers at localhost:1"),
        (["--on", "somewhere"], "is no address"),
        (["--on", head.address, "--workers", "0"], "--workers 0"),
        (["--on", head.address, "--shards", "3"], "multiple of --batch-size"),
        (["--workers", "2"], "give --on"),
    ):
        begun = time.monotonic()
        assert main([*words, *more]) == 2
        shown = capsys.readouterr().err
        assert said in shown
        assert shown.count("\n") == 1
        assert time.monotonic() - begun < 10
    assert main(["train", "dcgan", str(photos), "--on", head.address]) == 2
    assert "train cannot be shared out" in capsys.readouterr().err
    assert main(["caption", "s3://bucket/photos"]) == 2
    assert "see --on" in capsys.readouterr().err


def test_jobs_of_the_studio(head: Any, photos: Path, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of the queue is done by the cluster, with progress and a preview; one that is cancelled ends, and its
    worker takes the next.
    """
    from easel.web import index, queue, worker
    from easel.web.models import Job

    monkeypatch.setitem(KINDS, "tally", KIND)
    monkeypatch.setenv("EASEL_ON", head.address)
    monkeypatch.setenv("EASEL_WORKERS", "1:2")
    told: list[dict[str, Any]] = []
    report = queue.report

    def reported(job: Job, name: str, **facts: Any) -> None:
        report(job, name, **facts)
        told.append(facts)
        if job.pk == slow.pk:
            queue.cancel(slow)

    monkeypatch.setattr(queue, "report", reported)
    slow, quick = (queue.enqueue(owner, Tally(photos=(str(photos),), seconds=each, seed=1)) for each in (0.5, 0.0))
    worker.Worker(stop=worker.Stop(), once=True).run()
    ended = {job.pk: job for job in Job.objects.all()}
    assert (ended[slow.pk].state, ended[quick.pk].state, ended[quick.pk].error) == ("cancelled", "done", "")
    done = [facts["done"] for facts in told if facts["phase"] == "tally" and facts["total"] == 20]
    assert done == sorted(done)
    assert done[-1] == 20
    assert any("preview" in facts for facts in told)
    assert index.preview_path(quick).is_file()
    assert len(lines(quick.folder / "metadata.jsonl")) == 20
    assert (quick.folder / "manifest.sqlite").is_file()
    pools.close()  # the worker that waits for the studio's next job


def test_one_mistake_for_all_stops_the_run(head: Any, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(EaselError, match="there is no photo or folder"):
        shared(Tally(photos=(str(photos / "none"),), seed=1), tmp_path / "none", head)
    for path in photos.iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(EaselError, match=r"0.png is .*not a picture"):  # each for its own reason: all are looked at
        shared(Tally(photos=(str(photos),), seed=1), tmp_path / "broken", head)
    with contextlib.closing(sqlite3.connect(tmp_path / "broken" / "manifest.sqlite")) as base:
        assert len(base.execute("SELECT DISTINCT why FROM failed").fetchall()) == 20
    for path in photos.iterdir():
        path.unlink()
    with pytest.raises(EaselError, match="there are no pictures in"):
        shared(Tally(photos=(str(photos),), seed=1), tmp_path / "empty", head)


def test_the_pool_grows_and_shrinks(head: Any) -> None:
    from easel.runners.ray import Pool

    def until(size: int) -> None:
        end = time.monotonic() + WAIT
        while pool.size < size and time.monotonic() < end:
            list(pool.wait(0.2))
        assert pool.size == size

    with contextlib.closing(Pool(head.address, 1, 2, Worker)) as pool:
        pool.grow(0)
        until(1)
        pool.grow(9)
        until(2)
        assert pool.room == 4
        pool.submit("hello", "mine")
        assert (pool.busy, pool.room) == (1, 3)
        pool.shrink()
        assert pool.size == 1
        back: list[Any] = []
        while not back:
            back += pool.wait(0.2)
        assert [task for task, _, _ in back] == ["mine"]
    assert (pool.size, pool.busy) == (0, 0)


def test_without_ray(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else find(name, *more))
    with pytest.raises(EaselError, match=r"pip install 'easel\[ray\]'"):
        runners.run(Tally(photos=(str(photos),)), tmp_path / "out", on="local-cluster")


def test_other_versions(head: Any, monkeypatch: pytest.MonkeyPatch) -> None:

    from easel.runners import joining
    from easel.runners.ray import Pool

    monkeypatch.setattr(joining, "__version__", "9.9")
    with contextlib.closing(Pool(head.address, 1, 1, Worker)) as pool:
        pool.grow(1)

        def look() -> None:
            end = time.monotonic() + WAIT
            while time.monotonic() < end:
                list(pool.wait(0.2))

        with pytest.raises(EaselError, match=r"has easel .*, and this process 9\.9"):
            look()


def test_sources(tmp_path: Path, photos: Path) -> None:
    assert sources.expanded("a-{08..10}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar"]
    names = ["10.png", "9.png", "a.png", "A2.png", "a10.png", "b", "09-x.png"]
    assert sorted(names, key=sources.natural) == [path.name for path in sorted(map(Path, names), key=images._natural)]
    (one,) = sources.sources([str(photos / "*.png")])
    found = list(sources.listed(one, sources.common_root([one])))
    assert sorted(name for _, name, *_ in found)[:2] == ["0.png", "1.png"]
    for wrong, said in ((tmp_path / "none", "no photo or folder"), (tmp_path / "a.tar.gz", "packed")):
        with pytest.raises(EaselError, match=said):
            sources.sources([str(wrong)])
    (tmp_path / "no.tar").write_bytes(b"nothing of the kind" * 100)
    assert "no tar file" in sources.indexed(str(tmp_path / "no.tar"), "")[1]
    with tarfile.open(tmp_path / "end.tar", "w") as tar:
        tar.add(photos / "1.png", "1.png")
    content = (tmp_path / "end.tar").read_bytes()
    assert sources.indexed(str(tmp_path / "end.tar"), "")[1] == ""
    with tarfile.open(tmp_path / "end.tar") as tar:
        end = tar.getmembers()[0].offset_data + 512
    (tmp_path / "end.tar").write_bytes(content[:end])  # head and picture, and no end
    found, wrong_words = sources.indexed(str(tmp_path / "end.tar"), "")
    assert (len(found), wrong_words) == (1, "cut short")


def test_manifest(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "m.sqlite")
    manifest.add_found(0, [("b", "b", "/b", None, None), ("a", "a", "/a", None, None), ("a", "a", "/c", 1, 2)])
    assert manifest.number_items(2) == 3
    first, second = manifest.waiting(0, 9)
    assert [item.name for item in manifest.items(first)] == ["a", "a_2"]
    assert (second.first, second.size) == (2, 1)
    manifest.finish(first, {"done": ["x"]}, {1: "why"}, "me", 0.5)
    assert manifest.counts() == (1, 1)
    assert list(manifest.failures()) == [("a_2", "why")]
    manifest.finish(second, {}, {2: "died"}, "", 0.0)
    manifest.take_back_lost()
    assert manifest.waiting(0, 9) == [Part(2, 1, 0)]
    assert manifest.counts() == (1, 1)
    manifest.close()
    (tmp_path / "bad.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(EaselError, match="is damaged"):
        Manifest(tmp_path / "bad.sqlite")


def test_means_in_flat_memory() -> None:
    values = glue.Values()
    numbers = [(number * 7919 % 1000) / 1000 for number in range(5000)]
    for number in numbers:
        values.add(number)
    found = values.estimate()
    mean = sum(numbers) / 5000
    assert found.value == pytest.approx(mean)
    spread = (sum((number - mean) ** 2 for number in numbers) / 4999 / 5000) ** 0.5
    assert found.high == pytest.approx(mean + 1.959964 * spread)
    assert renumbered("01-van-gogh.png", 99, 1000, "my photo") == "0100-my-photo-van-gogh.png"


def test_generate_in_parts(tmp_path: Path) -> None:
    """Four pictures in one run, and in parts of two, as a worker does them: the same bytes."""
    recipe = easel.Generate(prompt="a red bird", count=4, batch_size=2, steps=1, width=64, height=64, seed=3)  # type: ignore[attr-defined]
    alone = runners.run(recipe, tmp_path / "alone", "cpu", "float32")
    worker, manifest = Worker(), Manifest(tmp_path / "m.sqlite")
    manifest.number_pictures(4, 2)
    for part in manifest.waiting(0, 9):
        task = Task(part, tuple(manifest.items(part)), 4, KINDS["generate"], recipe.plain(), "cpu", "float32")
        outcome = worker.do(task)
        assert (outcome.failed, outcome.fault) == ({}, "")
        for name, content in outcome.files.items():
            assert content == (tmp_path / "alone" / name).read_bytes()
        assert list(outcome.files) == list(alone.pictures[part.first : part.first + 2])
        scores = [score["value"] for row in outcome.done for score in row["scores"]]
        wanted = [score.value for score in alone.scores][part.first : part.first + 2]
        assert scores == pytest.approx(wanted, rel=1e-5)  # the judge saw other pictures beside them
    manifest.close()
