"""From a name to a folder or file on this disk: a catalogue word, a hub id, a folder, or a .safetensors file.

Finding never touches the network; only `catalog.download` does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from easel.errors import EaselError, nearest, shortened, unknown
from easel.models.catalog import checks
from easel.models.catalog.tables import (
    INSIDE,
    MOVED,
    NOTHING,
    PACKAGE,
    ROLES,
    ROWS,
    SUBFOLDERS,
    Row,
    Source,
    source_of,
)

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
OTHER_ENDINGS = (".ckpt", ".pt", ".pth", ".bin", ".safetensors", ".gguf", ".pkl")


@dataclass(frozen=True)
class LocatedModel:
    """A model on this disk: a folder, or a single .safetensors file."""

    path: Path
    name: str
    defaults: Mapping[str, float | int | str] = field(default_factory=lambda: NOTHING)
    notes: tuple[str, ...] = ()


def is_hub_id(name: str) -> bool:
    """True for 'owner/name'."""
    return HUB_ID.fullmatch(name) is not None and not name.endswith(OTHER_ENDINGS)


def find(name: str, role: str) -> LocatedModel:
    """Where the model is that plays `role`. EaselError says what to pull, or what names there are."""
    if role not in ROLES:
        raise unknown("role", role, ROLES)
    if name in ROWS:
        return _from_row(ROWS[name], role)
    path = Path(name).expanduser()
    if path.is_file():
        return LocatedModel(path, path.stem)
    if path.is_dir():
        inner = path / SUBFOLDERS.get(role, "generator")
        held = held_by(path)
        if held and not inner.is_dir() and role in SUBFOLDERS:
            raise EaselError(f"{path} holds a family without {role} (it has {', '.join(held)}): use {_others(role)}")
        return LocatedModel(inner if inner.is_dir() and not (path / "config.json").is_file() else path, path.name)
    if is_hub_id(name):
        return _from_hub(name, name, NOTHING)
    if name.endswith(OTHER_ENDINGS) or os.sep in name or name.startswith((".", "~")):
        raise EaselError(f"no model file or folder {shortened(name, 200)}")
    able = those_with(role)
    if not able:
        raise EaselError(f"no model called '{shortened(name)}': give the folder that `easel train` made")
    words = nearest(name, able)
    raise EaselError(f"no model called '{shortened(name)}': {words}, a hub id, a folder or a .safetensors file")


def homes(folder: Path, index: Mapping[str, Any], parts: Sequence[str]) -> dict[str, Path]:
    """In which folder each of these parts of a diffusion model lies: its own, or, where its model_index.json leaves the
    part out (null), that of its base.
    """
    lacking = [part for part in parts if index.get(part) == [None, None]]
    base = base_folder(folder) if lacking else None
    return {part: base if base is not None and part in lacking else folder for part in parts}


def base_folder(folder: Path) -> Path | None:
    """Where the parts lie that a diffusion model's folder leaves out: `base` in its `easel.json` names the model that
    they belong to, by any name that `find` knows. None where it names none.
    """
    file = folder / "easel.json"
    word = checks.read_json(file).get("base") if file.is_file() else None
    if word is None:
        return None
    if not isinstance(word, str) or not word.strip():
        raise EaselError(f"{file}: 'base' must name a model, not {shortened(repr(word))}")
    return find(word, "text-to-image").path


def held_by(folder: Path) -> list[str]:
    """The sub-folders of models in a folder that holds a whole family; none where it is a model itself."""
    if any((folder / name).is_file() for name in ("config.json", "model_index.json")):
        return []
    return [name for name in dict.fromkeys(SUBFOLDERS.values()) if (folder / name).is_dir()]


def those_with(role: str) -> list[str]:
    """The words of the catalogue that have a model for a role: from the hub, or really in the package."""
    parts = {word: row.parts[role] for word, row in ROWS.items() if role in row.parts}
    return [word for word, part in parts.items() if not part.startswith(INSIDE) or (PACKAGE / part).is_dir()]


def _others(role: str) -> str:
    able = those_with(role)
    return f"one of {', '.join(able)}" if able else "a folder that `easel train` made"


def _from_row(row: Row, role: str) -> LocatedModel:
    if role not in row.parts:
        raise EaselError(f"'{row.name}' has no model for {role}: use {_others(role)}")
    part = row.parts[role]
    if part.startswith(INSIDE):
        if not (PACKAGE / part).is_dir():
            raise EaselError(
                f"'{row.name}' has no model for {role} in this install: install easel again, or run `make pocket`"
            )
        return LocatedModel(PACKAGE / part, row.name, row.defaults)
    return _from_hub(part, row.name, row.defaults)


def _from_hub(repository: str, name: str, defaults: Mapping[str, float | int | str]) -> LocatedModel:
    source = source_of(repository)
    old = [moved for moved, now in MOVED.items() if now == source.repository]
    for candidate in (source.repository, repository, *old):
        folder = in_cache(replace(source, repository=candidate))
        if folder is not None:
            return LocatedModel(folder, name, defaults, (source.note,) if name in MOVED else ())
    if source.url:
        raise EaselError(
            f"model '{name}' is not on this machine: `easel models pull {name}` ({source.megabytes} MB) fetches it; "
            f"without a network bring {source.url.rpartition('/')[2]} here and add --file"
        )
    size = f" ({source.megabytes / 1000:.1f} GB)" if source.megabytes else ""
    raise EaselError(
        f"model '{name}' is not on this machine: `easel models pull {name}`{size} fetches it; without a network give a "
        "folder in the diffusers or transformers layout, or a .safetensors file, or put it in the hub cache (HF_HOME)"
    )


def in_cache(source: Source) -> Path | None:
    """The snapshot of a source in the hub cache, of its revision or else of any branch there; None if there is none.

    One with safetensors weights is preferred to one without. A single file outside the hub is looked for where `pull`
    puts what it made of it.
    """
    if source.url:
        folder = converted_folder(source)
        return folder if (folder / "config.json").is_file() else None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    refs = cache_folder(source) / "refs"
    named = sorted(str(file.relative_to(refs)) for file in refs.rglob("*") if file.is_file()) if refs.is_dir() else []
    found: list[Path] = []
    for revision in dict.fromkeys((source.revision, "main", *named)):
        try:
            folder = Path(snapshot_download(source.repository, revision=revision, local_files_only=True))
        except (LocalEntryNotFoundError, HFValidationError, FileNotFoundError, NotADirectoryError):
            continue
        if any(folder.glob("*.json")):
            found.append(folder)
    return next((folder for folder in found if any(folder.rglob("*.safetensors"))), found[0] if found else None)


def cache_folder(source: Source) -> Path:
    """Where what is fetched of a source lies, whole or not yet."""
    from huggingface_hub import constants

    if source.url:
        return converted_folder(source)
    return Path(constants.HF_HUB_CACHE) / f"models--{source.repository.replace('/', '--')}"


def own_cache() -> Path:
    """Where easel keeps what it computed once: its own corner of the hub client's folder (HF_HOME moves it)."""
    from huggingface_hub import constants

    return Path(constants.HF_ASSETS_CACHE) / "easel"


def converted_folder(source: Source) -> Path:
    """Where the safetensors made of a single file outside the hub are kept."""
    return own_cache() / "models" / source.repository.replace("/", "--")
