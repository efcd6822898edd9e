"""Whole files or none: a write goes to a temporary file beside the target, is synced, and takes its name at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from easel.errors import EaselError

ROOM_WANTED = 32 * 1024 * 1024
"""Bytes that must be free before a run starts: enough for a handful of pictures and the sheet."""


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
    except OSError as problem:
        raise EaselError(advice(problem, path)) from problem
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


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
        raise EaselError(advice(problem, folder)) from problem
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


def advice(problem: OSError, path: Path) -> str:
    """What a failed write means to the person who asked for it, in one line."""
    if problem.errno in {errno.ENOSPC, errno.EDQUOT}:
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
