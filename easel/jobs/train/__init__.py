"""A network trained from a folder of pictures: check, read, train and evaluate, write the model's pages.

The folder of the run is the model: `easel generate --model FOLDER` draws with the best weights there have been. In
training/ lies what is needed to go on after a kill.
"""

from __future__ import annotations

import math
from contextlib import closing

from easel import models
from easel.errors import EaselError
from easel.jobs import workers
from easel.jobs.data.words import left_out_notes
from easel.jobs.train import setup
from easel.jobs.train.model_card import config, write_pages
from easel.models import trained
from easel.recipes.train import Train
from easel.result import Result
from easel.training import loop
from easel.training.distributed import Team
from easel.training.evaluation import Evaluator
from easel.training.trainer import Trainer
from easel.workspace import Workspace

SAVE_SECONDS = 30.0
"""Between checkpoints."""
MOST_EVALUATIONS = 50
"""About so many in a training, at most."""
FEW = 5000
"""Below so many pictures a critic learns them by heart (Karras 2020, ADA, figure 1)."""


def run(recipe: Train, workspace: Workspace) -> Result:
    """Train, going on where an earlier run in this folder stopped. Raises EaselError and Cancelled.

    In a team this is the first process's part, and `follower` that of the others.

    A loss that is no longer a number, or pictures that are all the same, end it with an EaselError; the best model so
    far is then in the folder, with its pages.
    """
    # Refuse, load the judge, read the set, make the trainer
    team, checkpoint = Team.joined(), workspace.path(setup.CHECKPOINT)
    pictures, plan = setup.check(recipe, team)
    workspace.step("loading the judge", 0, 1)
    judge = models.load(recipe.judge, "features", workspace.device)
    workspace.step("loading the judge", 1, 1)
    training = setup.set_up(recipe, pictures, plan, workspace, team)

    # How long, and how often to evaluate
    images = 0 if recipe.minutes else round((recipe.kimg or plan.kimg) * 1000)
    every = recipe.score_every or max(plan.score_every, images / MOST_EVALUATIONS / 1000)
    budget = loop.Budget(
        steps=None if recipe.minutes else math.ceil(images / plan.batch_size),
        seconds=recipe.minutes * 60 if recipe.minutes else None,
        evaluate_every=max(1, round(every * 1000 / plan.batch_size)),
        save_seconds=SAVE_SECONDS,
    )
    with closing(Evaluator(training.trainer, training.batches, judge, workspace, recipe, images)) as evaluator:
        # Resume: what is refused here must find the folder's config.json as it was
        belongs_to = {"data": training.data.hash, "judge": judge.fingerprint}
        position = loop.resume(training.trainer, evaluator, checkpoint, belongs_to)
        if position.belongs_to.get("judge") != judge.fingerprint:
            raise EaselError(
                f"{workspace.folder} was measured by other weights of {recipe.judge} than those of now: "
                "their distances cannot be compared, so the best model could not be told; choose another --out"
            )
        trained.write_config(workspace.folder, config(training))

        # Train, and write the pages of what there is
        workers.start(team, workers.Task(recipe, workspace.folder))
        try:
            loop.train(training.trainer, evaluator, checkpoint, budget, position)
        except (FloatingPointError, loop.Collapsed) as problem:
            raise EaselError(stopped(problem, training, evaluator, workspace)) from problem
        return write_pages(training, evaluator, workspace, [*evaluator.notes, *notes(training)])


def follower(recipe: Train, workspace: Workspace) -> tuple[Trainer, int]:
    """The trainer of another process of a team, and the step from which it trains along. Raises EaselError."""
    team = Team.joined()
    training = setup.set_up(recipe, *setup.check(recipe, team), workspace, team)
    checkpoint = workspace.path(setup.CHECKPOINT)
    return training.trainer, training.trainer.restore(checkpoint).step if checkpoint.exists() else 0


def stopped(problem: Exception, training: setup.Training, evaluator: Evaluator, workspace: Workspace) -> str:
    """Write the pages of what there is, and say in one line why it ended and what is kept."""
    best = evaluator.best
    other = "lower --beta" if training.recipe.network == "vae" else "raise --r1-gamma"
    advice = f"lower --learning-rate or {other}, in another --out"
    if best is None:
        return f"{problem}: nothing can be kept; {advice}"
    evaluator.flush()
    write_pages(training, evaluator, workspace, [f"stopped early: {problem}"])
    distance = f"{evaluator.judge.kernel} {best.distance:.4g}"
    kept = f"the model of {best.kimg:.4g} kimg ({distance}) is kept in {workspace.folder}"
    return f"{problem}: {kept}; {advice}"


def notes(training: setup.Training) -> list[str]:
    """What a person should know of the set."""
    recipe, pictures, data = training.recipe, training.pictures, training.data
    found = []
    if data.broken:
        named = "; ".join(list(data.broken.values())[:3])
        found.append(f"{len(data.broken)} of {len(pictures)} pictures were left out: {named}")
    if pictures.missing:
        found.append(f"{pictures.missing} pictures that the set's tables name are not there")
    found += left_out_notes(pictures)
    if len(data) < FEW and recipe.augment == "none" and recipe.network != "vae":
        found.append(f"{len(data):,} pictures are few: a critic learns them by heart; try --augment adaptive")
    if recipe.network == "vae" and recipe.prior == "normal" and not recipe.perceptual:
        found.append("a vae's pictures are soft; --prior flow --perceptual 1 makes them clearer")
    single = training.conditions.small_classes()
    if single:
        named = f"{', '.join(single[:5])}{' ...' if len(single) > 5 else ''}"
        count = len(training.conditions.names)
        found.append(f"{len(single)} of {count} classes have fewer than two pictures: {named}")
    return found
