"""Pocket's autoencoder: L1 and gradients on 128 px crops of photos and scenes, a slight pull of the latent to N(0,
1).
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from easel.networks.autoencoder import PixelAutoencoder
from easel.training.loop import Plan, home, mixed, train
from easel.training.pocket.pictures import Pixels, Store

CROP, BATCH = 128, 16
PLAN = Plan(steps=4000, lr=8e-4, warmup=150, average_decay=0.998, weight_decay=0.0)
KL_WEIGHT = 2e-4


def crops(stores: list[Store], step: int, batch: int = BATCH) -> Tensor:
    """A batch of random crops (batch, 3, 128, 128) in [-1, 1], each store equally often, half of them mirrored."""
    rng = np.random.default_rng((11, step))
    out: Pixels = np.empty((batch, CROP, CROP, 3), np.uint8)
    for i in range(batch):
        pixels = stores[i % len(stores)].pixels
        room = pixels.shape[1] - CROP
        k, y, x = rng.integers(len(pixels)), rng.integers(room + 1), rng.integers(room + 1)
        crop = pixels[k, y : y + CROP, x : x + CROP]
        out[i] = crop[:, ::-1] if rng.random() < 0.5 else crop
    return to_tensor(out)


def to_tensor(pixels: Pixels) -> Tensor:
    """(n, h, w, 3) uint8 -> (n, 3, h, w) float in [-1, 1], channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def gradient_loss(a: Tensor, b: Tensor) -> Tensor:
    """L1 between the pictures' horizontal and vertical differences: what keeps edges sharp."""
    return l1_loss(a.diff(dim=2), b.diff(dim=2)) + l1_loss(a.diff(dim=3), b.diff(dim=3))


def run(stores: list[Store], work: Path, device: str = "cpu", plan: Plan = PLAN) -> PixelAutoencoder:
    """Train it (or go on) and return it with its scaling factor measured."""
    torch.manual_seed(0)
    model: PixelAutoencoder = PixelAutoencoder()
    model.to(device, memory_format=torch.channels_last)

    def loss(step: int) -> tuple[Tensor, dict[str, float]]:
        real = crops(stores, step).to(device)
        with mixed(model):
            mean, log_variance = model.encoder(real).float().chunk(2, dim=1)
            log_variance = log_variance.clamp(-20, 10)
            latent = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            made = model.decoder(latent).float()
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
        pixel = l1_loss(made, real)
        psnr = 10 * torch.log10(4 / nn.functional.mse_loss(made.detach().clamp(-1, 1), real))
        return pixel + gradient_loss(made, real) + KL_WEIGHT * divergence, {
            "l1": pixel.item(),
            "kl": divergence.item(),
            "psnr": psnr.item(),
        }

    train(model, loss, plan, work / "vae.safetensors")
    model.register_to_config(scaling_factor=round(1 / spread(model, stores), 5))
    return model


@torch.no_grad()
def spread(model: PixelAutoencoder, stores: list[Store]) -> float:
    """Standard deviation of the latents of 256 crops."""
    means = [model.encoder(crops(stores, 10**6 + i).to(home(model))).chunk(2, dim=1)[0] for i in range(16)]
    return float(torch.cat(means).std())
