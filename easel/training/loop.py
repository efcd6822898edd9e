"""One loop for every network: steps, warm-up and cosine, a moving average, checkpoints, a line of log."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from easel.training import checkpoints
from easel.training.muon import Muon

Loss = Callable[[int], tuple[Tensor, dict[str, float]]]
"""step -> (the loss, numbers for the log). All randomness comes from the step, so that a resumed run is the same
run.
"""


@dataclass(frozen=True)
class Plan:
    """How long and how fast. ``average_decay`` is the EMA's (0 keeps the last weights); ``save_seconds`` between
    checkpoints.
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


def home(model: nn.Module) -> torch.device:
    """Where a network lives; what it is fed goes there."""
    return next(model.parameters()).device


def mixed(model: nn.Module) -> torch.autocast:
    """bfloat16 where it is safe, on the network's own device."""
    return torch.autocast(home(model).type, torch.bfloat16)


def rate(plan: Plan, step: int) -> float:
    """Learning rate at ``step``: linear warm-up, then half a cosine down to 2 % of the peak (Loshchilov 2017)."""
    if step < plan.warmup:
        return plan.lr * (step + 1) / plan.warmup
    done = (step - plan.warmup) / max(1, plan.steps - plan.warmup)
    return plan.lr * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def train(model: nn.Module, loss: Loss, plan: Plan, checkpoint: Path, log: Callable[[str], None] = print) -> None:
    """Train ``model`` in place, from ``checkpoint`` if there is one; the averaged weights are in it when this returns.

    Raises:
        FloatingPointError: the loss is no longer a number; the last checkpoint is left as it was.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    average = {name: p.detach().clone().float() for name, p in trained.items()}
    optimiser = optimiser_for(trained, plan)
    start = checkpoints.restore(checkpoint, model, average, optimiser)
    saved = begun = time.monotonic()
    model.train()
    for step in range(start, plan.steps):
        for group in optimiser.param_groups:
            group["lr"] = rate(plan, step)
        torch.manual_seed(step)  # dropout, if a network has it
        value, numbers = loss(step)
        if not torch.isfinite(value):
            raise FloatingPointError(f"the loss is {value.item()} at step {step}: lower the learning rate, resume")
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(trained.values(), plan.clip)
        optimiser.step()
        blend(average, trained, min(plan.average_decay, (step + 1) / (step + 10)))
        if step % 50 == 0 or step == plan.steps - 1:
            pace = (step + 1 - start) / (time.monotonic() - begun)
            shown = "  ".join(f"{k} {v:.4g}" for k, v in {"loss": value.item(), **numbers}.items())
            log(f"{step + 1}/{plan.steps}  {shown}  {pace:.2f} steps/s  ETA {(plan.steps - step) / pace / 60:.1f} min")
        if time.monotonic() - saved > plan.save_seconds or step == plan.steps - 1:
            checkpoints.save(checkpoint, model, average, optimiser, step + 1)
            saved = time.monotonic()
    if plan.average_decay:
        with torch.no_grad():
            for name, parameter in trained.items():
                parameter.copy_(average[name])
    model.eval()


def optimiser_for(trained: dict[str, nn.Parameter], plan: Plan) -> torch.optim.Optimizer:
    """Muon or AdamW, as the plan says."""
    if plan.muon:
        return Muon(trained.items(), plan.lr, plan.weight_decay)
    return torch.optim.AdamW(
        trained.values(), lr=plan.lr, betas=(0.9, 0.99), weight_decay=plan.weight_decay, fused=True
    )


@torch.no_grad()
def blend(average: dict[str, Tensor], trained: dict[str, nn.Parameter], decay: float) -> None:
    """average <- decay * average + (1 - decay) * trained."""
    weights = [trained[name].detach().float() for name in average]
    torch._foreach_lerp_(list(average.values()), weights, 1 - decay)
