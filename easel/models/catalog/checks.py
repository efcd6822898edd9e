"""Checks between a file from anywhere and a model: content before anything is loaded, configurations before they are
believed, weights after.

A pickle runs code when it is opened, so it is refused by its content, whatever its name says.
"""

from __future__ import annotations

import json
import math
import stat
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from easel.errors import EaselError, shortened

if TYPE_CHECKING:
    from torch import nn

MAX_JSON_BYTES = 50_000_000
MAX_HEADER_BYTES = 100_000_000
MOST_SIZE, MOST_BLOCKS, MOST_ENTRIES = 10_000_000, 512, 100_000
"""The largest size of a layer, the most layers or blocks, and the longest list in the configuration of a model."""
SMALL = 1_000_000
"""So many numbers may be missing in weights without a word about their size: what is missing is named then."""
MOST_STEPS = 100_000
"""Of the steps that a scheduler was trained with, and of any other number in its configuration."""
PREDICTIONS = ("epsilon", "v_prediction", "sample")
FOREIGN_CODE = ("kernel_config", "use_kernels", "trust_remote_code", "custom_pipeline", "custom_generate")
CONVERT = (
    'convert it once, where it can do no harm: python -c "import torch, safetensors.torch as s; '
    "w = torch.load('IN', weights_only=True); s.save_file({k: v.contiguous() for k, v in "
    "w.get('state_dict', w).items() if hasattr(v, 'contiguous')}, 'OUT.safetensors')\""
)
PICKLED = ("pytorch_model.bin", "diffusion_pytorch_model.bin", "model.ckpt", "pytorch_model.bin.index.json")
WEIGHTS = ("model.safetensors", "diffusion_pytorch_model.safetensors")


def is_pickle(path: Path) -> bool:
    """True if the content is a pickle: torch's zip, a raw pickle of any protocol, or an old torch tar.

    A safetensors file begins with the length of its header, whose first two bytes may be those of a pickle: it is known
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


class TensorInfo(TypedDict):
    """A tensor as the header of a safetensors file describes it."""

    dtype: str
    """In safetensors' words: F32, BF16, F8_E4M3, ..."""
    shape: list[int]


def check_file(path: Path) -> dict[str, TensorInfo]:
    """The tensors of a whole .safetensors file by name; none of them is read. EaselError for anything else."""
    size = regular_size(path)
    if size == 0:
        raise EaselError(f"{path} is empty (0 bytes): download it again")
    if is_pickle(path):
        raise EaselError(f"{path} is a pickle, which can run code when opened, whatever its name says; {CONVERT}")
    _refuse_other_kinds(path)
    _check_header_length(path, size)
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
            return {name: {"dtype": one.get_dtype(), "shape": one.get_shape()} for name, one in slices.items()}
    except (SafetensorError, OSError, ValueError) as problem:
        missing = _missing_bytes(path, size)
        if missing > 0:
            raise EaselError(
                f"{path} is cut short: {missing / 1e6:.1f} MB of its weights are missing; download it again"
            ) from problem
        raise EaselError(
            f"{path} is not a whole safetensors file ({shortened(problem, 200)}): download it again"
        ) from problem


def regular_size(path: Path) -> int:
    """Bytes of a regular file. EaselError for none, and for pipes and devices, which may never end."""
    try:
        found = path.stat()
    except (OSError, ValueError) as problem:
        raise EaselError(f"no file {path}") from problem
    if not stat.S_ISREG(found.st_mode):
        raise EaselError(f"{path} is not a regular file")
    return found.st_size


def _check_header_length(path: Path, size: int) -> None:
    """EaselError where the length that a safetensors file begins with is none, or is longer than the file."""
    with path.open("rb") as file:
        head = file.read(9)
    length = struct.unpack("<Q", head[:8])[0] if len(head) == 9 else 0
    if length > MAX_HEADER_BYTES or not head.endswith(b"{"):
        raise EaselError(f"{path} is not a safetensors file (its header makes no sense): download it again")
    if 8 + length > size:
        raise EaselError(f"{path} is cut short inside its header: download it again")


