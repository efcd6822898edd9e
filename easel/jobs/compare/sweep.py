"""A sweep: one training for each candidate, subject and seed, and each of its checkpoints a cell, drawn in each way.

Trainings share judges, latents, embeddings, pictures of the class, and those of the untrained model. A training that is
killed goes on from its own checkpoint; cells that are told in the journal are not written again.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from easel.errors import Cancelled, EaselError, NoRoom, Unconfirmed, printable
from easel.files import ROOM_WANTED
from easel.jobs import likeness, personalize
from easel.jobs.compare.cells import Row, failing_alone
from easel.jobs.inputs import file_name
from easel.jobs.journal import NAME, Journal
from easel.jobs.likeness import LikenessJudges
from easel.jobs.personalize import setup
from easel.jobs.personalize.observer import BALANCE, Observer, Watch
from easel.jobs.personalize.words import evaluation_prompts
from easel.recipes.compare import Candidate, Compare, Subject
from easel.recipes.drawing import Drawing
from easel.recipes.personalize import Personalize
from easel.recipes.read import to_yaml
from easel.training import checkpoints, curves, finetune
from easel.training.distributed import Team
from easel.training.peak import Peak
from easel.training.state import Position
from easel.workspace import Step, Workspace, clock

FOLDER, CELLS = "trainings", "cells"
STEPS = "training/steps"
"""In a training's folder: the weights of each checkpoint that is a cell."""
SAVE_SECONDS = 30.0
"""Between checkpoints: an evaluation of many cells is not to be made twice."""


@dataclass(frozen=True)
class Planned:
    """A training of the sweep."""

    candidate: Candidate
    subject: Subject
    seed: int
    recipe: Personalize
    folder: str
    """Within the folder of the comparison."""

    @property
    def key(self) -> str:
        """The journal's key of the training itself."""
        return json.dumps(["training", self.candidate.label, self.subject.name, self.seed], ensure_ascii=False)

    def cell_key(self, step: int, drawing: str) -> str:
        """The journal's key of a checkpoint that is drawn in one way."""
        return json.dumps([self.candidate.label, self.subject.name, self.seed, step, drawing], ensure_ascii=False)


def planned(recipe: Compare) -> list[Planned]:
    """All trainings, those of a candidate one after the other. Raises EaselError on settings that do not fit, and on
    prompts that no picture can be drawn from.
    """
    found = []
    candidates = recipe.candidates()
    for index, candidate in enumerate(candidates):
        place = file_name(index, len(candidates), candidate.label).removesuffix(".png")
        for number, subject in enumerate(recipe.each_subject()):
            where = file_name(number, len(recipe.each_subject()), subject.name).removesuffix(".png")
            for seed in recipe.each_seed:
                try:
                    made = candidate.training(subject, seed)
                except EaselError as problem:
                    raise EaselError(f"{candidate.label}: {problem}") from problem
                assert isinstance(made, Personalize)
                folder = f"{FOLDER}/{place}/{where}/{seed}"
                found.append(Planned(candidate, subject, seed, made, folder))
    for one in found:
        if not Path(one.recipe.photos).is_dir():
            raise EaselError(f"photos: there is no folder {one.recipe.photos}: give the folder of a subject's photos")
        evaluation_prompts(one.recipe, one.recipe.subject)
    return found


