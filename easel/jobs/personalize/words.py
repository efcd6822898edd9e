"""What the subject is called: how its identifier is read, its prompts, and those by which it is judged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from easel.errors import EaselError
from easel.jobs.generate.prompts import Prompt
from easel.jobs.inputs import read_rows
from easel.models.diffusion import prompts
from easel.models.diffusion.inversion import checked_word
from easel.recipes.personalize import HOLE, Personalize

EVALUATION = (
    ("beach", "a {subject} on the beach"),
    ("moon", "a {subject} on the moon"),
    ("acropolis", "a {subject} at the acropolis"),
    ("forest", "a {subject} in a forest"),
)
"""What is drawn at every evaluation where no prompts are given."""
RARE = 0.9
"""Words beyond this share of a tokenizer's vocabulary, which is in order of frequency, are rare."""


@dataclass(frozen=True)
class EvaluationPrompt:
    """A prompt to draw, and the same as the judge of words reads it: with the class noun for the subject."""

    name: str
    template: str
    """With {subject} in it."""
    prompt: str
    judged: str
    negative_prompt: str = ""


def word_of(identifier: str) -> str:
    """The identifier as a token of its own: '<sks>'. Raises EaselError on one that cannot stand in a prompt."""
    plain = re.sub(r"\s+", "-", identifier.strip("<>"))
    return checked_word(f"<{plain}>")


def subject_words(recipe: Personalize, *, is_token: bool) -> str:
    """What the subject is called in prompts: 'sks dog', '<sks> dog' with a token of its own, and '<sks>' where a new
    word is all that is learned.
    """
    if recipe.method == "textual-inversion":
        return word_of(recipe.identifier)
    return f"{word_of(recipe.identifier) if is_token else recipe.identifier} {recipe.noun}"


def evaluation_prompts(recipe: Personalize, subject: str) -> list[EvaluationPrompt]:
    """The prompts of evaluations. Raises EaselError on a set without {subject}."""
    if recipe.prompts is None:
        rows = [Prompt(name=name, prompt=text) for name, text in EVALUATION]
    else:
        rows = read_rows(recipe.prompts, Prompt)
    for row in rows:
        if HOLE not in row.prompt:
            raise EaselError(f"{recipe.prompts}: '{row.name}' has no {HOLE}: write it where the subject's words go")
        prompts.check(row.prompt.replace(HOLE, subject))
    return [
        EvaluationPrompt(
            row.name,
            row.prompt,
            row.prompt.replace(HOLE, subject),
            row.prompt.replace(HOLE, recipe.noun),
            row.negative_prompt or "",
        )
        for row in rows
    ]


def bare(description: str) -> str:
    """A description without its article, to stand where the subject's words do.

    >>> bare("a blue dog with red glasses")
    'blue dog with red glasses'
    """
    return re.sub(r"^\s*(an?|the)\s+", "", description, flags=re.IGNORECASE)


def class_prompt(recipe: Personalize) -> str:
    """What pictures of the class are drawn from."""
    return recipe.template.replace(HOLE, recipe.noun)


def reading(pipeline: Any, identifier: str) -> list[str]:
    """How a tokenizer reads the identifier, and a warning where that is a common word."""
    tokenizer, _ = prompts.encoders(pipeline)[0]
    ids = list(tokenizer(identifier, add_special_tokens=False).input_ids)
    parts = [str(one).removesuffix("</w>") for one in tokenizer.convert_ids_to_tokens(ids)]
    said = [f"identifier '{identifier}': read as {len(parts)} token{'s' if len(parts) > 1 else ''} ({' '.join(parts)})"]
    if len(ids) == 1 and ids[0] < RARE * len(tokenizer):
        said.append(
            f"identifier '{identifier}' is a common word: the model knows something by it already, which must be "
            "unlearned first; one that means nothing is learned faster"
        )
    return said
