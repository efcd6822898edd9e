"""How much memory a batch takes at the least, so that what cannot fit is refused before the system ends the run."""

from __future__ import annotations

from typing import Any

import psutil

from easel.errors import EaselError
from easel.models.diffusion.settings import Settings


def needed(pipeline: Any, settings: Settings, pictures: int) -> int:
    """Bytes that drawing so many pictures at once takes at the least, beside the weights.

    Counted are what the UNet keeps for its skip connections with the inside of one feed-forward layer, for each half of
    guidance, and the largest step of the VAE, which decodes one picture at a time.
    """
    unet, vae = pipeline.unet, pipeline.vae
    widths, layers = list(unet.config.block_out_channels), unet.config.layers_per_block
    layers = [layers] * len(widths) if isinstance(layers, int) else list(layers)
    area = settings.width * settings.height // int(pipeline.vae_scale_factor) ** 2
    kept = sum(
        (count + 1) * width * (area >> 2 * level)
        for level, (count, width) in enumerate(zip(layers, widths, strict=True))
    )
    halves = 2 if settings.guidance_scale > 1 else 1
    drawing = pictures * halves * (kept + 8 * widths[0] * area) * unet.dtype.itemsize
    narrow, wide = (*vae.config.block_out_channels, vae.config.block_out_channels[0])[:2]
    decoding = settings.width * settings.height * (narrow + 2 * wide) * vae.dtype.itemsize
    return int(max(drawing, decoding))


def check(pipeline: Any, settings: Settings, pictures: int) -> None:
    """EaselError where a batch needs more memory than this machine has free. A GPU says so itself, and is asked."""
    if pipeline.unet.device.type != "cpu":
        return
    wanted, free = needed(pipeline, settings, pictures), psutil.virtual_memory().available + psutil.swap_memory().free
    if wanted > free:
        raise EaselError(
            f"{pictures} pictures of {settings.width}x{settings.height} at once need at least {wanted / 1e9:.1f} GB of "
            f"memory, and {free / 1e9:.1f} GB are free: use a smaller --batch-size, --width and --height"
        )
