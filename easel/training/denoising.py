"""How a diffusion model learns from latents: noise, targets and weights, each with its paper and equation.

Latents are (n, c, h, w), scaled to deviation one; times are (n,) whole numbers from 0, no noise to speak of, to T - 1;
alphas are the schedule's cumulative products (T,), in 0..1, so that SNR = alpha / (1 - alpha).
"""

import torch
from torch import Tensor

PREDICTIONS = ("epsilon", "v_prediction", "sample")
"""What a UNet predicts: the noise (Ho et al. 2020), the velocity (Salimans & Ho 2022), or the latents."""


def times_of(n: int, steps: int, generator: torch.Generator) -> Tensor:
    """n times, one in every nth of the schedule, in random order: it steadies small batches, and each is uniform
    (Kingma et al. 2021, arXiv 2107.00630, appendix I).
    """
    place = torch.randperm(n, generator=generator) + torch.rand(n, generator=generator)
    return (place / n * steps).long().clamp(max=steps - 1)


def noise_of(shape: torch.Size, offset: float, generator: torch.Generator) -> Tensor:
    """Standard normal noise, plus ``offset`` times noise that is the same all over a channel (Guttenberg 2023)."""
    noise = torch.randn(shape, generator=generator)
    if offset:
        noise = noise + offset * torch.randn(*shape[:2], 1, 1, generator=generator)
    return noise


def noisy(latents: Tensor, noise: Tensor, alphas: Tensor) -> Tensor:
    """What the UNet sees (Ho et al. 2020, equation 4); ``alphas`` are those of the times, (n,)."""
    alpha = alphas[:, None, None, None]
    return alpha.sqrt() * latents + (1 - alpha).sqrt() * noise


def target_of(prediction: str, latents: Tensor, noise: Tensor, alphas: Tensor) -> Tensor:
    """What the UNet should say: one of PREDICTIONS. The velocity is Salimans & Ho 2022, appendix D, and is the only one
    that says something at zero terminal SNR, where alpha is 0 (Lin et al. 2024, arXiv 2305.08891, section 3.2).
    """
    alpha = alphas[:, None, None, None]
    if prediction == "v_prediction":
        return alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
    return {"epsilon": noise, "sample": latents}[prediction]


def min_snr_weights(prediction: str, alphas: Tensor, gamma: float) -> Tensor:
    """Weights (n,) of the squared errors (Hang et al. 2023, arXiv 2303.09556, section 3.4).

    min(SNR, gamma) of the latents' error, which is that over SNR of the noise's, and over SNR + 1 of the velocity's.
    """
    snr = alphas / (1 - alphas).clamp(min=1e-12)
    least = snr.clamp(max=gamma)
    if prediction == "v_prediction":
        return least / (snr + 1)
    return least if prediction == "sample" else least / snr.clamp(min=1e-12)


def squared_error(said: Tensor, target: Tensor, weights: Tensor | None = None, masks: Tensor | None = None) -> Tensor:
    """The mean squared error, with a weight (n,) for each row, and where masks (n, 1, h, w) in 0..1 are given over what
    they mark: a row counts the same however little that is.
    """
    errors = (said.float() - target.float()).square()
    if masks is None:
        rows = errors.mean(dim=(1, 2, 3))
    else:
        rows = (errors * masks).sum(dim=(1, 2, 3)) / (masks.sum(dim=(1, 2, 3)) * errors.shape[1]).clamp(min=1e-6)
    return (rows if weights is None else rows * weights).mean()
