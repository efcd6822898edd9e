"""Pocket's autoencoder: L1 and gradients on 128 px crops of photos and scenes, a slight pull of the latent to N(0,
1). Then its decoder alone goes on, with a perceptual and a patch-adversarial term (Esser et al. 2021, "Taming
Transformers", section 3.1), so that no cached latent is lost.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from easel.networks.autoencoder import PixelAutoencoder
from easel.pocket.train.fit import Schedule, fit
from easel.pocket.train.pictures import Pixels, Store
from easel.training.trainer import Context, Measured, autocast, device_of

CROP, BATCH = 128, 16
SCHEDULE = Schedule(steps=4000, lr=8e-4, warmup=150, average_decay=0.998, weight_decay=0.0)
KL_WEIGHT = 2e-4
SHARPEN = Schedule(steps=2400, lr=4e-4, warmup=50, average_decay=0.998, weight_decay=0.0, muon=True)
PERCEPTUAL_WEIGHT, ADVERSARIAL_WEIGHT = 1.5, 0.05
FIRST_STAGES = 3
"""Stages of the perceptual net that are compared; the last one is about what is shown, not about edges."""


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
    return torch.from_numpy(np.require(pixels, requirements=("C", "W"))).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def gradient_loss(a: Tensor, b: Tensor) -> Tensor:
    """L1 between the pictures' horizontal and vertical differences: what keeps edges sharp."""
    return l1_loss(a.diff(dim=2), b.diff(dim=2)) + l1_loss(a.diff(dim=3), b.diff(dim=3))


def run(stores: list[Store], work: Path, device: str = "cpu", schedule: Schedule = SCHEDULE) -> PixelAutoencoder:
    """Train it (or go on) and return it with its scaling factor measured."""
    torch.manual_seed(0)
    model: PixelAutoencoder = PixelAutoencoder()
    model.to(device, memory_format=torch.channels_last)

    def loss(context: Context) -> Measured:
        real = crops(stores, context.step).to(device)
        with autocast(model):
            mean, log_variance = model.encoder(real).float().chunk(2, dim=1)
            log_variance = log_variance.clamp(-20, 10)
            latent = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            made = model.decoder(latent).float()
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
        pixel = l1_loss(made, real)
        psnr = 10 * torch.log10(4 / nn.functional.mse_loss(made.detach().clamp(-1, 1), real))
        total = pixel + gradient_loss(made, real) + KL_WEIGHT * divergence
        return Measured(total, {"l1": pixel, "kl": divergence, "psnr": psnr})

    fit(model, loss, schedule, work / "vae.safetensors")
    model.register_to_config(scaling_factor=round(1 / spread(model, stores), 5))
    return model


class Reversed(torch.autograd.Function):
    """Passes on as it is, and sends the gradient back with its sign turned and scaled (Ganin 2015, section 3).

    Decoder and critic then learn from one loss, in one loop, out of one checkpoint.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: float) -> Tensor:
        """x as it is."""
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The gradient, turned round."""
        return -ctx.weight * gradients[0], None


class Sharpener(nn.Module):
    """The decoder and its critic: a patch critic of 22 x 22 pixels (Isola 2017), spectrally normalised."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder
        normal = torch.nn.utils.parametrizations.spectral_norm
        self.critic = nn.Sequential(
            normal(nn.Conv2d(3, 48, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            normal(nn.Conv2d(48, 96, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            normal(nn.Conv2d(96, 1, 3, 1, 1)),
        )

    def duel(self, real: Tensor, made: Tensor, weight: float) -> Tensor:
        """The critic's relativistic loss (Jolicoeur-Martineau 2018), which the decoder works against."""
        turned: Tensor = Reversed.apply(made, weight)
        scores = self.critic(torch.cat([real, turned]))
        return nn.functional.softplus(scores[len(real) :] - scores[: len(real)]).mean()


def apart(ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
    """Squared differences of unit-length features, (n,), as in LPIPS (Zhang 2018, equation 1): each stage's mean over
    its places, and their mean.
    """
    pairs = [[nn.functional.normalize(x.float(), dim=1) for x in pair] for pair in zip(ours, theirs, strict=True)]
    return torch.stack([(a - b).square().sum(1).mean(dim=(1, 2)) for a, b in pairs]).mean(dim=0)


def sharpen(
    model: PixelAutoencoder,
    perceptual_net: nn.Module,
    stores: list[Store],
    work: Path,
    device: str = "cpu",
    schedule: Schedule = SHARPEN,
) -> None:
    """Train the decoder on, in place, against the frozen encoder; compared by ``perceptual_net``."""
    torch.manual_seed(1)
    sharpener = Sharpener(model.decoder)
    sharpener.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.encoder.to(device)
    perceptual_net.to(device).requires_grad_(False)

    def stages(pictures: Tensor) -> list[Tensor]:
        return list(perceptual_net(pictures, output_hidden_states=True).hidden_states[1 : 1 + FIRST_STAGES])

    def loss(context: Context) -> Measured:
        real = crops(stores, 10**7 + context.step).to(device)
        with autocast(model):
            with torch.no_grad():
                latent = model.encoder(real).chunk(2, dim=1)[0]
                theirs = stages(real)
            made = sharpener.decoder(latent).float()
            ours = stages(made)
            duel = sharpener.duel(real, made, ADVERSARIAL_WEIGHT)
        pixel, seen = l1_loss(made, real), apart(ours, theirs).mean()
        psnr = 10 * torch.log10(4 / nn.functional.mse_loss(made.detach().clamp(-1, 1), real))
        numbers = {"l1": pixel, "perceptual": seen, "duel": duel, "psnr": psnr}
        total = pixel + gradient_loss(made, real) + PERCEPTUAL_WEIGHT * seen + duel
        return Measured(total, numbers)

    fit(sharpener, loss, schedule, work / "decoder.safetensors")


@torch.no_grad()
def spread(model: PixelAutoencoder, stores: list[Store]) -> float:
    """Standard deviation of the latents of 256 crops."""
    means = [model.encoder(crops(stores, 10**6 + i).to(device_of(model))).chunk(2, dim=1)[0] for i in range(16)]
    return float(torch.cat(means).std())