@dataclass(eq=False)
class Sweep:
    """A sweep as it goes: its journal, what its trainings share, and how fast it is."""

    recipe: Compare
    workspace: Workspace
    done: Journal
    plans: Sequence[Planned]
    caches: setup.Caches = field(default_factory=setup.Caches)
    judges: dict[str, LikenessJudges] = field(default_factory=dict)
    evaluations: dict[str, int] = field(default_factory=dict)
    """Of a training by its method and model, how many evaluations it has."""
    paces: list[float] = field(default_factory=list)
    """Seconds from one evaluation to the next, this run's alone."""
    asks: str = ""
    """What is to be asked before it goes on."""

    def is_finished(self, plan: Planned) -> bool:
        """Whether a training need not be run: one that failed is tried again, and so is what was taken away since."""
        row = self.done.rows.get(plan.key)
        return row is not None and "failed" not in row and all(self.has(plan, *cell) for cell in row["cells"])

    def has(self, plan: Planned, step: int, drawing: str) -> bool:
        """Whether a cell is told and its pictures are there."""
        row = self.done.rows.get(plan.cell_key(step, drawing))
        return row is not None and all(self.workspace.path(name).is_file() for name in row["pictures"])

    def run(self) -> None:
        """Train what is left. Raises Cancelled, Unconfirmed before very many cells, and NoRoom."""
        for number, plan in enumerate(self.plans):
            if not self.is_finished(plan):
                self.done.append([self._train(plan, number)])
        self.workspace.step("training", len(self.plans), len(self.plans))

    def _train(self, plan: Planned, number: int) -> Row:
        """The journal's row of a training, also where it fails."""

        def report(step: Step) -> None:
            self.workspace.step("training", number, len(self.plans), step.preview)

        self.workspace.step("training", number, len(self.plans))
        child = self.workspace.child(plan.folder, report)
        child.save_text("recipe.yaml", to_yaml(plan.recipe))
        drawings = self.recipe.drawings(plan.candidate)
        curve = child.path(curves.FILE)
        looked_at = (
            [row for row in curves.read(curve, lambda _: ("step",)) if BALANCE in row] if curve.is_file() else []
        )
        if not all(self.has(plan, int(row["step"]), name) for row in looked_at for name in drawings.values()):
            shutil.rmtree(
                child.path("training"), ignore_errors=True
            )  # a cell was taken away: trained anew, it comes back
            curve.unlink()
        row: Row = {"key": plan.key, "training": plan.candidate.label, "photo": plan.subject.name, "seed": plan.seed}
        peak, cells, seconds = Peak(self.workspace.device), [], 0.0
        clock_of_last = time.monotonic()

        def seen(
            observer: Observer, step: int, drawing: Drawing, made: list[list[Image.Image]], values: likeness.Values
        ) -> None:
            nonlocal clock_of_last
            cells.append([step, drawings[drawing]])
            self._keep(plan, observer, (step, drawing, drawings[drawing]), made, values)
            if drawing is not list(drawings)[-1]:
                return
            if step:
                self.paces.append(time.monotonic() - clock_of_last)
            clock_of_last = time.monotonic()
            self._ask(plan, observer.training, number)

        try:
            with failing_alone(row, child.folder):
                family = personalize.judge_of(plan.recipe)
                if family not in self.judges:
                    self.judges[family] = LikenessJudges.load(family, child)
                watch = Watch(self.judges[family], self.caches, tuple(drawings), seen, SAVE_SECONDS)
                with personalize.taught(plan.recipe, child, watch) as found:
                    seconds = found.observer.seconds
                    row["notes"] = found.notes
                    steps = [int(one["step"]) for one in found.observer.evaluated]
                    row["cells"] = [[step, name] for step in steps for name in drawings.values()]
                    if found.problem is not None:
                        at = f"; it was measured up to step {steps[-1]}" if steps else ""
                        row["failed"] = printable(f"{found.problem}{at}: lower the learning rate")
        except Cancelled:
            if self.asks:
                raise Unconfirmed(
                    f"{self.asks}: add --yes (yes: true in the recipe) to run them",
                    f"{self.asks}: run them?",
                    self.workspace.folder,
                ) from None
            raise
        return {"notes": [], "cells": cells} | row | {"seconds": round(seconds, 3), "memory": peak.bytes}

    def _keep(
        self,
        plan: Planned,
        observer: Observer,
        at: tuple[int, Drawing, str],
        made: Sequence[Sequence[Image.Image]],
        values: likeness.Values,
    ) -> None:
        """Write the pictures of a cell and the weights of its checkpoint, and tell the journal."""
        step, drawing, name = at
        key = plan.cell_key(step, name)
        if self.has(plan, step, name):
            return
        training = observer.training
        weights = self.workspace.path(weights_of(plan, step))
        if step and not weights.is_file():
            learned = training.trainer.learned()
            self._check_room(plan, training, sum(tensor.nbytes for tensor in learned.values()), weights.parent)
            checkpoints.write(weights, learned, Position(step, belongs_to={"model": training.base}))
        number = list(self.recipe.drawings(plan.candidate)).index(drawing)
        place = f"{plan.folder.replace(FOLDER, CELLS, 1)}/{step:06d}-{number}"
        files = []
        for at_prompt, pictures in enumerate(made):
            for turn, picture in enumerate(pictures):
                files.append(f"{place}/{at_prompt:02d}-{turn:02d}.png")
                self.workspace.path(place).mkdir(parents=True, exist_ok=True)
                self.workspace.save_picture(files[-1], picture, plan.recipe)
        row: Row = {"key": key, "training": plan.candidate.label, "photo": plan.subject.name, "seed": plan.seed}
        row |= {"step": step, "drawing": name, "pictures": files, "values": values}
        row |= {"prompts": [one.name for one in training.evaluation], "seconds": round(observer.seconds, 3)}
        row["judges"] = {score: observer.judges.name_of(score) for score in values}
        self.done.append([row])

    def _check_room(self, plan: Planned, training: setup.Training, size: int, folder: Path) -> None:
        """Raise NoRoom, before a training's first checkpoint is written, where the disk cannot hold all of a like size:
        those of this training, and of those to come.
        """
        if folder.exists():
            return
        count = _looks(plan, training) * (len(self.plans) - self.plans.index(plan))
        free = shutil.disk_usage(self.workspace.folder).free
        if count * size + ROOM_WANTED > free:
            raise NoRoom(
                f"the {count} checkpoints that are to come take about {count * size / 1e9:.3g} GB, and "
                f"{free / 1e9:.3g} GB are free in {self.workspace.folder}: free room, set evaluate_every higher, try "
                "fewer settings, or choose another --out"
            )

    def _ask(self, plan: Planned, training: setup.Training, number: int) -> None:
        """Raise Cancelled where the cells that are left are many, once it is known how long one takes."""
        count = _looks(plan, training) + 1
        if self.recipe.yes or not self.paces:
            return
        left = count * (len(self.plans) - number) - 2
        cells = left * len(self.recipe.drawings(plan.candidate))
        if cells > MOST_UNASKED and len(self.paces) == 1:
            pace = self.paces[0]
            self.asks = f"{cells} cells are left, about {clock(left * pace)} at {pace:.1f} s each checkpoint"
            raise Cancelled("so many cells are asked for first")


