"""Pocket's perceptual net, in VGG's place: a small ResNet whose features place a photo next to itself under any filter.

Distances are taken as in LPIPS (Zhang et al. 2018, equation 1) over its four stages. Every stage is taught by contrast
of (photo, the same photo filtered), so that what is shown weighs more than how it is painted.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import ResNetConfig, ResNetModel, ViTImageProcessorPil

from easel.pocket.train import samples
from easel.pocket.train.clip import contrast
from easel.pocket.train.fit import Schedule, fit
from easel.pocket.train.pictures import Store
from easel.training.trainer import Context, Measured, autocast

SIDE, BATCH, SCALE = 128, 32, 15.0
SCHEDULE = Schedule(steps=450, lr=1.5e-3, warmup=60, weight_decay=0.02, average_decay=0.0)


def network() -> ResNetModel:
    """Four stages of one basic block."""
    shape = dict(embedding_size=24, hidden_sizes=[24, 48, 96, 160], depths=[1, 1, 1, 1])
    return ResNetModel(ResNetConfig(**shape, layer_type="basic"))


def summary(stage: Tensor) -> Tensor:
    """(n, c, h, w) -> (n, c * 16): unit-length features averaged over a grid of 4 x 4 places."""
    grid: Tensor = nn.functional.adaptive_avg_pool2d(nn.functional.normalize(stage, dim=1), 4).flatten(1)
    return grid - grid.mean(dim=0, keepdim=True)


def halves(stage: Tensor) -> Tensor:
    """Contrast of the first half of a batch (photos) with the second (the same, filtered)."""
    photos, filtered = summary(stage).chunk(2)
    return contrast(photos, filtered, SCALE)


def run(styled: Store, work: Path, device: str = "cpu", schedule: Schedule = SCHEDULE) -> ResNetModel:
    """Train it (or go on) and return it."""
    torch.manual_seed(4)
    model = network().to(device, memory_format=torch.channels_last)

    def loss(context: Context) -> Measured:
        rng = np.random.default_rng((51, context.step))
        chosen = 2 * rng.choice(len(styled.pixels) // 2, BATCH, replace=False)
        seed = int(rng.integers(2**31))
        sides = [
            samples.views([styled.pixels[i + k] for i in chosen], SIDE, np.random.default_rng(seed)) for k in (0, 1)
        ]
        with autocast(model):
            stages = model(torch.cat(sides).to(device), output_hidden_states=True).hidden_states[1:]
        value = sum((halves(stage.float()) for stage in stages), torch.zeros((), device=device))
        return Measured(value / len(stages))

    fit(model, loss, schedule, work / "perceptual.safetensors")
    return model


def image_processor() -> ViTImageProcessorPil:
    """Pictures squeezed to (3, SIDE, SIDE) in [-1, 1]; the distance is always taken at this size."""
    half = [0.5, 0.5, 0.5]
    return ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_mean=half, image_std=half)
