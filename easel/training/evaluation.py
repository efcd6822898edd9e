"""What is seen of a training while it runs: a grid of samples, how near they come to the set (by the kernel distance,
which is KID where Inception judges), how varied they are, and the curves.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from easel.metrics.kernel import kernel_distance
from easel.metrics.manifold import NEIGHBOURS, precision_recall
from easel.models import trained
from easel.recipes.train import Train
from easel.sheet import mosaic
from easel.tensors import to_pictures
from easel.training import curves
from easel.training.batches import Batches
from easel.training.loop import Collapsed
from easel.training.state import Position
from easel.training.tensorboard import FOLDER, TensorBoard
from easel.training.trainer import Trainer, seed_of
from easel.workspace import Workspace

if TYPE_CHECKING:
    from torch import Tensor

    from easel.models.set_features import SetFeatureModel

METRICS = curves.FILE
DISTANCE = "kernel distance"
"""The column of metrics.csv that tells how near the pictures come to the set."""
FORMERLY = {"KID": DISTANCE}
"""Columns of easel 0.2, whatever the judge was."""
EVERY = 50
"""Steps from one row of losses to the next; each row is their mean."""
TOGETHER = 32
"""Pictures drawn at once."""
NORM_BATCHES = 16
"""Batches from which the statistics of batch norm are taken anew for the averaged weights (Brock 2018, section 4.1)."""
FLAT = 0.02
"""Below this share of the set's variance, pictures are all the same."""
PATIENCE = 3
"""Evaluations, the one before training aside, before sameness is called a collapse; the last two must show it."""
LEAST_MADE = 100
MADE_A_MINUTE = 100
"""Of a training by minutes, pictures that are measured for each: a short one must not wait for its measuring."""


@dataclass(frozen=True)
class Evaluation:
    """Kernel distance of the averaged generator's pictures to the set after ``step`` steps, with its 95 % interval;
    ``made`` pictures were drawn for it.

    Whole numbers are floats too: these are the words in the header of the weights that it belongs to.
    """

    step: float
    kimg: float
    distance: float
    low: float
    high: float
    made: float

    @classmethod
    def of_row(cls, row: Mapping[str, float]) -> Evaluation:
        """That of a row of the curves."""
        value = row[DISTANCE]
        return cls(row["step"], row["kimg"], value, row.get("low", value), row.get("high", value), row["made"])

    @classmethod
    def of_header(cls, header: Mapping[str, str]) -> Evaluation | None:
        """That of a model's weights, as `header` wrote it; None where it says none."""
        known = {"distance": header["KID"]} | dict(header) if "KID" in header else header  # as easel 0.2 wrote it
        return cls(**{name: float(known[name]) for name in cls.__annotations__}) if "distance" in known else None

    def header(self) -> dict[str, str]:
        """As words for a file's header."""
        return {name: repr(value) for name, value in asdict(self).items()}


