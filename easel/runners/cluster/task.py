"""What driver and workers say to one another: a part to do, and what it has come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from easel.kinds import Kind
from easel.runners.cluster.manifest import Item, Part
from easel.workspace import Made, Work


@dataclass(frozen=True)
class Task:
    """A part to do: all that a worker needs to know."""

    part: Part
    items: tuple[Item, ...]
    total: int
    kind: Kind
    recipe: Mapping[str, Any]
    device: str = "auto"
    dtype: str = "auto"
    cwd: str = ""
    to: str = ""
    """A bucket's folder that pictures are written to; '' where they are handed back."""
    shard: str = ""
    """Name of the tar that the pictures go into; '' where each is a file."""


@dataclass(frozen=True)
class Chunk:
    """A few items of a job's own, and the work to do to them."""

    key: str
    """Of the run: a worker keeps what it has made for one run until another comes."""
    work: type[Work[Any]]
    items: tuple[Any, ...]
    kind: Kind
    recipe: Mapping[str, Any]
    device: str = "auto"
    dtype: str = "auto"
    cwd: str = ""
    named: tuple[str, ...] = ()
    """Files and folders of the recipe that are there on the driver's machine, and must be on each."""


@dataclass
class Outcome:
    """What a part has come to."""

    done: list[dict[str, Any]] = field(default_factory=list)
    """Of each photo: number, photo, pictures, files, texts, scores."""
    failed: dict[int, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    """To be written by whoever asked; empty where they are in the bucket already."""
    names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    cells: list[tuple[int, bytes, str, list[str]]] = field(default_factory=list)
    """For the sheet: a small picture, its title and lines; of the first photos only."""
    preview: bytes = b""
    lacked_memory: bool = False
    fault: str = ""
    """A traceback, where easel itself failed."""
    spent: float = 0.0
    made: Made = field(default_factory=dict)
    """What a job's work has made of a chunk."""
    refused: str = ""
    """Why the run cannot go on, in a line."""
    whole: str = ""
    """The job's result.json, where the part is all of the run."""
