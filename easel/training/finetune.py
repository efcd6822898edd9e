"""A diffusion model taught a subject: DreamBooth (Ruiz et al. 2022, arXiv 2208.12242), LoRA (Hu et al. 2021, arXiv
2106.09685) and Textual Inversion (Gal et al. 2022, arXiv 2208.01618) are one training, and differ in what learns.

The players are the UNet and the text encoders; a weight learns if an optimizer holds it. A step has two phases: `prior`
keeps the class as it was, `instance` learns the subject; their gradients add up to one step (DreamBooth, equation 2).
"""

import contextlib
import importlib.util
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from easel.errors import EaselError, nearest, shortened
from easel.training import denoising
from easel.training.distributed import ALONE, Team
from easel.training.plans import warmup_cosine
from easel.training.trainer import Context, Measured, Phase, Trainer, seed_of, seeds_of

Words = tuple[Tensor, Tensor | None]
"""Hidden states (n, tokens, width), and for SDXL the pooled ones (n, width)."""


@dataclass(frozen=True)
class FinetunePlan:
    """How a subject is learned. ``prior_weight`` is DreamBooth's lambda; ``rank`` and ``targets`` are a LoRA's.

    ``new_token``: the identifier is a token of its own. ``clip``: largest norm of a step's gradient.
    """

    learning_rate: float
    steps: int
    batch_size: int = 1
    rank: int = 16
    targets: tuple[str, ...] = ("attention",)
    prior_weight: float = 0.0
    prior_pictures: int = 100
    new_token: bool = False
    text_learning_rate: float | None = None
    clip: float = 1.0


PRODIGY = "prodigy"
PLANS = {
    "full": FinetunePlan(5e-6, 800, prior_weight=1.0),  # DreamBooth, section 4 (Stable Diffusion)
    "lora": FinetunePlan(1e-4, 1000),
    "textual-inversion": FinetunePlan(5e-3, 3000, batch_size=4),  # Gal et al. 2022, section 4.1, times two by the batch
}
"""Method -> plan; a model's own easel.json may say otherwise for it (`personalize`)."""


def plan_for(method: str, own: Mapping[str, Any], chosen: Mapping[str, Any]) -> FinetunePlan:
    """The method's plan, with what the model's folder says of it, with what a person chose (None is not chosen).

    Raises EaselError on what no plan has.
    """
    plan = PLANS[method]
    known = {one.name: type(getattr(plan, one.name)) for one in fields(FinetunePlan)}
    said = own.get(method, {})
    if not isinstance(said, dict):
        raise EaselError(f"easel.json of the model: 'personalize' has no table for {method}")
    for name, value in said.items():
        if name not in known:
            raise EaselError(
                f"easel.json of the model: no setting of personalize called '{name}': {nearest(name, known)}"
            )
        wanted = known[name]
        fits = isinstance(value, list) if wanted is tuple else isinstance(value, int | float)
        if not fits or (wanted in (int, float) and not 0 <= float(value) < 1e9):
            raise EaselError(f"easel.json of the model: '{name}' of personalize cannot be {shortened(repr(value))}")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    return replace(plan, **values | {name: value for name, value in chosen.items() if value not in (None, ())})


@dataclass(frozen=True, eq=False)
class Rows:
    """Pictures of a batch, of one size: latents (n, c, h, w), their prompts, what is learned of each (n, 1, h, w), and
    SDXL's sizes and crops (n, 6).
    """

    latents: Tensor
    prompts: tuple[str, ...]
    masks: Tensor | None = None
    time_ids: Tensor | None = None

    def share(self, team: Team) -> "Rows":
        """This process's part."""
        part = team.share(len(self.prompts))
        masks, times = (None if one is None else one[part] for one in (self.masks, self.time_ids))
        return Rows(self.latents[part], self.prompts[part], masks, times)


@dataclass(frozen=True, eq=False)
class Example:
    """A picture that is learned from: its latent (c, h, w), and that of its mirror image where it is learned too."""

    latent: Tensor
    prompt: str
    mirrored: Tensor | None = None
    mask: Tensor | None = None
    """(1, h, w), 0..1."""
    time_ids: Tensor | None = None
    """(6,)"""


@dataclass(frozen=True, eq=False)
class Batch:
    """Photos of the subject, and pictures of its class."""

    instance: Rows
    prior: Rows | None = None


