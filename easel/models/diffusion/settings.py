"""How a picture is sampled: what is asked for, the model's own defaults, and `resolve`, which decides from both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any

from PIL import Image

from easel.errors import EaselError, nearest, shortened
from easel.models.catalog import checks
from easel.models.diffusion import schedulers, shortcuts

UNIT = 8
LONGEST = 2048
SHORTEST = 64
WIDEST = 2.0
LARGER = 1.5


@dataclass(frozen=True)
class Sampling:
    """What is asked for; None is the model's own value. Width and height are multiples of 8."""

    steps: int = 20
    guidance_scale: float | None = None
    scheduler: str | None = None
    width: int | None = None
    height: int | None = None
    guidance_every: int = 1
    """From one step whose guidance is worked out to the next, at least 1; in between its last difference is used
    again (`easel.models.diffusion.guidance`).
    """
    fast: tuple[str, ...] = ()
    """Shortcuts (`easel.models.diffusion.shortcuts`)."""
    strength: float | None = None
    """How far from the photo, in (0, 1]; the steps really done are `steps * strength`. Of no use where a picture starts
    from noise alone.
    """
    image_guidance_scale: float | None = None
    """How closely the photo is kept where the task is `instruct`, at least 1 (Brooks et al. 2022, arXiv 2211.09800)."""


@dataclass(frozen=True)
class Settings:
    """What is done: `Sampling` with nothing left open. Made by `resolve`."""

    steps: int
    guidance_scale: float
    scheduler: str
    width: int
    height: int
    guidance_every: int = 1
    guidance_rescale: float = 0.0
    fast: tuple[str, ...] = ()
    """Shortcuts that are taken; what `steps` changes stands in `steps` and `scheduler` already."""
    strength: float | None = None
    """How far the photo is left, or the first of two passes; None where a picture comes from words in one pass."""
    first_size: tuple[int, int] | None = None
    """Width and height of the first of two passes, where there are two."""
    image_guidance_scale: float | None = None
    """How closely a photo is kept that is edited by an instruction; None for other tasks."""

    @property
    def passes(self) -> tuple[Settings, ...]:
        """The settings of each pass: one, or a small picture from words and then the whole one redrawn from that."""
        if self.first_size is None:
            return (self,)
        width, height = self.first_size
        return replace(self, width=width, height=height, strength=None, first_size=None), replace(self, first_size=None)

    @property
    def steps_done(self) -> int:
        """Denoising steps of all passes: those that `strength` leaves out are not done."""
        if self.first_size is not None:
            return sum(one.steps_done for one in self.passes)
        return self.steps if self.strength is None else min(int(self.steps * self.strength), self.steps)


@dataclass(frozen=True)
class Defaults:
    """A model's own settings, from its family, its catalogue row, or the `easel.json` in its folder (the last wins)."""

    guidance_scale: float = 7.5
    strength: float = 0.6
    scheduler: str = "ddim"
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
    image_guidance_scale: float = 1.5
    untaught_styles: Mapping[str, str] = field(default_factory=dict)
    """Style that the model cannot redraw photos in -> a model that can, as a person would name it."""
    personalize: Mapping[str, Any] = field(default_factory=dict)
    """Method of personalising -> what the model learns a subject best with (`training.finetune.FinetunePlan`)."""

    def strength_for(self, style: str) -> float:
        """How far a photo is left when it is redrawn in a style, in (0, 1]."""
        return self.strengths.get(style, self.strength)


KINDS: dict[str, type | UnionType] = {
    "scheduler": str | None,
    "strengths": dict,
    "untaught_styles": dict,
    "personalize": dict,
}
"""What a setting in `easel.json` is; the others are numbers."""

LIMITS = {
    "guidance_scale": (0.0, 50.0),
    "strength": (0.01, 1.0),
    "image_guidance_scale": (1.0, 20.0),
    "guidance_rescale": (0.0, 1.0),
    "hires_strength": (0.0, 1.0),
    "width": (UNIT, LONGEST),
    "height": (UNIT, LONGEST),
}
"""From where to where a number in `easel.json` may be."""

FAMILY = {"sd": 7.5, "sdxl": 5.0}
"""Family -> guidance scale, as the pipelines' authors set it."""


