"""Which folders hold a model that `easel train` made: their config.json says so; torch is not needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from easel.errors import EaselError
from easel.models.catalog import checks

KIND = "easel-trained"
"""model_type in the config.json of a trained model."""
PLACES = ("models", "out")
"""Folders, from where you stand, in which models are looked for; EASEL_MODELS adds others."""

FACTS = {"network": dict, "condition": str, "names": list, "shares": list, "data": dict}
"""What config.json says at least: the network's settings, its kind of condition, and the set it learned from."""


def is_trained(name: str | Path) -> bool:
    """Whether this is the folder of a trained model."""
    return _config(Path(name).expanduser()) is not None


def described(folder: Path) -> dict[str, Any]:
    """The config.json of a trained model. Raises EaselError where the folder holds none."""
    found = _config(folder)
    if found is None:
        raise EaselError(f"{folder} holds no model that `easel train` made: its config.json does not say so")
    found.setdefault("condition", found.get("told"))  # its name before easel 0.2
    wrong = [key for key, kind in FACTS.items() if not isinstance(found.get(key), kind)]
    if wrong:
        raise EaselError(
            f"{folder / 'config.json'} is damaged: '{wrong[0]}' is missing or no {FACTS[wrong[0]].__name__}"
        )
    return found


def folders() -> list[Path]:
    """Trained models directly under `models` and `out`, and under the folders that EASEL_MODELS names."""
    named = [Path(place).expanduser() for place in os.environ.get("EASEL_MODELS", "").split(os.pathsep) if place]
    found: list[Path] = []
    for place in [*map(Path, PLACES), *named]:
        if place.is_dir():
            inside = [place, *sorted(place.iterdir())] if place in named else sorted(place.iterdir())
            found += [folder for folder in inside if (folder / "model.safetensors").is_file() and is_trained(folder)]
    return list(dict.fromkeys(found))


def _config(folder: Path) -> dict[str, Any] | None:
    try:
        found = checks.read_json(folder / "config.json")
    except EaselError:
        return None
    return found if found.get("model_type") == KIND else None
