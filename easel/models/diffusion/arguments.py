"""From a batch to the arguments of a pipeline's call: a function for each way to draw, named by the rows of
`tasks.TASKS`.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

from PIL import Image

from easel.errors import EaselError
from easel.models.diffusion import latents, masks, prompts
from easel.models.diffusion.batch import Batch, Control
from easel.models.diffusion.cache import Cache, cached

if TYPE_CHECKING:
    from torch import Tensor

CHANNELS = 4
"""Of the latents that diffusers' inpainting pipelines take."""


def from_words(_pipeline: Any, batch: Batch, noise: Tensor, _cache: Cache) -> dict[str, Any]:
    """Text-to-image: the noise itself is where it starts."""
    settings = batch.settings
    rescale = {"guidance_rescale": settings.guidance_rescale} if settings.guidance_rescale else {}
    return {"latents": noise, "width": settings.width, "height": settings.height} | rescale


def from_photo(pipeline: Any, batch: Batch, noise: Tensor, cache: Cache) -> dict[str, Any]:
    """Image-to-image (SDEdit, Meng et al. 2021, arXiv 2108.01073): the photo under the noise of a later step."""
    import torch

    size = batch.settings.width, batch.settings.height
    photos = [at_size(request.image, size) for request in batch.requests]
    pipeline.photo = torch.cat([photo_latent(pipeline.vae, photo, cache) for photo in photos])
    pipeline.noise = noise
    return {"image": photos, "strength": batch.settings.strength}


def from_instruction(pipeline: Any, batch: Batch, noise: Tensor, cache: Cache) -> dict[str, Any]:
    """InstructPix2Pix (Brooks et al. 2022, arXiv 2211.09800): from noise, with the photo beside it at every step."""
    import torch

    size = batch.settings.width, batch.settings.height
    photos = [at_size(request.image, size) for request in batch.requests]
    found = torch.cat([photo_latent(pipeline.vae, photo, cache) for photo in photos])
    pipeline.photo = latents.unscaled(pipeline.vae, found)
    called = {"image": photos, "latents": noise, "image_guidance_scale": batch.settings.image_guidance_scale}
    is_large = hasattr(pipeline, "tokenizer_2")  # the one for Stable Diffusion takes its size from the photo
    return called | ({"width": size[0], "height": size[1]} if is_large else {})


def from_masked_photo(pipeline: Any, batch: Batch, noise: Tensor, cache: Cache) -> dict[str, Any]:
    """Inpainting by a UNet that was trained for it: mask and masked photo stand beside the latents at every step."""
    size, channels = (batch.settings.width, batch.settings.height), noise.shape[1]
    if channels != CHANNELS:
        raise EaselError(
            f"the inpainting UNets of diffusers have latents of {CHANNELS} channels, and these {channels}: load the "
            "text-to-image model for inpainting instead"
        )
    called = from_photo(pipeline, batch, noise, cache)
    hard = [masks.hard(_given(request.mask), size) for request in batch.requests]
    return called | {"mask_image": hard, "width": size[0], "height": size[1]}


def from_photo_and_mask(pipeline: Any, batch: Batch, noise: Tensor, cache: Cache) -> dict[str, Any]:
    """Inpainting by any UNet: image-to-image, where `keep_outside` puts the photo back after every step (Lugmayr et al.
    2022, RePaint, arXiv 2201.09865, algorithm 1 without resampling).
    """
    _give_mask(pipeline, batch, noise)
    return from_photo(pipeline, batch, noise, cache)


def keep_outside(pipeline: Any, index: int, now: Tensor) -> Tensor:
    """The latents with the photo's, under the noise of the next step, wherever the mask is black."""
    times = pipeline.scheduler.timesteps[-pipeline.num_timesteps :]
    kept = pipeline.photo
    if index + 1 < len(times):
        kept = pipeline.scheduler.add_noise(kept, pipeline.noise, times[index + 1 : index + 2])
    mixed: Tensor = pipeline.cells * now + (1 - pipeline.cells) * kept
    return mixed


def from_controls(_pipeline: Any, batch: Batch, noise: Tensor, _cache: Cache) -> dict[str, Any]:
    """ControlNet from words."""
    settings = batch.settings
    size = {"width": settings.width, "height": settings.height}
    return {"image": maps_of(batch, noise.device), "latents": noise} | size | _steering(batch.controls)


def from_controls_and_photo(pipeline: Any, batch: Batch, noise: Tensor, cache: Cache) -> dict[str, Any]:
    """ControlNet from a photo under noise."""
    size = {"width": batch.settings.width, "height": batch.settings.height}
    called = from_photo(pipeline, batch, noise, cache) | size | _steering(batch.controls)
    return called | {"control_image": maps_of(batch, noise.device)}


