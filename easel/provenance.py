"""What a picture says about how it was made: easel's own JSON, and the text that AUTOMATIC1111's web UI writes.

Both tell what was done, by the word of the object that did it, and not what was asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from easel.errors import EaselError, shortened
from easel.images import BROKEN, FORMATS, check_file
from easel.recipes.knobs import lora_parts
from easel.version import __version__

SAMPLERS: dict[str, tuple[str, str | None]] = {
    "ddim": ("DDIM", None),
    "ddpm": ("DDPM", None),
    "deis": ("DEIS", None),
    "dpmpp-2m": ("DPM++ 2M", None),
    "dpmpp-2m-karras": ("DPM++ 2M", "Karras"),
    "dpmpp-2m-sde": ("DPM++ 2M SDE", None),
    "dpmpp-2s": ("DPM++ 2S", None),
    "euler": ("Euler", None),
    "euler-a": ("Euler a", None),
    "euler-karras": ("Euler", "Karras"),
    "heun": ("Heun", None),
    "kdpm2": ("DPM2", None),
    "kdpm2-a": ("DPM2 a", None),
    "lcm": ("LCM", None),
    "pndm": ("PLMS", None),
    "tcd": ("TCD", None),
    "unipc": ("UniPC", None),
}
"""Scheduler -> what A1111's web UI calls it: its sampler, and its schedule type where that is a choice of its own.

A1111 has no DDPM, DEIS, DPM++ 2S (it has the ancestral one) and TCD: these are written as their papers write them.
"""

OPTIMIZERS = {"adam": "Adam", "lbfgs": "L-BFGS"}
"""What stands in the sampler's place where a picture is optimised."""


@dataclass(frozen=True)
class Done:
    """How one picture was really made; None is what its kind does not have."""

    device: str
    dtype: str
    """The number format of the weights that drew it."""
    model: str | None = None
    model_hash: str | None = None
    """The start of the model file's SHA-256, where the model is one file."""
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    scheduler: str | None = None
    optimizer: str | None = None
    guidance_scale: float | None = None
    strength: float | None = None
    """How far the photo, or the first of two passes, was left."""
    first_size: tuple[int, int] | None = None
    """Width and height of the first of two passes, where there were two."""
    judge: str | None = None

    def facts(self) -> dict[str, Any]:
        """All that is known, by name, as `record` takes it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def record(recipe: Mapping[str, Any], *, device: str, dtype: str, versions: Mapping[str, str], **done: Any) -> str:
    """The JSON of a picture's "easel" chunk: the recipe that makes it alone, what it was made with, and what was done.

    >>> record({"kind": "generate"}, device="cpu", dtype="float32", versions={"easel": "1"}, steps=4)
    '{"recipe": {"kind": "generate"}, "versions": {"easel": "1"}, "device": "cpu", "dtype": "float32", "steps": 4}'
    """
    made = {"recipe": dict(recipe), "versions": dict(versions), "device": device, "dtype": dtype, **done}
    return json.dumps(made, ensure_ascii=False, allow_nan=False)


def parameters(prompt: str, negative_prompt: str, done: Done, loras: Sequence[str] = ()) -> str:
    """The text of a picture's "parameters" chunk, in A1111's words and order (its modules/processing.py,
    create_infotext), so that other tools read the settings.

    >>> print(parameters("a cat", "fog", Done("cpu", "float32", seed=3, steps=4, scheduler="euler-karras")))
    a cat
    Negative prompt: fog
    Steps: 4, Sampler: Euler, Schedule type: Karras, Seed: 3, RNG: CPU, Version: easel 0.2.0
    """
    sampler, schedule = SAMPLERS.get(done.scheduler or "", (done.scheduler, None))
    size = done.width and done.height and f"{done.width}x{done.height}"
    first = done.first_size and f"{done.first_size[0]}x{done.first_size[1]}"
    facts = {
        "Steps": done.steps,
        "Sampler": OPTIMIZERS[done.optimizer] if done.optimizer else sampler,
        "Schedule type": schedule,
        "CFG scale": done.guidance_scale,
        "Seed": done.seed,
        "Size": first or size,
        "Model hash": done.model_hash,
        "Model": done.model,
        "Denoising strength": done.strength,
        "RNG": None if done.seed is None else "CPU",
        "Hires resize": first and size,
        "Version": f"easel {__version__}",
    }
    words = " ".join([prompt, *map(_lora_tag, loras)])
    negative = f"\nNegative prompt: {negative_prompt}" if negative_prompt else ""
    return words + negative + "\n" + ", ".join(f"{key}: {_value(value)}" for key, value in facts.items() if value)


def _lora_tag(text: str) -> str:
    """A LoRA as A1111's extra networks are written: `<lora:NAME:both>`, or `<lora:NAME:text encoder:UNet>`."""
    file, unet, text_encoder = lora_parts(text)
    scales = f"{unet:g}" if unet == text_encoder else f"{text_encoder:g}:{unet:g}"
    return f"<lora:{Path(file).stem}:{scales}>"


def _value(value: float | str) -> str:
    """A value as A1111 writes it: quoted where a comma or colon would end it."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if re.search(r"[,:\n]", text) else text


def read_provenance(path: str | Path) -> dict[str, Any]:
    """What a PNG says about how it was made: {"easel": {"recipe": ..., ...}, "parameters": "..."}, whichever are there.

    Raises EaselError when the file is no picture, carries neither, or its recipe cannot be read.
    """
    path = Path(path)
    check_file(path)
    try:
        with Image.open(path, formats=FORMATS) as picture:
            picture.load()
            texts = {key: text for key, text in picture.info.items() if isinstance(text, str)}
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, *BROKEN) as problem:
        raise EaselError(f"{path} cannot be read as a picture: {shortened(problem)}") from problem
    found: dict[str, Any] = {}
    if "parameters" in texts:
        found["parameters"] = str(texts["parameters"])
    if "easel" in texts:
        try:
            found["easel"] = json.loads(texts["easel"])
        except (ValueError, RecursionError) as problem:
            raise EaselError(f"{path}: its recipe is damaged: {shortened(problem)}") from problem
    if not found:
        raise EaselError(f"{path} does not say how it was made: easel did not write it, or a program stripped it")
    return found
