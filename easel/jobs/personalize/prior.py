"""Pictures by the untouched model, of the class for prior preservation and of what is compared with: drawn once, and
kept beside the hub's cache by model, prompt, scheduler and seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from easel.errors import EaselError
from easel.images import open_picture, save_png
from easel.models.catalog.locate import own_cache
from easel.models.devices import dtype_word
from easel.models.diffusion.batch import PictureRequest
from easel.models.diffusion.settings import Sampling
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.diffusion import Diffusion

ELSEWHERE = "training/drawn-once"
"""In the run's folder, where the cache cannot be written."""


def drawn_once(
    model: Diffusion, base: str, prompt: str, sampling: Sampling, seeds: Sequence[int], workspace: Workspace
) -> list[Image.Image]:
    """The pictures of a prompt with these seeds; ``base`` is the fingerprint of the model's weights.

    Raises EaselError and Cancelled.
    """
    settings = model.resolve(sampling)
    facts = (base, prompt, settings, dtype_word(model.dtype), model.device.type)
    key = hashlib.sha256(repr(facts).encode()).hexdigest()[:24]
    place = _writable(own_cache() / "drawn-once" / key, workspace.path(ELSEWHERE))
    files = {seed: place / f"{seed}.png" for seed in seeds}
    kept = {seed: picture for seed, file in files.items() if (picture := _kept(file)) is not None}
    missing = [seed for seed in seeds if seed not in kept]
    phase = "drawing by the untouched model"
    workspace.step(phase, len(kept), len(seeds))
    for seed in missing:  # one by one: a picture's last bits depend on its batch, and which are missing is chance
        drawn = next(iter(model.generate([PictureRequest(prompt, seed, "", sampling)])))
        save_png(files[seed], drawn.image)
        kept[seed] = drawn.image
        workspace.step(phase, len(kept), len(seeds))
    return [kept[seed] for seed in seeds]


def _kept(file: Path) -> Image.Image | None:
    """A picture drawn before; None where there is none, or a damaged one, which is drawn again."""
    try:
        return open_picture(file) if file.is_file() else None
    except EaselError:
        return None


def _writable(place: Path, instead: Path) -> Path:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        instead.mkdir(parents=True, exist_ok=True)
        return instead
    return place
