"""easel: targeted pictures, of your subject and in your style, with numbers that say how well each one hit.

Every kind of job is a function, with its recipe's settings as arguments, and a class, the recipe itself:

>>> import easel
>>> result = easel.stylize("photo.jpg", styles=["van-gogh", "banksy"])  # doctest: +SKIP
>>> result.images[0].show()  # doctest: +SKIP
>>> result = easel.run(easel.Stylize(photo="photo.jpg", seed=1), out="out/mine")  # doctest: +SKIP

What there is, with types, is in `__init__.pyi`, which is written from the recipes.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easel.errors import Cancelled, EaselError
from easel.kinds import KINDS
from easel.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from easel.result import Result

__all__ = ["Cancelled", "EaselError", "Recipe", "Result", "__version__", "run"]


def run(recipe: Any, **settings: Any) -> Result:
    """Run a recipe: an object, plain values, or the path of a YAML file.

    `settings`: out (the folder of the run), device and dtype ("auto" or a name), progress (a function that is given
    each Step, and may raise Cancelled), and on, workers and shards, which share it out among machines. Raises
    EaselError with one line of advice.
    """
    from easel import runners
    from easel.recipes import Recipe, read_yaml, recipe_from

    if isinstance(recipe, str | Path):
        recipe = read_yaml(recipe)
    elif not isinstance(recipe, Recipe):
        recipe = recipe_from(recipe)
    if "progress" in settings:
        settings["report"] = settings.pop("progress")
    return runners.run(recipe, **settings)


def __getattr__(name: str) -> Any:
    """The function and the recipe of every kind, made when they are asked for; likewise Recipe and Result."""
    if (word := name.replace("_", "-")) in KINDS:
        return _function(word)
    for kind in KINDS.values():
        if kind.class_name == name:
            return kind.recipe
    if name == "Recipe":
        from easel.recipes import Recipe

        return Recipe
    if name == "Result":
        from easel.result import Result

        return Result
    raise AttributeError(f"module 'easel' has no attribute '{name}'")


def __dir__() -> list[str]:
    kinds = [name for word, kind in KINDS.items() for name in (word.replace("-", "_"), kind.class_name)]
    return sorted({*globals(), *__all__, *kinds})


@cache
def _function(word: str) -> Callable[..., Result]:
    """`easel.stylize(photo, styles=..., out=...)`: builds the recipe of a kind and runs it."""
    from easel.recipes.describe import RUN_SETTINGS, python_signature
    from easel.recipes.read import recipe_given

    kind = KINDS[word].recipe
    signature = python_signature(kind)

    def make(*args: Any, **settings: Any) -> Result:
        if len(args) > len(kind.positional):
            raise TypeError(f"{make.__name__}() takes {len(kind.positional)} positional arguments, not {len(args)}")
        given = dict(zip(kind.positional, args, strict=False)) | settings
        mine = {name: given.pop(name) for name in RUN_SETTINGS if name in given}
        for name in kind.positional:
            if isinstance(given.get(name), str | Path) and name in kind.list_settings():
                given[name] = [given[name]]
        return run(recipe_given(word, given), **mine)

    make.__name__ = make.__qualname__ = word.replace("-", "_")
    make.__doc__ = f"{kind.__doc__}\n\nThe settings are those of `easel.{kind.__name__}`, and `run`'s."
    make.__signature__ = signature  # type: ignore[attr-defined]
    return make
