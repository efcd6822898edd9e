"""What the subject is called: how its identifier is read, its prompts, and those by which it is judged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easel.errors import EaselError
from easel.files import read_text
from easel.jobs.generate.prompts import Prompt
from easel.jobs.inputs import read_rows
from easel.jobs.personalize.photos import PEOPLE
from easel.models.diffusion import prompts
from easel.models.diffusion.inversion import checked_word, is_common
from easel.recipes.personalize import HOLE, Personalize

EVALUATION = (
    ("beach", "a {subject} on the beach"),
    ("moon", "a {subject} on the moon"),
    ("acropolis", "a {subject} at the acropolis"),
    ("forest", "a {subject} in a forest"),
)
"""What is drawn at every evaluation where no prompts are given."""
LIVE = frozenset({"dog", "cat", "bird", "horse", "rabbit", "animal", "puppy", "kitten"})
"""Class nouns that have the prompts for live subjects in the DreamBooth paper's file, beside people."""


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
    elif Path(recipe.prompts).suffix.lower() == ".txt":
        rows = papers_prompts(recipe.prompts, recipe.noun)
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


def papers_prompts(path: str, noun: str) -> list[Prompt]:
    """The prompts of a file in the layout of the DreamBooth paper's prompts_and_classes.txt: its list for live subjects
    where the class noun is an animal or a person, else its list for objects. Raises EaselError on another layout.
    """
    text = read_text(path)
    live = bool({*LIVE, *PEOPLE} & set(noun.lower().split()))
    heading = "Live Subject Prompts" if live else "Object Prompts"
    found = re.search(rf"^{heading}\s*$(.*?)(?=^[A-Z][\w ]*Prompts\s*$|\Z)", text, re.M | re.S)
    said = [match[2] for match in re.finditer(r"^\s*(['\"])(.*)\1\s*\.format\(", found[1] if found else "", re.M)]
    if not said:
        raise EaselError(
            f"{path}: there is no list under '{heading}', as the DreamBooth paper's prompts_and_classes.txt has it; a "
            "set of your own is a YAML file with name and prompt"
        )
    texts = [re.sub(r"\{0\}\s*\{1\}", HOLE, prompt) for prompt in said]
    return [Prompt(name=text.replace(HOLE, "it"), prompt=text) for text in texts]


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
    if is_common(tokenizer, identifier):
        said.append(
            f"identifier '{identifier}' is a common word: the model knows something by it already, which must be "
            "unlearned first; one that means nothing is learned faster"
        )
    return said
