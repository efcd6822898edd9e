"""Recipes from and to YAML and plain values: safe YAML with the line of every key, no key twice, 1e-4 a number, and
errors that name the key, its place and the nearest right name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from easel.errors import EaselError, close_matches, nearest, shortened, unknown
from easel.files import check_regular, read_text, write_atomic
from easel.kinds import KINDS
from easel.recipes.base import Recipe
from easel.recipes.upgrade import upgraded

Lines = dict[tuple[str | int, ...], int]
MOST_BYTES = 1_000_000
MOST_NODES = 100_000


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema: words such as yes, no, 1:30 and 2001-01-01 are texts, and 1e-4 is a number.

    PyYAML's own loader follows YAML 1.1, which reads these as a truth, a number of minutes, and a date.
    """

    yaml_implicit_resolvers = {}  # noqa: RUF012 - as PyYAML has it


CORE = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]{1,30}|0o[0-7]{1,30}|0x[0-9a-fA-F]{1,30}", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,5})?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
}
"""What is not in quotes, by its type (YAML 1.2.2, section 10.3.2); all else is text."""


class _Dumper(yaml.SafeDumper):
    """Quotes every text that YAML 1.1 or 1.2 would take for something else, so that all readers agree."""


for _type, (_pattern, _first) in CORE.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_type}", re.compile(rf"(?:{_pattern})$"), _first)

KNOWN_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in (*CORE, "str", "seq", "map"))


def _whole_number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text[2:] if base != 10 else text, base)


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(str(loader.construct_scalar(node)).lower().replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)


def load_yaml(path: str | Path) -> tuple[Any, Lines]:
    """The values in a YAML file and the line of each key. Raises EaselError naming the file and the line."""
    path = Path(path)
    if check_regular(path).st_size > MOST_BYTES:
        raise EaselError(f"{path} is too large for a YAML file of settings")
    text = read_text(path, MOST_BYTES)
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> tuple[Any, Lines]:
    """`load_yaml` on text; `name` stands before its errors."""
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        lines: Lines = {}
        if node is None:
            return None, lines
        _walk(node, (), lines, name, [MOST_NODES])
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        place = f" line {mark.line + 1}" if mark else ""
        raise EaselError(f"{name}:{place} is not YAML: {shortened(problem.problem or problem)}") from problem
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as problem:
        raise EaselError(f"{name} is not YAML: {shortened(problem)}") from problem
    finally:
        if loader is not None:
            loader.dispose()


def _walk(node: yaml.Node, keys: tuple[str | int, ...], lines: Lines, name: str, left: list[int]) -> None:
    """Note the line of every key, refusing keys that stand twice and files whose aliases swell."""
    if node.tag not in KNOWN_TAGS:
        line = node.start_mark.line + 1
        raise EaselError(
            f"{name}: line {line} is not YAML that easel reads: the tag {shortened(node.tag)} is not known"
        )
    left[0] -= 1
    if left[0] < 0:
        raise EaselError(f"{name} is too large for a YAML file of settings")
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*keys, str(key.value))
            line = key.start_mark.line + 1
            if here in lines:
                raise EaselError(f"{name}: line {line}: {key.value} stands twice, first on line {lines[here]}")
            lines[here] = line
            _walk(value, here, lines, name, left)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[*keys, index] = item.start_mark.line + 1
            _walk(item, (*keys, index), lines, name, left)


def recipe_from(values: Mapping[str, Any], place: str = "", *, lines: Lines | None = None) -> Recipe:
    """The recipe that plain values (a form, a PNG's provenance) describe, upgraded from older versions.

    Raises EaselError, beginning with `place`, that names the wrong key (its line, where `lines` knows it) and the
    nearest right one.
    """
    try:
        if not isinstance(values.get("kind"), str):
            raise EaselError(f"kind is missing: {nearest('', KINDS)}")
        plain = upgraded(values)
        if plain["kind"] not in KINDS:
            raise EaselError(f"{_at(lines, ('kind',))}{unknown('kind of job', str(plain['kind']), KINDS)}")
        return validated(KINDS[plain["kind"]].recipe, plain, lines=lines)
    except EaselError as problem:
        raise EaselError(f"{place}{problem}") from problem.__cause__


