"""Recipe: train a network from a folder of pictures."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from easel.recipes.base import Recipe
from easel.recipes.knobs import Count, FolderName, LayoutName, ModelName, Name, Only, Split

Amount = Annotated[float, Field(gt=0, le=1_000_000)]
Width = Annotated[int, Field(ge=1, le=65_536)]


GANS = Only("network", "dcgan", "cgan", "control-gan", "stylegan", "text-dcgan", "stackgan", title="GANs")
VAE = Only("network", "vae")


class Train(Recipe):
    """Train a network from a folder of pictures, and see, while it learns, how near it comes to them."""

    positional: ClassVar = ("network", "data")
    front: ClassVar = (
        "resolution", "kimg", "minutes", "classes", "attributes", "stage_one", "beta", "prior", "perceptual",
        "batch_size", "learning_rate", "mirror",
    )  # fmt: skip
    resumes: ClassVar = True
    heavy: ClassVar = True
    alone: ClassVar = (
        "its processes speak to one another at every step, so they are started together, one for each GPU, by "
        "`accelerate launch` or `torchrun`; leave --on out"
    )
    # data may lie elsewhere: what is in it may not change, which its hash shows
    free: ClassVar = frozenset({"easel", "seed", "data", "kimg", "minutes", "licence"})

    kind: Literal["train"] = "train"
    """The kind of job."""
    network: Literal["dcgan", "cgan", "control-gan", "stylegan", "vae", "text-dcgan", "stackgan"]
    """What to train: pictures from chance (dcgan, stylegan, vae), by class (cgan), by attributes (control-gan), or from
    captions (text-dcgan, stackgan).
    """
    data: FolderName
    """Folder of pictures, in any layout that easel knows."""
    layout: LayoutName | None = None
    """How the set is laid out; recognised when not given."""
    split: Split | None = None
    """Only this part of the set."""
    resolution: Annotated[int, Field(ge=8, le=1024)] = 64
    """Pixels a side: a power of two, or 28."""
    kimg: Amount | None = None
    """Training length in thousands of pictures, counted as often as they are seen; the network's own when not given."""
    minutes: Amount | None = None
    """Training length in minutes, instead of kimg."""
    batch_size: Annotated[int, Field(ge=2, le=4096)] | None = None
    """Pictures in a step; more are steadier and take more memory. The paper's when not given."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Learning rate of Adam; more learns faster until it runs away. The paper's when not given."""
    objective: Annotated[Literal["non-saturating", "hinge", "wgan-gp", "least-squares"] | None, GANS] = None
    """GAN loss; the paper's when not given."""
    critic_steps: Annotated[int | None, Field(ge=1, le=100), GANS] = None
    """Critic steps for each generator step; the paper's when not given."""
    r1_gamma: Annotated[float | None, Field(ge=0, le=10_000), GANS] = None
    """R1 gradient penalty weight (gamma); more is steadier and slower, 0 is none. The paper's when not given."""
    augment: Annotated[Literal["none", "adaptive", "differentiable"], GANS] = "none"
    """Augmentation of what the critic sees, for small sets: always (differentiable), or as it overfits (adaptive)."""
    mirror: bool = False
    """Mirror every picture half of the time."""
    classes: Annotated[Name | None, Only("network", "cgan", "stylegan", "vae")] = None
    """Classes to draw by: 'label' for the set's own, else the attribute that tells them; cgan takes the set's own."""
    equilibrium: Annotated[float | None, Field(gt=0, le=100), Only("network", "control-gan", "cgan")] = None
    """Target ratio of the classifier's loss on generated to real pictures; lower shows the class more clearly.
    1 for control-gan when not given; cgan has no classifier then.
    """
    attributes: Annotated[tuple[Name, ...], Only("network", "control-gan")] = ()
    """Attributes to steer, such as hat or colour=red; all with yes or no when not given."""
    stage_one: Annotated[FolderName | None, Only("network", "stackgan")] = None
    """Folder of the trained stage I, which pictures above 64 pixels need."""
    beta: Annotated[float, Field(ge=0, le=1000), VAE] = 1.0
    """Weight of the KL term; above 1 gives fewer, more separate factors."""
    prior: Annotated[Literal["normal", "flow"], VAE] = "normal"
    """Prior that codes are drawn from: the standard normal, or a flow that learns where they lie."""
    perceptual: Annotated[float, Field(ge=0, le=1000), VAE] = 0.0
    """Weight of the perceptual loss beside that of the pixels; 1 gives clearer pictures, 0 is none."""
    latent: Width | None = None
    """Size of the latent that each picture is drawn from; the network's own when not given."""
    channels: Width | None = None
    """Channels of the layers nearest the picture; fewer are faster. The paper's when not given."""
    widest: Width | None = None
    """Most channels of any layer; fewer are faster. The paper's when not given."""
    judge: ModelName = "pocket"
    """Feature network of KID."""
    score_every: Amount | None = None
    """Thousands of pictures from one evaluation (KID, a grid) to the next; the network's own when not given."""
    score_count: Annotated[int, Field(ge=2, le=50_000)] = 1000
    """Pictures, real and made, that KID compares; more are slower and give a narrower interval."""
    licence: Name | None = None
    """Licence of the pictures, for the model card."""
    model: Annotated[ModelName, Only("network", "text-dcgan", "stackgan", "vae")] = "pocket"
    """Family of models whose text encoder reads the captions, or whose network gives the perceptual loss."""
    count: Count = 64
    """Pictures on the grid of samples."""

    @model_validator(mode="after")
    def _one_budget(self) -> Train:
        if self.kimg is not None and self.minutes is not None:
            raise ValueError("kimg or minutes: both are given; say one")
        return self
