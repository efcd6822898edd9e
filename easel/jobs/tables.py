"""Reads the small YAML tables a person writes by hand (styles, prompts): every mistake is told with its key and its
line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from easel.errors import EaselError, shortened
from easel.recipes import Recipe
from easel.recipes.reading import explain
from easel.recipes.yamls import Lines, load_yaml


class Row(BaseModel):
    """What every row of a table has: a name of its own, and no keys that nobody knows."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """What the row is called."""


AnyRow = TypeVar("AnyRow", bound=Row)


def read_rows(path: str | Path, kind: type[AnyRow], known: Mapping[str, AnyRow] | None = None) -> list[AnyRow]:
    """The list of rows in a YAML file.

    A row whose name is in `known` changes that one: what it leaves out is taken from there. Raises EaselError naming
    file, line and key.
    """
    values, lines = load_yaml(path)
    if not isinstance(values, list) or not values:
        keys = ", ".join(kind.model_fields)
        raise EaselError(f"{path}: wanted a list of entries, each '- name: ...' with the keys {keys}")
    rows: dict[str, AnyRow] = {}
    for index, entry in enumerate(values):
        place = f"{path}: line {lines[index,]}: "
        if not isinstance(entry, dict):
            raise EaselError(f"{place}wanted 'name: ...' and other keys, got {shortened(repr(entry))}")
        before = (known or {}).get(str(entry.get("name")))
        row = _row({**(before.model_dump() if before else {}), **entry}, kind, f"{path}: ", _below(lines, index))
        if row.name in rows:
            raise EaselError(f"{place}the name '{row.name}' stands twice")
        rows[row.name] = row
    return list(rows.values())


def _row(entry: dict[Any, Any], kind: type[AnyRow], place: str, lines: Lines) -> AnyRow:
    """One row, or an EaselError with its line: that of the key where it has one, that of the row where the key is
    missing.
    """
    if not all(isinstance(key, str) for key in entry):
        raise EaselError(f"{place}line {lines[()]}: every key must be a word")
    try:
        return kind.model_validate(entry)
    except ValidationError as problem:
        # Rows are explained in the very words that recipes are; only the type differs.
        words = explain(problem, cast("type[Recipe]", kind), lines)
        raise EaselError(place + (words if words.startswith("line ") else f"line {lines[()]}: {words}")) from problem


def _below(lines: Lines, index: int) -> Lines:
    """The lines of one entry of the list, by keys within it; its own line under ()."""
    return {keys[1:]: line for keys, line in lines.items() if keys[0] == index}
