"""What files and models are called."""

from __future__ import annotations

import re
from pathlib import Path


def file_name(index: int, total: int, words: str) -> str:
    """'03-red-bird.png': the place among `total`, zeros before it so that files sort, and what it is, at most 40
    letters.
    """
    slug = "-".join(re.findall(r"\w+", words.casefold()))[:40].strip("-_")
    return f"{index + 1:0{max(2, len(str(total)))}d}-{slug or 'picture'}.png"


def joined(*texts: str) -> str:
    """Negative prompts as one, the empty ones left out."""
    return ", ".join(text.strip() for text in texts if text.strip())


def called(model: str) -> str:
    """What a model is called in results: its word or hub id; of a folder or file, only the name, not where it lies."""
    return Path(model).name if Path(model).exists() else model
