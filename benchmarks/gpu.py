"""Stable Diffusion 1.5's shapes with random weights, on a GPU: steps a second of plain diffusers, compiled, and easel.

    python -m benchmarks gpu [--dreambooth PATH] [--stylegan PATH] [--minutes 14] | --tiny

One script for a quarter of an hour on one GPU: FID's Inception, a DreamBooth-LoRA step beside diffusers' script and
StyleGAN beside stylegan2-ada where their paths are given, and then the drawing: picture-steps a second, the share of
what the device does in one large product, and how far the pictures are from plain diffusers'. Without a GPU it says so
and stops; `--tiny` proves the way on a CPU. Pictures of random weights mean nothing, times do.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.fullsize import far
from benchmarks.timing import Row, interleaved, ratio

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


def ours(
    model: Any, count: int, steps: int, side: int, every: int = 1, fast: tuple[str, ...] = ()
) -> Callable[[int], Any]:
    from easel.models.diffusion import PictureRequest, Sampling

    asked = Sampling(steps, SCALE, "ddim", side, side, guidance_every=every, fast=fast)

    def draw(number: int) -> Any:
        requests = [PictureRequest(PROMPT, number + place, sampling=asked) for place in range(count)]
        return [drawn.image for drawn in model.generate(requests)]

    return draw


def ways(device: str, count: int, *, tiny: bool = False, compiling: bool = True) -> dict[str, Callable[[int], Any]]:
    """Name -> the call, for batches of `count`; each way has weights of its own, since easel lays them out anew.

    All but those that are guided every 2nd or take shortcuts draw the same pictures. The peer has what makes it fast
    too: channels last, fused QKV and torch.compile, with and without CUDA graphs. Attention is torch's own
    scaled_dot_product_attention (flash, where it fits) in all.
    """
    import torch

    from easel.models.catalog.locate import LocatedModel
    from easel.models.diffusion import Diffusion

    steps, side = (3, 64) if tiny else (STEPS, SIDE)
    plain = random_pipeline(device, tiny=tiny)

    def peer(mode: str = "") -> Callable[[int], Any]:
        pipeline = copy.deepcopy(plain)
        pipeline.unet.to(memory_format=torch.channels_last)
        pipeline.vae.to(memory_format=torch.channels_last)
        pipeline.unet.fuse_qkv_projections()
        if mode:
            pipeline.unet = torch.compile(pipeline.unet, mode=mode)
        return theirs(pipeline, count, steps, side)

    def easel(every: int = 1, *, compiled: str = "", fast: tuple[str, ...] = ()) -> Callable[[int], Any]:
        model = Diffusion(copy.deepcopy(plain), LocatedModel(Path("random"), "random"), torch.device(device))
        if compiled:
            model.compiled.turn_on(compiled)
        return ours(model, count, steps, side, every, fast)

    table = {"diffusers": theirs(plain, count, steps, side), "diffusers, channels last, fused QKV": peer()}
    if compiling:
        table["diffusers, the same, max-autotune-no-cudagraphs"] = peer("max-autotune-no-cudagraphs")
        table["diffusers, the same, reduce-overhead"] = peer("reduce-overhead")
    table["easel"] = easel()
    if compiling:
        table["easel, compiled"] = easel(compiled="yes")
        table["easel, compiled and packed"] = easel(compiled="packed")
    table["easel, guided every 2nd"] = easel(2)
    if compiling:
        table["easel, compiled, --fast all"] = easel(compiled="yes", fast=("interval", "cache", "steps"))
    return table


def work_of(device: str, count: int, *, tiny: bool = False) -> float:
    """Floating-point operations of one step of the UNet, both halves of guidance, for so many pictures."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    unet = random_pipeline(device, tiny=tiny).unet
    side, config = (64 if tiny else SIDE) // 8, unet.config
    x = torch.zeros(2 * count, config.in_channels, side, side, device=device, dtype=unet.dtype)
    words = torch.zeros(2 * count, 77, config.cross_attention_dim, device=device, dtype=unet.dtype)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        unet(x, torch.tensor(1, device=device), encoder_hidden_states=words, return_dict=False)
    return float(counter.get_total_flops())


def most(device: str, side: int = 8192, times: int = 20) -> float:
    """Floating-point operations a second of this device in one large product, the best of some: the roof."""
    import torch

    kind = torch.float16 if device.startswith("cuda") else torch.float32
    one = torch.randn(side, side, device=device, dtype=kind)
    found = 0.0
    for _ in range(times):
        finished(device)
        began = time.perf_counter()
        one @ one
        finished(device)
        found = max(found, 2 * side**3 / (time.perf_counter() - began))
    return found


