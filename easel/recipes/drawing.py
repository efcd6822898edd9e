"""How a model that has learned a subject draws, to be looked at: settings of generation that a sweep tries."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from easel.recipes.knobs import GuidanceEvery, GuidanceScale, PictureName, SchedulerName, Steps, Strength, lora_parts


def _scale(value: float | str) -> float | str:
    if 0.0 in scales_of(value):
        raise ValueError(f"is {value}: at 0 nothing of what was learned is seen")
    return value


def scales_of(value: float | str | None) -> tuple[float, float]:
    """A LoRA's scales on the UNet and on the text encoder: 0.8 is both, '0.8:0.5' is each, None is 1.

    >>> scales_of("0.8:0.5")
    (0.8, 0.5)
    """
    name, unet, text = lora_parts("LORA" if value is None else f"LORA:{value}")
    if name != "LORA":
        raise ValueError(f"is '{value}': write a number, or UNET:TEXT as in 0.8:0.5")
    return unet, text


class Drawing(BaseModel):
    """One way to draw the evaluation prompts. What is not given is the training's own, or else the model's."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    steps: Steps | None = None
    """Denoising steps."""
    guidance_scale: GuidanceScale | None = None
    """Classifier-free guidance scale; more follows the prompt more closely."""
    guidance_every: GuidanceEvery = 1
    """Steps from one full guidance to the next."""
    scheduler: SchedulerName | None = None
    """Sampler."""
    lora_scale: Annotated[Annotated[float, Field(ge=-10, le=10)] | str, AfterValidator(_scale)] | None = None
    """How strongly a LoRA works, on the UNet and the text encoder alike, or as UNET:TEXT; 1 when not given."""
    photo: PictureName | None = None
    """Photo that is redrawn with the prompts, instead of pictures from words alone."""
    strength: Strength | None = None
    """How far the photo is left."""

    @model_validator(mode="after")
    def _what_fits_together(self) -> Self:
        if self.strength is not None and self.photo is None:
            raise ValueError("strength: is of a photo that is redrawn: give a photo beside it")
        return self


def combinations(settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of settings that are each one value or a list of values to try."""
    each = [value if isinstance(value, list | tuple) else (value,) for value in settings.values()]
    for values in itertools.product(*each):
        yield dict(zip(settings, values, strict=True))