@dataclass(eq=False)
class Examples:
    """Batches that follow from the step alone: every photo is seen once before one is seen again. A batch is of one
    size, that of its first photo.
    """

    instance: Sequence[Example]
    prior: Sequence[Example]
    batch_size: int
    seed: int
    team: Team = ALONE
    seconds: float = 0.0
    """Spent on batches in all."""

    def batch(self, step: int) -> Batch:
        """This process's share of the batch of a step."""
        begun = time.perf_counter()
        instance = self._rows(self.instance, step, 0).share(self.team)
        prior = self._rows(self.prior, step, 1).share(self.team) if self.prior else None
        self.seconds += time.perf_counter() - begun
        return Batch(instance, prior)

    def _rows(self, examples: Sequence[Example], step: int, stream: int) -> Rows:
        draw = torch.Generator().manual_seed(seed_of(self.seed, step, stream, -3))
        flips = torch.rand(self.batch_size, generator=draw)
        chosen = [self._at(examples, step * self.batch_size + place, stream) for place in range(self.batch_size)]
        alike = [one for one in examples if one.latent.shape == chosen[0].latent.shape]
        for place, one in enumerate(chosen):
            if one.latent.shape != chosen[0].latent.shape:
                chosen[place] = alike[int(torch.randint(len(alike), (1,), generator=draw))]
        latents = [
            one.mirrored if one.mirrored is not None and flip < 0.5 else one.latent
            for one, flip in zip(chosen, flips, strict=True)
        ]
        masks = None
        if any(one.mask is not None for one in chosen):
            ones = torch.ones(1, *chosen[0].latent.shape[1:])
            found = [ones if one.mask is None else one.mask for one in chosen]
            is_turned = [one.mirrored is not None and flip < 0.5 for one, flip in zip(chosen, flips, strict=True)]
            masks = torch.stack([m.flip(-1) if turned else m for m, turned in zip(found, is_turned, strict=True)])
        times = [one.time_ids for one in chosen if one.time_ids is not None]
        return Rows(
            torch.stack(latents), tuple(one.prompt for one in chosen), masks, torch.stack(times) if times else None
        )

    def _at(self, examples: Sequence[Example], place: int, stream: int) -> Example:
        epoch, at = divmod(place, len(examples))
        order = torch.randperm(
            len(examples), generator=torch.Generator().manual_seed(seed_of(self.seed, epoch, stream, -4))
        )
        return examples[int(order[at])]


@dataclass(eq=False)
class Denoiser:
    """The two losses: how far the UNet is from what it should say of noisy latents."""

    alphas: Tensor
    """(T,)"""
    prediction: str
    encode: Callable[[Sequence[str]], Words]
    """Prompts -> what the text encoders make of them, on the UNet's device; differentiable where they learn."""
    prior_weight: float = 0.0
    snr_gamma: float | None = None
    offset_noise: float = 0.0
    seconds: dict[str, float] = field(default_factory=lambda: {"text encoder": 0.0, "UNet": 0.0})
    """Spent on forward passes in all; of a GPU, on handing them over."""

    def instance(self, context: Context) -> Measured:
        """The squared error on photos of the subject."""
        loss = self._error(context, context.batch.instance)
        return Measured(loss, {"instance": loss})

    def prior(self, context: Context) -> Measured:
        """The squared error on pictures of the class, times lambda."""
        loss = self._error(context, context.batch.prior)
        return Measured(self.prior_weight * loss, {"prior": loss})

    def _error(self, context: Context, rows: Rows) -> Tensor:
        unet, team = context.players["unet"], context.team
        first = next(unet.parameters())
        device, dtype = first.device, first.dtype

        # What is drawn: by one generator for all processes, of which each takes its part
        whole = len(rows.latents) * team.size
        shape = torch.Size((whole, *rows.latents.shape[1:]))
        part = team.share(whole)
        times = denoising.times_of(whole, len(self.alphas), context.shared)[part]
        noise = denoising.noise_of(shape, self.offset_noise, context.shared)[part].to(device)
        alphas, latents = self.alphas[times].to(device), rows.latents.to(device)

        # What the UNet says
        begun = time.perf_counter()
        states, pooled = self.encode(rows.prompts)
        states = states.to(dtype)  # under autocast an encoder that learns gives float32
        encoded = time.perf_counter()
        added = None
        if pooled is not None and rows.time_ids is not None:
            added = {"text_embeds": pooled.to(dtype), "time_ids": rows.time_ids.to(device)}
        x = denoising.noisy(latents, noise, alphas).contiguous(memory_format=torch.channels_last)
        said = unet(x, times.to(device), states, added_cond_kwargs=added, return_dict=False)[0]
        self.seconds["text encoder"] += encoded - begun
        self.seconds["UNet"] += time.perf_counter() - encoded

        # How far it is off
        target = denoising.target_of(self.prediction, latents, noise, alphas)
        weights = None
        if self.snr_gamma is not None:
            weights = denoising.min_snr_weights(self.prediction, alphas, self.snr_gamma)
        masks = None if rows.masks is None else rows.masks.to(device)
        return denoising.squared_error(said, target, weights, masks)


