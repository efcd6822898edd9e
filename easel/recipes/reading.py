"""Recipes from and to YAML and plain values, with errors that name the key, its place and the nearest right name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from easel.errors import EaselError, close_matches, nearest, shortened, unknown
from easel.files import write_atomic
from easel.recipes.base import Recipe
from easel.recipes.upgrade import upgraded
from easel.recipes.yamls import Lines, load_yaml


def make(
    kinds: Mapping[str, type[Recipe]], values: Mapping[str, Any], *, place: str = "", lines: Lines | None = None
) -> Recipe:
    """The recipe that plain values describe; `place` and `lines` say where they stand. Raises EaselError."""
    try:
        kind = values.get("kind")
        if not isinstance(kind, str):
            raise EaselError(f"kind is missing: {nearest('', kinds)}")
        if kind not in kinds:
            raise EaselError(f"{_at(lines, ('kind',))}{unknown('kind of job', kind, kinds)}")
        return validated(kinds[kind], upgraded(values), lines=lines)
    except EaselError as problem:
        raise EaselError(f"{place}{problem}") from problem.__cause__


def validated(kind: type[Recipe], values: Mapping[str, Any], *, lines: Lines | None = None) -> Recipe:
    """A recipe of one kind from plain values. Raises EaselError: one line that names the first wrong key."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as problem:
        raise EaselError(explain(problem, kind, lines)) from problem


def explain(problem: ValidationError, kind: type[Recipe], lines: Lines | None = None) -> str:
    """A pydantic error as advice: unknown keys come first, since a misspelt name often causes the rest."""
    found = sorted(problem.errors(include_url=False), key=lambda error: error["type"] != "extra_forbidden")
    words = [_at(lines, error["loc"]) + _said(dict(error), kind) for error in found]
    more = f" (and {len(words) - 1} more)" if len(words) > 1 else ""
    return words[0] + more


def _at(lines: Lines | None, keys: tuple[str | int, ...]) -> str:
    """'line 3: ' for the innermost key whose line is known."""
    for end in range(len(keys), 0, -1):
        if lines and keys[:end] in lines:
            return f"line {lines[keys[:end]]}: "
    return ""


def _said(error: dict[str, Any], kind: type[Recipe]) -> str:
    """One pydantic error in words."""
    name = ".".join(str(part) for part in error["loc"])
    given = shortened(repr(list(error["input"]) if isinstance(error["input"], tuple) else error["input"]))
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            near = close_matches(name, kind.model_fields)
            advice = f"did you mean {near[0]}?" if near else f"it knows {', '.join(kind.model_fields)}"
            return f"{name} is not a setting of {kind.__name__.lower()}: {advice}"
        case "missing":
            meaning = kind.model_fields[name].description if name in kind.model_fields else ""
            return f"{name} is missing: {meaning or 'it must be given'}"
        case "literal_error":
            words = [word.strip("' ") for word in context["expected"].replace(" or ", ", ").split(",")]
            return f"no {name} called {given}: {nearest(str(error['input']), words)}"
        case "value_error":
            return f"{name} {context['error']}".strip()
    wanted = {
        "too_short": f"give at least {context.get('min_length')}",
        "tuple_type": f"it must be a list, such as [{given}]",
        "finite_number": "it must be a finite number",
    }
    return f"{name} is {given}: {wanted.get(error['type'], error['msg'].removeprefix('Input '))}"


def read_file(
    kinds: Mapping[str, type[Recipe]],
    path: str | Path,
    changes: Mapping[str, Any] | None = None,
    kind: str | None = None,
) -> Recipe:
    """The recipe in a YAML file, with `changes` laid over it, which must be of `kind` where one is named.

    Raises EaselError naming file, line and key.
    """
    values, lines = load_yaml(path)
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise EaselError(f"{path}: a recipe is a list of 'setting: value' lines, beginning with 'kind: ...'")
    if kind is not None and values.setdefault("kind", kind) != kind:
        raise EaselError(f"{path} is a recipe of kind {values['kind']}, not {kind}: use  easel run {path}")
    replaced = set(changes or {})
    known = {keys: line for keys, line in lines.items() if keys[0] not in replaced}
    return make(kinds, values | dict(changes or {}), place=f"{path}: ", lines=known)


def to_yaml(recipe: Recipe) -> str:
    """A recipe as YAML that `read_yaml` gives back unchanged."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)


def write_yaml(recipe: Recipe, path: str | Path) -> None:
    """Write a recipe as YAML, whole or not at all."""
    write_atomic(Path(path), to_yaml(recipe).encode("utf-8"))
