"""What networks are trained for: plain functions of scores, pictures and moments, each with its paper and equation.

Critics give scores (n,), higher is more real. Every loss is a mean over the pictures, to be made small.
Penalties differentiate twice: call them outside autocast, on float32 pictures.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Critic = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """A game: ``critic(real, fake)`` and ``generator(fake)``, scores (n,) to a loss."""

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


OBJECTIVES = {
    "non-saturating": Objective(  # Goodfellow 2014, section 3: the generator makes log D(G(z)) large
        critic=lambda real, fake: (functional.softplus(-real)).mean() + functional.softplus(fake).mean(),
        generator=lambda fake: functional.softplus(-fake).mean(),
    ),
    "hinge": Objective(  # Miyato 2018 (1802.05957), equations 16 and 17
        critic=lambda real, fake: functional.relu(1 - real).mean() + functional.relu(1 + fake).mean(),
        generator=lambda fake: -fake.mean(),
    ),
    "wgan-gp": Objective(  # Gulrajani 2017, equation 3; add 10 * gradient_penalty
        critic=lambda real, fake: fake.mean() - real.mean(),
        generator=lambda fake: -fake.mean(),
    ),
    "least-squares": Objective(  # Mao 2017, equation 9, with labels 0 and 1
        critic=lambda real, fake: 0.5 * ((real - 1).square().mean() + fake.square().mean()),
        generator=lambda fake: 0.5 * (fake - 1).square().mean(),
    ),
}


def matching_aware(objective: Objective, real: Tensor, wrong: Tensor, fake: Tensor) -> Tensor:
    """The matching-aware critic's loss (Reed 2016, algorithm 1): real pictures with a wrong caption are false as well.

    Scores (n,) of real pictures with their captions, the same with others' captions, and made pictures.
    """
    return 0.5 * (objective.critic(real, fake) + objective.critic(real, wrong))


def gradients(scores: Tensor, x: Tensor) -> Tensor:
    """The gradient of each score with respect to its own picture, (n, 3, h, w), itself differentiable."""
    (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return gradient


def r1(scores: Tensor, real: Tensor) -> Tensor:
    """R1 (Mescheder 2018, equation 9) without its gamma / 2: the mean over real pictures of the gradient's square.

    ``real`` (n, 3, h, w) must ask for a gradient, and ``scores`` (n,) be the critic's of it.
    """
    return gradients(scores, real).square().sum(dim=(1, 2, 3)).mean()


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """WGAN-GP's penalty (Gulrajani 2017, equation 3) without its 10: (norm of the gradient - 1)^2 between real
    and generated pictures.

    The place between is drawn for each pair, on the CPU by ``generator``. The critic must have no batch norm.
    """
    place = torch.rand(len(real), 1, 1, 1, generator=generator).to(real)
    between = torch.lerp(real.detach(), fake.detach(), place).requires_grad_()
    norm = gradients(critic(between), between).square().sum(dim=(1, 2, 3)).sqrt()
    return (norm - 1).square().mean()


def path_lengths(pictures: Tensor, styles: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """How far a picture moves for a step in w (Karras 2020, equation 4): (n,), differentiable.

    ``pictures`` (n, 3, h, w) come from ``styles`` (n, layers, style), which ask for a gradient. The length is of
    J^T y, y a normal picture over sqrt(h w); squares are summed over style and averaged over layers.
    """
    y = torch.randn(pictures.shape, generator=generator).to(pictures) / (pictures.shape[2] * pictures.shape[3]) ** 0.5
    (moved,) = torch.autograd.grad((pictures * y).sum(), styles, create_graph=True)
    return moved.square().sum(dim=2).mean(dim=1).sqrt()


def path_penalty(lengths: Tensor, target: Tensor, decay: float = 0.01) -> tuple[Tensor, Tensor]:
    """The penalty E(length - a)^2 and the new target a, the moving mean of lengths (Karras 2020, section 3.2).

    ``target`` is a number, 0 at the start, to be kept with the weights; it moves before it is used and has no gradient.
    """
    moved = torch.lerp(target, lengths.detach().mean(), decay)
    return (lengths - moved).square().mean(), moved


def lazy_regularization(lr: float, betas: tuple[float, float], interval: int) -> tuple[float, tuple[float, float]]:
    """Adam's lr and betas where a penalty comes every ``interval`` steps as one more step (Karras 2020, appendix B).

    With c = interval / (interval + 1): c * lr, and betas to the power c. The penalty is multiplied by ``interval``.
    """
    c = interval / (interval + 1)
    return lr * c, (betas[0] ** c, betas[1] ** c)


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)) in nats (Kingma 2013, appendix B): summed over numbers, mean over n."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()


def kl_of_codes(noise: Tensor, log_variance: Tensor, u: Tensor, log_determinant: Tensor) -> Tensor:
    """KL to a learned prior in nats, by one code a picture: log q(z|x) - log p(z), mean over n (Chen 2017, 3.2).

    The code is mean + ``noise`` * deviation; ``u`` (n, size) and ``log_determinant`` (n,) are what a `Flow.inverse`
    makes of it.
    """
    return (0.5 * (u.square() - noise.square() - log_variance).sum(dim=1) - log_determinant).mean()


def kl_weight(step: int, warmup: int, beta: float = 1.0) -> float:
    """The KL's weight: from 0 to ``beta`` (Higgins 2017) in ``warmup`` steps (Sonderby 2016), then ``beta``."""
    return beta * min(1.0, step / warmup) if warmup else beta


def gaussian_error(made: Tensor, x: Tensor, deviation: float = 1.0) -> Tensor:
    """-log N(x; made, deviation^2) without its constant: summed over pixels, mean over pictures (n, 3, h, w).

    A smaller ``deviation`` asks for sharper reconstructions; it is the same as a smaller beta.
    """
    return 0.5 * ((made - x) / deviation).square().sum(dim=(1, 2, 3)).mean()


def classification_loss(logits: Tensor, condition: Tensor) -> Tensor:
    """Cross-entropy of logits (n, k) and the condition they should show, a mean over pictures.

    Labels, whole numbers (n,), of which one is right; or attributes (n, k) in 0-1, over which it is summed.
    """
    if not condition.is_floating_point():
        return functional.cross_entropy(logits, condition)
    return functional.binary_cross_entropy_with_logits(logits, condition, reduction="none").sum(dim=1).mean()


def update_classifier_weight(
    weight: float, fake: float, real: float, equilibrium: float = 1.0, rate: float = 0.01
) -> float:
    """ControlGAN's next weight of the classifier in the generator's loss (Lee, Seok 2017, equation 4), at least 0.

    It grows while generated pictures are harder to classify than ``equilibrium`` times the real: losses ``fake`` and
    ``real``.
    """
    return max(0.0, weight + rate * (fake - equilibrium * real))
