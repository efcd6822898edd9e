"""Runs whose photos come from a bucket and whose pictures go into one: against an S3 server that this test starts."""

from __future__ import annotations

import io
import json
import os
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from easel.data.texts import read_table
from easel.errors import EaselError
from easel.kinds import KINDS, Kind
from easel.runners.cluster import afar, places, sources
from easel.runners.cluster.manifest import Manifest
from easel.runners.cluster.task import Task
from easel.runners.cluster.worker import Worker
from tests.cluster_toy import KIND
from tests.toy.recipe import Frame

pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'easel[s3]'")
server = pytest.importorskip("moto.server", reason="moto is not installed: it is in easel[dev]")
PLAIN = {"Content-Type": "text/plain"}
pytestmark = [pytest.mark.enable_socket, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """An S3 server of its own, with a bucket of five photos and a shard of them, and one that nobody may read."""
    import s3fs

    patch = pytest.MonkeyPatch()
    made = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    made.start()
    host, port = made.get_host_and_port()
    patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "testing")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    files.mkdir("photos")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for number in range(5):
            picture = io.BytesIO()
            Image.new("RGB", (20, 16), (10 * number, 0, 0)).save(picture, "PNG")
            files.pipe_file(f"photos/in/{number}.png", picture.getvalue())
            member = tarfile.TarInfo(f"{number}.png")
            member.size = len(picture.getvalue())
            tar.addfile(member, io.BytesIO(picture.getvalue()))
    files.pipe_file("photos/in/notes.txt", b"none")
    files.pipe_file("photos/shards/a-000.tar", stream.getvalue())
    files.pipe_file("photos/shards/a-001.tar", stream.getvalue()[:3000])
    yield files
    s3fs.S3FileSystem.clear_instance_cache()
    made.stop()
    patch.undo()


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "tally", KIND)
    monkeypatch.setitem(KINDS, "frame", Kind("Put a frame around a photo.", "tests.toy.recipe:Frame", "tests.toy.job"))


def test_folders_patterns_and_shards(s3: Any) -> None:
    for named in ("s3://photos/in", "s3://photos/in/*.png", "s3://photos/**/*.png"):
        (one,) = sources.sources([named])
        found = list(sources.listed(one, sources.common_root([one])))
        names = sorted(name.rpartition("/")[2] for _, name, *_ in found)
        assert names == [f"{number}.png" for number in range(5)]
    (photo,) = sources.sources(["s3://photos/in/3.png"])
    assert [name for _, name, *_ in sources.listed(photo, photo.root)] == ["3.png"]
    whole, cut = sources.sources(["s3://photos/shards"])
    found, wrong = sources.indexed(whole.place, whole.root)
    assert (len(found), wrong) == (5, "")
    _, name, place, at, size = found[4]
    assert name == "a-000.tar/4.png"
    picture = Image.open(io.BytesIO(places.read(place, at or 0, size)))
    assert picture.getpixel((0, 0)) == (40, 0, 0)
    found, wrong = sources.indexed(cut.place, cut.root)
    assert wrong == "cut short"
    assert 0 < len(found) < 5


