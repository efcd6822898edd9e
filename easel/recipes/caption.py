"""Recipe: say what is in photos."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from easel.recipes.base import Recipe
from easel.recipes.knobs import BatchSize, Count, FileName, ModelName


class Caption(Recipe):
    """Caption photos or whole folders; rank tags; interrogate for artist, medium, light and mood."""

    kind: Literal["caption"] = "caption"
    """The kind of job."""
    photos: Annotated[tuple[FileName, ...], Field(min_length=1)]
    """Photos, or folders of photos."""
    count: Count = 1
    """Captions for each photo; more than one are sampled."""
    tags: FileName | None = None
    """A file of tags, one a line, or 'builtin': the ones that fit are ranked with their probabilities."""
    interrogate: bool = False
    """Caption plus the best tags of each group (medium, artist, light, mood), as a prompt."""
    judge: ModelName = "pocket"
    """The CLIP that ranks the tags."""
    batch_size: BatchSize = 8
    """Photos that go through the model together."""
