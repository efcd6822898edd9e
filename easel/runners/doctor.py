"""What the machine has, and what to do about what is missing."""

from __future__ import annotations

import platform
from typing import Any

from easel.runners import machine
from easel.workspace import versions


def examine() -> dict[str, Any]:
    """The machine, the libraries and the models, as plain values; `advice` says what to do about each lack."""
    device, dtype = machine.resolve("auto", "auto")
    memory, disk = machine.memory_gb(), machine.disk_gb()
    models, advice = _models()
    if device == "cpu":
        advice.append("no GPU was found: pocket runs well; for sd-1.5 expect minutes a picture on a CPU")
    if device == "cpu" and dtype == "float32":
        advice.append("this CPU computes bfloat16 slowly, so float32 is used")
    if memory["free"] < 4:
        advice.append(f"only {memory['free']} GB of memory are free: close other programs, or use --count 1")
    if disk["free"] < 2:
        advice.append(f"only {disk['free']} GB of disk are free here: free some, or use --out on another disk")
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "device": device,
        "device_name": machine.device_name(device),
        "dtype": dtype,
        "cores": machine.cores(),
        "memory_gb": memory,
        "disk_gb": disk,
        "versions": versions(),
        "models_at_hand": models,
        "advice": advice,
    }


def _models() -> tuple[list[str], list[str]]:
    """Names of the models at hand, and advice about those that are not."""
    from easel.models.catalog import listing

    rows = listing.rows()
    here = [row.name for row in rows if row.at_hand]
    away = [row.name for row in rows if not row.at_hand and row.name != "pocket" and "generator" not in row.roles]
    advice = []
    if "pocket" not in here:
        advice.append("pocket, the built-in model, is missing: install easel again, or train it with  make pocket")
    if away:
        advice.append(f"not downloaded: {', '.join(away)}; get one with  easel models pull {away[0]}")
    return here, advice
