"""A set packed for training: one memory-mapped file of pixels, and an index beside it.

CACHE/HASH-SIDE/ holds pixels.npy (n, side, side, 3) uint8, the names, captions, labels and attributes as .npy columns,
and index.json. All of it is mapped, not read: a million pictures cost no memory but the pages in use.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from easel.data.annotations import Annotations
from easel.data.columns import Captions, Column, Texts, mapped
from easel.data.hashes import Report, data_hash
from easel.data.item import Item
from easel.data.layouts import PictureSet
from easel.data.square import cut
from easel.errors import EaselError, shortened
from easel.files import unwritable, write_atomic

MOST_SIDE = 1024
CHUNK_BYTES = 24 * 2**20
WAITING = "waiting for another run that packs this set"
PAUSE = 0.2
"""Seconds between two attempts to take the lock."""
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What some network drives answer to a lock."""


@dataclass(frozen=True, eq=False)
class Packed(Annotations):
    """A packed set: everything a network trains on. Row i of every part is the same picture."""

    pixels: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 1, 1, 3), np.uint8))
    """(n, side, side, 3) RGB, memory-mapped and read-only."""
    hash: str = ""
    """64 hexadecimal letters that name the data, whatever the resolution."""
    broken: dict[str, str] = field(default_factory=dict)
    """Pictures that were left out, by name, and why."""

    @property
    def side(self) -> int:
        """Pixels a side."""
        return int(self.pixels.shape[1])


def packed(
    pictures: PictureSet, side: int, cache_folder: str | Path, tell: Report | None = None, workers: int | None = None
) -> Packed:
    """The set at one resolution, from the cache, or packed into it first.

    Broken pictures are left out and named in `.broken`. Killed at any moment, the next call goes on where it stopped.
    Two processes that want the same set do not both pack it: the second waits, and takes what the first has packed.
    Pictures are decoded by `workers` threads (two, or as many as there are cores up to four).

    Raises EaselError when every picture is broken, `side` is not 8 to 1024, or the disk is full.
    """
    if not 8 <= side <= MOST_SIDE:
        raise EaselError(f"a resolution of {side} pixels cannot be packed: use 8 to {MOST_SIDE}")
    say = tell or (lambda _phase, _done, _total: None)
    cache = Path(cache_folder)
    key = data_hash(pictures, cache, say)
    place = cache / f"{key[:20]}-{side}"
    if not _is_whole(place):
        packing = _Packing(pictures, side, key, place.with_name(f"{place.name}.part"))
        try:
            _pack_alone(packing, place, say, workers or cores())
        except OSError as problem:
            raise unwritable(problem, place) from problem
    return load(place)


def _pack_alone(packing: _Packing, place: Path, say: Report, workers: int) -> None:
    """Pack a set that no other process packs; else wait, and go on from what that one leaves."""
    lock = place.with_name(f"{place.name}.lock")
    with _locked(lock, lambda: say(WAITING, 0, 1)):
        if not _is_whole(place):
            packing.run(place, say, workers)
    with contextlib.suppress(OSError):
        lock.unlink()  # one that still waits for it finds the set whole


@contextlib.contextmanager
def _locked(file: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock on `file`; `waiting` is called while another process holds it, and what it raises ends the wait.

    The system lets go of it when its process ends, even one that is killed. On a drive without locks nobody waits.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file, fallback_to_soft=False)
    with contextlib.ExitStack() as held:
        while not lock.is_locked:
            try:
                held.enter_context(lock.acquire(timeout=PAUSE))
            except Timeout:
                waiting()
            except NotImplementedError:
                break
            except OSError as problem:
                if problem.errno not in WITHOUT_LOCKS:
                    raise
                break
        yield


def _is_whole(place: Path) -> bool:
    return (place / "index.json").is_file()


def load(place: Path) -> Packed:
    """A packed set from its folder, memory-mapped. Raises EaselError when it is damaged."""
    try:
        index = json.loads((place / "index.json").read_text(encoding="utf-8"))
        codes = mapped(place / "attributes.npy")
        made = Packed(
            names=Texts.load(place, "names"),
            captions=Captions(Texts.load(place, "captions")),
            label=Column("label", tuple(index["classes"]), mapped(place / "labels.npy")),
            attributes={
                name: Column(name, tuple(values), codes[:, at])
                for at, (name, values) in enumerate(index["attributes"].items())
            },
            pixels=mapped(place / "pixels.npy"),
            hash=index["hash"],
            broken=index["broken"],
        )
        if made.pixels.shape != (len(made.names), index["side"], index["side"], 3):
            raise ValueError("pixels and names differ in number")
    except (OSError, ValueError, KeyError, TypeError, IndexError) as problem:
        raise EaselError(f"the packed set {place} is damaged ({shortened(problem)}): delete that folder") from problem
    return made


