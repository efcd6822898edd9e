"""Whole files or none: a write goes to a temporary file beside the target, is synced, and takes its name at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from easel.errors import EaselError, NoRoom, shortened

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
ROOM_WANTED = 32 * 1024 * 1024
"""Bytes that must be free before a run starts: enough for a handful of pictures and the sheet."""


PART = re.compile(r"\..*[.-][0-9a-f]{8}\.part", re.DOTALL)
"""Names of files that are being written, see `atomic_path`."""
MOST_TEXT = 50_000_000
"""Bytes of a text file that is read whole, where its reader names no smaller number."""


def check_regular(path: Path) -> os.stat_result:
    """What the system says of a file. Raises EaselError on folders, pipes and devices, which could be read for ever,
    and where nothing is there.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise EaselError(f"there is no file {shortened(path, 200)}") from None
    except (OSError, ValueError) as problem:
        raise EaselError(f"cannot read {shortened(path, 200)}: {shortened(_reason(problem))}") from problem
    if stat.S_ISDIR(found.st_mode):
        raise EaselError(f"{shortened(path, 200)} is a folder: name a file in it")
    if not stat.S_ISREG(found.st_mode):
        raise EaselError(f"{shortened(path, 200)} is a pipe or a device: only files are read")
    return found


def read_text(path: str | Path, most: int = MOST_TEXT) -> str:
    """The UTF-8 text of a file, a byte order mark at its start left out.

    Raises EaselError on what is no file, has more than `most` bytes, cannot be read, or is no UTF-8.
    """
    path = Path(path)
    size = check_regular(path).st_size
    if size > most:
        raise EaselError(f"{shortened(path, 200)} has {size:,} bytes: at most {most:,} are read")
    try:
        return path.read_bytes()[:most].decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = problem.object[: problem.start].count(b"\n") + 1
        raise EaselError(
            f"{shortened(path, 200)}: line {line} is not UTF-8 text ({_encoding(problem.object)}): save it as UTF-8"
        ) from problem
    except OSError as problem:
        raise EaselError(f"cannot read {shortened(path, 200)}: {shortened(_reason(problem))}") from problem


def _encoding(content: bytes) -> str:
    """What a text that is no UTF-8 probably is."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "it looks like UTF-16"
    return "it holds zeros, as binary files do" if b"\0" in content else "it may be Latin-1"


def _reason(problem: Exception) -> str:
    return getattr(problem, "strerror", None) or str(problem)


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path`, so that a reader sees the old file or the new one, never a half.

    Raises EaselError, with what to do, when the disk is full or the folder cannot be written.
    """
    with atomic_path(path) as part:
        part.write_bytes(content)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A new name beside `path` to write to; what lies there at the end of the block is synced and becomes `path`.

    Where the block raises, `path` stays as it was and nothing is left beside it. An OSError comes out as an EaselError
    that says what to do.
    """
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except (OSError, UnicodeEncodeError) as problem:
        raise unwritable(problem, path) from problem
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Take away what a killed run left of files it was writing, here and below. Nobody else may be writing there."""
    for path in folder.rglob(".*.part"):
        if PART.fullmatch(path.name):
            with contextlib.suppress(OSError):
                path.unlink()


def check_folder(folder: Path) -> None:
    """Make `folder` and prove, before the expensive part, that files can be written there. Raises EaselError."""
    probe = folder / f".easel-{secrets.token_hex(4)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if free < ROOM_WANTED:
            raise OSError(errno.ENOSPC, "only a little is free")
        probe.write_bytes(b"easel")
    except OSError as problem:
        raise unwritable(problem, folder) from problem
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def unwritable(problem: OSError | ValueError, path: Path) -> EaselError:
    """The error of a failed write, a NoRoom where the disk is full."""
    full = isinstance(problem, OSError) and problem.errno in FULL
    return (NoRoom if full else EaselError)(advice(problem, path))


def advice(problem: OSError | ValueError, path: Path) -> str:
    """What a failed write means to the person who asked for it, in one line."""
    if not isinstance(problem, OSError):
        return f"cannot write {shortened(path, 100)}: {problem}; choose another --out"
    if problem.errno in FULL:
        return f"cannot write {path}: the disk is full; free at least {ROOM_WANTED >> 20} MB or choose another --out"
    if problem.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"cannot write {path}: you may not write there; choose another --out"
    if isinstance(problem, (NotADirectoryError, FileExistsError)):
        return f"cannot write {path}: a file is where a folder is needed; choose another --out"
    if problem.errno == errno.ENAMETOOLONG:
        return f"cannot write {str(path)[:60]}...: the name is too long; choose a shorter --out"
    return f"cannot write {path}: {problem.strerror or problem}; choose another --out"


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut; some systems cannot sync a folder, and need not."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
