"""What is seen of a training while it runs: a grid of samples, KID, how varied the pictures are, and the curves."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from easel.metrics.kernel import kernel_distance
from easel.metrics.manifold import NEIGHBOURS, precision_recall
from easel.models import trained
from easel.recipes import Train
from easel.sheet import mosaic
from easel.tensors import to_pictures
from easel.training.tensorboard import FOLDER, Board
from easel.training.trainer import Studio, chance_of
from easel.workspace import Workspace

if TYPE_CHECKING:
    from torch import Tensor, nn

    from easel.models.set_features import Rows

METRICS = "metrics.csv"
EVERY = 50
"""Steps from one row of losses to the next; each row is their mean."""
TOGETHER = 32  # pictures drawn at once
FLAT = 0.02
"""Below this share of the set's variance, pictures are all the same."""
PATIENCE = 3
"""Measurements, the one before training aside, before sameness is called a collapse; the last two must show it."""
LEAST_MADE = 100


class Collapsed(Exception):
    """All pictures have come to look the same."""


class Watch:
    """Looks at a training every so often, and remembers what it saw."""

    def __init__(self, studio: Studio, judge: Rows, workspace: Workspace, recipe: Train) -> None:
        self.studio, self.judge, self.workspace, self.recipe = studio, judge, workspace, recipe
        self.rows: list[dict[str, float]] = []
        self.best: dict[str, float] | None = None
        self.preview: Image.Image | None = None
        self.seen = 0  # pictures, again and again
        self._losses: dict[str, list[Tensor]] = {}
        self._real = self._of_the_set()
        self._board = Board(workspace.path(FOLDER))

    @property
    def looked(self) -> set[int]:
        """Steps before which KID was measured."""
        return {int(row["step"]) for row in self.rows if "KID" in row}

    @property
    def untrained(self) -> dict[str, float] | None:
        """What was measured before the first step."""
        return next((row for row in self.rows if row["step"] == 0 and "KID" in row), None)

    def note(self, step: int, numbers: Mapping[str, Tensor]) -> None:
        """Take in the losses of a step."""
        self.seen = (step + 1) * self.studio.plan.batch_size
        for name, value in numbers.items():
            self._losses.setdefault(name, []).append(value)
        if (step + 1) % EVERY == 0:
            self._row(step + 1, self._means())

    def look(self, step: int, seconds: float) -> None:
        """Draw, measure, keep the model where it is the best so far. Raises Collapsed."""
        generator = self.studio.settled()
        count = min(self.recipe.score_count, max(LEAST_MADE, len(self.studio.feed.pictures)))
        made = self.drawn(generator, count, "measuring")
        rows = self._seen(made)
        found = self._measured(rows)
        self._grid(generator, step)  # before the row, which says that this step has been looked at: it can be stopped
        self._row(step, self._means() | found | {"seconds": seconds})
        if not math.isfinite(found["KID"]):
            raise FloatingPointError(f"KID is no number at step {step}")
        if self.best is None or found["KID"] < self.best["KID"]:
            self._keep(generator, self.rows[-1])
        self.write()
        self._refuse_collapse()

    def pending(self) -> dict[str, list[float]]:
        """The losses that are in no row yet, for the checkpoint: a curve must not depend on where it was cut."""
        return {name: [float(value) for value in values] for name, values in self._losses.items()}

    def resume(self, step: int, pending: Mapping[str, Sequence[float]]) -> None:
        """Go on after ``step``: rows from beyond it are forgotten, the best model is the one in the folder."""
        place = self.workspace.path(METRICS)
        text = place.read_text(encoding="utf-8") if place.is_file() else ""
        read = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(io.StringIO(text))]
        self.rows = [row for row in read if row["step"] <= step]
        self.seen = step * self.studio.plan.batch_size
        if step not in self.looked:  # else they are in its row
            device = self.studio.feed.device
            self._losses = {name: [torch.tensor(v, device=device) for v in pending[name]] for name in pending}
        header = trained.read_header(self.workspace.folder)
        if "KID" in header:
            self.best = {key: float(header[key]) for key in ("step", "kimg", "KID", "low", "high", "made")}

    def write(self) -> None:
        """Write metrics.csv."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        stream = io.StringIO()
        writer = csv.DictWriter(stream, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        self.workspace.save_text(METRICS, stream.getvalue())

    def _row(self, step: int, numbers: Mapping[str, float]) -> None:
        kimg = step * self.studio.plan.batch_size / 1000
        if self.rows and self.rows[-1]["step"] == step:
            self.rows[-1] |= numbers
        else:
            self.rows.append({"step": float(step), "kimg": kimg, **numbers})
        if self.studio.adaptive:
            self.rows[-1]["p"] = self.studio.extras["p"]
        if numbers:
            self._board.write(round(kimg * 1000), numbers)

    def _means(self) -> dict[str, float]:
        found = {name: float(torch.stack(values).float().mean()) for name, values in self._losses.items()}
        self._losses = {}
        return found

    def _of_the_set(self) -> NDArray[np.float64]:
        """The judge's rows of pictures from all over the set."""
        pictures = self.studio.feed.pictures
        count = min(self.recipe.score_count, len(pictures))
        places = np.linspace(0, len(pictures) - 1, count).round().astype(np.int64)
        return self._seen([Image.fromarray(np.asarray(pictures.pixels[place])) for place in places], "seeing the set")

    def _seen(self, pictures: Sequence[Image.Image], phase: str = "judging") -> NDArray[np.float64]:
        parts = []
        for start in range(0, len(pictures), TOGETHER):
            self.workspace.step(phase, start, len(pictures))
            parts.append(np.asarray(self.judge.rows(list(pictures[start : start + TOGETHER])), np.float64))
        self.workspace.step(phase, len(pictures), len(pictures))
        return np.concatenate(parts)

    @torch.no_grad()
    def drawn(self, generator: nn.Module, count: int, phase: str = "drawing") -> list[Image.Image]:
        """Pictures of fixed latents, told what pictures from all over the set are told."""
        chance = torch.Generator().manual_seed(chance_of(self.recipe.seed, count, -2))
        z = generator.latent(count, chance)  # type: ignore[operator]
        condition, _ = self.studio.feed.conditions(count)
        made: list[Image.Image] = []
        for start in range(0, count, TOGETHER):
            part = slice(start, start + TOGETHER)
            made += to_pictures(generator(z[part], None if condition is None else condition[part]))
            self.workspace.step(phase, len(made), count)
        return made

    def _measured(self, rows: NDArray[np.float64]) -> dict[str, float]:
        if not np.isfinite(rows).all():
            raise FloatingPointError("the judge's view of the pictures is no longer made of numbers")
        distance = kernel_distance(self._real, rows)
        found = {"KID": distance.value, "made": float(len(rows))}
        if distance.low is not None and distance.high is not None:
            found |= {"low": distance.low, "high": distance.high}
        if min(len(rows), len(self._real)) > NEIGHBOURS:
            near, far = precision_recall(self._real, rows)
            found |= {"precision": near.value, "recall": far.value}
        whole = float(self._real.var(axis=0).sum())
        if whole > 1e-12:  # of a set whose pictures are all alike, nothing follows
            found["diversity"] = float(rows.var(axis=0).sum()) / whole
        return found

    def _grid(self, generator: nn.Module, step: int) -> None:
        made = self.drawn(generator, self.recipe.count)
        self.preview = mosaic(made)
        kimg = step * self.studio.plan.batch_size / 1000
        file = self.workspace.save_picture(f"samples/{kimg:09.3f}-kimg.png", self.preview)
        self._board.write(round(kimg * 1000), {}, {"samples": file.read_bytes()})

    def _keep(self, generator: nn.Module, row: dict[str, float]) -> None:
        """This model is the best there has been: write it, and remember its numbers."""
        named = ("step", "kimg", "KID", "low", "high", "made")
        self.best = {name: row.get(name, row["KID"]) for name in named}
        players = {**self.studio.players, "generator": generator}
        for name in ("classifier", "encoder"):
            if name in players:
                players[name].eval()
        trained.write_players(self.workspace.folder, players, {name: repr(self.best[name]) for name in named})
        for name in ("classifier", "encoder"):
            if name in players:
                players[name].train()

    def _refuse_collapse(self) -> None:
        seen = [row["diversity"] for row in self.rows if "diversity" in row and row["step"] > 0]
        if len(seen) >= PATIENCE and max(seen[-2:]) < FLAT:
            share = f"{seen[-1]:.1%} of the set's variance"
            raise Collapsed(f"collapsed: all pictures look the same ({share} at {self.rows[-1]['kimg']:.4g} kimg)")