def cores() -> int:
    """Threads that decode: more than four only wait for the disk."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2
    return max(2, min(4, usable))


class _Packing:
    """One set on its way into the cache. Its folder takes its name when everything in it is written."""

    def __init__(self, pictures: PictureSet, side: int, key: str, part: Path) -> None:
        self.pictures, self.side, self.key, self.part = pictures, side, key, part
        self.seen, self.broken = 0, dict[int, str]()

    def run(self, place: Path, say: Report, workers: int) -> None:
        """Pack what an earlier run left, write the index, and put the folder in its place."""
        pixels = self._begin()
        chunk = max(16, min(1024, CHUNK_BYTES // (self.side * self.side * 3)))
        total = len(self.pictures)
        say("packing", self.seen, total)
        with ThreadPoolExecutor(workers) as pool:
            while self.seen < total:
                for made in pool.map(self._cut, _items(self.pictures, self.seen, self.seen + chunk)):
                    if isinstance(made, str):
                        self.broken[self.seen] = made
                    else:
                        pixels[self.seen - len(self.broken)] = made
                    self.seen += 1
                pixels.flush()
                self._note()
                say("packing", self.seen, total)
        if len(self.broken) == total:
            shutil.rmtree(self.part, ignore_errors=True)
            raise EaselError(f"not one of {total} pictures can be opened; the first: {self.broken[0]}")
        del pixels
        self._finish(place)

    def _begin(self) -> np.memmap[Any, Any]:
        """The pixels as a file of its full length, and how far an earlier run came."""
        file, shape = self.part / "pixels.npy", (len(self.pictures), self.side, self.side, 3)
        try:
            noted = json.loads((self.part / "progress.json").read_text(encoding="utf-8"))
            pixels = np.lib.format.open_memmap(file, mode="r+")
            if pixels.shape != shape:
                raise ValueError("another set's")
            self.seen = int(noted["seen"])
            self.broken = {int(at): str(why) for at, why in noted["broken"].items()}
        except (OSError, ValueError, KeyError):
            self.seen, self.broken = 0, {}
            self.part.mkdir(parents=True, exist_ok=True)
            wanted, free = int(np.prod(shape)), shutil.disk_usage(self.part).free
            if wanted > free:
                message = (
                    f"packing {self.part} takes {wanted >> 20:,} MB and {free >> 20:,} are free: use another cache"
                )
                raise EaselError(message) from None
            pixels = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
        return pixels

    def _cut(self, item: Item) -> NDArray[np.uint8] | str:
        """The square of one picture, or why there is none."""
        try:
            return cut(item, self.side)
        except EaselError as problem:
            return str(problem)

    def _note(self) -> None:
        noted = {"seen": self.seen, "broken": self.broken}
        write_atomic(self.part / "progress.json", json.dumps(noted).encode())

    def _finish(self, place: Path) -> None:
        rows = np.setdiff1d(np.arange(len(self.pictures)), np.fromiter(self.broken, np.int64, len(self.broken)))
        shorten(self.part / "pixels.npy", len(rows))
        kept = self.pictures.subset(rows) if self.broken else self.pictures
        kept.names.save(self.part, "names")
        kept.captions.texts.save(self.part, "captions")
        np.save(self.part / "labels.npy", kept.labels)
        columns = [column.codes for column in kept.attributes.values()]
        np.save(
            self.part / "attributes.npy", np.stack(columns, axis=1) if columns else np.zeros((len(kept), 0), np.int32)
        )
        index = {
            "hash": self.key,
            "side": self.side,
            "count": len(kept),
            "layout": self.pictures.layout,
            "classes": kept.classes,
            "attributes": {name: column.values for name, column in kept.attributes.items()},
            "broken": {self.pictures.names[at]: why for at, why in self.broken.items()},
        }
        write_atomic(self.part / "index.json", json.dumps(index).encode())
        (self.part / "progress.json").unlink(missing_ok=True)
        try:
            self.part.replace(place)
        except OSError:
            if not _is_whole(place):  # else another process was quicker, on a drive without locks
                raise


def _items(pictures: PictureSet, start: int, end: int) -> Iterator[Item]:
    return (pictures[at] for at in range(start, min(end, len(pictures))))


def shorten(file: Path, rows: int) -> None:
    """Cut a C-ordered .npy file to its first `rows` rows. The header keeps its length: numpy leaves room for it."""
    whole = np.load(file, mmap_mode="r")
    shape, dtype, data = (rows, *whole.shape[1:]), whole.dtype, whole.offset
    del whole
    with file.open("r+b") as stream:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        if stream.tell() != data:
            raise EaselError(f"{file} is not a file that easel wrote: delete its folder")
        stream.truncate(data + int(np.prod(shape)) * dtype.itemsize)
