"""What this machine has: the device, the number format it computes well in, cores, memory and disk."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from easel.errors import EaselError, shortened

YOUNG = 200_000
"""New objects between two searches for rings of garbage, while a run lasts; Python's own number is 700."""


def resolve(device: str = "auto", dtype: str = "auto") -> tuple[str, str]:
    """The device and the number format of pictures that are meant, "auto" made concrete. EaselError if not there."""
    from easel.models import devices

    if device == "cpu" and devices.DTYPES.get(dtype) in {"float32", "bfloat16"}:
        return device, devices.DTYPES[dtype]  # which every machine has: torch need not be asked
    found = devices.pick_device(device)
    return str(found), devices.dtype_word(devices.pick_dtype(dtype, found))


@contextlib.contextmanager
def collecting_rarely() -> Iterator[None]:
    """Look for rings of garbage less often until the block ends: importing torch, diffusers and transformers makes a
    million objects that stay, and looking through them again and again was half a second of a cold start's six.

    Nothing else changes: what no ring holds is freed at once as ever. A larger number that is already set stays.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], YOUNG) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def processes() -> int:
    """How many processes `accelerate launch` or `torchrun` started this one with, itself counted.

    Raises EaselError where the environment tells of several, and not of this one's place among them.
    """
    said = os.environ.get("WORLD_SIZE", "1")
    if said.isdecimal() and int(said) == 1:
        return 1
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing or not said.isdecimal() or not os.environ["RANK"].isdecimal():
        raise EaselError(
            f"WORLD_SIZE is {shortened(said)}, but {missing[0] if missing else 'RANK'} is not set as it must be for "
            "several processes: start them with torchrun or accelerate launch, or unset WORLD_SIZE"
        )
    return int(said)


def is_first() -> bool:
    """Whether this process is the one of them that speaks."""
    return os.environ.get("RANK", "0") == "0" or os.environ.get("WORLD_SIZE", "1") == "1"


def device_name(device: str) -> str:
    """What a device calls itself."""
    import torch

    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    if device == "mps":
        return "Apple GPU"
    return f"CPU, {torch.backends.cpu.get_cpu_capability()}"


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_gb() -> dict[str, float]:
    """Main memory in GB, all and free."""
    import psutil

    memory = psutil.virtual_memory()
    return {"total": round(memory.total / 1e9, 1), "free": round(memory.available / 1e9, 1)}


def disk_gb(folder: str | Path = ".") -> dict[str, float]:
    """Disk in GB where `folder` lies, all and free."""
    usage = shutil.disk_usage(folder)
    return {"total": round(usage.total / 1e9, 1), "free": round(usage.free / 1e9, 1)}
