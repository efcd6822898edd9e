"""The settings reference page, written from the recipes: `python -m easel.cli.reference [--check] docs/settings.md`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args, get_origin

from easel.cli.flags import COMMON
from easel.files import write_atomic
from easel.recipes import KINDS
from easel.recipes.describe import Setting, settings

HEAD = """# Settings

Written from the recipes by `make docs`. Each setting has the same name on the command line (`--guidance-scale`),
in a YAML recipe, in Python (`guidance_scale=`) and inside every picture.
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for name, kind in KINDS.items():
        parts.append(f"\n## {name}\n\n{' '.join((kind.__doc__ or '').split())}\n\n" + _table(settings(kind)))
    rows = "".join(f"| `--{name}` | {' '.join(meaning.split())} |\n" for name, (_, _, meaning) in COMMON.items())
    parts.append("\n## Running\n\nThese belong to one run, not to its recipe; every command takes them.\n\n")
    parts.append("| flag | meaning |\n|---|---|\n" + rows)
    return "".join(parts)


def _table(rows: list[Setting]) -> str:
    lines = ["| setting | value | default | meaning |", "|---|---|---|---|"]
    for row in rows:
        default = "must be given" if row.required else row.default
        lines.append(f"| `{row.name}` | {_value(row)} | {default} | {row.meaning} |")
    return "\n".join(lines) + "\n"


def _value(row: Setting) -> str:
    """What may stand for a setting: its choices, or its type and range."""
    if row.choices:
        return ", ".join(f"`{choice}`" for choice in row.choices)
    return _type(row.form) + (f", {row.limits}" if row.limits else "")


def _type(form: Any) -> str:
    if get_origin(form) is tuple:
        return f"list of {_type(get_args(form)[0])}"
    named = {str: "text", int: "whole number", float: "number", bool: "yes or no"}
    return next(named[part] for part in (form, *get_args(form)) if part in named)


def main(words: list[str]) -> int:
    """Write the page, or with --check only say whether it is up to date; the exit status."""
    path = Path(next(word for word in words if word != "--check"))
    if "--check" not in words:
        write_atomic(path, page().encode("utf-8"))
        return 0
    if path.is_file() and path.read_text(encoding="utf-8") == page():
        return 0
    print(f"{path} is out of date: run  make docs", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
