"""Every way to edit at Stable Diffusion 1.5's full size (random weights, `benchmarks.sd15`), by easel and by plain
diffusers set up as well: same weights, number format, memory format (channels last), scheduler, steps, noise.

Each drawing has a process of its own, so that its peak memory is its own; easel and diffusers take turns. A step is the
time from one answer of the UNet to the next, the first left out; speeds are compared by processor seconds, which other
work on the machine bends less. In bfloat16 easel keeps latents in float32 between steps and diffusers does not, so
whether they draw the same picture is asked in float32 (`--dtype float32 --steps 2 --side 256`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from PIL import Image, ImageFilter

from benchmarks import sd15
from benchmarks.stylize import gigabytes
from benchmarks.timing import ratio, threads

PHOTO = Path(__file__).parent.parent / "examples" / "photo.jpg"
PROMPT, NEGATIVE = "make it night", "a sunny day"
SCALE, IMAGE_SCALE, STRENGTH = 7.5, 1.5, 0.8
SEED = 7
STEPS, ROUNDS = 4, 2
SIDES = ("easel", "diffusers")


class Method(NamedTuple):
    """A way to edit: easel's task and role, diffusers' class, the model, and the network that steers with its role."""

    task: str
    pipeline: str
    model: str = "sd-1.5"
    network: str = ""
    role: str = ""


METHODS = {
    "redraw": Method("image-to-image", "StableDiffusionImg2ImgPipeline"),
    "inpaint, 4 channels": Method("inpaint", "StableDiffusionInpaintPipeline"),
    "inpaint, 9 channels": Method("inpaint", "StableDiffusionInpaintPipeline", "sd-1.5-inpaint"),
    "instruct": Method("instruct", "StableDiffusionInstructPix2PixPipeline", "sd-1.5-instruct"),
    "canny": Method("control", "StableDiffusionControlNetPipeline", network="canny", role="controlnet"),
    "depth": Method("control", "StableDiffusionControlNetPipeline", network="depth", role="controlnet"),
    "adapter-canny": Method("adapter", "StableDiffusionAdapterPipeline", network="canny-adapter", role="adapter"),
    "canny, single files": Method(
        "control", "StableDiffusionControlNetPipeline", "sd-1.5.safetensors", "canny.safetensors", "controlnet"
    ),
}
COMMAND = "easel edit"
"""The whole command, by the ControlNet of edges, on a photo of 12 million pixels."""


class Setup(NamedTuple):
    """What both sides are told."""

    folder: Path
    dtype: str
    steps: int
    side: int


# --- a drawing, in a process of its own -------------------------------------------------------------------------------


def shown(method: Method, side: int) -> dict[str, Image.Image]:
    """What a method is shown: the photo, a mask of its right half, the map of its edges or of its depth."""
    from easel.models.diffusion import maps

    photo = Image.open(PHOTO).convert("RGB").resize((side, side))
    if method.task in ("image-to-image", "instruct"):
        return {"image": photo}
    if method.task == "inpaint":
        mask = Image.new("L", photo.size)
        mask.paste(255, (side // 2, 0, side, side))
        return {"image": photo, "mask": mask}
    if "depth" in method.network:
        return {"map": photo.convert("L").filter(ImageFilter.GaussianBlur(side / 32)).convert("RGB")}
    return {"map": maps.canny(photo)}


Draw = Callable[[], Image.Image]


def easel(method: Method, setup: Setup) -> tuple[Draw, Any]:
    """The call that draws, and the UNet."""
    from easel import models
    from easel.models.diffusion import Control, PictureRequest, Sampling, tasks

    path, side = setup.folder / method.model, setup.side
    inputs: dict[str, Any] = dict(shown(method, side))
    config = str(setup.folder / "sd-1.5") if path.is_file() else None
    model = models.load(str(path), tasks.TASKS[method.task].role, "cpu", setup.dtype, config=config)
    steered = None
    if method.network:
        role: Any = method.role
        network = models.load(str(setup.folder / method.network), role, "cpu", setup.dtype)
        steered = (Control(network, inputs.pop("map")),)
    asked = Sampling(setup.steps, SCALE, "ddim", side, side)
    if method.task == "image-to-image":
        asked = replace(asked, strength=STRENGTH)
    if method.task == "instruct":
        asked = replace(asked, image_guidance_scale=IMAGE_SCALE)
    one = PictureRequest(PROMPT, SEED, NEGATIVE, asked, method.task, controls=steered, **inputs)
    return lambda: next(iter(model.generate([one]))).image, model.pipeline.unet


def diffusers(method: Method, setup: Setup) -> tuple[Draw, Any]:
    """The same by diffusers' own pipeline, as its documentation has it."""
    import torch
    from diffusers import DDIMScheduler

    pipeline, inputs = _pipeline(method, setup), shown(method, setup.side)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    for part in (pipeline.unet, pipeline.vae):
        part.to(memory_format=torch.channels_last)
    size = {"width": setup.side, "height": setup.side}
    settings: dict[str, dict[str, Any]] = {
        "image-to-image": {"strength": STRENGTH},
        "instruct": {"image_guidance_scale": IMAGE_SCALE},
        "inpaint": {"strength": 1.0, **size},
        "control": size,
        "adapter": size,
    }
    call = dict(settings[method.task])
    if method.network:
        call["image"] = inputs["map"] if method.task == "control" else inputs["map"].convert("L")
    else:
        call["image"] = inputs["image"]
    if "mask" in inputs:
        call["mask_image"] = inputs["mask"]

    def draw() -> Image.Image:
        noise = torch.Generator().manual_seed(SEED)
        more = {"num_inference_steps": setup.steps, "guidance_scale": SCALE, "generator": noise}
        with alike(pipeline):
            image: Image.Image = pipeline(PROMPT, negative_prompt=NEGATIVE, **more, **call).images[0]
        return image

    return draw, pipeline.unet


