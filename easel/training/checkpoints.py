"""Where a training stands, in one safetensors file: weights, their moving average, the optimiser's moments, the
step.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from easel.errors import EaselError, shortened
from easel.files import advice

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What an optimiser keeps of each parameter, beside the count of steps."""


def save(path: Path, model: nn.Module, average: dict[str, Tensor], optimiser: torch.optim.Optimizer, step: int) -> None:
    """Write the state whole or not at all (temporary file, fsync, rename)."""
    tensors = {f"model/{k}": v for k, v in model.state_dict().items()} | {f"average/{k}": v for k, v in average.items()}
    for name, parameter in model.named_parameters():
        moments = optimiser.state.get(parameter, {})
        tensors |= {f"{key}/{name}": moments[key] for key in MOMENTS if key in moments}
    write(path, tensors, {"step": str(step)})


def write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors whole or not at all (temporary file, fsync, rename).

    Raises EaselError on a full disk and the like; the file that was there is then left as it was.
    """
    temporary = path.with_suffix(".partial")
    plain = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(plain, temporary, metadata)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as problem:
        raise EaselError(f"{advice(problem, path)}{_kept(path)}") from problem
    except SafetensorError as problem:  # what safetensors makes of an error of the disk
        raise EaselError(f"cannot write {path}: {shortened(problem, 120)}{_kept(path)}") from problem
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _kept(path: Path) -> str:
    return "; the one before is kept" if path.exists() else ""


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors that `write` wrote, and what was said with them. Raises EaselError on a file that is damaged."""
    with _opened(path) as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118


def said(path: Path) -> dict[str, str]:
    """What was said with the tensors, which are not read. Raises EaselError on a file that is damaged."""
    with _opened(path) as file:
        return file.metadata() or {}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, "pt") as file:
            yield file
    except (SafetensorError, OSError) as problem:
        raise EaselError(f"{path} is damaged ({shortened(problem)}): delete it to begin anew") from problem


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
