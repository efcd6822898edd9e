"""A small network that names the facts of a picture from its latent; its features tell the painter what matters.

The squared error of a latent is mostly about large areas: whether a cat's ears are there costs next to nothing. The
distance between this network's features of the predicted and of the true latent is mostly about such things. It plays
the part that the decoder's features play in the latent perceptual loss (Berrada et al. 2024, arXiv 2411.04873), at a
tenth of their cost. It is no part of pocket, and not the judge of the scores, which sees pictures and learned from
others.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from easel.pocket.train.fit import Schedule, fit
from easel.pocket.train.heads import EXTRAS, FACTS, name_facts
from easel.pocket.train.judge import Block
from easel.pocket.train.samples import Row
from easel.pocket.train.unet import Latents
from easel.pocket.train.vae import apart
from easel.training.trainer import Context, Measured, autocast, device_of

WIDTHS, BATCH = (48, 96, 160, 160), 64
SCHEDULE = Schedule(steps=1300, lr=2e-3, warmup=100, weight_decay=0.02, average_decay=0.99, muon=True)
ROUGHNESS = 0.6
"""Largest deviation of the noise that is added to latents (their own is 1): what is to be judged is never perfect."""


class Spotter(nn.Module):
    """Latents (n, 8, h, w) -> the features of four stages; heads name the facts from the last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(8, WIDTHS[0], 3, 1, 1), nn.SiLU())
        self.blocks = nn.ModuleList(Block(a, b) for a, b in pairwise(WIDTHS))
        self.heads = nn.ModuleDict({name: nn.Linear(WIDTHS[-1], len(values)) for name, values in FACTS.items()})
        self.extras = nn.Linear(WIDTHS[-1], len(EXTRAS))

    def forward(self, latents: Tensor) -> list[Tensor]:
        """Features at h, h/2, h/4 and h/8."""
        seen = [self.stem(latents)]
        for block in self.blocks:
            seen.append(block(seen[-1]))
        return seen

    def losses(self, made: Tensor, true: Tensor, rows: list[Row], weight: Tensor) -> tuple[Tensor, Tensor]:
        """A perceptual loss of two batches of latents, and how far the made ones are from showing what the rows say.

        Both are means over the pictures, each counting ``weight`` (n,).
        """
        with torch.no_grad():
            wanted = self(true)
        seen = self(made)
        return (weight * apart(seen, wanted)).mean(), name_facts(self, tokens(seen), rows, weight)


def tokens(seen: list[Tensor]) -> Tensor:
    """The last features as (n, places, channels), float32."""
    return seen[-1].float().flatten(2).mT


def run(data: Latents, work: Path, schedule: Schedule = SCHEDULE, device: str = "cpu") -> Spotter:
    """Train it (or go on)."""
    torch.manual_seed(8)
    spotter = Spotter()
    spotter.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(context: Context) -> Measured:
        rng = np.random.default_rng((81, context.step))
        rows, latents, _ = data.draw(rng, BATCH)
        rough = ROUGHNESS * rng.random((BATCH, 1, 1, 1)) * rng.standard_normal(latents.shape)
        given = torch.from_numpy((latents + rough).astype(np.float32)).contiguous(memory_format=torch.channels_last)
        with autocast(spotter):
            seen = spotter(given.to(device_of(spotter)))
        named = name_facts(spotter, tokens(seen), rows)
        return Measured(named, {"facts": named})

    fit(spotter, loss, schedule, work / f"spotter-{data.side}.safetensors")
    spotter.requires_grad_(False)
    return spotter
