"""Editing and steering, proven on tiny checkpoints of every layout: each row of the table does what diffusers' own
pipeline does with the same weights and noise.
"""

from __future__ import annotations

import inspect
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import diffusers
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file

from benchmarks import fullsize, sd15
from easel import models
from easel.errors import EaselError
from easel.jobs.edit.method import has_instruct
from easel.models.catalog import controls, download, locate, tables
from easel.models.diffusion import (
    Control,
    PictureRequest,
    control,
    latents,
    maps,
    masks,
    pipelines,
    schedulers,
    tasks,
)
from easel.models.diffusion.batch import batches
from easel.models.diffusion.settings import Sampling
from easel.models.logging import silence
from tests import tiny

FAMILIES = ("sd", "eight", "sdxl")
ASKED = Sampling(steps=3, scheduler="ddim", guidance_scale=4.0)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bases of three families, each also for instructions and for inpainting, with two ControlNets and two adapters."""
    silence()
    folder = tmp_path_factory.mktemp("tasks")
    for name, make in (("sd", tiny.sd), ("eight", tiny.eight_channels), ("sdxl", tiny.sdxl)):
        make(folder / name)
        for kind in ("instruct", "inpaint"):
            tiny.with_channels(folder / name, folder / f"{name}-{kind}", kind)
        tiny.controlnet(folder / name, folder / f"{name}-canny", 2)
        tiny.controlnet(folder / name, folder / f"{name}-depth", 5)
        tiny.adapter(folder / name, folder / f"{name}-adapter", 3)
        tiny.adapter(folder / name, folder / f"{name}-grey-adapter", 4, channels=1)
        torch.manual_seed(0)
    return folder


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((96, 64), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def mask() -> Image.Image:
    """The right half, along the edges of latents."""
    made = Image.new("L", (96, 64), 0)
    ImageDraw.Draw(made).rectangle((48, 0, 95, 63), fill=255)
    return made


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latents at the mean of their distribution in diffusers' own calls too: a tiny VAE is far from sure of them."""
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode())


def load(path: Path, role: str = "text-to-image", **more: Any) -> Any:
    return models.load(str(path), role, "cpu", **({"dtype": "float32"} | more))  # type: ignore[call-overload]


def draw(model: Any, *requests: PictureRequest, batch_size: int | None = None) -> list[Image.Image]:
    return [one.image for one in model.generate(requests, batch_size)]


def request(task: str, seed: int = 7, asked: Sampling = ASKED, **more: Any) -> PictureRequest:
    return PictureRequest("a red bird", seed, "grey", asked, task, **more)


def far(a: Image.Image, b: Image.Image) -> int:
    return int(np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).max())


def diffusers_own(folder: Path, name: str, role: str, seed: int = 7, parts: Any = None, **call: Any) -> Image.Image:
    """What a pipeline class of diffusers makes of a folder, with none of our lines between words and latents."""
    base = pipelines.assemble(folder, torch.float32, role)
    family = pipelines.family_of(base)
    if name.endswith("InpaintPipeline") and role == "text-to-image":
        base.unet.register_to_config(in_channels=4)  # that pipeline knows latents of four channels alone by name
    kind = getattr(diffusers, name.replace("FAMILY", {"sd": "StableDiffusion", "sdxl": "StableDiffusionXL"}[family]))
    extras = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    extras |= {"add_watermarker": False}
    known = inspect.signature(kind.__init__).parameters
    own = {part: getattr(base, part) for part in pipelines.PARTS[family]} | (parts or {})
    pipeline = kind(**own, **{key: value for key, value in extras.items() if key in known})
    pipeline.scheduler = schedulers.build("ddim", base.scheduler)
    pipeline.set_progress_bar_config(disable=True)
    asked = inspect.signature(pipeline.__call__).parameters
    with torch.no_grad():
        made = pipeline(
            prompt="a red bird",
            negative_prompt="grey",
            num_inference_steps=3,
            guidance_scale=4.0,
            generator=torch.Generator().manual_seed(seed),
            output_type="latent",
            **{key: value for key, value in call.items() if key not in ("width", "height") or key in asked},
        ).images
    return latents.decode(base.vae, made, seed)[0]


# --- the rows, each against diffusers' own pipeline -------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_an_instruction_is_followed_as_diffusers_does(shelf: Path, photo: Image.Image, family: str) -> None:
    model = load(shelf / f"{family}-instruct", "instruct")
    asked = replace(ASKED, image_guidance_scale=1.4)
    ours = draw(model, request("instruct", asked=asked, image=photo))[0]
    size = {"width": 96, "height": 64}
    call: dict[str, Any] = {"image": photo, "image_guidance_scale": 1.4, **size}
    theirs = diffusers_own(shelf / f"{family}-instruct", "FAMILYInstructPix2PixPipeline", "instruct", **call)
    assert far(ours, theirs) <= 1
    other = draw(model, request("instruct", asked=replace(ASKED, image_guidance_scale=3.0), image=photo))[0]
    assert far(ours, other) > 1
    plain = draw(model, request("instruct", asked=replace(ASKED, guidance_scale=1.0), image=photo))[0]
    assert plain.size == ours.size == (96, 64)


@pytest.mark.parametrize("strength", [1.0, 0.7])
@pytest.mark.parametrize("family", ["sd", "sdxl"])
@pytest.mark.usefixtures("sure")
def test_an_inpainting_model_paints_as_diffusers_does(
    shelf: Path, photo: Image.Image, mask: Image.Image, family: str, strength: float
) -> None:
    model = load(shelf / f"{family}-inpaint", "inpaint")
    ours = draw(model, request("inpaint", asked=replace(ASKED, strength=strength), image=photo, mask=mask))[0]
    call: dict[str, Any] = {"image": photo, "mask_image": mask, "strength": strength, "width": 96, "height": 64}
    theirs = diffusers_own(shelf / f"{family}-inpaint", "FAMILYInpaintPipeline", "inpaint", **call)
    assert far(ours, theirs) <= 1


