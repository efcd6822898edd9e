"""The phases of the networks of `easel train`: whose weights learn, how often, from which loss.

A loss is a function of a `Context` and a plan, and sets nothing. A network that is trained by these losses is a row in
`plans.PLANS`; a new loss is a function here and a row in `phases_for`.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from easel.networks import layers
from easel.networks.stylegan import mixed_styles
from easel.networks.text_dcgan import interpolated
from easel.training import augment, objectives
from easel.training.batches import Batch, Batches
from easel.training.plans import PENALTY, TrainingPlan, average_decay
from easel.training.state import State
from easel.training.trainer import Context, Measured, Phase, Trainer, seeds_of

OVERFITTING_DECAY = 0.75
"""Of the measure of overfitting that adaptive augmentation follows: about the mean of its last four batches."""
PENALTIES = ("R1", "path")
"""Phases that regularise lazily: every so many steps, and as many times as strong."""

Distance = Callable[[Tensor, Tensor], Tensor]
"""How different pictures (n, 3, h, w) look, (n,)."""


def trainer_for(
    players: Mapping[str, nn.Module],
    plan: TrainingPlan,
    batches: Batches,
    precision: torch.dtype | None = None,
    perceptual_loss: Distance | None = None,
) -> Trainer:
    """The trainer of a network's ``players``, which are on the batches' device. ``precision`` is autocast's."""
    rows = phases_for(players, plan, perceptual_loss)
    return Trainer(
        players={name: player.train() for name, player in players.items()},
        phases=rows,
        optimizers={name: adam(name, player, plan, rows) for name, player in players.items()},
        seeds=seeds_of(batches.seed),
        batches=batches,
        averages={"generator": lambda step: average_decay(plan, step * plan.batch_size)},
        precision=precision,
        team=batches.team,
        state=State(augmentation=1.0 if plan.augment == "differentiable" else 0.0),
    )


def phases_for(players: Collection[str], plan: TrainingPlan, perceptual_loss: Distance | None = None) -> list[Phase]:
    """The phases of these players under a plan, in their order within a step."""
    steps, every = plan.critic_steps, plan.path_interval * plan.critic_steps
    is_wgan = plan.objective == "wgan-gp"
    if "encoder" in players:
        return [Phase("elbo", ("encoder", "generator"), 1, partial(elbo, plan=plan, perceptual_loss=perceptual_loss))]
    rows = [
        (True, Phase("critic", ("critic",), 1, partial(critic, plan=plan))),
        (is_wgan, Phase("gradient penalty", ("critic",), 1, partial(gradient_penalty, plan=plan), precise=True)),
        (plan.r1_gamma > 0, Phase("R1", ("critic",), plan.r1_interval, partial(r1, plan=plan), precise=True)),
        ("classifier" in players, Phase("classifier", ("classifier",), 1, classifier)),
        (True, Phase("generator", ("generator",), steps, partial(generator, plan=plan))),
        (plan.path_weight > 0, Phase("path", ("generator",), every, partial(path_length, plan=plan), precise=True)),
    ]
    return [phase for is_used, phase in rows if is_used]


def adam(name: str, player: nn.Module, plan: TrainingPlan, rows: Collection[Phase]) -> torch.optim.Optimizer:
    """Adam over the weights of a player that ask for a gradient; slowed where a penalty comes lazily (StyleGAN2)."""
    lr, betas = plan.learning_rate, plan.betas
    lazy = [phase.name for phase in rows if name in phase.players and phase.name in PENALTIES]
    if lazy:
        interval = plan.r1_interval if lazy[0] == "R1" else plan.path_interval
        lr, betas = objectives.lazy_regularization(lr, betas, interval)
    weights = [weight for weight in player.parameters() if weight.requires_grad]
    return torch.optim.Adam(weights, lr=lr, betas=betas, eps=1e-8, fused=True)


def critic(context: Context, plan: TrainingPlan) -> Measured:
    """Tell real from generated pictures; with captions also right from wrong ones (Reed 2016)."""
    batch: Batch = context.batch
    judge, objective = context.players["critic"], objectives.OBJECTIVES[plan.objective]
    with torch.no_grad():
        made = generated(context, plan, batch.condition)
    x = augmented(context, batch.real)
    real, fake = judge(x, batch.condition), judge(augmented(context, made), batch.condition)
    updates = overfitting(context, real) if plan.augment == "adaptive" else {}
    if batch.wrong is None:
        loss = objective.critic(real, fake)
    else:
        loss = objectives.matching_aware(objective, real, judge(x, batch.wrong), fake)
    return Measured(loss, {"critic": loss, "real": real.mean(), "fake": fake.mean()}, updates)


def overfitting(context: Context, real: Tensor) -> dict[str, float]:
    """How sure the critic is of real pictures, by their scores (n,), and the p of augmentation that follows from it."""
    state, team = context.state, context.team
    now = team.mean(augment.overfitting(real))
    mean = OVERFITTING_DECAY * state.overfitting + (1 - OVERFITTING_DECAY) * now
    return {"overfitting": mean, "augmentation": augment.adapted(state.augmentation, mean, len(real) * team.size)}


def gradient_penalty(context: Context, plan: TrainingPlan) -> Measured:
    """WGAN-GP's penalty."""
    batch: Batch = context.batch
    with torch.no_grad():
        made = generated(context, plan, batch.condition)
    judge = context.players["critic"]
    found = objectives.gradient_penalty(lambda x: judge(x, batch.condition), batch.real, made, context.generator)
    return Measured(PENALTY * found, {"gradient_penalty": found})


