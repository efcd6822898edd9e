"""Measurements shared out: the same files as in one process, whoever did which items, and in whatever order."""

from __future__ import annotations

import importlib.util
import io
import json
import pickle
import shutil
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import easel
from easel import runners
from easel.errors import EaselError
from easel.jobs.inputs import holds_shards
from easel.jobs.score import prompt, set_features
from easel.kinds import KINDS
from easel.recipes import Recipe
from easel.result import Result
from easel.runners import joining
from easel.runners.cluster import Cluster, check, pools
from easel.runners.cluster import afar as crowd_afar
from easel.runners.ray import Died

pytestmark = pytest.mark.filterwarnings("ignore")
PHOTOS = 10
"""More than a worker gets in hand at once, which is `FEW` here."""
FEW = 4


class Desk:
    """A pool whose one worker is here: all goes through pickles, as through Ray, and comes back the last one first."""

    deaths = 0
    dying: frozenset[str] = frozenset()
    """Names of items that kill the worker."""
    joined = 0

    def __init__(self, _on: str, _least: int, _most: int | None, worker: type, _device: str) -> None:
        type(self).joined += 1
        self._worker, self._back = worker(), list[tuple[Any, Any, str]]()
        self.size, self.room = 1, 1

    @property
    def busy(self) -> int:
        """Parts in hand."""
        return len(self._back)

    def submit(self, method: str, part: Any, *words: Any) -> None:
        """Do it at once."""
        words = pickle.loads(pickle.dumps(words))
        if {getattr(item, "name", item) for item in words[0].items} & self.dying:
            outcome: Any = Died("its process was killed")
        else:
            outcome = pickle.loads(pickle.dumps(getattr(self._worker, method)(*words)))
        self._back.append((part, outcome, "me"))
        self.room = 4 - len(self._back)

    def wait(self, _seconds: float) -> Iterator[tuple[Any, Any, str]]:
        """The last one first."""
        self.room = 4
        while self._back:
            yield self._back.pop()

    def grow(self, _waiting: int) -> None:
        """There is one worker."""

    shrink = close = lambda self: None


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Desk]]:
    """Clusters are desks."""
    monkeypatch.setattr(pools, "Pool", Desk)
    monkeypatch.setattr(joining, "check", lambda _on: None)
    monkeypatch.setattr(Desk, "dying", frozenset())
    monkeypatch.setattr(Desk, "joined", 0)
    monkeypatch.setattr(set_features, "TOGETHER", FEW)
    monkeypatch.setattr(prompt, "TOGETHER", 2)
    monkeypatch.setattr(prompt, "BATCHES", FEW // 2)
    yield Desk
    pools.close()


@pytest.fixture
def bucket() -> Iterator[Any]:
    """Copies a folder into a bucket of fsspec's file system in memory, and gives that."""
    files = pytest.importorskip("fsspec").filesystem("memory")

    def copy(folder: Path, name: str) -> Any:
        for path in folder.iterdir():
            files.pipe_file(f"/bucket/{name}/{path.name}", path.read_bytes())
        return files

    yield copy
    files.rm("/bucket", recursive=True)


def pictures(folder: Path, count: int, turn: int = 0) -> Path:
    """A folder of small pictures, each another, with a caption to each."""
    folder.mkdir()
    lines = []
    for number in range(count):
        colour = (3 * number % 256, (40 * turn + 11 * number) % 256, 200 - number)
        picture = Image.effect_noise((48, 40), 20 + number).convert("RGB")
        Image.blend(picture, Image.new("RGB", picture.size, colour), 0.6).save(folder / f"{number}.png")
        lines.append(f'{{"file_name": "{number}.png", "text": "picture {number % 7} of {turn}"}}\n')
    (folder / "metadata.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("sets") / "made", PHOTOS)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = pictures(tmp_path_factory.mktemp("sets") / "real", 8, 1)
    (folder / "7.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    return folder


def both(recipe: Recipe, place: Path) -> tuple[Result, Result]:
    """Alone and shared out: the same tables, sheet, pictures and scores."""
    alone = runners.run(recipe, place / "alone", "cpu", "float32")
    shared = runners.run(recipe, place / "shared", "cpu", "float32", on="local-cluster")
    assert shared.scores == alone.scores
    assert (shared.texts, shared.pictures, shared.files) == (alone.texts, alone.pictures, alone.files)
    for name in (*alone.pictures, *alone.files):
        assert (place / "shared" / name).read_bytes() == (place / "alone" / name).read_bytes(), name
    assert shared.notes == alone.notes
    return alone, shared


def test_sets(desk: type[Desk], real: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    recipe = easel.ScoreSets(folder=str(real), made=str(made), seed=1)  # type: ignore[attr-defined]
    _, shared = both(recipe, tmp_path)
    assert any("1 of 8 pictures were skipped" in note for note in shared.notes)
    joined = desk.joined
    again = runners.run(recipe, tmp_path / "shared", "cpu", "float32", on="local-cluster")
    assert (again.scores, desk.joined) == (shared.scores, joined)  # from the manifests: no cluster is needed
    shutil.copytree(made, tmp_path / "less")
    (tmp_path / "less" / "3.png").unlink()
    moved = recipe.model_copy(update={"made": str(tmp_path / "less")})
    with pytest.raises(EaselError, match="other settings"):
        runners.run(moved, tmp_path / "shared", "cpu", "float32", on="local-cluster")


def shards(folder: Path, into: Path, each: int = 5, ends: str = ".png") -> Path:
    """The pictures of a folder in shards, with its table, whose names are those in the shards."""
    into.mkdir()
    lines = []
    for number, path in enumerate(sorted(folder.glob(f"*{ends}"), key=lambda path: int(path.stem))):
        shard = into / f"part-{number // each:02d}.tar"
        with tarfile.open(shard, "a") as tar:
            tar.add(path, path.name)
        line = json.loads((folder / "metadata.jsonl").read_text().splitlines()[number])
        lines.append(json.dumps(line | {"file_name": f"{shard.name}/{path.name}"}) + "\n")
    (into / "metadata.jsonl").write_text("".join(lines))
    return into


def test_sets_in_a_bucket_and_in_shards(desk: type[Desk], real: Path, made: Path, tmp_path: Path, bucket: Any) -> None:
    """The numbers of plain folders. A broken picture is named as it is called in its shard."""
    plain = easel.ScoreSets(folder=str(real), made=str(made), seed=1)  # type: ignore[attr-defined]
    alone = runners.run(plain, tmp_path / "alone", "cpu", "float32")
    bucket(made, "made")
    packed = shards(real, tmp_path / "shards")
    afar = plain.model_copy(update={"folder": str(packed), "made": "memory://bucket/made"})
    shared = runners.run(afar, tmp_path / "shared", "cpu", "float32", on="local-cluster")
    assert [(one.name, one.value, one.n) for one in shared.scores] == [(o.name, o.value, o.n) for o in alone.scores]
    (note,) = [note for note in shared.notes if "skipped" in note]
    assert "part-01.tar/7.png" in note
    assert "/tmp" not in note
    for name in ("sheet.png", "table.csv"):
        assert (tmp_path / "shared" / name).stat().st_size > 0
    assert "part-00.tar/0.png" in (tmp_path / "shared" / "table.csv").read_text()
    joined = desk.joined
    again = runners.run(afar, tmp_path / "shared", "cpu", "float32", on="local-cluster")
    assert (again.scores, desk.joined) == (shared.scores, joined)
    with tarfile.open(packed / "part-01.tar", "a") as tar:
        tar.add(made / "9.png", "more.png")
    more = runners.run(afar, tmp_path / "shared", "cpu", "float32", on="local-cluster")
    assert any("begins anew" in note for note in more.notes)
    assert "of 9 pictures" in next(note for note in more.notes if "skipped" in note)
    shutil.rmtree(packed)
    shards(real, packed)
    for text in (str(packed / "part-*.tar"), str(packed / "part-{00..01}.tar")):
        wish = afar.model_copy(update={"folder": text})
        found = runners.run(wish, tmp_path / f"by-{len(text)}", "cpu", "float32", on="local-cluster")
        assert [one.value for one in found.scores] == [one.value for one in alone.scores]


def test_prompts_in_a_bucket_and_in_shards(desk: type[Desk], made: Path, tmp_path: Path, bucket: Any) -> None:
    plain = easel.ScorePrompt(folder=str(made), seed=1)  # type: ignore[attr-defined]
    alone = runners.run(plain, tmp_path / "alone", "cpu", "float32")
    bucket(made, "made")
    for number, folder in enumerate(("memory://bucket/made", str(shards(made, tmp_path / "shards")))):
        wish = plain.model_copy(update={"folder": folder})
        shared = runners.run(wish, tmp_path / f"shared{number}", "cpu", "float32", on="local-cluster")
        assert [(one.name, one.value, one.n) for one in shared.scores] == [(o.name, o.value, o.n) for o in alone.scores]
        sheets = [(tmp_path / name / "sheet.png").read_bytes() for name in ("alone", f"shared{number}")]
        assert number or sheets[0] == sheets[1]


def test_what_is_not_as_it_was_said_afar(desk: type[Desk], real: Path, made: Path, tmp_path: Path, bucket: Any) -> None:
    files = bucket(made, "made")
    files.rm("/bucket/made/4.png")
    prompt_of = easel.ScorePrompt(folder="memory://bucket/made", seed=1)  # type: ignore[attr-defined]
    found = runners.run(prompt_of, tmp_path / "less", "cpu", "float32", on="local-cluster")
    assert found.scores[0].n == PHOTOS - 1
    assert any("4.png is not there" in note for note in found.notes)
    place = set_features.Place("4.png", "memory://bucket/made/4.png")
    with crowd_afar.near([place], "easel-test-") as ((gone,), names), pytest.raises(EaselError) as refused:
        set_features.picture_at(gone, None)
    assert crowd_afar.named(str(refused.value), names) == "there is no file 4.png"
    files.rm("/bucket/made/metadata.jsonl")
    packed = shards(real, tmp_path / "shards")
    cut = (packed / "part-01.tar").read_bytes()[:1000]
    (packed / "part-01.tar").write_bytes(cut)
    sets_of = easel.ScoreSets(folder=str(packed), made=str(made), seed=1)  # type: ignore[attr-defined]
    found = runners.run(sets_of, tmp_path / "cut", "cpu", "float32", on="local-cluster")
    assert any("part-01.tar is cut short" in note for note in found.notes)
    for number, (recipe, said) in enumerate(
        (
            (prompt_of, "has no metadata.jsonl"),
            (sets_of.model_copy(update={"folder": "memory://bucket/none"}), "there is no memory://bucket/none"),
            (sets_of.model_copy(update={"split": "test"}), "without layout or split"),
            (sets_of.model_copy(update={"folder": str(packed / "none-*.tar")}), "nothing is like"),
        )
    ):
        with pytest.raises(EaselError, match=said):
            runners.run(recipe, tmp_path / f"no-{number}", "cpu", "float32", on="local-cluster")
    (tmp_path / "classes" / "birds").mkdir(parents=True)
    shutil.copy(made / "0.png", tmp_path / "classes" / "birds")
    (tmp_path / "classes" / "birds.tar").write_bytes(cut)
    assert not holds_shards(str(tmp_path / "classes"))  # the tar is what the folder was unpacked from
    assert holds_shards(str(packed))
    for recipe in (prompt_of, sets_of, sets_of.model_copy(update={"folder": str(packed / "part-00.tar")})):
        with pytest.raises(EaselError, match="add --on local-cluster to read them"):
            runners.run(recipe, tmp_path / "out", "cpu", "float32")


def test_what_kills_its_worker_is_left_out_and_named(desk: type[Desk], made: Path, tmp_path: Path) -> None:
    desk.dying = frozenset({"5.png"})
    recipe = easel.ScorePrompt(folder=str(made), seed=1)  # type: ignore[attr-defined]
    found = runners.run(recipe, tmp_path / "out", "cpu", "float32", on="local-cluster")
    assert found.scores[0].n == PHOTOS - 1
    (note,) = [note for note in found.notes if "5.png" in note]
    assert "2 workers died over it" in note
    desk.dying = frozenset()
    again = runners.run(recipe, tmp_path / "out", "cpu", "float32", on="local-cluster")  # there is more memory now
    assert again.scores[0].n == PHOTOS
    both(recipe, tmp_path)


def test_likeness_and_styles(desk: type[Desk], real: Path, tmp_path: Path) -> None:
    few = pictures(tmp_path / "few", 3)
    both(easel.ScoreLikeness(real=str(real), made=str(few), photos=str(real), seed=1), tmp_path)  # type: ignore[attr-defined]
    for name in ("alone", "shared"):
        shutil.rmtree(tmp_path / name)
    two = pictures(tmp_path / "two", 2)
    recipe = easel.ScoreStyles(folder=str(two), styles=("van-gogh",), steps=2, strength=1.0, seed=1)  # type: ignore[attr-defined]
    _, shared = both(recipe, tmp_path)
    assert len(shared.pictures) == 2


def test_refused_before_the_cluster_is_joined(desk: type[Desk], real: Path, tmp_path: Path) -> None:
    for recipe, said in (
        (easel.ScoreLikeness(real="s3://bucket/real", made=str(real)), "mount the bucket"),  # type: ignore[attr-defined]
        (easel.ScoreSets(folder=str(tmp_path / "none"), made=str(real)), "there is no folder"),  # type: ignore[attr-defined]
        (easel.ScorePrompt(folder=str(real), judge="nobody"), "nobody"),  # type: ignore[attr-defined]
        (easel.Train(network="dcgan", data=str(real)), "accelerate launch"),  # type: ignore[attr-defined]
    ):
        with pytest.raises(EaselError, match=said):
            runners.run(recipe, tmp_path / "out", "cpu", "float32", on="local-cluster")
    score = easel.ScorePrompt(folder=str(real))  # type: ignore[attr-defined]
    with pytest.raises(EaselError, match="--shards packs pictures"):
        check(score, Cluster("local-cluster", shards=4))
    with pytest.raises(EaselError, match="name a folder as --out"):
        check(score, Cluster("local-cluster"), "s3://bucket/out")
    assert desk.joined == 0
    assert {word for word, kind in KINDS.items() if kind.recipe.hands_out} == {
        "score-styles", "score-prompt", "score-sets", "score-likeness", "score-ppl"
    }  # fmt: skip


def test_versions_and_lacks_in_words() -> None:
    """What Ray 2.60 says where machines differ, and what the user reads."""
    mismatch = (
        "Version mismatch: The cluster was started with:\n    Ray: 2.60.0\n    Python: 3.11.7\n"
        "This process on Ray Client was started with:\n    Ray: 2.59.0\n    Python: 3.12.1\n"
    )
    for text, said in (
        (mismatch, "has Ray 2.60.0 and Python 3.11.7, and this process Ray 2.59.0 and Python 3.12.1"),
        ("ModuleNotFoundError: No module named 'easel'", "easel is not installed on the machines"),
        ("No module named 'easel.runners.cluster.worker'", "is another than here: install easel"),
        ("Can't get attribute 'Worker' on <module 'easel.runners.cluster.worker' from ...>", "is another than here"),
        ("ModuleNotFoundError: No module named 'diffusers'", "diffusers is not installed on the machines"),
        ("the head went away", "what is done is kept"),
    ):
        found = str(joining.explained("ray://head:10001", RuntimeError(text)))
        assert said in found
        assert "\n" not in found
    joining.check_versions({"machine": "node", "easel": easel.__version__, "python": "3.11.99"})
    for who, said in (
        ({"easel": "0.0", "python": "3.11.7"}, "node has easel 0.0"),
        ({"easel": easel.__version__, "python": "3.9.1"}, "node has Python 3.9.1"),
    ):
        with pytest.raises(EaselError, match=said):
            joining.check_versions({"machine": "node"} | who)


def test_buckets_by_another_file_system(tmp_path: Path) -> None:
    """The lines that s3:// and gs:// take, against fsspec's file system in memory: listed, read, written, fetched."""
    from easel.runners.cluster import places, sources

    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    for number in range(3):
        stream = io.BytesIO()
        Image.new("RGB", (8, 8), (number, 0, 0)).save(stream, "PNG")
        places.write(f"memory://bucket/in/{number}.png", stream.getvalue())
    try:
        for named in ("memory://bucket/in", "memory://bucket/in/*.png"):
            (one,) = sources.sources([named])
            found = sorted(sources.listed(one, sources.common_root([one])))
            assert [name for _, name, *_ in found] == ["0.png", "1.png", "2.png"]
            assert Image.open(io.BytesIO(places.read(found[2][2]))).getpixel((0, 0)) == (2, 0, 0)
        assert places.read("memory://bucket/in/1.png", 1, 3) == b"PNG"
        places.check_writable("memory://bucket/out")
        (tmp_path / "made").write_bytes(b"made")
        places.send(tmp_path / "made", "memory://bucket/out/made")
        assert places.fetch("memory://bucket/out/made", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == b"made"
        assert not places.fetch("memory://bucket/out/none", tmp_path / "none")
        with pytest.raises(EaselError, match="there is no memory://bucket/none"):
            sources.sources(["memory://bucket/none"])
    finally:
        files.rm("/bucket", recursive=True)


def test_google_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from easel.runners.cluster import places

    find = importlib.util.find_spec
    none = {"gcsfs"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in none else find(name, *more))
    with pytest.raises(EaselError, match=r"gs:// needs gcsfs, which is not installed: pip install gcsfs"):
        places.system("gs://bucket/photos")


def test_generate_from_end_to_end(desk: type[Desk], tmp_path: Path) -> None:
    """Nothing is named that a source could be looked for in."""
    recipe = easel.Generate(prompt="a red bird", count=2, steps=1, width=64, height=64, seed=1)  # type: ignore[attr-defined]
    alone = runners.run(recipe, tmp_path / "alone", "cpu", "float32")
    shared = runners.run(recipe, tmp_path / "shared", "cpu", "float32", on="local-cluster")
    assert shared.pictures == alone.pictures
    for name in alone.pictures:
        assert (tmp_path / "shared" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


@pytest.mark.enable_socket
def test_what_answers_and_is_no_ray() -> None:
    grpc = pytest.importorskip("grpc")
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        for on in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
            with pytest.raises(EaselError, match="is no Ray, or Ray's other port"):
                joining._take_token(on)
    finally:
        server.stop(None)
