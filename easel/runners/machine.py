"""What this machine has: the device, the number format it computes well in, cores, memory and disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def resolve(device: str = "auto", dtype: str = "auto") -> tuple[str, str]:
    """The device and the number format of pictures that are meant, "auto" made concrete. EaselError if not there."""
    from easel.models import devices

    found = devices.pick_device(device)
    return str(found), devices.dtype_word(devices.pick_dtype(dtype, found))


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
