"""A folder of pictures as a judge sees it: its rows, and what they were made of. Computed once, then kept by the hash
of the pictures and of the judge.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.errors import EaselError
from easel.files import write_atomic
from easel.jobs.photos import batches, gather, opened, told
from easel.models.places import own_cache
from easel.result import NOT_PICTURES
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.rows import Rows

TOGETHER = 64  # pictures in memory at once
FORM = "1"  # of a kept file: counted up when what stands in it changes


@dataclass(frozen=True)
class Looks:
    """Pictures of one folder, each by name, format and size, as one judge's rows (n, d)."""

    folder: str
    names: tuple[str, ...]
    formats: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    rows: NDArray[np.float32]
    broken: dict[str, str]

    @property
    def format(self) -> str:
        """'PNG', or 'JPEG and PNG', the most frequent first."""
        return " and ".join(name for name, _ in Counter(self.formats).most_common())

    @property
    def size(self) -> str:
        """'64x64', or the most frequent of several: 'most 64x64'."""
        (first, *others) = Counter(self.sizes).most_common()
        return f"{'most ' if others else ''}{first[0][0]}x{first[0][1]}"

    @property
    def said(self) -> str:
        """'200 PNG, 64x64'."""
        return f"{len(self.names)} {self.format}, {self.size}"

    @property
    def notes(self) -> list[str]:
        """Which pictures were skipped, and why."""
        return told(self.broken, len(self.broken) + len(self.names))


def looked_at(folder: str, judge: Rows, workspace: Workspace, phase: str) -> Looks:
    """The pictures of `folder` as `judge` sees them, from an earlier run where neither has changed.

    Raises EaselError on a folder that is missing or has fewer than two pictures that open, and on rows that are not
    finite, naming the picture.
    """
    paths = gather((folder,), workspace.folder)
    if (Path(folder) / "result.json").is_file():  # a run of ours: its sheet and chart are none of the set
        paths = {name: path for name, path in paths.items() if name not in NOT_PICTURES}
    if len(paths) < 2:
        count = "one picture" if paths else "no picture but a sheet"
        raise EaselError(f"{folder} has {count}: a set needs at least 2, and numbers that mean something 2,048")
    kept = own_cache() / "features" / f"{_key(paths.values(), judge, workspace, phase)}.npz"
    found = _read(folder, list(paths), kept) or _seen(folder, paths, judge, workspace, phase)
    if len(found.names) < 2:
        told(found.broken, len(paths))
        raise EaselError(f"{folder} has one picture that opens ({found.names[0]}): a set needs at least 2")
    _check_finite(found, judge)
    if not kept.exists():
        _keep(found, list(paths), kept)
    workspace.step(phase, len(paths), len(paths))
    return found


def _key(paths: Any, judge: Rows, workspace: Workspace, phase: str) -> str:
    """Hash of the pictures' contents, in order, and of the judge. Names and dates do not matter."""
    digest = hashlib.sha256(f"{FORM} {judge.fingerprint}".encode())
    for path in paths:
        try:
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError:
            digest.update(b"unreadable")
        workspace.step(phase, 0, len(paths))
    return digest.hexdigest()


def _seen(folder: str, paths: dict[str, Path], judge: Rows, workspace: Workspace, phase: str) -> Looks:
    """Open every picture once, and look."""
    broken: dict[str, str] = {}
    facts: dict[str, tuple[str, tuple[int, int]]] = {}
    parts, done = [], 0
    for names in batches(paths, TOGETHER):
        pictures = opened(names, paths, broken)
        for name, picture in pictures.items():
            with Image.open(paths[name]) as header:
                facts[name] = (header.format or "?", picture.size)
        if pictures:
            parts.append(judge.rows(list(pictures.values())))
        done += len(names)
        workspace.step(phase, done, len(paths))
    told(broken, len(paths))
    formats, sizes = zip(*facts.values(), strict=True)
    return Looks(folder, tuple(facts), formats, sizes, np.concatenate(parts), broken)


def _check_finite(found: Looks, judge: Rows) -> None:
    bad = np.flatnonzero(~np.isfinite(found.rows).all(axis=1))
    if len(bad):
        raise EaselError(
            f"{judge.name} gave numbers that are not finite for {len(bad)} of {len(found.names)} pictures "
            f"({found.names[bad[0]]} first): get the judge again, or use another --judge"
        )


def _keep(found: Looks, names: Sequence[str], place: Path) -> None:
    """Pictures are told by their place in the folder: another folder of the same contents has other names."""
    where = {name: index for index, name in enumerate(names)}
    facts = {
        "places": [where[name] for name in found.names],
        "formats": found.formats,
        "sizes": found.sizes,
        "broken": {str(where[name]): why.replace(found.folder, "{folder}") for name, why in found.broken.items()},
    }
    stream = io.BytesIO()
    np.savez(stream, rows=found.rows, facts=np.array(json.dumps(facts)))
    write_atomic(place, stream.getvalue())


def _read(folder: str, names: Sequence[str], place: Path) -> Looks | None:
    """What an earlier run kept; None where there is nothing, or a damaged file, which is then made again."""
    try:
        # opened here: numpy would leave a damaged file open
        with place.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
            rows, facts = kept["rows"], json.loads(str(kept["facts"]))
        return Looks(
            folder,
            tuple(names[index] for index in facts["places"]),
            tuple(facts["formats"]),
            tuple((width, height) for width, height in facts["sizes"]),
            rows,
            {names[int(index)]: why.replace("{folder}", folder) for index, why in facts["broken"].items()},
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile):
        place.unlink(missing_ok=True)
        return None
