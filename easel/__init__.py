"""easel: targeted pictures, of your subject and in your style, with numbers that say how well each one hit.

>>> import easel
>>> result = easel.stylize("photo.jpg", styles=["van-gogh", "banksy"])  # doctest: +SKIP
>>> result.pictures[0].show()  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easel.errors import Cancelled, EaselError
from easel.version import __version__

if TYPE_CHECKING:
    from easel.result import Result

__all__ = [
    "Cancelled",
    "EaselError",
    "__version__",
    "ask",
    "caption",
    "data_summary",
    "data_world",
    "generate",
    "run",
    "score",
    "stylize",
    "train",
]

Place = str | Path


def caption(photos: Place | Sequence[Place], **settings: Any) -> Result:
    """Say what is in a photo, several, or whole folders. `settings`: the fields of the Caption recipe, and `run`'s."""
    several = [photos] if isinstance(photos, str | Path) else list(photos)
    return _made("caption", settings | {"photos": several})


def ask(photo: Place, question: str, **settings: Any) -> Result:
    """Ask a question about a photo. `settings`: the fields of the Ask recipe, and `run`'s."""
    return _made("ask", settings | {"photo": photo, "question": question})


def generate(prompt: str | None = None, **settings: Any) -> Result:
    """Make pictures from words. `settings`: the fields of the Generate recipe, and `run`'s."""
    return _made("generate", settings | {"prompt": prompt})


def stylize(photo: Place, **settings: Any) -> Result:
    """Redraw a photo in several styles. `settings`: the fields of the Stylize recipe, and `run`'s."""
    return _made("stylize", settings | {"photo": photo})


def score(what: str, folder: Place | None = None, **settings: Any) -> Result:
    """Measure over a folder: what is "styles", "prompt", or "sets", which needs `made`, the folder of made pictures;
    or "ppl", which needs no folder but `model`, the folder of a trained model.

    `settings`: the fields of the Score recipe, and `run`'s.
    """
    return _made("score", settings | {"what": what, "folder": folder})


def data_summary(folder: Place, **settings: Any) -> Result:
    """Look at a folder of pictures. `settings`: the fields of the Data recipe, and `run`'s."""
    return _made("data", settings | {"task": "summary", "folder": folder})


def data_world(folder: Place, what: str = "birds", **settings: Any) -> Result:
    """Draw a captioned set into a folder. `settings`: the fields of the Data recipe, and `run`'s."""
    return _made("data", settings | {"task": "world", "what": what, "out": folder})


def train(network: str, data: Place, **settings: Any) -> Result:
    """Train a network from a folder of pictures. `settings`: the fields of the Train recipe, and `run`'s."""
    return _made("train", settings | {"network": network, "data": data})


def run(recipe: Any, **settings: Any) -> Result:
    """Run a recipe: an object, plain values, or the path of a YAML file.

    `settings`: out (the folder of the run), device and dtype ("auto" or a name), progress (a function that is given
    each Step, and may raise Cancelled). Raises EaselError with one line of advice.
    """
    from easel.recipes import Recipe, read_yaml, recipe_from
    from easel.runners import local

    if isinstance(recipe, str | Path):
        recipe = read_yaml(recipe)
    elif not isinstance(recipe, Recipe):
        recipe = recipe_from(recipe)
    if "progress" in settings:
        settings["report"] = settings.pop("progress")
    return local.run(recipe, **settings)


def _made(kind: str, settings: dict[str, Any]) -> Result:
    """Split what belongs to the recipe from what belongs to this one run."""
    mine = {name: settings.pop(name) for name in ("out", "device", "dtype", "progress") if name in settings}
    return run({"kind": kind} | settings, **mine)