def test_latents_of_eight_channels_have_no_inpainting_unet_in_diffusers(
    shelf: Path, photo: Image.Image, mask: Image.Image
) -> None:
    """17 channels are told apart, and refused in words."""
    with pytest.raises(EaselError, match="inpainting UNets of diffusers have latents of 4 channels, and these 8"):
        draw(load(shelf / "eight-inpaint", "inpaint"), request("inpaint", image=photo, mask=mask))


@pytest.mark.parametrize("strength", [1.0, 0.7])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.usefixtures("sure")
def test_any_model_inpaints_in_its_latents(
    shelf: Path, photo: Image.Image, mask: Image.Image, family: str, strength: float
) -> None:
    model = load(shelf / family, "inpaint")
    ours = draw(model, request("inpaint", asked=replace(ASKED, strength=strength), image=photo, mask=mask))[0]
    call: dict[str, Any] = {"image": photo, "mask_image": mask, "strength": strength, "width": 96, "height": 64}
    theirs = diffusers_own(shelf / family, "FAMILYInpaintPipeline", "text-to-image", **call)
    assert far(ours, theirs) <= 1


@pytest.mark.parametrize("scheduler", ["ddim", "dpmpp-2m", "euler", "euler-a", "unipc", "heun", "pndm", "lcm"])
def test_the_photos_latents_are_kept_outside_the_mask(
    shelf: Path, photo: Image.Image, mask: Image.Image, scheduler: str
) -> None:
    model = load(shelf / "sd")
    found: list[torch.Tensor] = []
    decode = latents.decode

    def noted(vae: Any, latent: torch.Tensor, seed: int) -> Any:
        found.append(latent)
        return decode(vae, latent, seed)

    asked = replace(ASKED, scheduler=scheduler, steps=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latents, "decode", noted)
        picture = draw(model, request("inpaint", asked=asked, image=photo, mask=mask))[0]
    kept = latents.encode(model.pipeline.vae, photo)
    assert torch.equal(found[0][..., :6], kept[..., :6])
    assert not torch.allclose(found[0][..., 6:], kept[..., 6:], atol=0.1)
    pasted = masks.paste_back(photo, picture, mask)
    assert far(pasted.crop((0, 0, 48, 64)), photo.crop((0, 0, 48, 64))) == 0
    assert far(pasted.crop((48, 0, 96, 64)), picture.crop((48, 0, 96, 64))) == 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("count", [1, 2])
def test_controlnets_steer_from_words_as_diffusers_does(
    shelf: Path, photo: Image.Image, family: str, count: int
) -> None:
    nets = [load(shelf / f"{family}-{name}", "controlnet") for name in ("canny", "depth")][:count]
    shown = [photo, photo.rotate(180)][:count]
    steered = tuple(
        Control(net, image, scale, start, end)
        for net, image, scale, start, end in zip(nets, shown, (0.8, 0.5), (0.0, 0.3), (1.0, 0.9), strict=False)
    )
    model = load(shelf / family)
    ours = draw(model, request("control", controls=steered))[0]
    fresh = [load(shelf / f"{family}-{name}", "controlnet").module for name in ("canny", "depth")][:count]
    call: dict[str, Any] = {"image": shown, "controlnet_conditioning_scale": [0.8, 0.5][:count]}
    call |= {"control_guidance_start": [0.0, 0.3][:count], "control_guidance_end": [1.0, 0.9][:count]}
    if count == 1:
        call = {key: value[0] for key, value in call.items()}
    parts = {"controlnet": fresh if count > 1 else fresh[0]}
    name = "FAMILYControlNetPipeline"
    theirs = diffusers_own(shelf / family, name, "text-to-image", parts=parts, width=96, height=64, **call)
    assert far(ours, theirs) <= 1
    assert far(ours, draw(model, request("text-to-image", asked=replace(ASKED, width=96, height=64)))[0]) > 1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.usefixtures("sure")
def test_controlnets_steer_from_a_photo_as_diffusers_does(shelf: Path, photo: Image.Image, family: str) -> None:
    net, edges = load(shelf / f"{family}-canny", "controlnet"), maps.make("canny", photo)
    asked = replace(ASKED, strength=0.7)
    one = request("control-image-to-image", asked=asked, image=photo, controls=(Control(net, edges, 0.8),))
    ours = draw(load(shelf / family), one)[0]
    call: dict[str, Any] = {"image": photo, "control_image": edges, "strength": 0.7, "width": 96, "height": 64}
    call["controlnet_conditioning_scale"] = 0.8
    parts = {"controlnet": load(shelf / f"{family}-canny", "controlnet").module}
    name = "FAMILYControlNetImg2ImgPipeline"
    theirs = diffusers_own(shelf / family, name, "text-to-image", parts=parts, **call)
    assert far(ours, theirs) <= 1


