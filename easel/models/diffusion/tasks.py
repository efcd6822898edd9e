"""What a diffusion model can be asked to do: a row a task.

A row names diffusers' pipeline for each family of models, what must be given besides words and a seed, and the function
that turns a batch into the pipeline's own arguments. All pipelines are built around one set of weights.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from easel.errors import EaselError, unknown
from easel.models.catalog.tables import METHOD_NAMES
from easel.models.diffusion import latents, masks, prompts
from easel.models.diffusion.batch import EXTRA_INPUTS, Batch, Control, PictureRequest
from easel.models.diffusion.cache import Cache, cached

if TYPE_CHECKING:
    from torch import Tensor

Arguments = Callable[[Any, Batch, "Tensor", Cache], dict[str, Any]]
"""Pipeline, batch, noise (n, c, h, w) in float32, cache -> arguments of the pipeline's call beyond those that all have.
"""


AfterStep = Callable[[Any, int, "Tensor"], "Tensor"]
"""Pipeline, number of the step that was done, latents (n, c, h, w) -> the latents to go on with."""

Role = Literal["text-to-image", "image-to-image", "instruct", "inpaint"]


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
    unet: str = "plain"
    """Which UNets do it, a row of UNETS."""
    with_plain: str = ""
    """The row that does it with a UNet that takes latents alone, where there is one."""
    redraws: bool = False
    """Whether the photo under noise is where it starts, so that a strength says how far it is left."""
    strength: float | None = None
    """The strength where none is asked for; None is the model's own."""
    network: str = ""
    """Which networks its controls take: 'controlnet' or 'adapter'."""
    by_photo: bool = False
    """Whether guidance weighs the photo too, by `image_guidance_scale`."""
    after_step: AfterStep | None = None
    role: Role = "text-to-image"
    """What a model is loaded for that does this."""


UNETS: dict[str, tuple[str, Callable[[int], int]]] = {
    "plain": ("a text-to-image", lambda latent: latent),
    "instruct": ("an instruct-pix2pix", lambda latent: 2 * latent),
    "inpaint": ("an inpainting", lambda latent: 2 * latent + 1),
}
"""What UNets take: latents alone, with the photo's latents, or with a mask and the masked photo's latents; what such a
model is called, and how many channels go in for so many of a latent.
"""


def kind_of_unet(channels: int, latent: int) -> str:
    """The row of UNETS that takes so many channels, or '' where none does."""
    return next((kind for kind, (_, takes) in UNETS.items() if takes(latent) == channels), "")


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


class RedrawsUnderMask(StartsFromLatents):
    """Mixed into diffusers' image-to-image pipelines where a mask says what is redrawn: at strength 1 nothing of the
    photo is left there, as in their inpainting pipelines.
    """

    cells: Tensor
    """Which cells are drawn anew, (n, 1, h, w), 1 or 0."""
    strength: float

    def prepare_latents(self, _image: Any, timestep: Tensor, *_more: Any, **_named: Any) -> Tensor:
        """The latents of the first step, (n, c, h, w) in float32."""
        if self.strength < 1:
            return super().prepare_latents(_image, timestep)
        pure: Tensor = self.noise * self.scheduler.init_noise_sigma
        return pure


class EditsByLatents:
    """Mixed into diffusers' InstructPix2Pix pipelines: the photo's latents are worked out here, one by one, once for a
    model, and kept in float32.
    """

    photo: Tensor

    def prepare_image_latents(
        self, _image: Any, _count: int, _each: int, _dtype: Any, _device: Any, is_guided: bool, *_more: Any
    ) -> Tensor:
        """The photo's latents as the VAE gives them, not scaled, (n, c, h, w); with guidance (3n, c, h, w), the last
        third zero.
        """
        import torch

        return torch.cat([self.photo, self.photo, torch.zeros_like(self.photo)]) if is_guided else self.photo


class PaintsInLatents:
    """Mixed into diffusers' inpainting pipelines: they start from latents that are worked out here, and encode a photo
    to the mean of its latents, so that no noise is spent on it.

    Given latents, the pipelines' own way starts from pure noise at any strength.
    """

    photo: Tensor
    noise: Tensor
    scheduler: Any
    vae: Any

    def prepare_latents(self, *_more: Any, timestep: Any, is_strength_max: bool, **_named: Any) -> tuple[Tensor, ...]:
        """What is started from and the noise in it, (n, c, h, w) in float32 each."""
        if is_strength_max:
            return self.noise * self.scheduler.init_noise_sigma, self.noise
        return self.scheduler.add_noise(self.photo, self.noise, timestep), self.noise

    def _encode_vae_image(self, image: Tensor, generator: Any) -> Tensor:  # noqa: ARG002 - diffusers' own name
        import torch

        return torch.cat([latents.encode_pixels(self.vae, one[None]) for one in image])


