"""Pocket's controls and depth net: how they are taught, and that what ships steers and measures as its scores say."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from easel import models, runners
from easel.metrics import edits
from easel.models.catalog import controls, tables
from easel.models.diffusion.settings import Sampling
from easel.pocket.train import control, depth, followed, packing, pictures, score, shipped
from easel.pocket.train.export import POCKET, write_diffusers
from easel.pocket.train.fit import Schedule
from easel.pocket.world import depth as true_depth
from easel.recipes.edit import Edit

FEW = Sampling(steps=8)
SHOWN = 3
"""Held-out scenes that are drawn."""
PARTS = {"control": 4.0, "adapter-canny": 0.7, "depth": 0.8}
"""Folder -> megabytes at most."""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes with their depths, and two squares of one photo."""
    folder = tmp_path_factory.mktemp("stores")
    photo = folder / "photo.png"
    Image.fromarray(np.random.default_rng(3).integers(0, 255, (300, 280, 3), np.uint8)).save(photo)
    packing.pack(folder, "solids", packing.solid, [300_001, 300_002], each=2)
    packing.pack(folder, "styled", packing.styled, [(0, {"path": str(photo), "caption": "a rug"})], each=2)
    return folder


@cache
def base() -> control.Frozen:
    return shipped.frozen()


# How they are taught


def test_solids_are_scenes_with_their_exact_depth(stores: Path) -> None:
    solids = pictures.Store(stores, "solids")
    assert [bool(row.get("depth")) for row in solids.rows] == [False, True, False, True]
    near = solids.pixels[1]
    assert (near[..., 0] == near[..., 1]).all()
    assert near[-1].mean() > near[0].mean()  # the floor before one's feet, and the sky
    assert len(solids.every(2).pixels) == len(solids.every(2).rows) == 2
    assert (solids.every(2).pixels[1] == solids.pixels[2]).all()


def test_depth_maps_are_stretched_to_all_levels() -> None:
    plane = np.array([[50, 100], [75, 150]], np.uint8)
    assert control.stretched(plane).tolist() == [[0, 128], [64, 255]]
    assert control.stretched(np.full((2, 2), 9, np.uint8)).tolist() == [[0, 0], [0, 0]]


def test_a_batch_of_depth_is_its_step_s_and_nearness_stays_with_its_place(stores: Path) -> None:
    solids, photos = pictures.Store(stores, "solids"), pictures.Store(stores, "styled")
    one, again, other = (depth.batch(solids, photos, step) for step in (1, 1, 2))
    assert torch.equal(one.pictures, again.pictures)
    assert not torch.equal(one.pictures, other.pictures)
    assert one.pictures.shape == (depth.BATCH, 3, depth.SIDE, depth.SIDE)
    assert float(one.near.min()) >= 0
    assert float(one.near.max()) <= 1
    assert float(one.near[:, -20:].mean() - one.near[:, :20].mean()) > 0.2


def test_gradients_of_an_error_that_is_the_same_everywhere_are_nothing() -> None:
    assert float(depth.slopes(torch.full((2, 32, 32), 0.3))) == 0
    ramp = torch.arange(32.0).repeat(1, 32, 1)
    assert float(depth.slopes(ramp)) == pytest.approx((1 + 2 + 4 + 8) / 4)


def test_untaught_the_control_net_says_nothing_and_the_adapter_fits(stores: Path) -> None:
    frozen = base()
    frozen.hold("cpu")
    noisy, times, states = torch.randn(2, 8, 32, 32), torch.tensor([900, 20]), torch.randn(2, 6, 192)
    seen = torch.rand(2, 3, 256, 256)
    net = control.control_net(frozen.unet)
    with torch.no_grad():
        plain = frozen.unet(noisy, times, states).sample
        assert torch.equal(control.by_control(net, frozen, noisy, times, states, seen), plain)
    assert torch.equal(net.conv_in.weight, frozen.unet.conv_in.weight)


def test_teaching_moves_the_control_alone_and_goes_on_where_it_was(
    stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "BATCH", 2)
    solids, photos = pictures.Store(stores, "solids"), pictures.Store(stores, "styled")
    vae = models.load("pocket", "text-to-image", dtype="float32").pipeline.vae
    data = control.Guided(vae, solids, photos, depth.network().eval(), tmp_path)
    shown = data.batch(3, {"depth": 1.0})
    assert shown.latents.shape == (2, 8, 32, 32)
    assert shown.maps.shape == (2, 3, 256, 256)
    assert (float(shown.maps.min()), float(shown.maps.max())) == (0, 1)
    lines = data.batch(3, {"canny": 1.0}).maps
    assert set(np.unique(lines)) <= {0, 1}
    frozen, before = base(), base().unet.conv_in.weight.clone()
    schedule = Schedule(steps=2, lr=1e-2, warmup=1, average_decay=0.0)
    made = control.run(frozen, data, tmp_path, schedule=schedule)
    assert torch.equal(frozen.unet.conv_in.weight, before)
    assert bool((made.controlnet_mid_block.weight != 0).any())
    again = control.run(frozen, data, tmp_path, schedule=schedule)  # reads what was made
    assert torch.equal(again.controlnet_mid_block.weight, made.controlnet_mid_block.weight)
    light = control.run_adapter(frozen, data, tmp_path, schedule=Schedule(steps=1, lr=1e-3, warmup=1))
    write_diffusers("light", light, tmp_path)
    assert models.load(str(tmp_path / "light"), "adapter").image_channels == 1


