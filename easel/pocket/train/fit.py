"""How a part of pocket is trained: one network, one loss, AdamW or Muon, by the trainer and loop of `easel train`."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from easel.training import loop
from easel.training.muon import Muon
from easel.training.plans import warmup_cosine
from easel.training.state import Position
from easel.training.trainer import Context, Measured, Phase, Trainer

EVERY = 50
"""Steps from one line of the log to the next."""

Loss = Callable[[Context], Measured]
"""All that it draws must follow from the context's step, so that a resumed run is the same run."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: ``lr`` is reached after ``warmup`` steps and falls by a cosine. ``average_decay`` is the
    EMA's (0 keeps the last weights), ``clip`` the gradient's largest norm; ``save_seconds`` lie between checkpoints.
    """

    steps: int
    lr: float = 1e-3
    warmup: int = 100
    weight_decay: float = 0.01
    average_decay: float = 0.999
    clip: float = 1.0
    muon: bool = False
    """Muon for the matrices instead of AdamW: fewer pictures to the same loss."""
    save_seconds: float = 120.0


def fit(model: nn.Module, loss: Loss, schedule: Schedule, checkpoint: Path, log: Callable[[str], None] = print) -> None:
    """Train ``model`` in place, from ``checkpoint`` if there is one; the averaged weights are in it when this returns.

    Raises:
        FloatingPointError: the loss is no longer a number; the last checkpoint is left as it was.
        EaselError: the checkpoint is damaged or of another network.
    """
    trainer = trainer_for(model, loss, schedule)
    budget, lines = loop.Budget(steps=schedule.steps, save_seconds=schedule.save_seconds), Log(schedule.steps, log)
    loop.train(trainer, lines, checkpoint, budget, loop.resume(trainer, lines, checkpoint, {}))
    trainer.use_averages()
    model.eval()


def trainer_for(model: nn.Module, loss: Loss, schedule: Schedule) -> Trainer:
    """One player, one phase."""

    def with_loss(context: Context) -> Measured:
        found = loss(context)
        return replace(found, numbers={"loss": found.loss, **found.numbers})

    def decay(step: int) -> float:
        return min(schedule.average_decay, (step + 1) / (step + 10))

    return Trainer(
        players={"model": model.train()},
        phases=[Phase("model", ("model",), 1, with_loss)],
        optimizers={"model": optimizer_for(model, schedule)},
        seeds=lambda step, _: step,
        averages={"model": decay} if schedule.average_decay else {},
        lr_schedule=partial(_lr, schedule),
        clip=schedule.clip,
    )


def optimizer_for(model: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """Muon or AdamW over the weights that ask for a gradient, as the schedule says."""
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    if schedule.muon:
        return Muon(named, schedule.lr, schedule.weight_decay)
    weights = [weight for _, weight in named]
    return torch.optim.AdamW(weights, lr=schedule.lr, betas=(0.9, 0.99), weight_decay=schedule.weight_decay, fused=True)


def _lr(schedule: Schedule, step: int, lr: float) -> float:
    return warmup_cosine(step, lr, schedule.warmup, schedule.steps)


class Log:
    """A line of losses every so many steps: `loop.Observer` of a part."""

    def __init__(self, steps: int, log: Callable[[str], None]) -> None:
        self.steps, self.log = steps, log
        self.first, self.begun = 0, time.monotonic()

    def resume(self, position: Position) -> None:
        """Reckon the pace from here."""
        self.first = position.step

    def evaluate(self, step: int, seconds: float) -> None:
        """Parts are measured elsewhere, when all are made."""

    def note(self, step: int, numbers: Mapping[str, Tensor]) -> None:
        """Write a line, if this step has one."""
        if step % EVERY == 0 or step == self.steps - 1:
            pace = (step + 1 - self.first) / (time.monotonic() - self.begun)
            shown = "  ".join(f"{name} {float(value):.4g}" for name, value in numbers.items())
            left = (self.steps - step) / pace / 60
            self.log(f"{step + 1}/{self.steps}  {shown}  {pace:.2f} steps/s  ETA {left:.1f} min")

    def report(self, step: int, seconds: float) -> None:
        """The lines are all there is."""

    def flush(self) -> dict[str, list[float]]:
        """Nothing is kept."""
        return {}
