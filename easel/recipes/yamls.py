"""YAML with the line of every key: safe values only, no key twice, and 1e-4 is a number."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from easel.errors import EaselError, shortened

Lines = dict[tuple[str | int, ...], int]
MOST_BYTES = 1_000_000
MOST_NODES = 100_000


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which follows YAML 1.1 and would read 1e-4 as text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def load_yaml(path: str | Path) -> tuple[Any, Lines]:
    """The values in a YAML file and the line of each key. Raises EaselError naming the file and the line."""
    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise EaselError(f"{path} is too large for a YAML file of settings")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise EaselError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise EaselError(f"cannot read {path} as YAML text: {shortened(problem)}") from problem
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> tuple[Any, Lines]:
    """`load_yaml` on text; `name` stands before its errors."""
    loader = _Loader(text)
    try:
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
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as problem:
        raise EaselError(f"{name} is not YAML: {shortened(problem)}") from problem
    finally:
        loader.dispose()


def _walk(node: yaml.Node, keys: tuple[str | int, ...], lines: Lines, name: str, left: list[int]) -> None:
    """Note the line of every key, refusing keys that stand twice and files whose aliases swell."""
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
