"""The runs of `benchmarks.domains`, as a table: what is learned from what, for how long, and how it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CPU = {"channels": 32, "widest": 256, "batch_size": 32}
"""DCGAN's stacks at a width that two cores can teach."""
STACK = {"channels": 24, "widest": 256, "batch_size": 32}
STYLE = {"latent": 128, "channels": 1024, "widest": 128, "batch_size": 16}


@dataclass(frozen=True)
class World:
    """A set drawn out of the world: `easel data world --what --count --resolution --seed`."""

    what: str
    count: int
    resolution: int
    seed: int


WORLDS = {
    "birds": World("birds", 20_000, 64, 31_000_000),
    "kinds": World("kinds", 12_000, 64, 33_000_000),
    "faces": World("faces", 8_000, 64, 32_000_000),
    "birds-128": World("birds", 8_000, 128, 31_000_000),
    "birds-held-out": World("birds", 2_000, 64, 36_000_000),
    "birds-128-held-out": World("birds", 1_000, 128, 36_000_000),
    "faces-judge": World("faces", 4_000, 64, 37_000_000),
    "faces-held-out": World("faces", 500, 64, 38_000_000),
}
"""No two share a seed, and none shares one with pocket or its judges; birds-128 are the first birds, drawn larger."""


@dataclass(frozen=True)
class Run:
    """One training: ``settings`` are `easel train`'s, ``score`` is a word of `benchmarks.domains.scores.SCORES`."""

    network: str
    data: str
    minutes: float
    score: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    after: str | None = None
    """The run that must be there before: stage I, or what is compared with."""

    def command(self, name: str, minutes: float) -> str:
        """What a person would type for it."""
        words = [f"easel train {self.network} {self.data} --minutes {minutes:g} --seed 1"]
        for key, value in self.settings.items():
            flag = f"--{key.replace('_', '-')}"
            if value is True:
                words.append(flag)
            elif isinstance(value, tuple):
                words += [f"{flag} {one}" for one in value]
            else:
                words.append(f"{flag} {value}")
        if self.score == "sharper":
            words.append(f"--stage-one {self.after}")
        return " ".join([*words, f"--out {name}"])


RUNS = {
    "stylegan-birds": Run("stylegan", "birds", 20, "birds", STYLE | {"r1_gamma": 1.0}),
    "dcgan-birds": Run("dcgan", "birds", 20, "birds", CPU),
    "vae-birds": Run("vae", "birds", 20, "birds", CPU | {"latent": 64, "prior": "flow", "perceptual": 1.0}),
    "cgan-fashion": Run(
        "cgan",
        "fashion",
        20,
        "fashion",
        CPU
        | {"channels": 64, "resolution": 28, "layout": "classes", "critic_steps": 1}
        | {"augment": "differentiable", "equilibrium": 0.5},
    ),
    "cgan-kinds": Run("cgan", "kinds", 45, "kinds", CPU | {"critic_steps": 1}),
    "control-gan-faces": Run(
        "control-gan",
        "faces",
        26,
        "faces",
        CPU | {"attributes": ("hat", "sunglasses", "scarf", "happy"), "augment": "differentiable", "equilibrium": 0.5},
    ),
    "text-dcgan-birds": Run("text-dcgan", "birds", 12, "words", CPU),
    "stackgan-birds-1": Run("stackgan", "birds", 12, "words", STACK),
    "stackgan-birds-2": Run("stackgan", "birds-128", 22, "sharper", STACK | {"resolution": 128}, "stackgan-birds-1"),
    "stylegan-portraits": Run("stylegan", "portraits", 100, "portraits", STYLE | {"mirror": True}),
    "stylegan-portraits-augmented": Run(
        "stylegan",
        "portraits",
        100,
        "portraits",
        STYLE | {"mirror": True, "augment": "adaptive"},
        "stylegan-portraits",
    ),
}
"""Name -> run, in the order in which they are made."""