@pytest.mark.parametrize("family", FAMILIES)
def test_controlnets_keep_the_photo_outside_a_mask(
    shelf: Path, photo: Image.Image, mask: Image.Image, family: str
) -> None:
    net, model = load(shelf / f"{family}-canny", "controlnet"), load(shelf / family)
    steered = (Control(net, photo),)
    drawn = draw(model, request("control-inpaint", image=photo, mask=mask, controls=steered))[0]
    through = latents.decode(model.pipeline.vae, latents.encode(model.pipeline.vae, photo), 0)[0]
    kept, other = (0, 0, 8, 64), (64, 0, 96, 64)  # far from the mask's edge the decoder sees the photo alone
    assert far(drawn.crop(kept), through.crop(kept)) <= far(drawn.crop(other), through.crop(other))
    without = draw(model, request("inpaint", image=photo, mask=mask))[0]
    assert far(drawn, without) > 1
    nothing = (Control(net, photo, 0.0),)
    same = draw(model, request("control-inpaint", image=photo, mask=mask, controls=nothing))[0]
    assert far(same, without) == 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("count", [1, 2])
def test_adapters_steer_as_diffusers_does(shelf: Path, photo: Image.Image, family: str, count: int) -> None:
    names, scales = ["adapter", "grey-adapter"][:count], [0.8, 0.5][:count]
    nets = [load(shelf / f"{family}-{name}", "adapter") for name in names]
    assert [net.image_channels for net in nets] == [3, 1][:count]
    steered = tuple(Control(net, photo, scale) for net, scale in zip(nets, scales, strict=True))
    model = load(shelf / family)
    ours = draw(model, request("adapter", controls=steered))[0]
    fresh = [load(shelf / f"{family}-{name}", "adapter").module for name in names]
    shown = [photo, photo.convert("L")][:count]
    call: dict[str, Any] = {"image": shown, "adapter_conditioning_scale": scales}
    if count == 1:
        call = {key: value[0] for key, value in call.items()}
    parts = {"adapter": diffusers.MultiAdapter(fresh) if count > 1 else fresh[0]}
    name = "FAMILYAdapterPipeline"
    theirs = diffusers_own(shelf / family, name, "text-to-image", parts=parts, width=96, height=64, **call)
    assert far(ours, theirs) <= 1
    nothing = tuple(replace(one, scale=0.0) for one in steered)
    plain = draw(model, request("text-to-image", asked=replace(ASKED, width=96, height=64)))[0]
    assert far(draw(model, request("adapter", controls=nothing))[0], plain) == 0
    assert far(ours, plain) > 1


# --- benchmarks.fullsize ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The benchmark's checkpoints at a thousandth of their size."""
    folder = tmp_path_factory.mktemp("small")
    silence()
    counts = sd15.make(folder, sd15.TINY, files=False)
    assert counts["UNet of sd-1.5-instruct"] - counts["UNet of sd-1.5"] == 4 * 9 * sd15.TINY.widths[0]
    return folder


@pytest.mark.parametrize("name", [name for name in fullsize.METHODS if "files" not in name])
def test_the_benchmark_of_full_size_compares_the_same_pictures(small: Path, name: str) -> None:
    method, setup = fullsize.METHODS[name], fullsize.Setup(small, "float32", 3, 128)
    pictures = [side(method, setup)[0]() for side in (fullsize.easel, fullsize.diffusers)]
    assert fullsize.far(*pictures).most <= 1
    assert np.asarray(pictures[0]).std() > 1
    if name == "canny":  # what steers can be seen
        other = fullsize.easel(fullsize.METHODS["depth"], setup)[0]()
        assert fullsize.far(pictures[0], other).most > 1


def test_random_weights_are_as_large_as_stable_diffusion() -> None:
    """Numbers of the parts of SD-1.5 and of its ControlNet, as they are published."""
    wanted = {"UNet": 859_520_964, "VAE": 83_653_863, "ControlNet": 361_279_120}
    assert {name: sum(one.numel() for one in sd15.described(name).parameters()) for name in wanted} == wanted


# --- what must hold ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fresh_controlnet_and_one_at_scale_zero_change_nothing(
    shelf: Path, tmp_path: Path, photo: Image.Image, family: str
) -> None:
    model, size = load(shelf / family), replace(ASKED, width=96, height=64)
    plain = draw(model, request("text-to-image", asked=size))[0]
    fresh = load(tiny.controlnet(shelf / family, tmp_path / "fresh", zero=True), "controlnet")
    taught = load(shelf / f"{family}-canny", "controlnet")
    for one in (Control(fresh, photo), Control(taught, photo, 0.0), Control(taught, photo, 1.0, 0.9, 0.95)):
        assert far(draw(model, request("control", controls=(one,)))[0], plain) == 0


def test_a_control_steers_in_its_share_of_the_steps(shelf: Path, photo: Image.Image) -> None:
    model, net = load(shelf / "sd"), load(shelf / "sd-canny", "controlnet")
    scales: list[float] = []
    net.module.register_forward_pre_hook(
        lambda _, args, kwargs: scales.append(kwargs["conditioning_scale"]), with_kwargs=True
    )
    asked = replace(ASKED, steps=4)
    pictures = [
        draw(model, request("control", asked=asked, controls=(Control(net, photo, 0.5, start, end),)))[0]
        for start, end in ((0.0, 1.0), (0.0, 0.5), (0.5, 1.0))
    ]
    assert scales == [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0, 0, 0, 0, 0.5, 0.5]
    assert far(pictures[0], pictures[1]) > 1
    assert far(pictures[1], pictures[2]) > 1