def _pipeline(method: Method, setup: Setup) -> Any:
    """From folders or from single files, with nothing of ours."""
    import diffusers as library
    import torch

    path, kind = setup.folder / method.model, getattr(library, method.pipeline)
    common = {"dtype": getattr(torch, setup.dtype), "local_files_only": True}
    here = {"variant": "fp16", **common}
    parts: dict[str, Any] = {"safety_checker": None, "feature_extractor": None}
    network = setup.folder / method.network
    if method.task == "control":
        net = library.ControlNetModel
        parts["controlnet"] = (
            net.from_single_file(str(network), config=str(setup.folder / "canny"), **common)
            if network.is_file()
            else net.from_pretrained(network, **here)
        )
    if method.task == "adapter":
        parts["adapter"] = library.T2IAdapter.from_pretrained(network, **here)
    if path.is_file():
        return kind.from_single_file(str(path), config=str(setup.folder / "sd-1.5"), **common, **parts)
    return kind.from_pretrained(path, requires_safety_checker=False, **here, **parts)


@contextmanager
def alike(pipeline: Any) -> Iterator[None]:
    """Until the block ends, diffusers takes the mean of a photo's latents, as easel does, and draws a seed's noise in
    float32, whatever the model computes in: both sides start from the same numbers.
    """
    import torch
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    def noise(shape: Any, generator: Any = None, dtype: Any = None, **_more: Any) -> Any:
        return torch.randn(shape, generator=generator).to(dtype)

    def mean(latents: Any, generator: Any = None) -> Any:  # noqa: ARG001 - diffusers' own name
        return latents.mode()

    module = sys.modules[type(pipeline).__module__]
    with patch.object(DiagonalGaussianDistribution, "sample", mean), patch.object(module, "randn_tensor", noise):
        yield


def draw_once(side: str, name: str, setup: Setup, out: Path) -> dict[str, Any]:
    """Draw, save the picture to `out`, and say what it took: seconds and processor seconds of each step but the first,
    and gigabytes at most after loading and in all.
    """
    import torch

    from easel.models.logging import silence

    silence()
    draw, unet = {"easel": easel, "diffusers": diffusers}[side](METHODS[name], setup)
    loaded = peak()
    answered: list[tuple[float, float]] = []
    unet.register_forward_hook(lambda *_: answered.append((time.perf_counter(), time.process_time())))
    with torch.no_grad():
        draw().save(out)
    pairs = list(itertools.pairwise(answered))
    seconds, work = ([after[i] - before[i] for before, after in pairs] for i in (0, 1))
    return {"seconds": seconds, "work": work, "loaded": loaded, "peak": peak()}


def whole_command(setup: Setup, out: Path) -> dict[str, Any]:
    """`easel edit` of a photo of 12 million pixels, with its scores: seconds in all, and gigabytes at most."""
    import easel as package

    photo = out.with_suffix(".jpg")
    Image.open(PHOTO).convert("RGB").resize((4000, 3000)).save(photo)
    begun = time.perf_counter()
    package.edit(
        photo, "a room at night", method="canny", model=str(setup.folder / "sd-1.5"), steps=setup.steps, seed=SEED,
        control_model=str(setup.folder / "canny"), scheduler="ddim", out=out.with_suffix(""), dtype=setup.dtype,
    )  # fmt: skip
    return {"seconds": time.perf_counter() - begun, "peak": peak()}


