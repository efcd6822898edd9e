"""Old recipes replay: each upgrade turns a recipe of an older easel, as plain values, into the next form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from easel.errors import EaselError
from easel.recipes.knobs import MOST_SEED
from easel.version import __version__

Plain = dict[str, Any]
Upgrade = tuple[str, Callable[[Plain], Plain]]

SAMPLED_0_1: Plain = {
    "steps": 20,
    "guidance_scale": None,
    "guidance_every": 1,
    "scheduler": None,
    "lora": [],
    "config": None,
}
OPTIMISED_0_1: Plain = {
    "style_image": [],
    "keep_colours": False,
    "features": "pocket",
    "side": 512,
    "iterations": 60,
    "content_weight": None,
    "style_weight": 1.0,
    "tv_weight": None,
    "content_layers": [],
    "style_layers": [],
    "pooling": "average",
    "optimiser": "adam",
    "start": "photo",
    "tile": 1024,
}
STYLED_0_1: Plain = {
    "styles": ["van-gogh", "malevich", "delaunay", "banksy"],
    "styles_file": None,
    "method": "redraw",
    "strength": None,
    "judge": "pocket",
    "captioner": "pocket",
}
SCORE_0_1 = {
    **SAMPLED_0_1,
    **OPTIMISED_0_1,
    **STYLED_0_1,
    "folder": None,
    "made": None,
    "layout": None,
    "split": None,
    "resolution": None,
    "space": "z",
    "sampling": "end",
    "samples": 1000,
    "prompt": None,
    "model": "pocket",
    "count": 1,
}
DATA_0_1: Plain = {
    "folder": None,
    "layout": None,
    "split": None,
    "what": "birds",
    "resolution": 128,
    "count": 10_000,
    "model": "pocket",
}
"""Settings of version 0.1 with their defaults: a recipe written then has all of them, whether they apply or not."""


DREW = ("generate", "stylize")


def to_0_2(plain: Plain) -> Plain:
    """`score` and `data` became a kind for each thing they did, `stylize --method neural` became `transfer`, and a
    recipe holds only what applies.
    """
    plain = dict(plain)
    word = plain.get("kind")
    if word in DREW and type(plain.get("seed")) is int and plain["seed"] > MOST_SEED:
        plain["seed"] &= MOST_SEED  # what torch took of it: the picture is the same
    if word == "score" and isinstance(plain.get("what"), str):
        return _renamed(_moved(plain, f"score-{plain.pop('what')}", SCORE_0_1))
    if word == "data" and isinstance(plain.get("task"), str):
        return _moved(plain, f"data-{plain.pop('task')}", DATA_0_1)
    if word == "stylize" and plain.get("method") == "neural":
        del plain["method"]
        if list(plain.get("styles", ())) == STYLED_0_1["styles"]:
            del plain["styles"]
        more = {"model": "pocket", "negative_prompt": ""}
        return _renamed(_moved(plain, "transfer", SAMPLED_0_1 | STYLED_0_1 | more))
    if word == "stylize":
        return _moved(plain, "stylize", OPTIMISED_0_1)
    return _renamed(plain) if word in {"transfer", "score-styles"} else plain


def _moved(plain: Plain, word: str, before: Plain) -> Plain:
    """The recipe as one of kind `word`, without settings that it no longer has and that were at their defaults."""
    from easel.kinds import KINDS

    renamed = {"style_image": "style", "optimiser": "optimizer"}
    known = KINDS[word].recipe.model_fields if word in KINDS else {}
    kept = {
        name: value
        for name, value in plain.items()
        if name not in before or renamed.get(name, name) in known or value not in (before[name], tuple_of(before[name]))
    }
    return kept | {"kind": word}


def tuple_of(value: Any) -> Any:
    """A list as a tuple, all else as it is: Python has the one where YAML has the other."""
    return tuple(value) if isinstance(value, list) else value


def _renamed(plain: Plain) -> Plain:
    names = {"style_image": "style", "optimiser": "optimizer"}
    made = {names.get(name, name): value for name, value in plain.items()}
    return made | ({"pooling": "max"} if made.get("pooling") == "largest" else {})


UPGRADES: tuple[Upgrade, ...] = (("0.2.0", to_0_2),)
"""(version, function) in order: the function is applied to recipes written before that version of easel, and to those
that do not say theirs, which it must leave as they are where they are of today.
"""


def numbers(version: str) -> tuple[int, ...]:
    """'0.10.2' as (0, 10, 2), to compare versions. Raises EaselError on what is no version."""
    found = re.match(r"\d{1,9}(\.\d{1,9})*", version)
    if found is None:
        raise EaselError(f"easel: '{version}' is not a version such as {__version__}")
    return tuple(int(part) for part in found.group().split("."))


def upgraded(recipe: Mapping[str, Any], upgrades: Sequence[Upgrade] = UPGRADES, now: str = __version__) -> Plain:
    """`recipe` in today's form. One from a newer easel is refused, since its settings may mean something else here."""
    plain = dict(recipe)
    written = plain.get("easel")
    if written is not None and not isinstance(written, str):
        raise EaselError(f'easel: {written!r} is not a version; write it in quotes, such as "{now}"')
    if written is not None and numbers(written)[:2] > numbers(now)[:2]:
        raise EaselError(f"the recipe was written for easel {written} and this is {now}: install easel {written}")
    for version, change in upgrades:
        if written is None or numbers(written) < numbers(version):
            plain = change(plain)
    return plain | {"easel": now}
