"""The training loop: of `easel train`, of pocket's parts, and of whatever else learns step by step."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from easel.errors import Cancelled, EaselError
from easel.training.distributed import Team
from easel.training.state import Position
from easel.training.trainer import Trainer


class Collapsed(Exception):
    """All pictures have come to look the same: an evaluation raises it to end a training."""


class Finished(Exception):
    """More steps would bring nothing: an evaluation raises it to end a training before its budget is spent."""


@dataclass(frozen=True)
class Budget:
    """How long a training lasts, all its runs together: so many ``steps``, or so many ``seconds``. Seconds pay for
    steps and checkpoints; evaluations are not counted.
    """

    steps: int | None = None
    seconds: float | None = None
    evaluate_every: int = 0
    """Steps from one evaluation to the next; 0 evaluates at the end alone. Where seconds are the budget, one that comes
    while more time has gone into evaluations than into the training is left out.
    """
    save_seconds: float = 120.0
    """Seconds from one checkpoint to the next."""

    def is_spent(self, step: int, seconds: float) -> bool:
        """Whether a training of so many steps and seconds is over."""
        return step >= self.steps if self.steps is not None else seconds >= (self.seconds or 0.0)


class Observer(Protocol):
    """What a training is shown to."""

    def resume(self, position: Position) -> None:
        """Go on from here: forget what was noted of later steps."""

    def evaluate(self, step: int, seconds: float) -> None:
        """Measure what has been learned in ``step`` steps, unless that has been done. May raise `Collapsed` or
        `Finished`, the latter again when it is asked again.
        """

    def note(self, step: int, numbers: Mapping[str, Tensor]) -> None:
        """Take in the losses of a step."""

    def report(self, step: int, seconds: float) -> None:
        """Tell of progress after ``step`` steps. May raise `Cancelled`."""

    def flush(self) -> dict[str, list[float]]:
        """Write what was noted; the losses of the last steps that are not yet in a curve."""


def resume(trainer: Trainer, observer: Observer, checkpoint: Path, belongs_to: Mapping[str, str]) -> Position:
    """Where to begin: at the first step, or where ``checkpoint`` was written, all being as it was then.

    Raises EaselError on a checkpoint that is damaged or of another network.
    """
    if not checkpoint.exists():
        return Position(belongs_to=dict(belongs_to))
    position = trainer.restore(checkpoint)
    observer.resume(position)
    return position


def train(trainer: Trainer, observer: Observer, checkpoint: Path, budget: Budget, position: Position) -> None:
    """Train from ``position`` (of `resume`) until the budget is spent; the checkpoint is then that of the end.

    In a team this is the first process's part; the others `follow`. What ends a training early leaves the last
    checkpoint as it is, but for `Cancelled`, which writes one more.

    Raises:
        FloatingPointError: a loss is no longer a number.
        Collapsed, Cancelled, EaselError: what the observer raises.
    """
    step, seconds, team = position.step, position.seconds, trainer.team
    begun = saved = time.monotonic()
    measuring = 0.0  # of this run

    def save() -> None:
        now = Position(step, seconds, losses=observer.flush(), belongs_to=position.belongs_to)
        trainer.save(checkpoint, now)

    with _leading(team):
        try:
            while True:
                # Budget
                trained_now = time.monotonic() - begun - measuring
                seconds = position.seconds + trained_now
                is_over = budget.is_spent(step, seconds)

                # Evaluate
                is_due = bool(budget.evaluate_every) and step % budget.evaluate_every == 0
                if is_due and step > position.step and budget.seconds is not None:
                    is_due = measuring <= trained_now
                if is_over or is_due:
                    before = time.monotonic()
                    observer.evaluate(step, seconds)
                    measuring += time.monotonic() - before
                if is_over:
                    break

                # Step, in all processes
                team.broadcast(True)
                observer.note(step, trainer.step(step))
                step += 1

                # Progress
                observer.report(step, seconds)

                # Checkpoint
                if time.monotonic() - saved > budget.save_seconds:
                    save()
                    saved = time.monotonic()
        except Finished:
            pass
        except Cancelled:
            save()
            raise

        # End
        save()


def follow(trainer: Trainer, step: int) -> None:
    """Train along, from ``step``, until the first process says that it is over."""
    while trainer.team.broadcast():
        with suppress(FloatingPointError):  # the first process meets it too, and ends the training
            trainer.step(step)
        step += 1


@contextmanager
def _leading(team: Team) -> Iterator[None]:
    """At the end, and where it is one that all processes come to know of, tell the others that it is over."""
    try:
        yield
    except (EaselError, FloatingPointError, Collapsed):
        team.broadcast(False)
        raise
    team.broadcast(False)
