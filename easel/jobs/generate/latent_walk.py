"""A walk through a trained model's latents: frames as an animation, and some of them side by side."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from easel.jobs.inputs import batches
from easel.metrics.path_length import along_line, along_sphere
from easel.provenance import Done
from easel.recipes.generate import Generate
from easel.sheet import mosaic
from easel.tensors import to_pictures
from easel.workspace import Workspace

if TYPE_CHECKING:
    from torch import Tensor

    from easel.models.trained import Trained

ANIMATION, STRIP = "walk.webp", "walk.png"
FRAME_MS = 80
ON_STRIP = 12
LEAST_SIDE = 128  # of a frame, enlarged pixel by pixel
TOGETHER = 32


@dataclass(frozen=True, eq=False)
class LatentPoint:
    """A picture on the way: its code (1, size) and its condition (1, k) or none."""

    code: Tensor
    condition: Tensor | None


def between(model: Trained, start: LatentPoint, end: LatentPoint, frames: int) -> list[LatentPoint]:
    """``frames`` places from ``start`` up to, not with, ``end``: along the sphere in z, straight on in StyleGAN's w.

    Conditions go straight over from one to the other.
    """
    places = np.arange(frames) / frames
    first, last = (point.code.double().cpu().numpy().repeat(frames, axis=0) for point in (start, end))
    along = along_line if model.is_styled else along_sphere
    codes = torch.from_numpy(along(first, last, places)).to(start.code)
    conditions: list[Tensor | None] = [None] * frames
    if start.condition is not None and end.condition is not None:
        conditions = [torch.lerp(start.condition, end.condition, float(place)) for place in places]
    return [LatentPoint(code[None], condition) for code, condition in zip(codes, conditions, strict=True)]


def walk(
    model: Trained, points: list[LatentPoint], frames: int, recipe: Generate, workspace: Workspace, done: Done
) -> list[str]:
    """Walk from each point to the next and back to the first; write the animation and the strip, give their names."""
    way = [
        place
        for start, end in zip(points, [*points[1:], points[0]], strict=True)
        for place in between(model, start, end, frames)
    ]
    pictures: list[Image.Image] = []
    for part in batches(way, TOGETHER):
        known = [one.condition for one in part if one.condition is not None]
        with torch.no_grad():
            drawn = model.paint(torch.cat([one.code for one in part]), torch.cat(known) if known else None)
        pictures += to_pictures(drawn)
        workspace.step("walking", len(pictures), len(way))
    times = max(1, -(-LEAST_SIDE // pictures[0].width))
    size = (pictures[0].width * times, pictures[0].height * times)
    large = [picture.resize(size, Image.Resampling.NEAREST) for picture in pictures]
    stream = io.BytesIO()
    large[0].save(stream, "WEBP", save_all=True, append_images=large[1:], duration=FRAME_MS, loop=0, quality=90)
    workspace.save_bytes(ANIMATION, stream.getvalue())
    there = large[: frames * (len(points) - 1) + 1]  # the way back shows nothing new for two
    shown = np.linspace(0, len(there) - 1, min(ON_STRIP, len(there))).round().astype(int)
    workspace.save_picture(STRIP, mosaic([there[place] for place in shown], len(shown)), recipe, done=done)
    return [ANIMATION, STRIP]
