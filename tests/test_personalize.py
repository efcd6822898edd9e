"""Teaching a subject: every method on every family, kills, layouts of the results, photos, words, what is refused."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from transformers import CLIPTokenizer

from easel import models, runners
from easel.errors import Cancelled, EaselError
from easel.jobs import likeness, personalize
from easel.jobs.personalize import export, setup, words
from easel.jobs.personalize import photos as photo_files
from easel.jobs.personalize.observer import BALANCE, BEST, balance
from easel.metrics.intervals import Estimate
from easel.models.catalog.tables import PACKAGE
from easel.models.diffusion import inversion, lora, prompts
from easel.models.diffusion.batch import PictureRequest
from easel.models.diffusion.settings import Sampling
from easel.recipes.generate import Generate
from easel.recipes.personalize import Personalize, split_subject
from easel.result import Result
from easel.training import checkpoints, finetune
from easel.training.state import Position
from easel.training.trainer import Context, Measured, Phase, Trainer, seeds_of
from easel.workspace import Step
from tests import tiny
from tests.conftest import drawn, killed_in_training

COLOURS = ("teal", "navy", "maroon", "olive", "purple")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three families that draw, a family of judges, and a captioner."""
    place = tmp_path_factory.mktemp("shelf")
    tiny.sd(place / "sd")
    tiny.sdxl(place / "sdxl")
    tiny.eight_channels(place / "eight", float8=True)
    tiny.clip(place / "judges" / "clip")
    tiny.vit(place / "judges" / "subject")
    tiny.resnet(place / "judges" / "perceptual")
    tiny.blip(place / "caption")
    return place


@pytest.fixture(scope="module")
def drawn_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("assets")


@pytest.fixture(autouse=True)
def kept(drawn_once: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures by the untouched models are drawn once for all tests, and those of the class are few."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(drawn_once))
    for place in (setup, export):
        monkeypatch.setattr(place, "COMPARED", 4)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: None) -> Path:
    """Where pictures by the untouched model are kept, with none in it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    return tmp_path / "assets"


@pytest.fixture
def last_is_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights make nothing that a judge could like: every evaluation is better than the one before."""
    counted = itertools.count()
    monkeypatch.setattr("easel.jobs.personalize.observer.balance", lambda _: float(next(counted)))


@pytest.fixture
def dog(tmp_path: Path) -> Path:
    """Five photos."""
    place = tmp_path / "dog"
    place.mkdir()
    for number, colour in enumerate(COLOURS):
        drawn(96 + 8 * number, 80, colour).save(place / f"{number}.png")
    return place


def recipe_for(shelf: Path, dog: Path, family: str = "sd", **more: Any) -> Personalize:
    values = {
        "photos": str(dog),
        "subject": "sks dog",
        "model": str(shelf / family),
        "judge": str(shelf / "judges"),
        "resolution": 64,
        "steps": 4,
        "batch_size": 2,
        "learning_rate": 1e-3,
        "evaluate_every": 2,
        "sampling_steps": 1,
        "prompts": str(prompts_file(dog.parent)),
        "count": 2,
        "seed": 3,
    }
    return Personalize.model_validate({**values, **more})


def prompts_file(place: Path) -> Path:
    file = place / "set.yaml"
    file.write_text("- name: moon\n  prompt: a {subject} on the moon\n  negative_prompt: fog\n")
    return file


def run(recipe: Personalize, out: Path, report: Any = None) -> Result:
    return runners.run(recipe, out, "cpu", "float32", report)


def state(out: Path) -> dict[str, torch.Tensor]:
    return checkpoints.read(out / setup.CHECKPOINT)[0]


def same(one: Path, other: Path) -> bool:
    """Whether two runs ended with the same weights, moments, averages, best weights and curves."""
    files = (setup.CHECKPOINT, BEST)
    pairs = [(checkpoints.read(one / file)[0], checkpoints.read(other / file)[0]) for file in files]
    if any(a.keys() != b.keys() or not all(torch.equal(a[key], b[key]) for key in a) for a, b in pairs):
        return False
    return curves_of(one) == curves_of(other)


def curves_of(out: Path) -> list[dict[str, float]]:
    from easel.training import curves

    rows = curves.read(out / curves.FILE, lambda _: ("step",))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def picture_of(model: Any, prompt: str) -> np.ndarray:
    request = PictureRequest(prompt, 5, "", Sampling(steps=2, width=64, height=64, scheduler="ddim"))
    return np.asarray(next(iter(model.generate([request]))).image, np.int16)


# Every method on every family


