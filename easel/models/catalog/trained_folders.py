"""Which folders hold a model that `easel train` made: their config.json says so; torch is not needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from easel.errors import EaselError, shortened
from easel.models.catalog import checks

KIND = "easel-trained"
"""model_type in the config.json of a trained model."""
PLACES = ("models", "out")
"""Folders, from where you stand, in which models are looked for; EASEL_MODELS adds others."""

MOST_SIZE, MOST_LAYERS = 1_000_000, 64
"""The largest size of a network, and the most layers of one kind."""
REPEATED = ("mapping", "residuals")
"""Settings that are numbers of layers."""
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
    sizes = {key: value for key, value in found["network"].items() if isinstance(value, int)}
    large = [key for key, value in sizes.items() if abs(value) > MOST_SIZE or (key in REPEATED and value > MOST_LAYERS)]
    if large:
        raise EaselError(
            f"the model {folder} does not load: '{shortened(large[0])}' in its config.json is "
            f"{shortened(sizes[large[0]])}, which no model has"
        )
    shares, names = found["shares"], found["names"]
    if not all(isinstance(name, str) for name in names):
        raise EaselError(f"{folder / 'config.json'} is damaged: 'names' are not all texts")
    if not all(isinstance(share, int | float) and 0 <= share <= 1 for share in shares):
        raise EaselError(f"{folder / 'config.json'} is damaged: 'shares' are not all numbers from 0 to 1")
    if found["condition"] in ("labels", "attributes") and not len(names) == len(shares) > 0:
        raise EaselError(f"{folder / 'config.json'} is damaged: {len(names)} names have {len(shares)} shares")
    if not isinstance(found.get("text_encoder", ""), str | None):
        raise EaselError(f"{folder / 'config.json'} is damaged: 'text_encoder' is no text")
    return found


def folders() -> list[Path]:
    """Trained models directly under `models` and `out`, and under the folders that EASEL_MODELS names."""
    named = [Path(place).expanduser() for place in os.environ.get("EASEL_MODELS", "").split(os.pathsep) if place]
    found: list[Path] = []
    for place in [*map(Path, PLACES), *named]:
        try:
            inside = sorted(place.iterdir())
        except (OSError, ValueError):  # not there, not ours to read, or no name that a folder can have
            continue
        inside = [place, *inside] if place in named else inside
        found += [folder for folder in inside if (folder / "model.safetensors").is_file() and is_trained(folder)]
    return list(dict.fromkeys(found))


def _config(folder: Path) -> dict[str, Any] | None:
    try:
        found = checks.read_json(folder / "config.json")
    except EaselError:
        return None
    return found if found.get("model_type") == KIND else None
