"""What a photo shows, as far as somebody knows, and what a painter was not taught: what a drawing can come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PIL import Image

from easel import models
from easel.errors import EaselError
from easel.jobs.doubt import ways
from easel.jobs.inputs import model_label
from easel.jobs.stylize.styles import Style, without_style
from easel.models.captioners import Captioner
from easel.models.knowing import UNKNOWN
from easel.recipes.stylize import Stylize
from easel.recipes.transfer import Transfer
from easel.workspace import Workspace


class Subject(NamedTuple):
    """What a photo shows."""

    caption: str
    doubt: str = ""
    """Why it is only 'a photo': the captioner does not know, and the ways to one who does."""

    @property
    def note(self) -> tuple[str, ...]:
        """What a person should know, if anything."""
        return (f"{self.doubt}; until then the style's words alone are the prompt",) if self.doubt else ()

    def known(self) -> Subject:
        """Itself. Raises EaselError where nobody knows what the photo shows: nothing can be drawn from that alone."""
        if self.doubt:
            raise EaselError(f"describe draws from the caption alone, and {self.doubt}")
        return self


def caption_of(photo: Image.Image, recipe: Stylize | Transfer, workspace: Workspace) -> Subject:
    """What the recipe says that the photo shows, or else its captioner."""
    if recipe.caption:
        return Subject(recipe.caption)
    with workspace.phase("captioning"):
        captioner = models.load(recipe.captioner, "caption", workspace.device)
        return subject_of(photo, captioner, recipe.captioner, 'your own --caption "..."')


def subject_of(photo: Image.Image, captioner: Captioner, name: str, *others: str) -> Subject:
    """What is in the photo, in the words of the captioner called `name`; a style that it sees there is left out.

    A guess would drive the picture to what is not there: where the captioner is out of its depth, it is 'a photo'.
    `others` are ways to a better one beside another captioner.
    """
    reading = captioner.read([photo])[0]
    if not reading.guess:
        return Subject(without_style(reading.captions[0]))
    sure, advice = reading.confidence, ways("--captioner", reading.instead, *others)
    return Subject(
        UNKNOWN, f"{model_label(name)} does not know what this photo shows (confidence {sure:.2f}): {advice}"
    )


def untaught_notes(untaught: Mapping[str, str], styles: Sequence[Style], painter: str) -> list[str]:
    """A note on those of the styles that a model cannot redraw photos in, each with a model that can."""
    lacking = [style for style in styles if style.name in untaught]
    if not lacking:
        return []
    others = " or ".join(dict.fromkeys(f"--model {untaught[style.name]}" for style in lacking))
    names = ", ".join(style.label for style in lacking)
    return [f"{model_label(painter)} was not taught this on photos: {names}; {others} can"]
