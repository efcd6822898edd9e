"""What the pictures of one call share, and one batch of them taken through a pipeline."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from PIL import Image

from easel.models.diffusion import guidance, latents, pipelines, prompts, schedulers
from easel.models.diffusion.settings import Sampling

Report = Callable[[int, int], None]


def in_two(report: Report | None, first: int, second: int) -> tuple[Report | None, Report | None]:
    """What two parts of so many steps report to, when `report` is told of both as one."""
    if report is None:
        return None, None
    whole = first + second
    return lambda done, _: report(done, whole), lambda done, _: report(first + done, whole)


MOST = 64
"""Prompts, and photos, that are remembered."""


@dataclass(frozen=True)
class Order:
    """One picture to draw; `image` is the photo to redraw, already of that size."""

    index: int
    prompt: str
    negative: str
    seed: int
    width: int
    height: int
    chunks: int
    image: Image.Image | None = None


@dataclass
class Memory:
    """What need not be worked out twice: embeddings of prompts, and latents of photos. Bounded."""

    words: dict[tuple[str, int], Any] = field(default_factory=dict)
    photos: dict[tuple[tuple[int, int], bytes], Any] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget everything: the text encoder has changed."""
        self.words.clear()
        self.photos.clear()


Key = TypeVar("Key")


def remembered(memory: dict[Key, Any], key: Key, make: Callable[[], Any]) -> Any:
    """The value of `key`, made when it is not there; the oldest is forgotten once there are MOST."""
    if key not in memory:
        while len(memory) >= MOST:
            del memory[next(iter(memory))]
        memory[key] = make()
    return memory[key]


@dataclass
class Drawing:
    """The settings of a call, what is worked out once for all its pictures, and its progress in picture-steps."""

    settings: Sampling
    scheduler: str | None
    """None is the model's own."""
    strength: float
    rescale: float
    steps: int
    """Steps really done for each picture."""
    total: int
    report: Report | None = None
    done: float = 0.0
    memory: Memory = field(default_factory=Memory)

    def tell(self, done: float) -> None:
        """Note progress and report it; the report may raise Cancelled."""
        self.done = done
        if self.report is not None:
            self.report(min(self.total, round(done)), self.total)


def draw(
    pipelines_: tuple[Any, Any], own_scheduler: Any, orders: Sequence[Order], drawing: Drawing, wanted: int
) -> Any:
    """Latents (batch, c, h, w), float32, of a batch of orders that agree in size and in number of chunks.

    Args:
        pipelines_: the text-to-image and the image-to-image pipeline around the same parts.
        wanted: how many of the pictures count as progress; the others only fill the batch.
    """
    import torch

    write, redraw = pipelines_
    factor = int(write.vae_scale_factor)
    shape = (write.unet.config.in_channels, orders[0].height // factor, orders[0].width // factor)
    drawn = [latents.noise(order.seed, shape) for order in orders]
    noise = torch.cat([start for start, _ in drawn]).to(write.device)
    call = _words(write, orders, drawing) | {
        "num_inference_steps": drawing.settings.steps,
        "guidance_scale": drawing.settings.guidance_scale,
        "generator": [generator for _, generator in drawn],
        "output_type": "latent",
        "callback_on_step_end": _progress(wanted, drawing),
    }
    scheduler = schedulers.build(drawing.scheduler, own_scheduler)
    guided = "negative_prompt_embeds" in call and write.unet.config.time_cond_proj_dim is None
    every = drawing.settings.guidance_every if guided else 1
    if orders[0].image is None:
        write.scheduler = scheduler
        more = {"guidance_rescale": drawing.rescale} if drawing.rescale else {}
        with guidance.reused(write.unet, every):
            result = write(latents=noise, width=orders[0].width, height=orders[0].height, **call, **more).images
    else:
        redraw.scheduler = scheduler
        photos = torch.cat([_photo(write.vae, order.image, drawing) for order in orders])
        # the photo is encoded here, once, and noised in float32; the pipeline's own way draws noise in the model's
        # dtype
        redraw.prepare_latents = lambda _, timestep, *_rest: scheduler.add_noise(photos, noise, timestep)
        with guidance.reused(write.unet, every):
            result = redraw(image=[order.image for order in orders], strength=drawing.strength, **call).images
    return result.float()


def _progress(pictures: int, drawing: Drawing) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
    begun = drawing.done

    def step_end(pipeline: Any, index: int, _: Any, inner: dict[str, Any]) -> dict[str, Any]:
        drawing.tell(begun + pictures * drawing.steps * (index + 1) / max(1, pipeline.num_timesteps))
        return inner

    return step_end


def _photo(vae: Any, image: Image.Image | None, drawing: Drawing) -> Any:
    """A photo's latent, encoded once for a model: the same photo in four styles is one encoding."""
    assert image is not None
    key = image.size, hashlib.blake2b(image.tobytes()).digest()
    return remembered(drawing.memory.photos, key, lambda: latents.encode(vae, image))


def _words(pipeline: Any, orders: Sequence[Order], drawing: Drawing) -> dict[str, Any]:
    """The pipeline's arguments for the words of a batch; each prompt is encoded once for a model."""
    import torch

    def encoded(text: str, chunks: int) -> Any:
        return remembered(drawing.memory.words, (text, chunks), lambda: prompts.encode(pipeline, text, chunks))

    wanted = [encoded(order.prompt, order.chunks) for order in orders]
    call = {"prompt_embeds": torch.cat([states for states, _ in wanted])}
    double = pipelines.family_of(pipeline) == "sdxl"
    if double:
        call["pooled_prompt_embeds"] = torch.cat([pooled for _, pooled in wanted])
    if (drawing.settings.guidance_scale or 0.0) <= 1:
        return call
    unwanted = [encoded(order.negative, order.chunks) for order in orders]
    if (
        double and pipeline.config.force_zeros_for_empty_prompt
    ):  # SDXL was trained with zeros, not with "", for no words
        unwanted = [
            (states * 0, pooled * 0) if not order.negative else (states, pooled)
            for order, (states, pooled) in zip(orders, unwanted, strict=True)
        ]
    call["negative_prompt_embeds"] = torch.cat([states for states, _ in unwanted])
    if double:
        call["negative_pooled_prompt_embeds"] = torch.cat([pooled for _, pooled in unwanted])
    return call
