"""What the kinds that draw share: a list of pictures to draw, drawn in batches, and saved with the recipe of each
inside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image, ImageOps

from easel import models
from easel.jobs.inputs import batches, called
from easel.models.diffusion.settings import Sampling, first_size
from easel.recipes.knobs import Sampled, lora_parts
from easel.version import __version__
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.diffusion import Diffusion

SAMPLERS = {
    "ddim": "DDIM",
    "dpmpp-2m": "DPM++ 2M",
    "dpmpp-2m-karras": "DPM++ 2M Karras",
    "dpmpp-2m-sde": "DPM++ 2M SDE",
    "euler": "Euler",
    "euler-a": "Euler a",
    "heun": "Heun",
    "kdpm2": "DPM2",
    "lcm": "LCM",
    "pndm": "PLMS",
    "unipc": "UniPC",
}
"""What AUTOMATIC1111's web UI calls a scheduler; the others keep easel's name."""


@dataclass(frozen=True)
class Order:
    """One picture to draw: its words, its seed, its file, the recipe that makes it alone, and the style it is in."""

    file: str
    prompt: str
    negative_prompt: str
    seed: int
    recipe: dict[str, Any]
    style: str = ""


Progress = Callable[[int, int], None]


class Easel:
    """A loaded diffusion model with the settings of one run: it draws orders and saves them."""

    def __init__(
        self, recipe: Sampled, model: str, workspace: Workspace, strength: float | None = None, redraw: bool = False
    ) -> None:
        """Load `model`; `redraw` says that every picture starts from a photo. Raises EaselError."""
        role: Literal["text-to-image", "image-to-image"] = "image-to-image" if redraw else "text-to-image"
        workspace.step("loading the model", 0, 1)
        self.model: Diffusion = models.load(
            model, role, workspace.device, workspace.dtype, config=recipe.config, loras=recipe.lora
        )
        workspace.step("loading the model", 1, 1)
        self.name, self.workspace, self.recipe = model, workspace, recipe
        self.redraw, self.given = redraw, strength
        self.settings = Sampling(
            recipe.steps,
            recipe.guidance_scale,
            recipe.scheduler,
            getattr(recipe, "width", None),
            getattr(recipe, "height", None),
            recipe.guidance_every,
        )

    def fitted(self, photo: Image.Image) -> Image.Image:
        """The photo at the size it is redrawn: as asked, else the model's own size as the shorter side, sides
        multiples of 8.

        Rounding to eights, or a width and height of another shape, trims the edges evenly: better than a stretched
        face.
        """
        full = self.model.settle(self.settings, photo)
        return ImageOps.fit(photo, (full.width or photo.width, full.height or photo.height), Image.Resampling.LANCZOS)

    def draw(
        self, orders: Sequence[Order], photo: Image.Image | None, batch_size: int, progress: Progress
    ) -> list[Image.Image]:
        """One picture for each order, saved as it is done. `photo`, already fitted, is what they show: redrawn, or its
        size alone. With a photo the orders of a batch share their style.

        `progress` is called with (done, total) in picture-steps. Raises EaselError and Cancelled.
        """
        pictures: list[Image.Image] = []
        total = len(orders) * self.recipe.steps
        progress(0, total)
        again = getattr(self.recipe, "batch_row", None)
        for batch in batches(orders, 1 if again is not None else batch_size):
            begun, share = len(pictures) * self.recipe.steps, len(batch) * self.recipe.steps
            drawn = self.model.generate(
                [order.prompt for order in batch],
                [order.seed for order in batch],
                negative_prompts=[order.negative_prompt for order in batch],
                settings=self._settings_for(photo),
                images=[photo] * len(batch) if photo is not None and self.redraw else None,
                strength=self.strength(batch[0]),
                place=None if again is None else (again, batch_size),
                # A redrawing does only part of its steps; its share of the whole is what counts here.
                report=lambda done, of, begun=begun, share=share: progress(begun + share * done // max(of, 1), total),  # type: ignore[misc]
            )
            for order, picture in zip(batch, drawn, strict=True):
                own = placed(self.filled(order), picture)
                self.workspace.save_picture(order.file, picture, own, self.parameters(order, picture.size))
            pictures += drawn
            progress(len(pictures) * self.recipe.steps, total)
        return pictures

    def strength(self, order: Order) -> float | None:
        """How far the photo is left: as asked, or as far as the model must go for the style; None without a photo."""
        if not self.redraw:
            return None
        return self.model.defaults.strength_for(order.style) if self.given is None else self.given

    def filled(self, order: Order) -> dict[str, Any]:
        """The recipe of a picture with the model's own choices written out: it stays true when the model's change."""
        used = self.model.settle(self.settings)
        chosen = {"guidance_scale": used.guidance_scale, "scheduler": used.scheduler, "strength": self.strength(order)}
        return order.recipe | {key: value for key, value in chosen.items() if key in order.recipe and value is not None}

    def parameters(self, order: Order, size: tuple[int, int]) -> str:
        """The text that AUTOMATIC1111's web UI writes into a PNG, so that other tools read the settings."""
        used = self.model.settle(self.settings)
        loras = [lora_parts(text) for text in self.recipe.lora]
        words = [order.prompt, *(f"<lora:{Path(file).stem}:{scale:g}>" for file, scale, _ in loras)]
        scheduler, own = used.scheduler or "unknown", self.model.defaults
        small = None if self.redraw else first_size(replace(used, width=size[0], height=size[1]), own)
        width, height = small or size
        facts = {
            "Steps": str(used.steps),
            "Sampler": SAMPLERS.get(scheduler, scheduler),
            "CFG scale": f"{used.guidance_scale:g}",
            "Seed": str(order.seed),
            "Size": f"{width}x{height}",
            "Model": _quoted(called(self.name)),
        }
        strength = own.hires_strength if small else self.strength(order)
        if strength is not None:
            facts["Denoising strength"] = f"{strength:g}"
        if small:
            facts["Hires resize"] = f"{size[0]}x{size[1]}"
        facts["Version"] = f"easel {__version__}"
        negative = f"\nNegative prompt: {order.negative_prompt}" if order.negative_prompt else ""
        return " ".join(words) + negative + "\n" + ", ".join(f"{key}: {value}" for key, value in facts.items())

    def _settings_for(self, photo: Image.Image | None) -> Sampling:
        if photo is None:
            return self.settings
        wish = self.settings
        return replace(wish, width=photo.size[0], height=photo.size[1])


def placed(recipe: dict[str, Any], picture: Image.Image) -> dict[str, Any]:
    """The recipe of a picture with the batch it was really drawn in, where the kind has batches.

    Made again it is drawn in the same row of a batch of the same size, so that the last bits agree as well.
    """
    if "batch_row" not in recipe or "place" not in picture.info:
        return recipe
    row, size = picture.info["place"]
    return recipe | {"batch_row": row, "batch_size": size}


def _quoted(name: str) -> str:
    """A value as A1111 writes it: quoted where a comma or colon would end it."""
    return json.dumps(name, ensure_ascii=False) if re.search(r"[,:\n]", name) else name
