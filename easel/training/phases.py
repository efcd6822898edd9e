"""What is done in a step, as rows: a name, whose weights move, how often, and the loss.

A new network that plays by these losses is a line in `phases`; a new loss is a function of the studio and a batch.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from easel.networks import layers
from easel.networks.stylegan import mixed
from easel.networks.text_dcgan import blended
from easel.training import augment, objectives
from easel.training.batches import Batch
from easel.training.plans import CLOUD, PENALTY, Plan

if TYPE_CHECKING:
    from easel.training.trainer import Studio

Numbers = dict[str, Tensor]
Loss = Callable[["Studio", Batch, torch.Generator], tuple[Tensor, Numbers]]
"""The studio, a batch and a CPU generator to draw from -> the loss, and numbers worth a curve."""


@dataclass(frozen=True)
class Phase:
    """A row: done every ``interval`` steps; ``precise`` ones stay in float32, since they differentiate twice."""

    name: str
    players: tuple[str, ...]
    interval: int
    loss: Loss
    precise: bool = False


def phases(players: Collection[str], plan: Plan) -> list[Phase]:
    """The rows of a network's players under a plan, in their order within a step."""
    if "encoder" in players:
        return [Phase("evidence", ("encoder", "generator"), 1, evidence)]
    rows = [Phase("critic", ("critic",), 1, critic)]
    if plan.objective == "wgan-gp":
        rows.append(Phase("slope", ("critic",), 1, slope, precise=True))
    if plan.r1_gamma:
        rows.append(Phase("R1", ("critic",), plan.r1_interval, r1, precise=True))
    if "classifier" in players:
        rows.append(Phase("classifier", ("classifier",), 1, classifier))
    rows.append(Phase("generator", ("generator",), plan.critic_steps, generator))
    if plan.path_weight:
        rows.append(Phase("path", ("generator",), plan.path_interval * plan.critic_steps, path, precise=True))
    return rows


def critic(studio: "Studio", batch: Batch, chance: torch.Generator) -> tuple[Tensor, Numbers]:
    """Tell real from made; with captions also right from wrong (Reed 2016)."""
    judge = studio.players["critic"]
    with torch.no_grad():
        made = drawn(studio, batch, batch.condition, chance)
    x = changed(studio, batch.real, chance)
    real, fake = judge(x, batch.condition), judge(changed(studio, made, chance), batch.condition)
    studio.note_overfitting(real)
    if batch.wrong is None:
        loss = studio.objective.critic(real, fake)
    else:
        loss = objectives.matching(studio.objective, real, judge(x, batch.wrong), fake)
    return loss, {"critic": loss, "real": real.mean(), "fake": fake.mean()}


def slope(studio: "Studio", batch: Batch, chance: torch.Generator) -> tuple[Tensor, Numbers]:
    """WGAN-GP's penalty."""
    with torch.no_grad():
        made = drawn(studio, batch, batch.condition, chance)
    judge = studio.players["critic"]
    found = objectives.gradient_penalty(lambda x: judge(x, batch.condition), batch.real, made, chance)
    return PENALTY * found, {"slope": found}


def r1(studio: "Studio", batch: Batch, chance: torch.Generator) -> tuple[Tensor, Numbers]:
    """The critic's slope at real pictures, as changed as it sees them, made small."""
    x = batch.real.detach().requires_grad_()
    found = objectives.r1(studio.players["critic"](changed(studio, x, chance), batch.condition), x)
    return 0.5 * studio.plan.r1_gamma * studio.plan.r1_interval * found, {"R1": found}


def generator(studio: "Studio", batch: Batch, chance: torch.Generator) -> tuple[Tensor, Numbers]:
    """Please the critic; and what else a network asks of its generator."""
    player, judge = studio.players["generator"], studio.players["critic"]
    condition = batch.condition
    if studio.network == "text-dcgan" and condition is not None:
        half = len(condition) // 2
        condition = torch.cat([condition[:half], blended(condition[half:])])
    made = drawn(studio, batch, condition, chance)
    with objectives.still(judge):
        loss = studio.objective.generator(judge(changed(studio, made, chance), condition))
    numbers = {"generator": loss}
    if studio.network == "stackgan":
        mean, log_variance = player.moments(condition)  # type: ignore[operator]
        numbers["KL"] = objectives.kl(mean, log_variance)
        loss = loss + CLOUD * numbers["KL"] / mean.shape[1]
    if condition is not None and "classifier" in studio.players:
        numbers["asked"] = asked(studio, changed(studio, made, chance), condition)
        loss = loss + studio.extras["balance"] * numbers["asked"]
    return loss, numbers


