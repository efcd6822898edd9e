"""The models' door, proven on tiny checkpoints in the layouts of the wild: no network, a few seconds."""

from __future__ import annotations

import gc
import json
import math
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

from benchmarks.timing import interleaved, ratio
from easel import models, runners
from easel.errors import Cancelled, EaselError
from easel.models import captioners, devices
from easel.models.catalog import checks, download, listing, locate, tables
from easel.models.diffusion import (
    DrawnPicture,
    PictureRequest,
    cache,
    guidance,
    latents,
    lora,
    memory,
    pipelines,
    prompts,
    schedulers,
    tasks,
)
from easel.models.diffusion.settings import Sampling, Settings
from easel.models.logging import silence
from easel.models.vision import detokenized
from easel.provenance import SAMPLERS, read_provenance, with_places
from easel.recipes import SCHEDULERS, recipe_from
from easel.recipes.generate import Generate
from easel.runners import machine
from easel.version import __version__
from tests import tiny

QUICK = Sampling(steps=2)
OLD_NUMPY = pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")
"""diffusers' KDPM2 schedulers hand torch tensors to numpy functions."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints that tests read and do not change."""
    silence()
    folder = tmp_path_factory.mktemp("shelf")
    tiny.sd(folder / "sd")
    tiny.eight_channels(folder / "eight")
    tiny.sdxl(folder / "sdxl")
    tiny.blip(folder / "caption")
    tiny.blip(folder / "ask", "ask")
    tiny.clip(folder / "clip")
    return folder


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache of the test's own: what is on this machine must not matter."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((90, 60), Image.Resampling.BICUBIC)


def diffusion(path: Path, dtype: str = "float32", **more: Any) -> Any:
    return models.load(str(path), "text-to-image", device="cpu", dtype=dtype, **more)


def draw_fully(
    model: Any,
    texts: list[str],
    seeds: list[int],
    *,
    negative_prompts: list[str] | None = None,
    settings: Sampling = Sampling(),  # noqa: B008 - frozen
    images: list[Image.Image] | None = None,
    strength: float | None = None,
    place: tuple[int, int] | None = None,
    report: Any = None,
) -> list[DrawnPicture]:
    """What the model draws of these, in one batch where they agree."""
    task = "text-to-image" if images is None else "image-to-image"
    photos: list[Any] = [None] * len(texts) if images is None else list(images)
    rows = zip(texts, seeds, negative_prompts or [""] * len(texts), photos, strict=True)
    asked = replace(settings, strength=strength)
    requests = [
        PictureRequest(text, seed, unwanted, asked, task, image, place=place) for text, seed, unwanted, image in rows
    ]
    return list(model.generate(requests, report=report))


def draw(model: Any, texts: list[str], seeds: list[int], **more: Any) -> list[Image.Image]:
    """The pictures alone."""
    return [one.image for one in draw_fully(model, texts, seeds, **more)]


def far(a: Image.Image, b: Image.Image) -> int:
    """The largest difference between two pictures, in levels of 255."""
    return int(np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).max())


def copied(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_a_picture_is_what_diffusers_itself_makes(shelf: Path, name: str) -> None:
    import diffusers

    kind = diffusers.StableDiffusionPipeline if name == "sd" else diffusers.StableDiffusionXLPipeline
    extra = {"safety_checker": None, "feature_extractor": None} if name == "sd" else {"add_watermarker": False}
    plain = kind.from_pretrained(shelf / name, local_files_only=True, **extra)
    plain.set_progress_bar_config(disable=True)
    noise, generator = latents.noise(7, (4, 8, 8))
    wish = {"num_inference_steps": 3, "guidance_scale": 5.0, "latents": noise, "generator": [generator]}
    theirs = plain("a red bird", width=64, height=64, **wish).images[0]
    settings = Sampling(steps=3, guidance_scale=5.0)
    assert far(draw(diffusion(shelf / name), ["a red bird"], [7], settings=settings)[0], theirs) <= 1


@pytest.mark.parametrize("name", ["sd", "eight", "sdxl"])
@pytest.mark.parametrize("redraw", [False, True])
def test_a_seed_is_a_picture_whatever_its_neighbours(shelf: Path, photo: Image.Image, name: str, redraw: bool) -> None:
    model = diffusion(shelf / name)
    texts = ["a bird", "a (red:1.4) bird, " + "very " * 30 + "long prompt", "a cat"]
    images = [photo, photo.rotate(90, expand=True), photo] if redraw else None
    unwanted = ["", "blue", ""]
    together = draw(model, texts, [1, 2, 3], negative_prompts=unwanted, settings=Sampling(4), images=images)
    for number, seed in enumerate([1, 2, 3]):
        one = None if images is None else [images[number]]
        part = draw(
            model, [texts[number]], [seed], negative_prompts=[unwanted[number]], settings=Sampling(4), images=one
        )
        assert far(part[0], together[number]) <= 2
    assert far(together[0], together[2].resize(together[0].size)) > 2
    assert any("chunks of 75" in note for note in model.notes)


def test_the_same_seed_twice_is_the_same_picture(shelf: Path) -> None:
    model = diffusion(shelf / "eight", "auto")
    first, second = (draw(model, ["a bird"], [5], settings=QUICK)[0] for _ in range(2))
    assert far(first, second) == 0


def test_a_photo_is_redrawn_in_its_proportions_and_kept_at_low_strength(shelf: Path, photo: Image.Image) -> None:
    model = diffusion(shelf / "eight")
    low, high = (
        draw(model, [""], [1], images=[photo], settings=Sampling(20, 1.0), strength=strength)[0]
        for strength in (0.05, 1.0)
    )
    assert low.size == (96, 64)
    vae = model.pipeline.vae
    itself, _ = latents.decode(vae, latents.encode(vae, photo.resize(low.size, Image.Resampling.LANCZOS)), 0)
    distance = [float(np.abs(np.asarray(p, float) - np.asarray(itself, float)).mean()) for p in (low, high)]
    assert distance[0] < distance[1]


def test_sizes_follow_what_is_asked(shelf: Path, photo: Image.Image) -> None:
    model = diffusion(shelf / "sd")
    assert model.default_size == (64, 64)
    assert draw(model, ["a"], [0], settings=Sampling(1, width=72, height=64))[0].size == (72, 64)
    assert model.resolve(Sampling(width=96), photo).height == 64
    assert model.resolve(Sampling(width=64, height=64), photo).width == 64
    with pytest.raises(EaselError, match="multiple of 8"):
        draw(model, ["a"], [0], settings=Sampling(1, width=65))


def test_fp8_weights_are_cast_on_load(shelf: Path, tmp_path: Path) -> None:
    small = diffusion(tiny.eight_channels(tmp_path / "small", float8=True))
    assert {p.dtype for p in small.pipeline.unet.parameters()} == {torch.float32}
    assert {p.dtype for p in small.pipeline.text_encoder.parameters()} == {torch.float32}
    whole = diffusion(shelf / "eight")
    pictures = [draw(model, ["a bird"], [1], settings=QUICK)[0] for model in (small, whole)]
    assert far(*pictures) < 128


def test_a_models_own_settings_come_from_its_folder(shelf: Path, tmp_path: Path) -> None:
    model = diffusion(shelf / "eight")
    assert (model.defaults.guidance_scale, model.defaults.strength) == (4.0, 0.7)
    assert model.resolve(Sampling()) == Settings(20, 4.0, "dpmpp-2m", 64, 64)
    assert model.resolve(Sampling(5, 1.0, "euler", 32, 40)) == Settings(5, 1.0, "euler", 32, 40)
    assert diffusion(shelf / "sd").resolve(Sampling()) == Settings(20, 7.5, "pndm", 64, 64)
    assert diffusion(shelf / "sdxl").defaults.guidance_scale == 5.0
    bad = copied(shelf / "eight", tmp_path / "bad")
    (bad / "easel.json").write_text('{"guidance": 3}', encoding="utf-8")
    with pytest.raises(EaselError, match="no setting called 'guidance': use one of guidance_scale"):
        diffusion(bad)
    for strengths, words in (
        ("0.5", "'strengths' cannot be 0.5"),
        ('{"banksy": 0}', "'banksy' must be above 0 and at"),
    ):
        (bad / "easel.json").write_text(f'{{"strengths": {strengths}}}', encoding="utf-8")
        with pytest.raises(EaselError, match=words):
            diffusion(bad)
    (bad / "easel.json").write_text('{"strength": 0.3, "strengths": {"malevich": 0.6}}', encoding="utf-8")
    own = diffusion(bad).defaults
    assert (own.strength_for("malevich"), own.strength_for("banksy")) == (0.6, 0.3)


def test_a_large_picture_is_drawn_small_first_where_the_model_wants_it(shelf: Path, tmp_path: Path) -> None:
    folder = copied(shelf / "eight", tmp_path / "two")
    (folder / "easel.json").write_text('{"hires_strength": 0.5}', encoding="utf-8")
    model, large, seen = diffusion(folder), Sampling(4, width=96, height=128), list[tuple[int, int]]()
    call: dict[str, Any] = {"texts": ["a bird"] * 2, "seeds": [5, 6]}
    made = draw(model, **call, settings=large, report=lambda done, of: seen.append((done, of)))
    assert [one.size for one in made] == [(96, 128)] * 2
    assert seen == sorted(seen)
    assert seen[-1] == (2 * 4 + 2 * 2, 2 * 4 + 2 * 2)
    assert model.notes[-1] == "drawn at 56 x 72, enlarged, and redrawn at strength 0.5"
    first = draw(model, **call, settings=Sampling(4, width=56, height=72))
    second = draw(model, **call, settings=large, images=first, strength=0.5)
    assert [far(*pair) for pair in zip(made, second, strict=True)] == [0, 0]
    for once in (Sampling(1, width=96, height=128), Sampling(4, width=72, height=80)):  # too few steps, too small
        assert model.resolve(once).first_size is None
    assert diffusion(shelf / "eight").resolve(large).first_size is None


def test_text_to_image_and_image_to_image_share_the_weights(shelf: Path) -> None:
    model = diffusion(shelf / "sd")
    assert model.pipeline_for("image-to-image").unet is model.pipeline.unet
    assert model.pipeline_for("image-to-image").vae is model.pipeline.vae


def test_a_task_gets_what_it_needs_and_nothing_else(shelf: Path, photo: Image.Image) -> None:
    model = diffusion(shelf / "sd")
    for request, words in (
        (PictureRequest("a", 1, task="image-to-image"), "image-to-image needs an image"),
        (PictureRequest("a", 1, image=photo), "text-to-image takes no image"),
        (PictureRequest("a", 1, task="paint"), "no task called 'paint'"),
    ):
        with pytest.raises(EaselError, match=words):
            list(model.generate([request]))


def test_every_task_has_a_pipeline_of_diffusers_for_every_family() -> None:
    for task in tasks.TASKS:
        for family in ("sd", "sdxl"):
            assert pipelines.FAMILIES[tasks.pipeline_class(task, family).__name__] == family


def test_requests_are_drawn_in_their_order_and_batch_by_batch(shelf: Path, photo: Image.Image) -> None:
    """Different tasks and sizes in one call; a batch is drawn when its first picture is asked for."""
    model = diffusion(shelf / "eight")
    seen = batch_sizes(model)
    requests = [
        PictureRequest("a", 1, sampling=QUICK),
        PictureRequest("a", 2, sampling=replace(QUICK, strength=1.0), task="image-to-image", image=photo),
        PictureRequest("a", 3, sampling=replace(QUICK, width=72)),
        PictureRequest("a", 4, sampling=QUICK),
        PictureRequest("a", 5, sampling=QUICK),
    ]
    drawn = model.generate(requests, batch_size=4)
    first = next(drawn)
    assert seen == [4, 4, 2, 2, 2, 2]
    rest = list(drawn)
    assert seen[6:] == [2, 2]
    assert [one.image.size for one in (first, *rest)] == [(64, 64), (96, 64), (72, 64), (64, 64), (64, 64)]
    assert [one.place for one in (first, *rest)] == [(0, 2), None, None, (1, 2), None]
    assert (first.settings.strength, rest[0].settings.strength) == (None, 1.0)


def test_what_a_picture_says_is_what_was_done(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most four of our frames between a job's run and the UNet; the model's own dtype and settings are written."""
    deep: list[list[str]] = []

    def watched(self: Any, *args: Any, **more: Any) -> Any:
        names, frame = [], cast("Any", sys._getframe(1))
        while frame is not None:
            code = frame.f_code
            if "/easel/" in code.co_filename and "/tests/" not in code.co_filename:
                names.append(f"{Path(code.co_filename).stem}.{code.co_name}")
            frame = frame.f_back
        deep.append(names)
        return whole(self, *args, **more)

    from diffusers import UNet2DConditionModel

    whole = UNet2DConditionModel.forward
    monkeypatch.setattr(UNet2DConditionModel, "forward", watched)
    clip = SimpleNamespace(images=lambda images: np.eye(4)[: len(images)], texts=lambda texts: np.eye(4)[: len(texts)])
    monkeypatch.setattr("easel.jobs.generate.load_clip", lambda *_: clip)
    recipe = Generate(prompt="a bird", model=str(shelf / "eight"), seed=5, steps=2, scheduler="euler-karras")
    result = runners.run(recipe, tmp_path / "out", "cpu", "bfloat16")
    frames = deep[-1]
    assert len(frames[: frames.index("__init__.run")]) <= 4, frames
    found = read_provenance(result.picture_paths[0])
    assert found["easel"] | {"dtype": "bfloat16", "steps": 2, "guidance_scale": 4.0, "width": 64} == found["easel"]
    words = (
        "Steps: 2, Sampler: Euler, Schedule type: Karras, CFG scale: 4, Seed: 5, Size: 64x64, Model: eight, RNG: CPU"
    )
    assert f"{words}, Version: easel {__version__}" in found["parameters"]


def test_a_trained_models_picture_says_float32_whatever_the_run_computes_in(tmp_path: Path) -> None:
    trained = Path(__file__).parents[1] / "examples" / "trained"
    result = runners.run(Generate(model=str(trained), seed=4), tmp_path / "out", "cpu", "bfloat16")
    found = read_provenance(result.picture_paths[0])
    assert (found["easel"]["dtype"], found["easel"]["device"]) == ("float32", "cpu")
    assert "Seed: 4, Size: " in found["parameters"]
    assert found["parameters"].endswith(f"Model: trained, RNG: CPU, Version: easel {__version__}")


# --- progress, cancelling, memory, broken numbers ---------------------------------------------------------------------


def test_progress_reaches_its_total(shelf: Path, photo: Image.Image) -> None:
    model = diffusion(shelf / "sd")
    for images, steps, scheduler in ((None, 3, None), ([photo] * 2, 5, None), (None, 3, "heun")):
        seen: list[tuple[int, int]] = []
        draw(
            model,
            ["a"] * 2,
            [1, 2],
            settings=Sampling(steps, scheduler=scheduler),
            images=images,
            report=lambda done, total, seen=seen: seen.append((done, total)),
        )
        assert seen == sorted(seen)
        assert seen[-1][0] == seen[-1][1] == 6


def test_cancelled_comes_straight_through_and_leaves_the_model_usable(shelf: Path) -> None:
    model = diffusion(shelf / "sd")

    def stop(done: int, total: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        draw(model, ["a"], [1], settings=QUICK, report=stop)
    assert draw(model, ["a"], [1], settings=QUICK)[0].size == (64, 64)


def limited(model: Any, pictures: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """The UNet runs out of memory with more than so many pictures (each counts twice, for guidance)."""
    whole = model.pipeline.unet.forward

    def forward(sample: Any, *args: Any, **kwargs: Any) -> Any:
        if len(sample) > 2 * pictures:
            raise error
        return whole(sample, *args, **kwargs)

    monkeypatch.setattr(model.pipeline.unet, "forward", forward)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_out_of_memory_halves_the_batch_once_and_says_so(
    shelf: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    model = diffusion(shelf / "sd")
    whole = draw(model, ["a"] * 4, [1, 2, 3, 4], settings=QUICK)
    limited(model, 2, error, monkeypatch)
    halved = draw(model, ["a"] * 4, [1, 2, 3, 4], settings=QUICK)
    assert max(far(a, b) for a, b in zip(whole, halved, strict=True)) <= 2
    assert any("2 at a time" in note for note in model.notes)
    limited(model, 1, error, monkeypatch)
    with pytest.raises(EaselError, match="no memory for 2 pictures of 64x64 in float32: use a smaller --batch-size"):
        draw(model, ["a"] * 4, [1, 2, 3, 4], settings=QUICK)


def test_what_cannot_fit_is_refused_before_it_is_drawn(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate by hand: skip connections and a feed-forward layer, twice for guidance, or the VAE's widest step."""
    model = diffusion(shelf / "sd")
    settings = model.resolve(Sampling(steps=1, width=512, height=256))
    # two levels of 32 and 64 maps, one layer each, at 64 x 32 and 32 x 16; four bytes a number
    kept = 2 * 32 * 64 * 32 + 2 * 64 * 32 * 16
    assert memory.needed(model.pipeline, settings, 5) == 5 * 2 * (kept + 8 * 32 * 64 * 32) * 4
    unguided = replace(settings, guidance_scale=1.0)
    assert memory.needed(model.pipeline, unguided, 1) == max((kept + 8 * 32 * 64 * 32) * 4, 512 * 256 * (8 + 16) * 4)
    memory.check(model.pipeline, settings, 1)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=10_000_000))
    monkeypatch.setattr("psutil.swap_memory", lambda: SimpleNamespace(free=0))
    monkeypatch.setattr(model, "_draw", lambda *_: pytest.fail("was drawn"))
    with pytest.raises(EaselError, match=r"3 pictures of 512x256 at once need at least 0\.0 GB .*--batch-size"):
        draw(model, ["a"] * 3, [1, 2, 3], settings=Sampling(steps=1, width=512, height=256))


