"""The kinds of job as commands, each made of its recipe when it is called: `easel.cli.commands:score_sets`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from easel import runners
from easel.cli import flags, progress, show
from easel.errors import Unconfirmed
from easel.recipes import KINDS, Recipe, read_yaml
from easel.recipes.read import recipe_given

Asked = tuple[Recipe, Mapping[str, Any]]
"""A recipe, and the flags that belong to its run."""


def __getattr__(name: str) -> Callable[..., None]:
    """The command of a kind, by its name with underscores."""
    word = name.replace("_", "-")
    if word not in KINDS:
        raise AttributeError(name)
    return command(word)


def command(word: str) -> Callable[..., None]:
    """The command of a kind: build the recipe from a --recipe file and what was given, run it, show the result."""
    kind = KINDS[word].recipe
    signature = flags.signature_of(kind)

    def asked(*args: Any, **kwargs: Any) -> Asked:
        given, common = flags.taken_apart(kind, signature, args, kwargs)
        return recipe_given(word, given, common["recipe"]), common

    return flags.dressed(running(asked), signature, word, inspect.getdoc(kind) or "")


def running(asked: Callable[..., Asked]) -> Callable[..., None]:
    """A command that runs what `asked` makes of its words, and shows the result. Where the run waits for a yes, a
    person at a terminal is asked.
    """

    def run(*args: Any, **kwargs: Any) -> None:
        recipe, common = asked(*args, **kwargs)
        device, dtype, quiet = common["device"], common["dtype"], common["quiet"]
        where = {name: common[name] for name in ("on", "workers", "shards") if common[name] is not None}
        try:
            with progress.watching(quiet=quiet) as report:
                result = runners.run(recipe, common["out"], device, dtype, report, **where)
        except Unconfirmed as problem:
            if not progress.asked(problem.question):
                raise
            with progress.watching(quiet=quiet) as report:
                result = runners.run(
                    recipe.model_copy(update={"yes": True}), problem.folder, device, dtype, report, **where
                )
        show.result(result, as_json=common["json"], quiet=quiet)

    return run


def _in_file(file: Path, **common: Any) -> Asked:
    asked = {name: common.pop(name, None) for name in ("seed", "count")}
    recipe = read_yaml(file, {name: value for name, value in asked.items() if value is not None})
    return recipe, {name: default for name, (_, default, _) in flags.COMMON.items()} | common


def _run_signature() -> inspect.Signature:
    """FILE, the seed that every recipe has, the count that most have, and the common flags."""
    place = inspect.Parameter(
        "file", inspect.Parameter.POSITIONAL_ONLY, annotation=Annotated[Path, Parameter(help="The YAML recipe.")]
    )
    count = inspect.Parameter(
        "count",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            int | None,
            Parameter(help="How many to make, instead of the recipe's count.", converter=flags.whole_number),
        ],
    )
    return inspect.Signature(
        [place, *flags.recipe_parameters(Recipe), count, *flags.common_parameters(without=("recipe",))]
    )


run = flags.dressed(running(_in_file), _run_signature(), "run", "Run a YAML recipe of any kind.")
