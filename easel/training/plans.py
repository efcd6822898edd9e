"""What each paper trains with, as a table: the defaults of `easel train`, and what a person may set beside them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Plan:
    """How a network is trained. Intervals are in steps; a step shows the critic one batch of new pictures.

    ``critic_steps``: steps from one of the generator's to the next. ``r1_gamma``: weight of R1 (0: none), added every
    ``r1_interval`` steps; ``path_weight`` likewise of path length. ``average_kimg``: half-life of the weights' moving
    average. ``deviation``: of the pixels about the VAE's mean; ``warmup_kimg``: in which its KL comes to full weight;
    ``perceptual``: how much the look of a picture counts beside its pixels.
    ``equilibrium``: loss of the classifier on made pictures over that on real ones that it presses for.
    ``score_every``: thousands of pictures from one measurement to the next.
    """

    objective: str = "non-saturating"
    batch_size: int = 128
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    critic_steps: int = 1
    r1_gamma: float = 0.0
    r1_interval: int = 16
    path_weight: float = 0.0
    path_interval: int = 4
    mixing: float = 0.0
    average_kimg: float = 10.0
    beta: float = 1.0
    deviation: float = 0.25
    warmup_kimg: float = 10.0
    perceptual: float = 0.0
    equilibrium: float = 1.0
    kimg: float = 1000.0
    score_every: float = 20.0


PLANS = {
    "dcgan": Plan(),  # Radford 2015, section 4
    "cgan": Plan("hinge", batch_size=64, betas=(0.0, 0.9), critic_steps=5),  # Miyato, Koyama 2018, section 4
    "control-gan": Plan("hinge", batch_size=64),
    "stylegan": Plan(  # Karras 2020, appendix B; gamma as in Karras 2020 (ADA), by resolution and batch
        batch_size=32, learning_rate=0.0025, betas=(0.0, 0.99), path_weight=2.0, mixing=0.9, score_every=10.0
    ),
    "vae": Plan("evidence", learning_rate=1e-3, betas=(0.9, 0.999)),
    "text-dcgan": Plan(batch_size=64),  # Reed 2016, section 5
    "stackgan": Plan(batch_size=64),  # Zhang 2017, section 3.4
}
"""Network -> plan. Lee, Seok 2017 and Kingma, Welling 2013 trained with what nobody uses now: there, Adam's own."""
PENALTY = 10.0
"""Weight of WGAN-GP's penalty (Gulrajani 2017, algorithm 1)."""
CLOUD = 2.0
"""Weight of the KL of StackGAN's conditioning augmentation, a mean over its numbers as in the authors' program. Their
sum, which equation 2 of Zhang 2017 can be read as, puts the words out within minutes: every caption the same cloud.
"""
RAMP = 0.05
"""Share of the pictures seen that the average may reach back over at first (Karras 2020, ADA's program)."""


def plan_for(network: str, resolution: int, chosen: Mapping[str, Any]) -> Plan:
    """The paper's plan with what a person chose; values of None are not chosen.

    StyleGAN's R1 weight follows resolution and batch unless chosen: 0.0002 * resolution^2 / batch.
    """
    plan = replace(PLANS[network], **{name: value for name, value in chosen.items() if value is not None})
    if network == "stylegan" and chosen.get("r1_gamma") is None:
        plan = replace(plan, r1_gamma=0.0002 * resolution**2 / plan.batch_size)
    if plan.objective == "wgan-gp" and chosen.get("critic_steps") is None:
        plan = replace(plan, critic_steps=5)  # Gulrajani 2017, algorithm 1
    return plan


def average_decay(plan: Plan, seen: int) -> float:
    """The decay of the moving average in the step after ``seen`` pictures: a half-life, shorter at the beginning."""
    half = min(plan.average_kimg * 1000, max(seen, 1) * RAMP)
    return float(0.5 ** (plan.batch_size / max(half, 1e-8)))
