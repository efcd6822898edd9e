"""What the pictures of one call share, and one batch of them taken through a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from easel.models import latents, pipelines, prompts, schedulers
from easel.models.sampling import Sampling

Report = Callable[[int, int], None]


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
    words: dict[tuple[str, int], Any] = field(default_factory=dict)
    photos: dict[int, Any] = field(default_factory=dict)

    def tell(self, done: float) -> None:
        """Note progress and report it; the report may raise Cancelled."""
        self.done = done
        if self.report is not None:
            self.report(min(self.total, round(done)), self.total)


def draw(pipelines_: tuple[Any, Any], own_scheduler: Any, orders: Sequence[Order], drawing: Drawing) -> Any:
    """Latents (batch, c, h, w), float32, of a batch of orders that agree in size and in number of chunks.

    Args:
        pipelines_: the text-to-image and the image-to-image pipeline around the same parts.
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
        "callback_on_step_end": _progress(len(orders), drawing),
    }
    scheduler = schedulers.build(drawing.scheduler, own_scheduler)
    if orders[0].image is None:
        write.scheduler = scheduler
        more = {"guidance_rescale": drawing.rescale} if drawing.rescale else {}
        result = write(latents=noise, width=orders[0].width, height=orders[0].height, **call, **more).images
    else:
        redraw.scheduler = scheduler
        photos = torch.cat([_photo(write.vae, order.image, drawing) for order in orders])
        # the photo is encoded here, once, and noised in float32; the pipeline's own way draws noise in the model's
        # dtype
        redraw.prepare_latents = lambda _, timestep, *_rest: scheduler.add_noise(photos, noise, timestep)
        result = redraw(image=[order.image for order in orders], strength=drawing.strength, **call).images
    return result.float()


def _progress(pictures: int, drawing: Drawing) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
    begun = drawing.done

    def step_end(pipeline: Any, index: int, _: Any, inner: dict[str, Any]) -> dict[str, Any]:
        drawing.tell(begun + pictures * drawing.steps * (index + 1) / max(1, pipeline.num_timesteps))
        return inner

    return step_end


def _photo(vae: Any, image: Image.Image | None, drawing: Drawing) -> Any:
    """A photo's latent, encoded once for a call (the same photo in four styles is one encoding)."""
    assert image is not None
    if id(image) not in drawing.photos:
        drawing.photos[id(image)] = latents.encode(vae, image)
    return drawing.photos[id(image)]


def _words(pipeline: Any, orders: Sequence[Order], drawing: Drawing) -> dict[str, Any]:
    """The pipeline's arguments for the words of a batch; each prompt is encoded once for a call."""
    import torch

    def encoded(text: str, chunks: int) -> Any:
        if (text, chunks) not in drawing.words:
            drawing.words[text, chunks] = prompts.encode(pipeline, text, chunks)
        return drawing.words[text, chunks]

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
