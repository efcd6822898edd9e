"""An independent judge of pocket's pictures: a small residual network (He et al. 2016) that names the facts of a scene.

It shares nothing with pocket: convolutions instead of transformers, other seeds, other pictures, and it is not shipped
in the package. It sees blurred and noisy pictures too, so that a soft drawing is judged by what it shows.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from easel.pocket.train.export import shrink
from easel.pocket.train.fit import Schedule, fit
from easel.pocket.train.packing import drawn_style, pack, row_of
from easel.pocket.train.pictures import Pixels, Store
from easel.pocket.train.samples import roughened
from easel.pocket.train.vae import to_tensor
from easel.pocket.world import Scene, render, words
from easel.training.trainer import Context, Measured, autocast, device_of

FIRST, COUNT = 7_000_000, 40_000
"""Its scenes: seeds that neither pocket's training nor its scores use."""
SIDE, BATCH = 128, 64
WIDTHS = (32, 64, 128, 160)
NAMED = {"kind": words.KINDS, "colour": words.COLOURS, "place": words.PLACES, "time": words.TIMES,
         "style": tuple(words.STYLE_PHRASES)}  # fmt: skip
"""What it names, and the words for it."""
SCHEDULE = Schedule(steps=7000, lr=2e-3, warmup=100, weight_decay=0.02, average_decay=0.995)
WEIGHTS = Path(__file__).parents[3] / "tests" / "judge.safetensors"
"""Where the trained judge lies in a checkout."""


class Block(nn.Module):
    """Halve the picture, widen it, and one residual step: (n, c, h, w) -> (n, wide, h/2, w/2)."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(narrow, wide, 3, 2, 1), nn.GroupNorm(8, wide), nn.SiLU())
        self.more = nn.Sequential(
            nn.Conv2d(wide, wide, 3, 1, 1), nn.GroupNorm(8, wide), nn.SiLU(), nn.Conv2d(wide, wide, 3, 1, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """One step down."""
        x = self.down(x)
        more: Tensor = self.more(x)
        return x + more


class Judge(nn.Module):
    """(n, 3, 128, 128) in [-1, 1] -> the logits of each of NAMED."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTHS[0], 5, 2, 2), nn.SiLU())
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in zip(WIDTHS, (*WIDTHS[1:], WIDTHS[-1]), strict=True)))
        self.heads = nn.ModuleDict({name: nn.Linear(2 * WIDTHS[-1], len(values)) for name, values in NAMED.items()})

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Logits by name, from the mean and the largest of the last (n, 160, 4, 4)."""
        seen = self.blocks(self.stem(pictures.contiguous(memory_format=torch.channels_last)))
        pooled = torch.cat([seen.mean(dim=(2, 3)), seen.amax(dim=(2, 3))], dim=1).float()
        return {name: head(pooled) for name, head in self.heads.items()}

    @torch.no_grad()
    def name(self, pictures: NDArray[np.uint8]) -> dict[str, list[str]]:
        """What (n, h, w, 3) uint8 pictures show, by name."""
        small = np.stack([cv2.resize(p, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in pictures])
        found: dict[str, list[str]] = {name: [] for name in NAMED}
        for i in range(0, len(small), BATCH):
            for name, logits in self(to_tensor(small[i : i + BATCH])).items():
                found[name] += [NAMED[name][int(k)] for k in logits.argmax(dim=1)]
        return found


def truth(scene: Scene) -> dict[str, str | None]:
    """The facts of a scene that can be seen in it; None where its style hides them."""
    hidden = scene.style in words.COLOURLESS
    time = scene.light if scene.light in words.TIMES else scene.time
    return {"kind": scene.kind, "colour": None if hidden else scene.colour, "place": scene.place,
            "time": None if hidden else time, "style": scene.style}  # fmt: skip


def judged_scene(seed: int) -> list[tuple[Pixels, dict[str, Any]]]:
    """A scene for the judge to learn from, every second one plain."""
    scene = Scene.from_seed(seed, style=drawn_style(np.random.default_rng((9, seed)), plain=0.5))
    return [(render(scene, 256), {**row_of(scene), "truth": truth(scene)})]


def pack_judged(folder: Path, count: int = COUNT) -> None:
    """The store ``judged``."""
    pack(folder, "judged", judged_scene, range(FIRST, FIRST + count))


def run(store: Store, work: Path, schedule: Schedule = SCHEDULE, device: str = "cpu", batch: int = BATCH) -> Judge:
    """Train a judge (or go on)."""
    torch.manual_seed(9)
    judge = Judge().to(device)

    def loss(context: Context) -> Measured:
        rng = np.random.default_rng((91, context.step))
        picked = rng.integers(len(store.pixels), size=batch)
        pictures = to_tensor(np.stack([roughened(store.pixels[k], SIDE, rng, 0.1) for k in picked]))
        with autocast(judge):
            logits = judge(pictures.to(device_of(judge)))
        total, right = logits["kind"].new_zeros(()), {}
        for name, values in NAMED.items():
            known = [store.rows[int(k)]["truth"][name] for k in picked]
            target = torch.tensor(
                [-100 if one is None else values.index(one) for one in known], device=device_of(judge)
            )
            if (target < 0).all():
                continue
            total = total + nn.functional.cross_entropy(logits[name], target)
            right[name] = (logits[name].argmax(1) == target)[target >= 0].float().mean()
        return Measured(total, right)

    fit(judge, loss, schedule, work / "judge.safetensors")
    return judge


def save(judge: Judge, path: Path = WEIGHTS) -> None:
    """Write the weights, as small as pocket's."""
    save_file({name: shrink(tensor) for name, tensor in judge.state_dict().items()}, path)


def load(path: Path = WEIGHTS) -> Judge:
    """The trained judge. Raises FileNotFoundError where it was not trained: `python -m easel.pocket.train judge`."""
    judge = Judge()
    judge.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    judge.requires_grad_(False)
    judge.eval()
    return judge
