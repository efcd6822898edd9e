"""The settings that several kinds share, with their limits: a type each, and the fields that all drawing jobs have."""

from __future__ import annotations

import math
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MOST_LETTERS = 10_000

SchedulerName = Literal[
    "ddim",
    "ddpm",
    "deis",
    "dpmpp-2m",
    "dpmpp-2m-karras",
    "dpmpp-2m-sde",
    "dpmpp-2s",
    "euler",
    "euler-a",
    "euler-karras",
    "heun",
    "kdpm2",
    "kdpm2-a",
    "lcm",
    "pndm",
    "tcd",
    "unipc",
]
SCHEDULERS: tuple[str, ...] = get_args(SchedulerName)


def _said(text: str) -> str:
    """Text that says something, and that a text encoder has a chance with."""
    if not text.strip():
        raise ValueError("is empty: say what to make")
    return _short(text)


def _short(text: str) -> str:
    if len(text) > MOST_LETTERS:
        raise ValueError(f"has {len(text.split()):,} words ({len(text):,} letters): at most {MOST_LETTERS:,} letters")
    return text


def _named(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: give a name")
    if "\x00" in text or len(text) > 4096:
        raise ValueError("is not a name that a file or a model could have")
    return text


def _whole_eights(size: int) -> int:
    if size % 8:
        raise ValueError(f"is {size}: must be a multiple of 8, such as {size // 8 * 8} or {size // 8 * 8 + 8}")
    return size


def lora_parts(text: str) -> tuple[str, float, float]:
    """'style.safetensors:0.8:0.5' as (file, UNet scale, text encoder scale).

    One number serves for both; none means 1. Raises ValueError when there is no file or a scale is out of -10 to 10.
    """
    parts = text.split(":")
    scales: list[float] = []
    while len(parts) > 1 and len(scales) < 2 and (scale := _number(parts[-1])) is not None:
        scales.insert(0, scale)
        parts.pop()
    name = ":".join(parts)
    if not name.strip() or name.endswith(":"):
        raise ValueError(f"is '{text}': write FILE, FILE:0.8 or FILE:0.8:0.5 (UNet scale, text encoder scale)")
    if any(not -10 <= scale <= 10 for scale in scales):
        raise ValueError(f"is '{text}': a scale is a number from -10 to 10")
    unet = scales[0] if scales else 1.0
    return name, unet, scales[-1] if scales else 1.0


def _number(text: str) -> float | None:
    try:
        return float(text) if text.strip() else None
    except ValueError:
        return None


def _lora(text: str) -> str:
    lora_parts(text)
    return text


def finite(value: float) -> float:
    """The value; ValueError where it is infinite or no number."""
    if not math.isfinite(value):
        raise ValueError("is not a finite number")
    return value


Seed = Annotated[int, Field(ge=0, le=2**53 - 1)]
Count = Annotated[int, Field(ge=1, le=10_000)]
BatchSize = Annotated[int, Field(ge=1, le=1024)]
Name = Annotated[str, AfterValidator(_named)]
ModelName = Annotated[str, AfterValidator(_named)]
FileName = Annotated[str, AfterValidator(_named)]
Split = Literal["train", "valid", "test"]
Prompt = Annotated[str, AfterValidator(_said)]
NegativePrompt = Annotated[str, AfterValidator(_short)]
Steps = Annotated[int, Field(ge=1, le=1000)]
GuidanceScale = Annotated[float, Field(ge=0, le=50), AfterValidator(finite)]
GuidanceEvery = Annotated[int, Field(ge=1, le=10)]
Strength = Annotated[float, Field(gt=0, le=1), AfterValidator(finite)]
Width = Annotated[int, Field(ge=64, le=2048), AfterValidator(_whole_eights)]
Height = Annotated[int, Field(ge=64, le=2048), AfterValidator(_whole_eights)]
Lora = Annotated[str, AfterValidator(_lora)]
"""FILE[:unet[:text]]: a LoRA file and how strongly it works on the UNet and on the text encoder."""


class Sampled(BaseModel):
    """How a diffusion model draws; shared by every kind that makes pictures."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    steps: Steps = 20
    """Denoising steps: more are slower and, up to a point, better."""
    guidance_scale: GuidanceScale | None = None
    """How closely the prompt is followed (classifier-free guidance); the model's own when not given."""
    guidance_every: GuidanceEvery = 1
    """Steps from one full guidance to the next: 2 is faster and moves the picture a little, 1 is exact."""
    scheduler: SchedulerName | None = None
    """The sampler; the model's own when not given."""
    lora: tuple[Lora, ...] = ()
    """A LoRA as FILE[:unet[:text]], the scales on UNet and text encoder; may be given several times."""
    config: FileName | None = None
    """For a single .safetensors file: the folder with its configs and tokenizer, instead of the hub's."""


class Drawn(Sampled):
    """Sampled, with the picture's size and what must not be in it."""

    negative_prompt: NegativePrompt = ""
    """What should not be in the picture."""
    width: Width | None = None
    """Width in pixels, a multiple of 8; the model's own when not given."""
    height: Height | None = None
    """Height in pixels, a multiple of 8; the model's own when not given."""
