"""The table of styles: the built-in one, and a person's own file over it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from pydantic import field_validator

from easel.errors import EaselError, unknown
from easel.jobs.inputs import Row, read_rows
from easel.recipes.stylize import Styled
from easel.recipes.transfer import weighted

BUILT_IN = Path(__file__).with_name("styles.yaml")


class Style(Row):
    """One row of the table."""

    title: str = ""
    """What a sheet or a chart says; the name when left out."""
    prompt: str
    """The prompt, with {caption} where the photo's caption goes."""
    instruction: str = ""
    """What a model that edits by instructions is told; made from the prompt when left out."""
    negative_prompt: str = ""
    """What to steer away from."""
    question: str
    """Answered by the judge with yes or no, about the result and about the plain photo."""
    image: str = ""
    """For neural style transfer: a picture in this style; a path from the table's folder."""

    @field_validator("name")
    @classmethod
    def _name_fits_a_file(cls, name: str) -> str:
        if not name.replace("-", "").replace("_", "").isalnum() or len(name) > 60:
            raise ValueError("must be made of letters, digits and dashes, at most 60: it becomes part of file names")
        return name

    @field_validator("prompt")
    @classmethod
    def _prompt_takes_the_caption(cls, prompt: str) -> str:
        if "{caption}" not in prompt:
            raise ValueError("needs {caption}, where the photo's caption goes")
        return prompt

    @field_validator("question")
    @classmethod
    def _question_is_asked(cls, question: str) -> str:
        if not question.strip():
            raise ValueError("is empty: the judge needs a question that yes or no answers")
        return question

    @property
    def label(self) -> str:
        """The title, or the name where there is none."""
        return self.title or self.name

    def prompt_for(self, caption: str) -> str:
        """The prompt with `caption` in its place."""
        return self.prompt.replace("{caption}", _subject(caption))

    def instruction_for(self, caption: str) -> str:
        """What to tell a model that edits by instructions: the row's own words, or those of the prompt as an order.

        What the photo shows is there to be seen, so that it is named only where the prompt begins with something else:
        "draw it as a watercolour", "make it in the style of Monet", "make it an etching of a cat".
        """
        if self.instruction:
            return self.instruction.replace("{caption}", _subject(caption))
        before, _, after = (part.strip(" ,") for part in self.prompt.partition("{caption}"))
        if before or not after:
            return f"make it {self.prompt_for(caption)}"
        return f"{'draw' if after.startswith('as ') else 'make'} it {after}"


def _subject(caption: str) -> str:
    """A caption as it stands inside a sentence."""
    return caption.strip().rstrip(".")


def table(styles_file: str | None = None) -> dict[str, Style]:
    """Every style by name: the built-in ones, with those of `styles_file` added or changed.

    Raises EaselError naming key and line.
    """
    known = {style.name: _placed(style, BUILT_IN) for style in read_rows(BUILT_IN, Style)}
    if styles_file is not None:
        known |= {style.name: _placed(style, Path(styles_file)) for style in read_rows(styles_file, Style, known)}
    return known


def painted() -> dict[str, Style]:
    """Those of the built-in styles that have a painting, which neural style transfer can take them from."""
    return {name: style for name, style in table().items() if style.image}


def _placed(style: Style, file: Path) -> Style:
    """The style with its picture's path from where we stand. One taken over from another table is whole already."""
    return style.model_copy(update={"image": str(file.parent / style.image)}) if style.image else style


def styles_of(recipe: Styled) -> list[Style]:
    """The styles that a recipe asks for: those it names, or the one that its style pictures are.

    The words of the latter, for the judges, are those of the style it names, if that is known; else it is called by the
    one name given, or after the files. Raises EaselError.
    """
    known = table(recipe.styles_file)
    pictures: Sequence[str] = getattr(recipe, "style", ())
    if not pictures or (len(recipe.styles) == 1 and recipe.styles[0] in known):
        return chosen(recipe.styles, recipe.styles_file)
    files = [Path(weighted(text)[0]).stem for text in pictures]
    title = recipe.styles[0] if len(recipe.styles) == 1 else " and ".join(files)
    name = "-".join(re.findall(r"[^\W_]+", title.casefold()))[:60].strip("-") or "picture"
    words = name.replace("-", " ")
    return [
        Style(
            name=name,
            title=words,
            prompt=f"{{caption}} in the style of {words}",
            question=f"is this in the style of {words}?",
        )
    ]


def chosen(names: Sequence[str], styles_file: str | None = None) -> list[Style]:
    """The styles called `names`, in that order.

    Raises EaselError on an unknown name (with the nearest) or a repeated one.
    """
    known = table(styles_file)
    for index, name in enumerate(names):
        if name not in known:
            raise unknown("style", name, known)
        if name in names[:index]:
            raise EaselError(f"the style '{name}' stands twice: use --count for more pictures of it")
    return [known[name] for name in names]


def without_style(caption: str) -> str:
    """The caption without a style that it names: what is to be redrawn in another must not ask for two.

    These are the known styles' own phrases, such as 'as a watercolour', and whatever is 'in the style of' somebody.
    """
    return _style_phrases().sub("", caption).strip() or caption


@cache
def _style_phrases() -> re.Pattern[str]:
    phrases = [style.prompt.replace("{caption}", "").strip(" ,") for style in table().values()]
    manners = [rf",? *\b{re.escape(phrase)}\b" for phrase in phrases if phrase.startswith("as ")]
    return re.compile("|".join([r",? *\bin the style of [^,.]+", *manners]), re.IGNORECASE)
