"""Where the photos of a shared run lie: folders, patterns, buckets, and tar shards as WebDataset writes them."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from easel.errors import EaselError, printable, shortened
from easel.images import OF_A_RUN, OUR_OWN, SHARD, SUFFIXES, TAKES, is_picture
from easel.runners.cluster import places

Found = tuple[str, str, str, int | None, int | None]
"""What to sort by, name, place, and offset and size within a shard."""
PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
SHORT = ("unexpected end", "empty header")
"""What tarfile says of a file that ends in the middle."""
MOST_SHARDS = 1_000_000
LOOKED_AT = 1000
"""Entries of a bucket's folder that are looked at to tell shards from photos."""


class Source(NamedTuple):
    """One thing that was named: a photo, a folder, a pattern or a shard; and the folder that names are relative to."""

    place: str
    sort: str
    """What it is: photo, folder, pattern or shard."""
    root: str


def sources(named: Sequence[str]) -> list[Source]:
    """What was named, shard by shard. Raises EaselError on what is not there, before anything is read."""
    found: list[Source] = []
    for text in named:
        found += _sources(text)
    if not found:
        raise EaselError(f"there are no pictures in {', '.join(map(shortened, named))}")
    return found


def _sources(text: str) -> list[Source]:
    if text.lower().endswith(PACKED):
        raise EaselError(f"{shortened(text)} is packed, and cannot be read from the middle: use a plain {SHARD}")
    if BRACES.search(text):
        return [source for one in expanded(text) for source in _sources(one)]
    if text.lower().endswith(SHARD) and not any(letter in text for letter in "*?["):
        return [Source(text, "shard", _parent(text))]
    if any(letter in text for letter in "*?[") and (places.is_remote(text) or not Path(text).exists()):
        return _from_pattern(text)
    if not places.is_remote(text):
        path = places.local(text)
        if path.is_dir():
            shards = sorted((entry.name for entry in os.scandir(path) if entry.name.endswith(SHARD)), key=natural)
            plain = any(is_picture(entry) for entry in islice(os.scandir(path), LOOKED_AT))
            if shards and not plain:
                return [Source(str(path / name), "shard", str(path)) for name in shards]
            return [Source(text, "folder", text)]
        if not path.exists():
            raise EaselError(f"there is no photo or folder {shortened(text, 200)}")
        return [Source(text, "photo", _parent(text))]
    return _from_bucket(text)


def _from_bucket(text: str) -> list[Source]:
    """A folder of a bucket, its shards, or one photo there."""
    names = [name for name, is_folder in places.names_in(text) if not is_folder]
    if not names or (len(names) == 1 and not names[0]):
        if ending(text) in SUFFIXES:
            return [Source(text, "photo", _parent(text))]
        raise EaselError(f"there are no files in {shortened(text, 200)}: name a folder of photos, or {SHARD} shards")
    if (shards := [name for name in names if name.endswith(SHARD)]) and not any(
        ending(name) in SUFFIXES for name in names
    ):
        return [Source(places.below(text, name), "shard", text) for name in sorted(shards, key=natural)]
    return [Source(text, "folder", text)]


def _from_pattern(text: str) -> list[Source]:
    """What a pattern finds; names are relative to the folder before its first star."""
    fixed = re.split(r"[*?\[]", text, maxsplit=1)[0]
    root = fixed.rpartition("/")[0] or "."
    if text.lower().endswith(SHARD):
        found = places.matching(text) if places.is_remote(text) else [str(path) for path in _globbed(text)]
        if not found:
            raise EaselError(f"nothing is like {shortened(text, 200)}")
        return [Source(place, "shard", root) for place in sorted(found, key=natural)]
    return [Source(text, "pattern", root)]


def _globbed(text: str) -> Iterator[Path]:
    first = Path(text).anchor
    yield from (Path(first) if first else Path()).glob(str(Path(text).relative_to(first) if first else text))


def expanded(text: str) -> list[str]:
    """'a-{000..002}.tar' as three names, as WebDataset writes them. Raises EaselError on an endless list."""
    found = BRACES.search(text)
    if found is None:
        return [text]
    low, high = int(found[1]), int(found[2])
    if not low <= high < low + MOST_SHARDS:
        raise EaselError(f"{shortened(text)}: {found[0]} must count upwards, to at most {MOST_SHARDS:,} shards")
    numbers = (f"{number:0{len(found[1])}d}" for number in range(low, high + 1))
    return [one for number in numbers for one in expanded(text[: found.start()] + number + text[found.end() :])]


