"""The settings of a picture, a model's own defaults for them, and picture sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any

from PIL import Image

from easel.errors import EaselError, nearest
from easel.models.catalog import checks
from easel.models.diffusion import schedulers

UNIT = 8
LONGEST = 2048
SHORTEST = 64
WIDEST = 2.0
LARGER = 1.5


@dataclass(frozen=True)
class Sampling:
    """How to sample; None is the model's own value. Width and height are multiples of 8."""

    steps: int = 20
    guidance_scale: float | None = None
    scheduler: str | None = None
    width: int | None = None
    height: int | None = None
    guidance_every: int = 1
    """From one step whose guidance is worked out to the next, at least 1; in between its last difference is used
    again (`easel.models.diffusion.guidance`).
    """


@dataclass(frozen=True)
class Defaults:
    """A model's own settings, from its family, its catalogue row, or the `easel.json` in its folder (the last wins)."""

    guidance_scale: float = 7.5
    strength: float = 0.6
    scheduler: str | None = None
    width: int = 512
    height: int = 512
    guidance_rescale: float = 0.0
    """Lin et al. 2024 (arXiv 2305.08891, equation 16); 0 is off. Text-to-image only."""
    hires_strength: float = 0.0
    """Above 0, a picture from words of more than LARGER times the model's own area is drawn in two passes: at about
    that area, then enlarged and redrawn at this strength ("hires fix"). A model that only knows small pictures draws
    everything twice in a large one.
    """
    strengths: Mapping[str, float] = field(default_factory=dict)
    """Style -> the strength that it takes, where `strength` is too little or too much for it."""

    def strength_for(self, style: str) -> float:
        """How far a photo is left when it is redrawn in a style, in (0, 1]."""
        return self.strengths.get(style, self.strength)


KINDS: dict[str, type | UnionType] = {"scheduler": str | None, "strengths": dict}
"""What a setting in `easel.json` is; the others are numbers."""

FAMILY = {"sd": 7.5, "sdxl": 5.0}
"""Family -> guidance scale, as the pipelines' authors set it."""


def defaults(family: str, side: int, row: Mapping[str, Any], folder: Path | None) -> Defaults:
    """The family's settings, then the catalogue row's, then those of `easel.json` in the folder, checked."""
    values: dict[str, Any] = {"guidance_scale": FAMILY[family], "width": side, "height": side} | dict(row)
    file = folder / "easel.json" if folder is not None else None
    if file is not None and file.is_file():
        known = [entry.name for entry in fields(Defaults)]
        for key, value in checks.read_json(file).items():
            if key not in known:
                raise EaselError(f"{file}: no setting called '{key}': {nearest(key, known)}")
            if not isinstance(value, KINDS.get(key, int | float)):
                raise EaselError(f"{file}: '{key}' cannot be {value!r}")
            values[key] = value
    made = Defaults(**values)
    schedulers.check(made.scheduler)
    for style, strength in made.strengths.items():
        if not isinstance(strength, int | float) or not 0 < strength <= 1:
            raise EaselError(f"{file}: the strength for '{style}' must be above 0 and at most 1, not {strength!r}")
    check_side(made.width, "width")
    check_side(made.height, "height")
    return made


def settled(settings: Sampling, own: Defaults, scheduler_name: str) -> Sampling:
    """The settings with every None filled in, so that provenance says what was used. EaselError on what cannot be."""
    if settings.steps < 1:
        raise EaselError(f"steps must be at least 1, not {settings.steps}")
    if settings.guidance_every < 1:
        raise EaselError(f"guidance_every must be at least 1, not {settings.guidance_every}")
    guidance = settings.guidance_scale if settings.guidance_scale is not None else own.guidance_scale
    scheduler = settings.scheduler or own.scheduler or scheduler_name
    full = replace(
        settings,
        guidance_scale=float(guidance),
        scheduler=scheduler,
        width=settings.width or own.width,
        height=settings.height or own.height,
    )
    check_side(full.width or 0, "width")
    check_side(full.height or 0, "height")
    return full


def first_size(full: Sampling, own: Defaults) -> tuple[int, int] | None:
    """Width and height of the first of two passes: in the proportions of `full`, about the model's own area. None where
    one pass is enough, or the steps are too few for two.
    """
    width, height, usual = full.width or own.width, full.height or own.height, own.width * own.height
    if int(full.steps * own.hires_strength) < 1 or width * height <= LARGER * usual:
        return None
    scale = math.sqrt(usual / (width * height))
    small_width, small_height = (max(UNIT, round(side * scale / UNIT) * UNIT) for side in (width, height))
    return small_width, small_height


def check_side(side: int, word: str) -> None:
    """EaselError unless `side` is a multiple of 8 up to 2048."""
    if not isinstance(side, int) or side % UNIT or not UNIT <= side <= LONGEST:
        raise EaselError(f"{word} must be a multiple of {UNIT} up to {LONGEST}, not {side}")


def fitted(image: Image.Image, settings: Sampling, own: Defaults) -> tuple[int, int]:
    """Width and height at which a photo is redrawn: as asked, or with the model's own size as the shorter side and the
    photo's proportions (multiples of 8). The longer side is at most WIDEST times the model's.

    With one side given the other follows the photo's proportions.
    """
    ratio = image.width / image.height
    if settings.width and settings.height:
        size: tuple[float, float] = (settings.width, settings.height)
    elif settings.width:
        size = (settings.width, settings.width / ratio)
    elif settings.height:
        size = (settings.height * ratio, settings.height)
    else:
        shorter = min(own.width, own.height) * min(1.0, WIDEST / max(ratio, 1 / ratio))
        size = (shorter * max(1.0, ratio), shorter * max(1.0, 1 / ratio))
    least = min(SHORTEST, own.width // 2, own.height // 2)
    width, height = (int(min(LONGEST, max(least, round(side / UNIT) * UNIT))) for side in size)
    return width, height
