"""Recipes: measure over a folder of photos, over two, or over a model."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from easel.recipes.base import Recipe
from easel.recipes.knobs import (
    DIFFUSION,
    NEURAL,
    Count,
    FileName,
    FolderName,
    Instructed,
    LayoutName,
    ModelName,
    Name,
    Only,
    Prompt,
    Sampled,
    Split,
    Steered,
)
from easel.recipes.stylize import Redrawn, Styled
from easel.recipes.transfer import Optimised


def _several(methods: Any) -> Any:
    """One method is a list of one."""
    return (methods,) if isinstance(methods, str) else methods


def _once(methods: tuple[str, ...]) -> tuple[str, ...]:
    if not methods:
        raise ValueError("is []: give at least 1")
    for place, method in enumerate(methods):
        if method in methods[:place]:
            raise ValueError(f"names {method} twice")
    return methods


Methods = tuple[Literal["redraw", "describe", "instruct", "canny", "neural"], ...]


class ScoreStyles(Sampled, Redrawn, Instructed, Steered, Optimised, Styled, Recipe):
    """Measure how often styles succeed over a folder of photos, less what the judge says about the plain photos; and
    which of several methods wins on which style.
    """

    positional: ClassVar = ("folder",)
    resumes: ClassVar = True
    heavy: ClassVar = True
    hands_out: ClassVar = True

    kind: Literal["score-styles"] = "score-styles"
    """The kind of job."""
    folder: FolderName
    """Folder of photos."""
    method: Annotated[Methods, BeforeValidator(_several), AfterValidator(_once)] = ("redraw",)
    """One or several, compared on the same photos: those of stylize, and neural, which transfers the style of a
    picture.
    """
    count: Count = 1
    """Pictures for each photo and style."""
    model: Annotated[ModelName, Only("family", DIFFUSION)] = "pocket"
    """Model that draws: a name of `easel models`, a hub id, a diffusers folder, or a .safetensors file."""

    instruct_model: Annotated[ModelName | None, Only("method", "instruct")] = None
    """Model that edits by instructions; the model itself when not given."""

    @property
    def family(self) -> tuple[str, ...]:
        """What draws."""
        return tuple(dict.fromkeys(NEURAL if method == "neural" else DIFFUSION for method in self.method))


class ScorePrompt(Recipe):
    """Measure how well the pictures of a folder fit the texts in its metadata.jsonl (CLIP-T)."""

    positional: ClassVar = ("folder",)
    resumes: ClassVar = True
    hands_out: ClassVar = True
    afar: ClassVar = ("folder",)

    kind: Literal["score-prompt"] = "score-prompt"
    """The kind of job."""
    folder: FolderName
    """Folder of pictures with a metadata.jsonl."""
    judge: ModelName = "pocket"
    """CLIP that judges."""


class ScoreSets(Recipe):
    """Measure how near a set of made pictures is to a set of real ones: FID, KID, precision and recall."""

    positional: ClassVar = ("folder", "made")
    resumes: ClassVar = True
    hands_out: ClassVar = True
    afar: ClassVar = ("folder", "made")

    kind: Literal["score-sets"] = "score-sets"
    """The kind of job."""
    folder: FolderName
    """Folder of real pictures, in any layout that training reads."""
    made: FolderName
    """Folder of made pictures."""
    layout: LayoutName | None = None
    """How the real set is laid out; recognised when not given."""
    split: Split | None = None
    """Only this part of the real set, such as test for a model that learned from train."""
    resolution: Annotated[int | None, Field(ge=8, le=1024)] = None
    """Pixels a side to which every picture is cut as a square first, as training does."""
    judge: ModelName = "pocket"
    """Feature network."""


class ScoreLikeness(Recipe):
    """Measure how like a subject made pictures are, how well they fit their prompts, and how varied they are."""

    positional: ClassVar = ()
    resumes: ClassVar = True
    hands_out: ClassVar = True

    kind: Literal["score-likeness"] = "score-likeness"
    """The kind of job."""
    real: FolderName
    """Folder of photos of the subject, best ones that it was not taught from."""
    made: FolderName
    """Folder of made pictures, from any tool."""
    prompts: FileName | None = None
    """File of the prompts that they were made from: one a line, or a YAML set as generate takes it. Pictures belong to
    them in the order of their names, equally many to each; or each prompt has a folder. From captions beside the
    pictures, or what is written inside them, when not given.
    """
    identifier: Name | None = None
    """Word in the prompts that the judge cannot know, such as sks: it is left out before it reads them."""
    photos: FolderName | None = None
    """Folder of the photos that the subject was taught from, to count near-copies of them."""
    class_pictures: FolderName | None = None
    """Folder of pictures that were made of the class alone, for PRES and their diversity."""
    judge: ModelName = "pocket"
    """Family that judges: pocket knows its own world alone; base has the networks of the paper."""


class ScorePpl(Recipe):
    """Measure how evenly a trained model's pictures change along paths through its latents (perceptual path length)."""

    positional: ClassVar = ()
    resumes: ClassVar = True
    hands_out: ClassVar = True

    kind: Literal["score-ppl"] = "score-ppl"
    """The kind of job."""
    model: ModelName
    """Folder of the trained model."""
    space: Literal["z", "w"] = "z"
    """Latent space of the path: z of any network, or w, what StyleGAN's mapping makes of it."""
    sampling: Literal["full", "end"] = "end"
    """Where on the path a step is taken: full is anywhere, end is where it begins."""
    samples: Annotated[int, Field(ge=2, le=1_000_000)] = 1000
    """Paths; more give a narrower interval, papers take 50,000."""
    prompt: Prompt | None = None
    """What the pictures show, where the model draws from words."""
    judge: ModelName = "pocket"
    """Network that says how different two pictures look."""