def from_controls_photo_and_mask(pipeline: Any, batch: Batch, noise: Tensor, cache: Cache) -> dict[str, Any]:
    """ControlNet from a photo under noise that is put back outside a mask.

    diffusers' ControlNetInpaint pipelines take no notice of the mask where a latent has other than four channels.
    """
    _give_mask(pipeline, batch, noise)
    return from_controls_and_photo(pipeline, batch, noise, cache)


def from_adapters(_pipeline: Any, batch: Batch, noise: Tensor, _cache: Cache) -> dict[str, Any]:
    """T2I-Adapter from words; what they read from the maps is added at every step."""
    maps, scales = maps_of(batch, noise.device), [float(one.scale) for one in batch.controls]
    only = len(maps) == 1
    return {
        "image": maps[0] if only else maps,
        "latents": noise,
        "width": batch.settings.width,
        "height": batch.settings.height,
        "adapter_conditioning_scale": scales[0] if only else scales,
    }


def _steering(controls: tuple[Control, ...]) -> dict[str, Any]:
    return {
        "controlnet_conditioning_scale": [float(one.scale) for one in controls],
        "control_guidance_start": [float(one.start) for one in controls],
        "control_guidance_end": [float(one.end) for one in controls],
    }


def maps_of(batch: Batch, device: Any) -> list[Tensor]:
    """For each control of a batch its maps at the pictures' size, (n, channels, h, w) in [0, 1]."""
    import numpy as np
    import torch

    size = batch.settings.width, batch.settings.height
    found = []
    for number, control in enumerate(batch.controls):
        shown = [at_size(_given(request.controls)[number].image, size) for request in batch.requests]
        if control.network.image_channels == 1:
            shown = [image.convert("L") for image in shown]
        levels = np.stack([np.atleast_3d(np.asarray(image, dtype=np.float32)) for image in shown])
        found.append(torch.from_numpy(levels).permute(0, 3, 1, 2).to(device) / 255)
    return found


def _give_mask(pipeline: Any, batch: Batch, noise: Tensor) -> None:
    """Lay the cells that are drawn anew into the pipeline, (n, 1, h, w)."""
    import torch

    size, factor = (batch.settings.width, batch.settings.height), int(pipeline.vae_scale_factor)
    cells = [masks.in_latents(_given(request.mask), size, factor) for request in batch.requests]
    pipeline.cells, pipeline.strength = torch.cat(cells).to(noise.device), batch.settings.strength


def _given(value: Any) -> Any:
    """What `check` has made sure of."""
    assert value is not None
    return value


def at_size(photo: Image.Image | None, size: tuple[int, int]) -> Image.Image:
    """A photo in RGB at the size it is redrawn, stretched where it has another shape."""
    assert photo is not None
    plain = photo.convert("RGB")
    return plain if plain.size == size else plain.resize(size, Image.Resampling.LANCZOS)


def photo_latent(vae: Any, photo: Image.Image, cache: Cache) -> Tensor:
    """A photo's latent (1, c, h, w), encoded once for a model: the same photo in four styles is one encoding."""
    key = photo.size, hashlib.blake2b(photo.tobytes()).digest()
    found: Tensor = cached(cache.photos, key, partial(latents.encode, vae, photo))
    return found


def embeddings(pipeline: Any, family: str, batch: Batch, cache: Cache) -> dict[str, Any]:
    """The arguments that every pipeline has for the words of a batch; each prompt is encoded once for a model."""
    import torch

    def encoded(text: str) -> Any:
        make = partial(prompts.encode, pipeline, text, batch.chunks)
        return cached(cache.prompts, (text, batch.chunks), make)

    wanted = [encoded(request.prompt) for request in batch.requests]
    call = {"prompt_embeds": torch.cat([states for states, _ in wanted])}
    if family == "sdxl":
        call["pooled_prompt_embeds"] = torch.cat([pooled for _, pooled in wanted])
    if batch.settings.guidance_scale <= 1:
        return call
    unwanted = [encoded(request.negative_prompt) for request in batch.requests]
    if family == "sdxl" and pipeline.config.force_zeros_for_empty_prompt:
        # SDXL was trained with zeros, not with "", for no words
        unwanted = [
            (states, pooled) if request.negative_prompt else (states * 0, pooled * 0)
            for request, (states, pooled) in zip(batch.requests, unwanted, strict=True)
        ]
    call["negative_prompt_embeds"] = torch.cat([states for states, _ in unwanted])
    if family == "sdxl":
        call["negative_pooled_prompt_embeds"] = torch.cat([pooled for _, pooled in unwanted])
    return call