def every_task(
    shelf: Path, family: str, photo: Image.Image, mask: Image.Image
) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Task -> model and inputs of a request."""
    base, steered = load(shelf / family), (Control(load(shelf / f"{family}-canny", "controlnet"), photo, 0.7),)
    made: dict[str, tuple[Any, dict[str, Any]]] = {
        "instruct": (load(shelf / f"{family}-instruct", "instruct"), {"image": photo}),
        "inpaint-in-latents": (base, {"image": photo, "mask": mask}),
        "control": (base, {"controls": steered}),
        "control-image-to-image": (base, {"image": photo, "controls": steered}),
        "control-inpaint": (base, {"image": photo, "mask": mask, "controls": steered}),
        "adapter": (base, {"controls": (Control(load(shelf / f"{family}-adapter", "adapter"), photo),)}),
    }
    if family != "eight":
        made["inpaint"] = (load(shelf / f"{family}-inpaint", "inpaint"), {"image": photo, "mask": mask})
    return made


@pytest.mark.parametrize("family", FAMILIES)
def test_a_picture_is_the_same_alone_and_among_others(
    shelf: Path, photo: Image.Image, mask: Image.Image, family: str
) -> None:
    asked = replace(ASKED, scheduler="euler-a", steps=2)
    found = every_task(shelf, family, photo, mask)
    assert {"text-to-image", "image-to-image", "inpaint", *found} == set(tasks.TASKS)
    for task, (model, inputs) in found.items():
        other = {**inputs}
        if "controls" in inputs:
            other["controls"] = tuple(replace(one, image=photo.rotate(180)) for one in inputs["controls"])
        if "image" in inputs:
            other["image"] = photo.rotate(180)
        pair = [request(task, 3, asked, **inputs), request(task, 4, asked, **other)]
        together, alone = draw(model, *pair), draw(model, *pair, batch_size=1)
        assert max(map(far, together, alone)) <= 1, task
        assert far(*together) > 1


def test_only_what_is_steered_alike_shares_a_batch(shelf: Path, photo: Image.Image) -> None:
    net = load(shelf / "sd-canny", "controlnet")
    settings = load(shelf / "sd").resolve(ASKED)
    ones = [
        Control(net, photo),
        Control(net, photo.rotate(180)),
        Control(net, photo, 0.5),
        Control(net, photo, end=0.5),
    ]
    requests = {i: request("control", controls=(one,)) for i, one in enumerate(ones)}
    made = batches(requests, dict.fromkeys(requests, settings), [1] * 4)
    assert [sorted(batch.wanted) for batch in made] == [[0, 1], [2], [3]]


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_and_weights_in_one_set(shelf: Path, photo: Image.Image, mask: Image.Image, family: str) -> None:
    base = load(shelf / family, dtype="bfloat16")
    net, adapter = (
        load(shelf / f"{family}-canny", "controlnet", dtype="bfloat16"),
        load(shelf / f"{family}-adapter", "adapter"),
    )
    wanted: dict[str, dict[str, Any]] = {
        "control": {"controls": (Control(net, photo),)},
        "control-inpaint": {"controls": (Control(net, photo),), "image": photo, "mask": mask},
        "adapter": {"controls": (Control(adapter, photo),)},  # in float32 beside a base in bfloat16
    }
    for task, inputs in wanted.items():
        assert draw(base, request(task, **inputs))[0].size == (96, 64)
        networks = tuple(one.network for one in inputs["controls"])
        pipeline = base.pipeline_for(task, networks)
        assert pipeline.unet is base.pipeline.unet
        assert pipeline.vae is base.pipeline.vae
        assert pipeline is base.pipeline_for(task, networks)
    for role in ("instruct", *(["inpaint"] if family != "eight" else [])):
        model = load(shelf / f"{family}-{role}", role, dtype="bfloat16")
        more: dict[str, Any] = {"mask": mask} if role == "inpaint" else {}
        assert draw(model, request(role, image=photo, **more))[0].size == (96, 64)


@pytest.mark.parametrize("family", FAMILIES)
def test_progress_and_cancelling_reach_every_task(
    shelf: Path, photo: Image.Image, mask: Image.Image, family: str
) -> None:
    for task, (model, inputs) in every_task(shelf, family, photo, mask).items():
        seen: list[tuple[int, int]] = []
        asked = replace(ASKED, strength=0.7, steps=4)
        list(model.generate([request(task, asked=asked, **inputs)], report=lambda *step: seen.append(step)))  # noqa: B023
        steps = 2 if tasks.TASKS[task].redraws else 4
        assert seen == [(i + 1, steps) for i in range(steps)], task

        def stop(*_: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            list(model.generate([request(task, **inputs)], report=stop))


def test_guidance_that_is_reused_knows_controls_and_refuses_instructions(shelf: Path, photo: Image.Image) -> None:
    asked = replace(ASKED, steps=6, guidance_every=2)
    steered = (Control(load(shelf / "sd-canny", "controlnet"), photo),)
    assert draw(load(shelf / "sd"), request("control", asked=asked, controls=steered))[0].size == (96, 64)
    adapted = (Control(load(shelf / "sd-adapter", "adapter"), photo),)
    assert draw(load(shelf / "sd"), request("adapter", asked=asked, controls=adapted))[0].size == (96, 64)
    with pytest.raises(EaselError, match="asks for 3 rows at once: use guidance_every 1"):
        draw(load(shelf / "sd-instruct", "instruct"), request("instruct", asked=asked, image=photo))


def test_a_lora_is_tried_with_what_steers(shelf: Path, tmp_path: Path, photo: Image.Image) -> None:
    """Its small trial pictures have sides that every network takes."""
    model = load(shelf / "sd", loras=[str(tiny.lora(tmp_path / "style.safetensors"))])
    net = load(shelf / "sd-canny", "controlnet")
    steered = (Control(load(shelf / "sd-adapter", "adapter"), photo),)
    assert draw(model, request("adapter", controls=steered))[0].size == (96, 64)
    assert any("LoRA style.safetensors" in note for note in model.notes)
    assert draw(model, request("control", controls=(Control(net, photo),)))[0].size == (96, 64)


def test_settings_follow_the_task(shelf: Path, photo: Image.Image) -> None:
    model, edits = load(shelf / "sd"), load(shelf / "sd-instruct", "instruct")
    edited = edits.resolve(Sampling(), photo, "instruct")
    assert (edited.strength, edited.image_guidance_scale, edited.steps_done) == (None, 1.5, 20)
    assert model.resolve(Sampling(), photo, "inpaint").strength == 1.0
    assert model.resolve(Sampling(), photo, "control-image-to-image").strength == 0.6
    steered = model.resolve(Sampling(), photo, "control")
    assert (steered.width, steered.height, steered.strength, steered.image_guidance_scale) == (96, 64, None, None)
    with pytest.raises(EaselError, match=r"image_guidance_scale must be from 1 to 20, not 0\.5"):
        edits.resolve(Sampling(image_guidance_scale=0.5), photo, "instruct")


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_what_is_missing_or_of_no_use_is_said(shelf: Path, photo: Image.Image, mask: Image.Image) -> None:
    model = load(shelf / "sd")
    net, adapter = load(shelf / "sd-canny", "controlnet"), load(shelf / "sd-adapter", "adapter")
    steered = (Control(net, photo),)
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("instruct", {}, "instruct needs an image"),
        ("inpaint", {"image": photo}, "inpaint needs a mask"),
        ("control", {}, "control needs controls"),
        ("control", {"controls": steered, "image": photo}, "control takes no image"),
        ("image-to-image", {"image": photo, "mask": mask}, "image-to-image takes no mask"),
        ("text-to-image", {"controls": steered}, "text-to-image takes no controls"),
        ("control", {"controls": ()}, "at least one control"),
        ("adapter", {"controls": steered}, "takes a T2I-Adapter, and 'sd-canny' is a ControlNet"),
        ("control", {"controls": (Control(adapter, photo),)}, "is a T2I-Adapter"),
        ("control", {"controls": (Control(net, photo, start=0.5, end=0.5),)}, "0 <= start < end <= 1"),
        ("control", {"controls": (Control(net, photo, scale=-1),)}, "scale must be from 0 to 10"),
        ("adapter", {"controls": (Control(adapter, photo, end=0.5),)}, "a T2I-Adapter steers in all steps"),
        ("inpaint", {"image": photo, "mask": mask.resize((48, 32))}, "the mask is 48 x 32 and the photo 96 x 64"),
        ("inpaint", {"image": photo, "mask": Image.new("L", photo.size)}, "the mask marks nothing"),
        ("instruct", {"image": photo}, "instruct needs an instruct-pix2pix model, and this is a text-to-image one"),
    ]
    for task, inputs, words in cases:
        with pytest.raises(EaselError, match=words):
            draw(model, request(task, **inputs))
    with pytest.raises(EaselError, match="text-to-image takes no image_guidance_scale"):
        draw(model, request("text-to-image", asked=Sampling(image_guidance_scale=1.5)))
    with pytest.raises(EaselError, match="text-to-image needs a text-to-image model, and this is an instruct-pix2pix"):
        draw(load(shelf / "sd-instruct", "instruct"), request("text-to-image"))
    with pytest.raises(EaselError, match="which does inpaint"):
        draw(load(shelf / "sd-inpaint", "inpaint"), request("image-to-image", image=photo))


def test_a_model_of_another_role_is_told_apart_as_it_loads(shelf: Path) -> None:
    for name, role, words in (
        ("sd-instruct", "text-to-image", "an instruct-pix2pix model, not text-to-image"),
        ("sd-inpaint", "instruct", "an inpainting model, not instruct"),
        ("eight-instruct", "inpaint", "an instruct-pix2pix model, not inpaint"),
        ("sd", "instruct", "a text-to-image model, not instruct"),
        ("sd-canny", "adapter", "holds ControlNetModel; this role needs a T2I-Adapter"),
        ("sd-adapter", "controlnet", "holds T2IAdapter; this role needs a ControlNet"),
        ("sd", "controlnet", "no folder of a ControlNet"),
    ):
        with pytest.raises(EaselError, match=words):
            load(shelf / name, role)


def test_a_control_for_another_base_is_refused_before_anything_runs(shelf: Path, photo: Image.Image) -> None:
    cases = (
        ("sd", "sdxl-canny", "controlnet", "cross-attention 64 against 32"),
        ("sdxl", "sd-canny", "controlnet", "cross-attention 32 against 64"),
        ("sd", "eight-canny", "controlnet", "8 latent channels against 4"),
    )
    for base, name, method, words in cases:
        with pytest.raises(EaselError, match=f"does not fit this model: made for .*: {words}"):
            draw(load(shelf / base), request("control", controls=(Control(load(shelf / name, method), photo),)))


def test_known_bases_are_called_by_their_names(shelf: Path) -> None:
    sizes = {name: (base.cross_attention, base.widths, base.latent_channels) for name, base in controls.BASES.items()}

    def network(name: str) -> control.ControlNetwork:
        cross, widths, latent = sizes[name]
        config = {"cross_attention_dim": cross, "block_out_channels": widths, "in_channels": latent}
        module = type("Module", (), {"config": type("Config", (), config | {"addition_embed_type": None})})
        return control.ControlNetwork("mine", "controlnet", module)

    base = load(shelf / "sd").pipeline
    config = base.unet.config
    base.unet.register_to_config(cross_attention_dim=768, block_out_channels=(320, 640, 1280, 1280))
    with pytest.raises(EaselError, match=r"made for SDXL, this is SD-1\.5: cross-attention 2048 against 768"):
        control.check_fits(network("SDXL"), base)
    control.check_fits(network("SD-1.5"), base)
    with pytest.raises(EaselError, match=r"made for pocket, this is SD-1\.5"):
        control.check_fits(network("pocket"), base)
    assert config.in_channels == 4


def test_an_adapter_whose_maps_have_another_size_is_refused(shelf: Path, tmp_path: Path, photo: Image.Image) -> None:
    wide = load(tiny.adapter(shelf / "sd", tmp_path / "wide", factor=16), "adapter")
    with pytest.raises(EaselError, match=r"a cell for each \[16, 32\] pixels, and the UNet's \[8, 16\]"):
        draw(load(shelf / "sd"), request("adapter", controls=(Control(wide, photo),)))
    assert wide.multiple == 16


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["diffusers", "original", "bare"])
def test_a_controlnet_in_one_file_is_the_same(shelf: Path, tmp_path: Path, layout: str) -> None:
    file = tiny.controlnet_file(shelf / "sd-canny", tmp_path / "net.safetensors", layout)
    with pytest.raises(EaselError, match=r"is for none of SD-1.5, SD-2.1, SDXL \(cross-attention 32.*--config DIR"):
        load(file, "controlnet")
    one, whole = load(file, "controlnet", config=str(shelf / "sd-canny")), load(shelf / "sd-canny", "controlnet")
    ours, theirs = one.module.state_dict(), whole.module.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    with pytest.raises(EaselError, match="is a ControlNet; this role needs a T2I-Adapter"):
        load(file, "adapter")
    cut = load_file(file)
    del cut[next(name for name in cut if "time_embed" in name)]
    save_file(cut, file)
    with pytest.raises(EaselError, match="lacks 'time_embedding"):
        load(file, "controlnet", config=str(shelf / "sd-canny"))


def test_a_network_in_one_file_is_held_once(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is described without numbers, never made in float32 first, and what it holds is not the file's own pages."""
    built: list[str] = []
    own = diffusers.ControlNetModel.from_config

    def noted(*words: Any, **more: Any) -> Any:
        made = own(*words, **more)
        built.extend(parameter.device.type for parameter in made.parameters())
        return made

    monkeypatch.setattr(diffusers.ControlNetModel, "from_config", noted)
    file = tiny.controlnet_file(shelf / "sd-canny", tmp_path / "net.safetensors")
    module = load(file, "controlnet", config=str(shelf / "sd-canny"), dtype="bfloat16").module
    assert built
    assert set(built) == {"meta"}
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert {(tensor.dtype, tensor.device.type) for tensor in before.values()} == {(torch.bfloat16, "cpu")}
    file.write_bytes(b"\0" * file.stat().st_size)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("layout", ["diffusers", "original"])