class Evaluator:
    """Evaluates a training every so often, keeps its curves and its best model, and reports to the workspace.

    It is `loop.Observer` of `easel train`. ``judge`` gives the features that are compared; ``images`` are the pictures
    that the whole training will see, 0 where minutes decide.
    """

    def __init__(
        self,
        trainer: Trainer,
        batches: Batches,
        judge: SetFeatureModel,
        workspace: Workspace,
        recipe: Train,
        images: int,
    ) -> None:
        self.trainer, self.batches, self.judge, self.workspace = trainer, batches, judge, workspace
        self.recipe, self.images = recipe, images
        self.rows: list[dict[str, float]] = []
        self.best: Evaluation | None = None
        self.preview: Image.Image | None = None
        self.seconds = 0.0
        """Spent on the training so far, measuring aside."""
        self.first_measuring: float | None = None
        """Seconds that the first evaluation of this run took: what is said of the whole rests on it."""
        self.count = self._count()
        """Pictures, real and made, that are compared, at most."""
        self.seen = 0
        """Pictures seen so far, counted as often as they were."""
        self._losses = curves.Losses()
        self._tensorboard = TensorBoard(workspace.path(FOLDER))
        self._real = self._features_of_the_set()

    @property
    def untrained(self) -> Evaluation | None:
        """The evaluation before the first step."""
        return next((Evaluation.of_row(row) for row in self.rows if row["step"] == 0 and DISTANCE in row), None)

    @property
    def evaluated(self) -> set[int]:
        """Steps that were evaluated."""
        return {int(row["step"]) for row in self.rows if DISTANCE in row}

    def resume(self, position: Position) -> None:
        """Go on from here: rows of later steps are forgotten, the best model is the one in the folder.

        Raises EaselError on a metrics.csv that is damaged.
        """
        self.rows = [row for row in read_rows(self.workspace.path(METRICS)) if row["step"] <= position.step]
        self.seen, self.seconds = position.step * self.batches.batch_size, position.seconds
        if position.step not in self.evaluated:  # else they are in its row
            self._losses.resume(position.losses, self.trainer.device)
        self.best = Evaluation.of_header(trained.read_header(self.workspace.folder))

    def evaluate(self, step: int, seconds: float) -> None:
        """Draw, measure, and keep the model if it is the best so far, unless this step has been evaluated.

        Raises Collapsed, and FloatingPointError where a number is none.
        """
        self.seconds = seconds
        if step in self.evaluated:
            return
        begun = time.monotonic()
        generator = recalibrated(self.trainer.averaged("generator"), self.batches)
        count = min(self.count, max(LEAST_MADE, len(self.batches.pictures)))
        features = self._features(self.drawn(generator, count, "measuring"))
        found = self._statistics(features)
        self._save_grid(generator, step)  # before the row, which says that this step is evaluated: it can be stopped
        self._add(step, self._losses.taken() | found | {"seconds": seconds})
        if not math.isfinite(found[DISTANCE]):
            raise FloatingPointError(f"the {DISTANCE} is no number at step {step}")
        if self.best is None or found[DISTANCE] < self.best.distance:
            self._save_best(generator)
        self._write()
        if self.first_measuring is None:
            self.first_measuring = time.monotonic() - begun
        self._refuse_collapse()

    def note(self, step: int, numbers: Mapping[str, Tensor]) -> None:
        """Take in the losses of a step."""
        self.seen = (step + 1) * self.batches.batch_size
        self._losses.add(numbers)
        if (step + 1) % EVERY == 0:
            self._add(step + 1, self._losses.taken())

    def report(self, step: int, seconds: float) -> None:
        """Tell the workspace of progress, in pictures, or in seconds where these are what is left."""
        self.seconds = seconds
        if self.recipe.minutes:
            total = max(1, round(self.recipe.minutes * 60))
            self.workspace.step(self.phase, min(total, int(seconds)), total, self.preview)
        else:
            done = min(self.images, step * self.batches.batch_size)
            self.workspace.step("training", done, self.images, self.preview)

    @property
    def phase(self) -> str:
        """'training', and for one by minutes how long the whole may take: measuring, which they do not pay for, takes
        no longer than the training (`loop.train`), but for its last time.
        """
        if not self.recipe.minutes or self.first_measuring is None:
            return "training"
        whole = 2 * self.recipe.minutes + 2 * self.first_measuring / 60
        return f"training for {self.recipe.minutes:g} min, with measuring at most {whole:.2g}"

    @property
    def notes(self) -> list[str]:
        """What a person must know of the model that is kept."""
        row = next((row for row in self.rows if self.best and row["step"] == self.best.step and DISTANCE in row), None)
        found = []
        if row is not None and row["step"] == 0 and self.seen:
            found.append(
                f"the best of the measured models is the untrained one: {self.seen / 1000:.4g} thousand pictures were "
                f"too few to come nearer to the set than it; train longer, in this --out"
            )
        if row is not None and row.get("diversity", 1.0) < FLAT:
            found.append(
                f"the pictures of the model that is kept are all alike (their variance is {row['diversity']:.1%} of "
                "the set's): it has learned nothing of what tells the set's pictures apart"
            )
        return found

    def flush(self) -> dict[str, list[float]]:
        """Write metrics.csv; the losses that are in no row yet."""
        self._write()
        return self._losses.kept()

    def close(self) -> None:
        """Close what is written to."""
        self._tensorboard.close()

    @torch.no_grad()
    def drawn(self, generator: nn.Module, count: int, phase: str = "drawing") -> list[Image.Image]:
        """Pictures of fixed latents, with the conditions of pictures from all over the set."""
        latents = torch.Generator().manual_seed(seed_of(self.recipe.seed, count, -2))
        z = generator.latent(count, latents)  # type: ignore[operator]
        condition = self.batches.fixed_condition(count)
        made: list[Image.Image] = []
        for start in range(0, count, TOGETHER):
            part = slice(start, start + TOGETHER)
            made += to_pictures(generator(z[part], None if condition is None else condition[part]))
            self.workspace.step(phase, len(made), count)
        return made

    def _write(self) -> None:
        self.workspace.save_text(METRICS, curves.as_csv(self.rows))

    def _add(self, step: int, numbers: Mapping[str, float]) -> None:
        kimg = step * self.batches.batch_size / 1000
        if self.rows and self.rows[-1]["step"] == step:
            self.rows[-1] |= numbers
        else:
            self.rows.append({"step": float(step), "kimg": kimg, **numbers})
        if self.recipe.augment == "adaptive":
            self.rows[-1]["p"] = self.trainer.state.augmentation
        if numbers:
            self._tensorboard.write(round(kimg * 1000), numbers)

    def _count(self) -> int:
        """The recipe's number, or of a short training fewer."""
        if not self.recipe.minutes:
            return self.recipe.score_count
        return min(self.recipe.score_count, max(LEAST_MADE, round(MADE_A_MINUTE * self.recipe.minutes)))

    def _features_of_the_set(self) -> NDArray[np.float64]:
        """The judge's features of pictures from all over the set."""
        pictures = self.batches.pictures
        count = min(self.count, len(pictures))
        places = np.linspace(0, len(pictures) - 1, count).round().astype(np.int64)
        return self._features(
            [Image.fromarray(np.asarray(pictures.pixels[place])) for place in places], "seeing the set"
        )

    def _features(self, pictures: Sequence[Image.Image], phase: str = "judging") -> NDArray[np.float64]:
        parts = []
        for start in range(0, len(pictures), TOGETHER):
            self.workspace.step(phase, start, len(pictures))
            parts.append(np.asarray(self.judge.features(list(pictures[start : start + TOGETHER])), np.float64))
        self.workspace.step(phase, len(pictures), len(pictures))
        return np.concatenate(parts)

    def _statistics(self, features: NDArray[np.float64]) -> dict[str, float]:
        if not np.isfinite(features).all():
            raise FloatingPointError("the judge's view of the pictures is no longer made of numbers")
        distance = kernel_distance(self._real, features)
        found = {DISTANCE: distance.value, "made": float(len(features))}
        if distance.low is not None and distance.high is not None:
            found |= {"low": distance.low, "high": distance.high}
        if min(len(features), len(self._real)) > NEIGHBOURS:
            near, far = precision_recall(self._real, features)
            found |= {"precision": near.value, "recall": far.value}
        whole = float(self._real.var(axis=0).sum())
        if whole > 1e-12:  # of a set whose pictures are all alike, nothing follows
            found["diversity"] = float(features.var(axis=0).sum()) / whole
        return found

    def _save_grid(self, generator: nn.Module, step: int) -> None:
        self.preview = mosaic(self.drawn(generator, self.recipe.count))
        kimg = step * self.batches.batch_size / 1000
        self.workspace.save_picture(f"samples/{kimg:09.3f}-kimg.png", self.preview)
        self._tensorboard.write(round(kimg * 1000), {}, {"samples": self.preview})

    def _save_best(self, generator: nn.Module) -> None:
        self.best = Evaluation.of_row(self.rows[-1])
        players = {**self.trainer.players, "generator": generator}
        trained.write_players(self.workspace.folder, players, self.best.header())

    def _refuse_collapse(self) -> None:
        seen = [row["diversity"] for row in self.rows if "diversity" in row and row["step"] > 0]
        if len(seen) >= PATIENCE and max(seen[-2:]) < FLAT:
            share = f"{seen[-1]:.1%} of the set's variance"
            raise Collapsed(f"collapsed: all pictures look the same ({share} at {self.rows[-1]['kimg']:.4g} kimg)")


@torch.no_grad()
def recalibrated(generator: nn.Module, batches: Batches) -> nn.Module:
    """The generator, in evaluation mode; batch norm has taken its statistics anew, since averaged weights have none."""
    norms = [module for module in generator.train().modules() if isinstance(module, nn.BatchNorm2d) and module.training]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over the batches
    for index in range(NORM_BATCHES if norms else 0):
        latents = torch.Generator().manual_seed(seed_of(batches.seed, index, -1))
        batch = batches.whole(index)
        generator(generator.latent(len(batch.real), latents), batch.condition)  # type: ignore[operator]
    return generator.eval()


def read_rows(file: Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv, in its order; none where there is no file. Raises EaselError where it is damaged."""
    return curves.read(file, lambda row: ("step", "kimg", *(("made",) if DISTANCE in row else ())), FORMERLY)