# What ships


def test_the_parts_are_there_and_small() -> None:
    for part, most in PARTS.items():
        size = sum(path.stat().st_size for path in (POCKET / part).iterdir())
        assert 0.1e6 < size <= most * 1e6, f"{part}: {size}"
    kinds = {kind for base, _, kind in controls.CONTROLS if base == "pocket"}
    assert kinds <= {"canny", "depth", "scribble"}
    folders = {tables.ROWS[f"pocket-{kind}"].parts["controlnet"] for kind in kinds}
    assert folders == {"pocket/weights/control"}  # one network, stored once


def test_plain_libraries_read_them() -> None:
    from diffusers import ControlNetModel
    from transformers import AutoModelForDepthEstimation

    from easel.networks.adapter import PooledAdapter

    net = ControlNetModel.from_pretrained(POCKET / "control", torch_dtype=torch.float32, local_files_only=True)
    light = PooledAdapter.from_pretrained(POCKET / "adapter-canny", torch_dtype=torch.float32, local_files_only=True)
    near = AutoModelForDepthEstimation.from_pretrained(POCKET / "depth", dtype=torch.float32, local_files_only=True)
    for model in (net, light, near):
        assert all(torch.isfinite(p).all() for p in model.parameters())
    shape = near(torch.zeros(1, 3, depth.SIDE, depth.SIDE)).predicted_depth.shape
    assert shape == (1, depth.SIDE, depth.SIDE)


def drawn(asked: list[followed.Guide], network: Any = None) -> list[Image.Image]:
    """Pictures by maps in few steps; without a network by their words."""
    requests = [replace(one, sampling=FEW) for one in followed.requests(network, asked)]
    return [one.image for one in models.load("pocket", "text-to-image").generate(requests, batch_size=1)]


@cache
def by_words() -> list[Image.Image]:
    """The pictures of the words that belong to all kinds of maps of a scene."""
    return drawn(followed.guides("canny", Path(), scenes=SHOWN, of_photos=0))


@pytest.mark.parametrize(
    ("kind", "role", "word", "margin"),
    [
        ("canny", "controlnet", "pocket-canny", 0.1),
        ("depth", "controlnet", "pocket-depth", 0.04),
        ("scribble", "controlnet", "pocket-scribble", 0.15),
        ("canny", "adapter", "pocket-canny-adapter", 0.03),
    ],
)
def test_pictures_follow_their_maps(kind: str, role: Any, word: str, margin: float) -> None:
    asked = followed.guides(kind, Path(), scenes=SHOWN, of_photos=0)
    on = drawn(asked, models.load(word, role))
    found = [
        [followed.agreement(kind, guide.map, made) for guide, made in zip(asked, pictures, strict=True)]
        for pictures in (on, by_words())
    ]
    assert all(followed_map > free for followed_map, free in zip(*found, strict=True))
    assert np.mean(found[0]) > np.mean(found[1]) + margin


def test_the_depth_net_knows_more_than_that_what_is_lower_is_nearer() -> None:
    scenes = score.held_out(6, offset=13_000, style="plain", light="none")
    guessed = models.load("pocket", "depth").nearness([score.picture(one) for one in scenes])
    rows = np.repeat(np.arange(256.0)[:, None], 256, axis=1)
    true = [true_depth(one) for one in scenes]
    net, lower = (
        np.nanmean([edits.depth_correlation(a, b) for a, b in zip(true, planes, strict=True)])
        for planes in (guessed, [rows] * len(true))
    )
    assert net > lower


@pytest.mark.parametrize("method", ["canny", "depth", "adapter-canny"])
def test_a_photo_is_edited_by_control_out_of_the_box(method: Any, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    score.picture(score.held_out(1, offset=13_100, style="plain", light="none")[0]).save(photo)
    recipe = Edit(photo=str(photo), prompt="a scene at night", caption="a scene", method=method, steps=3, seed=1)
    result = runners.run(recipe, tmp_path / "out")
    assert result.texts["method"] == method
    assert result.pictures
