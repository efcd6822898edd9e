"""`easel edit` by instruction and by the ControlNet of edges, against plain diffusers set up as well: same checkpoint,
photos, scheduler, steps, seeds, number format and memory format (channels last).

Twice: the drawing alone, in one process in turns; and from a cold shell to saved pictures, where easel also scores
every edit and diffusers' script does not. Without folders the checkpoint is pocket's UNet with random weights for what
it has not learned: eight channels more at its entry, and a ControlNet from its lower half.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from benchmarks.fullsize import alike, far
from benchmarks.stylize import shell
from benchmarks.timing import Row, Timed, interleaved, ratio, threads

PHOTO = Path(__file__).parent.parent / "examples" / "photo.jpg"
PHOTOS = 8
STEPS, ROUNDS = 20, 4
SCALE, IMAGE_SCALE = 4.0, 1.5
LOW, HIGH = 100, 200
"""Canny's thresholds."""
AUTO = "bfloat16"
"""What `--dtype auto` takes on a CPU that has it."""
PROMPTS = {"instruct": "make it night", "canny": "a cat at night"}
CLASSES = {
    "instruct": "StableDiffusionInstructPix2PixPipeline",
    "canny": "StableDiffusionControlNetPipeline",
}


class Models(NamedTuple):
    """Folders of a model that is steered, of one that edits by instruction, and of a ControlNet of edges."""

    base: Path
    instruct: Path
    canny: Path


def built(folder: Path, base: Path) -> Models:
    """Models for a base, with random weights where it has none: the photo's channels and a ControlNet's last
    convolutions are small, so that both say something.
    """
    import torch
    from diffusers import ControlNetModel, UNet2DConditionModel

    made = Models(base, folder / "instruct", folder / "canny")
    shutil.copytree(base, made.instruct)
    plain = UNet2DConditionModel.from_pretrained(base / "unet", dtype=torch.float32)
    wide = UNet2DConditionModel.from_config({**plain.config, "in_channels": 2 * plain.config.in_channels})
    torch.manual_seed(0)
    weights = plain.state_dict()
    first = weights["conv_in.weight"]
    weights["conv_in.weight"] = torch.cat([first, 0.1 * torch.randn_like(first) * first.std()], dim=1)
    wide.load_state_dict(weights)
    shutil.rmtree(made.instruct / "unet")
    wide.save_pretrained(made.instruct / "unet")
    control = ControlNetModel.from_unet(plain)
    for name, weight in control.named_parameters():
        if name.startswith(("controlnet_down", "controlnet_mid", "controlnet_cond_embedding.conv_out")):
            torch.nn.init.normal_(weight, std=0.02)
    control.save_pretrained(made.canny)
    return made


