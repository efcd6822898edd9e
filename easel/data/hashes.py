"""The name of a set's data: a hash of its content.

Of the content: names, the bytes of every file, captions, labels, attributes and boxes. So it names the same data on
every machine, in a model's card too, which times of change would not. Reading every byte is done once: what it came to
is kept under the names, sizes and times of change, so that the next call looks at those alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from easel.data.layouts import PictureSet
from easel.errors import EaselError
from easel.files import check_regular, read_text, write_atomic

Report = Callable[[str, int, int], None]
"""Called with a phase, how many are done and how many there are. What it raises stops the work, which can go on."""

STAMPS = "stamps.json"
MOST_STAMPS = 200


def data_hash(pictures: PictureSet, cache_folder: str | Path | None = None, report: Report | None = None) -> str:
    """SHA-256 over names, contents and annotations of every picture, 64 letters.

    With a cache folder, files whose size and time of change are as they were are not read again.
    """
    report = report or (lambda _phase, _done, _total: None)
    stamps = Path(cache_folder) / STAMPS if cache_folder is not None else None
    if stamps is None:
        return _digest(pictures, content_hash, "reading", report)
    known = _read_stamps(stamps)
    stamp = _digest(pictures, _stat, "checking", report)
    if stamp not in known:
        kept = {key: known[key] for key in list(known)[-MOST_STAMPS:]}
        known = kept | {stamp: _digest(pictures, content_hash, "reading", report)}
        write_atomic(stamps, json.dumps(known, indent=1).encode())
    return known[stamp]


def _digest(pictures: PictureSet, read: Callable[[Path], bytes], phase: str, report: Report) -> str:
    whole = hashlib.sha256(str(pictures.folder.resolve()).encode() if read is _stat else b"")
    for at, item in enumerate(pictures):
        annotations = (item.name, item.captions, item.label, sorted(item.attributes.items()), item.box, item.split)
        whole.update(repr(annotations).encode("utf-8", "surrogateescape") + read(item.path))
        if at % 1000 == 0:
            report(phase, at, len(pictures))
    report(phase, len(pictures), len(pictures))
    return whole.hexdigest()


def _stat(path: Path) -> bytes:
    try:
        found = path.stat()
    except OSError:
        return b"gone"
    return b"%d %d" % (found.st_size, found.st_mtime_ns)


def content_hash(path: Path) -> bytes:
    """The hash of a file; what is none, such as a pipe, which could be read for ever, counts as gone."""
    try:
        check_regular(path)
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except (OSError, EaselError):
        return b"gone"


def _read_stamps(path: Path) -> dict[str, str]:
    try:
        found = json.loads(read_text(path))
    except (EaselError, ValueError, RecursionError):
        return {}  # a cache of a cache: without it, files are read once more
    return found if isinstance(found, dict) else {}
