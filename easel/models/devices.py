"""Which device and which number format: 'auto' made concrete, and combinations that cannot work refused in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from easel.errors import EaselError, unknown

if TYPE_CHECKING:
    import torch

DTYPES = {
    "float32": "float32",
    "fp32": "float32",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "float16": "float16",
    "fp16": "float16",
}


def pick_device(word: str = "auto") -> torch.device:
    """'auto' is cuda, else mps, else cpu; 'cuda:1' and the like are taken as they are. EaselError if it is missing."""
    import torch

    if word == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, number = word.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdigit()):
        raise unknown("device", word, ("auto", "cpu", "cuda", "mps"))
    if kind == "cuda" and (not torch.cuda.is_available() or int(number or 0) >= torch.cuda.device_count()):
        raise EaselError(
            f"no device {word}: torch sees {torch.cuda.device_count()} CUDA devices; use --device auto or cpu"
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise EaselError("no device mps on this machine; use --device auto or cpu")
    return torch.device(word)


def cpu_has_bfloat16() -> bool:
    """True where bfloat16 matrix products are instructions of this processor (avx512_bf16 or amx), not slow
    emulation.
    """
    import torch

    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_tile") or able.get("amx_bf16"))


def pick_dtype(word: str, device: torch.device, *, measuring: bool = False) -> torch.dtype:
    """The number format for pictures; models that measure (`measuring`) stay in float32 unless told otherwise.

    'auto' is bfloat16 on CPUs and GPUs that have it, float16 on older GPUs, else float32.
    """
    import torch

    if word != "auto":
        if word not in DTYPES:
            raise unknown("dtype", word, ("auto", "float32", "bfloat16", "float16"))
        if DTYPES[word] == "float16" and device.type == "cpu":
            raise EaselError("float16 is slow and overflows on a CPU: use --dtype bfloat16 (or float32, or auto)")
        return getattr(torch, DTYPES[word])  # type: ignore[no-any-return]
    if measuring:
        return torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if device.type == "cpu" and cpu_has_bfloat16() else torch.float32


def dtype_word(dtype: torch.dtype) -> str:
    """torch.bfloat16 -> 'bfloat16'."""
    return str(dtype).removeprefix("torch.")


def out_of_memory(error: BaseException) -> bool:
    """True for what torch raises when a device, or the machine, has no memory left."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in words or "allocate memory" in words or "enough memory" in words
    )
