"""Stable Diffusion 1.5's shapes with random weights, on a GPU: steps a second of plain diffusers, compiled, and easel.

Without a GPU it says so and stops; `tiny` proves the way on a CPU. Pictures of random weights mean nothing, times do.
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.timing import interleaved, ratio

STEPS = 20
SIDE = 512
BATCHES = (1, 4)
ROUNDS = 4
PROMPT = "a red bird on the beach at sunset"
SCALE = 7.5


def random_pipeline(device: str, *, tiny: bool = False) -> Any:
    """A StableDiffusionPipeline of SD-1.5's shapes (860 million in the UNet), or a hundredth of them, in half precision
    on a GPU. The words are pocket's: the tokenizer costs nothing here.
    """
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    from easel.models.catalog.tables import PACKAGE

    torch.manual_seed(0)
    width = 32 if tiny else 320
    tokenizer = CLIPTokenizer.from_pretrained(
        PACKAGE / "pocket" / "weights" / "diffusion" / "tokenizer", local_files_only=True
    )
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=64 if tiny else 768, intermediate_size=128 if tiny else 3072,
        num_hidden_layers=2 if tiny else 12, num_attention_heads=4 if tiny else 12,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8 if tiny else SIDE // 8,
        block_out_channels=(width, 2 * width, 4 * width, 4 * width),
        cross_attention_dim=text.hidden_size,
        attention_head_dim=8,
    )
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 32, 32) if tiny else (128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1 if tiny else 2,
        latent_channels=4,
        scaling_factor=0.18215,
    )
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip
    parts = {"unet": unet, "vae": vae, "text_encoder": CLIPTextModel(text), "tokenizer": tokenizer}
    more = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    pipeline = StableDiffusionPipeline(scheduler=scheduler, **parts, **more)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device, torch.float16 if device.startswith("cuda") else torch.float32)


def theirs(pipeline: Any, count: int, steps: int, side: int) -> Callable[[int], Any]:
    import torch

    def draw(number: int) -> Any:
        seeds = [torch.Generator().manual_seed(number + place) for place in range(count)]
        call = {"num_inference_steps": steps, "guidance_scale": SCALE, "width": side, "height": side}
        return pipeline([PROMPT] * count, generator=seeds, **call).images

    return draw


def ours(model: Any, count: int, steps: int, side: int, every: int = 1) -> Callable[[int], Any]:
    from easel.models.diffusion import PictureRequest, Sampling

    asked = Sampling(steps, SCALE, "ddim", side, side, guidance_every=every)

    def draw(number: int) -> Any:
        requests = [PictureRequest(PROMPT, number + place, sampling=asked) for place in range(count)]
        return [drawn.image for drawn in model.generate(requests)]

    return draw


def ways(device: str, count: int, *, tiny: bool = False) -> dict[str, Callable[[int], Any]]:
    """Name -> the call, for batches of `count`; each way has weights of its own, since easel lays them out anew."""
    import torch

    from easel.models.catalog.locate import LocatedModel
    from easel.models.diffusion import Diffusion

    steps, side = (3, 64) if tiny else (STEPS, SIDE)
    plain = random_pipeline(device, tiny=tiny)
    model = Diffusion(copy.deepcopy(plain), LocatedModel(Path("random"), "random"), torch.device(device))
    table = {"diffusers": theirs(plain, count, steps, side)}
    if not tiny:
        compiled = copy.deepcopy(plain)
        compiled.unet = torch.compile(compiled.unet)
        table["diffusers, UNet compiled"] = theirs(compiled, count, steps, side)
    table["easel"] = ours(model, count, steps, side)
    table["easel, guided every 2nd"] = ours(model, count, steps, side, 2)
    return table


def main(rounds: int = ROUNDS) -> None:
    import torch

    if not torch.cuda.is_available():
        print("Stable Diffusion 1.5's shapes: no CUDA GPU here, nothing measured")
        return
    print(f"Stable Diffusion 1.5's shapes, random weights, {SIDE} px, {STEPS} steps, {torch.cuda.get_device_name()}")
    for count in BATCHES:
        timed = interleaved(ways("cuda", count), rounds)
        for name, found in timed.items():
            speed = count * STEPS / statistics.median(found.seconds)
            words = f"{speed:7.1f} picture-steps a second  {ratio(timed['diffusers'].seconds, found.seconds)}"
            print(f"    batch {count}  {name:<26} {words}")
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
