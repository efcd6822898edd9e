"""Several processes that train one network together, a GPU each, started by `accelerate launch` or `torchrun`.

Each process looks at its own share of every batch; gradients are averaged before a step, so that all take the same one.
Averaging them by hand, phase by phase, is what StyleGAN2's and 3's programs came to: wrappers such as
DistributedDataParallel see one forward pass for each backward pass, and a phase here may have several, through several
players, or differentiate twice.
"""

import datetime as dt
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed

PATIENCE = dt.timedelta(hours=6)
"""How long a process waits for another: the first one measures while the others wait."""


@dataclass(frozen=True)
class Team:
    """This process's place among ``size``: the one of ``rank`` 0 measures, writes and decides."""

    rank: int = 0
    size: int = 1

    @classmethod
    def joined(cls) -> "Team":
        """The team that this process has joined; `ALONE` where it has joined none."""
        if distributed.is_available() and distributed.is_initialized():
            return cls(distributed.get_rank(), distributed.get_world_size())
        return ALONE

    def share(self, whole: int) -> slice:
        """This process's part of ``whole`` items, which must be a multiple of ``size``."""
        part = whole // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def broadcast(self, value: Any = None) -> Any:
        """The first process's value, in all of them."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        return values[0]

    def gather(self, value: Any = None) -> list[Any]:
        """Everybody's values in the order of their ranks, in all processes."""
        if self.size == 1:
            return [value]
        values = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def mean(self, number: float) -> float:
        """The mean of everybody's number."""
        if self.size == 1:
            return number
        total = torch.tensor([number], dtype=torch.float64)
        distributed.all_reduce(total)
        return float(total) / self.size

    def average(self, tensors: Iterable[Tensor], numbers: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Put the mean over all processes into ``tensors``, in place, and give that of ``numbers``, in one message."""
        means = {name: value.detach().float() for name, value in (numbers or {}).items()}
        if self.size == 1:
            return means
        ours = [tensor for tensor in tensors if tensor.is_floating_point()]
        if ours or means:
            parts = [*ours, *means.values()]
            flat = torch.cat([part.detach().reshape(-1).float() for part in parts])
            distributed.all_reduce(flat)
            flat /= self.size
            pieces = flat.split([part.numel() for part in parts])
            for tensor, piece in zip(ours, pieces, strict=False):
                tensor.copy_(piece.view(tensor.shape))
            means = {name: piece.view(()) for name, piece in zip(means, pieces[len(ours) :], strict=True)}
        return means


ALONE = Team()
"""One process by itself."""


@contextmanager
def join() -> Iterator[Team]:
    """Join the team that the environment names, as its launcher set it up; leave it at the end."""
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Team.joined()
    finally:
        distributed.destroy_process_group()