@pytest.mark.parametrize("name", ["sd-adapter", "sd-grey-adapter"])
def test_an_adapter_in_one_file_is_the_same(shelf: Path, tmp_path: Path, name: str, layout: str) -> None:
    file = tiny.adapter_file(shelf / name, tmp_path / "net.safetensors", layout)
    ours, theirs = load(file, "adapter").module, load(shelf / name, "adapter").module
    assert {key: ours.config[key] for key in ("in_channels", "num_res_blocks", "downscale_factor", "adapter_type")} == {
        key: theirs.config[key] for key in ("in_channels", "num_res_blocks", "downscale_factor", "adapter_type")
    }
    assert all(torch.equal(value, theirs.state_dict()[key]) for key, value in ours.state_dict().items())
    image = torch.rand(1, ours.config.in_channels, 64, 64)
    assert all(map(torch.equal, ours(image), theirs(image)))


@pytest.mark.parametrize("kind", ["full_adapter", "full_adapter_xl", "light_adapter"])
def test_an_adapters_file_tells_its_kind(tmp_path: Path, kind: str) -> None:
    from diffusers import T2IAdapter

    channels = [8, 16, 24] if kind == "light_adapter" else [8, 16, 24, 24]
    made = T2IAdapter(3, channels, 2, 16 if kind.endswith("xl") else 8, kind)
    save_file(made.state_dict(), tmp_path / "one.safetensors")
    found = load(tmp_path / "one.safetensors", "adapter")
    assert found.module.config.adapter_type == kind
    image = torch.rand(1, 3, 64, 64)
    assert all(map(torch.equal, found.module(image), made(image)))
    assert found.widths == (8, 16, 24, 24)
    assert len(found.module.pixels_a_cell) == 4


