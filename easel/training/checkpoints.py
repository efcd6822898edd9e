"""Where a training stands, in one safetensors file: weights, their moving average, the optimiser's moments, the
step.
"""

import os
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What an optimiser keeps of each parameter, beside the count of steps."""


def save(path: Path, model: nn.Module, average: dict[str, Tensor], optimiser: torch.optim.Optimizer, step: int) -> None:
    """Write the state whole or not at all (temporary file, fsync, rename)."""
    tensors = {f"model/{k}": v for k, v in model.state_dict().items()} | {f"average/{k}": v for k, v in average.items()}
    for name, parameter in model.named_parameters():
        moments = optimiser.state.get(parameter, {})
        tensors |= {f"{key}/{name}": moments[key] for key in MOMENTS if key in moments}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, temporary, {"step": str(step)})
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def restore(path: Path, model: nn.Module, average: dict[str, Tensor], optimiser: torch.optim.Optimizer) -> int:
    """Put the state of ``path`` into the three and return its step; 0 where there is no such file.

    Raises:
        RuntimeError: the file belongs to another network (names or shapes differ); delete it to begin anew.
    """
    if not path.exists():
        return 0
    with safe_open(path, "pt") as file:
        step = int(file.metadata()["step"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - safe_open is no dict
    model.load_state_dict(strip(tensors, "model/"))
    for name, tensor in strip(tensors, "average/").items():
        average[name].copy_(tensor)
    found = {key: strip(tensors, f"{key}/") for key in MOMENTS}
    for name, parameter in model.named_parameters():
        moments = {key: tensors[name].to(parameter) for key, tensors in found.items() if name in tensors}
        if moments:
            optimiser.state[parameter] = {"step": torch.tensor(float(step))} | moments
    return step


def strip(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under ``prefix``, without it."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