@dataclass(frozen=True)
class Learning:
    """How the weights move: optimizer, its weight decay, the schedule of its rate, and the moving average's decay."""

    optimizer: str = "adamw"
    weight_decay: float = 0.01
    lr_schedule: str = "constant"
    warmup: int = 0
    ema: float | None = None


def trainer_for(
    players: Mapping[str, nn.Module],
    learning: Learning,
    plan: FinetunePlan,
    denoiser: Denoiser,
    examples: Examples,
    precision: torch.dtype | None = None,
) -> Trainer:
    """The trainer of players whose weights learn where they ask for a gradient. ``precision`` is autocast's."""
    names = tuple(name for name, player in players.items() if any(w.requires_grad for w in player.parameters()))
    instance = Phase("instance", names, 1, denoiser.instance)
    prior = Phase("prior", names, 1, denoiser.prior, accumulates=True)
    return Trainer(
        players=players,
        phases=[prior, instance] if examples.prior else [instance],
        optimizers={name: optimizer_for(name, players[name], plan, learning) for name in names},
        seeds=seeds_of(examples.seed),
        batches=examples,
        averages={name: partial(_decay, decay=learning.ema) for name in names} if learning.ema else {},
        lr_schedule=partial(scheduled, learning=learning, steps=plan.steps),
        clip=plan.clip,
        precision=precision,
        team=examples.team,
    )


def optimizer_for(name: str, player: nn.Module, plan: FinetunePlan, learning: Learning) -> torch.optim.Optimizer:
    """The optimizer of a player's weights that ask for a gradient: AdamW, the same with moments of a byte (Dettmers
    2022, arXiv 2110.02861), or Prodigy, which finds the rate itself and takes ours times it (Mishchenko and Defazio
    2023, arXiv 2306.06101). Raises EaselError where a package is missing.
    """
    weights = [weight for weight in player.parameters() if weight.requires_grad]
    lr = plan.learning_rate if name == "unet" else plan.text_learning_rate or plan.learning_rate
    if learning.optimizer == "adamw-8bit":
        check_optimizer(learning.optimizer)
        made = importlib.import_module("bitsandbytes").optim.AdamW8bit
        return made(weights, lr=lr, weight_decay=learning.weight_decay)  # type: ignore[no-any-return]
    if learning.optimizer == PRODIGY:
        from prodigyopt import Prodigy

        with contextlib.redirect_stdout(None):  # it tells that its weight decay is AdamW's
            return Prodigy(  # type: ignore[no-any-return]
                weights, lr=lr, weight_decay=learning.weight_decay, safeguard_warmup=learning.warmup > 0
            )
    return torch.optim.AdamW(weights, lr=lr, weight_decay=learning.weight_decay, fused=True)


def check_optimizer(name: str) -> None:
    """EaselError where an optimizer's package is not installed."""
    if name == "adamw-8bit" and importlib.util.find_spec("bitsandbytes") is None:
        raise EaselError(
            "optimizer adamw-8bit needs the package bitsandbytes, which is not installed: `pip install bitsandbytes`, "
            "or take adamw"
        )


def scheduled(step: int, lr: float, learning: Learning, steps: int) -> float:
    """The learning rate of a step."""
    if learning.lr_schedule == "cosine":
        return warmup_cosine(step, lr, learning.warmup, steps)
    return lr * min(1.0, (step + 1) / max(1, learning.warmup))


def _decay(step: int, decay: float) -> float:
    """The decay of the moving average in a step: shorter at the beginning (as diffusers' EMAModel)."""
    return min(decay, (1 + step) / (10 + step))


def epochs(plan: FinetunePlan, photos: int) -> float:
    """How often each photo is seen."""
    return plan.steps * plan.batch_size / max(1, photos)


def every(plan: FinetunePlan, asked: int | None) -> int:
    """Steps from one evaluation to the next: as asked, else a quarter of the steps."""
    return asked or math.ceil(plan.steps / 4)
