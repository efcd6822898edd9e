"""The settings of style transfer by optimisation, shared by the kinds that restyle."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from easel.recipes.knobs import ModelName, finite

MOST_WEIGHT = 1e6


def weighted(text: str) -> tuple[str, float]:
    r"""'wave.jpg:0.3' as (file, weight); without a number the weight is 1.

    Only a number after the last colon is a weight, so that 'C:\wave.jpg' and 'a:b.jpg' are whole names. Raises
    ValueError where no name is left, or the weight is not above 0.
    """
    name, colon, last = text.rpartition(":")
    try:
        weight = float(last) if colon else 1.0
    except ValueError:
        name, weight = text, 1.0
    name = name if colon else text
    if not name.strip() or name.endswith(":"):
        raise ValueError(f"is '{text}': write NAME or NAME:0.5")
    if not (math.isfinite(weight) and 0 < weight <= MOST_WEIGHT):
        raise ValueError(f"is '{text}': a weight is a number above 0, up to {MOST_WEIGHT:g}")
    return name, weight


def _weighted(text: str) -> str:
    if "\x00" in text or len(text) > 4096:
        raise ValueError("is not a name that a file could have")
    weighted(text)
    return text


Weighted = Annotated[str, AfterValidator(_weighted)]
"""NAME[:weight]."""
Weight = Annotated[float, Field(ge=0, le=MOST_WEIGHT), AfterValidator(finite)]
SomeWeight = Annotated[float, Field(gt=0, le=MOST_WEIGHT), AfterValidator(finite)]
Side = Annotated[int, Field(ge=32, le=16384)]
Iterations = Annotated[int, Field(ge=1, le=10_000)]
Tile = Annotated[int, Field(ge=512, le=16384)]


class Neural(BaseModel):
    """How the method neural works: a picture is optimised until a network sees the photo's content in the painting's
    style.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    style_image: tuple[Weighted, ...] = ()
    """For neural: a picture whose style to take, FILE[:weight]; several are blended. Else the style's own picture."""
    keep_colours: bool = False
    """For neural: only light and dark are painted, and the photo's colours stay."""
    features: ModelName = "pocket"
    """For neural: the network that sees: pocket, vgg19, resnet-18, a folder, or a file of VGG-19's weights."""
    side: Side = 512
    """For neural: the picture's longer side in pixels, where width and height do not say."""
    iterations: Iterations = 60
    """For neural: optimisation steps at the last size; each coarser size takes more."""
    content_weight: Weight | None = None
    """For neural: how much the photo's shapes count; the network's own when not given."""
    style_weight: SomeWeight = 1.0
    """For neural: how much the painting's style counts."""
    tv_weight: Weight | None = None
    """For neural: how much smoothness counts (total variation); the network's own when not given."""
    content_layers: tuple[Weighted, ...] = ()
    """For neural: layers whose maps are kept, as NAME[:weight]; the network's own when not given."""
    style_layers: tuple[Weighted, ...] = ()
    """For neural: layers whose statistics are matched, as NAME[:weight]; the network's own when not given."""
    pooling: Literal["average", "largest"] = "average"
    """For neural with VGG-19: what stands for four neighbours; a ResNet's maps are always averaged."""
    optimiser: Literal["lbfgs", "adam"] = "adam"
    """For neural: what walks downhill."""
    start: Literal["photo", "noise"] = "photo"
    """For neural: what the first size starts from."""
    tile: Tile = 1024
    """For neural: the longest side that is worked on at once; larger pictures go tile by tile."""