@pytest.mark.parametrize("role", ["instruct", "inpaint"])
def test_a_single_file_may_take_more_channels(shelf: Path, tmp_path: Path, photo: Image.Image, role: str) -> None:
    folder = shelf / f"sd-{role}"
    file = tiny.single_file(folder, tmp_path / "one.safetensors")
    configs = tiny.configs(shelf / "sd", tmp_path / "configs")  # those of the base
    more: dict[str, Any] = {"mask": Image.new("L", photo.size, 255)} if role == "inpaint" else {}
    pictures = [
        draw(model, request(role, image=photo, **more))[0]
        for model in (load(file, role, config=str(configs)), load(folder, role))
    ]
    assert far(*pictures) == 0
    with pytest.raises(EaselError, match="model that it was made from"):
        load(file, config=str(configs))


@pytest.mark.parametrize("role", ["controlnet", "adapter", "instruct", "inpaint"])
def test_pickles_are_refused(shelf: Path, tmp_path: Path, role: str) -> None:
    with pytest.raises(EaselError, match="is a pickle"):
        load(tiny.pickle_file(tmp_path / "net.safetensors"), role)
    if role in controls.METHODS:
        folder = tmp_path / "folder"
        shutil.copytree(shelf / ("sd-canny" if role == "controlnet" else "sd-adapter"), folder)
        (folder / "diffusion_pytorch_model.safetensors").rename(folder / "diffusion_pytorch_model.bin")
        with pytest.raises(EaselError, match=r"has only diffusion_pytorch_model.bin, a pickle"):
            load(folder, role)
        (folder / "config.json").unlink()
        with pytest.raises(EaselError, match=r"config\.json is missing"):
            load(folder, role)


