"""What is seen of a subject while it is learned: pictures on fixed prompts and seeds, and how good they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from PIL import Image

from easel.images import open_picture
from easel.jobs import likeness
from easel.jobs.judges import CLIP_T
from easel.jobs.likeness import COPIES, SUBJECT, LikenessJudges, Photos
from easel.jobs.personalize import photos as photo_files
from easel.jobs.personalize.setup import ADAPTER, Caches, Training, evaluation_seeds
from easel.jobs.personalize.words import EvaluationPrompt
from easel.models.diffusion import lora
from easel.models.diffusion.batch import PictureRequest
from easel.models.diffusion.latents import BrokenPicture
from easel.recipes.drawing import Drawing, scales_of
from easel.sheet import mosaic
from easel.training import checkpoints, curves
from easel.training.loop import Finished
from easel.training.state import Position
from easel.training.tensorboard import FOLDER, TensorBoard
from easel.workspace import Workspace

if TYPE_CHECKING:
    from torch import Tensor

    from easel.metrics.intervals import Estimate

BEST = "training/best.safetensors"
EVERY = 10
"""Steps from one row of losses to the next; each row is their mean."""
PATIENCE = 3
"""Evaluations in a row that are no better than the best, after which `stop_early` ends a training."""
BALANCE = "balance"
"""By what the best checkpoint is told: likeness times fit to the words (the product of concept preservation and prompt
following of DreamBench++, Peng et al. 2024, arXiv 2406.16855), times the share of pictures that are no near-copies.
"""
TOGETHER = 4
"""Pictures drawn at once."""


Seen = Callable[["Observer", int, Drawing, list[list[Image.Image]], likeness.Values], None]
"""Is shown the pictures of a step's evaluation, by prompt, that were drawn in one way, and their numbers."""
AS_TRAINED = Drawing()


@dataclass(frozen=True, eq=False)
class Watch:
    """How a sweep looks on at a training: what its trainings share, how each checkpoint is drawn, and who is shown."""

    judges: LikenessJudges | None = None
    """Loaded before; the training loads its own where there are none."""
    caches: Caches = field(default_factory=Caches)
    drawings: Sequence[Drawing] = (AS_TRAINED,)
    seen: Seen | None = None
    save_seconds: float | None = None
    """Between checkpoints, if not as usual."""


def balance(found: Mapping[str, Estimate]) -> float:
    """BALANCE of an evaluation's means."""
    copies = found[COPIES].value if COPIES in found else 0.0
    return max(0.0, found[SUBJECT].value) * max(0.0, found[CLIP_T].value) * (1 - copies)


