"""Muon (Jordan et al. 2024): momentum whose matrices are brought to orthogonality, so that every direction learns.

Matrices and convolutions (flattened behind their first dimension) take Muon's step, scaled to the size of Adam's
(Liu et al. 2025, "Muon is scalable for LLM training", equation 4), so that one learning rate serves both; embeddings,
biases and norms take AdamW's. torch's own Muon takes two-dimensional parameters only.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

MOMENTUM, BETAS, EPSILON = 0.95, (0.9, 0.99), 1e-8
QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz iteration: they drive singular values to about 1, not exactly."""


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest matrix of the same shape with singular values near 1 (0.7 to 1.2), computed in bfloat16."""
    a, b, c = QUINTIC
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    made: Tensor = (x.T if tall else x).to(matrix.dtype)
    return made


def is_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Whether Muon's step is for this parameter: no embedding table, no bias, no norm, nothing very thin."""
    return parameter.ndim >= 2 and min(parameter.shape[:2]) > 8 and "embedding.weight" not in name


class Muon(torch.optim.Optimizer):
    """Muon for matrices, AdamW for the rest, decoupled weight decay. State: exp_avg, and exp_avg_sq for AdamW."""

    def __init__(self, named: Iterable[tuple[str, nn.Parameter]], lr: float, weight_decay: float = 0.0) -> None:
        pairs = list(named)
        matrices = [p for name, p in pairs if is_matrix(name, p)]
        others = [p for name, p in pairs if not is_matrix(name, p)]
        groups = [
            {"params": params, "matrices": flag} for flag, params in ((True, matrices), (False, others)) if params
        ]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step from the gradients; a parameter without one is left alone."""
        del closure
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                state = self.state[parameter]
                state["step"] = state.get("step", torch.tensor(0.0)) + 1
                change = turned(parameter.grad, state) if group["matrices"] else adam(parameter.grad, state)
                parameter.add_(change.to(parameter.dtype), alpha=-group["lr"])


def turned(gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Muon's direction, with Nesterov momentum, the mean square of its entries about that of Adam's."""
    average = state.setdefault("exp_avg", torch.zeros_like(gradient))
    average.lerp_(gradient, 1 - MOMENTUM)
    flat = gradient.lerp(average, MOMENTUM).flatten(1)
    size: float = 0.2 * max(flat.shape) ** 0.5
    return orthogonal(flat).view_as(gradient) * size


def adam(gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Adam's direction (Kingma & Ba 2015, algorithm 1)."""
    first = state.setdefault("exp_avg", torch.zeros_like(gradient))
    second = state.setdefault("exp_avg_sq", torch.zeros_like(gradient))
    first.lerp_(gradient, 1 - BETAS[0])
    second.lerp_(gradient.square(), 1 - BETAS[1])
    done = float(state["step"])
    scale = (second / (1 - BETAS[1] ** done)).sqrt() + EPSILON
    made: Tensor = first / (1 - BETAS[0] ** done) / scale
    return made