def test_a_part_from_a_bucket_into_it(s3: Any, tmp_path: Path) -> None:
    """As a worker does it: photos out of a shard, pictures into a shard, both in the bucket."""
    manifest = Manifest(tmp_path / "m.sqlite")
    found, _ = sources.indexed("s3://photos/shards/a-000.tar", "s3://photos/shards")
    manifest.add_found(0, found)
    assert manifest.number_items(3) == 5
    recipe = Frame(photo="s3://photos/shards/a-000.tar", width=3, seed=1)
    for turn, part in enumerate(manifest.waiting(0, 9)):
        kind, items, shard = KINDS["frame"], tuple(manifest.items(part)), f"pictures-{turn}.tar"
        task = Task(part, items, 5, kind, recipe.plain(), "cpu", "float32", "", "s3://photos/out", shard)
        outcome = Worker().do(task)
        assert (outcome.failed, outcome.fault, outcome.files) == ({}, "", {})
        assert outcome.names == [shard]
    with tarfile.open(fileobj=io.BytesIO(s3.cat_file("photos/out/pictures-1.tar"))) as tar:
        names = tar.getnames()
        assert names == ["04-3-framed.png", "04-3-framed.json", "05-4-framed.png", "05-4-framed.json"]
        assert json.loads(tar.extractfile(names[1]).read())["photo"] == "a-000.tar/3.png"  # type: ignore[union-attr]
        inside = Image.open(io.BytesIO(tar.extractfile(names[0]).read()))  # type: ignore[union-attr]
        inside.load()
        assert '"photo": "a-000.tar/3.png"' in inside.text["easel"]  # type: ignore[attr-defined]
    manifest.close()
    places.send(tmp_path / "m.sqlite", "s3://photos/out/manifest.sqlite")
    assert places.fetch("s3://photos/out/manifest.sqlite", tmp_path / "back.sqlite")
    assert (tmp_path / "back.sqlite").read_bytes() == (tmp_path / "m.sqlite").read_bytes()
    assert not places.fetch("s3://photos/out/none", tmp_path / "none")


class Alone:
    """A crowd that does a work here."""

    workspace = None

    def each(self, _phase: str, work: Any, items: Any, _size: int, _lost: Any) -> Iterator[tuple[Any, Any]]:
        """All at once."""
        yield items, work(items)


def test_what_is_measured_there_is_found_and_laid_down_here(s3: Any, tmp_path: Path) -> None:
    recipe: Any = None
    crowd: Any = Alone()
    s3.pipe_file("photos/in/metadata.jsonl", b'{"file_name": "0.png", "text": "black"}\n')
    found = afar.listed("s3://photos/in", recipe, crowd, tmp_path)
    assert found is not None
    assert found.table is not None
    assert [one.name for one in found.pictures] == [f"{number}.png" for number in range(5)]
    assert read_table(found.table, {one.name for one in found.pictures}, "s3://photos/in").texts == {"0.png": "black"}
    packed = afar.listed("s3://photos/shards", recipe, crowd, tmp_path / "none")
    assert packed is not None
    assert packed.table is None
    assert packed.pictures[4].name == "a-000.tar/4.png"
    assert ["a-001.tar is cut short" in note for note in packed.notes] == [True]
    with afar.near([found.pictures[3], packed.pictures[4]], "easel-test-") as (here, names):
        assert [Image.open(one.path).getpixel((0, 0)) for one in here] == [(30, 0, 0), (40, 0, 0)]
        assert list(names.values()) == ["3.png", "a-000.tar/4.png"]
    assert not Path(here[0].path).exists()


def test_what_goes_wrong_is_said(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for named, said in (
        ("s3://nobody/photos", "no such bucket|no files in"),
        ("s3://photos/nothing", "there is no s3://photos/nothing"),
        ("xyz://a/b", "is not known"),
        ("ftp://127.0.0.1:1/photos", "nobody answers there"),
    ):
        with pytest.raises(EaselError, match=said):
            sources.sources([named])
    places.check_writable("s3://photos/out")
    with pytest.raises(EaselError, match="no such bucket"):
        places.check_writable("s3://nobody/out")

    # from here on the server asks for rights, and these credentials have none
    host = os.environ["AWS_ENDPOINT_URL"]
    for count in (b"0", b"inf"):
        urllib.request.urlopen(urllib.request.Request(f"{host}/moto-api/reset-auth", count, PLAIN)).close()
        if count == b"0":
            with pytest.raises(EaselError, match="you may not write s3://photos/out"):
                places.check_writable("s3://photos/out")
            with pytest.raises(EaselError, match="you may not read s3://photos/in"):
                places.read("s3://photos/in/1.png")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    type(s3).clear_instance_cache()
    with pytest.raises(EaselError, match="nobody answers"):
        places.read("s3://photos/in/1.png")
    type(s3).clear_instance_cache()


def test_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "s3fs" else find(name, *more))
    with pytest.raises(EaselError, match=r"needs s3fs.*pip install 'easel\[s3\]'"):
        places.system("s3://photos")
