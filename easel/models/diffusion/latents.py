"""Pictures to latents and back, one picture at a time, so that neither memory nor a neighbour in the batch matters.

Latents are kept in float32 between steps whatever the model computes in: they are small, and half precision there
    costs quality.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from easel.errors import EaselError
from easel.models.devices import dtype_word

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor


class BrokenPicture(EaselError):
    """What was drawn is no picture: not numbers, or all black."""


BLACK = 2
"""A picture whose every pixel is at most this (of 255) is black, not dark."""


def noise(seed: int, shape: tuple[int, ...]) -> tuple[Tensor, Any]:
    """Standard normal noise (1, *shape) of a seed, drawn in float32 on the CPU, and the generator that goes on from
    there.
    """
    import torch

    generator = torch.Generator("cpu").manual_seed(seed % 2**63)
    return torch.randn((1, *shape), generator=generator), generator


def encode(vae: Any, image: Image.Image) -> Tensor:
    """An RGB picture to its scaled latent (1, c, h/8, w/8), float32: the mean of the distribution, so that no noise
    is spent on it.
    """
    import numpy as np
    import torch

    levels = torch.from_numpy(np.array(image.convert("RGB"), dtype=np.float32)).permute(2, 0, 1)[None]
    return encode_pixels(vae, levels / 127.5 - 1)


def encode_pixels(vae: Any, pixels: Tensor) -> Tensor:
    """One picture's pixels (1, 3, h, w) in [-1, 1] to its scaled latent, as `encode` does."""
    import torch

    with torch.no_grad():
        before = vae.dtype
        if before == torch.float16 and getattr(vae.config, "force_upcast", False):
            vae.to(torch.float32)
        latent: Tensor = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist.mode().float()
        vae.to(before)
    mean, spread = _statistics(vae, latent)
    scaled: Tensor = (latent - mean) / spread
    return scaled


def unscaled(vae: Any, latent: Tensor) -> Tensor:
    """A scaled latent as the VAE itself gives it."""
    mean, spread = _statistics(vae, latent)
    return latent * spread + mean


def _statistics(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """What latents are shifted and divided by for the UNet."""
    import torch

    mean, spread = getattr(vae.config, "latents_mean", None), getattr(vae.config, "latents_std", None)
    scale = vae.config.scaling_factor
    if mean is None or spread is None:
        return torch.zeros(1, device=like.device), torch.full((1,), 1 / scale, device=like.device)
    sides = (1, -1, 1, 1)
    return torch.tensor(mean, device=like.device).view(sides), torch.tensor(spread, device=like.device).view(
        sides
    ) / scale


def decode(vae: Any, latent: Tensor, seed: int) -> tuple[Image.Image, str | None]:
    """A latent (1, c, h, w) to a picture. Retried once in float32 if it comes out broken, and then a note says so.

    EaselError if it is still broken: NaNs, infinities, or all black.
    """
    import torch

    word = dtype_word(vae.dtype)
    if not bool(torch.isfinite(latent).all()):
        raise BrokenPicture(
            f"the picture of seed {seed} turned into values that are not numbers, in {word}: {way_out(word)}"
        )
    image = _decode_once(vae, latent)
    if image is not None:
        return image, None
    before = vae.dtype
    if before != torch.float32:
        vae.to(torch.float32)
        image = _decode_once(vae, latent)
        vae.to(before)
    if image is None:
        raise BrokenPicture(
            f"the picture of seed {seed} came out black or as values that are not numbers, in {word}: {way_out(word)}"
        )
    return image, f"the picture of seed {seed} broke when decoded in {word} and was decoded again in float32"


PREVIEW_EVERY, PREVIEW_SHARE = 2.0, 0.05
"""Seconds from one look at a picture under way to the next, at least, and the share of the time that looks may take."""


class Preview:
    """Shows what a picture looks like while it is drawn, as often as that costs little."""

    def __init__(self, show: Callable[[Image.Image], None]) -> None:
        self._show, self._next = show, time.monotonic() + PREVIEW_EVERY

    def offer(self, vae: Any, latent: Tensor) -> None:
        """Latents (n, c, h, w) after a step; the first of them is shown when it is time."""
        began = time.monotonic()
        if began < self._next:
            return
        image = _decode_once(vae, latent[:1].float())
        taken = time.monotonic() - began
        self._next = began + taken + max(PREVIEW_EVERY, taken / PREVIEW_SHARE)
        if image is not None:
            self._show(image)


def try_decode(vae: Any, latent: Tensor) -> None:
    """Decode and encode once, whatever comes out. Raises ValueError on statistics that no latents have, and whatever
    the VAE raises.
    """
    mean, spread = _statistics(vae, latent)
    if not bool(mean.isfinite().all() and spread.isfinite().all()) or bool((spread == 0).any()):
        raise ValueError(f"its scaling_factor is {vae.config.scaling_factor}")
    pixels = vae.decode((latent * spread + mean).to(vae.dtype), return_dict=False)[0]
    vae.encode(pixels).latent_dist.mode()


def way_out(word: str) -> str:
    """What to try when the numbers broke in the format `word`."""
    if word == "float32":
        return "try another seed, a lower --guidance-scale or another --scheduler; the weights or a LoRA may be damaged"
    return "use --dtype float32"


def _decode_once(vae: Any, latent: Tensor) -> Image.Image | None:
    """The picture, or None if it is not finite or all black."""
    import torch
    from PIL import Image

    mean, spread = _statistics(vae, latent)
    with torch.no_grad():
        pixels = vae.decode((latent * spread + mean).to(vae.dtype), return_dict=False)[0].float()
    if not bool(torch.isfinite(pixels).all()):
        return None
    levels = ((pixels[0] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return None if int(levels.max()) <= BLACK else Image.fromarray(levels)
