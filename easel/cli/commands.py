"""The kinds of job as commands. Each is its recipe on the command line; what they do is the same for all."""

from __future__ import annotations

import contextlib
import inspect
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from easel.cli import flags, progress, show
from easel.errors import EaselError
from easel.recipes import KINDS, Ask, Caption, Data, Generate, Recipe, Score, Stylize, Train, read_yaml
from easel.recipes.knobs import Sampled
from easel.recipes.read import validated
from easel.recipes.transfer import Neural

DRAWING = ("captioner", "method", "strength", "styles", "styles_file", *Sampled.model_fields, *Neural.model_fields)
"""Settings of a score that have a meaning only where it draws."""
CUT = ("resolution", "layout", "split")
"""Settings of a score that have a meaning only where two sets are compared."""
PATHS = ("space", "sampling", "samples", "prompt")
"""Settings of a score that have a meaning only where a model's latents are walked through."""


def make(kind: str, given: dict[str, Any], common: dict[str, Any]) -> None:
    """Build the recipe from a --recipe file and what was given on the command line, run it, show the result."""
    file = common["recipe"]
    recipe = validated(KINDS[kind], given) if file is None else read_yaml(file, given, kind)
    run_and_show(recipe, common)


def run_and_show(recipe: Recipe, common: dict[str, Any]) -> None:
    """Run a recipe here, with progress on stderr and the result on stdout; of several processes the first alone says
    anything.
    """
    from easel.runners import local, machine

    if not machine.is_first():
        with progress.watching(quiet=True) as report, contextlib.suppress(EaselError):
            local.run(recipe, common["out"], common["device"], common["dtype"], report)
        return
    with progress.watching(quiet=common["quiet"]) as report:
        result = local.run(recipe, common["out"], common["device"], common["dtype"], report)
    show.result(result, as_json=common["json"], quiet=common["quiet"])


caption = flags.command(lambda given, common: make("caption", given, common), Caption, ("photos",))
ask = flags.command(lambda given, common: make("ask", given, common), Ask, ("photo", "question"))
generate = flags.command(lambda given, common: make("generate", given, common), Generate, ("prompt",))
stylize = flags.command(lambda given, common: make("stylize", given, common), Stylize, ("photo",))
train = flags.command(lambda given, common: make("train", given, common), Train, ("network", "data"))


score_styles = flags.command(
    lambda given, common: make("score", given | {"what": "styles"}, common),
    Score,
    ("folder",),
    fixed=("what", "made", *CUT, *PATHS),
)
score_prompt = flags.command(
    lambda given, common: make("score", given | {"what": "prompt"}, common),
    Score,
    ("folder",),
    fixed=("what", "made", *CUT, *PATHS, *DRAWING),
)
score_sets = flags.command(
    lambda given, common: make("score", given | {"what": "sets"}, common),
    Score,
    ("folder", "made"),
    fixed=("what", "model", "count", *PATHS, *DRAWING),
)
score_ppl = flags.command(
    lambda given, common: make("score", given | {"what": "ppl"}, common),
    Score,
    (),
    fixed=("what", "folder", "made", "count", *CUT, *DRAWING),
)


def draw_set(given: dict[str, Any], common: dict[str, Any]) -> None:
    """`easel data world DIR`: DIR is where the run writes."""
    folder = given.pop("folder", None)
    if (folder is None) == (common["out"] is None):
        raise EaselError("say once where to draw the set: easel data world DIR")
    make("data", given | {"task": "world"}, common | {"out": common["out"] or Path(folder)})


data_summary = flags.command(
    lambda given, common: make("data", given | {"task": "summary"}, common),
    Data,
    ("folder",),
    fixed=("task", "what", "resolution"),
)
data_world = flags.command(draw_set, Data, ("folder",), fixed=("task", "layout", "split", "model"))


def _run(file: Path, **common: Any) -> None:
    asked = {name: common.pop(name, None) for name in ("seed", "count")}
    changes = {name: value for name, value in asked.items() if value is not None}
    run_and_show(read_yaml(file, changes), {name: default for name, (_, default, _) in flags.COMMON.items()} | common)


def _run_signature() -> inspect.Signature:
    """FILE, the seed and count that every recipe has, and the common flags."""
    place = inspect.Parameter(
        "file", inspect.Parameter.POSITIONAL_ONLY, annotation=Annotated[Path, Parameter(help="The YAML recipe.")]
    )
    of_every_kind = [flag for flag in flags.recipe_parameters(Recipe) if flag.name in {"seed", "count"}]
    return inspect.Signature([place, *of_every_kind, *flags.common_parameters(without=("recipe",))])


run = flags.dressed(_run, _run_signature(), "run", "Run a YAML recipe of any kind.")
