"""A judge for a set that has none: a small residual network (He 2016) that names facts of a picture.

It never sees a picture that the judged network learned from, nor one that it made, and it says how often it is right
about real pictures that it did not learn from either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from easel.metrics.intervals import Estimate, rate_interval
from easel.tensors import levels_to_tensor

Pixels = NDArray[np.uint8]
WIDTHS = (32, 64, 128)
TOGETHER = 64


class Block(nn.Module):
    """Half the side, ``wide`` maps, and one residual step."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(narrow, wide, 3, 2, 1), nn.BatchNorm2d(wide), nn.ReLU())
        self.more = nn.Sequential(nn.Conv2d(wide, wide, 3, 1, 1), nn.BatchNorm2d(wide), nn.ReLU(),
                                  nn.Conv2d(wide, wide, 3, 1, 1))  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(n, narrow, h, w) -> (n, wide, h/2, w/2)."""
        x = self.down(x)
        more: Tensor = self.more(x)
        return x + more


class Classifier(nn.Module):
    """Pictures (n, 3, side, side) in [-1, 1] -> logits of each head by name."""

    def __init__(self, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTHS[0], 3, 1, 1), nn.ReLU())
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in zip((WIDTHS[0], *WIDTHS), WIDTHS, strict=False)))
        self.heads = nn.ModuleDict({name: nn.Linear(2 * WIDTHS[-1], count) for name, count in heads.items()})

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Logits by head, from the mean and the largest of the last maps."""
        features = self.blocks(self.stem(pictures.contiguous(memory_format=torch.channels_last)))
        pooled = torch.cat([features.mean(dim=(2, 3)), features.amax(dim=(2, 3))], dim=1).float()
        return {name: head(pooled) for name, head in self.heads.items()}

    @torch.no_grad()
    def predict(self, pixels: Pixels) -> dict[str, NDArray[np.int64]]:
        """The index of the answer in each head, for pictures (n, side, side, 3)."""
        parts = [self(levels_to_tensor(pixels[i : i + TOGETHER])) for i in range(0, len(pixels), TOGETHER)]
        return {name: torch.cat([part[name].argmax(dim=1) for part in parts]).numpy() for name in self.heads}


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures (n, side, side, 3) and the right answers (n,) by head."""

    pixels: Pixels
    answers: Mapping[str, NDArray[np.int64]]

    def part(self, indices: Sequence[int] | NDArray[np.int64]) -> LabelledPictures:
        """Some of it."""
        return LabelledPictures(self.pixels[indices], {name: one[indices] for name, one in self.answers.items()})


def roughened(pixels: Pixels, rng: np.random.Generator, mirror: bool) -> Pixels:
    """The pictures moved by up to a sixteenth, some of them blurred: soft drawings are judged by what they show."""
    import cv2

    side = pixels.shape[1]
    reach, made = max(1, side // 16), np.empty_like(pixels)
    for index, one in enumerate(pixels):
        x, y = rng.integers(-reach, reach + 1, 2)
        moved: Any = cv2.warpAffine(
            one, np.array([[1.0, 0, x], [0, 1, y]]), (side, side), borderMode=cv2.BORDER_REFLECT
        )
        if rng.random() < 0.4:
            moved = cv2.GaussianBlur(moved, (0, 0), float(rng.uniform(0.4, 1.2)))
        made[index] = moved[:, ::-1] if mirror and rng.random() < 0.5 else moved
    return made


def train_classifier(data: LabelledPictures, heads: Mapping[str, int], epochs: int, seed: int = 5) -> Classifier:
    """A classifier trained on labelled pictures, its learning rate going up and down once (Smith 2018)."""
    torch.manual_seed(seed)
    network = Classifier(heads).train()
    count = len(data.pixels)
    steps = epochs * (count // TOGETHER)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
    lr_schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    sampler = np.random.default_rng((seed, 1))
    for step in range(steps):
        rng = np.random.default_rng((seed, 2, step))
        picked = sampler.choice(count, TOGETHER, replace=False)
        logits = network(levels_to_tensor(roughened(data.pixels[picked], rng, mirror=True)))
        loss = torch.stack(
            [
                nn.functional.cross_entropy(logits[name], torch.from_numpy(answers[picked]), label_smoothing=0.05)
                for name, answers in data.answers.items()
            ]
        ).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        lr_schedule.step()
    return network.eval().requires_grad_(False)


def accuracy(network: Classifier, data: LabelledPictures) -> dict[str, Estimate]:
    """How often it is right about pictures it has not seen, by head."""
    found = network.predict(data.pixels)
    return {name: rate_interval(found[name] == answers) for name, answers in data.answers.items()}