@pytest.mark.parametrize("family", ["sd", "sdxl", "eight"])
@pytest.mark.parametrize("method", ["lora", "full", "textual-inversion"])
def test_every_method_learns_and_is_used_by_generate(
    method: str, family: str, shelf: Path, dog: Path, tmp_path: Path, last_is_best: None
) -> None:
    own: dict[str, dict[str, Any]] = {
        "lora": {"text_encoder": True, "learning_rate": 0.05},
        "full": {"prior_weight": 0},
        "textual-inversion": {"learning_rate": 0.5, "vectors": 2},
    }
    recipe = recipe_for(shelf, dog, family, method=method, **own[method])
    result = run(recipe, tmp_path / "out")
    names = {score.name for score in result.scores}
    assert {"subject similarity", "CLIP-T", "DIV", "near-copies", "subject similarity untouched"} <= names
    assert {"PRES", "PRES untouched", "DIV of the class"} <= names or method == "textual-inversion"
    assert all(score.judge.partition(":")[2] == "judges" for score in result.scores)
    assert all(path.is_file() for path in result.paths)
    moved = {name.partition("/")[2].partition("/")[0] for name in state(tmp_path / "out") if name.startswith("player")}
    double = {"text_encoder", "text_encoder_2"} if family == "sdxl" else {"text_encoder"}
    assert moved == {"lora": {"unet"} | double, "full": {"unet"}, "textual-inversion": double}[method]

    # What is drawn with the result is not what the base draws
    subject = result.texts["subject"]
    out, base = str(tmp_path / "out"), str(shelf / family)
    given: dict[str, Any] = {"lora": {"lora": (out,)}, "full": {}, "textual-inversion": {"embedding": (out,)}}[method]
    named = out if method == "full" else base
    words_of = {"prompt": f"a {subject}", "width": 64, "height": 64, "steps": 2, "seed": 5, "scheduler": "ddim"}
    drawn_with = Generate.model_validate({**words_of, "model": named, "judge": str(shelf / "judges"), **given})
    made = runners.run(drawn_with, tmp_path / "made", "cpu", "float32").images[0]
    plain = Generate.model_validate({**words_of, "prompt": "a sks dog", "model": base, "judge": str(shelf / "judges")})
    before = runners.run(plain, tmp_path / "plain", "cpu", "float32").images[0]
    assert np.abs(np.asarray(made, np.int16) - np.asarray(before, np.int16)).max() > 0


def test_a_lora_is_the_same_in_both_layouts_and_in_plain_diffusers(
    shelf: Path, dog: Path, tmp_path: Path, last_is_best: None
) -> None:
    forms: list[dict[str, Any]] = [
        {"targets": ("all",), "text_encoder": True},
        {"dora": True},
        {"dora": True, "text_encoder": True},
    ]
    for number, more in enumerate(forms):
        out = tmp_path / str(number)
        run(recipe_for(shelf, dog, method="lora", rank=2, alpha=4.0, learning_rate=0.05, **more), out)
        layouts = (out, out / "a1111" / "sks-dog.safetensors")
        drawn_by = [
            picture_of(
                models.load(str(shelf / "sd"), "text-to-image", "cpu", "float32", loras=[str(file)]), "a sks dog"
            )
            for file in layouts
        ]
        base = picture_of(models.load(str(shelf / "sd"), "text-to-image", "cpu", "float32"), "a sks dog")
        assert np.abs(drawn_by[0] - drawn_by[1]).max() <= 1
        assert np.abs(drawn_by[0] - base).max() > 1
        plainly = layouts[: 1 if "dora" in more else 2]  # diffusers drops the lengths of DoRA that kohya's layout has,
        for file in plainly if len(more) == 1 or "dora" not in more else ():  # and those of text encoders
            plain = StableDiffusionPipeline.from_pretrained(
                shelf / "sd", safety_checker=None, feature_extractor=None, local_files_only=True
            )
            plain.load_lora_weights(
                file.parent if file.suffix else file, weight_name=file.name if file.suffix else None
            )
            held = models.load(str(shelf / "sd"), "text-to-image", "cpu", "float32")
            held.pipeline.unet, held.pipeline.text_encoder = plain.unet, plain.text_encoder
            plain.unet.register_forward_hook(lambda _m, _a, output: output)
            assert np.abs(picture_of(held, "a sks dog") - drawn_by[0]).max() <= 1


def test_kohyas_names_are_those_that_a1111_and_comfyui_expect(shelf: Path, dog: Path, tmp_path: Path) -> None:
    run(recipe_for(shelf, dog, text_encoder=True, steps=1), tmp_path / "sd")
    names = set(load_file(tmp_path / "sd" / "a1111" / "sks-dog.safetensors"))
    block = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0"
    text = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    assert {
        f"{stem}.{end}" for stem in (block, text) for end in ("alpha", "lora_down.weight", "lora_up.weight")
    } <= names
    run(recipe_for(shelf, dog, "sdxl", text_encoder=True, steps=1), tmp_path / "sdxl")
    names = set(load_file(tmp_path / "sdxl" / "a1111" / "sks-dog.safetensors"))
    assert {name.partition("_encoder")[0] for name in names if "_te" in name} == {
        "lora_te1_text_model",
        "lora_te2_text_model",
    }


@pytest.mark.parametrize("more", [{}, {"new_token": True, "text_encoder": True}])
def test_a_full_folder_is_one_that_plain_diffusers_loads(
    more: dict[str, Any], shelf: Path, dog: Path, tmp_path: Path, last_is_best: None
) -> None:
    result = run(recipe_for(shelf, dog, method="full", prior_weight=0, **more), tmp_path / "out")
    plain = DiffusionPipeline.from_pretrained(tmp_path / "out", local_files_only=True)
    ours = models.load(str(tmp_path / "out"), "text-to-image", "cpu", "float32")
    for name, tensor in plain.unet.state_dict().items():
        assert torch.equal(tensor, ours.pipeline.unet.state_dict()[name]), name
    learned = checkpoints.read(tmp_path / "out" / BEST)[0]
    base = load_file(shelf / "sd" / "unet" / "diffusion_pytorch_model.safetensors")
    assert torch.equal(plain.unet.state_dict()["conv_in.weight"], learned["unet/conv_in.weight"])
    assert not torch.equal(plain.unet.state_dict()["conv_in.weight"], base["conv_in.weight"])
    keys = set(load_file(tmp_path / "out" / "text_encoder" / "model.safetensors"))
    assert all(key.startswith("text_model.") for key in keys)
    if more:
        assert result.texts["subject"] == "<sks> dog"
        assert "<sks>" in plain.tokenizer.get_vocab()
        assert len(plain.tokenizer) == plain.text_encoder.get_input_embeddings().num_embeddings
    else:  # what did not learn is as it was, byte for byte
        for file in ("vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"):
            assert (tmp_path / "out" / file).read_bytes() == (shelf / "sd" / file).read_bytes()


