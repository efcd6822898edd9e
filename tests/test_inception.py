"""FID's Inception network, how its published weights are fetched and turned into safetensors, and pictures as rows."""

from __future__ import annotations

import hashlib
import json
import pickle
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from easel import models
from easel.errors import Cancelled, EaselError
from easel.metrics.frechet import frechet_distance
from easel.models import set_features
from easel.models.catalog import download, listing, locate, tables
from easel.networks.inception import Convolution, FidInception, is_counter
from tests import tiny

NAME = "pt_inception-2015-12-05-6726825d.pth"
SOURCE = tables.SOURCES["mseitzer/pytorch-fid"]

SHAPES = {
    "Conv2d_1a_3x3.conv": (32, 3, 3, 3),
    "Conv2d_3b_1x1.conv": (80, 64, 1, 1),
    "Conv2d_4a_3x3.conv": (192, 80, 3, 3),
    "Mixed_5b.branch5x5_2.conv": (64, 48, 5, 5),
    "Mixed_5b.branch_pool.conv": (32, 192, 1, 1),
    "Mixed_5d.branch3x3dbl_3.conv": (96, 96, 3, 3),
    "Mixed_6a.branch3x3.conv": (384, 288, 3, 3),
    "Mixed_6b.branch7x7_2.conv": (128, 128, 1, 7),
    "Mixed_6c.branch7x7_3.conv": (192, 160, 7, 1),
    "Mixed_6d.branch7x7dbl_2.conv": (160, 160, 7, 1),
    "Mixed_6e.branch7x7dbl_5.conv": (192, 192, 1, 7),
    "Mixed_7a.branch3x3_2.conv": (320, 192, 3, 3),
    "Mixed_7a.branch7x7x3_4.conv": (192, 192, 3, 3),
    "Mixed_7b.branch3x3dbl_1.conv": (448, 1280, 1, 1),
    "Mixed_7c.branch3x3_2a.conv": (384, 384, 1, 3),
    "Mixed_7c.branch3x3dbl_3b.conv": (384, 384, 3, 1),
    "Mixed_7c.branch_pool.conv": (192, 2048, 1, 1),
    "fc": (1008, 2048),
}
"""Some of the names and shapes of the published weights, as the reference defines them."""


@pytest.fixture(scope="module")
def network() -> FidInception:
    torch.manual_seed(0)
    made = FidInception()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as untrained statistics would leave nothing of a picture
            module.running_var.fill_(0.5)  # type: ignore[union-attr, operator]
    return made


def published(network: FidInception, *, counters: bool = True) -> dict[str, torch.Tensor]:
    """Weights as in the published file."""
    return {name: tensor for name, tensor in network.state_dict().items() if counters or not is_counter(name)}


# The network


def test_names_shapes_and_count(network: FidInception) -> None:
    assert sum(weight.numel() for weight in network.parameters()) == 23_850_960
    weights = published(network, counters=False)
    assert {name: tuple(weights[f"{name}.weight"].shape) for name in SHAPES} == SHAPES
    assert sum(name.endswith("conv.weight") for name in weights) == 94
    # weights, and statistics of 94 normalisations: 95.5 of the published file's 95,628,359 bytes
    assert sum(4 * tensor.numel() for tensor in weights.values()) == 95_541_568
    assert {name.rpartition(".")[2] for name in weights} == {"weight", "bias", "running_mean", "running_var"}
    assert not network.training
    assert not any(weight.requires_grad for weight in network.parameters())


def test_rows_and_classes(network: FidInception) -> None:
    pixels = torch.rand(2, 3, 40, 64, generator=torch.Generator().manual_seed(0)) * 255
    found = network(pixels)
    assert found.shape == (2, 2048)
    assert (found >= 0).all()
    assert found.std() > 0
    classes = network.probabilities(found)
    assert classes.shape == (2, 1008)
    assert classes.sum(dim=1).tolist() == pytest.approx([1, 1])
    by_hand = (found.double() @ network.fc.weight.double().T).softmax(dim=1)  # no bias
    assert torch.allclose(classes.double(), by_hand, atol=1e-6)
    assert torch.equal(network(network.resized(pixels)), found)


def test_the_resize_is_bilinear_without_aligned_corners() -> None:
    # 2 pixels to 299: centres lie at (i + 0.5) * 2 / 299 - 0.5, held at the border.
    line = torch.tensor([10.0, 250.0]).expand(1, 3, 2, 2)
    where = ((torch.arange(299) + 0.5) * 2 / 299 - 0.5).clamp(0, 1)
    assert torch.allclose(FidInception.resized(line)[0, 0, 7], 10 + 240 * where, atol=1e-3)
    whole = torch.rand(1, 3, 299, 299)
    assert FidInception.resized(whole) is whole