def defaults(family: str, side: int, scheduler: str, row: Mapping[str, Any], folder: Path | None) -> Defaults:
    """The family's settings and the model's own scheduler, then the catalogue row's, then those of `easel.json` in the
    folder, checked.
    """
    values: dict[str, Any] = dict(row)
    file = folder / "easel.json" if folder is not None else None
    if file is not None and file.is_file():
        known = [entry.name for entry in fields(Defaults)]
        for key, value in checks.read_json(file).items():
            if key == "base":  # where parts are read from, which `catalog.locate.base_folder` looks up
                continue
            if key not in known:
                raise EaselError(f"{file}: no setting called '{key}': {nearest(key, known)}")
            if not isinstance(value, KINDS.get(key, int | float)) or isinstance(value, bool):
                raise EaselError(f"{file}: '{key}' cannot be {shortened(repr(value))}")
            low, high = LIMITS.get(key, (-math.inf, math.inf))
            if isinstance(value, int | float) and not low <= value <= high:
                raise EaselError(f"{file}: '{key}' is {shortened(value)}: a number from {low:g} to {high:g}")
            values[key] = value
    schedulers.check(values.get("scheduler"))
    own: dict[str, Any] = {"guidance_scale": FAMILY[family], "width": side, "height": side, "scheduler": scheduler}
    made = Defaults(**own | {key: value for key, value in values.items() if value is not None})
    for style, strength in made.strengths.items():
        if not isinstance(strength, int | float) or not 0 < strength <= 1:
            raise EaselError(
                f"{file}: the strength for '{shortened(style)}' must be above 0 and at most 1, not "
                f"{shortened(repr(strength))}"
            )
    for style, instead in made.untaught_styles.items():
        if not isinstance(instead, str) or not instead.strip():
            raise EaselError(
                f"{file}: 'untaught_styles' must name a model for '{shortened(style)}', not {shortened(repr(instead))}"
            )
    _check_side(made.width, f"{folder or 'the model'}: its own width")
    _check_side(made.height, f"{folder or 'the model'}: its own height")
    return made


def resolve(
    asked: Sampling, own: Defaults, photo: Image.Image | None = None, *, redraws: bool = True, by_photo: bool = False
) -> Settings:
    """Everything that decides a picture besides words and seed: what is asked for, else the model's own.

    `redraws` says that a photo is where the picture starts; else it only gives its proportions. `by_photo` says that
    guidance weighs the photo too.

    A photo is redrawn in its proportions, with the model's own size as the shorter side (the longer is at most WIDEST
    times that); with one side given the other follows. EaselError on what cannot be.
    """
    if asked.steps < 1:
        raise EaselError(f"steps must be at least 1, not {asked.steps}")
    if asked.guidance_every < 1:
        raise EaselError(f"guidance_every must be at least 1, not {asked.guidance_every}")
    schedulers.check(asked.scheduler)
    shortcuts.check(asked.fast, asked.scheduler or own.scheduler)
    if "steps" in asked.fast:
        scheduler = asked.scheduler or shortcuts.SOLVER
        asked = replace(asked, steps=shortcuts.steps_of(asked.fast, asked.steps), scheduler=scheduler)
    _check_side(asked.width or own.width, "width")
    _check_side(asked.height or own.height, "height")
    width, height = asked.width or own.width, asked.height or own.height
    strength = first_size = None
    if photo is None:
        # In two passes where the model only knows smaller pictures, in the same proportions, if the steps suffice.
        usual = own.width * own.height
        if int(asked.steps * own.hires_strength) >= 1 and width * height > LARGER * usual:
            scale = math.sqrt(usual / (width * height))
            first_size = max(UNIT, round(width * scale / UNIT) * UNIT), max(UNIT, round(height * scale / UNIT) * UNIT)
            strength = own.hires_strength
    else:
        width, height = _size_for(photo, asked, own)
    if photo is not None and redraws:
        strength = own.strength if asked.strength is None else asked.strength
        if not 0 < strength <= 1:
            raise EaselError(f"strength must be above 0 and at most 1, not {strength}")
        if int(asked.steps * strength) < 1:
            least = math.ceil(1 / strength)
            raise EaselError(
                f"{asked.steps} steps at strength {strength} are less than one: give --steps {least} or more"
            )
    kept = own.image_guidance_scale if asked.image_guidance_scale is None else asked.image_guidance_scale
    if not 1 <= kept <= LIMITS["image_guidance_scale"][1]:
        raise EaselError(f"image_guidance_scale must be from 1 to {LIMITS['image_guidance_scale'][1]:g}, not {kept}")
    return Settings(
        steps=asked.steps,
        guidance_scale=float(own.guidance_scale if asked.guidance_scale is None else asked.guidance_scale),
        scheduler=asked.scheduler or own.scheduler,
        width=width,
        height=height,
        guidance_every=asked.guidance_every,
        guidance_rescale=own.guidance_rescale,
        fast=asked.fast,
        strength=strength,
        first_size=first_size,
        image_guidance_scale=float(kept) if by_photo else None,
    )


def _size_for(photo: Image.Image, asked: Sampling, own: Defaults) -> tuple[int, int]:
    """Width and height at which a photo is redrawn, multiples of 8."""
    ratio = photo.width / photo.height
    if asked.width and asked.height:
        size: tuple[float, float] = (asked.width, asked.height)
    elif asked.width:
        size = (asked.width, asked.width / ratio)
    elif asked.height:
        size = (asked.height * ratio, asked.height)
    else:
        shorter = min(own.width, own.height) * min(1.0, WIDEST / max(ratio, 1 / ratio))
        size = (shorter * max(1.0, ratio), shorter * max(1.0, 1 / ratio))
    least = min(SHORTEST, own.width // 2, own.height // 2)
    width, height = (int(min(LONGEST, max(least, round(side / UNIT) * UNIT))) for side in size)
    return width, height


def _check_side(side: int, word: str) -> None:
    """EaselError unless `side` is a multiple of 8 up to 2048."""
    if not isinstance(side, int) or side % UNIT or not UNIT <= side <= LONGEST:
        raise EaselError(f"{word} must be a multiple of {UNIT} up to {LONGEST}, not {side}")
