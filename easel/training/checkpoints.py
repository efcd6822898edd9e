"""Checkpoints: a safetensors file with tensors, a `Position` and a checksum over both, written whole or not at all."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from easel.errors import EaselError, NoRoom, shortened
from easel.files import FULL, atomic_path
from easel.training.state import Position

POSITION, CHECKSUM = "position", "checksum"
"""Keys of the file's metadata."""


def write(path: Path, tensors: Mapping[str, Tensor], position: Position) -> None:
    """Write a checkpoint (temporary file, fsync of file and folder, rename).

    Raises EaselError on a full disk and the like; the file that was there is then left as it was.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    words = to_json(asdict(position), inf_nan_mode="constants").decode()
    kept = "; the one before is kept" if path.exists() else ""
    try:
        with atomic_path(path) as part:
            save_file(plain, part, {POSITION: words, CHECKSUM: checksum(plain, words)})
    except EaselError as problem:
        raise type(problem)(f"{problem}{kept}") from problem
    except SafetensorError as problem:  # what safetensors makes of an error of the disk
        kind = NoRoom if any(f"os error {number})" in str(problem) for number in FULL) else EaselError
        raise kind(f"cannot write {path}: {shortened(problem, 120)}{kept}") from problem


def read(path: Path) -> tuple[dict[str, Tensor], Position]:
    """Tensors and position as `write` was given them. Raises EaselError on a file that is damaged, by even one bit."""
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is no dict
        metadata = file.metadata() or {}
    position = _position(path, metadata)
    if metadata.get(CHECKSUM) != checksum(tensors, metadata[POSITION]):
        raise _damaged(path, "its checksum is another")
    return tensors, position


def read_position(path: Path) -> Position:
    """The position alone; tensors are neither read nor checked. Raises EaselError on a file that is damaged."""
    with _opened(path) as file:
        return _position(path, file.metadata() or {})


def checksum(tensors: Mapping[str, Tensor], words: str) -> str:
    """32 hexadecimal letters: BLAKE2 of ``words`` and each tensor's name, type, shape and bytes, in order of names."""
    digest = hashlib.blake2b(words.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def strip(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under ``prefix``, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _position(path: Path, metadata: Mapping[str, str]) -> Position:
    if POSITION not in metadata:
        raise EaselError(f"{path} does not say how far it came, as those of an earlier easel: delete it to begin anew")
    try:
        return TypeAdapter(Position).validate_json(metadata[POSITION], strict=True)
    except ValidationError as problem:
        first = problem.errors()[0]
        raise _damaged(path, f"{'.'.join(map(str, first['loc'])) or 'its position'}: {first['msg']}") from problem


def _damaged(path: Path, why: object) -> EaselError:
    return EaselError(f"{path} is damaged ({shortened(why)}): delete it to begin anew")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, "pt") as file:
            yield file
    except (SafetensorError, OSError) as problem:
        raise _damaged(path, problem) from problem