def test_folded_it_gives_the_same_rows(network: FidInception) -> None:
    random = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=random)  # type: ignore[union-attr, operator]
            module.bias.data.normal_(0, 0.1, generator=random)
    pixels = torch.rand(2, 3, 299, 299, generator=random) * 255
    before = network(pixels)
    folded = FidInception()
    folded.load_state_dict(network.state_dict())
    folded = folded.folded()
    with torch.no_grad():
        after = folded(pixels.contiguous(memory_format=torch.channels_last))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    assert float((after - before).abs().max()) < 1e-5 * float(before.abs().max())
    assert torch.equal(folded.folded()(pixels), folded(pixels))  # twice is once


def test_pooling_is_as_in_the_first_release(network: FidInception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Convolution, "forward", lambda self, x: x)
    x = torch.zeros(1, 1, 3, 3)
    x[0, 0, 0, 0] = 4.0
    for block in (network.Mixed_5b, network.Mixed_6b, network.Mixed_7b):
        assert block(x)[0, -1, 0, 0] == 1.0  # the mean of the 4 pixels there are, not of 9
    assert network.Mixed_7c(x)[0, -1, 1, 1] == 4.0  # the maximum
    assert network.Mixed_7c(x)[0, -1, 2, 2] == 0.0


# Fetching


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, and a source whose checksum is that of whatever `put` writes."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "assets"


def put(weights: Any, folder: Path, *, old: bool = False) -> tuple[Path, str]:
    """A pickle as torch writes it, and its checksum."""
    file = folder / NAME
    torch.save(weights, file, _use_new_zipfile_serialization=not old)
    return file, hashlib.sha256(file.read_bytes()).hexdigest()


def trusted(monkeypatch: pytest.MonkeyPatch, checksum: str, url: str = SOURCE.url) -> None:
    """The catalogue with another checksum and address."""
    from dataclasses import replace

    monkeypatch.setitem(tables.SOURCES, SOURCE.repository, replace(SOURCE, sha256=checksum, url=url))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server of this machine over tmp_path/served."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    (tmp_path / "served").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served"))) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()
        thread.join()


def test_the_source_is_pinned() -> None:
    assert SOURCE.url.startswith("https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/")
    assert SOURCE.url.endswith(f"{NAME[:-13]}-{SOURCE.sha256[:8]}.pth")  # the file bears the head of its own checksum
    assert len(bytes.fromhex(SOURCE.sha256)) == 32
    assert SOURCE.pinned


