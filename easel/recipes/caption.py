"""Recipe: say what is in photos."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from easel.recipes.base import Recipe
from easel.recipes.knobs import BatchSize, Few, FileName, ModelName, PicturesName, Plays


class Caption(Recipe):
    """Caption photos or whole folders; rank tags; interrogate for artist, medium, light and mood."""

    answers_in_words: ClassVar = True
    positional: ClassVar = ("photos",)
    resumes: ClassVar = True
    shared_by: ClassVar = "photos"
    together: ClassVar = True

    kind: Literal["caption"] = "caption"
    """The kind of job."""
    photos: Annotated[tuple[PicturesName, ...], Field(min_length=1)]
    """Photos, or folders of photos."""
    count: Few = 1
    """Captions for each photo; more than one are sampled."""
    tags: FileName | None = None
    """File of tags, one a line, or 'builtin': those that fit are ranked with their probabilities."""
    interrogate: bool = False
    """Caption plus the best tags of each group (medium, artist, light, mood), as a prompt."""
    judge: ModelName = "pocket"
    """CLIP that ranks the tags."""
    batch_size: BatchSize = 8
    """Photos that go through the model together; more are faster and take more memory."""
    model: Annotated[ModelName, Plays("caption")] = "pocket"
    """Captioner: a name of `easel models`, a hub id or a folder."""
