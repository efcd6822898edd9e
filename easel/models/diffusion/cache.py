"""What need not be worked out twice for a model: embeddings of prompts, and latents of photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

MOST = 64
"""Prompts, and photos, that are kept."""

Key = TypeVar("Key")


@dataclass
class Cache:
    """Embeddings by prompt and number of chunks, latents by a photo's size and hash. Bounded."""

    prompts: dict[tuple[str, int], Any] = field(default_factory=dict)
    photos: dict[tuple[tuple[int, int], bytes], Any] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget everything: the text encoder has changed."""
        self.prompts.clear()
        self.photos.clear()


def cached(kept: dict[Key, Any], key: Key, make: Callable[[], Any]) -> Any:
    """The value of `key`, made when it is not there; the oldest is dropped once there are MOST."""
    if key not in kept:
        while len(kept) >= MOST:
            del kept[next(iter(kept))]
        kept[key] = make()
    return kept[key]