@pytest.mark.enable_socket
def test_pull_fetches_checks_and_converts(
    network: FidInception, server: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, checksum = put(published(network), tmp_path / "served", old=True)
    trusted(monkeypatch, checksum, f"{server}/{NAME}")
    with pytest.raises(EaselError, match=r"`easel models pull fid-inception` \(96 MB\) fetches it; without a network"):
        models.load("fid-inception", "features")
    steps: list[tuple[int, int]] = []
    (folder,) = download.pull("fid-inception", lambda done, total: steps.append((done, total)))
    assert steps[-1] == (96, 96)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert folder.is_relative_to(cache)
    assert json.loads((folder / "config.json").read_text())["sha256"] == checksum
    assert {row.name: row.at_hand for row in listing.rows()}["fid-inception"]
    judge = models.load("fid-inception", "features", "cpu")
    pictures = [Image.new("RGB", size, "teal") for size in ((64, 48), (40, 40))]
    drawn = judge.features(pictures)
    alone = [network(torch.from_numpy(np.array(one)).permute(2, 0, 1)[None].float())[0] for one in pictures]
    assert np.allclose(drawn, torch.stack(alone).numpy(), atol=1e-5)
    assert judge.resize == "bilinear to 299 px, corners not aligned"
    assert judge.probabilities(drawn).shape == (2, 1008)
    (tmp_path / "served" / NAME).unlink()
    assert download.pull("fid-inception") == [folder]  # once is enough


@pytest.mark.enable_socket
def test_a_download_that_fails_leaves_nothing(
    network: FidInception, server: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted(monkeypatch, SOURCE.sha256, f"{server}/{NAME}")
    with pytest.raises(EaselError, match=r"cannot fetch http.*404.*give --file"):
        download.pull("fid-inception")
    (tmp_path / "served" / NAME).write_bytes(b"<html>log in</html>")
    with pytest.raises(EaselError, match=r"\(19 bytes\) is not pt_inception.*SHA-256 begins .*, wanted 6726825d"):
        download.pull("fid-inception")

    def stop(done: int, total: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        download.pull("fid-inception", stop)
    assert not list(locate.converted_folder(SOURCE).iterdir())
    trusted(monkeypatch, SOURCE.sha256, "http://127.0.0.1:9/none.pth")
    with pytest.raises(EaselError, match=r"cannot fetch http:..127.0.0.1:9.none\.pth"):
        download.pull("fid-inception")


def test_a_file_brought_along(
    network: FidInception, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, checksum = put(published(network, counters=False), tmp_path)
    with pytest.raises(EaselError, match="wanted 6726825d"):
        download.pull("fid-inception", file=file)
    with pytest.raises(EaselError, match=r"cannot read .*none"):
        download.pull("fid-inception", file=tmp_path / "none")
    trusted(monkeypatch, checksum)
    (folder,) = download.pull("fid-inception", file=file)
    assert models.load(str(folder), "features", "cpu").fingerprint == set_features.fingerprint(folder)
    with pytest.raises(EaselError, match="'clip-b32' is not a single file: leave --file away"):
        download.pull("clip-b32", file=file)


def test_offline_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EaselError, match="HF_HUB_OFFLINE is set; unset it, or give --file"):
        download.pull("fid-inception")


class Harm:
    """What must never run."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("the pickle ran code",))


def test_other_weights_and_code_are_refused(
    network: FidInception, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = published(network)
    without = {name: tensor for name, tensor in weights.items() if name != "fc.bias"}
    broken = weights | {"Mixed_7c.branch_pool.bn.bias": torch.full((192,), torch.nan)}
    for bad, said in (
        (without, r"\(1 tensors differ\): 'fc.bias' is missing, wanted \(1008,\)"),
        (weights | {"AuxLogits.fc.bias": torch.ones(3)}, r"'AuxLogits.fc.bias' is \(3,\), wanted no such tensor"),
        (weights | {"fc.bias": torch.ones(1000)}, r"'fc.bias' is \(1000,\), wanted \(1008,\)"),
        (broken, "'Mixed_7c.branch_pool.bn.bias' has 192 values that are not numbers"),
        ({"fc.bias": Harm()}, "cannot be read as plain weights"),
    ):
        file, checksum = put(bad, tmp_path)
        trusted(monkeypatch, checksum)
        with pytest.raises(EaselError, match=said):
            download.pull("fid-inception", file=file)
    file.write_bytes(pickle.dumps({"fc.bias": Harm()}))
    trusted(monkeypatch, hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(EaselError, match="cannot be read as plain weights"):
        download.pull("fid-inception", file=file)
    assert not (locate.converted_folder(SOURCE) / "config.json").exists()


# Rows


@pytest.mark.parametrize("make", [tiny.clip, tiny.vit, tiny.dinov2])
def test_rows_have_the_length_of_their_width(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "judge")
    judge = models.load(str(tmp_path / "judge"), "features", "cpu")
    noise = np.random.default_rng(0).integers(0, 255, (20, 24, 30, 3), dtype=np.uint8)
    found = judge.features([Image.fromarray(array) for array in noise])
    assert found.dtype == np.float32
    assert np.linalg.norm(found, axis=1) == pytest.approx([found.shape[1] ** 0.5] * 20, rel=1e-5)
    assert frechet_distance(found, found) == pytest.approx(0, abs=1e-6)
    assert " px" in judge.resize
    with pytest.raises(EaselError, match="names no classes: the Inception Score needs --judge fid-inception"):
        judge.probabilities(found)


def test_a_fingerprint_knows_the_weights_and_the_way_of_looking(tmp_path: Path) -> None:
    folder = tiny.clip(tmp_path / "judge")
    before = set_features.fingerprint(folder)
    assert set_features.fingerprint(folder) == before
    way = next(folder.glob("pre*processor_config.json"), folder / "preprocessor_config.json")
    way.write_text(way.read_text() + " ")
    after = set_features.fingerprint(folder)
    assert after != before
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert set_features.fingerprint(folder) != after


def test_a_distance_that_sees_small_steps(tmp_path: Path) -> None:
    folder = tiny.resnet(tmp_path / "judge")
    tiny._preprocessor(folder, "ViTImageProcessor", {"height": 64, "width": 64})
    judge = models.load(str(folder), "perceptual", "cpu")
    noise = np.random.default_rng(0).integers(0, 255, (2, 3, 64, 64, 3), dtype=np.uint8)
    one, other = ([Image.fromarray(array) for array in half] for half in noise)
    a, b = (torch.from_numpy(half).permute(0, 3, 1, 2) / 127.5 - 1 for half in noise)
    assert judge.resized_distance(a, b) == pytest.approx(judge.distance(one, other), rel=1e-4)
    step = torch.randn(a.shape, generator=torch.Generator().manual_seed(0))
    small, smaller = judge.resized_distance(a, a + 2e-4 * step), judge.resized_distance(a, a + 1e-4 * step)
    assert small / smaller == pytest.approx([4.0] * 3, rel=0.05)
    assert judge.resized_distance(a, a).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="pictures of shapes"):
        judge.resized_distance(a, b[:1])


def test_every_family_has_rows() -> None:
    for family in ("pocket", "base", "large"):
        assert tables.ROWS[family].parts["features"] == tables.ROWS[family].parts["clip"]
