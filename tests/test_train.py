"""Training from a folder of pictures: it learns, it survives kills, and what it made draws, walks and is steered."""

from __future__ import annotations

import csv
import dataclasses
import errno
import io
import json
import os
import pickle
import shutil
import signal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops
from safetensors.torch import load_file
from torch import nn

from easel import charts, jobs, models, networks, runners
from easel.cli import main
from easel.data import Packed, open_set, packed
from easel.errors import Cancelled, EaselError
from easel.images import open_picture
from easel.jobs import train
from easel.jobs.generate import latent_walk
from easel.jobs.score.set_features import Pictures
from easel.jobs.train import setup
from easel.metrics import path_length
from easel.models import trained
from easel.models.catalog import listing, trained_folders
from easel.provenance import read_provenance, with_places
from easel.recipes import read_yaml, recipe_from
from easel.recipes.generate import Generate
from easel.recipes.score import ScorePpl
from easel.recipes.train import Train
from easel.result import Result
from easel.training import checkpoints, evaluation, loop, phases, plans, tensorboard
from easel.training.batches import (
    Batch,
    Batches,
    Conditions,
    attribute_conditions,
    caption_conditions,
    label_conditions,
)
from easel.training.distributed import Team, join
from easel.training.evaluation import Evaluation, Evaluator, read_rows
from easel.training.trainer import Context, Trainer
from easel.workspace import Step, Workspace
from tests import fakes
from tests.conftest import killed_in_training

ROOT = Path(__file__).parent.parent
FACES = ROOT / "examples" / "faces"
NETWORKS = list(plans.PLANS)
KERNEL = "kernel distance (clip:pocket)"
TINY: dict[str, Any] = {
    "data": str(FACES), "resolution": 16, "kimg": 0.032, "batch_size": 8, "channels": 4, "widest": 8, "latent": 4,
    "count": 4, "score_count": 12, "seed": 3,
}  # fmt: skip
OWN: dict[str, dict[str, Any]] = {
    "cgan": {"classes": "colour", "critic_steps": 2, "equilibrium": 0.5},
    "control-gan": {"attributes": ("hat", "scarf", "colour=red")},
    "stylegan": {"channels": 64, "augment": "adaptive"},
}
ASKED: dict[str, dict[str, Any]] = {
    "cgan": {"label": "red"},
    "control-gan": {"attribute": ("hat=+1",)},
    "text-dcgan": {"prompt": "a red hat"},
    "stackgan": {"prompt": "a red hat"},
}


@pytest.fixture(autouse=True)
def family(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> fakes.Family:
    """Judges and text encoders with known answers; generators are the real ones. Nothing is kept outside the tests."""
    from huggingface_hub import constants

    made, real = fakes.Family(), models.load

    def load(name: str, role: Any, *args: Any, **more: Any) -> Any:
        return real(name, role, *args, **more) if role == "generator" else made.load(name, role, *args, **more)

    monkeypatch.setattr("easel.models.load", load)
    monkeypatch.setattr(
        "easel.jobs.train.model_card.training_curves", lambda rows, title, judged: b"a chart"
    )  # matplotlib is slow
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path_factory.getbasetemp() / "assets"))
    torch.set_num_threads(1)
    return made


def tiny(network: str, **more: Any) -> Train:
    return Train(network=network, **(TINY | OWN.get(network, {}) | more))  # type: ignore[arg-type]


def run(recipe: Any, out: Path, report: Any = None) -> Result:
    return jobs.run(recipe, Workspace(out, "cpu", "float32", report))


def drawn(model: Path, out: Path, **more: Any) -> Result:
    return run(Generate(model=str(model), **({"seed": 5} | more)), out)


def state(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / setup.CHECKPOINT)


def same(one: Path, other: Path) -> bool:
    """Whether two runs ended with the same weights, moments, average and model."""
    pairs = [(state(one), state(other)), (load_file(one / "model.safetensors"), load_file(other / "model.safetensors"))]
    return all(a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a) for a, b in pairs)


def curves_of(folder: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv without what the clock says."""
    rows = csv.DictReader((folder / "metrics.csv").read_text().splitlines())
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def shelfful(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where the models that several tests draw with are kept: each is trained by the first that asks."""
    return {"": tmp_path_factory.mktemp("trained")}


def model_of(network: str, shelfful: dict[str, Path]) -> Path:
    if network not in shelfful:
        shelfful[network] = shelfful[""] / network
        run(tiny(network), shelfful[network])
    return shelfful[network]


# all seven, from the first picture to the last


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_trains_is_scored_and_draws(network: str, shelfful: dict[str, Path], tmp_path: Path) -> None:
    folder = model_of(network, shelfful)
    result = Result.read(folder)
    assert all(path.is_file() for path in result.paths)
    assert {KERNEL, f"{KERNEL} untrained"} <= {score.name for score in result.scores}
    assert all(score.judge == "features:pocket" for score in result.scores)
    assert "hash of their content" in (folder / "README.md").read_text()
    assert len(list((folder / "samples").glob("*.png"))) == 2
    steps = [float(row["step"]) for row in csv.DictReader((folder / "metrics.csv").read_text().splitlines())]
    assert steps == [0, 4]
    made = drawn(folder, tmp_path / "made", count=3, **ASKED.get(network, {}))
    pictures = made.images
    assert [picture.size for picture in pictures] == [(16, 16)] * 3
    assert ImageChops.difference(pictures[0], pictures[1]).getbbox() is not None


@pytest.mark.parametrize("network", ["dcgan", "control-gan", "stylegan"])
def test_made_again_alone_and_in_batches_there_is_no_difference(
    network: str, shelfful: dict[str, Path], tmp_path: Path
) -> None:
    asked = {"attribute": ("hat=-1",)} if network == "control-gan" else {"truncation": 0.7}
    for size in (1, 3):
        made = drawn(model_of(network, shelfful), tmp_path / f"{size}", count=4, batch_size=size, **asked)
        for index in (1, 3):
            path = made.picture_paths[index]
            whole = read_yaml(path.parent / "recipe.yaml").plain()
            recipe = recipe_from(with_places(read_provenance(path)["easel"]["recipe"], whole))
            assert recipe.seed == 5 + index
            (again,) = run(recipe, tmp_path / f"again-{size}-{index}").images
            assert ImageChops.difference(open_picture(path), again).getbbox() is None


def test_every_network_goes_on_after_a_kill_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "SAVE_SECONDS", -1.0)
    for network in NETWORKS:
        recipe = tiny(network, kimg=0.024, score_every=0.016)
        run(recipe, tmp_path / network / "whole")
        with pytest.raises(Killed):
            run(recipe, tmp_path / network / "cut", killing(16))
        run(recipe, tmp_path / network / "cut")
        assert same(tmp_path / network / "whole", tmp_path / network / "cut"), network


# kills


class Killed(BaseException):
    """Nothing catches it, as nothing catches kill -9."""


def killing(images: int, phase: str = "training") -> Any:
    def report(step: Step) -> None:
        if step.phase == phase and step.done >= images:
            raise Killed

    return report


