"""What each paper trains with, as a table: the defaults of `easel train`, and what a person may set beside them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class TrainingPlan:
    """How a network is trained. Intervals are in steps; a step shows the critic one batch of new pictures.

    ``critic_steps``: steps from one of the generator's to the next. ``r1_gamma``: weight of R1 (0: none), added every
    ``r1_interval`` steps; ``r1_scale``: where gamma is not chosen it is this times resolution^2 / batch.
    ``path_weight`` and ``path_interval`` are those of path length, ``style_mixing`` its probability.
    ``average_kimg``: half-life of the weights' moving average. ``interpolates``: half of the captions are between two.
    ``caption_kl``: weight of the KL of conditioning augmentation. ``deviation``: of the pixels about the VAE's mean;
    ``warmup_kimg``: in which its KL comes to full weight; ``perceptual``: weight of the perceptual loss.
    ``equilibrium``: target ratio of the classifier's loss on generated to that on real pictures.
    ``augment``: none, adaptive (Karras 2020) or differentiable (Zhao 2020), as critic and classifier see pictures.
    ``score_every``: thousands of pictures from one evaluation to the next.
    """

    objective: str = "non-saturating"
    batch_size: int = 128
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    critic_steps: int = 1
    r1_gamma: float = 0.0
    r1_interval: int = 16
    r1_scale: float = 0.0
    path_weight: float = 0.0
    path_interval: int = 4
    style_mixing: float = 0.0
    average_kimg: float = 10.0
    interpolates: bool = False
    caption_kl: float = 0.0
    beta: float = 1.0
    deviation: float = 0.25
    warmup_kimg: float = 10.0
    perceptual: float = 0.0
    equilibrium: float = 1.0
    augment: str = "none"
    kimg: float = 1000.0
    score_every: float = 20.0


CAPTION_KL = 2.0
"""StackGAN's, for a mean over the numbers of its conditioning as in the authors' program. Their sum, which equation 2
of Zhang 2017 can be read as, puts the words out within minutes: every caption the same distribution.
"""
PLANS = {
    "dcgan": TrainingPlan(),  # Radford 2015, section 4
    "cgan": TrainingPlan("hinge", batch_size=64, betas=(0.0, 0.9), critic_steps=5),  # Miyato, Koyama 2018, section 4
    "control-gan": TrainingPlan("hinge", batch_size=64),
    "stylegan": TrainingPlan(  # Karras 2020, appendix B; gamma as in Karras 2020 (ADA)
        batch_size=32, learning_rate=0.0025, betas=(0.0, 0.99), r1_scale=0.0002, path_weight=2.0, style_mixing=0.9,
        score_every=10.0,
    ),
    "vae": TrainingPlan("elbo", learning_rate=1e-3, betas=(0.9, 0.999)),
    "text-dcgan": TrainingPlan(batch_size=64, interpolates=True),  # Reed 2016, section 5
    "stackgan": TrainingPlan(batch_size=64, caption_kl=CAPTION_KL),  # Zhang 2017, section 3.4
}  # fmt: skip
"""Network -> plan. Lee, Seok 2017 and Kingma, Welling 2013 trained with what nobody uses now: there, Adam's own."""
PENALTY = 10.0
"""Weight of WGAN-GP's penalty (Gulrajani 2017, algorithm 1)."""
RAMP = 0.05
"""Share of the pictures seen that the average may reach back over at first (Karras 2020, ADA's program)."""


def plan_for(network: str, resolution: int, chosen: Mapping[str, Any]) -> TrainingPlan:
    """The paper's plan with what a person chose; values of None are not chosen."""
    plan = replace(PLANS[network], **{name: value for name, value in chosen.items() if value is not None})
    if plan.r1_scale and chosen.get("r1_gamma") is None:
        plan = replace(plan, r1_gamma=plan.r1_scale * resolution**2 / plan.batch_size)
    if plan.objective == "wgan-gp" and chosen.get("critic_steps") is None:
        plan = replace(plan, critic_steps=5)  # Gulrajani 2017, algorithm 1
    return plan


def average_decay(plan: TrainingPlan, seen: int) -> float:
    """The decay of the moving average in the step after ``seen`` pictures: a half-life, shorter at the beginning."""
    half = min(plan.average_kimg * 1000, max(seen, 1) * RAMP)
    return float(0.5 ** (plan.batch_size / max(half, 1e-8)))


def warmup_cosine(step: int, lr: float, warmup: int, steps: int) -> float:
    """Learning rate at ``step``: linear warm-up to ``lr``, then half a cosine down to 2 % of it (Loshchilov 2017)."""
    if step < warmup:
        return lr * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return lr * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))