def asked(studio: "Studio", made: Tensor, condition: Tensor) -> Tensor:
    """How far made pictures are from what was asked of them, by the classifier as it is for real pictures."""
    judge = studio.players["classifier"].eval()
    with objectives.still(judge):
        found = objectives.telling_error(judge(made), condition)
    studio.extras["balance"] = objectives.balanced(
        studio.extras["balance"],
        studio.team.mean(float(found.detach())),
        studio.extras["classified"],
        studio.plan.equilibrium,
    )
    return found


def classifier(studio: "Studio", batch: Batch, chance: torch.Generator) -> tuple[Tensor, Numbers]:
    """Name the attributes or classes of real pictures, as changed as the critic sees them."""
    assert batch.condition is not None
    x = changed(studio, batch.real, chance)
    loss = objectives.telling_error(studio.players["classifier"].train()(x), batch.condition)
    studio.extras["classified"] = studio.team.mean(float(loss.detach()))
    return loss, {"classifier": loss}


def path(studio: "Studio", batch: Batch, chance: torch.Generator) -> tuple[Tensor, Numbers]:
    """Path length regularisation (Karras 2020, section 3.2), on half a batch."""
    half, player = batch.half(), studio.players["generator"]
    styles = player.styles(studio.latents(len(half.real), chance), half.condition)  # type: ignore[operator]
    pictures = player.synthesis(styles, "random")  # type: ignore[operator]
    lengths = objectives.path_lengths(pictures, styles, chance)
    penalty, target = objectives.path_penalty(lengths, lengths.new_tensor(studio.extras["path"]))
    studio.extras["path"] = studio.team.mean(float(target))
    weight = studio.plan.path_weight * studio.plan.path_interval
    return weight * penalty, {"path": penalty}


def evidence(studio: "Studio", batch: Batch, chance: torch.Generator) -> tuple[Tensor, Numbers]:
    """The VAE's bound on -log p(x) (Kingma 2013, equation 10), its KL coming in slowly; to it comes, where it is asked
    for, how different the pictures look (Hou 2017, arXiv 1610.00291), weighed against the numbers in a picture.
    """
    plan, player = studio.plan, studio.players["generator"]
    moments, noise = studio.players["encoder"](batch.real, batch.condition), studio.latents(len(batch.real), chance)
    z = layers.sample(moments, noise)
    made = player.decode(z, batch.condition)  # type: ignore[operator]
    error = objectives.gaussian_error(made, batch.real, plan.deviation)
    prior: Any = player.prior
    kl = objectives.kl(*moments) if prior is None else objectives.kl_of_codes(noise, moments[1], *prior.inverse(z))
    steps = round(plan.warmup_kimg * 1000 / plan.batch_size)
    loss = error + objectives.kl_weight(batch.step, steps, plan.beta) * kl
    numbers = {"error": error, "KL": kl}
    if studio.eyes is not None:
        numbers["perceptual"] = studio.eyes(made, batch.real).mean()
        loss = loss + plan.perceptual * batch.real[0].numel() * numbers["perceptual"]
    return loss, {"evidence": loss, **numbers}


def drawn(studio: "Studio", batch: Batch, condition: Tensor | None, chance: torch.Generator) -> Tensor:
    """Made pictures, as many as in the batch; StyleGAN's with their styles mixed."""
    player, n = studio.players["generator"], len(batch.real)
    z = studio.latents(n, chance)
    if not studio.plan.mixing:
        made: Tensor = player(z, condition)
        return made
    first, second = (player.styles(x, condition) for x in (z, studio.latents(n, chance)))  # type: ignore[operator]
    styles = mixed(first, second, studio.plan.mixing, chance)
    return player.synthesis(styles, "random")  # type: ignore[no-any-return, operator]


def changed(studio: "Studio", x: Tensor, chance: torch.Generator) -> Tensor:
    """Pictures as critic and classifier see them."""
    return augment.augmented(x, studio.extras["p"], generator=chance)