def r1(context: Context, plan: TrainingPlan) -> Measured:
    """R1 of the critic at real pictures, augmented as it sees them."""
    batch: Batch = context.batch
    x = batch.real.detach().requires_grad_()
    found = objectives.r1(context.players["critic"](augmented(context, x), batch.condition), x)
    return Measured(0.5 * plan.r1_gamma * plan.r1_interval * found, {"R1": found})


def classifier(context: Context) -> Measured:
    """Name the attributes or classes of real pictures, augmented as the critic sees them."""
    batch: Batch = context.batch
    assert batch.condition is not None
    logits = context.players["classifier"].train()(augmented(context, batch.real))
    loss = objectives.classification_loss(logits, batch.condition)
    return Measured(loss, {"classifier": loss}, {"classifier_loss": context.team.mean(float(loss.detach()))})


def generator(context: Context, plan: TrainingPlan) -> Measured:
    """Please the critic; to it come, where a network has them, the KL of its captions and the classifier's loss."""
    player, condition = context.players["generator"], context.batch.condition
    if plan.interpolates and condition is not None:
        half = len(condition) // 2
        condition = torch.cat([condition[:half], interpolated(condition[half:])])
    made = generated(context, plan, condition)
    scores = context.players["critic"](augmented(context, made), condition)
    loss = objectives.OBJECTIVES[plan.objective].generator(scores)
    numbers, updates = {"generator": loss}, dict[str, float]()
    if plan.caption_kl:
        mean, log_variance = player.moments(condition)
        numbers["KL"] = objectives.kl(mean, log_variance)
        loss = loss + plan.caption_kl * numbers["KL"] / mean.shape[1]
    if condition is not None and "classifier" in context.players:
        missed = objectives.classification_loss(
            context.players["classifier"].eval()(augmented(context, made)), condition
        )
        weight = objectives.update_classifier_weight(
            context.state.classifier_weight,
            context.team.mean(float(missed.detach())),
            context.state.classifier_loss,
            plan.equilibrium,
        )
        numbers["classifier_fake"], updates["classifier_weight"] = missed, weight
        loss = loss + weight * missed
    return Measured(loss, numbers, updates)


def path_length(context: Context, plan: TrainingPlan) -> Measured:
    """Path length regularisation (Karras 2020, section 3.2), on half a batch."""
    half, player = context.batch.half(), context.players["generator"]
    styles = player.styles(latents(context, len(half.real)), half.condition)
    lengths = objectives.path_lengths(player.synthesis(styles, "random"), styles, context.generator)
    penalty, mean = objectives.path_penalty(lengths, lengths.new_tensor(context.state.path_length))
    loss = plan.path_weight * plan.path_interval * penalty
    return Measured(loss, {"path": penalty}, {"path_length": context.team.mean(float(mean))})


def elbo(context: Context, plan: TrainingPlan, perceptual_loss: Distance | None = None) -> Measured:
    """The VAE's bound on -log p(x) (Kingma 2013, equation 10), its KL coming in slowly; to it comes, where it is asked
    for, how different the pictures look (Hou 2017, arXiv 1610.00291), weighed against the numbers in a picture.
    """
    batch, player = context.batch, context.players["generator"]
    moments, noise = context.players["encoder"](batch.real, batch.condition), latents(context, len(batch.real))
    z = layers.sample(moments, noise)
    made = player.decode(z, batch.condition)
    error = objectives.gaussian_error(made, batch.real, plan.deviation)
    prior = player.prior
    kl = objectives.kl(*moments) if prior is None else objectives.kl_of_codes(noise, moments[1], *prior.inverse(z))
    warmup = round(plan.warmup_kimg * 1000 / plan.batch_size)
    loss = error + objectives.kl_weight(context.step, warmup, plan.beta) * kl
    numbers = {"reconstruction": error, "KL": kl}
    if perceptual_loss is not None:
        numbers["perceptual"] = perceptual_loss(made, batch.real).mean()
        loss = loss + plan.perceptual * batch.real[0].numel() * numbers["perceptual"]
    return Measured(loss, {"elbo": loss, **numbers})


def latents(context: Context, n: int) -> Tensor:
    """z for n pictures, drawn on the CPU, put where the generator is. A team shares what one alone would draw."""
    player, team = context.players["generator"], context.team
    if team.size == 1:
        return player.latent(n, context.generator)  # type: ignore[no-any-return]
    whole = n * team.size
    return player.latent(whole, context.shared)[team.share(whole)]  # type: ignore[no-any-return]


def generated(context: Context, plan: TrainingPlan, condition: Tensor | None) -> Tensor:
    """Pictures of the generator, as many as in the batch; StyleGAN's with their styles mixed."""
    player, n = context.players["generator"], len(context.batch.real)
    z = latents(context, n)
    if not plan.style_mixing:
        return player(z, condition)  # type: ignore[no-any-return]
    first, second = (player.styles(x, condition) for x in (z, latents(context, n)))
    return player.synthesis(mixed_styles(first, second, plan.style_mixing, context.generator), "random")  # type: ignore[no-any-return]


def augmented(context: Context, x: Tensor) -> Tensor:
    """Pictures (n, 3, h, w) as critic and classifier see them."""
    return augment.augmented(x, context.state.augmentation, generator=context.generator)