def photos(folder: Path) -> Path:
    """A folder with windows of the example photo, for who names no photos."""
    folder.mkdir()
    whole = Image.open(PHOTO).convert("RGB")
    width, height = (side * 3 // 4 for side in whole.size)
    for number in range(PHOTOS):
        left, top = (whole.width - width) * (number % 4) // 3, (whole.height - height) * (number // 4)
        whole.crop((left, top, left + width, top + height)).save(folder / f"{number}.png")
    return folder


# --- plain diffusers --------------------------------------------------------------------------------------------------


def plain(method: str, models: Models, dtype: str) -> Any:
    """The pipeline as anyone would load it."""
    import diffusers
    import torch

    from easel.networks.autoencoder import PixelAutoencoder

    folder = models.instruct if method == "instruct" else models.base
    kind = getattr(torch, dtype)
    parts: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    if json.loads((folder / "vae" / "config.json").read_text(encoding="utf-8"))["_class_name"] == "PixelAutoencoder":
        parts["vae"] = PixelAutoencoder.from_pretrained(folder / "vae", dtype=kind)
    if method == "canny":
        parts["controlnet"] = diffusers.ControlNetModel.from_pretrained(models.canny, dtype=kind)
    wanted = getattr(diffusers, CLASSES[method])
    pipeline = wanted.from_pretrained(folder, dtype=kind, local_files_only=True, **parts)
    pipeline.scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    for part in (pipeline.unet, pipeline.vae):
        part.to(memory_format=torch.channels_last)
    return pipeline


def by_diffusers(pipeline: Any, method: str, photo: Image.Image, seed: int, steps: int) -> Image.Image:
    """One edit of a photo that has the size of what is drawn."""
    import torch

    call: dict[str, Any] = {"image": photo, "image_guidance_scale": IMAGE_SCALE}
    if method == "canny":
        edges = cv2.Canny(np.asarray(photo.convert("L")), LOW, HIGH)
        call = {"image": Image.fromarray(np.stack([edges] * 3, axis=2)), "width": photo.width, "height": photo.height}
    more = {"num_inference_steps": steps, "guidance_scale": SCALE, "generator": torch.Generator().manual_seed(seed)}
    with alike(pipeline):
        image: Image.Image = pipeline(PROMPTS[method], negative_prompt="", **more, **call).images[0]
    return image


def script(method: str, models: Models, folder: Path, out: Path, dtype: str, steps: int) -> None:
    """What a person writes: open each photo, bring it to the model's size, edit it, bring it back, save it."""
    pipeline = plain(method, models, dtype)
    side = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
    out.mkdir()
    for path in sorted(folder.iterdir()):
        photo = Image.open(path).convert("RGB")
        edit = by_diffusers(pipeline, method, fitted(photo, side), 1, steps)
        edit.resize(photo.size, Image.Resampling.LANCZOS).save(out / f"{path.stem}.png")


def fitted(photo: Image.Image, side: int) -> Image.Image:
    """A photo whose shorter side is `side`, the other a multiple of 8."""
    scale = side / min(photo.size)
    width, height = (round(length * scale / 8) * 8 for length in photo.size)
    return photo.resize((width, height), Image.Resampling.LANCZOS)


# --- easel ------------------------------------------------------------------------------------------------------------


def by_easel(model: Any, network: Any, method: str, photo: Image.Image, seed: int, steps: int) -> Image.Image:
    """The same by a loaded model, and a ControlNet for `canny`."""
    from easel.models.diffusion import Control, PictureRequest, Sampling, maps

    asked, task = Sampling(steps, SCALE, "ddim"), "control"
    inputs: dict[str, Any] = {}
    if method == "canny":
        inputs["controls"] = (Control(network, maps.canny(photo, LOW, HIGH)),)
    else:
        asked, task, inputs["image"] = replace(asked, image_guidance_scale=IMAGE_SCALE), "instruct", photo
    one = PictureRequest(PROMPTS[method], seed, sampling=asked, task=task, **inputs)
    image: Image.Image = next(iter(model.generate([one]))).image
    return image


def loaded(method: str, models: Models, dtype: str) -> tuple[Any, Any]:
    """The model, and what steers it."""
    from easel.models import load

    if method == "instruct":
        return load(str(models.instruct), "instruct", "cpu", dtype), None
    return load(str(models.base), "text-to-image", "cpu", dtype), load(str(models.canny), "controlnet", "cpu", dtype)


def command(method: str, models: Models, folder: Path, out: Path, dtype: str, steps: int) -> list[str]:
    """`easel edit` as a person types it."""
    model = models.instruct if method == "instruct" else models.base
    words = ["-m", "easel", "edit", str(folder), PROMPTS[method], "--method", method, "--model", str(model)]
    words += ["--steps", str(steps), "--scheduler", "ddim", "--guidance-scale", str(SCALE), "--dtype", dtype]
    words += ["--caption", "a cat", "--keep-details", "no", "--seed", "1", "--out", str(out), "--quiet"]
    if method == "canny":
        words += ["--control-model", str(models.canny), "--canny-low", str(LOW), "--canny-high", str(HIGH)]
    return words


# --- the tables -------------------------------------------------------------------------------------------------------


def taken(method: str, models: Models, folder: Path, dtype: str, steps: int, rounds: int) -> tuple[Timed, Timed, int]:
    """What diffusers and easel take for all photos in a warm process, round by round, and how many photos."""
    pipeline, (model, network) = plain(method, models, dtype), loaded(method, models, dtype)
    shown = [fitted(Image.open(path).convert("RGB"), min(model.default_size)) for path in sorted(folder.iterdir())]
    ways: dict[str, Callable[[int], list[Image.Image]]] = {
        "diffusers": lambda seed: [by_diffusers(pipeline, method, photo, seed, steps) for photo in shown],
        "easel": lambda seed: [by_easel(model, network, method, photo, seed, steps) for photo in shown],
    }
    timed = interleaved(ways, rounds)
    return timed["diffusers"], timed["easel"], len(shown)


def drawing(method: str, models: Models, folder: Path, dtype: str, steps: int, rounds: int) -> None:
    """Print how fast all photos are edited in a warm process, and how far the pictures lie apart."""
    theirs, ours, count = taken(method, models, folder, dtype, steps, rounds)
    apart = max(far(one, other).most for one, other in zip(ours.made[0], theirs.made[0], strict=True))
    each = [statistics.median(found.work) / count for found in (ours, theirs)]
    print(f"    {method:<9} {dtype:<9} drawing  {ratio(theirs.work, ours.work)}  ", end="")
    print(f"{each[0]:.2f} s a photo, diffusers {each[1]:.2f}; pictures at most {apart} levels apart", flush=True)


def rows(asked: argparse.Namespace) -> list[Row]:
    """Of the one table: edits by instruction and by edges, the drawing alone, of pocket's size."""
    from easel.models.catalog.tables import PACKAGE
    from easel.models.logging import silence

    silence()
    made = []
    with tempfile.TemporaryDirectory(prefix="easel-edit-") as name:
        models, folder = built(Path(name), PACKAGE / "pocket" / "weights" / "diffusion"), photos(Path(name) / "photos")
        for path in sorted(folder.iterdir())[2:]:
            path.unlink()
        for method, kind in CLASSES.items():
            theirs, ours, count = taken(method, models, folder, AUTO, STEPS, asked.rounds)
            work = f"edit by {method}, {count} photos, warm"
            made.append(Row.of(work, f"diffusers' {kind}, {AUTO}", theirs, ours, "convolutions of both"))
    return made


def cold(method: str, models: Models, folder: Path, steps: int, rounds: int, room: Path) -> None:
    """Print how fast all photos are edited from a cold shell to files, and what easel did besides."""
    work: dict[str, list[float]] = {"diffusers": [], "easel": []}
    phases: list[dict[str, float]] = []
    for number in range(rounds):
        outs = {name: room / f"{method}-{number}-{name}" for name in work}
        told = [*map(str, models), method, str(folder), str(outs["diffusers"]), AUTO, str(steps)]
        work["diffusers"].append(shell("-m", "benchmarks.edit", "--script", *told).work)
        work["easel"].append(shell(*command(method, models, folder, outs["easel"], AUTO, steps)).work)
        phases.append(json.loads((outs["easel"] / "result.json").read_text(encoding="utf-8"))["seconds"])
    each = {name: statistics.median(found) for name, found in work.items()}
    print(f"    {method:<9} {AUTO:<9} command  {ratio(work['diffusers'], work['easel'])}  ", end="")
    print(f"{each['easel']:.1f} s, diffusers {each['diffusers']:.1f}; easel's phases by the clock: ", end="")
    print(", ".join(f"{name} {statistics.median(one[name] for one in phases):.1f}" for name in phases[0]), flush=True)


def main(words: list[str] | None = None) -> None:
    from easel.models.catalog.tables import PACKAGE
    from easel.models.logging import silence

    silence()
    parser = argparse.ArgumentParser(prog="python -m benchmarks edit")
    pocket = PACKAGE / "pocket" / "weights" / "diffusion"
    parser.add_argument("--model", type=Path, default=pocket, help="diffusers folder of the model that is steered")
    parser.add_argument("--instruct", type=Path, help="diffusers folder of a model that edits by instruction")
    parser.add_argument("--canny", type=Path, help="folder of a ControlNet for --model")
    parser.add_argument("--photos", type=Path, help="folder of photos")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--script", nargs=8, help=argparse.SUPPRESS)
    wish = parser.parse_args(words)
    if wish.script:
        *paths, method, folder, out, dtype, steps = wish.script
        script(method, Models(*map(Path, paths)), Path(folder), Path(out), dtype, int(steps))
        return
    with tempfile.TemporaryDirectory(prefix="easel-edit-") as name:
        room = Path(name)
        made = built(room, wish.model)
        models = Models(wish.model, wish.instruct or made.instruct, wish.canny or made.canny)
        folder = wish.photos or photos(room / "photos")
        count = len(list(folder.iterdir()))
        print(f"edit of {count} photos, {wish.steps} steps, {threads()}, n = rounds: times as fast as plain ", end="")
        print("diffusers, by processor seconds")
        for method in PROMPTS:
            for dtype in (AUTO, "float32"):
                drawing(method, models, folder, dtype, wish.steps, wish.rounds)
            cold(method, models, folder, wish.steps, wish.rounds, room)


if __name__ == "__main__":
    main()