def validated(kind: type[Recipe], values: Mapping[str, Any], *, lines: Lines | None = None) -> Recipe:
    """A recipe of one kind from plain values. Raises EaselError: one line that names the first wrong key."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as problem:
        raise EaselError(explain(problem, kind, lines)) from problem


def explain(problem: ValidationError, kind: type[BaseModel], lines: Lines | None = None) -> str:
    """A pydantic error as advice: unknown keys come first, since a misspelt name often causes the rest."""
    words = [text for _, text in faults(problem, kind, lines)]
    more = f" (and {len(words) - 1} more)" if len(words) > 1 else ""
    return words[0] + more


def faults(problem: ValidationError, kind: type[BaseModel], lines: Lines | None = None) -> list[tuple[str, str]]:
    """Every part of a pydantic error: the setting that is wrong ('' where it is none's alone), and what to do."""
    found = sorted(problem.errors(include_url=False), key=lambda error: error["type"] != "extra_forbidden")
    said = [(error["loc"], _said(dict(error), kind)) for error in found]
    # what a recipe says of its settings together begins with the name of the one to change
    return [
        (str(loc[0]) if loc else setting_in(text, kind), (_at(lines, loc) if lines else "") + text)
        for loc, text in said
    ]


def setting_in(text: str, kind: type[BaseModel]) -> str:
    """The setting that an error's words begin with; '' where they begin with none."""
    first = re.split(r"[:\s]", text, maxsplit=1)[0]
    return first if first in kind.model_fields else ""


def word_of(kind: type[BaseModel]) -> str:
    """What people call a kind: 'score-sets'; of a table's row the class's own name."""
    return str(kind.model_fields["kind"].default) if "kind" in kind.model_fields else kind.__name__.lower()


def _at(lines: Lines | None, keys: tuple[str | int, ...]) -> str:
    """'line 3: ' for the innermost key whose line is known."""
    for end in range(len(keys), 0, -1):
        if lines and keys[:end] in lines:
            return f"line {lines[keys[:end]]}: "
    return ""


def _said(error: dict[str, Any], kind: type[BaseModel]) -> str:
    """One pydantic error in words."""
    name = ".".join(str(part) for part in error["loc"])
    given = shortened(repr(list(error["input"]) if isinstance(error["input"], tuple) else error["input"]))
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            near = close_matches(name, kind.model_fields)
            advice = f"did you mean {near[0]}?" if near else f"it knows {', '.join(kind.model_fields)}"
            return f"{name} is not a setting of {word_of(kind)}: {advice}"
        case "missing":
            meaning = kind.model_fields[name].description if name in kind.model_fields else ""
            return f"{name} is missing: {meaning or 'it must be given'}"
        case "literal_error":
            words = [word.strip("' ") for word in context["expected"].replace(" or ", ", ").split(",")]
            return f"no {name.rstrip('.0123456789')} called {given}: {nearest(str(error['input']), words)}"
        case "value_error":
            return f"{name} {context['error']}".strip()
    wanted = {
        "too_short": f"give at least {context.get('min_length')}",
        "tuple_type": f"it must be a list, such as [{given}]",
        "finite_number": "it must be a finite number",
    }
    return f"{name} is {given}: {wanted.get(error['type'], error['msg'].removeprefix('Input '))}"


def read_yaml(path: str | Path, changes: Mapping[str, Any] | None = None, kind: str | None = None) -> Recipe:
    """The recipe in a YAML file, with `changes` laid over it, which must be of `kind` where one is named.

    Raises EaselError naming file, line and key.
    """
    values, lines = load_yaml(path)
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise EaselError(f"{path}: a recipe is a list of 'setting: value' lines, beginning with 'kind: ...'")
    if kind is not None and values.setdefault("kind", kind) != kind:
        values = upgraded(values) if isinstance(values["kind"], str) else values
        if values["kind"] != kind:
            command = f"easel run {path}"
            raise EaselError(f"{path} is a recipe of kind {values['kind']}, not {kind}: use  {command}")
    replaced = set(changes or {})
    known = {keys: line for keys, line in lines.items() if keys[0] not in replaced}
    return recipe_from(values | dict(changes or {}), f"{path}: ", lines=known)


def recipe_given(word: str, given: Mapping[str, Any], file: str | Path | None = None) -> Recipe:
    """The recipe of a kind from what was given, laid over a YAML `file` where there is one; of some kinds that file may
    be what comes first.

    Raises EaselError, also where two files are named.
    """
    kind = KINDS[word].recipe
    first = given.get(kind.positional[0]) if kind.from_file else None
    if isinstance(first, list | tuple) and len(first) == 1 and str(first[0]).endswith((".yaml", ".yml")):
        if file is not None:
            raise EaselError(f"{first[0]} and {file} are two recipes: give one of them")
        file, given = first[0], {name: value for name, value in given.items() if name != kind.positional[0]}
    return validated(kind, given) if file is None else read_yaml(file, given, word)


def to_yaml(recipe: Recipe, *, short: bool = False) -> str:
    """A recipe as YAML that `read_yaml` gives back unchanged, without what does not apply to it; with `short`, which is
    for people to copy, also without what is as it is by default.
    """
    plain = recipe.plain()
    if short:
        fields = type(recipe).model_fields
        usual = {name for name in plain if getattr(recipe, name) == fields[name].default}
        plain = {name: value for name, value in plain.items() if name == "kind" or name not in usual | {"easel"}}
    return plain_to_yaml(plain)


def plain_to_yaml(values: Mapping[str, Any]) -> str:
    """Plain values as YAML that easel and every other reader take for the same."""
    return yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def write_yaml(recipe: Recipe, path: str | Path) -> None:
    """Write a recipe as YAML, whole or not at all."""
    write_atomic(Path(path), to_yaml(recipe).encode("utf-8"))
