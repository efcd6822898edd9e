"""easel's generate against a plain call of diffusers' StableDiffusionPipeline: same weights, scheduler, steps, seeds.

What changes pictures is priced: the perceptual distance, by pocket's own net, from the plain float32 pictures.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from PIL import Image

from benchmarks.timing import interleaved, ratio, threads

PROMPT = "a red bird on the beach at sunset"
STEPS = 20
TOGETHER = 4
ROUNDS = 6
EVERY = 2
PEER = "diffusers, float32"

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


def ways() -> dict[str, tuple[int, Way]]:
    """Name -> (pictures a call, the call)."""
    from easel import models
    from easel.models.logging import silence

    silence()
    exact, fast = (models.load("pocket", "text-to-image", "cpu", dtype) for dtype in ("float32", "bfloat16"))
    scale = exact.defaults.guidance_scale
    peers = {dtype: plain(dtype) for dtype in ("float32", "bfloat16")}
    return {
        PEER: (1, theirs(peers["float32"], scale, 1)),
        "diffusers, bfloat16": (1, theirs(peers["bfloat16"], scale, 1)),
        f"diffusers, float32, {TOGETHER} at once": (TOGETHER, theirs(peers["float32"], scale, TOGETHER)),
        "easel, float32 (exact)": (1, ours(exact, 1)),
        "easel, bfloat16": (1, ours(fast, 1)),
        f"easel, bfloat16, guided every {EVERY}nd": (1, ours(fast, 1, EVERY)),
        f"easel, bfloat16, {TOGETHER} at once": (TOGETHER, ours(fast, TOGETHER)),
        f"easel, bfloat16, {TOGETHER} at once, guided every {EVERY}nd": (TOGETHER, ours(fast, TOGETHER, EVERY)),
    }


def main(rounds: int = ROUNDS) -> None:
    from easel import models
    from easel.metrics.intervals import mean_interval

    table = ways()
    timed = interleaved({name: draw for name, (_, draw) in table.items()}, rounds)
    distance = models.load("pocket", "perceptual", "cpu").distance
    each = {name: [second / table[name][0] for second in found.seconds] for name, found in timed.items()}
    plain_ones = [made[0] for made in timed[PEER].made]
    print(
        f"generate on pocket, {STEPS} steps, {threads()}: seconds a picture, times as fast as {PEER}, and what it costs"
    )
    for name, seconds in each.items():
        moved = mean_interval(distance(plain_ones, [made[0] for made in timed[name].made]))
        price = f"distance {moved.value:.5f} [{moved.low or 0:.5f}, {moved.high or 0:.5f}]"
        print(f"    {name:<48} {statistics.median(seconds):6.3f} s  {ratio(each[PEER], seconds)}  {price}")


if __name__ == "__main__":
    main()
