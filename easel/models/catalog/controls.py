"""Which control goes with which base: a UNet known by its sizes, a kind of control, and the catalogue's word for the
network that was trained for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from easel.errors import EaselError
from easel.recipes.knobs import listed

METHODS = ("controlnet", "adapter")
"""Roles of networks that steer a base by a picture: ControlNet (Zhang et al. 2023, arXiv 2302.05543) and T2I-Adapter
(Mou et al. 2023, arXiv 2302.08453).
"""
PLAIN: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Base:
    """A family of UNets that share their controls, known by its sizes and not by its name."""

    name: str
    latent_channels: int
    cross_attention: int
    """Width of the text's states."""
    widths: tuple[int, ...]
    """Channels of the UNet's blocks."""
    controlnet: Mapping[str, Any] = field(default_factory=lambda: PLAIN)
    """Configuration of its ControlNets where it differs from diffusers' own, for files that have weights alone."""


BASES: dict[str, Base] = {
    base.name: base
    for base in (
        Base("SD-1.5", 4, 768, (320, 640, 1280, 1280), {"cross_attention_dim": 768, "attention_head_dim": 8}),
        Base(
            "SD-2.1",
            4,
            1024,
            (320, 640, 1280, 1280),
            {"cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True},
        ),
        Base(
            "SDXL",
            4,
            2048,
            (320, 640, 1280),
            {
                "cross_attention_dim": 2048,
                "attention_head_dim": (5, 10, 20),
                "use_linear_projection": True,
                "block_out_channels": (320, 640, 1280),
                "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                "transformer_layers_per_block": (1, 2, 10),
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 256,
                "projection_class_embeddings_input_dim": 2816,
            },
        ),
        Base("pocket", 8, 192, (96, 160, 192)),
    )
}

CONTROLS: dict[tuple[str, str, str], str] = {
    ("SD-1.5", "controlnet", "canny"): "sd-1.5-canny",
    ("SD-1.5", "controlnet", "depth"): "sd-1.5-depth",
    ("SD-1.5", "controlnet", "pose"): "sd-1.5-pose",
    ("SD-1.5", "controlnet", "segmentation"): "sd-1.5-segmentation",
    ("SD-1.5", "controlnet", "scribble"): "sd-1.5-scribble",
    ("SD-1.5", "adapter", "canny"): "sd-1.5-canny-adapter",
    ("SD-1.5", "adapter", "depth"): "sd-1.5-depth-adapter",
    ("SDXL", "controlnet", "canny"): "sdxl-canny",
    ("SDXL", "controlnet", "depth"): "sdxl-depth",
    ("SDXL", "adapter", "canny"): "sdxl-canny-adapter",
    ("SDXL", "adapter", "depth"): "sdxl-depth-adapter",
    ("pocket", "controlnet", "canny"): "pocket-canny",
    ("pocket", "controlnet", "depth"): "pocket-depth",
    ("pocket", "controlnet", "scribble"): "pocket-scribble",
    ("pocket", "adapter", "canny"): "pocket-canny-adapter",
}
"""Base, method and kind of control -> word of the catalogue."""


def base_of(cross_attention: int | None, widths: tuple[int, ...]) -> str | None:
    """The name of the base with these sizes; a width of None (an adapter reads no words) fits any. None if unknown."""
    fitting = [
        base.name
        for base in BASES.values()
        if cross_attention in (None, base.cross_attention) and widths == base.widths
    ]
    return fitting[0] if fitting else None


def control_for(base: str | None, kind: str, method: str = "controlnet") -> str:
    """The catalogue's word for the network that steers `base` by this kind of map. EaselError says what there is."""
    if base is None:
        raise EaselError(
            f"no {method} is known for this base, whose sizes are nobody's: give its own {method} by folder or file"
        )
    word = CONTROLS.get((base, method, kind))
    if word is None:
        able = [kind for name, way, kind in CONTROLS if (name, way) == (base, method)]
        have = f"it has {listed(able)}" if able else f"it has no {method} at all"
        raise EaselError(f"no {method} for '{kind}' goes with {base}: {have}; or give one by folder or file")
    return word
