"""What a diffusion model can be asked to do: a row a task.

A row names diffusers' pipeline for each family of models, what must be given besides words and a seed, and the function
that turns a batch into the pipeline's own arguments. All pipelines are built around one set of weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from easel.errors import EaselError, unknown
from easel.models.catalog.tables import METHOD_NAMES
from easel.models.diffusion import masks
from easel.models.diffusion.arguments import (
    from_adapters,
    from_controls,
    from_controls_and_photo,
    from_controls_photo_and_mask,
    from_instruction,
    from_masked_photo,
    from_photo,
    from_photo_and_mask,
    from_words,
    keep_outside,
)
from easel.models.diffusion.batch import EXTRA_INPUTS, Batch, Control, PictureRequest
from easel.models.diffusion.cache import Cache
from easel.models.diffusion.mixins import (
    EditsByLatents,
    OldCallback,
    PaintsInLatents,
    RedrawsUnderMask,
    StartsFromLatents,
)

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
    if TASKS[request.task].by_photo:  # the UNet is asked for three rows a picture, and not for two
        if request.sampling.guidance_every > 1:
            raise EaselError(f"{request.task} asks for 3 rows at once: use guidance_every 1")
        if "interval" in request.sampling.fast:
            raise EaselError(
                f"fast: interval limits guidance by words, and {request.task} is guided by the photo too: leave "
                "'interval' out"
            )
    if request.mask is not None:
        assert request.image is not None
        masks.check(request.mask, request.image)
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
