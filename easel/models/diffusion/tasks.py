"""What a diffusion model can be asked to do: a row a task.

A row names diffusers' pipeline for each family of models, what must be given besides words and a seed, and the function
that turns a batch into the pipeline's own arguments. All pipelines are built around one set of weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from PIL import Image

from easel.errors import EaselError, unknown
from easel.models.diffusion import latents, prompts
from easel.models.diffusion.batch import EXTRA_INPUTS, Batch, PictureRequest
from easel.models.diffusion.cache import Cache, cached

if TYPE_CHECKING:
    from torch import Tensor

Arguments = Callable[[Any, Batch, "Tensor", Cache], dict[str, Any]]
"""Pipeline, batch, noise (n, c, h, w) in float32, cache -> arguments of the pipeline's call beyond those that all have.
"""


@dataclass(frozen=True)
class Task:
    """One row."""

    pipelines: Mapping[str, str]
    """Family -> class in diffusers."""
    needs: tuple[str, ...]
    """Fields of PictureRequest that must be given besides prompt and seed."""
    arguments: Arguments
    mixins: tuple[type, ...] = ()
    """What is put before the class of diffusers."""


class StartsFromLatents:
    """Mixed into diffusers' image-to-image pipelines: they start from latents that are worked out here.

    There a photo is encoded once for a model and noised in float32; the pipelines' own way encodes it for every picture
    and draws noise in the model's number format.
    """

    photo: Tensor
    noise: Tensor
    scheduler: Any

    def prepare_latents(self, _image: Any, timestep: Tensor, *_more: Any, **_named: Any) -> Tensor:
        """The photo's latents with the noise of the first step, (n, c, h, w) in float32."""
        started: Tensor = self.scheduler.add_noise(self.photo, self.noise, timestep)
        return started


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


TASKS: dict[str, Task] = {
    "text-to-image": Task(
        {"sd": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline"},
        (),
        from_words,
    ),
    "image-to-image": Task(
        {"sd": "StableDiffusionImg2ImgPipeline", "sdxl": "StableDiffusionXLImg2ImgPipeline"},
        ("image",),
        from_photo,
        (StartsFromLatents,),
    ),
}


def pipeline_class(task: str, family: str) -> Any:
    """The class that draws for a task."""
    import diffusers

    row = TASKS[task]
    name = row.pipelines[family]
    kind = getattr(diffusers, name)
    return type(name, (*row.mixins, kind), {}) if row.mixins else kind


def check(request: PictureRequest) -> None:
    """EaselError where a request lacks what its task needs, brings what it has no use for, or stands in no place."""
    if request.task not in TASKS:
        raise unknown("task", request.task, TASKS)
    if request.place is not None and not 0 <= request.place[0] < request.place[1]:
        raise EaselError(
            f"place {request.place} is not a row and the size of a batch: the row must be from 0 to size - 1"
        )
    for name in EXTRA_INPUTS:
        needed, given = name in TASKS[request.task].needs, getattr(request, name) is not None
        if needed != given:
            raise EaselError(f"{request.task} {'needs an' if needed else 'takes no'} {name}")


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