def test_other_errors_are_not_taken_for_lack_of_memory(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = diffusion(shelf / "sd")
    limited(model, 0, RuntimeError("shapes cannot be multiplied"), monkeypatch)
    with pytest.raises(RuntimeError, match="shapes"):
        draw(model, ["a"], [1], settings=QUICK)


def test_non_finite_latents_are_an_error_with_a_way_out(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = diffusion(shelf / "sd", "bfloat16")
    whole = model.pipeline.unet.forward
    broken = lambda *a, **k: (whole(*a, **k)[0] * math.nan,)  # noqa: E731
    monkeypatch.setattr(model.pipeline.unet, "forward", broken)
    with pytest.raises(EaselError, match=r"seed 9 .*not numbers, in bfloat16: use --dtype float32"):
        draw(model, ["a"], [9], settings=QUICK)


def test_a_broken_decode_is_retried_in_float32(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = diffusion(shelf / "sd", "bfloat16")
    vae = model.pipeline.vae
    whole = vae.decode
    half = lambda z, **k: whole(z, **k) if z.dtype == torch.float32 else (whole(z, **k)[0] * math.inf,)  # noqa: E731
    monkeypatch.setattr(vae, "decode", half)
    draw(model, ["a"], [9], settings=QUICK)
    assert vae.dtype == torch.bfloat16
    assert any("decoded again in float32" in note for note in model.notes)
    monkeypatch.setattr(vae, "decode", lambda z, **k: (torch.full((1, 3, 64, 64), -1.0),))
    with pytest.raises(EaselError, match="came out black"):
        draw(model, ["a"], [9], settings=QUICK)


def test_a_dark_picture_is_not_a_black_one(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = diffusion(shelf / "sd")
    dark = torch.full((1, 3, 64, 64), -1.0)
    dark[0, :, 3, 3] = -0.9
    monkeypatch.setattr(model.pipeline.vae, "decode", lambda z, **k: (dark,))
    assert np.asarray(draw(model, ["a"], [9], settings=QUICK)[0]).max() == 13


def test_settings_that_cannot_be_are_refused_in_one_line(shelf: Path, photo: Image.Image) -> None:
    model = diffusion(shelf / "sd")
    for settings, strength, words in (
        (Sampling(0), None, "steps must be at least 1"),
        (Sampling(2), 0.1, "give --steps 10 or more"),
        (Sampling(2), 1.5, "strength must be above 0 and at most 1"),
        (Sampling(2, guidance_every=0), None, "guidance_every must be at least 1, not 0"),
        (Sampling(2, scheduler="dpm2m"), None, "no scheduler called 'dpm2m': use one of"),
    ):
        with pytest.raises(EaselError, match=words):
            draw(model, ["a"], [1], settings=settings, images=[photo], strength=strength)


# --- schedulers -------------------------------------------------------------------------------------------------------


@OLD_NUMPY
@pytest.mark.parametrize("name", schedulers.names())
def test_every_scheduler_draws(shelf: Path, name: str) -> None:
    model = diffusion(shelf / "sd")
    assert draw(model, ["a"], [1], settings=Sampling(3, scheduler=name))[0].size == (64, 64)


def test_a_scheduler_that_cannot_start_from_noise_is_refused_for_zero_snr(shelf: Path) -> None:
    model = diffusion(shelf / "eight")
    with pytest.raises(EaselError, match=r"'pndm' cannot do zero terminal SNR.*ddim"):
        draw(model, ["a"], [1], settings=Sampling(3, scheduler="pndm"))
    for name in ("ddim", "ddpm", "dpmpp-2m", "euler", "euler-a", "unipc"):
        scheduler = schedulers.build(name, model._scheduler)
        assert scheduler.config.prediction_type == "v_prediction"
        assert scheduler.config.timestep_spacing == "trailing"
        draw(model, ["a"], [1], settings=Sampling(2, scheduler=name))


@OLD_NUMPY
def test_schedulers_know_their_names(shelf: Path) -> None:
    own = diffusion(shelf / "sd")._scheduler
    assert set(schedulers.names()) == set(SCHEDULERS) == set(SAMPLERS)
    for name in schedulers.names():
        assert schedulers.name_of(schedulers.build(name, own)) == name


# --- prompts ----------------------------------------------------------------------------------------------------------


def test_the_grammar_is_a1111s() -> None:
    known = {
        "normal text": [("normal text", 1.0)],
        "an (important) word": [("an ", 1.0), ("important", 1.1), (" word", 1.0)],
        "(unbalanced": [("unbalanced", 1.1)],
        r"\(literal\]": [("(literal]", 1.0)],
        "(unnecessary)(parens)": [("unnecessaryparens", 1.1)],
        "one BREAK two": [("one", 1.0), ("BREAK", prompts.BREAK_WEIGHT), ("two", 1.0)],
        "ratio 3:2 )": [("ratio 3:2 )", 1.0)],
        "": [("", 1.0)],
    }
    for text, pieces in known.items():
        assert prompts.parse(text) == pieces
    nested = prompts.parse("a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).")
    assert [words for words, _ in nested] == ["a ", "house", " ", "on", " a ", "hill", ", sun, ", "sky", "."]
    expected = [1.0, 1.573, 1.1, 1.0, 1.1, 0.55, 1.1, 1.4641, 1.1]
    assert [weight for _, weight in nested] == pytest.approx(expected)


def test_a_weight_may_be_negative_and_is_no_break(shelf: Path) -> None:
    assert prompts.parse("a (red:-1) bird") == [("a ", 1.0), ("red", -1.0), (" bird", 1.0)]
    assert prompts.parse("((red:-1):2)") == [("red", -2.0)]
    tokenizer, _ = prompts.encoders(pipelines.assemble(shelf / "sd", torch.float32))[0]
    parts = prompts.chunk("a (b:-1) c", tokenizer, 77)
    assert (len(parts.ids), parts.weights[0][:4]) == (1, [1.0, 1.0, -1.0, 1.0])
    assert len(prompts.chunk("a (b BREAK c:-2)", tokenizer, 77).ids) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(red:nan)", "weighs 'red' by nan"),
        ("(red:1e9)", r"weighs 'red' by 1e\+09: a weight is a number from -1000 to 1000"),
        ("(red:-inf)", "weighs 'red' by -inf"),
        ("(" * 100 + "red" + ")" * 100, "weighs 'red' by 13780.6"),
        ("(" * 100_000, "has 100,000 brackets: at most 1,000"),
        ("[" * 60_000 + "a" + "]" * 60_000, "has 60,000 brackets"),
        ("a cat <lora:style:0.8>", r"'<lora:style:0.8>': take it out; a LoRA is given by --lora FILE:0.8 .*'style'"),
        ("<LORA:big thing>", "--lora FILE:1"),
        ("<hypernet:x:1>", "easel has no hypernets"),
    ],
)
def test_prompts_that_ask_for_what_cannot_be_are_refused(shelf: Path, text: str, words: str) -> None:
    with pytest.raises(EaselError, match=words):
        prompts.check(text)
    with pytest.raises(EaselError, match=words):
        draw(diffusion(shelf / "sd"), [text], [1], settings=QUICK)


def test_syntax_of_a1111_that_is_read_as_words_is_said(shelf: Path) -> None:
    pipeline = pipelines.assemble(shelf / "sd", torch.float32)
    for text, name in (
        ("a [cat:dog:0.5]", "'[cat:dog:0.5]' in the prompt is A1111's prompt editing"),
        ("[cat:0.25]", "prompt editing"),
        ("a [red|blue] bird", "'[red|blue]' in the prompt is A1111's words that take turns"),
        ("a cat AND a dog", "'AND' in the prompt is A1111's composable diffusion"),
    ):
        (note,) = prompts.notes(pipeline, text)
        assert name in note
        assert "easel does not have: read as words" in note
    for text in ("a cat and a dog", "[old] bird", r"\[a:b:0.5\]", "BAND ANDes", "(a:0.5)", "ratio 3:2 | x"):
        assert prompts.notes(pipeline, text) == []


def test_plain_prompts_are_encoded_as_diffusers_does(shelf: Path) -> None:
    for name in ("sd", "sdxl"):
        pipeline = pipelines.assemble(shelf / name, torch.float32)
        states, pooled = prompts.encode(pipeline, "a red bird", 1)
        theirs = pipeline.encode_prompt(
            "a red bird", device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        assert torch.allclose(states, theirs[0], atol=1e-6)
        if pooled is not None:
            assert torch.allclose(pooled, theirs[2], atol=1e-6)
        assert (pooled is None) == (name == "sd")


def test_weights_scale_tokens_and_keep_the_mean(shelf: Path) -> None:
    pipeline = pipelines.assemble(shelf / "sd", torch.float32)
    plain, _ = prompts.encode(pipeline, "ab", 1)
    heavy, _ = prompts.encode(pipeline, "a(b:2)", 1)
    assert float(heavy.mean()) == pytest.approx(float(plain.mean()), abs=1e-6)
    assert not torch.allclose(plain, heavy, atol=1e-3)
    # every token by the same factor: the mean brings it back
    same, _ = prompts.encode(pipeline, "(ab:1.0)", 1)
    assert torch.allclose(same, plain)


def test_long_prompts_are_chunked_and_what_is_cut_is_said(shelf: Path) -> None:
    pipeline = pipelines.assemble(shelf / "sd", torch.float32)
    tokenizer, encoder = prompts.encoders(pipeline)[0]
    window = prompts.window_of(tokenizer, encoder)
    text = "x" * 100  # a letter is a token here
    parts = prompts.chunk(text, tokenizer, window)
    assert [len(row) for row in parts.ids] == [77, 77]
    assert parts.ids[1][0] == tokenizer.bos_token_id
    assert parts.ids[1][26] == tokenizer.eos_token_id
    assert prompts.encode(pipeline, text, 2)[0].shape == (1, 154, tiny.WIDTH)
    assert prompts.notes(pipeline, "short") == []
    assert "100 tokens, read in 2 chunks of 75" in prompts.notes(pipeline, text)[0]
    huge = " ".join(["word"] * 10_000)
    assert len(prompts.chunk(huge, tokenizer, window).ids) == prompts.MAX_CHUNKS
    assert "left out: 'word" in prompts.notes(pipeline, huge)[0]


def test_a_chunk_ends_at_a_near_comma(shelf: Path) -> None:
    tokenizer, _ = prompts.encoders(pipelines.assemble(shelf / "sd", torch.float32))[0]
    parts = prompts.chunk("x" * 64 + "," + "y" * 20, tokenizer, 77)
    assert parts.ids[0][66] == tokenizer.eos_token_id
    assert prompts.chunk("a BREAK b", tokenizer, 77).ids[1][1] == tokenizer("b").input_ids[1]


def test_both_encoders_of_sdxl_are_read_in_chunks(shelf: Path) -> None:
    pipeline = pipelines.assemble(shelf / "sdxl", torch.float32)
    states, pooled = prompts.encode(pipeline, "x " * 100, 3)
    assert states.shape == (1, 231, 2 * tiny.WIDTH)
    assert pooled is not None
    # 75 letters, then 25, then none: each chunk is what diffusers makes of those letters alone, side by side
    for number, letters in enumerate((75, 25, 0)):
        alone = pipeline.encode_prompt(
            "x " * letters, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        assert torch.allclose(states[:, 77 * number : 77 * (number + 1)], alone[0], atol=1e-6)
        assert torch.allclose(pooled, alone[2], atol=1e-6) == (number == 0)


# --- adapters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["diffusers", "kohya"])
def test_a_lora_proves_itself(shelf: Path, tmp_path: Path, layout: str) -> None:
    file = tiny.lora(tmp_path / "style.safetensors", layout)
    model = diffusion(shelf / "sd", loras=[f"{file}:0.8:0.5"])
    drawn = draw(model, ["a"], [1], settings=QUICK)[0]
    assert "6 of 6 layers matched (4 in the UNet, 2 in the text encoder), scales 0.8 and 0.5" in model.notes[0]
    assert "levels of 255" in model.notes[1]
    assert far(drawn, draw(diffusion(shelf / "sd"), ["a"], [1], settings=QUICK)[0]) > 1


def test_both_layouts_are_the_same_lora(shelf: Path, tmp_path: Path) -> None:
    files = [tiny.lora(tmp_path / f"{layout}.safetensors", layout) for layout in ("diffusers", "kohya")]
    first, second = (
        draw(diffusion(shelf / "sd", loras=[f"{file}:0.8"]), ["a"], [1], settings=QUICK)[0] for file in files
    )
    assert far(first, second) == 0
    both = draw(diffusion(shelf / "sd", loras=[f"{file}:0.4" for file in files]), ["a"], [1], settings=QUICK)[0]
    assert far(first, both) <= 1


def test_the_scales_are_separate_and_zero_is_the_model_itself(shelf: Path, tmp_path: Path) -> None:
    file = tiny.lora(tmp_path / "style.safetensors")
    plain = draw(diffusion(shelf / "sd"), ["a"], [1], settings=QUICK)[0]
    pictures = {}
    for scales in ("0:0", "1:0", "0:1", "1:1"):
        model = diffusion(shelf / "sd", loras=[f"{file}:{scales}"])
        pictures[scales] = draw(model, ["a"], [1], settings=QUICK)[0]
        assert ("changes nothing" in model.notes[1]) == (scales == "0:0")
    assert far(pictures["0:0"], plain) == 0
    assert len({picture.tobytes() for picture in pictures.values()}) == 4


@pytest.mark.parametrize("layout", ["diffusers", "kohya"])
def test_a_lora_is_written_as_other_tools_read_it(shelf: Path, tmp_path: Path, layout: str) -> None:
    model = diffusion(shelf / "sd", loras=[str(tiny.lora(tmp_path / "in.safetensors"))])
    out = tmp_path / "out.safetensors"
    assert lora.export(model.pipeline, "lora0", out, layout) == 6
    keys = load_file(out).keys()
    layer = "encoder{0}layers{0}0{0}self_attn{0}q_proj"
    stem = (
        "text_encoder.text_model." + layer.format(".")
        if layout == "diffusers"
        else "lora_te_text_model_" + layer.format("_")
    )
    assert any(key.startswith(stem) for key in keys)
    again = diffusion(shelf / "sd", loras=[str(out)])
    assert far(*(draw(m, ["a"], [1], settings=QUICK)[0] for m in (model, again))) <= 1


def test_sdxl_takes_a_lora_for_both_its_text_encoders(shelf: Path, tmp_path: Path) -> None:
    weights = load_file(tiny.lora(tmp_path / "in.safetensors", cross=2 * tiny.WIDTH))
    second = {
        k.replace("text_encoder.", "text_encoder_2."): v.clone() for k, v in weights.items() if "text_encoder." in k
    }
    save_file(weights | second, tmp_path / "both.safetensors")
    model = diffusion(shelf / "sdxl", loras=[str(tmp_path / "both.safetensors")])
    assert "8 of 8 layers matched (4 in the UNet, 4 in the text encoder)" in model.notes[0]
    drawn = draw(model, ["a"], [1], settings=QUICK)[0]
    assert lora.export(model.pipeline, "lora0", tmp_path / "kohya.safetensors", "kohya") == 8
    assert any(key.startswith("lora_te2_text_model_encoder") for key in load_file(tmp_path / "kohya.safetensors"))
    again = diffusion(shelf / "sdxl", loras=[str(tmp_path / "kohya.safetensors")])
    assert far(drawn, draw(again, ["a"], [1], settings=QUICK)[0]) <= 1


def test_a_text_encoder_gets_its_old_names_back(shelf: Path) -> None:
    pipeline = pipelines.assemble(shelf / "sd", torch.float32)
    old = lora.with_old_prefix(pipeline.text_encoder.state_dict())
    assert old.keys() == load_file(shelf / "sd" / "text_encoder" / "model.safetensors").keys()


def test_a_lora_that_does_not_fit_is_an_error(shelf: Path, tmp_path: Path) -> None:
    other = tiny.lora(tmp_path / "other.safetensors", cross=48)
    with pytest.raises(EaselError, match=r"another family of models: .*attn2.to_k is 32 wide here, 48 there"):
        diffusion(shelf / "sd", loras=[str(other)])
    nowhere = tmp_path / "nowhere.safetensors"
    save_file(
        {"unet.no.such.lora.down.weight": torch.ones(2, 4), "unet.no.such.lora.up.weight": torch.ones(4, 2)}, nowhere
    )
    with pytest.raises(EaselError, match="none of its layers has a place"):
        diffusion(shelf / "sd", loras=[str(nowhere)])
    with pytest.raises(EaselError, match="holds no LoRA layers: a whole model goes to --model"):
        lora.check(lora.parse(str(shelf / "sd" / "unet" / "diffusion_pytorch_model.safetensors")))
    save_file({"lora_unet_x.hada_w1_a": torch.ones(2, 2)}, nowhere)
    with pytest.raises(EaselError, match="is a LoHa adapter"):
        lora.check(lora.parse(str(nowhere)))
    tiny.poison(other)
    with pytest.raises(EaselError, match="not numbers: get the LoRA again"):
        diffusion(shelf / "sd", loras=[str(other)])
    with pytest.raises(EaselError, match="no LoRA file"):
        diffusion(shelf / "sd", loras=["gone.safetensors"])
    with pytest.raises(EaselError, match="is a pickle"):
        diffusion(shelf / "sd", loras=[str(tiny.pickle_file(tmp_path / "p.safetensors"))])


def test_loras_are_written_file_unet_text() -> None:
    known = {
        "a.safetensors": (1, 1),
        "a.safetensors:0.6": (0.6, 0.6),
        "a.safetensors:0.6:.2": (0.6, 0.2),
        "a:-1": (-1, -1),
    }
    for text, scales in known.items():
        spec = lora.parse(text)
        assert (spec.unet, spec.text) == scales
        assert spec.path.name == text.split(":")[0]
    with pytest.raises(EaselError, match=r"FILE\[:unet\[:text\]\]"):
        lora.check(lora.parse("a.safetensors:strong"))
    assert lora.parse("a.safetensors:1e-1").unet == 0.1
    with pytest.raises(EaselError, match=r"FILE\[:unet\[:text\]\].*a scale is a number from -10 to 10"):
        lora.parse("a.safetensors:50")


def unet_lora(file: Path) -> dict[str, torch.Tensor]:
    """The UNet's layers of a LoRA of rank 2, without `unet.` in front."""
    weights = load_file(tiny.lora(file))
    return {key.removeprefix("unet."): value for key, value in weights.items() if key.startswith("unet.")}


def as_peft(weights: dict[str, torch.Tensor], name: str, before: str) -> dict[str, torch.Tensor]:
    """In PEFT's names, with the adapter's own name and something in front."""
    return {
        before + key.replace(".lora.down.", f".lora_A.{name}").replace(".lora.up.", f".lora_B.{name}"): value
        for key, value in weights.items()
    }


@pytest.mark.parametrize("layout", ["peft folder", "header", "header by part", "own tensors", "adapter name"])
def test_a_lora_has_the_strength_that_its_file_says(shelf: Path, tmp_path: Path, layout: str) -> None:
    """Alpha 1 of rank 2 is half the strength, wherever it is written."""
    weights = unet_lora(tmp_path / "plain.safetensors")
    whole, file = tmp_path / "whole.safetensors", tmp_path / "adapter_model.safetensors"
    save_file({f"unet.{key}": value for key, value in weights.items()}, whole)
    facts = {"r": 2, "lora_alpha": 1}
    if layout == "peft folder":
        save_file(as_peft(weights, "", "base_model.model."), file)
        (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"} | facts), encoding="utf-8")
    elif layout == "header":
        save_file(as_peft(weights, "default_0.", "unet."), file, metadata={"lora_adapter_metadata": json.dumps(facts)})
    elif layout == "header by part":
        own: dict[str, Any] = {"unet.r": 2, "unet.lora_alpha": 4, "unet.alpha_pattern": {"to_q|to_v|to_k|to_out.0": 1}}
        save_file(as_peft(weights, "", "unet."), file, metadata={"lora_adapter_metadata": json.dumps(own)})
    elif layout == "own tensors":
        alphas = {key.replace(".lora.down.weight", ".alpha"): torch.tensor(1.0) for key in weights if ".down." in key}
        save_file({f"unet.{key}": value for key, value in (weights | alphas).items()}, file)
    else:
        halves = {key: value / 2 if ".up." in key else value for key, value in weights.items()}
        save_file(as_peft(halves, "default.", ""), file)
    said, half = (diffusion(shelf / "sd", loras=[text]) for text in (str(file), f"{whole}:0.5"))
    assert far(*(draw(model, ["a"], [1], settings=QUICK)[0] for model in (said, half))) <= 1
    assert "4 of 4 layers matched" in said.notes[0]
    words = {"peft folder": "alpha from adapter_config.json", "own tensors": "alpha from its own tensors"}
    assert words.get(layout, "alpha from its header" if "header" in layout else "no alpha") in said.notes[0]


def test_the_oldest_layout_is_read_too(shelf: Path, tmp_path: Path) -> None:
    """attn_procs: `...attn1.processor.to_q_lora.down.weight`, no component in front."""
    weights = unet_lora(tmp_path / "plain.safetensors")
    old = {}
    for key, value in weights.items():
        layer, _, matrix = key.partition(".lora.")
        block, _, part = layer.removesuffix(".0").rpartition(".")
        old[f"{block}.processor.{part}_lora.{matrix}"] = value
    save_file(old, tmp_path / "old.safetensors")
    save_file({f"unet.{key}": value for key, value in weights.items()}, tmp_path / "new.safetensors")
    both = [diffusion(shelf / "sd", loras=[str(tmp_path / f"{name}.safetensors")]) for name in ("old", "new")]
    assert "4 of 4 layers matched" in both[0].notes[0]
    assert far(*(draw(model, ["a"], [1], settings=QUICK)[0] for model in both)) == 0


def test_a_matrix_for_a_convolution_of_one_pixel_fits(shelf: Path, tmp_path: Path) -> None:
    """kohya writes proj_in as a matrix or as a 1x1 convolution, whatever the model has."""
    stem, drawn = "lora_unet_down_blocks_0_attentions_0_proj_in", []
    down, up = torch.randn(2, 32, generator=torch.Generator().manual_seed(0)), torch.ones(32, 2)
    for name, more in (("flat", ()), ("square", (1, 1))):
        file = tmp_path / f"{name}.safetensors"
        matrices = {"down": down.reshape(2, 32, *more), "up": up.reshape(32, 2, *more)}
        save_file({f"{stem}.lora_{word}.weight": matrix for word, matrix in matrices.items()}, file)
        drawn.append(draw(diffusion(shelf / "sd", loras=[str(file)]), ["a"], [1], settings=QUICK)[0])
    assert far(*drawn) == 0
    assert far(drawn[0], draw(diffusion(shelf / "sd"), ["a"], [1], settings=QUICK)[0]) > 0


BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
CONVOLUTION = "down_blocks.0.resnets.0.conv1"
IN_KOHYA = f"lora_unet_{BLOCK.replace('.', '_')}"


def matrices() -> tuple[torch.Tensor, torch.Tensor]:
    """The two matrices of a layer of 32 by 32, of rank 2."""
    generator = torch.Generator().manual_seed(7)
    return torch.randn(2, 32, generator=generator) / 10, torch.randn(32, 2, generator=generator) / 10


def strengths() -> dict[str, tuple[dict[str, torch.Tensor], dict[str, Any], float]]:
    """Files in every layout: tensors, the header's facts, and the factor before up @ down that they say."""
    down, up = matrices()
    kohya = {f"{IN_KOHYA}.lora_down.weight": down, f"{IN_KOHYA}.lora_up.weight": up}
    peft = {f"unet.{BLOCK}.lora_A.weight": down, f"unet.{BLOCK}.lora_B.weight": up}
    named = {key.replace(".weight", ".default.weight"): value for key, value in peft.items()}
    old = {f"unet.{BLOCK}.lora.down.weight": down, f"unet.{BLOCK}.lora.up.weight": up}
    first = BLOCK.replace("attn1.to_q", "attn1.processor.to_q_lora")
    oldest = {f"{first}.down.weight": down, f"{first}.up.weight": up}
    embedding = {"bundle_emb.sks.string_to_param.*": torch.ones(2, 32)}
    alpha = {f"{IN_KOHYA}.alpha": torch.tensor(1.0)}
    return {
        "kohya": (kohya, {}, 1.0),
        "kohya with alpha": (kohya | alpha, {}, 0.5),
        "kohya with alpha 0": (kohya | {f"{IN_KOHYA}.alpha": torch.tensor(0.0)}, {}, 0.0),
        "bundle": (kohya | alpha | embedding, {}, 0.5),
        "diffusers": (old, {}, 1.0),
        "attn_procs": (oldest, {}, 1.0),
        "peft": (peft, {}, 1.0),
        "peft, named": (named, {}, 1.0),
        "header": (peft, {"r": 2, "lora_alpha": 6}, 3.0),
        "header, root": (peft, {"r": 2, "lora_alpha": 2, "use_rslora": True}, 2**0.5),
        "header, pattern": (peft, {"lora_alpha": 2, "alpha_pattern": {"to_q": 1}}, 0.5),
    }


@pytest.mark.parametrize("name", strengths())
def test_the_merged_weight_is_worked_out_by_hand(shelf: Path, tmp_path: Path, name: str) -> None:
    """W + scale * alpha / rank * up @ down, in every layout."""
    tensors, facts, factor = strengths()[name]
    down, up = matrices()
    header = {"lora_adapter_metadata": json.dumps(facts)} if facts else {}
    save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt"} | header)
    model = diffusion(shelf / "sd", loras=[f"{tmp_path / 'x.safetensors'}:0.8"])
    layer = model.pipeline.unet.get_submodule(BLOCK)
    before = layer.base_layer.weight.detach().clone()
    layer.merge()
    torch.testing.assert_close(layer.weight.detach(), before + 0.8 * factor * up @ down)
    assert ("the embedding 'sks' inside is left out" in model.notes[0]) == (name == "bundle")


def test_a_convolution_in_three_parts_is_put_together(shelf: Path, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    down, middle = torch.randn(2, 32, 1, 1, generator=generator), torch.randn(2, 2, 3, 3, generator=generator)
    up = torch.randn(32, 2, 1, 1, generator=generator)
    stem = f"lora_unet_{CONVOLUTION.replace('.', '_')}"
    tensors = {"lora_down": down, "lora_mid": middle, "lora_up": up}
    file = tmp_path / "x.safetensors"
    save_file({f"{stem}.{part}.weight": one for part, one in tensors.items()} | {f"{stem}.alpha": torch.ones(())}, file)
    layer = diffusion(shelf / "sd", loras=[str(file)]).pipeline.unet.get_submodule(CONVOLUTION)
    wanted = 0.5 * torch.einsum("oi,ijhw,jc->ochw", up[:, :, 0, 0], middle, down[:, :, 0, 0])
    torch.testing.assert_close(layer.get_delta_weight("lora0"), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", ["kohya", "peft"])
def test_dora_is_worked_out_by_hand(shelf: Path, tmp_path: Path, layout: str) -> None:
    """Each row of W + up @ down at its own length; at scale 0 it is the model itself."""
    down, up = matrices()
    whole = load_file(shelf / "sd" / "unet" / "diffusion_pytorch_model.safetensors")[f"{BLOCK}.weight"] + up @ down
    lengths = whole.norm(dim=1) * torch.linspace(0.5, 2, 32)
    tensors = {
        "kohya": {"lora_down.weight": down, "lora_up.weight": up, "dora_scale": lengths[:, None]},
        "peft": {"lora_A.weight": down, "lora_B.weight": up, "lora_magnitude_vector.weight": lengths},
    }[layout]
    file, stem = tmp_path / "x.safetensors", {"kohya": IN_KOHYA, "peft": f"unet.{BLOCK}"}[layout]
    save_file({f"{stem}.{key}": value.contiguous() for key, value in tensors.items()}, file)
    model = diffusion(shelf / "sd", loras=[str(file)])
    inputs = torch.randn(3, 32, generator=torch.Generator().manual_seed(2))
    wanted = inputs @ (whole * (lengths / whole.norm(dim=1))[:, None]).T
    torch.testing.assert_close(model.pipeline.unet.get_submodule(BLOCK)(inputs).detach(), wanted, rtol=1e-4, atol=1e-5)
    nothing, plain = diffusion(shelf / "sd", loras=[f"{file}:0"]), diffusion(shelf / "sd")
    assert far(*(draw(one, ["a"], [1], settings=QUICK)[0] for one in (nothing, plain))) == 0
    if layout == "kohya":
        save_file(
            {f"{stem}.{key}": value.contiguous() for key, value in (tensors | {"dora_scale": lengths[None]}).items()},
            file,
        )
        with pytest.raises(EaselError, match=r"is DoRA with lengths of shape \(1, 32\), one a row is read"):
            diffusion(shelf / "sd", loras=[str(file)])


def damaged() -> dict[str, tuple[dict[str, torch.Tensor], dict[str, Any], str]]:
    """Files that cannot be loaded: tensors, the header's facts, and what is said."""
    down, up = matrices()
    first, second = f"unet.{BLOCK}.lora_A.weight", f"unet.{BLOCK}.lora_B.weight"
    plain = {first: down, second: up}
    other = f"lora_unet_{CONVOLUTION.replace('.', '_')}"
    return {
        "norms": (plain | {f"{other}.w_norm": torch.ones(3)}, {}, "is a LyCORIS norm adapter"),
        "full": (plain | {f"{other}.diff": torch.ones(3)}, {}, "is a LyCORIS full adapter"),
        "no rank": ({first: torch.zeros(0, 32), second: torch.zeros(32, 0)}, {}, r"is damaged: .* \(0, 32\)"),
        "three sides": (
            {first: down[..., None], second: up},
            {},
            r"is damaged: the matrices of .*to_q are \(2, 32, 1\)",
        ),
        "two ranks": ({first: down, second: torch.ones(32, 3)}, {}, r"is damaged: .* \(2, 32\) and \(32, 3\)"),
        "whole numbers": ({first: down.to(torch.int8), second: up}, {}, "holds whole numbers"),
        "alpha of two": (plain | {f"unet.{BLOCK}.alpha": torch.ones(2)}, {}, "has 2 numbers, not one"),
        "alpha in words": (plain, {"lora_alpha": "x"}, "its alpha is 'x', which is no number"),
        "alpha nan": (plain, {"lora_alpha": math.nan}, "its alpha is nan, which is no number"),
        "pattern list": (plain, {"lora_alpha": 1, "alpha_pattern": ["a"]}, "its alpha_pattern is no table"),
        "pattern open": (plain, {"lora_alpha": 1, "alpha_pattern": {"(": 1}}, r"alpha_pattern '\(' cannot be used"),
        "pattern slow": (plain, {"lora_alpha": 1, "alpha_pattern": {"(a*)*(a|.)*x": 1}}, "too much to compare"),
    }


@pytest.mark.parametrize("name", damaged())
def test_a_damaged_lora_is_one_line(shelf: Path, tmp_path: Path, name: str) -> None:
    tensors, facts, words = damaged()[name]
    header = {"lora_adapter_metadata": json.dumps(facts)} if facts else {}
    save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt"} | header)
    with pytest.raises(EaselError, match=words) as caught:
        diffusion(shelf / "sd", loras=[str(tmp_path / "x.safetensors")])
    assert "\n" not in str(caught.value)


def test_an_adapters_configuration_reaches_for_nothing(shelf: Path, tmp_path: Path) -> None:
    down, up = matrices()
    save_file({f"base_model.model.{BLOCK}.lora_A.weight": down, f"base_model.model.{BLOCK}.lora_B.weight": up},
              tmp_path / "adapter_model.safetensors")  # fmt: skip
    for facts in ({"auto_map": {"a": "b"}}, {"quantization_config": {"a": 1}}, {"attn_implementation": "a/b"}):
        (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"} | facts))
        with pytest.raises(EaselError, match=r"adapter_config\.json (asks|says)"):
            diffusion(shelf / "sd", loras=[str(tmp_path)])


def test_a_lora_whose_values_do_not_arrive_is_an_error(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import StableDiffusionPipeline

    file = tiny.lora(tmp_path / "style.safetensors")
    whole = StableDiffusionPipeline.load_lora_weights

    def spoiled(self: Any, weights: dict[str, torch.Tensor], **more: Any) -> None:
        whole(self, {key: value * 1.001 if "to_v" in key else value for key, value in weights.items()}, **more)

    monkeypatch.setattr(StableDiffusionPipeline, "load_lora_weights", spoiled)
    with pytest.raises(EaselError, match=r"did not arrive in the model: its 'unet\..*to_v"):
        diffusion(shelf / "sd", loras=[str(file)])


def test_half_a_lora_layer_is_an_error(shelf: Path, tmp_path: Path) -> None:
    weights = load_file(tiny.lora(tmp_path / "style.safetensors"))
    gone = next(key for key in weights if key.endswith("lora.up.weight"))
    save_file({key: value for key, value in weights.items() if key != gone}, tmp_path / "half.safetensors")
    with pytest.raises(EaselError, match="only one of the two matrices"):
        diffusion(shelf / "sd", loras=[str(tmp_path / "half.safetensors")])


# --- single files -----------------------------------------------------------------------------------------------------


def test_a_single_file_is_the_same_model(shelf: Path, tmp_path: Path) -> None:
    file = tiny.single_file(shelf / "sd", tmp_path / "one.safetensors")
    folder = tiny.configs(shelf / "sd", tmp_path / "configs")
    with pytest.raises(EaselError, match=r"easel models pull sd-1.5.* or --config DIR"):
        diffusion(file)
    one, whole = diffusion(file, config=str(folder)), diffusion(shelf / "sd")
    assert far(*(draw(m, ["a bird"], [3], settings=QUICK)[0] for m in (one, whole))) == 0
    with pytest.raises(EaselError, match="holds the configurations of StableDiffusionXLPipeline"):
        diffusion(file, config=str(shelf / "sdxl"))


def test_a_single_file_finds_its_configurations_in_the_hub_cache(
    shelf: Path, tmp_path: Path, empty_cache: Path
) -> None:
    file = tiny.single_file(shelf / "sd", tmp_path / "one.safetensors")
    cached(empty_cache, "stable-diffusion-v1-5/stable-diffusion-v1-5", tiny.configs(shelf / "sd", tmp_path / "configs"))
    assert draw(diffusion(file), ["a"], [1], settings=QUICK)[0].size == (64, 64)


def test_a_file_says_that_it_predicts_v(shelf: Path, tmp_path: Path) -> None:
    """By a tensor called `v_pred` (and `ztsnr`), or in its header; drawn as the folder that says so is."""
    whole = load_file(tiny.single_file(shelf / "sd", tmp_path / "plain.safetensors"))
    configs = tiny.configs(shelf / "sd", tmp_path / "configs")
    mark = {"v_pred": torch.zeros(0)}
    file = tmp_path / "v.safetensors"

    def folder_with(kind: str, **more: Any) -> Path:
        folder = copied(shelf / "sd", tmp_path / f"folder-{kind}-{len(more)}")
        tiny.scheduler(folder / "scheduler", kind, **more)
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        (folder / "model_index.json").write_text(json.dumps(index | {"scheduler": ["diffusers", kind]}))
        return folder

    v, zero = {"prediction_type": "v_prediction"}, {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    pndm = folder_with("PNDMScheduler", **v)
    cases: list[tuple[dict[str, Any], dict[str, str], Path, str]] = [
        (mark, {}, pndm, "trained with v-prediction"),
        ({}, {"modelspec.prediction_type": "v"}, pndm, "trained with v-prediction"),
        (
            mark | {"ztsnr": torch.zeros(0)},
            {},
            folder_with("DDIMScheduler", **v, **zero),
            "trained with v-prediction and zero terminal SNR",
        ),
    ]
    for more, header, folder, note in cases:
        save_file(whole | more, file, metadata={"format": "pt"} | header)
        one, same = diffusion(file, config=str(configs)), diffusion(folder)
        assert any(note in line for line in one.notes)
        assert far(*(draw(model, ["a bird"], [3], settings=QUICK)[0] for model in (one, same))) == 0
    plain = diffusion(tmp_path / "plain.safetensors", config=str(configs))
    assert plain.notes == []
    assert far(*(draw(model, ["a bird"], [3], settings=QUICK)[0] for model in (plain, one))) > 0


def test_an_early_merge_has_no_text_model_in_its_names(shelf: Path, tmp_path: Path) -> None:
    file, configs = tmp_path / "early.safetensors", tiny.configs(shelf / "sd", tmp_path / "configs")
    weights = load_file(tiny.single_file(shelf / "sd", tmp_path / "plain.safetensors"))
    early = {key.replace(".transformer.text_model.", ".transformer."): value for key, value in weights.items()}
    assert early.keys() != weights.keys()
    save_file(early, file, metadata={"format": "pt"})
    one, whole = diffusion(file, config=str(configs)), diffusion(shelf / "sd")
    assert far(*(draw(m, ["a bird"], [3], settings=QUICK)[0] for m in (one, whole))) == 0
    del early["cond_stage_model.transformer.final_layer_norm.bias"]
    save_file(early, file, metadata={"format": "pt"})
    with pytest.raises(EaselError, match=r"lacks 1 weights of its text encoder.*final_layer_norm\.bias"):
        diffusion(file, config=str(configs))


def test_other_files_are_told_apart(shelf: Path, tmp_path: Path) -> None:
    with pytest.raises(EaselError, match="is a LoRA, not a model"):
        diffusion(tiny.lora(tmp_path / "lora.safetensors"))
    with pytest.raises(EaselError, match="no whole Stable Diffusion checkpoint"):
        diffusion(shelf / "sd" / "unet" / "diffusion_pytorch_model.safetensors")

    def bare(*names: str, channels: int = 4, size: tuple[int, ...] = (1,)) -> Path:
        file = tmp_path / f"{len(list(tmp_path.iterdir()))}.safetensors"
        first = "model.diffusion_model.input_blocks.0.0.weight"
        shapes = {name: (8, channels, 1, 1) if name == first else size for name in names}
        save_file({name: torch.ones(*shape) for name, shape in shapes.items()}, file)
        return file

    unet, vae, text = "model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.x", "cond_stage_model.y"
    known = {
        (unet,): r"no whole Stable Diffusion checkpoint \(only a UNet of one\)",
        (unet, text): "has no VAE",
        ("encoder.conv_in.weight", "decoder.conv_in.weight", "x"): "only a VAE of one",
        (vae,): "only a VAE of one",
        ("text_model.encoder.x", "text_model.embeddings.y"): "only a text encoder of one",
        ("encoder.layers.0.x", "embeddings.y"): "only a text encoder of one",
        ("emb_params",): "is an embedding",
        ("clip_l", "clip_g"): "is an embedding",
        ("sks",): "is an embedding",
        ("control_model.x", unet): "is a ControlNet",
        ("controlnet_cond_embedding.conv_in.weight",): "is a ControlNet",
        ("adapter.body.0.x",): "is a T2I-Adapter",
        ("image_proj.x", "ip_adapter.1.y"): "is an IP-Adapter",
        ("lora_unet_x.hada_w1_a",): "is a LoRA",
        ("model.diffusion_model.double_blocks.0.x",): "is a Flux model",
        ("model.diffusion_model.joint_blocks.0.x", "text_encoders.clip_l.x"): "is a Stable Diffusion 3 model",
        (unet, vae, "conditioner.embedders.0.model.x"): "is SDXL's refiner",
        ("whatever.x", "else.y"): "no whole Stable Diffusion checkpoint \\(no model.diffusion_model",
    }
    for names, words in known.items():
        with pytest.raises(EaselError, match=words):
            diffusion(bare(*names))
    for channels, words in ((9, r"is an inpainting model.*use the model that it"), (8, "is an instruct-pix2pix model")):
        with pytest.raises(EaselError, match=words):
            diffusion(bare(unet, vae, "cond_stage_model.transformer.y", channels=channels))
    file = bare(unet, vae)
    with pytest.raises(EaselError, match="needs a folder in the transformers layout"):
        models.load(str(file), "clip")


# --- guards -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "0", "1", "2", "5"])
def test_a_pickle_is_refused_by_its_content(tmp_path: Path, kind: str) -> None:
    file = tiny.pickle_file(tmp_path / "model.safetensors", kind)
    with pytest.raises(EaselError, match=r"is a pickle.*whatever its name says; convert it once"):
        diffusion(file)


@pytest.mark.parametrize("length", [384, 640, 0x010280])
def test_a_header_whose_length_looks_like_a_pickle_is_none(tmp_path: Path, length: int) -> None:
    header = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode().ljust(length)
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", length) + header + bytes(4))
    assert file.read_bytes()[:1] == b"\x80"
    assert list(checks.check_file(file)) == ["x"]


def test_damaged_files_are_named(shelf: Path, tmp_path: Path) -> None:
    whole = (shelf / "sd" / "vae" / "diffusion_pytorch_model.safetensors").read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    cases = {
        b"": "is empty",
        b"<!DOCTYPE html><html>": "is a web page",
        b"version https://git-lfs.github.com/spec/v1\n": "git-lfs pointer",
        b"GGUF" + bytes(100): "GGUF",
        bytes(100): "not a safetensors file",
        b"\x05": "not a safetensors file",
        whole[:-100]: "cut short: .* MB of its weights are missing",
        whole[: 8 + length // 2]: "cut short|makes no sense",
        whole[:8] + b"{" + b"x" * (length - 1) + whole[8 + length :]: "is not a whole safetensors file",
    }
    for number, (content, words) in enumerate(cases.items()):
        file = tmp_path / f"{number}.safetensors"
        file.write_bytes(content)
        with pytest.raises(EaselError, match=words):
            checks.check_file(file)
    assert "decoder.conv_in.weight" in checks.check_file(shelf / "sd" / "vae" / "diffusion_pytorch_model.safetensors")


@pytest.mark.parametrize(
    "gone",
    ["unet/config.json", "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors",
        "model_index.json",
     "tokenizer/merges.txt", "scheduler/scheduler_config.json"],
)  # fmt: skip
def test_a_missing_file_is_named_before_weights_are_read(
    shelf: Path, tmp_path: Path, gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(shelf / "sd", tmp_path / "sd")
    (folder / gone).unlink()
    monkeypatch.setattr(pipelines, "_load_part", lambda *_: pytest.fail("weights were read"))
    with pytest.raises(EaselError, match=Path(gone).name):
        diffusion(folder)


def test_a_missing_part_or_shard_is_named(shelf: Path, tmp_path: Path) -> None:
    folder = copied(shelf / "sd", tmp_path / "sd")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.unlink()
    index = {"weight_map": {"a": "diffusion_pytorch_model-00001-of-00002.safetensors"}}
    weights.with_name("diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(EaselError, match=r"00001-of-00002.safetensors is missing"):
        diffusion(folder)
    shutil.rmtree(folder / "vae")
    with pytest.raises(EaselError, match=r"vae/ is missing|00001-of-00002"):
        diffusion(folder)


def test_half_size_variants_are_found(shelf: Path, tmp_path: Path) -> None:
    folder = copied(shelf / "sd", tmp_path / "sd")
    for file in list(folder.rglob("*.safetensors")):
        save_file({k: v.half() for k, v in load_file(file).items()}, file, metadata={"format": "pt"})
        file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))
    pictures = [draw(diffusion(f), ["a"], [1], settings=QUICK)[0] for f in (folder, shelf / "sd")]
    assert far(*pictures) <= 3


@pytest.mark.parametrize("part", ["unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"])
def test_weights_that_are_not_numbers_are_named(shelf: Path, tmp_path: Path, part: str) -> None:
    folder = copied(shelf / "sd", tmp_path / "sd")
    name = tiny.poison(folder / f"{part}.safetensors")
    with pytest.raises(
        EaselError, match=name.removeprefix("text_model.").replace(".", r"\.") + "' has 1 values that are not"
    ):
        diffusion(folder)


def test_a_weight_that_is_missing_inside_is_named(shelf: Path, tmp_path: Path) -> None:
    for part, key in (
        ("unet/diffusion_pytorch_model", "conv_in.bias"),
        ("text_encoder/model", "text_model.final_layer_norm.bias"),
    ):
        folder = copied(shelf / "sd", tmp_path / part.replace("/", "-"))
        file = folder / f"{part}.safetensors"
        weights = load_file(file)
        del weights[key]
        save_file(weights, file, metadata={"format": "pt"})
        with pytest.raises(EaselError, match=r"lacks 1 weights, the first is '.*bias'|does not load"):
            diffusion(folder)


def test_only_allowed_classes_are_imported(shelf: Path, tmp_path: Path) -> None:
    folder = copied(shelf / "eight", tmp_path / "eight")
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    trap = tmp_path / "sprung"
    (folder / "vae" / "evil.py").write_text(f"open({str(trap)!r}, 'w')", encoding="utf-8")
    for entry in (
        ["os", "system"],
        ["evil", "Vae"],
        ["easel.networks.autoencoder", "Block"],
        ["transformers", "pipeline"],
    ):
        (folder / "model_index.json").write_text(json.dumps(index | {"vae": entry}), encoding="utf-8")
        with pytest.raises(EaselError, match=r"only diffusers and transformers classes|which is no model"):
            diffusion(folder)
    assert not trap.exists()
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "FluxPipeline"}), encoding="utf-8")
    with pytest.raises(EaselError, match="no kind of pipeline called 'FluxPipeline'"):
        diffusion(folder)


def test_an_inpainting_model_is_told_apart(shelf: Path, tmp_path: Path) -> None:
    folder = copied(shelf / "sd", tmp_path / "sd")
    tiny._unet(4).save_pretrained(tmp_path / "unused")
    from diffusers import UNet2DConditionModel

    config = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8")) | {"in_channels": 9}
    UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")
    with pytest.raises(EaselError, match="an inpainting model, not text-to-image"):
        diffusion(folder)


# --- names, the catalogue, the hub ------------------------------------------------------------------------------------


def cached(hub: Path, repository: str, folder: Path, revision: str = "0" * 40, ref: str = "main") -> Path:
    """Put a folder into a hub cache as the hub's client does."""
    home = hub / f"models--{repository.replace('/', '--')}"
    shutil.copytree(folder, home / "snapshots" / revision)
    (home / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
    (home / "refs" / ref).write_text(revision, encoding="utf-8")
    return home / "snapshots" / revision


def test_unknown_names_get_the_nearest_ones() -> None:
    with pytest.raises(EaselError, match=r"no model called 'sd15': use one of sd-1.5.*, a hub id, a folder or"):
        models.load("sd15", "text-to-image")
    with pytest.raises(EaselError, match="no model file or folder"):
        models.load("./gone", "text-to-image")
    with pytest.raises(EaselError, match="no role called 'paint'"):
        models.load("pocket", "paint")  # type: ignore[call-overload]
    with pytest.raises(EaselError, match=r"'sd-1.5' has no model for caption: use one of pocket, blip-base"):
        models.load("sd-1.5", "caption")
    with pytest.raises(EaselError, match="config, loras and embeddings belong"):
        models.load("pocket", "clip", loras=["x"])  # type: ignore[call-overload]


def test_what_is_not_at_hand_says_how_to_get_it() -> None:
    with pytest.raises(EaselError, match=r"'sd-1.5' is not on this machine: `easel models pull sd-1.5` \(2.1 GB\)"):
        models.load("sd-1.5", "text-to-image")
    with pytest.raises(EaselError, match="`easel models pull someone/thing`"):
        models.load("someone/thing", "caption")


def test_models_of_the_hub_cache_are_used(shelf: Path, empty_cache: Path) -> None:
    cached(empty_cache, "openai/clip-vit-base-patch32", shelf / "clip", ref="refs/pr/3")
    assert models.load("clip-b32", "clip").texts(["a"]).shape == (1, tiny.WIDTH)
    assert models.load("openai/clip-vit-base-patch32", "clip").name == "openai/clip-vit-base-patch32"
    assert {row.name: row.at_hand for row in listing.rows()}["clip-b32"]
    revision = tables.SOURCES["Salesforce/blip-vqa-base"].revision
    cached(empty_cache, "Salesforce/blip-vqa-base", shelf / "ask", revision, ref="old")
    assert models.load("blip-vqa-base", "ask").name == "blip-vqa-base"


def test_a_moved_repository_is_found_under_both_names(shelf: Path, empty_cache: Path) -> None:
    cached(empty_cache, "stabilityai/stable-diffusion-2-1", shelf / "sd")
    model = models.load("sd-2.1", "text-to-image", dtype="float32")
    assert model.name == "sd-2.1"
    moved = models.load("stabilityai/stable-diffusion-2-1", "text-to-image", dtype="float32")
    assert any("moved" in note for note in moved.notes)


def test_the_catalogue_needs_no_torch() -> None:
    code = "import sys; from easel.models.catalog import listing; listing.rows()"
    code += "; sys.exit(bool({'torch', 'diffusers'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_catalogue_holds_together() -> None:
    for row in tables.ROWS.values():
        assert set(row.parts) <= set(tables.ROLES)
        for part in row.parts.values():
            assert part in tables.SOURCES or part.startswith("pocket/")
    for info in listing.rows():
        assert info.licence
        assert info.megabytes > 0 or info.sources == ("inside the package",)
    turbo = locate.LocatedModel(Path(), "sd-turbo", tables.ROWS["sd-turbo"].defaults)
    assert turbo.defaults["guidance_scale"] == 0.0
    assert set(tables.ROWS["pocket"].parts) == set(tables.ROLES) - {"generator", "controlnet", "adapter"}


def test_pull_fetches_one_set_of_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub
    from huggingface_hub import constants

    files = ["model_index.json", "unet/config.json", "tokenizer/vocab.json", "tokenizer/merges.txt", "unet/pytorch.bin"]
    files += ["v1-5-pruned.safetensors", "safety_checker/model.safetensors"]
    files += [f"unet/diffusion_pytorch_model{kind}.safetensors" for kind in ("", ".fp16", ".non_ema")]
    wanted = ["model_index.json", "unet/config.json", "tokenizer/vocab.json", "tokenizer/merges.txt"]
    assert download.wanted_files(files, "fp16") == [*wanted, "unet/diffusion_pytorch_model.fp16.safetensors"]
    assert download.wanted_files(files, None)[-1] == "unet/diffusion_pytorch_model.safetensors"
    assert download.wanted_files(files, "fp16", configs_only=True) == wanted

    class Api:
        def model_info(self, repository: str, revision: str) -> Any:
            names = ["config.json", "pytorch_model.bin", "vocab.txt"]
            return type("Info", (), {"siblings": [type("File", (), {"rfilename": name}) for name in names]})

        def get_repo_discussions(self, repository: str, **_: Any) -> Any:
            talk = {
                "title": "Adding `safetensors` variant of this model",
                "status": "open",
                "git_reference": "refs/pr/9",
            }
            return iter([type("Talk", (), talk)])

    calls: list[Any] = []
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def snapshot(*given: Any, **more: Any) -> str:
        calls.append((given, more))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert download.pull("clip-b32") == [tmp_path]
    assert calls[0][1]["revision"] == "refs/pr/9"
    assert calls[0][1]["allow_patterns"] == ["config.json", "vocab.txt", "model.safetensors"]
    steps: list[tuple[int, int]] = []
    download.pull("base", lambda done, total: steps.append((done, total)))
    assert steps[-1] == (5, 5)
    with pytest.raises(EaselError, match="nothing to pull"):
        download.pull("pocket")
    with pytest.raises(EaselError, match="no model to pull called 'sd9'"):
        download.pull("sd9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EaselError, match="HF_HUB_OFFLINE is set"):
        download.pull("clip-b32")


def test_a_failed_pull_is_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub import constants

    class Api:
        def model_info(self, *_: Any, **__: Any) -> Any:
            raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(EaselError, match=r"cannot pull someone/thing \(ConnectionError: no route\): check the network"):
        download.pull("someone/thing")


def test_a_family_folder_plays_every_role(shelf: Path, tmp_path: Path) -> None:
    family = tmp_path / "family"
    shutil.copytree(shelf / "eight", family / "diffusion")
    for role in ("caption", "ask", "clip"):
        shutil.copytree(shelf / role, family / role)
    assert models.load(str(family), "text-to-image", dtype="float32").name == "family"
    for role in ("caption", "ask", "clip"):
        assert models.load(str(family), role).name == "family"  # type: ignore[call-overload]


# --- devices ----------------------------------------------------------------------------------------------------------


def test_devices_and_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(devices, "cpu_has_bfloat16", lambda: True)
    assert devices.pick_dtype("auto", cpu) == torch.bfloat16
    assert devices.pick_dtype("auto", cpu, measuring=True) == torch.float32
    assert devices.pick_dtype("bf16", cpu, measuring=True) == torch.bfloat16
    monkeypatch.setattr(devices, "cpu_has_bfloat16", lambda: False)
    assert devices.pick_dtype("auto", cpu) == torch.float32
    with pytest.raises(EaselError, match="float16 is slow and overflows on a CPU: use --dtype bfloat16"):
        devices.pick_dtype("float16", cpu)
    with pytest.raises(EaselError, match="no dtype called 'float23'"):
        devices.pick_dtype("float23", cpu)
    with pytest.raises(EaselError, match="no device called 'gpu'"):
        devices.pick_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EaselError, match="no device cuda:1"):
        devices.pick_device("cuda:1")


# --- what looks at pictures -------------------------------------------------------------------------------------------


def test_captions(shelf: Path, photo: Image.Image) -> None:
    model = models.load(str(shelf / "caption"), "caption", device="cpu")
    pair = [photo, photo.rotate(180)]
    captions = model.caption(pair, count=3, seed=1)
    assert [len(lines) for lines in captions] == [3, 3]
    assert captions == model.caption(pair, count=3, seed=1)
    assert captions[1] == model.caption(pair[1:], count=3, seed=1)[0]
    assert [lines[:1] for lines in captions] == model.caption(pair)
    assert captions[0][1:] != model.caption(pair, count=3, seed=2)[0][1:]
    assert not any("[DEC]" in line[:5] for lines in captions for line in lines)
    assert model.caption([]) == []


def test_words_that_the_tokenizer_parted_are_put_detokenized() -> None:
    assert detokenized("a middle - aged man  in a t - shirt") == "a middle-aged man in a t-shirt"
    assert detokenized("the cat ' s face , close - up") == "the cat's face , close-up"
    assert detokenized("- a list") == "- a list"


def test_answers_have_probabilities(shelf: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.load(str(shelf / "ask"), "ask", device="cpu")
    monkeypatch.setattr(captioners, "MIN_SHARE", 0.0)
    found = model.answers([photo], ["is this a bird?"], count=3)[0]
    assert len(found) == 3
    monkeypatch.setattr(captioners, "MIN_SHARE", found[1][1] / found[0][1] * 0.999)
    assert model.answers([photo], ["is this a bird?"], count=3)[0][:2] == found[:2]
    monkeypatch.setattr(captioners, "MIN_SHARE", 1.0)
    assert model.answers([photo], ["is this a bird?"], count=3)[0] == found[:1]
    assert [odds for _, odds in found] == sorted((odds for _, odds in found), reverse=True)
    questions = ["is this a bird?", "what colour is the cat on the beach?"]
    both = model.yes([photo] * 2, questions)
    assert all(0 < value < 1 for value in both)
    alone = [model.yes([photo], [question])[0] for question in questions]
    assert both == pytest.approx(alone, abs=1e-5)
    assert model.yes([], []) == []


def test_yes_is_the_models_own_odds(shelf: Path, photo: Image.Image) -> None:
    model = models.load(str(shelf / "ask"), "ask", device="cpu")
    inner = model._loaded
    words = inner.tokens(["is this a cat?"])
    pixels = inner.pixels([photo])
    losses = []
    for answer in ("yes", "no"):
        ids = inner.tokenizer(answer, add_special_tokens=False).input_ids
        start = torch.tensor([[inner.model.decoder_start_token_id, *ids]])
        labels = torch.tensor([[inner.model.decoder_start_token_id, *ids, inner.tokenizer.sep_token_id]])
        with torch.no_grad():
            seen = inner.model.vision_model(pixel_values=pixels)[0]
            states = inner.model.text_encoder(**words, encoder_hidden_states=seen)[0]
            logits = inner.model.text_decoder(input_ids=start, encoder_hidden_states=states).logits.log_softmax(-1)
        losses.append(sum(float(logits[0, i, labels[0, i + 1]]) for i in range(start.shape[1])))
    expected = 1 / (1 + math.exp(losses[1] - losses[0]))
    assert model.yes([photo], ["is this a cat?"])[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("size", [(40_001, 1), (1, 40_001), (300, 200), (200, 300)])
def test_pocket_reads_the_middle_square_however_long_a_picture_is(size: tuple[int, int]) -> None:
    picture, (width, height) = Image.new("RGB", size, "blue"), size
    beside = max(5, int(1.2 * min(size))) // 2
    picture.paste("red", (width // 2 - beside, height // 2 - beside, width // 2 + beside, height // 2 + beside))
    red = models.load("pocket", "caption")._loaded.pixels([picture])[0]
    assert red.shape == (3, 256, 256)
    assert torch.allclose(red[:, 64:192, 64:192], torch.tensor([1.0, -1.0, -1.0])[:, None, None].expand(3, 128, 128))


def test_clip_rows_are_units(shelf: Path, photo: Image.Image) -> None:
    model = models.load(str(shelf / "clip"), "clip", device="cpu")
    rows = model.images([photo, photo.rotate(90)])
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1], abs=1e-5)
    texts = model.texts(["a cat", "word " * 500])
    assert np.linalg.norm(texts, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert texts[:1] == pytest.approx(model.texts(["a cat"]), abs=1e-5)
    assert model.scale == pytest.approx(math.exp(2.6592), rel=1e-3)
    assert model.images([]).shape[0] == 0


@pytest.mark.parametrize("make", [tiny.vit, tiny.dinov2])
def test_subjects(tmp_path: Path, photo: Image.Image, make: Any) -> None:
    model = models.load(str(make(tmp_path / "m")), "subject", device="cpu")
    rows = model.images([photo, photo.rotate(90), photo])
    assert rows.shape == (3, tiny.WIDTH)
    assert rows[0] == pytest.approx(rows[2], abs=1e-5)
    assert np.linalg.norm(rows[0]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("head", [False, True])
def test_perceptual_distance(tmp_path: Path, photo: Image.Image, head: bool) -> None:
    model = models.load(str(tiny.resnet(tmp_path / "m", head=head)), "perceptual", device="cpu")
    turned = photo.rotate(180)
    there, back, none = model.distance([photo, turned, photo], [turned, photo, photo])
    assert none == pytest.approx(0, abs=1e-9)
    assert there == pytest.approx(back, rel=1e-4)
    assert there > 0


def test_perceptual_distance_of_tensors_has_a_gradient_and_moves_no_weight(tmp_path: Path) -> None:
    """`tensor_distance` is for training: at the pictures' own size, 0 for the same, smaller along its own gradient."""
    model = models.load(str(tiny.resnet(tmp_path / "m")), "perceptual", device="cpu")
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    made = x.flip(3).requires_grad_()
    far = model.tensor_distance(made, x)
    assert far.shape == (2,)
    assert model.tensor_distance(x, x).abs().max() < 1e-6
    (slope,) = torch.autograd.grad(far.sum(), made)
    assert (model.tensor_distance(made - 0.1 * slope / slope.norm(), x) < far).all()
    assert not any(weight.requires_grad for weight in model._loaded.model.parameters())


def test_judges_are_guarded_too(shelf: Path, tmp_path: Path) -> None:
    with pytest.raises(EaselError, match="holds CLIPModel; this role needs one of BlipForConditionalGeneration"):
        models.load(str(shelf / "clip"), "caption")
    for gone in ("preprocessor_config.json", "config.json", "model.safetensors", "vocab.txt"):
        folder = copied(shelf / "ask", tmp_path / gone)
        (folder / gone).unlink()
        with pytest.raises(EaselError, match=gone.split(".")[0]):
            models.load(str(folder), "ask")
    folder = copied(shelf / "ask", tmp_path / "nan")
    tiny.poison(folder / "model.safetensors", "vision_model.post_layernorm.weight")
    with pytest.raises(EaselError, match=r"vision_model.post_layernorm.weight"):
        models.load(str(folder), "ask")
    folder = copied(shelf / "ask", tmp_path / "bin")
    (folder / "model.safetensors").unlink()
    tiny.pickle_file(folder / "pytorch_model.bin")
    with pytest.raises(EaselError, match=r"has only pytorch_model.bin, a pickle"):
        models.load(str(folder), "ask")


def test_the_processors_that_transformers_5_saves_are_read(shelf: Path, tmp_path: Path, photo: Image.Image) -> None:
    """Today's save_pretrained writes tokenizer.json and processor_config.json: as good as the old files."""
    from transformers import AutoTokenizer, BlipImageProcessorPil, BlipProcessor

    folder = copied(shelf / "caption", tmp_path / "new")
    processor = BlipProcessor(BlipImageProcessorPil.from_pretrained(folder), AutoTokenizer.from_pretrained(folder))
    for name in ("vocab.txt", "tokenizer_config.json", "preprocessor_config.json"):
        (folder / name).unlink()
    processor.save_pretrained(folder)
    old, new = (models.load(str(f), "caption", device="cpu").caption([photo]) for f in (shelf / "caption", folder))
    assert old == new


# --- speed that keeps its promises ------------------------------------------------------------------------------------


def batch_sizes(model: Any) -> list[int]:
    """A list that grows with each call of the model's UNet by the size of its batch."""
    seen: list[int] = []
    model.pipeline.unet.conv_in.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    return seen


@pytest.mark.parametrize("name", ["sd", "eight", "sdxl"])
@pytest.mark.parametrize("redraw", [False, True])
def test_guidance_is_worked_out_as_often_as_told(shelf: Path, photo: Image.Image, name: str, redraw: bool) -> None:
    model = diffusion(shelf / name)
    seen = batch_sizes(model)
    drawn = {}
    for every in (1, 2, 3):
        settings = Sampling(6, 6.0, "ddim", guidance_every=every)
        call = {"images": [photo] * 2, "strength": 1.0} if redraw else {}
        drawn[every] = draw(model, ["a red bird", "a cat"], [3, 4], settings=settings, **call)[0]
    assert seen[:6] == [4, 4, 4, 4, 4, 4]
    assert seen[6:12] == [4, 4, 4, 2, 4, 2]
    assert seen[12:] == [4, 4, 4, 2, 2, 4]
    assert far(drawn[1], drawn[2]) > 0
    again = draw(model, ["a red bird", "a cat"], [3, 4], settings=Sampling(6, 6.0, "ddim"), **call)[0]
    assert far(drawn[1], again) == 0  # nothing is left behind


@given(every=st.integers(1, 6), calls=st.integers(1, 12), seed=st.integers(0, 99))
def test_what_stays_the_same_is_reused_exactly(every: int, calls: int, seed: int) -> None:
    """Where the difference of the halves does not change from step to step, reusing it gives the full answer."""
    table = torch.randn(2, 3, generator=torch.Generator().manual_seed(seed)).round(decimals=2)

    class Plain(torch.nn.Module):
        def forward(self, x: Any, t: Any, *, words: Any, more: dict[str, Any]) -> Any:
            assert len(x) == len(words) == len(more["words"])
            return (x.double() * float(t) + words.double(),)

    plain, words = Plain(), table.repeat_interleave(2, 0)
    full: list[Any] = []
    got: list[Any] = []
    for answers, step in ((full, 1), (got, every)):
        with guidance.reused(plain, step, 2):
            for number in range(calls):
                x = torch.full((2, 3), float(number))
                t = torch.tensor(number)
                answers.append(plain(torch.cat([x, x]), t, words=words, more={"words": words})[0])
    assert not plain._forward_hooks
    assert torch.allclose(torch.stack(full), torch.stack(got), atol=1e-12)


def test_guidance_is_reused_with_a_controlnets_residuals_and_refused_for_three_rows() -> None:
    class Rows(torch.nn.Module):
        def forward(self, x: Any, *, down_block_additional_residuals: Any, mid_block_additional_residual: Any) -> Any:
            rows = {len(x), len(mid_block_additional_residual), *map(len, down_block_additional_residuals)}
            assert len(rows) == 1
            return (x + mid_block_additional_residual + sum(down_block_additional_residuals),)

    net, x = Rows(), torch.arange(4.0)[:, None]
    more: dict[str, Any] = {"down_block_additional_residuals": [x, x], "mid_block_additional_residual": x}
    with guidance.reused(net, 2, 2):
        assert [torch.equal(net(x, **more)[0], 4 * x) for _ in range(5)] == [True] * 5
    three = torch.zeros(6, 1)
    more = {"down_block_additional_residuals": [three], "mid_block_additional_residual": three}
    with guidance.reused(net, 2, 2), pytest.raises(EaselError, match="asks for 6 rows at once: use guidance_every 1"):
        net(three, **more)


def test_without_guidance_there_is_nothing_to_reuse(shelf: Path) -> None:
    model = diffusion(shelf / "eight")
    seen = batch_sizes(model)
    draw(model, ["a"], [0], settings=Sampling(5, 1.0, "ddim", guidance_every=2))
    assert seen == [1, 1, 1, 1, 1]


def test_a_stopped_drawing_leaves_no_reuse_behind(shelf: Path) -> None:
    model = diffusion(shelf / "eight")
    before = len(model.pipeline.unet._forward_hooks)

    def stop(done: int, _total: int) -> None:
        if done == 3:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        draw(model, ["a"], [0], settings=Sampling(5, scheduler="ddim", guidance_every=2), report=stop)
    assert len(model.pipeline.unet._forward_hooks) == before


def by_row(_unet: Any, _args: Any, output: Any) -> Any:
    """A UNet whose last bits, made large enough to see, depend on the row and on the size of the batch."""
    guess = output[0].float()
    rows = torch.arange(len(guess), dtype=torch.float32).view(-1, 1, 1, 1)
    return (guess * (1 + 0.02 * rows + 0.01 * len(guess)), *output[1:])


@pytest.mark.parametrize("redraw", [False, True])
def test_a_picture_of_a_batch_is_drawn_alone_as_it_was(
    shelf: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch, redraw: bool
) -> None:
    monkeypatch.setattr("easel.models.diffusion.cast_output", by_row)
    model = diffusion(shelf / "eight")
    texts, seeds = ["a bird", "a " + "very " * 80 + "long prompt", "a cat", "a dog"], [1, 2, 3, 4]
    settings = Sampling(3, 5.0, "euler-a")
    images = [photo] * 4 if redraw else None
    together = draw_fully(model, texts, seeds, settings=settings, images=images)
    assert [picture.place for picture in together] == [(0, 3), None, (1, 3), (2, 3)]
    for text, seed, picture in zip(texts, seeds, together, strict=True):
        one = {"images": [photo]} if redraw else {}
        place = picture.place
        assert far(draw(model, [text], [seed], settings=settings, place=place, **one)[0], picture.image) == 0
        if place is not None:
            assert far(draw(model, [text], [seed], settings=settings, **one)[0], picture.image) > 0


def test_pictures_of_a_batch_make_themselves_again(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of `easel again`: the recipe inside each picture, run as it stands."""
    monkeypatch.setattr("easel.models.diffusion.cast_output", by_row)
    clip = SimpleNamespace(images=lambda images: np.eye(4)[: len(images)], texts=lambda texts: np.eye(4)[: len(texts)])
    monkeypatch.setattr("easel.jobs.generate.load_clip", lambda *_: clip)
    recipe = Generate(prompt="a bird", model=str(shelf / "eight"), seed=5, count=4, steps=2, batch_size=3)
    drawn = runners.run(recipe, tmp_path / "all", "cpu", "float32")
    for picture, row in zip(drawn.picture_paths[:4], (0, 1, 2, None), strict=True):
        inside = read_provenance(picture)["easel"]["recipe"]
        assert (inside["batch_row"], inside["count"]) == (row, 1)
        placed = recipe_from(with_places(inside, recipe.plain()))
        again = runners.run(placed, tmp_path / picture.stem, "cpu", "float32")
        assert far(again.images[0], Image.open(picture)) == 0
        assert read_provenance(again.picture_paths[0])["easel"]["recipe"] == inside


def test_a_place_that_cannot_be_is_refused(shelf: Path) -> None:
    with pytest.raises(EaselError, match="the row must be from 0 to size - 1"):
        draw(diffusion(shelf / "sd"), ["a"], [1], settings=QUICK, place=(3, 3))
    for wrong in ({"batch_row": 2, "batch_size": 2}, {"batch_row": 0, "batch_size": 2, "count": 2}):
        with pytest.raises(EaselError, match="batch_row"):
            recipe_from({"kind": "generate", "prompt": "a bird"} | wrong)


def test_progress_counts_pictures_not_copies(shelf: Path) -> None:
    seen: list[tuple[int, int]] = []
    draw(
        diffusion(shelf / "eight"),
        ["a"],
        [1],
        settings=Sampling(2, scheduler="ddim"),
        place=(1, 3),
        report=lambda *step: seen.append(step),
    )
    assert seen == [(1, 2), (2, 2)]


def test_prompts_and_photos_are_encoded_once(shelf: Path, tmp_path: Path, photo: Image.Image) -> None:
    model = diffusion(shelf / "sd")
    read: list[int] = []
    model.pipeline.text_encoder.register_forward_hook(lambda *_: read.append(1))
    seen: list[int] = []
    model.pipeline.vae.encoder.register_forward_hook(lambda *_: seen.append(1))
    first = draw(model, ["a bird"], [1], settings=QUICK, images=[photo])
    assert (len(read), len(seen)) == (2, 1)  # the prompt and the empty one
    second = draw(model, ["a bird"], [1], settings=QUICK, images=[photo.copy()])
    assert (len(read), len(seen)) == (2, 1)
    assert far(first[0], second[0]) == 0
    draw(model, ["a cat"], [1], settings=QUICK, images=[photo.rotate(180)])
    assert (len(read), len(seen)) == (3, 2)
    model.add_loras([str(tiny.lora(tmp_path / "style.safetensors"))])
    assert not model._cache.prompts
    assert not model._cache.photos
    with_lora = draw(model, ["a bird"], [1], settings=QUICK, images=[photo])
    assert far(first[0], with_lora[0]) > 0


def test_the_cache_is_bounded() -> None:
    memory: dict[int, int] = {}
    for number in range(cache.MOST + 5):
        assert cache.cached(memory, number, lambda number=number: number * 2) == number * 2  # type: ignore[misc]
    assert list(memory) == list(range(5, cache.MOST + 5))
    assert cache.cached(memory, 7, lambda: -1) == 14


def test_garbage_is_looked_for_rarely_during_a_run() -> None:
    before = gc.get_threshold()
    with machine.collecting_rarely():
        assert gc.get_threshold() == (max(before[0], machine.YOUNG), *before[1:])
        assert gc.isenabled()
    assert gc.get_threshold() == before
    gc.set_threshold(0)
    try:
        with machine.collecting_rarely():
            assert gc.get_threshold()[0] == 0  # who switched it off wants it off
    finally:
        gc.set_threshold(*before)


# --- benchmarks -------------------------------------------------------------------------------------------------------


def test_ratios_are_taken_round_by_round() -> None:
    called: list[tuple[str, int]] = []
    found = interleaved({name: lambda number, name=name: called.append((name, number)) for name in "ab"}, 2)  # type: ignore[misc]
    assert called == [("a", 0), ("b", 0), ("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert [len(timed.seconds) for timed in found.values()] == [2, 2]
    # a slow minute of the machine hits both of a round, and leaves their ratio alone
    assert ratio([2.0, 20.0, 2.0], [1.0, 10.0, 1.0]) == (2.0, 2.0, 2.0, 3)
    assert ratio([4.0, 2.0, 3.0], [1.0, 1.0, 1.0]) == (3.0, 2.0, 4.0, 3)


# --- who judges -------------------------------------------------------------------------------------------------------


def test_pockets_judge_scores_pockets_pictures_alone(
    shelf: Path, tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another model's pictures are scored by a general family at hand, or by none, which is said."""
    from easel.jobs import generate as job

    def asked(**more: Any) -> Generate:
        return Generate(prompt="a", seed=1, steps=1, **more)

    assert job.judge_of(asked()) == "pocket"
    assert job.judge_of(asked(model=str(shelf / "sd"))) is None
    assert job.judge_of(asked(model=str(shelf / "sd"), judge="pocket")) == "pocket"
    family = tmp_path / "family"
    shutil.copytree(shelf / "sd", family / "diffusion")
    shutil.copytree(shelf / "clip", family / "clip")
    assert job.judge_of(asked(model=str(family))) == str(family)
    cached(empty_cache, "openai/clip-vit-base-patch32", shelf / "clip")
    assert job.judge_of(asked(model=str(shelf / "sd"))) == "base"
    cached(empty_cache, "openai/clip-vit-large-patch14", shelf / "clip")
    assert job.judge_of(asked(model=str(shelf / "sd"))) == "large"
    assert job.judge_of(asked()) == "pocket"


def test_a_score_names_its_judge_and_its_absence_is_said(shelf: Path, tmp_path: Path, empty_cache: Path) -> None:
    recipe = Generate(prompt="a", seed=1, steps=1, count=2, model=str(shelf / "sd"))
    result = runners.run(recipe, tmp_path / "none", "cpu", "float32")
    assert result.scores == ()
    assert any("`easel models pull base`" in note and "--judge base" in note for note in result.notes)
    assert "judge" not in read_provenance(result.picture_paths[0])["easel"]
    cached(empty_cache, "openai/clip-vit-base-patch32", shelf / "clip")
    result = runners.run(recipe, tmp_path / "some", "cpu", "float32")
    assert {score.judge for score in result.scores} == {"clip:base"}
    said = read_provenance(result.picture_paths[0])["easel"]
    assert (said["judge"], said["recipe"]["judge"]) == ("base", None)