MOST_UNASKED = 500
"""Cells that are run without a yes."""


def _looks(plan: Planned, training: setup.Training) -> int:
    """Checkpoints of a training, beside its beginning."""
    return math.ceil(training.plan.steps / finetune.every(training.plan, plan.recipe.evaluate_every))


def weights_of(plan: Planned, step: int) -> str:
    """The file of a checkpoint's weights, within the folder of the comparison."""
    return f"{plan.folder}/{STEPS}/{step:06d}.safetensors"


def is_row(row: Row) -> bool:
    """Whether a row of the journal says what a sweep writes."""
    texts = all(isinstance(row[name], str) for name in ("training", "photo"))
    if not texts or not isinstance(row["seed"], int) or not isinstance(row["seconds"], float):
        return False
    if "step" not in row:
        pairs = all(isinstance(step, int) and isinstance(name, str) for step, name in row["cells"])
        notes = all(isinstance(note, str) for note in row["notes"])
        return pairs and notes and isinstance(row["memory"], int) and isinstance(row.get("failed", ""), str)
    if not isinstance(row["step"], int) or not isinstance(row["drawing"], str):
        return False
    numbers = [number for groups in row["values"].values() for group in groups for number in group]
    names = [*row["prompts"], *row["pictures"], *row["judges"].values()]
    return all(isinstance(one, float) for one in numbers) and all(isinstance(one, str) for one in names)


def run(recipe: Compare, workspace: Workspace) -> Sweep:
    """Run a sweep, going on where an earlier run stopped. Raises EaselError, Unconfirmed and Cancelled."""
    if Team.joined().size > 1:
        raise EaselError("a sweep runs in one process: start it without accelerate launch")
    plans = planned(recipe)
    for photo in {one.photo for one in recipe.drawings(None) if one.photo is not None}:
        if not Path(photo).is_file():
            raise EaselError(f"generate: there is no photo {photo}")
    sweep = Sweep(recipe, workspace, Journal(workspace.place_for(NAME), is_row), plans)
    sweep.run()
    return sweep


def recommended(sweep: Sweep, plan: Planned, step: int) -> list[str]:
    """Write the weights of a checkpoint as other tools take them, in the folder `recommended`; the files' names."""
    from easel.jobs.personalize.export import write_weights

    workspace = sweep.workspace.child("recommended")
    training = setup.set_up(plan.recipe, workspace, Team.joined(), sweep.caches)
    files = write_weights(training, workspace, sweep.workspace.path(weights_of(plan, step)))
    workspace.save_text("recipe.yaml", to_yaml(plan.recipe))
    return [f"recommended/{name}" for name in (*files, "recipe.yaml")]


Values = Mapping[str, Sequence[Sequence[float]]]


def cells_of(sweep: Sweep) -> list[Row]:
    """The cells that there are, in order: candidate, subject, seed, step, way to draw."""
    found: list[dict[str, Any]] = []
    for plan in sweep.plans:
        row = sweep.done.rows.get(plan.key, {"cells": []})
        for step, name in sorted(row["cells"], key=lambda one: one[0]):
            cell = sweep.done.rows.get(plan.cell_key(step, name))
            if cell is not None:
                found.append(cell)
    return found