def peak() -> float:
    """Gigabytes of this process's memory at most until now."""
    return gigabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


# --- the table --------------------------------------------------------------------------------------------------------


def child(*words: str) -> dict[str, Any]:
    """What this module prints in a process of its own, as its last line. RuntimeError with what it said on failing."""
    asleep = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}  # threads that wait for each other do not count as work
    words = (sys.executable, "-m", "benchmarks.fullsize", *words)
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=asleep)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class Apart(NamedTuple):
    """How far two pictures lie apart, in levels."""

    most: int
    mean: float


def far(one: Image.Image, other: Image.Image) -> Apart:
    """Of two pictures of one size."""
    import numpy as np

    apart = np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int))
    return Apart(int(apart.max()), float(apart.mean()))


def row(name: str, taken: dict[str, list[dict[str, Any]]], apart: Apart) -> str:
    """A row of the table."""
    seconds, work = (
        {side: [step for one in found for step in one[clock]] for side, found in taken.items()}
        for clock in ("seconds", "work")
    )
    most = {side: max(one["peak"] for one in found) for side, found in taken.items()}
    loading = {side: max(one["loaded"] for one in found) for side, found in taken.items()}
    columns = [
        name,
        *(f"{statistics.median(seconds[side]):.1f} ({statistics.median(work[side]):.1f})" for side in SIDES),
        str(ratio(work["diffusers"], work["easel"])),
        *(f"{most[side]:.2f} ({loading[side]:.2f})" for side in SIDES),
        f"{most['easel'] / most['diffusers']:.2f}",
        f"{apart.most} ({apart.mean:.2f})",
    ]
    return f"| {' | '.join(columns)} |"


def table(names: list[str], setup: Setup, rounds: int, room: Path) -> None:
    """Print a row a method, easel and diffusers taking turns, and the whole command last. `room` is for pictures."""
    told = ["--folder", str(setup.folder), "--dtype", setup.dtype, "--steps", str(setup.steps)]
    told += ["--side", str(setup.side), "--draw"]
    print(
        f"{setup.side} px, {setup.dtype}, {threads()}, {setup.steps} steps of which the first is not counted, ", end=""
    )
    print(f"{rounds} rounds; n = steps; (processor seconds); 'times as fast' is of those; apart in levels, most (mean)")
    print("| method | s a step: easel | diffusers | times as fast | GB (loading): easel | diffusers | ratio | apart |")
    print("|---|---|---|---|---|---|---|---|")
    for number, name in enumerate(names):
        pictures = {side: room / f"{number}-{side}.png" for side in SIDES}
        if name == COMMAND:
            found = child(*told, "easel", name, str(pictures["easel"]))
            print(
                f"`{COMMAND}` of 12 MP by canny, scores and all: {found['seconds']:.0f} s, peak {found['peak']:.2f} GB"
            )
            continue
        taken: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
        for _ in range(rounds):
            for side in SIDES:
                taken[side].append(child(*told, side, name, str(pictures[side])))
        apart = far(Image.open(pictures["easel"]), Image.open(pictures["diffusers"]))
        print(row(name, taken, apart), flush=True)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks fullsize")
    parser.add_argument("--folder", type=Path, help="where the weights lie, or are made and kept (10 GB)")
    parser.add_argument("--methods", nargs="+", default=[*METHODS, COMMAND], choices=[*METHODS, COMMAND])
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--side", type=int, default=512, help="pixels")
    parser.add_argument("--draw", nargs=3, metavar=("SIDE", "METHOD", "FILE"), help="one drawing, in this process")
    parser.add_argument("--make", action="store_true", help="the weights alone, in this process")
    wish = parser.parse_args(words)
    if wish.make:
        print(json.dumps(sd15.make(wish.folder)))
        return
    with tempfile.TemporaryDirectory(prefix="easel-fullsize-") as name:
        folder = wish.folder or Path(name) / "weights"
        setup = Setup(folder, wish.dtype, wish.steps, wish.side)
        if wish.draw:
            side, method, file = wish.draw
            done = whole_command(setup, Path(file)) if method == COMMAND else draw_once(side, method, setup, Path(file))
            print(json.dumps(done))
            return
        if not (folder / "sd-1.5").is_dir():
            made = child("--make", "--folder", str(folder))
            print("numbers: " + ", ".join(f"{part} {count / 1e6:.0f} M" for part, count in made.items()), flush=True)
        table(wish.methods, setup, wish.rounds, Path(name))


if __name__ == "__main__":
    main()