def _missing_bytes(path: Path, size: int) -> int:
    """How many bytes a file lacks that its header promises; 0 where the header cannot be read."""
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        try:
            header = json.loads(file.read(length))
            ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError):
            return 0
    return max(ends, default=0) + 8 + int(length) - size


def _refuse_other_kinds(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(64).lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise EaselError(f"{path} is a web page, not weights: the download needs a login or another address")
    if start.startswith(b"version https://git-lfs"):
        raise EaselError(f"{path} is a git-lfs pointer, not weights: run `git lfs pull` in its folder")
    if start.startswith(b"gguf"):
        raise EaselError(
            f"{path} is a GGUF file, which easel does not read: use the .safetensors file of the same model"
        )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; EaselError naming the file if it is not one."""
    if regular_size(path) > MAX_JSON_BYTES:
        raise EaselError(f"{path} has more than {MAX_JSON_BYTES // 1_000_000} MB: that is no configuration")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise EaselError(f"{path} is not readable JSON ({shortened(error, 200)}): download it again") from error
    except RecursionError as error:
        raise EaselError(f"{path} is not readable JSON (nested too deeply): download it again") from error
    if not isinstance(content, dict):
        raise EaselError(f"{path} should hold a JSON object")
    return content


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of a model, processor or tokenizer; EaselError where it reaches for code or packages.

    Refused are `auto_map` (code of its own), `quantization_config` (packages that unpack its weights) and kernels or an
    attention from elsewhere, wherever they stand in it.
    """
    config = read_json(path)
    _refuse_code(path, config)
    return config


def read_model_config(folder: Path) -> dict[str, Any]:
    """The config.json of a model's part, its sizes checked. Raises EaselError as `read_config` does, on numbers that
    are none or beyond what any model has, and on files in the folder that would be read for ever.
    """
    check_contents(folder)
    config = read_config(folder / "config.json")
    for key, value in _entries(config):
        numbers = value if isinstance(value, list) else [value]
        counts_modules = any(word in key for word in ("layer", "depth", "block", "hidden_sizes", "channels"))
        if isinstance(value, list) and len(value) > (MOST_BLOCKS if counts_modules else MOST_ENTRIES):
            raise EaselError(f"the model {folder} does not load: its config.json has {len(value):,} '{shortened(key)}'")
        is_repeated = any(word in key for word in ("layers", "depths")) and "channels" not in key
        for number in numbers:
            if isinstance(number, float) and not math.isfinite(number):
                raise EaselError(f"the model {folder} does not load: '{shortened(key)}' in its config.json is {number}")
            most = MOST_BLOCKS if is_repeated else MOST_SIZE
            if type(number) is int and not -MOST_SIZE <= number <= most:
                raise EaselError(
                    f"the model {folder} does not load: '{shortened(key)}' in its config.json is {shortened(number)}, "
                    f"which no model has (at most {most:,})"
                )
    return config


def check_contents(folder: Path) -> None:
    """EaselError where a folder holds pipes or devices, texts too long to be a model's, or an adapter that would be
    put into the model as it loads.
    """
    for file in sorted(folder.iterdir()):
        if file.is_dir():
            continue
        size = regular_size(file)
        if file.suffix in (".json", ".txt", ".model", ".jinja") and size > MAX_JSON_BYTES:
            raise EaselError(f"{file} has more than {MAX_JSON_BYTES // 1_000_000} MB: that is no configuration")
    if (folder / "adapter_config.json").is_file():
        raise EaselError(f"{folder} has an adapter_config.json inside a model: move it away, and give it with --lora")


def check_scheduler(path: Path) -> None:
    """EaselError where a scheduler's configuration has numbers that none has, or another kind of prediction."""
    check_contents(path.parent)
    config = read_config(path)
    steps = config.get("num_train_timesteps", 1000)
    if type(steps) is not int or not 1 <= steps <= MOST_STEPS:
        raise EaselError(f"{path}: num_train_timesteps is {shortened(repr(steps))}: a number from 1 to {MOST_STEPS:,}")
    kind = config.get("prediction_type", "epsilon")
    if kind not in PREDICTIONS:
        raise EaselError(f"{path}: prediction_type is {shortened(repr(kind))}: one of {', '.join(PREDICTIONS)}")
    for key, value in config.items():
        numbers = value if isinstance(value, list) else [value]
        wrong = [one for one in numbers if isinstance(one, int | float) and not abs(one) <= MOST_STEPS]
        if len(numbers) > MOST_STEPS or (wrong and key != "lambda_min_clipped"):  # that one is -Infinity in real ones
            raise EaselError(f"{path}: '{shortened(key)}' is {shortened(wrong[0] if wrong else len(numbers))}")


def _refuse_code(path: Path, config: dict[str, Any]) -> None:
    for key, value in _entries(config):
        if not value or (value is True and key not in FOREIGN_CODE):
            continue
        if key == "auto_map":
            raise EaselError(
                f"{path} asks to run code of its own ('auto_map'), which easel never does: use a model that "
                "transformers knows by itself"
            )
        if key in ("quantization_config", "quantization"):
            raise EaselError(
                f"{path} says that its weights are quantised ('{key}'), which easel does not read: use "
                "the same model with plain weights"
            )
        words = [word for _, word in _entries({key: value}) if isinstance(word, str)]
        if key in FOREIGN_CODE:
            raise EaselError(f"{path} asks for code from elsewhere ('{key}'), which easel never fetches: take it out")
        if "_implementation" in key and any("/" in word for word in words):
            raise EaselError(
                f"{path} asks for attention code from a repository ('{shortened(key)}'), which easel never fetches: "
                "take that key out"
            )
        if "_implementation" in key and not set(words) <= {"eager", "sdpa"}:
            raise EaselError(
                f"{path} asks for '{shortened(', '.join(words))}' ('{shortened(key)}'), which easel does not have: "
                "take that key out, or write eager or sdpa"
            )


def _entries(config: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every key and value, at any depth of objects and lists; without recursion, however deep they are nested."""
    waiting: list[Any] = [config]
    while waiting:
        inside = waiting.pop()
        for key, value in inside.items() if isinstance(inside, dict) else (("", one) for one in inside):
            yield key, value
            if isinstance(value, dict | list):
                waiting.append(value)


@contextmanager
def loading(folder: Path, part: str) -> Iterator[None]:
    """Around whatever loads a part of `folder` with somebody else's library: all that it raises becomes an EaselError.

    transformers, diffusers, tokenizers and torch have no common error for a configuration that lies; the Rust side of
    tokenizers even panics, which is no Exception. The hub's client stays offline meanwhile, whatever a file asks for.
    """
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    except EaselError:
        raise
    except BaseException as problem:
        if not isinstance(problem, Exception) and type(problem).__name__ != "PanicException":
            raise
        reason = shortened(f"{type(problem).__name__}: {problem}", 300)
        if "ignore_mismatched_sizes" in reason:  # transformers has printed which, and says no more than that
            reason = "its weights have other shapes than its config.json says"
        raise EaselError(f"the model {folder} does not load: {part}: {reason}") from problem
    finally:
        constants.HF_HUB_OFFLINE = before


def check_size(folder: Path, part: str, described: int, files: Iterable[Path]) -> None:
    """EaselError where a configuration describes far more numbers than the weights hold, before they are allocated."""
    held = sum(math.prod(info["shape"]) for file in files for info in check_file(file).values())
    if described > 2 * held + SMALL:
        raise EaselError(
            f"the model {folder} does not load: {part}: its config.json describes a model of {described:,} numbers, "
            f"and its weights hold {held:,}"
        )


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
                files = _shards(index)
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


def _shards(index: Path) -> list[Path]:
    """The files that an index names, each in the index's own folder."""
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise EaselError(f"{index} names no files ('weight_map' is missing or no table): download it again")
    outside = [name for name in names.values() if not name or "/" in name or "\\" in name]
    if outside:
        raise EaselError(f"{index} names '{shortened(outside[0])}', which is no file of its own folder")
    return sorted({index.parent / name for name in names.values()})


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
    """EaselError if a tokenizer's folder lacks its vocabulary, or a configuration in it reaches for code."""
    check_contents(folder)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).is_file():
            read_config(folder / name)
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