def finished(device: str) -> None:
    """Wait for a GPU."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize()


def drawing(device: str, rounds: int, *, tiny: bool = False, compiling: bool = True) -> None:
    """Print steps a second, the share of the roof, and how far the pictures are from plain diffusers'."""
    import torch

    steps = 3 if tiny else STEPS
    roof = most(device, 512 if tiny else 8192)
    print(f"roof: {roof / 1e12:.3g} TFLOP/s in one product")
    for count in BATCHES[-1:] if tiny else BATCHES:
        flops = work_of(device, count, tiny=tiny)
        timed = interleaved(ways(device, count, tiny=tiny, compiling=compiling), rounds)
        first = timed["diffusers"].made[0]
        for name, found in timed.items():
            seconds = statistics.median(found.seconds)
            apart = max(far(one, other).most for one, other in zip(found.made[0], first, strict=True))
            share = (
                f"{flops * steps / seconds / roof:4.0%} of the roof"
                if "every" not in name and "all" not in name
                else ""
            )
            words = f"{count * steps / seconds:7.2f} picture-steps a second"
            times = ratio(timed["diffusers"].seconds, found.seconds)
            print(f"    batch {count}  {name:<50} {words}  {times}  {apart:3d} levels apart  {share}", flush=True)
        if device.startswith("cuda"):
            torch.cuda.empty_cache()


def looking(device: str, rounds: int, *, tiny: bool = False) -> None:
    """Print pictures a second that Inception looks at for FID: the plain network, and easel's, which is folded."""
    import torch

    from easel.networks.inception import FidInception

    torch.manual_seed(0)
    plain = FidInception().to(device)
    folded = copy.deepcopy(plain).folded().to(device)
    count = 1 if tiny else 64
    pixels = torch.rand(count, 3, 256, 256, device=device) * 255
    laid = pixels.contiguous(memory_format=torch.channels_last)

    def look(network: Any, batch: Any) -> Callable[[int], Any]:
        def do(_: int) -> Any:
            with torch.no_grad():
                made = network(batch)
            finished(device)
            return made.cpu()

        return do

    timed = interleaved({"plain": look(plain, pixels), "folded": look(folded, laid)}, rounds)
    apart = float((timed["plain"].made[0] - timed["folded"].made[0]).abs().max())
    pace = count / statistics.median(timed["folded"].seconds)
    words = f"{pace:.0f} pictures a second  {ratio(timed['plain'].seconds, timed['folded'].seconds)}"
    print(f"    FID's Inception, batches of {count}, 256 px: {words}  rows at most {apart:.1g} apart", flush=True)


def others(asked: argparse.Namespace) -> list[list[str]]:
    """Commands of the benchmarks that have a peer of their own, on this GPU, as words after `python -m`."""
    made = []
    if asked.dreambooth:
        words = ["benchmarks.personalize", "--peer", str(asked.dreambooth), "--steps", "20", "--rounds", "2"]
        made.append([*words, "--model", str(asked.room / "sd15"), "--dtype", "bfloat16"])
    if asked.stylegan:
        words = ["benchmarks.stylegan", "--peer", str(asked.stylegan), "--device", "cuda", "--half"]
        made.append([*words, "--sides", "128", "256", "--channels", "16384", "--widest", "512", "--mapping", "8"])
    return made


def rows(asked: argparse.Namespace) -> list[Row]:
    """Of the one table: a picture at full size on a GPU."""
    import torch

    work, peer = f"generate on a GPU, SD-1.5's shapes, {SIDE} px, float16", "diffusers' StableDiffusionPipeline"
    if not torch.cuda.is_available():
        return [Row.not_run(work, peer, "no CUDA GPU here; python -m benchmarks gpu is ready for one")]
    timed = interleaved(ways("cuda", 1), asked.rounds)
    names = {name: f"{work}{name.removeprefix('easel')}" for name in timed if name.startswith("easel")}
    return [
        Row.of(said, peer, timed["diffusers"], timed[name], "attention, convolutions") for name, said in names.items()
    ]


def main(words: list[str] | None = None) -> None:
    import torch

    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--tiny", action="store_true", help="a hundredth of the size, uncompiled, on the CPU: the way, no figures"
    )
    parser.add_argument("--dreambooth", type=Path, help="diffusers' examples/dreambooth/train_dreambooth_lora.py")
    parser.add_argument("--stylegan", type=Path, help="a checkout of NVlabs/stylegan2-ada-pytorch")
    parser.add_argument("--minutes", type=float, default=14, help="after which nothing more is begun")
    asked = parser.parse_args(words)
    if asked.tiny:
        drawing("cpu", 1, tiny=True, compiling=False)
        looking("cpu", 1, tiny=True)
        return
    if not torch.cuda.is_available():
        print("Stable Diffusion 1.5's shapes: no CUDA GPU here, nothing measured; --tiny proves the way on a CPU")
        return
    until = time.monotonic() + 60 * asked.minutes
    print(f"Stable Diffusion 1.5's shapes, random weights, {SIDE} px, {STEPS} steps, {torch.cuda.get_device_name()}")
    with tempfile.TemporaryDirectory(prefix="easel-gpu-") as place:
        asked.room = Path(place)
        looking("cuda", asked.rounds)
        if asked.dreambooth:
            random_pipeline("cpu").save_pretrained(asked.room / "sd15")
        for command in others(asked):  # before the drawing, whose compiling takes what is left
            left = until - time.monotonic()
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run([sys.executable, "-m", *command], check=False, timeout=max(1.0, min(240.0, left)))
        drawing("cuda", asked.rounds)


if __name__ == "__main__":
    main()