def listed(source: Source, root: str) -> Iterator[Found]:
    """The photos of a folder or a pattern, one at a time, in no order. Raises EaselError."""
    if source.sort == "photo":
        yield _found(source.place, root, source.root)
    elif source.sort == "pattern":
        matching = places.matching(source.place) if places.is_remote(source.place) else map(str, _globbed(source.place))
        for place in matching:
            if ending(place) in SUFFIXES:
                yield _found(place, root, source.root)
    elif places.is_remote(source.place):
        for name, is_folder in places.names_in(source.place):
            if not is_folder and ending(name) in SUFFIXES and not name.startswith("."):
                yield _found(places.below(source.place, name), root, source.root)
    else:
        folder = places.local(source.place)
        left_out = OUR_OWN if any((folder / name).exists() for name in OF_A_RUN) else frozenset()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name not in left_out and is_picture(entry):
                        yield _found(str(folder / entry.name), root, source.root)
        except OSError as problem:
            raise EaselError(f"cannot read {folder}: {shortened(problem.strerror or problem)}") from problem


def _found(place: str, root: str, own_root: str) -> Found:
    name = relative(place, root if root else own_root)
    return natural(name), printable(name, len(name)), place, None, None


def common_root(found: Sequence[Source]) -> str:
    """The folder that the names of several sources are relative to; '' where each has its own."""
    roots = list(dict.fromkeys(source.root for source in found))
    if len(roots) == 1:
        return roots[0]
    if any(places.is_remote(root) for root in roots):
        return ""
    return os.path.commonpath([os.path.abspath(root) for root in roots])  # noqa: PTH100 - links are kept as they are


def relative(place: str, root: str) -> str:
    """A place as it is named below a folder."""
    if places.is_remote(place):
        bare, top = place.partition("://")[2], root.partition("://")[2].rstrip("/")
        return bare[len(top) + 1 :] if bare.startswith(top + "/") else bare.rpartition("/")[2]
    path, folder = (os.path.abspath(places.local(one)) for one in (place, root or "."))  # noqa: PTH100
    return PurePosixPath(os.path.relpath(path, folder)).as_posix()


def indexed(shard: str, root: str) -> tuple[list[Found], str]:
    """Where each photo of a shard lies in it, in order; and what is wrong with the shard, '' where it is whole.

    Only heads are read. Of a shard that is cut short what is whole counts. Raises EaselError on what is no tar at all.
    """
    found: list[Found] = []
    name, wrong = relative(shard, root or _parent(shard)), ""
    with places.opened(shard) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r:") as tar:
                end = 0
                for member in tar:
                    end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                    base = member.name.rpartition("/")[2]
                    if member.isfile() and ending(member.name) in SUFFIXES and not base.startswith("."):
                        shown = f"{name}/{printable(member.name, len(member.name))}"
                        found.append((f"{len(found):012d}", shown, shard, member.offset_data, member.size))
                stream.seek(end)
                if len(stream.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE:
                    wrong = "cut short"
        except (tarfile.ReadError, EOFError) as problem:
            is_short = found or any(words in str(problem) for words in SHORT)
            wrong = "cut short" if is_short else f"no tar file ({shortened(problem)})"
        except tarfile.TarError as problem:
            wrong = f"damaged ({shortened(problem)})"
    if found and wrong:
        found = _whole(found, shard)
    return found, wrong


def read_heads(shard: str, root: str) -> tuple[list[Found], str]:
    """The photos in a shard, as `indexed` finds them, and a note where something is wrong with it."""
    try:
        rows, wrong = indexed(shard, root)
    except EaselError as problem:
        return [], str(problem)
    what = f"{len(rows)} whole photos in it are done" if rows else "it is left out"
    return rows, f"{shard} is {wrong}: {what}" if wrong else ""


def _whole(found: list[Found], shard: str) -> list[Found]:
    """Without the last photo, where the shard ends within it."""
    _, _, _, at, size = found[-1]
    with places.opened(shard) as stream:
        stream.seek(0, os.SEEK_END)
        return found if (at or 0) + (size or 0) <= stream.tell() else found[:-1]


def natural(name: str) -> str:
    """A text that sorts names as people do: 2 before 10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return "".join(f"\x02{int(part):030d}" if part.isdigit() else f"\x01{part}" for part in parts)


def ending(name: str) -> str:
    """'.jpg' of A.JPG."""
    return PurePosixPath(name).suffix.lower()


def nothing_found(named: Sequence[str]) -> EaselError:
    """The error for sources in which there is no photo."""
    return EaselError(f"there are no pictures in {', '.join(shortened(text, 200) for text in named)}: {TAKES}")


def _parent(place: str) -> str:
    if places.is_remote(place):
        return place.rpartition("/")[0]
    return str(places.local(place).parent)
