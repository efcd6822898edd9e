"""`easel doctor`: what the machine has, and what to do about what is missing."""

from __future__ import annotations

import json as json_module
from typing import Annotated, Any

from cyclopts import Parameter

from easel.runners.doctor import examine


def doctor(*, json: Annotated[bool, Parameter(negative=(), show_default=False, help="Print as JSON.")] = False) -> None:
    """Say what this machine has (device, number format, memory, models) and what to do about what is missing."""
    found = examine()
    if json:
        print(json_module.dumps(found, indent=2))
        return
    for name, value in found.items():
        if name != "advice":
            print(f"{name.replace('_', ' '):>16}  {_in_words(value)}")
    print()
    for line in found["advice"] or ["all is well: try  easel stylize PHOTO"]:
        print(f"- {line}")


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)