class OldCallback:
    """Mixed into pipelines that know diffusers' first kind of callback alone: it gets the second kind's call."""

    num_timesteps: int

    def __call__(self, *args: Any, callback_on_step_end: Any, **named: Any) -> Any:
        """As the pipeline's own."""
        own: Any = super().__call__  # type: ignore[misc]
        if "callback_on_step_end" in inspect.signature(own).parameters:
            return own(*args, callback_on_step_end=callback_on_step_end, **named)
        self.num_timesteps = int(named["num_inference_steps"])

        def callback(index: int, time: Any, now: Tensor) -> None:
            callback_on_step_end(self, index, time, {"latents": now})

        return own(*args, callback=callback, callback_steps=1, **named)


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
        redraws=True,
        role="image-to-image",
    ),
    "instruct": Task(
        {"sd": "StableDiffusionInstructPix2PixPipeline", "sdxl": "StableDiffusionXLInstructPix2PixPipeline"},
        ("image",),
        from_instruction,
        (OldCallback, EditsByLatents),
        unet="instruct",
        by_photo=True,
        role="instruct",
    ),
    "inpaint": Task(
        {"sd": "StableDiffusionInpaintPipeline", "sdxl": "StableDiffusionXLInpaintPipeline"},
        ("image", "mask"),
        from_masked_photo,
        (PaintsInLatents,),
        unet="inpaint",
        with_plain="inpaint-in-latents",
        redraws=True,
        strength=1.0,
        role="inpaint",
    ),
    "inpaint-in-latents": Task(
        {"sd": "StableDiffusionImg2ImgPipeline", "sdxl": "StableDiffusionXLImg2ImgPipeline"},
        ("image", "mask"),
        from_photo_and_mask,
        (RedrawsUnderMask,),
        redraws=True,
        strength=1.0,
        after_step=keep_outside,
    ),
    "control": Task(
        {"sd": "StableDiffusionControlNetPipeline", "sdxl": "StableDiffusionXLControlNetPipeline"},
        ("controls",),
        from_controls,
        network="controlnet",
    ),
    "control-image-to-image": Task(
        {"sd": "StableDiffusionControlNetImg2ImgPipeline", "sdxl": "StableDiffusionXLControlNetImg2ImgPipeline"},
        ("image", "controls"),
        from_controls_and_photo,
        (StartsFromLatents,),
        redraws=True,
        network="controlnet",
    ),
    "control-inpaint": Task(
        {"sd": "StableDiffusionControlNetImg2ImgPipeline", "sdxl": "StableDiffusionXLControlNetImg2ImgPipeline"},
        ("image", "mask", "controls"),
        from_controls_photo_and_mask,
        (RedrawsUnderMask,),
        redraws=True,
        strength=1.0,
        network="controlnet",
        after_step=keep_outside,
    ),
    "adapter": Task(
        {"sd": "StableDiffusionAdapterPipeline", "sdxl": "StableDiffusionXLAdapterPipeline"},
        ("controls",),
        from_adapters,
        (OldCallback,),
        network="adapter",
    ),
}


def row_for(task: str, unet: str) -> str:
    """The row by which a model whose UNet is of a kind of UNETS does a task. EaselError where it cannot."""
    row = TASKS[task]
    if row.unet == unet:
        return task
    if row.with_plain and unet == "plain":
        return row.with_plain
    able = [name for name, other in TASKS.items() if unet in (other.unet, "plain" if other.with_plain else "")]
    raise EaselError(
        f"{task} needs {UNETS[row.unet][0]} model, and this is {UNETS[unet][0]} one, which does {', '.join(able)}"
    )


CHANNELS = 4
"""Of the latents that diffusers' inpainting pipelines take."""
MOST_SCALE = 10.0
"""Of a control, at most."""


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
            one = "" if name.endswith("s") else "an " if name[0] in "aeiou" else "a "
            raise EaselError(f"{request.task} {f'needs {one}' if needed else 'takes no '}{name}")
    if request.sampling.image_guidance_scale is not None and not TASKS[request.task].by_photo:
        raise EaselError(f"{request.task} takes no image_guidance_scale: that belongs to instruct")
    if request.mask is not None:
        masks.check(request.mask, _given(request.image))
    if request.controls is not None:
        _check_controls(request.controls, request.task)


def _check_controls(controls: tuple[Control, ...], task: str) -> None:
    """EaselError on no control, a network of the other method, and a scale or shares of the steps that cannot be."""
    wanted = TASKS[task].network
    if not controls:
        raise EaselError(f"{task} needs at least one control")
    for one in controls:
        if one.network.method != wanted:
            takes, brought = METHOD_NAMES[wanted], METHOD_NAMES[one.network.method]
            raise EaselError(f"{task} takes a {takes}, and '{one.network.name}' is a {brought}")
        if not 0 <= one.start < one.end <= 1:
            raise EaselError(
                f"a control steers from {one.start} to {one.end}: give shares of the steps, 0 <= start < end <= 1"
            )
        if not 0 <= one.scale <= MOST_SCALE:
            raise EaselError(f"a control's scale must be from 0 to {MOST_SCALE:g}, not {one.scale}")
        if wanted == "adapter" and (one.start, one.end) != (0, 1):
            raise EaselError("a T2I-Adapter steers in all steps: leave start at 0 and end at 1, or take a ControlNet")


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
