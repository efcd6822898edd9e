"""A set of pictures, in any layout that training reads, as a judge sees it: its rows, and what they were made of.
Computed once, then kept by the hash of the pictures, of their cut and of the judge.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel import models
from easel.data import Box, Item, cut, open_set
from easel.data.hashes import content_hash
from easel.errors import EaselError, printable
from easel.files import write_atomic
from easel.images import FORMATS, READ_SIDE, open_picture, size_of
from easel.jobs.data.words import left_out_notes
from easel.jobs.inputs import MOST_TOGETHER, skipped_notes
from easel.models.catalog.locate import own_cache
from easel.recipes.score import ScoreSets
from easel.workspace import Blob, Blobs, Made, Work, Workspace

if TYPE_CHECKING:
    from easel.models.set_features import SetFeatureModel

TOGETHER = 64  # pictures in memory at once, and in a worker's hands
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
    blobs: Mapping[str, Blob] = field(default_factory=dict)
    """Where those lie that are in no file of this disk."""

    @classmethod
    def of(cls, folder: str, side: int | None = None, layout: str | None = None, split: str | None = None) -> Pictures:
        """The set in `folder`, or one split of it. Raises EaselError on none, and on fewer than two pictures."""
        found = open_set(folder, layout, split)
        cls._check_enough(folder, len(found))
        paths: dict[str, Path] = {}
        boxes: dict[str, Box] = {}
        for item in found:
            name = printable(item.name, len(item.name))
            name += "_" * (name in paths)  # two names that are not UTF-8 may look the same
            paths[name] = item.path
            if side and item.box:
                boxes[name] = item.box
        return cls(folder, paths, boxes, side, found.missing, tuple(left_out_notes(found)))

    @classmethod
    def far(cls, folder: str, side: int | None, found: Blobs) -> Pictures:
        """The set in a bucket or in shards, which have no tables. Raises EaselError on fewer than two pictures."""
        cls._check_enough(folder, len(found.pictures))
        blobs: dict[str, Blob] = {}
        for one in found.pictures:
            blobs[one.name + "_" * (one.name in blobs)] = one
        paths = {name: Path(name) for name in blobs}
        return cls(folder, paths, {}, side, 0, tuple(found.notes), blobs)

    @staticmethod
    def _check_enough(folder: str, count: int) -> None:
        if count < 2:
            raise EaselError(f"{folder} has one picture: a set needs at least 2, and numbers that mean something 2,048")

    def place(self, name: str, digest: str = "") -> Place:
        """Where one picture is found."""
        if (one := self.blobs.get(name)) is not None:
            return Place(name, one.path, None, digest, one.offset, one.length)
        return Place(name, str(self.paths[name]), self.boxes.get(name), digest)


class Place(NamedTuple):
    """Where a picture of a set is found: its name, its file, its box where it has one, the file's hash if known, and
    where it begins in a shard and how long it is.
    """

    name: str
    path: str
    box: Box | None = None
    digest: str = ""
    offset: int | None = None
    length: int | None = None


def picture_at(place: Place, side: int | None) -> Image.Image:
    """A picture whole, at most 2,048 pixels long, or the square of `side` pixels that training cuts out of it. Raises
    EaselError.
    """
    if side:
        return Image.fromarray(cut(Item(place.name, Path(place.path), box=place.box), side))
    return open_picture(Path(place.path), READ_SIDE)


class Look(Work[ScoreSets]):
    """Look at the pictures of a set: the judge's row of each that opens, and what it is saved as."""

    @cached_property
    def judge(self) -> SetFeatureModel:
        """Who looks."""
        return models.load(self.recipe.judge, "features", self.workspace.device)

    def __call__(self, items: Sequence[Place]) -> Made:
        """Names, formats, sizes and rows (n, d) of those that open, why the others do not, and the hash of each file
        where it is not known.
        """
        broken: dict[str, str] = {}
        facts: list[tuple[str, str, tuple[int, int]]] = []
        rows, together, pixels = [], list[Image.Image](), 0
        for at, place in enumerate(items, 1):
            try:
                picture = picture_at(place, self.recipe.resolution)
            except EaselError as problem:
                broken[place.name] = printable(problem)
            else:
                facts.append((place.name, format_of(Path(place.path)), size_of(picture)))
                together.append(picture)
                pixels += picture.width * picture.height
            if together and (at == len(items) or pixels > MOST_TOGETHER):
                rows.append(self.judge.features(together))
                together, pixels = [], 0
        made: Made = {"facts": facts, "broken": broken}
        made["digests"] = [place.digest or content_hash(Path(place.path)).hex() for place in items]
        return made | ({"rows": np.concatenate(rows)} if rows else {})


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


def looked_at(pictures: Pictures, look: Look, workspace: Workspace, phase: str) -> Looks:
    """The pictures as `look`'s judge sees them, from an earlier run where neither has changed.

    A crowd looks at all of them, and keeps what it saw in the run's own folder: nobody must read a million files twice.
    Raises EaselError on fewer than two pictures that open, and on rows that are not finite, naming the picture.
    """
    kept: Path | None = None
    found: Looks | None = None
    digests = [b""] * len(pictures.paths)
    if workspace.crowd is None:
        digests = _digests(pictures, workspace, phase)
        kept = own_cache() / "features" / f"{_key(pictures, digests, look.judge)}.npz"
        found = _read(pictures, _of_all(digests), kept)
    found = found or _seen(pictures, digests, look, workspace, phase)
    if len(found.names) < 2:
        skipped_notes(found.broken, len(pictures.paths))
        raise EaselError(f"{pictures.folder} has one picture that opens ({found.names[0]}): a set needs at least 2")
    _check_finite(found, look.judge)
    if kept is not None and not kept.exists():
        _keep(found, kept)
    workspace.step(phase, len(pictures.paths), len(pictures.paths))
    return found


def _of_all(digests: Sequence[bytes]) -> str:
    """The hash of all files, whatever their order."""
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


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


def _seen(pictures: Pictures, digests: Sequence[bytes], look: Look, workspace: Workspace, phase: str) -> Looks:
    """Open every picture once, and look."""
    places = [pictures.place(name, digest.hex()) for name, digest in zip(pictures.paths, digests, strict=True)]
    lost: dict[Place, str] = {}
    broken: dict[str, str] = {}
    facts: list[tuple[str, str, Sequence[int]]] = []
    parts, hashes = [], list[bytes]()
    for _, made in workspace.each(phase, look, places, TOGETHER, lost):
        facts += made["facts"]
        broken |= made["broken"]
        hashes += map(bytes.fromhex, made["digests"])
        parts += [made["rows"]] if "rows" in made else []
    broken |= {place.name: f"{place.name}: {why}" for place, why in lost.items()}
    skipped_notes(broken, len(places))
    names, formats, sizes = zip(*facts, strict=True)
    sides = tuple((int(width), int(height)) for width, height in sizes)
    return Looks(pictures, _of_all(hashes), names, formats, sides, np.concatenate(parts), broken)


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