@pytest.mark.parametrize("every", [-1.0, 1e9])
def test_killed_several_times_it_ends_where_an_unbroken_run_ends(
    every: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adaptive augmentation, R1, path length and the moving average are all part of what is kept."""
    monkeypatch.setattr(train, "SAVE_SECONDS", every)
    recipe = tiny("stylegan", kimg=0.056, score_every=0.024, mirror=True)
    whole = run(recipe, tmp_path / "whole")
    for report in (killing(8), killing(24), killing(4, "judging"), killing(40), killing(48)):
        with pytest.raises(Killed):
            run(recipe, tmp_path / "cut", report)
    cut = run(recipe, tmp_path / "cut")
    assert same(tmp_path / "whole", tmp_path / "cut")
    assert [score.value for score in whole.scores] == [score.value for score in cut.scores]
    assert curves_of(tmp_path / "whole") == curves_of(tmp_path / "cut")
    again = run(recipe, tmp_path / "cut")  # nothing is left to do
    assert [score.value for score in again.scores] == [score.value for score in cut.scores]
    assert same(tmp_path / "whole", tmp_path / "cut")


def test_a_real_kill_leaves_a_whole_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "SAVE_SECONDS", -1.0)
    recipe = tiny("dcgan", kimg=0.048)
    run(recipe, tmp_path / "whole")
    for at in (16, 40):
        killed_in_training(at, partial(run, recipe, tmp_path / "cut"))
        kept = checkpoints.read(tmp_path / "cut" / setup.CHECKPOINT)[1]
        assert kept.step == at // 8 - 1
    run(recipe, tmp_path / "cut")
    assert same(tmp_path / "whole", tmp_path / "cut")


def test_stopped_by_hand_it_keeps_its_place(tmp_path: Path) -> None:
    def report(step: Step) -> None:
        if step.phase == "training" and step.done >= 16:
            raise Cancelled("stopped")

    run(tiny("dcgan"), tmp_path / "whole")
    with pytest.raises(Cancelled):
        run(tiny("dcgan"), tmp_path / "cut", report)
    assert checkpoints.read(tmp_path / "cut" / setup.CHECKPOINT)[1].step == 2
    run(tiny("dcgan"), tmp_path / "cut")
    assert same(tmp_path / "whole", tmp_path / "cut")


def test_stopped_while_it_draws_a_grid_it_looks_again(tmp_path: Path) -> None:
    def report(step: Step) -> None:
        if step.phase == "drawing":
            raise Cancelled("stopped")

    run(tiny("dcgan"), tmp_path / "whole")
    with pytest.raises(Cancelled):
        run(tiny("dcgan"), tmp_path / "cut", report)
    run(tiny("dcgan"), tmp_path / "cut")
    grids = [
        [file.read_bytes() for file in sorted((tmp_path / name / "samples").iterdir())] for name in ("whole", "cut")
    ]
    assert grids[0] == grids[1]
    assert len(grids[0]) == 2
    assert curves_of(tmp_path / "whole") == curves_of(tmp_path / "cut")


def test_more_kimg_go_on_and_other_settings_are_refused(tmp_path: Path) -> None:
    run(tiny("dcgan"), tmp_path)
    longer = run(tiny("dcgan", kimg=0.048), tmp_path)
    assert checkpoints.read(tmp_path / setup.CHECKPOINT)[1].step == 6
    assert longer.texts["data"].startswith("24 pictures")
    card = (tmp_path / "README.md").read_text()
    assert "\n- objective non-saturating, batch_size 8, learning_rate 0.0002, " in card
    assert "\n- 0.048 thousand pictures seen\n" in card
    assert "kimg 1000" not in card
    for more, said in (
        ({"network": "vae"}, "network was dcgan, is vae"),
        ({"batch_size": 4}, "batch_size was 8, is 4"),
    ):
        with pytest.raises(EaselError, match=said):
            run(Train(**({"network": "dcgan"} | TINY | more)), tmp_path)


def test_other_pictures_in_the_same_folder_are_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(FACES, data)
    run(tiny("dcgan", data=str(data)), tmp_path / "out")
    Image.new("RGB", (32, 32), "red").save(data / "images" / "000003.png")
    with pytest.raises(EaselError, match=r"other pictures \(as many .*; data [0-9a-f]{12}, now [0-9a-f]{12}\)"):
        run(tiny("dcgan", data=str(data)), tmp_path / "out")
    Image.new("RGB", (32, 32), "red").save(data / "images" / "000024.png")
    with (data / "metadata.jsonl").open("a") as table:
        table.write('\n{"file_name": "images/000024.png", "text": "red"}\n')
    with pytest.raises(EaselError, match=r"other pictures \(24 pictures, now 25; data"):
        run(tiny("dcgan", data=str(data)), tmp_path / "out")


def test_a_resume_under_another_judge_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its KIDs are no longer those of the curve, and the best model would be the wrong one."""
    run(tiny("dcgan"), tmp_path)
    monkeypatch.setattr(fakes.SetFeatureModel, "fingerprint", "1")
    with pytest.raises(EaselError, match="measured by other weights of pocket than those of now"):
        run(tiny("dcgan", kimg=0.032), tmp_path)


def test_a_refused_resume_leaves_the_model_as_it_was_and_names_what_differs(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    for index, name in enumerate(("cat", "dog", "owl")):
        (data / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (16, 16), (80 * index, 20 * number, 9)).save(data / name / f"{number}.png")
    recipe = tiny("cgan", data=str(data), classes=None, equilibrium=None, kimg=0.016)
    run(recipe, out)
    assert "classifier" not in models.load(str(out), "generator", "cpu").players
    kept = {path: path.read_bytes() for path in (out / "config.json", out / "model.safetensors")}
    (data / "cat").rename(data / "zebra")
    with pytest.raises(EaselError, match=r"other pictures \(labels gone: cat; labels new: zebra; data .*another --out"):
        run(recipe, out)
    shutil.copytree(data / "zebra", data / "cat")
    with pytest.raises(EaselError, match=r"other pictures \(12 pictures, now 16; labels new: zebra; data"):
        run(recipe, out)
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert drawn(out, tmp_path / "made", label="cat").images


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tiny("dcgan"), tmp_path)
    before = (tmp_path / setup.CHECKPOINT).read_bytes()

    def full(tensors: Any, path: Path, metadata: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(EaselError, match=r"the disk is full.*; the one before is kept"):
        run(tiny("dcgan", kimg=0.048), tmp_path)
    assert (tmp_path / setup.CHECKPOINT).read_bytes() == before
    assert [path.name for path in (tmp_path / "training").iterdir()] == ["checkpoint.safetensors"]
    monkeypatch.undo()


def test_a_damaged_checkpoint_says_so(tmp_path: Path) -> None:
    run(tiny("dcgan"), tmp_path)
    (tmp_path / setup.CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(EaselError, match=r"is damaged .*: delete it to begin anew"):
        run(tiny("dcgan"), tmp_path)


def test_a_flipped_byte_of_a_checkpoint_is_told(tmp_path: Path) -> None:
    run(tiny("dcgan"), tmp_path)
    content = bytearray((tmp_path / setup.CHECKPOINT).read_bytes())
    content[-5] ^= 4
    (tmp_path / setup.CHECKPOINT).write_bytes(content)
    with pytest.raises(EaselError, match=r"is damaged \(its checksum is another\): delete it to begin anew"):
        run(tiny("dcgan", kimg=0.048), tmp_path)
    assert (tmp_path / setup.CHECKPOINT).read_bytes() == content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"step,kimg,kernel distance,made\n0.0,0.0,low,24\n", "could not convert string to float: 'low'"),
        (bytes(range(256)), "can't decode byte"),
        (b"kimg,KID,made\n0.0,0.5,24\n", "row 1 has no step"),
        (b"step,kimg,KID\n0.0,0.0,0.5\n", "row 1 has no made"),
        (b"step,kimg\n0.0,0.0,0.5\n", "float"),
        (b"step,kimg\n0.0,0.0\n\x00\n", "NUL|could not convert"),
    ],
)
def test_curves_that_are_damaged_are_told(content: bytes, said: str, shelfful: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(model_of("dcgan", shelfful), tmp_path / "model")
    (folder / "metrics.csv").write_bytes(content)
    with pytest.raises(EaselError, match=rf"metrics\.csv is damaged \(.*({said}).*\): put it back") as found:
        run(tiny("dcgan", kimg=0.048), folder)
    assert "\n" not in str(found.value)


def test_a_model_says_its_condition_and_one_of_before_is_read(shelfful: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(model_of("control-gan", shelfful), tmp_path / "model")
    facts = json.loads((folder / "config.json").read_text())
    assert facts["condition"] == "attributes"
    facts["told"] = facts.pop("condition")
    (folder / "config.json").write_text(json.dumps(facts))
    model = models.load(str(folder), "generator", "cpu")
    assert (model.condition_kind, model.names) == ("attributes", ("hat", "scarf", "colour=red"))
    assert models.load(str(ROOT / "examples" / "trained"), "generator", "cpu").condition_kind == "nothing"


# does it learn?


def two_colours(folder: Path, count: int = 64) -> Path:
    """Flat pictures, red or blue, with a little noise."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        colour = np.array([(220, 30, 30), (30, 30, 220)][index % 2])
        pixels = np.clip(colour + rng.normal(0, 6, (16, 16, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:03}.png")
    return folder


def test_dcgan_comes_to_draw_the_two_colours_of_its_set(tmp_path: Path) -> None:
    """Red and blue, hardly any green: the known answer. Untrained it draws grey, 127 everywhere."""
    data = two_colours(tmp_path / "data")
    wide = {"batch_size": 32, "channels": 16, "widest": 32, "score_count": 64}
    result = run(tiny("dcgan", data=str(data), kimg=8, learning_rate=2e-3, score_every=2, **wide), tmp_path / "model")
    scores = {score.name: score.value for score in result.scores}
    assert scores[KERNEL] < 0.3 * scores[f"{KERNEL} untrained"]
    pictures = drawn(tmp_path / "model", tmp_path / "made", count=40).images
    colours = np.array([np.asarray(picture, float).mean(axis=(0, 1)) for picture in pictures])
    assert colours[:, 1].mean() < 95
    red = colours[:, 0] > colours[:, 2]
    assert 4 <= red.sum() <= 36
    assert (colours[red, 0] - colours[red, 2]).mean() > 60
    assert (colours[~red, 2] - colours[~red, 0]).mean() > 60


def test_a_vae_comes_to_rebuild_what_it_sees(tmp_path: Path) -> None:
    data = two_colours(tmp_path / "data", 32)
    run(tiny("vae", data=str(data), kimg=1.5, batch_size=16, channels=8, widest=16), tmp_path / "model")
    model = models.load(str(tmp_path / "model"), "generator", "cpu")
    x = Batches(packed(open_set(data), 16, tmp_path / "cache"), Conditions(), 8, 0).pixels(np.arange(8))
    encoder: Any = model.players["encoder"]
    with torch.no_grad():
        back = model.generator.decode(encoder(x)[0])
    assert (back - x).square().mean() < 0.1 * x.square().mean()


def test_a_vae_looks_and_learns_where_its_codes_lie(tmp_path: Path) -> None:
    """The flow and the look of pictures: both are in the curves, and the model draws, also after a stop."""
    data = two_colours(tmp_path / "data", 32)
    recipe = tiny("vae", data=str(data), kimg=0.6, batch_size=16, prior="flow", perceptual=0.25)
    run(recipe, tmp_path / "whole")
    rows = (tmp_path / "whole" / "metrics.csv").read_text().splitlines()
    assert {"perceptual", "KL", "reconstruction", "elbo"} <= set(rows[0].split(","))
    model = models.load(str(tmp_path / "whole"), "generator", "cpu")
    assert model.config.prior == "flow"
    u = model.latents([1])
    assert not torch.equal(model.generator.prior(u), u)
    run(recipe.model_copy(update={"kimg": 0.3}), tmp_path / "parts")
    run(recipe, tmp_path / "parts")
    parts, whole = (load_file(tmp_path / name / "training" / "checkpoint.safetensors") for name in ("parts", "whole"))
    assert all(torch.equal(parts[key], whole[key]) for key in whole)


def test_a_loss_that_is_no_number_is_said_and_the_last_good_model_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = phases.generated

    def broken(context: Context, *more: Any) -> torch.Tensor:
        return real(context, *more) * (float("nan") if context.step >= 3 else 1.0)

    monkeypatch.setattr(phases, "generated", broken)
    with pytest.raises(
        EaselError, match=r"loss of 'critic' is nan at step 3: the model of .* kimg \(kernel distance .*\) is kept"
    ):
        run(tiny("dcgan", score_every=0.016), tmp_path)
    monkeypatch.undo()
    assert "stopped early" in (tmp_path / "README.md").read_text()
    assert trained_folders.is_trained(tmp_path)
    assert all(torch.isfinite(tensor).all() for tensor in load_file(tmp_path / "model.safetensors").values())


def test_pictures_that_are_all_the_same_are_said_and_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = evaluation.recalibrated

    def flat(*more: Any) -> torch.nn.Module:
        made: Any = real(*more)
        torch.nn.init.zeros_(made.body.last.weight)
        return made  # type: ignore[no-any-return]

    monkeypatch.setattr(evaluation, "recalibrated", flat)
    with pytest.raises(EaselError, match=r"collapsed: all pictures look the same .*is kept in"):
        run(tiny("dcgan", kimg=0.064, score_every=0.008), tmp_path)
    assert len(curves_of(tmp_path)) == 1 + evaluation.PATIENCE


def test_the_advice_of_a_training_that_stopped_is_what_its_network_takes(tmp_path: Path) -> None:
    for network, said in (("vae", "lower --learning-rate or lower --beta"), ("dcgan", "or raise --r1-gamma")):
        training: Any = SimpleNamespace(recipe=tiny(network))
        evaluator: Any = SimpleNamespace(best=None)
        workspace = Workspace(tmp_path, "cpu")
        assert said in train.stopped(loop.Collapsed("collapsed"), training, evaluator, workspace)


def test_the_second_stage_learns_on_a_first_that_stays(shelfful: dict[str, Path], tmp_path: Path) -> None:
    first = model_of("stackgan", shelfful)
    run(tiny("stackgan", resolution=32, stage_one=str(first), latent=None, kimg=0.016), tmp_path / "two")
    before, after = (load_file(folder / "model.safetensors") for folder in (first, tmp_path / "two"))
    for key, tensor in before.items():
        assert torch.equal(after[key.replace("generator.", "generator.first.")], tensor), key
    (picture,) = drawn(tmp_path / "two", tmp_path / "made", prompt="a red hat").images
    assert picture.size == (32, 32)


def test_what_is_no_first_stage_is_refused_before_the_captions_are_read(
    shelfful: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = (model_of(network, shelfful) for network in ("stackgan", "text-dcgan"))
    damaged = tmp_path / "damaged"
    shutil.copytree(first, damaged)
    (damaged / "model.safetensors").write_bytes(pickle.dumps([1.0]))
    monkeypatch.setattr(setup, "caption_encoder", None)
    for folder, side, said in (
        (other, 32, "is no stage I of stackgan: it is text-dcgan, 16 px"),
        (first, 16, r"draws 16 px itself: leave --stage-one out .* 32 or 64"),
        (first, 128, "stackgan after 16 px cannot draw 128 px: take 16 .*, 32 or 64"),
        (tmp_path / "nowhere", 32, "there is no folder .*nowhere: name that of a trained stage I"),
        (damaged, 32, "is a pickle"),
        (FACES, 32, "holds no model that `easel train` made"),
    ):
        with pytest.raises(EaselError, match=said):
            run(tiny("stackgan", resolution=side, stage_one=str(folder), latent=None), tmp_path / f"{len(said)}")
    with pytest.raises(EaselError, match="no model called 'nope': give the folder that `easel train` made"):
        models.load("nope", "generator")


# drawing with what was trained


def test_a_walk_goes_from_picture_to_picture_and_back(shelfful: dict[str, Path], tmp_path: Path) -> None:
    result = drawn(model_of("dcgan", shelfful), tmp_path, walk=5)
    assert len(result.picture_paths) == 2
    with Image.open(tmp_path / latent_walk.ANIMATION) as moving:
        assert moving.n_frames == 10  # type: ignore[attr-defined]
    strip = open_picture(tmp_path / latent_walk.STRIP)
    tile = strip.crop((2, 2, 130, 130)).resize((16, 16), Image.Resampling.NEAREST)
    assert ImageChops.difference(tile, result.images[0]).getbbox() is None


def test_a_walk_is_no_picture_of_the_set(shelfful: dict[str, Path], tmp_path: Path) -> None:
    """Strip and animation are not scored among the pictures they lie beside."""
    result = drawn(model_of("dcgan", shelfful), tmp_path, walk=5, count=3)
    assert sorted(Pictures.of(str(tmp_path)).paths) == sorted(path.name for path in result.picture_paths)
    assert len(result.picture_paths) == 3


def test_a_walk_keeps_the_length_of_its_latents() -> None:
    class Plain:
        is_styled = False

    start, end = (latent_walk.LatentPoint(torch.tensor([code]), None) for code in ([3.0, 0.0], [0.0, 3.0]))
    way = latent_walk.between(Plain(), start, end, 4)  # type: ignore[arg-type]
    codes = torch.cat([stop.code for stop in way])
    assert torch.allclose(codes.norm(dim=1), torch.full((4,), 3.0))
    half = 3 * 0.5**0.5
    assert torch.allclose(codes[2], torch.tensor([half, half]))


@pytest.mark.parametrize("network", ["stylegan", "dcgan"])
def test_truncation_to_nothing_draws_one_picture(network: str, shelfful: dict[str, Path], tmp_path: Path) -> None:
    first, second = drawn(model_of(network, shelfful), tmp_path, count=2, truncation=0).images
    assert ImageChops.difference(first, second).getbbox() is None


def test_an_attribute_is_steered_by_its_own_or_another_models_classifier(
    shelfful: dict[str, Path], tmp_path: Path
) -> None:
    judge = model_of("control-gan", shelfful)
    for network, more in (("control-gan", {}), ("stylegan", {"classifier": str(judge)})):
        up, down = (
            drawn(model_of(network, shelfful), tmp_path / network / sign, count=4, attribute=(f"hat={sign}",), **more)
            for sign in ("+1", "-1")
        )
        with_it, without = ([score.value for score in made.scores] for made in (up, down))
        assert all(a > b for a, b in zip(with_it, without, strict=True))
        assert {score.judge for score in up.scores} == {"classifier:control-gan"}


def test_what_is_not_asked_is_drawn_as_often_as_it_was_seen(shelfful: dict[str, Path]) -> None:
    model = models.load(str(model_of("control-gan", shelfful)), "generator", "cpu")
    rows = torch.cat([model.condition(seed) for seed in range(400)])  # type: ignore[misc]
    assert rows.mean(dim=0).tolist() == pytest.approx(list(model.shares), abs=0.08)
    classes = models.load(str(model_of("cgan", shelfful)), "generator", "cpu")
    rows = torch.cat([classes.condition(seed) for seed in range(400)])  # type: ignore[misc]
    assert rows.mean(dim=0).tolist() == pytest.approx(list(classes.shares), abs=0.06)


def test_models_lists_what_was_trained_here(
    shelfful: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model_of("dcgan", shelfful)
    monkeypatch.chdir(tmp_path)
    assert trained_folders.folders() == []
    shutil.copytree(folder, tmp_path / "models" / "mine")
    monkeypatch.setenv("EASEL_MODELS", str(folder.parent))
    found = {row.name: row for row in listing.rows() if row.roles == ("generator",)}
    assert found["models/mine"].about == "dcgan of faces, 16 px"
    assert str(folder) in found
    assert found["models/mine"].at_hand
    weights = tmp_path / "models" / "mine" / "model.safetensors"
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    for content, said in (
        (pickle.dumps([1.0]), "is a pickle"), (pointer, "git-lfs pointer"), (weights.read_bytes()[:-9], "is cut short"),
    ):  # fmt: skip
        weights.write_bytes(content)
        (row,) = (row for row in listing.rows() if row.name == "models/mine")
        assert not row.at_hand
        assert said in row.note
    (tmp_path / "models" / "mine" / "config.json").write_text('{"model_type": "easel-trained"}')
    (row,) = (row for row in listing.rows() if row.name == "models/mine")
    assert "is damaged: 'network' is missing" in row.note


@pytest.mark.parametrize(
    ("network", "asked", "said"),
    [
        ("dcgan", {"prompt": "a cat"}, "takes no words"),
        ("dcgan", {"label": "red"}, "knows no classes"),
        ("dcgan", {"steps": 30}, "steps: belongs to diffusion models, not to trained models"),
        ("dcgan", {"attribute": ("hat=1",)}, "has no classifier of attributes: .*--classifier"),
        ("cgan", {"attribute": ("red=1",)}, "has no classifier of attributes: .*--classifier"),
        ("cgan", {"label": "rde"}, "no label called 'rde': use one of red"),
        ("control-gan", {"attribute": ("hatt=1",)}, "no attribute called 'hatt': use one of hat"),
        ("text-dcgan", {}, "draws from words"),
    ],
)
def test_what_a_model_does_not_know_is_refused(
    network: str, asked: dict[str, Any], said: str, shelfful: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(EaselError, match=said):
        drawn(model_of(network, shelfful), tmp_path, **asked)


def test_what_only_trained_models_know_is_refused_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(EaselError, match="truncation: belongs to trained models, not to diffusion models"):
        run(Generate(prompt="a cat", truncation=0.5), tmp_path)
    with pytest.raises(EaselError, match="neither is given"):
        run(Generate(model="sd-1.5"), tmp_path)
    words: tuple[dict[str, Any], ...] = ({}, {"prompt": "a cat"}, {"label": "cat"})
    for asked in words:
        with pytest.raises(EaselError, match=r"no model file or folder .*/nope"):
            run(Generate(model=str(tmp_path / "nope"), **asked), tmp_path / "out")
        with pytest.raises(
            EaselError, match=r"images holds no model: neither model_index\.json.* nor the config\.json"
        ):
            run(Generate(model=str(FACES / "images"), **asked), tmp_path / "out")
    with pytest.raises(EaselError, match=r"attribute\.0.*write NAME=\+1"):
        recipe_from({"kind": "generate", "prompt": "a", "attribute": ["hat"]})
    with pytest.raises(EaselError, match=r"attribute.*asks for 'hat' more than once \(hat=1 and hat=-1\): say it once"):
        recipe_from({"kind": "generate", "prompt": "a", "attribute": ["hat=1", "scarf=1", "hat=-1"]})


def test_folders_that_are_no_models_are_refused(shelfful: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(model_of("dcgan", shelfful), tmp_path / "model")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(pickle.dumps({"generator": [1.0]}))
    with pytest.raises(EaselError, match="is a pickle, which can run code"):
        drawn(folder, tmp_path / "out")
    weights.write_bytes(whole[:-100])
    with pytest.raises(EaselError, match="is cut short"):
        drawn(folder, tmp_path / "out")
    weights.unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(EaselError, match=r"has only pytorch_model.bin, a pickle"):
        drawn(folder, tmp_path / "out")
    weights.write_bytes(whole)
    facts = json.loads((folder / "config.json").read_text())
    facts["network"]["latent"] = 5
    (folder / "config.json").write_text(json.dumps(facts))
    with pytest.raises(EaselError, match=r"does not fit its config\.json"):
        drawn(folder, tmp_path / "out")
    (folder / "config.json").write_text(json.dumps(facts | {"names": 1}))
    with pytest.raises(EaselError, match="'names' is missing or no list"):
        drawn(folder, tmp_path / "out")
    with pytest.raises(EaselError, match="holds no model that `easel train` made"):
        models.load(str(FACES), "generator")
    with pytest.raises(EaselError, match="'pocket' has no model for generator: use a folder that `easel train` made"):
        models.load("pocket", "generator")


# sets that cannot be learned from


@pytest.mark.parametrize(
    ("network", "more", "said"),
    [
        ("dcgan", {"resolution": 48}, "no network draws 48 px: take a power of two"),
        ("stylegan", {"resolution": 28}, "resolution must be a power of two"),
        ("cgan", {"classes": "color"}, "no attribute called 'color': use one of colour"),
        ("control-gan", {"attributes": ("hatt",)}, "no attribute called 'hatt': use one of hat"),
        ("control-gan", {"attributes": ("colour",)}, "'colour' is no yes or no: write colour="),
        ("control-gan", {"attributes": ("colour=mauve",)}, "no picture has colour=mauve: it is one of"),
        ("stackgan", {"resolution": 128}, "train it at 64 px first, then name that folder with --stage-one"),
        ("dcgan", {"data": "nowhere"}, "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    network: str, more: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the judge is loaded and before anything is packed."""
    monkeypatch.setattr("easel.models.load", None)
    monkeypatch.setattr("easel.jobs.train.setup.packed", None)
    with pytest.raises(EaselError, match=said):
        run(tiny(network, **more), tmp_path)
    assert not (tmp_path / "training").exists()


def test_pictures_without_captions_are_named(tmp_path: Path) -> None:
    data = shutil.copytree(FACES, tmp_path / "data")
    rows = [json.loads(line) for line in (data / "metadata.jsonl").read_text().splitlines()]
    rows[3] = {key: value for key, value in rows[3].items() if key not in ("text", "captions")}
    (data / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    for network in ("text-dcgan", "stackgan"):
        with pytest.raises(EaselError, match=r"1 of 24 pictures has no caption \(images/000003.png\)"):
            run(tiny(network, data=str(data)), tmp_path / network)


def test_one_picture_is_no_set(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    shutil.copy(FACES / "images" / "000000.png", tmp_path / "data")
    with pytest.raises(EaselError, match="the set has 1 picture: at least 2 are needed"):
        run(tiny("dcgan", data=str(tmp_path / "data")), tmp_path / "out")


def test_one_picture_that_opens_is_no_set_either(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    shutil.copy(FACES / "images" / "000000.png", tmp_path / "data")
    for name in ("b.png", "c.png"):
        (tmp_path / "data" / name).write_bytes(b"no picture")
    with pytest.raises(EaselError, match=r"only 1 of 3 pictures can be opened, and 2 are needed: .*b\.png"):
        run(tiny("dcgan", data=str(tmp_path / "data")), tmp_path / "out")


def test_broken_pictures_are_left_out_and_told(tmp_path: Path) -> None:
    data = shutil.copytree(FACES, tmp_path / "data")
    (data / "images" / "000007.png").write_bytes(b"no picture")
    result = run(tiny("control-gan", data=str(data), kimg=0.008), tmp_path / "out")
    assert any("1 of 24 pictures were left out" in note and "000007" in note for note in result.notes)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["data"]["pictures"] == 23


def test_classes_of_one_picture_are_told_of_the_classes_that_are_learned(small: Packed) -> None:
    def notes(recipe: Train, conditions: Conditions) -> list[str]:
        source, unused = Batches(small, conditions, 4, 0), cast("Any", None)
        return train.notes(setup.Training(recipe, open_set(FACES), unused, unused, source, unused))

    labels = Conditions("labels", ("cat", "lone", "owl"), np.array([0, 0, 1, 2, 2]))
    said = notes(tiny("vae", classes="colour", prior="flow"), labels)
    assert said == ["1 of 3 classes have fewer than two pictures: lone"]
    for other in (Conditions(), attribute_conditions(small, ("hat",))):
        assert notes(tiny("vae", prior="flow"), other) == []
    assert "--prior flow" in notes(tiny("vae"), Conditions())[0]


def test_settings_of_other_networks_are_refused() -> None:
    for network, name, value, said in (
        ("vae", "augment", "adaptive", "augment: belongs to GANs, not to vae"),
        ("dcgan", "beta", 4, "beta: belongs to vae, not to dcgan"),
        ("dcgan", "equilibrium", 0.5, "equilibrium: belongs to control-gan and cgan, not to dcgan"),
        ("dcgan", "prior", "flow", "prior: belongs to vae, not to dcgan"),
        ("stylegan", "perceptual", 0.25, "perceptual: belongs to vae, not to stylegan"),
    ):
        with pytest.raises(EaselError, match=said):
            recipe_from({"kind": "train", "network": network, "data": "x", name: value})
    assert recipe_from({"kind": "train", "network": "dcgan", "data": "x", "beta": 1.0, "augment": "none"})
    with pytest.raises(EaselError, match="attributes: belongs to control-gan, not to dcgan"):
        recipe_from({"kind": "train", "network": "dcgan", "data": "x", "attributes": ["hat"]})
    with pytest.raises(EaselError, match="kimg or minutes: both are given"):
        recipe_from({"kind": "train", "network": "dcgan", "data": "x", "kimg": 1, "minutes": 1})
    assert isinstance(read_yaml(ROOT / "examples" / "train-vae.yaml"), Train)


# the parts


def test_the_curves_are_a_picture(tmp_path: Path) -> None:
    rows = [
        {"step": k, "kimg": k, "kernel distance": 1 / (k + 1), "low": 0.0, "high": 1.0, "real": k, "fake": -k}
        for k in (0, 1, 2)
    ]
    (tmp_path / "chart.png").write_bytes(charts.training_curves(rows, "a title with $", KERNEL))
    chart = open_picture(tmp_path / "chart.png")
    assert chart.width > chart.height > 300
    assert len({chart.getpixel((x, y)) for x in range(0, chart.width, 3) for y in range(0, chart.height, 3)}) > 20


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    return packed(open_set(FACES), 16, tmp_path_factory.mktemp("cache"))


@given(step=st.integers(0, 500), size=st.integers(1, 60), seed=st.integers(0, 9))
def test_a_batch_follows_from_its_step_alone(step: int, size: int, seed: int, small: Packed) -> None:
    fresh, used = (Batches(small, Conditions(), size, seed, mirror=True) for _ in range(2))
    used.batch(0)
    used.batch(step + 7)
    assert torch.equal(fresh.batch(step).real, used.batch(step).real)
    assert fresh.batch(step).real.shape == (size, 3, 16, 16)


def test_an_epoch_shows_every_picture_once(small: Packed) -> None:
    source = Batches(small, label_conditions(small, "colour"), 5, 0)
    seen = torch.cat([source.batch(step).condition for step in range(24)])  # type: ignore[misc]
    for epoch in range(5):
        counts = np.bincount(seen[epoch * 24 : (epoch + 1) * 24].numpy(), minlength=8)
        assert (counts == np.bincount(small.attribute("colour").codes, minlength=8)).all()


def test_captions_are_those_of_the_picture_and_wrong_ones_are_others(small: Packed) -> None:
    conditions = caption_conditions(small, lambda texts: np.arange(len(texts), dtype=np.float32)[:, None])
    source = Batches(small, conditions, 6, 0)
    for step in range(8):
        batch = source.batch(step)
        places = source._places(step)
        assert batch.condition is not None
        assert batch.wrong is not None
        for place, number in zip(places, batch.condition[:, 0].int().tolist(), strict=True):
            assert conditions.texts[number] in small.captions[int(place)]
        assert not torch.equal(batch.condition, batch.wrong)
        assert (batch.condition != batch.wrong).all()


def test_the_average_has_the_half_life_of_its_plan() -> None:
    plan = plans.plan_for("dcgan", 64, {"batch_size": 100})
    assert plans.average_decay(plan, 10**7) ** 100 == pytest.approx(0.5)  # 10 kimg later, half is left
    assert plans.average_decay(plan, 20_000) ** 10 == pytest.approx(0.5)  # a twentieth of what has been seen
    assert plans.average_decay(plan, 0) == pytest.approx(0)


def test_the_average_follows_weights_and_copies_buffers(small: Packed) -> None:
    plan = plans.plan_for("dcgan", 16, {"batch_size": 4})
    trainer = tiny_trainer(
        {"network": "dcgan", "channels": 4, "widest": 8, "latent": 4}, plan, Batches(small, Conditions(), 4, 0)
    )
    before = [parameter.clone() for parameter in trainer.averaged("generator").parameters()]
    trainer.step(1)
    decay = plans.average_decay(plan, 4)
    generator, averaged = trainer.players["generator"], trainer.averaged("generator")
    assert generator.training
    assert not averaged.training
    for old, ours, now in zip(before, averaged.parameters(), generator.parameters(), strict=True):
        assert torch.allclose(ours, decay * old + (1 - decay) * now, atol=1e-6)
    for one, other in zip(averaged.buffers(), generator.buffers(), strict=True):
        assert torch.equal(one, other)


def test_phases_are_rows_and_come_at_their_intervals(small: Packed) -> None:
    plan = plans.plan_for("stylegan", 16, {"batch_size": 4})
    assert plan.r1_gamma == pytest.approx(0.0002 * 256 / 4)
    rows = phases.phases_for(("generator", "critic"), plan)
    assert [(row.name, row.interval) for row in rows] == [("critic", 1), ("R1", 16), ("generator", 1), ("path", 4)]
    gulrajani = plans.plan_for("dcgan", 16, {"objective": "wgan-gp"})
    rows = phases.phases_for(("generator", "critic"), gulrajani)
    assert [row.name for row in rows] == ["critic", "gradient penalty", "generator"]
    assert gulrajani.critic_steps == 5
    values = {"network": "stylegan", "channels": 32, "latent": 4, "style": 4}
    trainer = tiny_trainer(values, plan, Batches(small, Conditions(), 4, 0))
    said = [set(trainer.step(step)) for step in (0, 1, 4)]
    assert "R1" in said[0]
    assert said[1] == {"critic", "real", "fake", "generator"}
    assert "path" in said[2]
    assert trainer.state.path_length > 0
    rate = trainer.optimizers["critic"].param_groups[0]["lr"]
    assert rate == pytest.approx(plan.learning_rate * 16 / 17)


def tiny_trainer(values: dict[str, Any], plan: plans.TrainingPlan, source: Batches) -> Trainer:
    """The trainer of a network of 16 px."""
    torch.manual_seed(source.seed)
    return phases.trainer_for(networks.players(networks.config({"resolution": 16, **values})), plan, source)


def with_classifier(network: str, small: Packed, equilibrium: float = 1.0, augment: str = "none") -> Trainer:
    """A tiny trainer of three players, control-gan's or cgan's."""
    values: dict[str, Any] = {"network": network, "channels": 4, "widest": 8, "latent": 4}
    if network == "cgan":
        conditions = label_conditions(small, "colour")
        values |= {"classes": len(conditions.names), "classifier": True}
    else:
        conditions = attribute_conditions(small, ["colour=red"])
    chosen = {"batch_size": 4, "equilibrium": equilibrium, "critic_steps": 1, "augment": augment}
    return tiny_trainer(values, plans.plan_for(network, 16, chosen), Batches(small, conditions, 4, 0))


@pytest.mark.parametrize("network", ["control-gan", "cgan"])
def test_the_classifier_presses_until_its_loss_is_at_the_equilibrium(network: str, small: Packed) -> None:
    """Lee, Seok 2017, equation 4: by a hundredth of what made pictures are harder than E times the real ones."""
    weights = []
    for equilibrium in (0.5, 1.0):
        trainer = with_classifier(network, small, equilibrium)
        said = trainer.step(0)
        moved = 0.01 * (float(said["classifier_fake"]) - equilibrium * float(said["classifier"]))
        assert trainer.state.classifier_weight == pytest.approx(1 + moved)
        weights.append(trainer.state.classifier_weight)
    assert weights[0] > weights[1]


@pytest.mark.parametrize("network", ["control-gan", "cgan"])
@pytest.mark.parametrize("augment", ["none", "differentiable"])
def test_the_classifier_sees_what_the_critic_sees(augment: str, network: str, small: Packed) -> None:
    """Real pictures when it learns, made ones when it judges; with augmentation both are changed, without neither."""
    trainer = with_classifier(network, small, augment=augment)
    seen: list[torch.Tensor] = []
    trainer.players["classifier"].register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    made: list[torch.Tensor] = []
    trainer.players["generator"].register_forward_hook(lambda _, __, found: made.append(found.detach()))
    trainer.step(0)
    assert trainer.batches is not None
    assert torch.equal(seen[0], trainer.batches.batch(0).real) == (augment == "none")
    assert torch.equal(seen[1], made[-1]) == (augment == "none")


def test_stackgans_words_are_not_put_out() -> None:
    """The KL of its clouds of words weighs as a mean over their numbers: as a sum it made all captions one."""

    class Cloud(nn.Module):
        def latent(self, n: int, generator: torch.Generator) -> torch.Tensor:
            return torch.zeros(n, 5)

        def moments(self, condition: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.ones(len(condition), 8), torch.zeros(len(condition), 8)  # half a nat a number

        def forward(self, z: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(z), 3, 4, 4)

    class Judge(nn.Module):
        def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
            return x.mean(dim=(1, 2, 3))

    batch = Batch(torch.zeros(2, 3, 4, 4), torch.zeros(2, 6))
    context = Context(0, {"generator": Cloud(), "critic": Judge()}, batch)
    found = phases.generator(context, plans.plan_for("stackgan", 64, {"objective": "hinge"}))
    assert found.numbers["KL"] == pytest.approx(4.0)
    assert found.numbers["generator"] == 0  # hinge: minus the critic's scores, which are 0 here
    assert found.loss == pytest.approx(plans.CAPTION_KL * 0.5)


@pytest.mark.parametrize("objective", ["wgan-gp", "least-squares", "hinge"])
def test_other_objectives_train(objective: str, tmp_path: Path) -> None:
    result = run(tiny("dcgan", objective=objective, kimg=0.016, augment="differentiable"), tmp_path)
    assert KERNEL in {score.name for score in result.scores}
    critics = [key for key in state(tmp_path) if key.startswith("player/critic") and "running_mean" in key]
    assert (critics == []) == (objective == "wgan-gp")


def test_minutes_end_it_and_count_over_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr("easel.training.loop.time.monotonic", lambda: float(next(clock)))
    recipe = Train(network="dcgan", **{key: value for key, value in TINY.items() if key != "kimg"}, minutes=2.0)
    run(recipe, tmp_path)
    first = checkpoints.read(tmp_path / setup.CHECKPOINT)[1]
    assert first.seconds >= 120
    run(recipe, tmp_path)
    assert checkpoints.read(tmp_path / setup.CHECKPOINT)[1].step == first.step


def test_minutes_pay_for_training_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which each measuring takes 100 s and each step 10: half a minute is three steps, and all are measured
    at the end.
    """
    now, phases = [0.0], []
    step, evaluate = Trainer.step, Evaluator.evaluate

    def passing(method: Any, seconds: float) -> Any:
        def taking(self: Any, *args: Any) -> Any:
            now[0] += seconds
            return method(self, *args)

        return taking

    monkeypatch.setattr("easel.training.loop.time.monotonic", lambda: now[0])
    monkeypatch.setattr(Trainer, "step", passing(step, 10.0))
    monkeypatch.setattr(Evaluator, "evaluate", passing(evaluate, 100.0))
    recipe = Train(network="dcgan", **{key: value for key, value in TINY.items() if key != "kimg"}, minutes=0.5,
                   score_every=0.008)  # fmt: skip
    result = run(recipe, tmp_path, lambda step: phases.append(step.phase))
    assert checkpoints.read(tmp_path / setup.CHECKPOINT)[1].step == 3
    # Due after each step of 8 pictures, but left out while measuring has taken longer than training.
    measured = [float(row["step"]) for row in curves_of(tmp_path) if row["kernel distance"]]
    assert measured == [0, 3]
    assert any(phase.startswith("training for 0.5 min, with measuring at most ") for phase in phases)
    untrained = [note for note in result.notes if note.startswith("the best of the measured models is the untrained")]
    assert len(untrained) == (trained.read_header(tmp_path)["step"] == "0.0")


def test_what_is_kept_is_told_where_it_is_worth_nothing() -> None:
    evaluator = object.__new__(Evaluator)
    evaluator.seen, evaluator.best = 64, Evaluation(0, 0, 1.5, 1, 2, 24)
    evaluator.rows = [{"step": 0.0, "kimg": 0.0, "kernel distance": 1.5, "made": 24.0, "diversity": 0.001}]
    untrained, flat = evaluator.notes
    assert "is the untrained one: 0.064 thousand pictures were too few" in untrained
    assert "are all alike (their variance is 0.1% of the set's)" in flat
    evaluator.rows.append({"step": 8.0, "kimg": 0.064, "kernel distance": 1.0, "made": 24.0, "diversity": 0.5})
    evaluator.best = Evaluation.of_row(evaluator.rows[-1])
    assert evaluator.notes == []


def test_curves_and_models_of_before_are_read(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,kimg,KID,made\n0.0,0.0,0.5,24\n")
    assert read_rows(tmp_path / "metrics.csv")[0]["kernel distance"] == 0.5
    old = {"format": "pt", "step": "8.0", "kimg": "0.064", "KID": "0.25", "low": "0.1", "high": "0.3", "made": "24.0"}
    assert Evaluation.of_header(old) == Evaluation(8.0, 0.064, 0.25, 0.1, 0.3, 24.0)


# --- benchmarks.domains -----------------------------------------------------------------------------------------------


def test_a_judge_of_its_own_learns_two_colours_and_says_how_often_it_is_right() -> None:
    from benchmarks.domains.classifier import LabelledPictures, accuracy, train_classifier

    rng = np.random.default_rng(0)
    answers = rng.integers(0, 2, 160)
    pixels = rng.integers(0, 60, (160, 8, 8, 3), dtype=np.uint8)
    pixels[np.arange(160), :, :, 2 * answers] += 150
    data = LabelledPictures(pixels, {"colour": answers})
    judge = train_classifier(data.part(range(128)), {"colour": 2}, 18)
    found = accuracy(judge, data.part(range(128, 160)))["colour"]
    assert (found.value, found.n) == (1.0, 32)
    wrong = LabelledPictures(pixels, {"colour": 1 - answers})
    assert accuracy(judge, wrong)["colour"].value == 0.0


def test_what_changed_and_what_kept_is_counted_where_it_was_asked() -> None:
    from benchmarks.domains.faces import compared

    plain = {name: np.array(row) for name, row in
             {"hat": [0, 0, 1], "scarf": [0, 1, 1], "kind": [0, 1, 0], "colour": [3, 4, 5]}.items()}  # fmt: skip
    after = plain | {"hat": np.array([1, 0, 1]), "scarf": np.array([0, 0, 0]), "colour": np.array([3, 9, 9])}
    found = compared(plain, after, "hat", 1, ("hat", "scarf"))
    assert [list(map(bool, marks)) for marks in found.values()] == [
        [True, False], [True, False], [True, True], [True, False],
    ]  # fmt: skip


def test_slopes_times_and_differences_by_hand() -> None:
    from benchmarks.domains.measurements import above_nothing, difference, edge_energy, measurement, times_less
    from easel.metrics.intervals import Estimate

    stripes = np.zeros((1, 4, 4, 3), np.uint8)
    stripes[:, :, ::2] = 255
    assert edge_energy(stripes) == pytest.approx([1.0])
    assert edge_energy(np.full((1, 4, 4, 3), 9, np.uint8)) == pytest.approx([0.0])
    assert times_less(6.0, Estimate(0.5, 0.4, 0.6, 9)) == pytest.approx((12.0, 10.0, 15.0, 9))
    assert times_less(6.0, Estimate(0.1, -0.1, 0.3, 9)).high is None
    margin = difference(Estimate(5.0, 2.0, 8.0, 9), Estimate(3.0, -1.0, 7.0, 7))
    assert margin == pytest.approx((2.0, -3.0, 7.0, 7))
    assert above_nothing("run", "what", margin, "judge").is_met
    assert measurement("run", "what", margin, "judge", 3).is_met is False
    assert measurement("run", "what", margin, "judge").is_met is None


def test_the_command_of_a_run_is_what_easel_train_takes() -> None:
    from benchmarks.domains.runs import RUNS

    for name, one in RUNS.items():
        assert one.data in one.command(name, 2)
        assert (one.after or name) in RUNS
        values = {"kind": "train", "network": one.network, "data": one.data, "minutes": one.minutes}
        recipe = recipe_from(values | dict(one.settings))
        assert isinstance(recipe, Train)
        assert recipe.minutes == one.minutes


# perceptual path length


def paths(model: Path | str, out: Path, report: Any = None, **more: Any) -> Result:
    given: dict[str, Any] = {"model": str(model), "samples": 6, "seed": 1}
    return run(ScorePpl(**(given | more)), out, report)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_has_a_path_length_in_z(network: str, shelfful: dict[str, Path], tmp_path: Path) -> None:
    words = {"prompt": "a red hat"} if network in ("text-dcgan", "stackgan") else {}
    result = paths(model_of(network, shelfful), tmp_path / "out", samples=8, sampling="full", **words)
    (score,) = result.scores
    assert (score.name, score.judge, score.of, score.n) == ("PPL", "perceptual:pocket", f"{network}: z, full", 8)
    assert score.low is not None
    assert score.high is not None
    assert 0 <= score.low < score.value < score.high
    assert result.texts["paths"].startswith("8 in z, sampled full, epsilon 0.0001")
    assert all(path.is_file() for path in result.paths)
    rows = list(csv.DictReader((tmp_path / "out" / "table.csv").read_text().splitlines()))
    assert [int(row["seed"]) for row in rows] == list(range(1, 17, 2))


@pytest.mark.parametrize(("space", "sampling"), [("z", "end"), ("z", "full"), ("w", "end"), ("w", "full")])
def test_path_lengths_are_those_of_the_metric(
    space: Any, sampling: Any, shelfful: dict[str, Path], tmp_path: Path
) -> None:
    """More samples leave the first as they are, and the metric finds the same from the same latents."""
    folder = model_of("stylegan", shelfful)
    for samples in (8, 3):
        paths(folder, tmp_path / f"{samples}", space=space, sampling=sampling, samples=samples)
    found = [
        [float(row["length"]) for row in csv.DictReader((tmp_path / name / "table.csv").read_text().splitlines())]
        for name in ("3", "8")
    ]
    assert found[0] == pytest.approx(found[1][:3], rel=0.03)  # other batches round otherwise
    model = models.load(str(folder), "generator", "cpu")
    ends = [model.latents(range(start, 17, 2)) for start in (1, 2)]
    ends = ends if space == "z" else [model.code(z, None) for z in ends]

    def generate(rows: Any) -> torch.Tensor:
        codes = torch.from_numpy(rows).float()
        return model.paint(model.code(codes, None) if space == "z" else codes, None)

    first, last = (rows.double().numpy() for rows in ends)
    options = path_length.PathOptions(space, sampling)
    expected = path_length.path_lengths(first, last, generate, fakes.Perceptual().resized_distance, options, 1)
    assert found[1] == pytest.approx(expected.tolist(), rel=1e-3)


def test_what_has_no_path_length_is_refused(shelfful: dict[str, Path], tmp_path: Path) -> None:
    for model, more, said in (
        (model_of("dcgan", shelfful), {"space": "w"}, "dcgan has no w, only stylegan maps z to one: use --space z"),
        (model_of("dcgan", shelfful), {"prompt": "a hat"}, r"dcgan \(dcgan\) takes no words"),
        (model_of("text-dcgan", shelfful), {}, "draws from words: say with --prompt what its pictures show"),
        ("pocket", {}, "'pocket' has no model for generator: use a folder that `easel train` made"),
    ):
        with pytest.raises(EaselError, match=said):
            paths(model, tmp_path / said[:9].strip("'"), **more)
    for recipe, said in (
        ({"what": "ppl", "model": "m", "folder": "d"}, "folder is not a setting of score-ppl"),
        ({"what": "prompt", "folder": "d", "space": "w"}, "space is not a setting of score-prompt"),
        ({"what": "prompt", "folder": "d", "samples": 7}, "samples is not a setting of score-prompt"),
        ({"what": "sets", "made": "d"}, "folder is missing: Folder of real pictures"),
    ):
        with pytest.raises(EaselError, match=said):
            recipe_from({"kind": "score", **recipe})


def test_a_path_length_can_be_stopped_and_told_on_the_command_line(
    shelfful: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, seen = model_of("stylegan", shelfful), []

    def report(step: Step) -> None:
        seen.append((step.phase, step.done, step.total))
        if step.phase == "measuring" and step.done >= 16:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        paths(folder, tmp_path / "cut", report, samples=40)
    assert seen[-2:] == [("measuring", 0, 40), ("measuring", 16, 40)]
    assert not (tmp_path / "cut" / "result.json").exists()
    words = ["score", "ppl", "--model", folder, "--space", "w", "--samples", "4", "--out", tmp_path / "out", "--json"]
    assert main([str(word) for word in [*words, "--device", "cpu", "--quiet"]]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["scores"][0]["name"] == "PPL"
    assert told["scores"][0]["of"] == "stylegan: w, end"


def test_a_model_that_draws_no_numbers_is_said(
    shelfful: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fakes.Perceptual, "resized_distance", lambda self, a, b: np.full(len(a), np.nan))
    with pytest.raises(EaselError, match=r"dcgan or pocket is broken: the distance gave .* not finite"):
        paths(model_of("dcgan", shelfful), tmp_path)


# several processes


def in_two(tmp_path: Path, do: Any) -> list[Any]:
    """What ``do`` gives in each of two processes that were started as a launcher would; an EaselError as itself."""
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
    port = store.port
    del store
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:  # the child never comes back from here
            signal.alarm(120)
            told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            os.environ.update({key: str(value) for key, value in told.items()})
            try:
                try:
                    made = do(rank)
                except EaselError as problem:
                    made = problem
                (tmp_path / f"{rank}.pickle").write_bytes(pickle.dumps(made))
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    return [pickle.loads((tmp_path / f"{rank}.pickle").read_bytes()) for rank in range(2)]


def few_steps(network: str, small: Packed) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Three steps of a share, without minibatch deviation and style mixing: the first state, and the last."""
    sizes = {"resolution": 16, "channels": 4, "widest": 8, "latent": 4}
    conditions = Conditions()
    if network == "control-gan":
        conditions = attribute_conditions(small, ("hat", "scarf"))
        sizes["attributes"] = 2
    if network == "stylegan":
        sizes |= {"channels": 64, "style": 4, "mapping": 2, "group": 1}
    plan = dataclasses.replace(plans.plan_for(network, 16, {"batch_size": 8}), style_mixing=0.0, path_weight=0.0)
    source = Batches(small, conditions, 8, 0, mirror=True, team=Team.joined())
    trainer = tiny_trainer({"network": network, **sizes}, plan, source)
    before = {key: tensor.clone() for key, tensor in trainer.state_dict().items()}
    for step in range(3):
        trainer.step(step)
    return before, trainer.state_dict()


@pytest.mark.parametrize("network", ["dcgan", "control-gan", "vae", "stylegan"])
def test_two_processes_with_half_the_batch_each_take_the_steps_of_one(
    network: str, small: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Critic, R1, generator, classifier, encoder: weights, moments, average and the mean w. Without what looks at
    several pictures at once (batch norm, minibatch deviation) or is drawn for each process anew (style mixing, noise).
    """
    held = torch.nn.Module.train
    monkeypatch.setattr(torch.nn.BatchNorm2d, "train", lambda self, mode=True: held(self, mode=False))
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)

    def do(rank: int) -> dict[str, torch.Tensor]:
        with join() as team:
            assert (team.rank, team.size) == (rank, 2)
            return few_steps(network, small)[1]

    first, second = in_two(tmp_path, do)
    before, alone = few_steps(network, small)
    for key, tensor in alone.items():
        assert torch.equal(first[key], second[key]), key
        assert torch.allclose(first[key], tensor, rtol=1e-3, atol=2e-5), key
    moved = [key for key in before if key.startswith("player/") and not torch.equal(before[key], alone[key])]
    assert len(moved) > 10


def test_a_team_trains_writes_once_goes_on_and_stops_together(tmp_path: Path) -> None:
    out, wrote = tmp_path / "out", tmp_path / "wrote"
    wrote.mkdir()

    def do(rank: int, recipe: Train, report: Any = None) -> Any:
        real = Workspace.save_bytes
        log = wrote / f"{rank}"

        def save(self: Workspace, name: str, content: bytes) -> Path:
            log.write_text(log.read_text() + name + "\n" if log.exists() else name + "\n")
            return real(self, name, content)

        Workspace.save_bytes = save  # type: ignore[method-assign]
        return runners.run(recipe, out, "cpu", "float32", report)

    def stopping(step: Step) -> None:
        if step.phase == "training" and step.done >= 16:
            raise Cancelled("stopped by hand")

    made = in_two(tmp_path, lambda rank: do(rank, tiny("dcgan"), None if rank else stopping))
    assert [str(one) for one in made] == ["stopped by hand"] * 2
    assert checkpoints.read(out / setup.CHECKPOINT)[1].step == 2
    first, second = in_two(tmp_path, lambda rank: do(rank, tiny("dcgan")))
    assert first.scores == second.scores
    assert {path.name for path in wrote.iterdir()} == {"0"}
    assert checkpoints.read(out / setup.CHECKPOINT)[1].step == 4
    assert Result.read(out).scores == first.scores
    made = in_two(tmp_path, lambda rank: do(rank, tiny("dcgan", batch_size=5, kimg=0.01)))
    assert all("batch_size was 8, is 5" in str(one) for one in made)
    out = tmp_path / "odd"
    made = in_two(tmp_path, lambda rank: do(rank, tiny("dcgan", batch_size=5)))
    assert all("batch_size 5 cannot be shared among 2 processes: take a multiple of 2" in str(one) for one in made)


def test_of_a_team_a_broken_loss_of_one_ends_it_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = phases.generated

    def broken(context: Context, *more: Any) -> torch.Tensor:
        bad = context.step >= 3 and context.team.rank == 1
        return real(context, *more) * (float("nan") if bad else 1.0)

    monkeypatch.setattr(phases, "generated", broken)
    made = in_two(
        tmp_path, lambda rank: runners.run(tiny("dcgan", score_every=0.016), tmp_path / "out", "cpu", "float32")
    )
    assert all("the loss of 'critic' is nan at step 3: the model of" in str(one) for one in made)


# TensorBoard


def events_of(folder: Path) -> Any:
    reading = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed: pip install easel[tensorboard]",
    )
    return reading.EventAccumulator(str(folder / tensorboard.FOLDER), size_guidance={"images": 0}).Reload()


def test_tensorboard_shows_curves_and_grids_and_no_step_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "FLAT", 0.0)  # so small a network draws nearly the same everywhere
    recipe = tiny("dcgan", score_every=0.016)

    def stop(step: Step) -> None:
        if step.phase == "training" and step.done >= 24:
            raise Killed

    with pytest.raises(Killed):
        run(recipe, tmp_path, stop)  # evaluated at 0 and 16; there is no checkpoint, so all comes again
    run(recipe, tmp_path)
    run(tiny("dcgan", score_every=0.016, kimg=0.048), tmp_path)
    found = events_of(tmp_path)
    rows = [
        row for row in csv.DictReader((tmp_path / "metrics.csv").read_text().splitlines()) if row["kernel distance"]
    ]
    assert [event.step for event in found.Scalars("kernel distance")] == [0, 16, 32, 48]
    assert [event.value for event in found.Scalars("kernel distance")] == pytest.approx(
        [float(row["kernel distance"]) for row in rows]
    )
    grids = [np.asarray(open_picture(path)) for path in sorted((tmp_path / "samples").iterdir())]
    shown = [np.asarray(Image.open(io.BytesIO(event.encoded_image_string))) for event in found.Images("samples")]
    assert [event.step for event in found.Images("samples")] == [0, 16, 32, 48]
    assert all(np.array_equal(one, other) for one, other in zip(grids, shown, strict=True))


def test_without_tensorboard_nothing_is_written_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    result = run(tiny("dcgan", kimg=0.008), tmp_path)
    assert not (tmp_path / tensorboard.FOLDER).exists()
    assert not any("tensorboard" in note for note in result.notes)


def test_equal_models_are_equal_files(tmp_path: Path) -> None:
    """However the library orders what stands in the header; and the file is read as before."""
    players = {"generator": torch.nn.Linear(3, 2)}
    facts = {f"fact {n}": "\u00e9\u2028\x01" * n for n in range(12)}
    written = set()
    for place in "abcd":
        (tmp_path / place).mkdir()
        trained.write_players(tmp_path / place, players, facts)
        written.add((tmp_path / place / "model.safetensors").read_bytes())
    assert len(written) == 1
    assert trained.read_header(tmp_path / "a") == {"format": "pt", **facts}
    weights = load_file(tmp_path / "a" / "model.safetensors")
    assert torch.equal(weights["generator.weight"], players["generator"].weight)
