"""A set of pictures, in any layout that training reads, as a judge sees it: its rows, and what they were made of.
Computed once, then kept by the hash of the pictures, of their cut and of the judge.
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
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.data import Box, Item, cut, open_set
from easel.data.hashes import content_hash
from easel.errors import EaselError, printable
from easel.files import write_atomic
from easel.images import FORMATS, READ_SIDE, open_picture, size_of
from easel.jobs.data.words import left_out_notes
from easel.jobs.inputs import MOST_TOGETHER, skipped_notes
from easel.models.catalog.locate import own_cache
from easel.workspace import Workspace

if TYPE_CHECKING:
    from easel.models.set_features import SetFeatureModel

TOGETHER = 64  # pictures in memory at once
FORM = "2"  # of a kept file: counted up when what stands in it changes


@dataclass(frozen=True)
class Pictures:
    """The pictures of a set: where each lies and, where they are cut to squares of `side` pixels, the box of those that
    have one. `missing` is how many more the set's tables name; `notes` say what else is none of the set.
    """

    folder: str
    paths: dict[str, Path]
    boxes: dict[str, Box]
    side: int | None
    missing: int
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, folder: str, side: int | None = None, layout: str | None = None, split: str | None = None) -> Pictures:
        """The set in `folder`, or one split of it. Raises EaselError on none, and on fewer than two pictures."""
        found = open_set(folder, layout, split)
        if len(found) < 2:
            raise EaselError(f"{folder} has one picture: a set needs at least 2, and numbers that mean something 2,048")
        paths: dict[str, Path] = {}
        boxes: dict[str, Box] = {}
        for item in found:
            name = printable(item.name, len(item.name))
            name += "_" * (name in paths)  # two names that are not UTF-8 may look the same
            paths[name] = item.path
            if side and item.box:
                boxes[name] = item.box
        return cls(folder, paths, boxes, side, found.missing, tuple(left_out_notes(found)))

    def picture(self, name: str) -> Image.Image:
        """One picture as the judge gets it: whole, at most 2,048 pixels long, or the square that training cuts out of
        it. Raises EaselError.
        """
        if self.side:
            return Image.fromarray(cut(Item(name, self.paths[name], box=self.boxes.get(name)), self.side))
        return open_picture(self.paths[name], READ_SIDE)


@dataclass(frozen=True)
class Looks:
    """Pictures of a set, each by name, format and size, as one judge's rows (n, d).

    `contents` is the hash of all the files, whatever their names and order.
    """

    pictures: Pictures
    contents: str
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
        found = skipped_notes(self.broken, len(self.broken) + len(self.names))
        if self.pictures.missing:
            found.append(f"{self.pictures.missing} pictures that {self.pictures.folder} speaks of are not there")
        return [*found, *self.pictures.notes]


def looked_at(pictures: Pictures, judge: SetFeatureModel, workspace: Workspace, phase: str) -> Looks:
    """The pictures as `judge` sees them, from an earlier run where neither has changed.

    Raises EaselError on fewer than two pictures that open, and on rows that are not finite, naming the picture.
    """
    digests = _digests(pictures, workspace, phase)
    contents = hashlib.sha256(b"".join(sorted(digests))).hexdigest()
    kept = own_cache() / "features" / f"{_key(pictures, digests, judge)}.npz"
    found = _read(pictures, contents, kept) or _seen(pictures, contents, judge, workspace, phase)
    if len(found.names) < 2:
        skipped_notes(found.broken, len(pictures.paths))
        raise EaselError(f"{pictures.folder} has one picture that opens ({found.names[0]}): a set needs at least 2")
    _check_finite(found, judge)
    if not kept.exists():
        _keep(found, kept)
    workspace.step(phase, len(pictures.paths), len(pictures.paths))
    return found


def _digests(pictures: Pictures, workspace: Workspace, phase: str) -> list[bytes]:
    """Hash of each picture's file."""
    found = []
    for path in pictures.paths.values():
        found.append(content_hash(path))
        workspace.step(phase, 0, len(pictures.paths))
    return found


def _key(pictures: Pictures, digests: Sequence[bytes], judge: SetFeatureModel) -> str:
    """Hash of the pictures' contents, in order, of their cut, and of the judge. Names and dates do not matter."""
    digest = hashlib.sha256(f"{FORM} {judge.fingerprint}".encode())
    for one in digests:
        digest.update(one)
    if pictures.side:
        digest.update(repr((pictures.side, [pictures.boxes.get(name) for name in pictures.paths])).encode())
    return digest.hexdigest()


def _seen(pictures: Pictures, contents: str, judge: SetFeatureModel, workspace: Workspace, phase: str) -> Looks:
    """Open every picture once, and look."""
    broken: dict[str, str] = {}
    facts: dict[str, tuple[str, tuple[int, int]]] = {}
    parts = []
    together: list[Image.Image] = []
    pixels = 0
    for done, name in enumerate(pictures.paths, 1):
        try:
            picture = pictures.picture(name)
        except EaselError as problem:
            broken[name] = printable(problem)
        else:
            facts[name] = (format_of(pictures.paths[name]), size_of(picture))
            together.append(picture)
            pixels += picture.width * picture.height
        if together and (done == len(pictures.paths) or len(together) == TOGETHER or pixels > MOST_TOGETHER):
            parts.append(judge.features(together))
            together, pixels = [], 0
            workspace.step(phase, done, len(pictures.paths))
    skipped_notes(broken, len(pictures.paths))
    formats, sizes = zip(*facts.values(), strict=True)
    return Looks(pictures, contents, tuple(facts), formats, sizes, np.concatenate(parts), broken)


def format_of(path: Path) -> str:
    """What a picture is saved as: 'PNG'. A JPEG with more pictures behind the first (MPO) is one."""
    with Image.open(path, formats=FORMATS) as header:
        return {"MPO": "JPEG"}.get(header.format or "?", header.format or "?")


def _check_finite(found: Looks, judge: SetFeatureModel) -> None:
    bad = np.flatnonzero(~np.isfinite(found.rows).all(axis=1))
    if len(bad):
        raise EaselError(
            f"{judge.name} gave numbers that are not finite for {len(bad)} of {len(found.names)} pictures "
            f"({found.names[bad[0]]} first): get the judge again, or use another --judge"
        )


def _keep(found: Looks, place: Path) -> None:
    """Pictures are told by their place in the set: another folder of the same contents has other names."""
    where, folder = {name: index for index, name in enumerate(found.pictures.paths)}, found.pictures.folder
    facts = {
        "places": [where[name] for name in found.names],
        "formats": found.formats,
        "sizes": found.sizes,
        "broken": {str(where[name]): why.replace(folder, "{folder}") for name, why in found.broken.items()},
    }
    stream = io.BytesIO()
    np.savez(stream, rows=found.rows, facts=np.array(json.dumps(facts)))
    write_atomic(place, stream.getvalue())


def _read(pictures: Pictures, contents: str, place: Path) -> Looks | None:
    """What an earlier run kept; None where there is nothing, or a damaged file, which is then made again."""
    names = list(pictures.paths)
    try:
        # opened here: numpy would leave a damaged file open
        with place.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
            rows, facts = kept["rows"], json.loads(str(kept["facts"]))
        return Looks(
            pictures,
            contents,
            tuple(names[index] for index in facts["places"]),
            tuple(facts["formats"]),
            tuple((width, height) for width, height in facts["sizes"]),
            rows,
            {names[int(index)]: why.replace("{folder}", pictures.folder) for index, why in facts["broken"].items()},
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile):
        place.unlink(missing_ok=True)
        return None
