"""A subject taught to a model from a few photos: check, look over, learn and evaluate, write what other tools read.

The folder of the run is what `--lora`, `--model` or `--embedding` takes. In training/ lies what is needed to go on
after a kill.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from PIL import Image

from easel.errors import EaselError
from easel.jobs import workers
from easel.jobs.generate.diffusion import refuse_no_model
from easel.jobs.inputs import skipped_notes, thumbnail
from easel.jobs.judges import family_for
from easel.jobs.likeness import COPIES, LikenessJudges
from easel.jobs.personalize import photos as photo_files
from easel.jobs.personalize import setup, words
from easel.jobs.personalize.export import write_pages
from easel.jobs.personalize.observer import PATIENCE, Observer, Watch
from easel.recipes.personalize import Personalize
from easel.result import Result
from easel.sheet import MOST_CELLS, Cell, sheet
from easel.training import finetune, loop
from easel.training.distributed import Team
from easel.training.trainer import Trainer
from easel.workspace import Workspace

SAVE_SECONDS = 120.0
"""Between checkpoints."""
OFTEN = 400
"""So many times seen, a photo is learned by heart."""


@dataclass(frozen=True, eq=False)
class Taught:
    """A training that has ended: by itself, or by a loss that is no longer a number (``problem``)."""

    training: setup.Training
    observer: Observer
    notes: list[str]
    problem: FloatingPointError | None = None


def run(recipe: Personalize, workspace: Workspace) -> Result:
    """Teach a subject, going on where an earlier run in this folder stopped. Raises EaselError and Cancelled.

    In a team this is the first process's part, and `follower` that of the others.

    A loss that is no longer a number ends it with an EaselError; the best weights so far are then in the folder.
    """
    with taught(recipe, workspace) as found:
        training, observer, notes = found.training, found.observer, found.notes
        if found.problem is not None:
            raise EaselError(stopped(found.problem, training, observer, workspace)) from found.problem
        if recipe.stop_early and observer.waited >= PATIENCE:
            notes.append(f"stopped early: {observer.waited} evaluations in a row were no better than the best")
        if observer.best is not None and observer.best[0] == 0:
            notes.append("the best of the measured checkpoints is the untrained one: nothing was learned")
        return write_pages(training, observer, workspace, [*notes, observer.judges.fitness.note])


@contextmanager
def taught(recipe: Personalize, workspace: Workspace, watch: Watch | None = None) -> Iterator[Taught]:
    """Train, and give the training where it has ended; a sweep looks on.

    Raises EaselError and Cancelled.
    """
    # Refuse, load the judges, read the photos, make the trainer
    team, checkpoint = Team.joined(), workspace.path(setup.CHECKPOINT)
    refuse_no_model(recipe.model)
    finetune.check_optimizer(recipe.optimizer)
    watch = watch or Watch()
    judges = watch.judges or LikenessJudges.load(judge_of(recipe), workspace)
    training = setup.set_up(recipe, workspace, team, watch.caches)
    plan = training.plan

    # What a person should know before the first step
    notes = words.reading(training.model.pipeline, training.token or recipe.identifier)
    notes += skipped_notes(training.broken, len(training.photos) + len(training.broken))
    notes += photo_files.remarks(training.photos, recipe, training.side, judges, workspace)
    notes += how(training)
    workspace.save_picture("photos.png", photo_sheet(training))

    with closing(Observer(training, judges, workspace, watch)) as observer:
        # Resume: what is refused here must find the folder as it was
        belongs_to = {"photos": observer.photos_hash, "model": training.base, "judge": judges.family}
        position = loop.resume(training.trainer, observer, checkpoint, belongs_to)
        refuse_changed(position.belongs_to, belongs_to, recipe, workspace)
        notes += observer.notes

        # Train
        workers.start(team, workers.Task(recipe, workspace.folder))
        every = finetune.every(plan, recipe.evaluate_every)
        budget = loop.Budget(steps=plan.steps, evaluate_every=every, save_seconds=watch.save_seconds or SAVE_SECONDS)
        problem = None
        try:
            loop.train(training.trainer, observer, checkpoint, budget, position)
        except FloatingPointError as broken:
            problem = broken
        yield Taught(training, observer, notes, problem)


def follower(recipe: Personalize, workspace: Workspace) -> tuple[Trainer, int]:
    """The trainer of another process of a team, and the step from which it trains along. Raises EaselError."""
    training = setup.set_up(recipe, workspace, Team.joined())
    checkpoint = workspace.path(setup.CHECKPOINT)
    return training.trainer, training.trainer.restore(checkpoint).step if checkpoint.exists() else 0


def judge_of(recipe: Personalize) -> str:
    """The family that scores the pictures. Raises EaselError where there is none."""
    found = recipe.judge or family_for(recipe.model, ("subject", "clip", "perceptual"))
    if found is None:
        raise EaselError(
            "no judges at hand that know this model's pictures, so the best checkpoint could not be told: `easel "
            "models pull base` fetches some for --judge base (--judge pocket knows pocket's own world alone)"
        )
    return found


def how(training: setup.Training) -> list[str]:
    """What is learned, and what it is measured by, in sentences."""
    plan, found = training.plan, []
    if not training.held_back:
        found.append(
            "no photo was held back, so likeness is to the photos that were learned, and learning by heart looks good"
        )
    times = finetune.epochs(plan, len(training.learned))
    if times > OFTEN:
        found.append(f"each photo is seen {times:,.0f} times: watch {COPIES}, or take fewer --steps")
    return found


def photo_sheet(training: setup.Training) -> Image.Image:
    """The photos as the model sees them, with their words."""
    held = {photo.name for photo in training.held_back}
    cells = []
    for photo in training.photos[:MOST_CELLS]:
        picture, mask = photo.picture(), photo.mask_picture()
        if mask is not None:  # what is not learned is pale
            pale = picture.point([200 + level // 5 for level in range(256)] * 3)
            picture = Image.composite(picture, pale, mask)
        lines = [photo.caption, f"{photo.size[0]} x {photo.size[1]} px, learned at {photo.shown[0]} x {photo.shown[1]}"]
        lines += ["held back: not learned"] if photo.name in held else []
        cells.append(Cell(thumbnail(picture), photo.name, tuple(lines)))
    count = len(training.photos)
    which = "" if count <= MOST_CELLS else f" of the first {MOST_CELLS} of {count:,} photos"
    return sheet(cells, heading=f"{training.subject}: what the model sees{which}")


def refuse_changed(then: dict[str, str], now: dict[str, str], recipe: Personalize, workspace: Workspace) -> None:
    """Raise EaselError, naming what differs, where a folder's checkpoint belongs to other photos, weights or judges."""
    words_for = {
        "photos": f"the photos in {recipe.photos}, their captions or masks have changed",
        "model": f"the weights of {recipe.model} have changed",
        "judge": "another family judged, and the best checkpoint could not be told",
    }
    for name, what in words_for.items():
        if then.get(name) != now[name]:
            was, is_now = str(then.get(name))[:12], now[name][:12]
            raise EaselError(
                f"{workspace.folder} cannot go on: {what} ({name} {was}, now {is_now}): put them back, or choose "
                "another --out"
            )


def stopped(problem: Exception, training: setup.Training, observer: Observer, workspace: Workspace) -> str:
    """Write what there is, and say in one line why it ended and what is kept."""
    advice = f"lower --learning-rate (it was {training.plan.learning_rate:g}), in another --out"
    if observer.best is None:
        return f"{problem}: nothing can be kept; {advice}"
    observer.flush()
    write_pages(training, observer, workspace, [f"stopped early: {problem}"])
    step, _ = observer.best
    kept = "the untrained model is all that is kept" if step == 0 else f"the weights after {step} steps are kept"
    return f"{problem}: {kept} in {workspace.folder}; {advice}"