def test_a_word_goes_through_both_layouts(shelf: Path, dog: Path, tmp_path: Path, last_is_best: None) -> None:
    run(recipe_for(shelf, dog, method="textual-inversion", vectors=3, learning_rate=0.5), tmp_path / "out")
    both = (tmp_path / "out" / inversion.FILE, tmp_path / "out" / "a1111" / "embeddings" / "sks.safetensors")
    one, other = (inversion.read(file) for file in both)
    assert one.word == other.word == "<sks>"
    assert torch.equal(one.vectors[0], other.vectors[0])
    assert one.vectors[0].shape == (3, 32)
    pictures = [
        picture_of(models.load(str(shelf / "sd"), "text-to-image", "cpu", "float32", embeddings=[str(file)]), "a <sks>")
        for file in both
    ]
    assert np.array_equal(pictures[0], pictures[1])
    named = models.load(str(shelf / "sd"), "text-to-image", "cpu", "float32", embeddings=[f"rex={both[1]}"])
    assert np.array_equal(picture_of(named, "a rex"), pictures[0])
    assert "'rex' in a prompt stands for it (3 vectors)" in named.notes[0]

    # diffusers' own way gives the same states
    plain = StableDiffusionPipeline.from_pretrained(
        shelf / "sd", safety_checker=None, feature_extractor=None, local_files_only=True
    )
    plain.load_textual_inversion(both[0].parent, weight_name=both[0].name)
    words_of = plain.encode_prompt("a <sks>", "cpu", 1, False)[0]
    from easel.models.diffusion import prompts

    ours = prompts.encode(named.pipeline, "a rex", 1)[0]
    assert torch.allclose(words_of, ours, atol=1e-5)


def test_a_lora_with_a_token_of_its_own_brings_its_word(
    shelf: Path, dog: Path, tmp_path: Path, last_is_best: None
) -> None:
    result = run(recipe_for(shelf, dog, new_token=True, text_learning_rate=0.5), tmp_path / "out")
    assert result.texts["subject"] == "<sks> dog"
    model = models.load(str(shelf / "sd"), "text-to-image", "cpu", "float32", loras=[str(tmp_path / "out")])
    assert any("'<sks>' in a prompt stands for it" in note for note in model.notes)
    table = model.pipeline.text_encoder.get_input_embeddings()
    learned = checkpoints.read(tmp_path / "out" / BEST)[0]
    assert any(torch.equal(table.rows, tensor) for name, tensor in learned.items() if name.endswith(".learned.weight"))


# Kills


class Killed(BaseException):
    """Nothing catches it, as nothing catches kill -9."""


def killing(done: int, phase: str = "training") -> Any:
    def report(step: Step) -> None:
        if step.phase == phase and step.done >= done:
            raise Killed

    return report


FORMS: list[dict[str, Any]] = [
    {"method": "lora", "text_encoder": True, "dora": True, "ema": 0.9},
    {"method": "full", "prior_weight": 1.0, "prior_pictures": 2, "lr_schedule": "cosine", "warmup": 2},
    {"method": "textual-inversion", "fit": "buckets", "mirror": True, "optimizer": "prodigy"},
]


KILLS = (killing(2), killing(1, "evaluating"), killing(5))
"""Between evaluations, within one, and at the last step."""


