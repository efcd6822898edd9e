"""What stands between a file from somewhere and a model: content is looked at before anything is loaded, weights after.

A pickle runs code when it is opened, so it is refused by its content, whatever its name says.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easel.errors import EaselError

if TYPE_CHECKING:
    from torch import nn

WIDTHS = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "F8_E8M0": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
}
WIDTHS |= {"I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8, "C64": 8}
CONVERT = (
    'convert it once, where it can do no harm: python -c "import torch, safetensors.torch as s; '
    "w = torch.load('IN', weights_only=True); s.save_file({k: v.contiguous() for k, v in "
    "w.get('state_dict', w).items() if hasattr(v, 'contiguous')}, 'OUT.safetensors')\""
)
PICKLED = ("pytorch_model.bin", "diffusion_pytorch_model.bin", "model.ckpt", "pytorch_model.bin.index.json")
WEIGHTS = ("model.safetensors", "diffusion_pytorch_model.safetensors")


def is_pickle(path: Path) -> bool:
    """True if the content is a pickle: torch's zip, a raw pickle of any protocol, or an old torch tar.

    A safetensors file begins with the length of its header, whose first two bytes may be those of a pickle: it is told
    by the header's first sign and the zeros before it.
    """
    with path.open("rb") as file:
        head = file.read(512)
        file.seek(max(0, path.stat().st_size - 1))
        last = file.read(1)
    if head[4:9] == b"\0\0\0\0{":
        return False
    if head[:4] == b"PK\x03\x04" or (head[:1] == b"\x80" and head[1:2] in b"\x01\x02\x03\x04\x05"):
        return True
    if head[257:262] == b"ustar":
        return True
    return last == b"." and head[:1] in b"(c]}" and head[1:2] in b"dlpqt}]cio_abefmnrsuvwxy("  # protocol 0 and 1


def check_file(path: Path) -> dict[str, Any]:
    """The header of a whole .safetensors file: tensor name -> {dtype, shape, data_offsets}. EaselError for anything
    else.
    """
    if not path.is_file():
        raise EaselError(f"no file {path}")
    size = path.stat().st_size
    if size == 0:
        raise EaselError(f"{path} is empty (0 bytes): download it again")
    if is_pickle(path):
        raise EaselError(f"{path} is a pickle, which can run code when opened, whatever its name says; {CONVERT}")
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        text = file.read(length) if 2 <= length <= min(size, 100_000_000) else b""
    _refuse_other_kinds(path, head + text[:64] if text else path.read_bytes()[:64])
    if not text.startswith(b"{"):
        raise EaselError(f"{path} is not a safetensors file (its header makes no sense): download it again")
    if len(text) < length:
        raise EaselError(f"{path} is cut short inside its header: download it again")
    return _check_header(path, text, size - 8 - length)


def _refuse_other_kinds(path: Path, head: bytes) -> None:
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise EaselError(f"{path} is a web page, not weights: the download needs a login or another address")
    if start.startswith(b"version https://git-lfs"):
        raise EaselError(f"{path} is a git-lfs pointer, not weights: run `git lfs pull` in its folder")
    if start.startswith(b"gguf"):
        raise EaselError(
            f"{path} is a GGUF file, which easel does not read: use the .safetensors file of the same model"
        )


def _check_header(path: Path, text: bytes, room: int) -> dict[str, Any]:
    try:
        header = json.loads(text)
        header.pop("__metadata__", None)
        ends = [0]
        for name, entry in header.items():
            start, end = entry["data_offsets"]
            count = 1
            for side in entry["shape"]:
                count *= side
            if entry["dtype"] in WIDTHS and count * WIDTHS[entry["dtype"]] != end - start:
                raise EaselError(f"{path}: the header of tensor '{name}' contradicts itself: download it again")
            ends.append(end)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EaselError(f"{path}: the safetensors header is corrupt: download it again") from error
    if max(ends) > room:
        missing = (max(ends) - room) / 1e6
        raise EaselError(f"{path} is cut short: {missing:.1f} MB of its weights are missing; download it again")
    return dict(header)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; EaselError naming the file if it is not one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EaselError(f"no file {path}") from error
    except (ValueError, OSError) as error:
        raise EaselError(f"{path} is not readable JSON ({error}): download it again") from error
    if not isinstance(content, dict):
        raise EaselError(f"{path} should hold a JSON object")
    return content


def weight_files(folder: Path) -> tuple[list[Path], str | None]:
    """The whole weights of one model folder, and their variant (None or 'fp16'); shards are named by their index.

    EaselError if they are missing (saying what is), pickled, or damaged.
    """
    for variant in (None, "fp16"):
        for plain in WEIGHTS:
            name = plain if variant is None else plain.replace(".safetensors", f".{variant}.safetensors")
            index = _index_file(folder, plain, variant)
            files = [folder / name] if (folder / name).is_file() else []
            if index is not None:
                files = sorted({folder / str(shard) for shard in read_json(index).get("weight_map", {}).values()})
            for file in files:
                if not file.is_file():
                    raise EaselError(f"{file.name} is missing in {folder}")
                check_file(file)
            if files:
                return files, variant
    pickled = [name for name in PICKLED if (folder / name).is_file()]
    if pickled:
        raise EaselError(f"{folder} has only {pickled[0]}, a pickle, which can run code when opened; {CONVERT}")
    raise EaselError(f"{' or '.join(WEIGHTS)} is missing in {folder}")


def _index_file(folder: Path, plain: str, variant: str | None) -> Path | None:
    stem = plain.removesuffix(".safetensors")
    names = (
        [f"{plain}.index.json"]
        if variant is None
        else [
            f"{stem}.safetensors.index.{variant}.json",
            f"{stem}.{variant}.safetensors.index.json",
        ]
    )
    return next((folder / name for name in names if (folder / name).is_file()), None)


def check_tokenizer(folder: Path) -> None:
    """EaselError if a tokenizer's folder lacks its words."""
    if (folder / "tokenizer.json").is_file() or (folder / "vocab.txt").is_file():
        return
    missing = [name for name in ("vocab.json", "merges.txt") if not (folder / name).is_file()]
    if missing:
        raise EaselError(f"{' and '.join(missing)} (or tokenizer.json) missing in {folder}")


def check_finite(model: nn.Module, what: str) -> None:
    """EaselError naming the first tensor that holds a NaN or an infinity."""
    import torch

    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if tensor.is_floating_point() and tensor.numel():
            bad = int((~torch.isfinite(tensor)).sum()) if not bool(torch.isfinite(tensor.abs().max())) else 0
            if bad:
                raise EaselError(
                    f"{what}: the tensor '{name}' has {bad} values that are not numbers: get the model again"
                )
