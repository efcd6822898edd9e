"""What a training carries from step to step beside its tensors."""

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True)
class State:
    """Numbers that losses hand on to later steps. A loss returns new values (`trainer.Measured.updates`), and the
    trainer takes them over before it goes on.
    """

    augmentation: float = 0.0
    """p: probability of each change of a picture before the critic sees it, 0 to 1 (Karras 2020, ADA)."""
    overfitting: float = 0.0
    """r_t, -1 to 1, about a mean of the last four batches (Karras 2020, ADA, equation 1)."""
    path_length: float = 0.0
    """The moving mean of path lengths (Karras 2020, section 3.2)."""
    classifier_weight: float = 1.0
    """Weight of the classifier's loss in the generator's (Lee, Seok 2017, equation 4), 0 or more."""
    classifier_loss: float = 0.0
    """The classifier's loss on the last real pictures."""


@dataclass(frozen=True)
class Position:
    """Where a training stands after ``step`` steps."""

    step: Annotated[int, Field(ge=0)] = 0
    seconds: Annotated[float, Field(ge=0)] = 0.0
    """Spent so far, over all its runs."""
    state: State = field(default_factory=State)
    losses: dict[str, list[float]] = field(default_factory=dict)
    """Losses of the last steps that no row of the curves tells of yet."""
    belongs_to: dict[str, str] = field(default_factory=dict)
    """What it cannot go on without, by name: the hash of its data, the fingerprint of its judge."""
