"""Recipe: ask a question about a photo."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from easel.recipes.base import Recipe
from easel.recipes.knobs import Few, ModelName, PictureName, Plays, Prompt


class Ask(Recipe):
    """Ask a question about a photo; the answers come with their probabilities."""

    answers_in_words: ClassVar = True
    positional: ClassVar = ("photo", "question")
    shared_by: ClassVar = "photo"

    kind: Literal["ask"] = "ask"
    """The kind of job."""
    photo: PictureName
    """The photo."""
    question: Prompt
    """The question, such as "is this in the style of Van Gogh?"."""
    count: Few = 1
    """Answers to show, the most probable first."""
    model: Annotated[ModelName, Plays("ask")] = "pocket"
    """Model that answers: a name of `easel models`, a hub id or a folder."""