class Observer:
    """Evaluates a training every so often, keeps its curves and its best weights, and reports to the workspace.

    Likeness is to the photos held back, or to those that are learned where none are. Of several ways to draw, the first
    is what curves and best weights go by; ``seen`` is shown all of them.
    """

    def __init__(
        self, training: Training, judges: LikenessJudges, workspace: Workspace, watch: Watch | None = None
    ) -> None:
        self.training, self.judges, self.workspace = training, judges, workspace
        watch = watch or Watch()
        self.drawings, self.seen, self.caches = watch.drawings, watch.seen, watch.caches
        self.trained = Photos.of([photo.picture() for photo in training.learned[: likeness.MOST_PHOTOS]], judges)
        held = [photo.picture() for photo in training.held_back]
        self.real = Photos.of(held, judges) if held else self.trained
        self.rows: curves.Rows = []
        self.best: tuple[int, float] | None = None
        """Step and balance of the best evaluation."""
        self.photos_hash = photo_files.content(training.photos)
        self.seconds = 0.0
        """Spent on steps and checkpoints, by all runs together."""
        self.begun_seconds = 0.0
        self.preview: Image.Image | None = None
        self._losses = curves.Losses()
        self._tensorboard = TensorBoard(workspace.path(FOLDER))

    @property
    def trained_seconds(self) -> float:
        """Of this run alone."""
        return self.seconds - self.begun_seconds

    @property
    def notes(self) -> list[str]:
        """What a person should know of the judging."""
        if self.trained.apart is None:
            return [f"{COPIES}: left out, since one photo, or photos that are all the same, say not how far is near"]
        return []

    @property
    def evaluated(self) -> list[dict[str, float]]:
        """The rows of evaluations, in order."""
        return [row for row in self.rows if BALANCE in row]

    def resume(self, position: Position) -> None:
        """Go on from here: rows of later steps are forgotten, the best weights are those in the folder."""
        needed = ("step",)
        rows = curves.read(self.workspace.path(curves.FILE), lambda _: needed)
        self.rows = [row for row in rows if row["step"] <= position.step]
        self.seconds = self.begun_seconds = position.seconds
        if not any(row["step"] == position.step for row in self.evaluated):
            self._losses.resume(position.losses)
        file = self.workspace.path(BEST)
        if file.exists():
            kept = checkpoints.read_position(file)
            self.best = kept.step, kept.losses[BALANCE][0]

    def evaluate(self, step: int, seconds: float) -> None:
        """Draw, measure, keep the weights if they are the best so far, unless this step has been evaluated.

        Raises Finished where no better ones have come for long and that was to end it, and FloatingPointError where
        what is drawn is no picture.
        """
        self.seconds = seconds
        if all(row["step"] != step for row in self.evaluated):
            seen = []
            for drawing in self.drawings:
                seen.append(self._looked_at(step, drawing))
                if self.seen is not None:
                    self.seen(self, step, drawing, *seen[-1])
            made, values = seen[0]
            found = likeness.estimates(values)
            self.preview = mosaic([picture for pictures in made for picture in pictures], self.training.recipe.count)
            self.workspace.save_picture(f"samples/{step:06d}.png", self.preview)
            numbers = {name: estimate.value for name, estimate in found.items()}
            for name, one in found.items():
                if one.low is not None and one.high is not None:
                    numbers |= {f"{name} low": one.low, f"{name} high": one.high}
            value = balance(found)
            self._add(step, self._losses.taken() | numbers | {BALANCE: value, "seconds": seconds})
            if self.best is None or value > self.best[1]:
                self.best = step, value
                kept = Position(step, losses={BALANCE: [value]}, belongs_to={"model": self.training.base})
                checkpoints.write(self.workspace.path(BEST), self.training.trainer.learned(), kept)
            self._write()
        if self.training.recipe.stop_early and self.waited >= PATIENCE:
            raise Finished

    def _looked_at(self, step: int, drawing: Drawing) -> tuple[list[list[Image.Image]], likeness.Values]:
        """The pictures of an evaluation and their numbers; of untrained models that would draw the same, once."""
        training, recipe = self.training, self.training.recipe
        own = (recipe.seed, recipe.count, recipe.sampling_steps, recipe.method, recipe.dora, recipe.text_encoder)
        words = (training.subject, recipe.initial_word, recipe.vectors, tuple(training.evaluation))
        held = tuple(photo.name for photo in training.held_back)
        key = (own, words, training.base, training.side, drawing, self.photos_hash, held, self.judges.family)
        if step == 0 and key in self.caches.untrained:
            made, values = self.caches.untrained[key]
            return made, values
        made = self.drawn(training.evaluation, "evaluating", drawing)
        values = self.measured(made)
        if step == 0:
            self.caches.untrained[key] = made, values
        return made, values

    @property
    def waited(self) -> int:
        """Evaluations in a row, up to the last one, that were no better than the best before them."""
        values = [row[BALANCE] for row in self.evaluated]
        return len(values) - 1 - values.index(max(values)) if values else 0

    def note(self, step: int, numbers: Mapping[str, Tensor]) -> None:
        """Take in the losses of a step."""
        self._losses.add(numbers)
        if (step + 1) % EVERY == 0:
            self._add(step + 1, self._losses.taken())

    def report(self, step: int, seconds: float) -> None:
        """Tell the workspace of progress."""
        self.seconds = seconds
        self.workspace.step("training", step, self.training.plan.steps, self.preview)

    def flush(self) -> dict[str, list[float]]:
        """Write metrics.csv; the losses that are in no row yet."""
        self._write()
        return self._losses.kept()

    def close(self) -> None:
        """Close what is written to."""
        self._tensorboard.close()

    def measured(self, made: Sequence[Sequence[Image.Image]]) -> likeness.Values:
        """The numbers of pictures of the evaluation prompts."""
        evaluation = self.training.evaluation
        asked = [(one.judged, pictures) for one, pictures in zip(evaluation, made, strict=True)]
        return likeness.measure(self.judges, asked, self.real, self.trained)

    def drawn(
        self, asked: Sequence[EvaluationPrompt], phase: str, drawing: Drawing = AS_TRAINED
    ) -> list[list[Image.Image]]:
        """Pictures of each prompt, the i-th of all with the recipe's seed + i.

        Raises FloatingPointError where they turn into no numbers.
        """
        recipe, pipeline = self.training.recipe, self.training.model.pipeline
        sampling = replace(
            self.training.sampling,
            steps=drawing.steps or recipe.sampling_steps,
            guidance_scale=drawing.guidance_scale,
            guidance_every=drawing.guidance_every,
            scheduler=drawing.scheduler,
            strength=drawing.strength,
        )
        task = "text-to-image" if drawing.photo is None else "image-to-image"
        photo = None if drawing.photo is None else open_picture(drawing.photo)
        requests = [
            PictureRequest(one.prompt, seed, one.negative_prompt, sampling, task, photo)
            for number, one in enumerate(asked)
            for seed in evaluation_seeds(recipe, number)
        ]
        whole = len(requests) * sampling.steps

        def report(done: int, of: int) -> None:
            self.workspace.step(phase, done * whole // max(1, of), whole)

        try:
            with self.training.drawing() as model, lora.scaled(pipeline, ADAPTER, *scales_of(drawing.lora_scale)):
                pictures = [one.image for one in model.generate(requests, TOGETHER, report)]
        except BrokenPicture as problem:
            raise FloatingPointError(str(problem)) from problem
        self.workspace.step(phase, whole, whole)
        return [pictures[at : at + recipe.count] for at in range(0, len(pictures), recipe.count)]

    def _write(self) -> None:
        self.workspace.save_text(curves.FILE, curves.as_csv(self.rows))

    def _add(self, step: int, numbers: Mapping[str, float]) -> None:
        numbers = {name: value for name, value in numbers.items() if math.isfinite(value)}
        if self.rows and self.rows[-1]["step"] == step:
            self.rows[-1] |= numbers
        else:
            self.rows.append({"step": float(step), **numbers})
        if numbers:
            self._tensorboard.write(step, numbers)
