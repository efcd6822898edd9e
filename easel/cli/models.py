"""`easel models`: what is known, what is at hand, and how to get the rest."""

from __future__ import annotations

import dataclasses
import json as json_module
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from easel.cli import progress, show


def listing(
    *, json: Annotated[bool, Parameter(negative=(), show_default=False, help="Print as JSON.")] = False
) -> None:
    """Every model that easel knows: role, source, licence, size, and whether it is at hand."""
    from easel.models.catalog import listing

    rows = listing.rows()
    if json:
        plain = [dataclasses.asdict(row) for row in rows]
        print(json_module.dumps(plain, indent=2, default=str))
        return
    lines = [
        (row.name, "yes" if row.at_hand else "no", size(row.megabytes), row.licence, row.about, _source(row.sources))
        for row in rows
    ]
    show.table(("model", "at hand", "size", "licence", "what", "source"), lines)
    for note, names in _by_note([(row.name, row.note) for row in rows]).items():
        print(f"note on {', '.join(names)}: {note}")
    print(
        "easel models pull NAME downloads one; --model also takes a hub id, a diffusers folder or a .safetensors file"
    )


def pull(
    name: Annotated[str, Parameter(help="A name from easel models list, or a hub id.")],
    /,
    *,
    configs_only: Annotated[
        bool, Parameter(negative=(), show_default=False, help="Only configs and tokenizer, for a .safetensors file.")
    ] = False,
    file: Annotated[
        Path | None,
        Parameter(help="For fid-inception: a copy of the file that is here already, instead of a download."),
    ] = None,
    quiet: Annotated[bool, Parameter(negative=(), show_default=False, help="No progress.")] = False,
) -> None:
    """Download a model, so that it works offline."""
    from easel.models.catalog import download
    from easel.workspace import Step

    with progress.watching(quiet=quiet) as report:
        folders = download.pull(
            name,
            lambda done, total: report(Step("download", done, total, None, None)),
            configs_only=configs_only,
            file=file,
        )
    for folder in folders:
        print(f"{name} is in {folder}")


def _source(sources: Sequence[str]) -> str:
    return sources[0] if len(sources) == 1 else f"{len(sources)} repositories"


def _by_note(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Each note once, with the models it is about."""
    found: dict[str, list[str]] = {}
    for name, notes in pairs:
        for note in dict.fromkeys(part for part in notes.split("; ") if part):
            found.setdefault(note, []).append(name)
    return found


def size(megabytes: float) -> str:
    """A size people can read."""
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"