def test_the_sizes_of_known_bases_are_those_of_their_controlnets() -> None:
    """361,279,120 numbers has ControlNet for SD-1.5; a file's sizes alone say which configuration it is."""
    from diffusers import ControlNetModel

    counts = {}
    for name, base in controls.BASES.items():
        if not base.controlnet:
            continue
        with torch.device("meta"):
            made = ControlNetModel(**base.controlnet)
        shapes = {key: tuple(value.shape) for key, value in made.state_dict().items()}
        found = control._controlnet_settings(Path("x"), shapes)
        assert found == {"in_channels": 4, **base.controlnet}
        assert controls.base_of(made.config.cross_attention_dim, tuple(made.config.block_out_channels)) == name
        counts[name] = sum(value.numel() for value in made.parameters())
    assert counts["SD-1.5"] == 361_279_120
    assert counts["SDXL"] > 1_200_000_000


def test_an_adapter_is_made_for_any_unet() -> None:
    """Also for pocket, whose first blocks have no attention, and in the layout of SDXL."""
    from diffusers import UNet2DConditionModel

    config = json.loads((tables.PACKAGE / "pocket/weights/diffusion/unet/config.json").read_text(encoding="utf-8"))
    unet = UNet2DConditionModel.from_config(config)
    assert control.pixels_a_cell(unet, 8) == [16, 32, 32]
    made = control.new_adapter(unet, 8)
    assert made.pixels_a_cell == [16, 32, 32]
    residuals = made(torch.rand(1, 3, 64, 64))
    noise, words = torch.randn(1, 8, 8, 8), torch.randn(1, 77, 192)
    steered = unet(noise, 5, words, down_intrablock_additional_residuals=[one.clone() for one in residuals]).sample
    assert steered.shape == noise.shape
    assert not torch.allclose(steered, unet(noise, 5, words).sample)


def test_a_made_adapter_is_stored_and_loaded_with_its_blocks(shelf: Path, tmp_path: Path, photo: Image.Image) -> None:
    base = load(shelf / "eight")
    control.new_adapter(base.pipeline.unet, 8).save_pretrained(tmp_path / "made")
    net = load(tmp_path / "made", "adapter")
    assert net.module.config.pooled_blocks == [False, True]
    assert draw(base, request("adapter", controls=(Control(net, photo),)))[0].size == (96, 64)


# --- the catalogue ----------------------------------------------------------------------------------------------------


def test_every_control_of_the_table_is_in_the_catalogue() -> None:
    for (base, method, kind), word in controls.CONTROLS.items():
        assert base in controls.BASES
        assert kind in maps.KINDS
        assert list(tables.ROWS[word].parts) == [method]
        assert controls.control_for(base, kind, method) == word
    with pytest.raises(EaselError, match="no adapter for 'pose' goes with SDXL: it has canny and depth"):
        controls.control_for("SDXL", "pose", "adapter")
    with pytest.raises(EaselError, match="no controlnet is known for this base"):
        controls.control_for(None, "canny")
    assert load(tables.PACKAGE / "pocket/weights/diffusion").control_for("canny") == "pocket-canny"


def test_an_adapter_with_a_pickle_alone_is_fetched_converted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub
    from huggingface_hub import constants

    class Api:
        def model_info(self, *_: Any, **__: Any) -> Any:
            names = ["config.json", "diffusion_pytorch_model.bin"]
            return type("Info", (), {"siblings": [type("File", (), {"rfilename": name}) for name in names]})

        def get_repo_discussions(self, *_: Any, **__: Any) -> Any:
            talk = {"title": "Adding `safetensors` variant", "status": "open", "git_reference": "refs/pr/2"}
            return iter([type("Talk", (), talk)])

    calls: list[Any] = []
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def snapshot(*_: Any, **more: Any) -> str:
        calls.append(more)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert download.pull("sd-1.5-canny-adapter") == [tmp_path]
    assert calls[0]["allow_patterns"] == ["config.json", "diffusion_pytorch_model.safetensors"]
    assert calls[0]["revision"] == "refs/pr/2"


def test_pocket_has_what_its_row_names_and_what_is_not_here_says_what_to_pull() -> None:
    for role in tables.POCKET:
        assert (locate.find("pocket", role).path.parent / "history.yaml").is_file()
    with pytest.raises(EaselError, match="`easel models pull instruct-pix2pix`"):
        locate.find("instruct-pix2pix", "instruct")
    assert {role for row in tables.ROWS.values() for role in row.parts} == set(tables.ROLES) - {"generator"}


# --- masks and maps ---------------------------------------------------------------------------------------------------


def test_masks(photo: Image.Image, mask: Image.Image) -> None:
    other = photo.rotate(180)
    pasted = np.asarray(masks.paste_back(photo, other, mask))
    assert (pasted[:, :48] == np.asarray(photo)[:, :48]).all()
    assert (pasted[:, 48:] == np.asarray(other)[:, 48:]).all()
    grey = np.asarray(masks.paste_back(photo, other, Image.new("L", photo.size, 128)), dtype=int)
    assert np.abs(grey - (np.asarray(photo, dtype=int) + np.asarray(other, dtype=int)) / 2).max() <= 1.5
    spot = Image.new("L", (96, 64))
    spot.putpixel((17, 9), 255)
    cells = masks.in_latents(spot, (96, 64), 8)
    assert cells.shape == (1, 1, 8, 12)
    assert cells.nonzero().tolist() == [[0, 0, 1, 2]]
    hole = Image.new("RGBA", (96, 64), (255, 255, 255, 0))
    assert masks.levels(hole).getextrema() == (0, 0)
    with pytest.raises(EaselError, match="three sizes"):
        masks.paste_back(photo, other, mask.resize((8, 8)))


