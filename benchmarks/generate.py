"""easel's generate against a plain call of diffusers' StableDiffusionPipeline: same weights, scheduler, steps, seeds,
number format, memory format (channels last) and pictures at once.

What changes pictures is priced: the perceptual distance, by pocket's own net, from the plain float32 pictures.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.stylize import Ended, shell
from benchmarks.timing import Row, Timed, interleaved, ratio, threads

PROMPT = "a red bird on the beach at sunset"
STEPS = 20
TOGETHER = 4
ROUNDS = 6
EVERY = 2
EXACT = "diffusers, float32, 1 at once"
COMPILED = ("yes", "packed")
"""`--compile` with these words."""

Way = Callable[[int], list[Image.Image]]


def plain(dtype: str) -> Any:
    """The pipeline as anyone would load it."""
    import torch
    from diffusers import StableDiffusionPipeline

    from easel.models.catalog.tables import PACKAGE
    from easel.networks.autoencoder import PixelAutoencoder

    folder, kind = PACKAGE / "pocket" / "weights" / "diffusion", getattr(torch, dtype)
    vae = PixelAutoencoder.from_pretrained(folder / "vae", dtype=kind)
    more = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    pipeline = StableDiffusionPipeline.from_pretrained(folder, vae=vae, dtype=kind, local_files_only=True, **more)
    pipeline.set_progress_bar_config(disable=True)
    for part in (pipeline.unet, pipeline.vae):
        part.to(memory_format=torch.channels_last)
    return pipeline


def theirs(pipeline: Any, scale: float, count: int) -> Way:
    """`count` pictures at once; round i has the seeds i, i + 1, ..."""
    import torch

    def draw(number: int) -> list[Image.Image]:
        seeds = [torch.Generator().manual_seed(number + place) for place in range(count)]
        call = {"num_inference_steps": STEPS, "guidance_scale": scale, "generator": seeds}
        images: list[Image.Image] = pipeline([PROMPT] * count, **call).images
        return images

    return draw


def ours(model: Any, count: int, every: int = 1) -> Way:
    """The same by easel."""
    from easel.models.diffusion import PictureRequest, Sampling

    asked = Sampling(STEPS, guidance_every=every)

    def draw(number: int) -> list[Image.Image]:
        requests = [PictureRequest(PROMPT, number + place, sampling=asked) for place in range(count)]
        return [drawn.image for drawn in model.generate(requests)]

    return draw


def ways() -> dict[str, tuple[int, Way, str]]:
    """Name -> (pictures a call, the call, the name of the peer that does the same work)."""
    from easel import models
    from easel.models.logging import silence

    silence()
    table: dict[str, tuple[int, Way, str]] = {}
    for dtype in ("float32", "bfloat16"):
        model, pipeline = models.load("pocket", "text-to-image", "cpu", dtype), plain(dtype)
        for count in (1, TOGETHER):
            of = f"{dtype}, {count} at once"
            peer = f"diffusers, {of}"
            table[peer] = (count, theirs(pipeline, model.defaults.guidance_scale, count), peer)
            table[f"easel, {of}"] = (count, ours(model, count), peer)
            table[f"easel, {of}, guided every {EVERY}nd"] = (count, ours(model, count, EVERY), peer)
    return table


def compiled(word: str, count: int) -> Way:
    """The same by a model of its own, its UNet compiled ('yes' or 'packed') at the first call."""
    from easel import models

    model = models.load("pocket", "text-to-image", "cpu", "bfloat16")
    model.compiled.turn_on(word)
    return ours(model, count)


def script(out: Path, dtype: str) -> None:
    """What a person writes: load the pipeline, draw TOGETHER pictures one after another, save them."""
    import torch

    pipeline = plain(dtype)
    out.mkdir()
    for seed in range(TOGETHER):
        made = pipeline(PROMPT, num_inference_steps=STEPS, generator=torch.Generator().manual_seed(seed))
        made.images[0].save(out / f"{seed}.png")


def rows(asked: argparse.Namespace) -> list[Row]:
    """Of the one table: drawing in a warm process, one and several at once and compiled, and the whole command."""
    from easel import models
    from easel.models.logging import silence

    silence()
    peer, made = "diffusers' StableDiffusionPipeline, bfloat16", []
    pipeline, model = plain("bfloat16"), models.load("pocket", "text-to-image", "cpu", "bfloat16")
    ways = {}
    for count in (1, TOGETHER):
        ways[f"diffusers {count}"] = theirs(pipeline, model.defaults.guidance_scale, count)
        ways[f"easel {count}"] = ours(model, count)
        for word in COMPILED:
            ways[f"{word} {count}"] = compiled(word, count)
    timed = interleaved(ways, asked.rounds)
    for count, said in ((1, "one picture"), (TOGETHER, f"{TOGETHER} pictures at once")):
        for name, more in (("easel", ""), *((word, f", `--compile {word}`") for word in COMPILED)):
            each = timed[f"diffusers {count}"], timed[f"{name} {count}"]
            limit = "convolutions" if more else "convolutions of both; group norm and SiLU"
            made.append(Row.of(f"generate, {said}, warm{more}", peer, *each, limit))
    ends: dict[str, list[Ended]] = {"script": [], "command": []}
    with tempfile.TemporaryDirectory(prefix="easel-generate-") as name:
        for number in range(asked.rounds):
            ends["script"].append(shell("-m", "benchmarks.generate", "--script", f"{name}/script{number}"))
            words = ["-m", "easel", "generate", PROMPT, "--count", str(TOGETHER), "--seed", "0", "--quiet"]
            words += ["--dtype", "bfloat16", "--out", f"{name}/command{number}"]
            ends["command"].append(shell(*words))
    limit = "imports, and the judge of CLIP-T, which the script has not"
    script, command = (Timed.of(ends[side]) for side in ("script", "command"))
    made.append(
        Row.of(f"`generate --count {TOGETHER}` as a command, cold", f"a script of {peer}", script, command, limit)
    )
    return made


def main(rounds: int = ROUNDS) -> None:
    from easel import models
    from easel.metrics.intervals import mean_interval

    table = ways()
    timed = interleaved({name: draw for name, (_, draw, _) in table.items()}, rounds)
    distance = models.load("pocket", "perceptual", "cpu").distance
    each = {name: [second / table[name][0] for second in found.seconds] for name, found in timed.items()}
    exact = [made[0] for made in timed[EXACT].made]
    print(f"generate on pocket, {STEPS} steps, {threads()}, n={rounds}: seconds a picture, times as fast as diffusers")
    print(f"with the same number format and as many at once, and how far the pictures are from '{EXACT}'")
    for name, seconds in each.items():
        moved = mean_interval(distance(exact, [made[0] for made in timed[name].made]), within=(0.0, math.inf))
        price = f"distance {moved.value:.5f} [{moved.low or 0:.5f}, {moved.high or 0:.5f}]"
        print(f"    {name:<48} {statistics.median(seconds):6.3f} s  {ratio(each[table[name][2]], seconds)}  {price}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--script"]:
        script(Path(sys.argv[2]), "bfloat16")
    else:
        main()
