"""Files in folders and in buckets alike, by fsspec paths: s3://bucket/photos, gs://..., /data/photos. Nothing is
imported for a bucket before one is named, and whatever goes wrong there is said in one line.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from easel.errors import EaselError, shortened, state_folder
from easel.files import check_regular, write_atomic

PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
"""What fsspec needs for a scheme beyond itself."""
BLOCK = 8 * 1024 * 1024
"""Bytes that are read ahead where a file in a bucket is read from end to end."""


def scheme_of(place: str) -> str:
    """'s3' of s3://bucket/photos; '' of a path on a disk."""
    scheme, mark, _ = place.partition("://")
    return scheme if mark and scheme.isalnum() else ""


def is_remote(place: str | Path) -> bool:
    """Whether a place is in a bucket, or on a server, and not on a disk."""
    return scheme_of(str(place)) not in {"", "file"}


@contextlib.contextmanager
def advising(place: str, doing: str = "read") -> Iterator[None]:
    """Whatever a bucket's library raises, as one line of advice that names the place."""
    said = shortened(place, 200)
    try:
        yield
    except EaselError:
        raise
    except FileNotFoundError as problem:
        raise EaselError(f"there is no {said}, or no such bucket") from problem
    except PermissionError as problem:
        raise EaselError(
            f"you may not {doing} {said} ({shortened(problem)}): the bucket's owner must let this account do so; "
            "credentials are taken from where the bucket's own tools take them"
        ) from problem
    except Exception as problem:
        name = type(problem).__name__
        if "Credential" in name or "Credential" in str(problem):
            raise EaselError(
                f"cannot {doing} {said}: no credentials are set for it ({shortened(problem)})"
            ) from problem
        if "Connect" in name or "Endpoint" in name or isinstance(problem, ConnectionError | TimeoutError):
            raise EaselError(f"cannot {doing} {said}: nobody answers there ({shortened(problem, 120)})") from problem
        raise EaselError(f"cannot {doing} {said}: {name}: {shortened(problem, 120)}") from problem


def system(place: str) -> Any:
    """fsspec's file system of a place. Raises EaselError where its package is missing, saying which."""
    import fsspec

    scheme = scheme_of(place)
    if scheme not in fsspec.available_protocols():
        raise EaselError(f"{shortened(place, 200)}: '{scheme}://' is not known: use s3://, gs:// or a folder")
    package = PACKAGES.get(scheme, "")
    if package and importlib.util.find_spec(package) is None:
        extra = "'easel[s3]'" if package == "s3fs" else package
        raise EaselError(f"{scheme}:// needs {package}, which is not installed: pip install {extra}")
    options: dict[str, Any] = {"skip_instance_cache": False}
    if package == "s3fs":
        options["config_kwargs"] = {"connect_timeout": 5, "retries": {"max_attempts": 2}}
    with advising(place):
        found, _ = fsspec.url_to_fs(place, **options)  # which reads a host from the address
        return found


def read(place: str, offset: int = 0, size: int | None = None) -> bytes:
    """The bytes of a file, or `size` of them from `offset` on. Raises EaselError."""
    if not is_remote(place):
        path = local(place)
        check_regular(path)
        with advising(place), path.open("rb") as stream:
            stream.seek(offset)
            return stream.read(-1 if size is None else size)
    files = system(place)
    with advising(place):
        end = None if size is None else offset + size
        found: bytes = files.cat_file(place, start=offset or None, end=end)
        return found


def write(place: str, content: bytes) -> None:
    """Write a file, whole or not at all: one upload, or a rename. Raises EaselError."""
    if not is_remote(place):
        write_atomic(local(place), content)
        return
    files = system(place)
    with advising(place, "write"):
        files.pipe_file(place, content)


def send(path: Path, place: str) -> None:
    """Copy a file of this disk to a bucket, piece by piece. Raises EaselError."""
    files = system(place)
    with advising(place, "write"):
        files.put_file(str(path), place)


def fetch(place: str, path: Path) -> bool:
    """Copy a file of a bucket to this disk; whether there was one. Raises EaselError."""
    files = system(place)
    with advising(place):
        files.invalidate_cache()
        if not files.exists(place):
            return False
        part = path.with_name(f"{path.name}.fetched")
        files.get_file(place, str(part))
        part.replace(path)
    return True


@contextlib.contextmanager
def opened(place: str) -> Iterator[IO[bytes]]:
    """A file to read from end to end; a bucket's is read ahead, and never whole in memory. Raises EaselError."""
    if is_remote(place):
        files = system(place)
        with advising(place), files.open(place, "rb", block_size=BLOCK, cache_type="readahead") as stream:
            yield stream
    else:
        check_regular(local(place))
        with advising(place), local(place).open("rb") as stream:
            yield stream


def names_in(place: str) -> Iterator[tuple[str, bool]]:
    """Name and whether it is a folder, of all that lies directly in a folder of a bucket. Raises EaselError."""
    files = system(place)
    with advising(place):
        top = files._strip_protocol(place).rstrip("/")
        for entry in files.ls(top, detail=True, refresh=True):
            name = str(entry["name"]).rstrip("/")
            if name != top:
                yield name[len(top) + 1 :], entry["type"] == "directory"
        files.invalidate_cache()


def matching(pattern: str) -> list[str]:
    """What a pattern with *, ?, ** or [] finds in a bucket, with the scheme before each. Raises EaselError."""
    files = system(pattern)
    with advising(pattern):
        found = [files.unstrip_protocol(name) for name in files.glob(pattern)]
        files.invalidate_cache()
        return sorted(found)


def check_writable(folder: str) -> None:
    """Prove, before the expensive part, that files can be written in a bucket's folder. Raises EaselError."""
    probe = below(folder, ".easel-probe")
    files = system(folder)
    with advising(folder, "write"):
        files.pipe_file(probe, b"easel")
        files.rm_file(probe)


def below(folder: str, name: str) -> str:
    """The place of a name in a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_remote(folder) else str(local(folder) / name)


def local(place: str) -> Path:
    """The path of a place on a disk."""
    return Path(place.removeprefix("file://"))


def state_of(to: str) -> Path:
    """Where the manifest lies on this machine of a run whose pictures go to a bucket: the same for the same place."""
    return state_folder() / "runs" / hashlib.sha256(to.rstrip("/").encode()).hexdigest()[:16]
