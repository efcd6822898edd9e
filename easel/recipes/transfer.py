"""Recipe: paint a photo in the style of a picture, by neural style transfer."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from easel.recipes.base import Recipe
from easel.recipes.knobs import (
    Count,
    Height,
    IsWords,
    ModelName,
    NamesFile,
    Only,
    PictureName,
    Plays,
    Prompt,
    Repeated,
    StyleName,
    Width,
    finite,
)
from easel.recipes.stylize import DEFAULT_STYLES, Styled

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


Weighted = Annotated[str, AfterValidator(_weighted), IsWords()]
"""NAME[:weight]."""
WeightedFile = Annotated[str, AfterValidator(_weighted), NamesFile(lambda text: weighted(text)[0])]
"""FILE[:weight]."""
Weight = Annotated[float, Field(ge=0, le=MOST_WEIGHT), AfterValidator(finite)]
SomeWeight = Annotated[float, Field(gt=0, le=MOST_WEIGHT), AfterValidator(finite)]
Side = Annotated[int, Field(ge=32, le=16384)]
Iterations = Annotated[int, Field(ge=1, le=10_000)]
Tile = Annotated[int, Field(ge=512, le=16384)]
NEURAL = Only("method", "neural")
PaintedName = Annotated[StyleName, IsWords(among="easel.jobs.stylize.styles:painted")]
PAINTED_STYLES = ("van-gogh", "malevich", "delaunay", "hokusai")
"""Styles with a painting of their own to take them from."""


class Optimised(BaseModel):
    """How neural style transfer works: a picture is optimised until a network sees the photo's content in the style of
    a painting.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    style: Annotated[tuple[WeightedFile, ...], NEURAL, Repeated()] = ()
    """Style picture as FILE[:weight]; several are blended. The pictures of the named styles when not given."""
    keep_colours: Annotated[bool, NEURAL] = False
    """Paint light and dark only, and keep the photo's colours."""
    features: Annotated[ModelName, NEURAL, Plays("style")] = "pocket"
    """Feature network: pocket, vgg19, resnet-18, a folder, or a file of VGG-19's weights."""
    side: Annotated[Side, NEURAL] = 512
    """Longer side of the picture in pixels, where width and height do not say."""
    iterations: Annotated[Iterations, NEURAL] = 60
    """Optimisation steps at the last size; each coarser size takes half as many again. More are slower and closer."""
    content_weight: Annotated[Weight | None, NEURAL] = None
    """Weight of the content loss; more keeps the photo's shapes. The network's own when not given."""
    style_weight: Annotated[SomeWeight, NEURAL] = 1.0
    """Weight of the style loss; more paints more."""
    tv_weight: Annotated[Weight | None, NEURAL] = None
    """Weight of the total variation; more is smoother. The network's own when not given."""
    content_layers: Annotated[tuple[Weighted, ...], NEURAL] = ()
    """Layers whose feature maps are kept, as NAME[:weight]; the network's own when not given."""
    style_layers: Annotated[tuple[Weighted, ...], NEURAL] = ()
    """Layers whose feature statistics are matched, as NAME[:weight]; the network's own when not given."""
    pooling: Annotated[Literal["average", "max"], NEURAL] = "average"
    """Pooling of VGG-19; a ResNet's maps are always averaged."""
    optimizer: Annotated[Literal["lbfgs", "adam"], NEURAL] = "adam"
    """The optimizer."""
    start: Annotated[Literal["photo", "noise"], NEURAL] = "photo"
    """What the coarsest size starts from."""
    tile: Annotated[Tile, NEURAL] = 1024
    """Longest side in pixels that is worked on at once; larger pictures go tile by tile. Less takes less memory."""

    @model_validator(mode="after")
    def _one_style_picture(self) -> Optimised:
        styles = getattr(self, "styles", DEFAULT_STYLES)
        if self.style and len(styles) > 1 and styles not in (DEFAULT_STYLES, PAINTED_STYLES):
            raise ValueError("styles: with a style picture all would be painted alike: give one name, or none")
        if "neural" in getattr(self, "method", ("neural",)) and self.start == "photo" and getattr(self, "count", 1) > 1:
            raise ValueError("count: from the photo every picture comes out the same: use start: noise, or count: 1")
        return self


class Transfer(Optimised, Styled, Recipe):
    """Paint a photo in the style of a picture, pixel by pixel, and score it for style and for content kept."""

    repeatable: ClassVar = True
    positional: ClassVar = ("photo",)
    front: ClassVar = (
        "style", "styles", "style_weight", "content_weight", "tv_weight", "iterations", "side", "keep_colours",
    )  # fmt: skip
    shared_by: ClassVar = "photo"

    kind: Literal["transfer"] = "transfer"
    """The kind of job."""
    photo: PictureName
    """The photo."""
    styles: Annotated[tuple[PaintedName, ...], Field(min_length=1)] = PAINTED_STYLES
    """Styles by name, each taken from its own painting, where no style picture is given."""
    width: Width | None = None
    """Width in pixels, a multiple of 8; from `side` when not given."""
    height: Height | None = None
    """Height in pixels, a multiple of 8; from `side` when not given."""
    count: Count = 1
    """Pictures in each style; more than one need start: noise."""
    caption: Prompt | None = None
    """What the photo shows, in your words, for the judge; captioned by the model when not given."""