def test_edges_are_opencvs(photo: Image.Image) -> None:
    disc = Image.new("RGB", (64, 64), "navy")
    ImageDraw.Draw(disc).ellipse((16, 16, 48, 48), fill="yellow")
    edges = maps.make("canny", disc)
    assert edges.mode == "RGB"
    lit = np.asarray(edges)[..., 0] > 0
    rows, columns = lit.nonzero()
    away = np.hypot(rows - 32, columns - 32)
    assert lit.any()
    assert away.min() > 13
    assert away.max() < 19
    asked = maps.make("canny", photo, low=100, high=200)
    assert (np.asarray(asked)[..., 1] == cv2.Canny(np.asarray(photo.convert("L")), 100, 200)).all()
    assert np.asarray(maps.make("canny", photo, low=20, high=40)).sum() > np.asarray(asked).sum()
    assert np.asarray(maps.make("canny", Image.new("RGB", (32, 32), "black"))).max() == 0
    with pytest.raises(EaselError, match="0 <= low <= high"):
        maps.make("canny", photo, low=300, high=200)


def test_scribbles_follow_dark_lines() -> None:
    drawn = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(drawn).line((0, 32, 63, 32), fill="black", width=3)
    lines = np.asarray(maps.make("scribble", drawn))[..., 0] > 0
    assert lines[31:34].mean() > 0.9
    assert not lines[:20].any()


def test_maps_that_must_be_ready_are_fitted_as_the_photo_is(photo: Image.Image) -> None:
    for kind in ("pose", "segmentation"):
        with pytest.raises(EaselError, match=f"kind '{kind}' is not made from a photo here"):
            maps.make(kind, photo)
    with pytest.raises(EaselError, match="no kind of map called 'lines'"):
        maps.make("lines", photo)
    with pytest.raises(EaselError, match="'scribble' takes no low"):
        maps.make("scribble", photo, low=3)
    with pytest.raises(EaselError, match="needs a model of depth"):
        maps.make("depth", photo)
    ready = Image.new("P", (200, 100), 0)
    ready.putpalette([0, 0, 0, 200, 30, 40])
    ready.paste(1, (100, 0, 200, 100))
    small = maps.fitted(ready, (64, 64), "segmentation")
    assert small.size == (64, 64)
    assert {colour for _, colour in small.getcolors() or []} == {(0, 0, 0), (200, 30, 40)}  # no colours between
    assert small.getpixel((31, 5)) == (0, 0, 0)
    assert small.getpixel((32, 5)) == (200, 30, 40)


@pytest.mark.parametrize("kind", ["dpt", "depth anything"])
def test_depth_is_white_where_things_are_near(tmp_path: Path, photo: Image.Image, kind: str) -> None:
    model = load(tiny.dpt(tmp_path / "depth", kind=kind), "depth")
    near = model.nearness([photo, photo.crop((0, 0, 40, 60))])
    assert [one.shape for one in near] == [(64, 96), (60, 40)]
    for one in near:
        assert (one.min(), one.max()) == (0.0, 1.0)
    shown = maps.make("depth", photo, depth_model=model)
    assert (shown.size, shown.mode) == (photo.size, "RGB")
    with torch.no_grad():
        raw = model._loaded.model(pixel_values=model._loaded.pixels([photo])).predicted_depth[0]
    small = np.asarray(Image.fromarray(near[0]).resize(raw.shape[::-1], Image.Resampling.BILINEAR)).ravel()
    assert np.corrcoef(small, raw.numpy().ravel())[0, 1] > 0.9
    if kind == "dpt":
        with pytest.raises(EaselError, match="this role needs one of DepthAnything"):
            load(tiny.vit(tmp_path / "vit"), "depth")


def test_parts_that_a_folder_leaves_out_come_from_its_base(shelf: Path, photo: Image.Image, tmp_path: Path) -> None:
    whole, bare = shelf / "eight-instruct", tmp_path / "bare"
    bare.mkdir()
    shutil.copytree(whole / "unet", bare / "unet")
    index = json.loads((whole / "model_index.json").read_text())
    left_out = ("vae", "text_encoder", "tokenizer", "scheduler")
    (bare / "model_index.json").write_text(json.dumps(index | {part: [None, None] for part in left_out}))
    with pytest.raises(EaselError, match="names no scheduler"):
        load(bare, "instruct")
    (bare / "easel.json").write_text(json.dumps({"base": str(shelf / "eight"), "image_guidance_scale": 2.0}))
    asked = request("instruct", image=photo)
    kept = replace(asked, sampling=replace(ASKED, image_guidance_scale=2.0))
    [ours], [own] = draw(load(bare, "instruct"), asked), draw(load(whole, "instruct"), kept)
    assert far(ours, own) == 0
    assert has_instruct(str(bare))
    (bare / "easel.json").write_text(json.dumps({"base": 3}))
    with pytest.raises(EaselError, match="'base' must name a model, not 3"):
        load(bare, "instruct")
    (bare / "easel.json").write_text(json.dumps({"base": str(shelf / "nowhere")}))
    with pytest.raises(EaselError, match="nowhere"):
        load(bare, "instruct")
