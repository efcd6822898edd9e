"""What `easel models` lists: every word of the catalogue, then what was trained here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easel.errors import EaselError, printable, shortened
from easel.models.catalog import checks, locate, trained_folders
from easel.models.catalog.tables import PACKAGE, ROWS, SOURCES, Row


@dataclass(frozen=True)
class Info:
    """A line of `easel models`."""

    name: str
    about: str
    roles: tuple[str, ...]
    sources: tuple[str, ...]
    revisions: tuple[str, ...]
    licence: str
    megabytes: int
    at_hand: bool
    note: str


def rows() -> list[Info]:
    """Every word of the catalogue with licence, size and whether it is at hand now, then what was trained here.

    Looks at the disk only. What has no weights in this install is left out.
    """
    there = [row for row in ROWS.values() if any(map(_is_made, row.parts.values()))]
    return [*(_info(row) for row in there), *(_trained(folder) for folder in trained_folders.folders())]


def _is_made(part: str) -> bool:
    """Whether a part is on the hub, or in this package."""
    return part in SOURCES or (PACKAGE / part).is_dir()


def _trained(folder: Path) -> Info:
    """A line about a model folder: the name is what --model takes; weights that cannot be loaded are not at hand."""
    weights, facts, note = folder / "model.safetensors", dict[str, Any](), ""
    try:
        facts = trained_folders.described(folder)
        checks.check_file(weights)
    except EaselError as problem:
        note = shortened(problem, 160)
    network, data = facts.get("network", {}), facts.get("data", {})
    about = f"{network.get('network')} of {data.get('name')}, {network.get('resolution')} px" if facts else "damaged"
    return Info(
        name=str(folder),
        about=printable(about, 100),
        roles=("generator",),
        sources=("trained here",),
        revisions=(printable(str(data.get("hash"))[:12]),),
        licence=printable(data.get("licence") or "not told", 60),
        megabytes=max(1, round(weights.stat().st_size / 1e6)),
        at_hand=not note,
        note=note,
    )


def _info(row: Row) -> Info:
    distinct = list(dict.fromkeys(row.parts.values()))
    sources = [SOURCES[part] for part in distinct if part in SOURCES]
    meant = [PACKAGE / part for part in distinct if part not in SOURCES]
    inside = [folder for folder in meant if folder.is_dir()]
    here = tuple(role for role, part in row.parts.items() if _is_made(part))
    size = sum(source.megabytes for source in sources)
    size += round(sum(_folder_bytes(folder) for folder in inside) / 1e6)
    return Info(
        name=row.name,
        about=row.about,
        roles=here or tuple(row.parts),
        sources=tuple(source.repository for source in sources) or ("inside the package",),
        revisions=tuple(source.revision for source in sources),
        licence=", ".join(dict.fromkeys(source.licence for source in sources)) or "MIT",
        megabytes=size,
        at_hand=all(locate.in_cache(source) is not None for source in sources)
        and all(map(_has_model, inside))
        and bool(sources or inside),
        note="; ".join(source.note for source in sources if source.note),
    )


def _folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0


def _has_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() or (folder / "model_index.json").is_file()
