"""What is written from the recipes: the settings page and the typed stub of the package.

python -m easel.cli.reference [--check] docs/settings.md easel/__init__.pyi
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any, get_args, get_origin

from easel.cli.flags import COMMON
from easel.files import write_atomic
from easel.kinds import KINDS
from easel.recipes.describe import RUN_SETTINGS, Setting, python_signature, settings

HEAD = """# Settings

Written from the recipes by `make docs`. Each setting has the same name on the command line (`--guidance-scale`),
in a YAML recipe, in Python (`guidance_scale=`) and inside every picture. A setting under "Settings of ..." belongs to
these alone, and is refused elsewhere.
"""
STUB = '''"""Written from the recipes by `make docs`: the functions and recipes of every kind, with their types."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from easel.errors import Cancelled as Cancelled
from easel.errors import EaselError as EaselError
from easel.recipes.base import Recipe as Recipe
'''


def page() -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for word, kind in KINDS.items():
        about = " ".join((kind.recipe.__doc__ or "").split())
        parts.append(f"\n## {word}\n\n{about}\n\n")
        rows = settings(kind.recipe)
        parts.append(_table([row for row in rows if row.only is None]))
        for title in dict.fromkeys(row.only.title for row in rows if row.only):
            parts.append(f"\n### {word}: settings of {title}\n\n")
            parts.append(_table([row for row in rows if row.only and row.only.title == title]))
    rows_of_run = "".join(f"| `--{name}` | {' '.join(meaning.split())} |\n" for name, (_, _, meaning) in COMMON.items())
    parts.append("\n## Running\n\nThese belong to one run, not to its recipe; every command takes them.\n\n")
    parts.append("| flag | meaning |\n|---|---|\n" + rows_of_run)
    return "".join(parts)


def stub() -> str:
    """The package's `__init__.pyi`."""
    imports = sorted(
        f"from {kind.path.partition(':')[0]} import {kind.class_name} as {kind.class_name}\n" for kind in KINDS.values()
    )
    last = (
        "from easel.result import Result as Result\n"
        "from easel.version import __version__ as __version__\n"
        "from easel.workspace import Step\n"
    )
    made = STUB + "".join(imports) + last
    own = "".join(f"    {name}: {form} = {_literal(default)},\n" for name, (form, default) in RUN_SETTINGS.items())
    made += f"\ndef run(\n    recipe: Recipe | dict[str, Any] | str | Path,\n    *,\n{own}) -> Result: ...\n"
    return made + "".join(
        _function(word.replace("-", "_"), python_signature(kind.recipe)) for word, kind in KINDS.items()
    )


def _function(name: str, signature: inspect.Signature) -> str:
    lines = [f"def {name}("]
    named = False
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not named:
            lines.append("    *,")
            named = True
        given = "" if parameter.default is inspect.Parameter.empty else f" = {_literal(parameter.default)}"
        lines.append(f"    {parameter.name}: {parameter.annotation}{given},")
    return "\n".join([*lines, ") -> Result: ...", ""])


def _literal(value: Any) -> str:
    """A default as it is written in Python."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    return "..." if value is ... else json.dumps(value) if isinstance(value, str) else repr(value)


def _table(rows: list[Setting]) -> str:
    lines = ["| setting | value | default | meaning |", "|---|---|---|---|"]
    for row in rows:
        default = "must be given" if row.required else row.default
        lines.append(f"| `{row.name}` | {_value(row)} | {default} | {row.meaning} |")
    return "\n".join(lines) + "\n"


def _value(row: Setting) -> str:
    """What may stand for a setting: its choices, or its type and range."""
    if row.choices:
        several = "one or several of " if get_origin(row.form) is tuple else ""
        return several + ", ".join(f"`{choice}`" for choice in row.choices)
    return _type(row.form) + (f", {row.limits}" if row.limits else "")


def _type(form: Any) -> str:
    if get_origin(form) is tuple:
        return f"list of {_type(get_args(form)[0])}"
    if get_origin(form) is dict:
        return "mapping"
    named = {str: "text", int: "whole number", float: "number", bool: "yes or no"}
    return next(named[part] for part in (form, *get_args(form)) if part in named)


def main(words: list[str]) -> int:
    """Write the files, or with --check only say whether they are up to date; the exit status."""
    status = 0
    for path in (Path(word) for word in words if word != "--check"):
        text = stub() if path.suffix == ".pyi" else page()
        if "--check" not in words:
            write_atomic(path, text.encode("utf-8"))
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            print(f"{path} is out of date: run  make docs", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
