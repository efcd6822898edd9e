"""Steering a trained generator: change one attribute of a picture by moving its latent, and hold the others.

A classifier says where an attribute grows: the gradient of its logit with respect to the latent (as the classifier
leads the generator in Lee, Seok 2017). A step takes out what would move the others, conditional manipulation (Shen
2020, arXiv 1907.10786, section 3.2), and, being solved anew at each place, mends what has drifted. It works for any
generator and any latent: z, or StyleGAN's w.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from easel.errors import EaselError, unknown

Paint = Callable[[Tensor], Tensor]
"""Latents (n, size) -> pictures (n, 3, side, side); differentiable."""
Classify = Callable[[Tensor], Tensor]
"""Pictures -> logits (n, attributes)."""


@dataclass(frozen=True)
class Steering:
    """How far to move: at most ``steps``, each at most ``step_length`` long in a latent of unit variance.

    ``logit``: what the target 1 stands for (4: a probability of 0.98). ``hold``: keep the other attributes.
    ``keep_length``: keep the latent's length, as that of normal numbers hardly varies; leave it out in w.
    """

    steps: int = 40
    step_length: float = 0.3
    logit: float = 4.0
    hold: bool = True
    keep_length: bool = True


def target_indices(asked: Mapping[str, float], names: list[str]) -> dict[int, float]:
    """Targets of attributes by name, {"hat": 1.0}, -> by index. 1 is surely with, -1 surely without, 0 on the border.

    Raises:
        EaselError: an attribute that the classifier does not know (nearest shown), or a target outside -1 to 1.
    """
    for name, value in asked.items():
        if name not in names:
            raise unknown("attribute", name, names)
        if not -1 <= value <= 1:
            raise EaselError(f"attribute {name}={value:g}: ask for -1 (surely without) to 1 (surely with)")
    return {names.index(name): value for name, value in asked.items()}


def conditioned(direction: Tensor, others: Tensor) -> Tensor:
    """``direction`` (size,) without its part in the span of ``others`` (k, size), then of length 1 (Shen 2020).

    Raises:
        EaselError: nothing is left: the attribute cannot be moved without the others.
    """
    _, sizes, rows = torch.linalg.svd(others, full_matrices=False)
    spanned: Tensor = rows[sizes > 1e-6 * sizes[:1]]
    rest: Tensor = direction - spanned.t() @ (spanned @ direction)
    if rest.norm() <= 1e-5 * direction.norm():
        raise EaselError("this attribute goes wholly with the ones to be held: hold fewer")
    unit: Tensor = rest / rest.norm()
    return unit


def boundary(latents: Tensor, has: Tensor, ridge: float = 1e-3) -> Tensor:
    """The unit normal (size,) of the plane that parts latents (n, size) with an attribute from those without.

    ``has`` (n,) is 0 or 1. Least squares with a ridge: Fisher's discriminant, in place of Shen's linear SVM.
    """
    signs = 2 * has.float() - 1
    if signs.min() == signs.max():
        raise EaselError("all pictures have the attribute, or none has: draw more, or with both")
    centred = latents.float() - latents.float().mean(dim=0)
    gram = centred.t() @ centred / len(latents)
    gram = gram + ridge * gram.diagonal().mean() * torch.eye(len(gram), device=gram.device)
    normal: Tensor = torch.linalg.solve(gram, centred.t() @ (signs - signs.mean()) / len(latents))
    unit: Tensor = normal / normal.norm()
    return unit


def jacobian(paint: Paint, classify: Classify, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (n, attributes), and their gradients (n, attributes, size) with respect to the latents (n, size)."""
    with torch.enable_grad():
        at = latents.detach().requires_grad_()
        logits = classify(paint(at))
        count = logits.shape[1]
        rows = [torch.autograd.grad(logits[:, k].sum(), at, retain_graph=k < count - 1)[0] for k in range(count)]
    return logits.detach().float(), torch.stack(rows, dim=1).float()


def step(gradients: Tensor, change: Tensor, damping: float = 1e-4) -> Tensor:
    """The shortest move of each latent that changes its logits by ``change`` to first order: (n, size).

    ``gradients`` (n, k, size), ``change`` (n, k). Where one entry is not 0 it is along that gradient without its part
    in the span of the others: `conditioned`. ``damping`` times the mean square keeps gradients that agree from long
    moves.
    """
    gram = gradients @ gradients.mT  # (n, k, k)
    level = gram.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None] * damping + 1e-12
    gram = gram + level * torch.eye(gram.shape[1], device=gram.device)
    move: Tensor = gradients.mT @ torch.linalg.solve(gram, change[:, :, None])
    return move[:, :, 0]


def remaining(logits: Tensor, goal: Tensor) -> Tensor:
    """What is missing to the goals, (n, k); nothing where a logit is beyond its goal, seen from 0."""
    missing = goal - logits
    return torch.where(missing.sign() * goal.sign() < 0, torch.zeros_like(missing), missing)


def goals(logits: Tensor, targets: Mapping[int, float], most: float) -> Tensor:
    """The logits to be reached, (n, attributes): those of the targets, else those of now, at most ``most`` from 0."""
    goal = logits.clamp(-most, most)
    for index, value in targets.items():
        goal[:, index] = value * most
    return goal


def steer(
    paint: Paint,
    classify: Classify,
    latents: Tensor,
    targets: Mapping[int, float],
    steering: Steering | None = None,
) -> Tensor:
    """Latents (n, size) moved until their pictures have the targets, {attribute's index: -1 to 1}; the others held.

    Held attributes keep to their first logit, at most ``steering.logit`` from 0. Each picture moves by itself and stops
    when it is there, or when the steps are spent: compare the classifier's logits before and after to see which were
    reached. Put ``paint`` and ``classify`` into ``eval()``; for StyleGAN let the latents be w, one style for all
    layers.
    """
    steering = steering or Steering()
    if not targets:
        return latents
    z = latents.detach().float()
    length = z.norm(dim=1, keepdim=True)
    with torch.no_grad():
        goal = goals(classify(paint(z)).float(), targets, steering.logit)
    used = list(range(goal.shape[1])) if steering.hold else list(targets)
    for _ in range(steering.steps):
        logits, gradients = jacobian(paint, classify, z)
        missing = remaining(logits, goal)
        is_there = missing[:, list(targets)].abs().amax(dim=1, keepdim=True) < 0.05 * steering.logit
        if is_there.all():
            break
        move = step(gradients[:, used], missing[:, used])
        move = move * (steering.step_length / move.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp_max(1.0)
        z = torch.where(is_there, z, z + move)
        if steering.keep_length:
            z = z * length / z.norm(dim=1, keepdim=True)
    return z.to(latents.dtype)
