"""Recipe: train a network from a folder of pictures."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from easel.recipes.base import Recipe
from easel.recipes.knobs import Count, FileName, ModelName, Name, Split


def _sized(value: float | None) -> float | None:
    if value is not None and value <= 0:
        raise ValueError(f"is {value:g}: must be above 0")
    return value


Amount = Annotated[float, Field(le=1_000_000), AfterValidator(_sized)]
Width = Annotated[int, Field(ge=1, le=65_536)]


class Train(Recipe):
    """Train a network from a folder of pictures, and see, while it learns, how near it comes to them."""

    kind: Literal["train"] = "train"
    """The kind of job."""
    network: Literal["dcgan", "cgan", "control-gan", "stylegan", "vae", "text-dcgan", "stackgan"]
    """What to train: dcgan, cgan, control-gan, stylegan, vae, text-dcgan or stackgan."""
    data: FileName
    """The folder of pictures, in any layout that easel knows."""
    layout: Name | None = None
    """How the set is laid out: flat, classes, metadata, cub, celeba, dogs or hotels; recognised when not given."""
    split: Split | None = None
    """Only this part of the set."""
    resolution: Annotated[int, Field(ge=8, le=1024)] = 64
    """Pixels a side: a power of two, or 28."""
    kimg: Amount | None = None
    """Thousands of pictures to learn from, counted as often as they are seen; the network's own when not given."""
    minutes: Amount | None = None
    """Minutes to train, instead of kimg."""
    batch_size: Annotated[int, Field(ge=2, le=4096)] | None = None
    """Pictures in a step; the paper's when not given."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Adam's step size; the paper's when not given."""
    objective: Literal["non-saturating", "hinge", "wgan-gp", "least-squares"] | None = None
    """What generator and critic play for; the paper's when not given."""
    critic_steps: Annotated[int, Field(ge=1, le=100)] | None = None
    """Steps of the critic for each of the generator; the paper's when not given."""
    r1_gamma: Annotated[float, Field(ge=0, le=10_000)] | None = None
    """Weight of the R1 penalty on the critic's slope; 0 is none; the paper's when not given."""
    augment: Literal["none", "adaptive", "differentiable"] = "none"
    """Change what the critic sees, for small sets: always (differentiable), or as much as it overfits (adaptive)."""
    mirror: bool = False
    """Show every picture half of the time in a mirror."""
    classes: Name | None = None
    """Draw by class: 'label' for the set's own classes, else the attribute that tells them; cgan needs none said."""
    equilibrium: Annotated[float, Field(gt=0, le=100)] | None = None
    """For control-gan (1 when not given) and cgan (then no classifier): its loss on made over real, low is plain."""
    attributes: tuple[Name, ...] = ()
    """For control-gan: attributes to steer, such as hat or colour=red; all with yes or no when not given."""
    stage_one: FileName | None = None
    """For stackgan above 64 pixels: the model folder of its trained stage I."""
    beta: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """For vae: the weight of the KL term; above 1 gives fewer, more separate factors."""
    prior: Literal["normal", "flow"] = "normal"
    """For vae: where codes are drawn from, the standard normal or a flow that learns where they lie."""
    perceptual: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """For vae: how much the look of a picture counts beside its pixels, 1 for clearer ones; 0 is none."""
    latent: Width | None = None
    """Numbers that each picture is drawn from; the network's own when not given."""
    channels: Width | None = None
    """How wide the network is near the picture; the paper's when not given, fewer are faster."""
    widest: Width | None = None
    """How wide the network may become anywhere; the paper's when not given."""
    judge: ModelName = "pocket"
    """The model whose features KID compares."""
    score_every: Amount | None = None
    """Measure KID and draw the grid every so many thousand pictures; the network's own when not given."""
    score_count: Annotated[int, Field(ge=2, le=50_000)] = 1000
    """Pictures, real and made, that KID looks at."""
    licence: Name | None = None
    """The licence of the pictures, for the model card."""
    model: ModelName = "pocket"
    """For text-dcgan and stackgan: whose text encoder reads the captions; for vae: who tells how pictures look."""
    count: Count = 64
    """Pictures on the grid of samples."""

    @model_validator(mode="after")
    def _what_fits_together(self) -> Train:
        if self.kimg is not None and self.minutes is not None:
            raise ValueError("kimg or minutes: both are given; say one")
        for name, networks in ONLY_FOR.items():
            if getattr(self, name) != type(self).model_fields[name].default and self.network not in networks:
                raise ValueError(f"{name}: belongs to {' and '.join(networks)}, not to {self.network}")
        return self


GANS = ("dcgan", "cgan", "control-gan", "stylegan", "text-dcgan", "stackgan")
ONLY_FOR = {
    "attributes": ("control-gan",),
    "equilibrium": ("control-gan", "cgan"),
    "stage_one": ("stackgan",),
    "classes": ("cgan", "stylegan", "vae"),
    "objective": GANS,
    "critic_steps": GANS,
    "r1_gamma": GANS,
    "augment": GANS,
    "beta": ("vae",),
    "prior": ("vae",),
    "perceptual": ("vae",),
}
"""Settings that some networks have no use for."""