@pytest.mark.parametrize(
    ("form", "every", "kills"),
    [*((form, -1.0, KILLS) for form in FORMS), (FORMS[0], 1e9, KILLS[2:])],
    ids=[*(str(form["method"]) for form in FORMS), "without a checkpoint"],
)
def test_killed_at_any_moment_it_ends_where_an_unbroken_run_ends(
    form: dict[str, Any],
    every: float,
    kills: tuple[Any, ...],
    shelf: Path,
    dog: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(personalize, "SAVE_SECONDS", every)
    recipe = recipe_for(shelf, dog, **{**form, "snr_gamma": 5.0, "offset_noise": 0.1, "steps": 5})
    whole = run(recipe, tmp_path / "whole")
    for report in kills:
        with pytest.raises(Killed):
            run(recipe, tmp_path / "cut", report)
    cut = run(recipe, tmp_path / "cut")
    assert same(tmp_path / "whole", tmp_path / "cut")
    assert [score.value for score in whole.scores] == [score.value for score in cut.scores]
    run(recipe, tmp_path / "cut")  # nothing is left to do
    assert same(tmp_path / "whole", tmp_path / "cut")


def test_prodigy_finds_a_rate_and_a_checkpoint_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def trainer() -> Trainer:
        torch.manual_seed(0)
        player = torch.nn.Linear(4, 1)
        learning = finetune.Learning(finetune.PRODIGY, weight_decay=0.01)
        optimizer = finetune.optimizer_for("unet", player, finetune.FinetunePlan(1.0, 9), learning)

        def loss(context: Context) -> Measured:
            x = torch.randn(8, 4, generator=context.shared)
            error = (context.players["unet"](x) - x.sum(1, keepdim=True)).square().mean()
            return Measured(error, {"error": error})

        phases = [Phase("instance", ("unet",), 1, loss)]
        return Trainer({"unet": player}, phases, {"unet": optimizer}, seeds_of(1))

    whole = trainer()
    errors = [float(whole.step(at)["error"]) for at in range(200)]
    rate = whole.optimizers["unet"].param_groups[0]["d"]
    assert rate > 1e-4  # from 1e-6, told nothing
    assert errors[-1] < 0.1 * errors[0]
    first = trainer()
    for at in range(100):
        first.step(at)
    first.save(tmp_path / "at", Position(100))
    second = trainer()
    second.restore(tmp_path / "at")
    for at in range(100, 200):
        second.step(at)
    assert second.optimizers["unet"].param_groups[0]["d"] == rate
    mine, theirs = whole.state_dict(), second.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert capsys.readouterr().out == ""


def test_a_real_kill_twice_leaves_a_whole_checkpoint(
    shelf: Path, dog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personalize, "SAVE_SECONDS", -1.0)
    recipe = recipe_for(shelf, dog, steps=5)
    run(recipe, tmp_path / "whole")
    for at in (2, 4):
        killed_in_training(at, partial(run, recipe, tmp_path / "cut"))
        assert checkpoints.read(tmp_path / "cut" / setup.CHECKPOINT)[1].step == at - 1
    run(recipe, tmp_path / "cut")
    assert same(tmp_path / "whole", tmp_path / "cut")
    for file in ("pytorch_lora_weights.safetensors", "a1111/sks-dog.safetensors"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "cut" / file).read_bytes()


def test_stopped_by_hand_it_keeps_its_place_and_more_steps_go_on(shelf: Path, dog: Path, tmp_path: Path) -> None:
    def report(step: Step) -> None:
        if step.phase == "training" and step.done >= 3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        run(recipe_for(shelf, dog), tmp_path / "cut", report)
    assert checkpoints.read(tmp_path / "cut" / setup.CHECKPOINT)[1].step == 3
    run(recipe_for(shelf, dog), tmp_path / "cut")
    run(recipe_for(shelf, dog, steps=6), tmp_path / "cut")
    run(recipe_for(shelf, dog, steps=6), tmp_path / "whole")
    assert same(tmp_path / "whole", tmp_path / "cut")


# What is refused, or stops


def test_what_has_changed_is_refused_with_the_difference(shelf: Path, dog: Path, tmp_path: Path) -> None:
    run(recipe_for(shelf, dog), tmp_path / "out")
    with pytest.raises(EaselError, match=r"other settings \(rank was None, is 4\)"):
        run(recipe_for(shelf, dog, rank=4), tmp_path / "out")
    drawn(colour="red").save(dog / "0.png")
    with pytest.raises(EaselError, match=r"cannot go on: the photos in .* have changed \(photos [0-9a-f]{12}, now "):
        run(recipe_for(shelf, dog, steps=6), tmp_path / "out")
    drawn(96, 80, "teal").save(dog / "0.png")
    run(recipe_for(shelf, dog), tmp_path / "out")  # put back
    base = tmp_path / "base"
    shutil.copytree(shelf / "sd", base)
    moved = recipe_for(shelf, dog, model=str(base))
    run(moved, tmp_path / "moved")
    file = base / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["conv_in.weight"] += 0.5
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(EaselError, match=r"the weights of .* have changed \(model "):
        run(moved, tmp_path / "moved")
    model = models.load(str(base), "text-to-image", "cpu", "float32", loras=[str(tmp_path / "moved")])
    assert "it was trained on other weights (" in model.notes[0]
    same_base = models.load(str(shelf / "sd"), "text-to-image", "cpu", "float32", loras=[str(tmp_path / "moved")])
    assert "other weights" not in " ".join(same_base.notes)


def test_a_rate_that_runs_away_stops_and_the_last_good_weights_are_kept(
    shelf: Path, dog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = finetune.Denoiser.instance

    def broken(self: Any, context: Any) -> Any:
        found = real(self, context)
        return found if context.step < 3 else type(found)(found.loss * float("nan"), found.numbers)

    monkeypatch.setattr(finetune.Denoiser, "instance", broken)
    with pytest.raises(
        EaselError, match=r"the loss of 'instance' is nan at step 3: the .* kept in .*; lower --learning"
    ):
        run(recipe_for(shelf, dog), tmp_path / "out")
    assert (tmp_path / "out" / "pytorch_lora_weights.safetensors").is_file()
    assert "stopped early" in (tmp_path / "out" / "README.md").read_text()


def test_at_a_rate_of_ten_it_says_so_and_keeps_what_was_good(shelf: Path, dog: Path, tmp_path: Path) -> None:
    with pytest.raises(EaselError, match=r"kept in .*; lower --learning-rate \(it was 10\), in another --out"):
        run(recipe_for(shelf, dog, learning_rate=10.0, method="full", prior_weight=0, steps=40), tmp_path / "out")
    kept = checkpoints.read(tmp_path / "out" / BEST)[0]
    assert all(bool(torch.isfinite(tensor).all()) for tensor in kept.values())
    models.load(str(tmp_path / "out"), "text-to-image", "cpu", "float32")


def test_a_full_disk_leaves_the_checkpoint_before(
    shelf: Path, dog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personalize, "SAVE_SECONDS", -1.0)
    real = save_file
    calls = []

    def full(tensors: Any, path: Any, metadata: Any) -> None:
        calls.append(path)
        if "checkpoint" in str(path) and len([p for p in calls if "checkpoint" in str(p)]) == 3:
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(tensors, path, metadata)

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(EaselError, match=r"the disk is full.*the one before is kept"):
        run(recipe_for(shelf, dog), tmp_path / "out")
    assert checkpoints.read(tmp_path / "out" / setup.CHECKPOINT)[1].step == 2
    monkeypatch.setattr(checkpoints, "save_file", real)
    run(recipe_for(shelf, dog), tmp_path / "out")
    run(recipe_for(shelf, dog), tmp_path / "whole")
    assert same(tmp_path / "out", tmp_path / "whole")


def test_photos_that_are_missing_broken_or_alone(shelf: Path, dog: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(EaselError, match="there are no pictures in"):
        run(recipe_for(shelf, empty), tmp_path / "a")
    (dog / "2.png").write_bytes((dog / "2.png").read_bytes()[:300])
    with pytest.raises(EaselError, match=r"2\.png is damaged or cut short .*; or go on without it: --skip-broken"):
        run(recipe_for(shelf, dog), tmp_path / "b")
    result = run(recipe_for(shelf, dog, skip_broken=True, steps=1), tmp_path / "c")
    assert any("1 of 5 pictures were skipped" in note for note in result.notes)
    alone = tmp_path / "alone"
    alone.mkdir()
    drawn().save(alone / "one.png")
    result = run(recipe_for(shelf, alone, steps=1), tmp_path / "d")
    said = " ".join(result.notes)
    assert "one photo: the model will learn this photo rather than the subject" in said
    assert "near-copies: left out, since one photo" in said
    assert "no photo was held back" in said
    assert "near-copies" not in {score.name for score in result.scores}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"subject": "dog"}, "class is missing: 'dog' is one word"),
        ({"subject": "dog", "class_noun": "dog"}, "subject: 'dog' is the class alone"),
        ({"rank": 0}, "rank"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": float("inf")}, "learning_rate"),
        ({"method": "full", "rank": 4}, "rank: belongs to lora, not to full"),
        ({"method": "textual-inversion", "prior_weight": 1.0}, "prior_weight: belongs to lora and full"),
        ({"vectors": 2}, "vectors: belongs to textual-inversion"),
        ({"template": "a photo"}, "write {subject} where"),
        ({"prior_weight": 0, "prior_pictures": 3}, "leave one out"),
        ({"resolution": 65}, "resolution"),
    ],
)
def test_what_does_not_fit_together_is_said(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Personalize.model_validate({"photos": "p", "subject": "sks dog"} | more)


def test_what_cannot_be_learned_is_said_before_the_first_step(
    shelf: Path, dog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(said: str, **more: Any) -> None:
        with pytest.raises(EaselError, match=said):
            run(recipe_for(shelf, dog, **more), tmp_path / said[:4].strip())

    refused("resolution 72: this model needs a multiple of 16", resolution=72)
    refused("targets: no layer's name ends in to_x", targets=("to_x",))
    refused("hold_back: 5 of 5 photos leaves none", hold_back=5)
    refused("has no {subject}", prompts=str(bad_prompts(tmp_path)))
    refused("captions: 5 of 5 photos have none beside them", captions="files")
    refused("no model called 'nobody'", model="nobody")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    refused("needs the package bitsandbytes, which is not installed: `pip install", optimizer="adamw-8bit")


def bad_prompts(place: Path) -> Path:
    file = place / "bad.yaml"
    file.write_text("- name: moon\n  prompt: a dog on the moon\n")
    return file


def test_without_judges_nothing_begins(shelf: Path, dog: Path, tmp_path: Path) -> None:
    with pytest.raises(EaselError, match="no judges at hand that know this model's pictures"):
        run(recipe_for(shelf, dog, judge=None), tmp_path / "out")


# Evaluations


def test_the_best_weights_are_kept_by_what_is_seen_and_it_stops_early(
    shelf: Path, dog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worth = {0: 0.1, 1: 0.5, 2: 0.4, 3: 0.5, 4: 0.3, 5: 0.9}
    seen: list[int] = []

    def valued(_: Any) -> float:
        seen.append(len(seen))
        return worth[len(seen) - 1]

    monkeypatch.setattr(personalize.observer, "balance", valued)
    result = run(recipe_for(shelf, dog, steps=10, evaluate_every=1, stop_early=True), tmp_path / "out")
    assert len(seen) == 5
    assert checkpoints.read_position(tmp_path / "out" / BEST).step == 1
    assert checkpoints.read(tmp_path / "out" / setup.CHECKPOINT)[1].step == 4
    assert any(note.startswith("stopped early: 3 evaluations in a row") for note in result.notes)
    assert result.texts["best"].startswith("after 1 of 10 steps")
    again = run(recipe_for(shelf, dog, steps=10, evaluate_every=1, stop_early=True), tmp_path / "out")
    assert len(seen) == 5  # nothing is left to do
    assert [s.value for s in again.scores] == [s.value for s in result.scores]


def test_the_balance_is_likeness_times_words_without_copies() -> None:
    def found(subject: float, words_: float, copies: float | None = None) -> dict[str, Estimate]:
        numbers = {likeness.SUBJECT: subject, "CLIP-T": words_} | ({} if copies is None else {likeness.COPIES: copies})
        return {name: Estimate(value, None, None, 1) for name, value in numbers.items()}

    assert balance(found(0.5, 0.4)) == pytest.approx(0.2)
    assert balance(found(0.5, 0.4, 0.25)) == pytest.approx(0.15)
    assert balance(found(-0.5, 0.4)) == 0
    assert balance(found(0.9, 0.4, 1.0)) == 0


def test_pictures_of_the_class_are_drawn_once(shelf: Path, dog: Path, tmp_path: Path, cache: Path) -> None:
    recipe = recipe_for(shelf, dog, method="full", prior_weight=1.0, prior_pictures=3, steps=1)
    run(recipe, tmp_path / "a")
    files = {path: path.stat().st_mtime_ns for path in cache.rglob("*.png")}
    assert len(files) == setup.COMPARED  # of which three are learned
    run(recipe, tmp_path / "b")
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.png")} == files
    assert same(tmp_path / "a", tmp_path / "b")
    next(iter(files)).write_bytes(b"damaged")
    run(recipe, tmp_path / "c")
    assert same(tmp_path / "a", tmp_path / "c")


def test_the_untouched_model_told_in_words_stands_beside(shelf: Path, dog: Path, tmp_path: Path) -> None:
    result = run(recipe_for(shelf, dog, description="a teal dog with a hat", steps=1), tmp_path / "out")
    values = {score.name: score for score in result.scores}
    assert values["subject similarity untouched, told in words"].n == 1
    assert values["subject similarity of the photos"].n == 5
    card = (tmp_path / "out" / "README.md").read_text()
    assert "subject similarity untouched, told in words" in card
    assert "4 photos learned, 1 held back" in card
    assert str(tmp_path) not in card


# Words


def test_subjects_in_their_two_parts() -> None:
    assert split_subject("sks dog", None) == ("sks", "dog")
    assert split_subject("sks stuffed animal", None) == ("sks", "stuffed animal")
    assert split_subject("my sks dog", "dog") == ("my sks", "dog")
    assert split_subject("rex", "dog") == ("rex", "dog")


def test_how_the_identifier_is_read(shelf: Path) -> None:
    pocket = models.load("pocket", "text-to-image", "cpu", "float32").pipeline
    assert words.reading(pocket, "sks") == ["identifier 'sks': read as 3 tokens (s k s)"]
    said = words.reading(pocket, "moon")
    assert said[0] == "identifier 'moon': read as 1 token (moon)"
    assert "'moon' is a common word" in said[1]
    assert words.word_of("my dog") == "<my-dog>"
    with pytest.raises(EaselError, match="cannot stand in a prompt"):
        words.word_of("a(b")


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("a sks dog, SKS", "a <sks> dog, <sks>"),
        ("a <sks> dog and sks", "a <sks> dog and sks"),  # who writes the brackets means what is written
        ("tasks and sks-like", "tasks and <sks>-like"),
        ("a dog", "a dog"),  # <dog> was learned, and a dog is still a dog
        ("my-toy's", "<my-toy>'s"),
        ("unused-9", "unused-9"),
    ],
)
def test_a_learned_word_is_read_without_its_brackets(said: str, read: str) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(PACKAGE / "pocket" / "weights" / "diffusion" / "tokenizer")
    tokenizer.add_tokens(["<sks>", "<sks>_1", "<dog>", "<my-toy>", "<unused-9>"])
    assert inversion.bracketed(tokenizer, said) == read
    if "dog" not in said:
        return
    ids = prompts.chunk(said, tokenizer, 77).ids[0]
    assert ids.count(tokenizer.convert_tokens_to_ids("<dog>")) == 0
    assert ids.count(tokenizer.convert_tokens_to_ids("<sks>")) == read.count("<sks>")


@pytest.mark.parametrize(
    ("caption", "made"),
    [
        ("a happy blue dog wearing sunglasses in a forest", "a sks dog in a forest"),
        ("the dog on a sofa", "the sks dog on a sofa"),
        ("an old dog", "a sks dog"),
        ("there is a dog, with a hat, at the sea", "there is a sks dog at the sea"),
        ("a picture of a red dog among the trees", "a picture of a sks dog among the trees"),
        ("two people", "sks dog, two people"),
    ],
)
def test_captions_are_about_the_subject(caption: str, made: str) -> None:
    assert photo_files.about(caption, "dog", "sks dog") == made


@pytest.mark.parametrize(
    ("caption", "made"),
    [
        ("a woman in a blue dress wearing a hat, holding an ice cream at the sea", "a sks man at the sea"),
        ("a man in a hat and in a red coat in a park", "a sks man in a park"),
        ("a person dressed in red on a street", "a sks man on a street"),
        ("a man in front of a clothes shop", "a sks man in front of a clothes shop"),
        ("a portrait of a man in a suit", "a portrait of a sks man"),
        ("a man in the snow", "a sks man in the snow"),
    ],
)
def test_what_a_person_wears_is_no_place(caption: str, made: str) -> None:
    assert photo_files.about(caption, "man", "sks man") == made


def test_captions_come_from_files_the_template_or_a_captioner(shelf: Path, dog: Path, tmp_path: Path) -> None:
    def learned(name: str, **more: Any) -> list[str]:
        run(recipe_for(shelf, dog, steps=1, hold_back=0, **more), tmp_path / name)
        return list(json.loads((tmp_path / name / photo_files.CAPTIONS).read_text()).values())

    assert learned("a", template="art of {subject}") == ["art of sks dog"] * 5
    assert all("sks dog" in text for text in learned("b", captions="captioner", captioner=str(shelf / "caption")))
    for number in range(5):
        (dog / f"{number}.txt").write_text(f"a {{subject}} on sofa {number}\n")
    assert learned("c") == [f"a sks dog on sofa {number}" for number in range(5)]
    assert learned("d", captions="template") == ["a photo of a sks dog"] * 5
    (dog / "0.txt").write_text("a <lora:x:1> dog")
    with pytest.raises(EaselError, match=r"the caption of 0\.png: the prompt has '<lora"):
        learned("e")


# Photos


def test_buckets_keep_the_shape_and_the_area() -> None:
    assert photo_files.bucket((512, 512), 512, 64) == (512, 512)
    assert photo_files.bucket((1600, 900), 512, 64) == (640, 384)
    assert photo_files.bucket((900, 1600), 512, 64) == (384, 640)
    for size in ((3, 2), (2, 3), (100, 1), (1, 100), (7, 6)):
        width, height = photo_files.bucket(size, 512, 64)
        assert width % 64 == height % 64 == 0
        assert width * height <= 512 * 512
        assert 0.5 <= width / height <= 2


def test_the_square_with_most_detail_is_cut_out() -> None:
    page = Image.new("RGB", (300, 100), "wheat")
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    page.paste(Image.fromarray(noise), (190, 0))
    left, top, right, bottom = photo_files.detailed_box(page)
    assert (top, bottom, right - left) == (0, 100, 100)
    assert left == pytest.approx(190, abs=8)
    turned = photo_files.detailed_box(page.rotate(90, expand=True))
    assert turned[1] == pytest.approx(10, abs=8)
    assert photo_files.detailed_box(Image.new("RGB", (300, 100), "wheat")) == pytest.approx((100, 0, 200, 100), abs=4)


def test_photos_are_turned_by_their_exif_and_masks_say_what_is_learned(
    shelf: Path, dog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = Image.new("RGB", (96, 64), "white")
    picture.paste("black", (0, 0, 48, 64))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(dog / "0.png", exif=exif)
    masks = tmp_path / "masks"
    masks.mkdir()
    half = Image.new("L", (96, 80), 0)
    half.paste(255, (0, 0, 48, 80))
    half.save(masks / "1.png")
    found: list[Any] = []
    real = finetune.Examples

    def kept(*args: Any, **more: Any) -> Any:
        found.append(real(*args, **more))
        return found[-1]

    monkeypatch.setattr(setup, "Examples", kept)
    run(recipe_for(shelf, dog, masks=str(masks), steps=1, hold_back=0, fit="centre"), tmp_path / "out")
    photos = Result.read(tmp_path / "out")
    assert photos.files
    marked = [one.mask for one in found[0].instance if one.mask is not None]
    assert len(marked) == 1
    assert marked[0].shape == (1, 8, 8)
    assert marked[0][0, :, 0].min() == 1
    assert marked[0][0, :, -1].max() == 0
    rows = found[0].batch(0).instance
    assert rows.masks is None or rows.masks.shape == (2, 1, 8, 8)
    strange = tmp_path / "strange"
    strange.mkdir()
    drawn().save(strange / "x.png")
    with pytest.raises(EaselError, match=r"no mask in .* has the name of a photo"):
        run(recipe_for(shelf, dog, masks=str(strange)), tmp_path / "odd")


def test_what_is_odd_in_the_photos_is_said_and_not_refused(shelf: Path, dog: Path, tmp_path: Path) -> None:
    shutil.copy(dog / "0.png", dog / "copy.png")
    result = run(recipe_for(shelf, dog, steps=1, resolution=128, mirror=True, subject="sks man"), tmp_path / "out")
    said = " ".join(result.notes)
    assert re.search(r"near-duplicates: (copy.png, 0.png|0.png, copy.png): ", said)
    assert "smaller than the 128 px that are learned" in said
    assert "--mirror: faces are not the same on both sides" in said


def test_strangers_are_those_that_the_subject_encoder_finds_unlike() -> None:
    class Judge:
        @staticmethod
        def name_of(_: str) -> str:
            return "subject:x"

        class subject:
            stranger = 0.3

            @staticmethod
            def images(pictures: Any) -> Any:
                return np.array([[1.0, 0.0] if pictures[0] == "same" else [0.0, 1.0]])

    class Fake:
        def __init__(self, name: str, looks: str) -> None:
            self.name, self.looks = name, looks

        def picture(self) -> str:
            return self.looks

    class Quiet:
        def phase(self, *_: Any) -> Any:
            from contextlib import nullcontext

            return nullcontext(lambda _: None)

    photos: Any = [Fake("a", "same"), Fake("b", "same"), Fake("c", "same"), Fake("d", "other")]
    judge: Any = Judge()
    quiet: Any = Quiet()
    assert photo_files.strangers(photos, judge, quiet) == [
        "may show another subject: d (0.00) by mean cosine to the other photos, subject:x"
    ]
    assert photo_files.strangers(photos[:2], judge, quiet) == []


def test_one_of_five_is_held_back() -> None:
    def held(count: int, asked: int | None = None) -> list[int]:
        photos: Any = list(range(count))
        return photo_files.parted(photos, asked)[1]  # type: ignore[return-value]

    assert held(4) == []
    assert held(5) == [2]
    assert len(held(10)) == 2
    assert len(held(100)) == 4
    assert held(3, 1) == [1]
    assert held(5, 0) == []


# Layouts of adapters and words


def test_words_that_do_not_fit_are_refused(shelf: Path, tmp_path: Path) -> None:
    def load(file: Path, family: str = "sd") -> None:
        models.load(str(shelf / family), "text-to-image", "cpu", "float32", embeddings=[str(file)])

    save_file({"<a>": torch.zeros(32)}, tmp_path / "a.safetensors")
    with pytest.raises(EaselError, match="made for a model of 1 text encoders, and this one has 2"):
        load(tmp_path / "a.safetensors", "sdxl")
    save_file({"<a>": torch.zeros(16)}, tmp_path / "b.safetensors")
    with pytest.raises(EaselError, match="vectors have 16 numbers, and this text encoder's 32"):
        load(tmp_path / "b.safetensors")
    save_file({"<a>": torch.full((32,), float("nan"))}, tmp_path / "c.safetensors")
    with pytest.raises(EaselError, match="values that are not numbers"):
        load(tmp_path / "c.safetensors")
    save_file({"x": torch.zeros(2), "y": torch.zeros(2), "z": torch.zeros(2)}, tmp_path / "d.safetensors")
    with pytest.raises(EaselError, match="holds 3 tensors and is no embedding"):
        load(tmp_path / "d.safetensors")
    save_file({"a": torch.zeros(32)}, tmp_path / "e.safetensors")
    tiny.pickle_file(tmp_path / "f.safetensors")
    with pytest.raises(EaselError, match="is a pickle"):
        load(tmp_path / "f.safetensors")
    with pytest.raises(EaselError, match=r"no embedding .*: it is written FILE or WORD=FILE"):
        load(tmp_path / "none.safetensors")


def test_a_word_of_several_vectors_is_as_many_tokens(shelf: Path) -> None:
    pipeline = models.load(str(shelf / "sd"), "text-to-image", "cpu", "float32").pipeline
    known = len(pipeline.tokenizer)
    inversion.add(pipeline, inversion.Embedding("<x>", (torch.eye(3, 32),)))
    ids = pipeline.tokenizer("a <x>", add_special_tokens=False).input_ids
    assert inversion.expanded(pipeline.tokenizer, ids)[-3:] == [known, known + 1, known + 2]
    table = pipeline.text_encoder.get_input_embeddings()
    assert torch.equal(table(torch.tensor([[known + 1]]))[0, 0], torch.eye(3, 32)[1])
    assert table.weight.shape == (known + 3, 32)
    half = models.load(str(shelf / "sd"), "text-to-image", "cpu", "bfloat16").pipeline
    inversion.add(half, inversion.Embedding("<x>", (torch.eye(3, 32),)))
    assert half.text_encoder.dtype == torch.bfloat16  # by which diffusers casts what it says
    assert half.text_encoder.get_input_embeddings().rows.dtype == torch.float32
    with pytest.raises(EaselError, match="has a word '<x>' already"):
        inversion.add(pipeline, inversion.Embedding("<x>", (torch.eye(3, 32),)))


def test_a_fingerprint_is_of_the_weights_and_not_of_what_is_laid_beside(shelf: Path) -> None:
    def loaded(name: str, dtype: str = "float32") -> Any:
        return models.load(str(shelf / name), "text-to-image", "cpu", dtype).pipeline

    one = loaded("sd")
    before = lora.fingerprint(one)
    assert before == lora.fingerprint(loaded("sd", "bfloat16"))
    assert before != lora.fingerprint(loaded("eight"))
    lora.attach(one, "x", ["unet", "text_encoder"], lora.Shape(2, 2.0))
    inversion.add(one, inversion.Embedding("<x>", (torch.eye(1, 32),)))
    assert lora.fingerprint(one) == before


# Several processes


def test_two_processes_take_the_steps_of_one(shelf: Path, dog: Path, tmp_path: Path) -> None:
    from tests.test_train import in_two

    recipe = recipe_for(shelf, dog, method="full", prior_weight=1.0, prior_pictures=2, offset_noise=0.1)
    one = run(recipe, tmp_path / "one")
    first, second = in_two(tmp_path, lambda rank: runners.run(recipe, tmp_path / "two", "cpu", "float32"))
    assert first.scores == second.scores
    alone, together = state(tmp_path / "one"), state(tmp_path / "two")
    assert alone.keys() == together.keys()
    for key, tensor in alone.items():
        far = (tensor.float() - together[key].float()).abs() > 1e-4 + 1e-3 * tensor.float().abs()
        assert float(far.float().mean()) < 0.01, key  # where a gradient is as good as 0, Adam may step either way
    assert [s.name for s in one.scores] == [s.name for s in first.scores]
    odd = recipe_for(shelf, dog, batch_size=3)
    made = in_two(tmp_path, lambda rank: runners.run(odd, tmp_path / "odd", "cpu", "float32"))
    assert all("batch_size 3 cannot be shared among 2 processes" in str(problem) for problem in made)


def test_the_curve_has_what_was_measured(shelf: Path, dog: Path, tmp_path: Path) -> None:
    run(recipe_for(shelf, dog), tmp_path / "out")
    rows = curves_of(tmp_path / "out")
    assert [row["step"] for row in rows] == [0, 2, 4]
    assert all(BALANCE in row and "subject similarity" in row for row in rows)
    assert "instance" in rows[1]
    assert sorted(path.name for path in (tmp_path / "out" / "samples").iterdir()) == [
        "000000.png",
        "000002.png",
        "000004.png",
    ]
