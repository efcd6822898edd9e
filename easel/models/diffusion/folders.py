"""A pipeline written as a folder that diffusers reads: the parts that have changed, and the others as they were."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easel.files import unwritable, write_atomic
from easel.models.catalog import checks
from easel.models.diffusion.lora import save_weights, with_old_prefix
from easel.models.diffusion.pipelines import PARTS, family_of

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "diffusion_pytorch_model.safetensors"
"""Name of the weights of a part that is no text encoder."""
HALF = "float16"
LEARNED = "token_embedding.learned.weight"
"""How the name of a learned word's rows ends."""


def write(pipeline: Any, folder: Path, source: Path, changed: Collection[str], settings: Mapping[str, Any]) -> str:
    """Write the text-to-image pipeline that came from ``source`` (a folder or a file) into ``folder``; the number
    format of the changed parts' weights is given. ``settings`` are written as its easel.json.

    Parts that have not changed are copied, byte for byte, where they lie in a folder. Raises EaselError on a full disk
    and the like; what was there is then left as it was.
    """
    dtype = stored_in(source)
    for part in PARTS[family_of(pipeline)]:
        made = folder / f".{part}.partial"
        shutil.rmtree(made, ignore_errors=True)
        try:
            if part not in changed and (source / part).is_dir():
                shutil.copytree(source / part, made)
            else:
                _write_part(getattr(pipeline, part), made, part, dtype)
            shutil.rmtree(folder / part, ignore_errors=True)
            made.rename(folder / part)
        except OSError as problem:
            raise unwritable(problem, folder / part) from problem
        finally:
            shutil.rmtree(made, ignore_errors=True)
    try:
        pipeline.save_config(folder)
    except OSError as problem:
        raise unwritable(problem, folder) from problem
    write_atomic(folder / "easel.json", (json.dumps(settings, indent=1) + "\n").encode())
    return dtype


def stored_in(source: Path) -> str:
    """The number format that trained weights are stored in: float32 where the model's own are, else float16."""
    files = [source] if source.is_file() else checks.weight_files(source / "unet")[0]
    formats = [one["dtype"] for one in checks.check_file(files[0]).values()]
    return "float32" if 2 * formats.count("F32") > len(formats) else HALF


def own_settings(source: Path) -> dict[str, Any]:
    """The easel.json of a model's folder, if it has one."""
    file = source / "easel.json"
    return checks.read_json(file) if source.is_dir() and file.is_file() else {}


def _write_part(model: Any, folder: Path, part: str, dtype: str) -> None:
    folder.mkdir(parents=True)
    if part == "scheduler" or part.startswith("tokenizer"):
        model.save_pretrained(folder)
        return
    if part.startswith("text_encoder"):
        weights, vocabulary = merged(model)
        config = type(model.config).from_dict(model.config.to_dict() | {"vocab_size": vocabulary})
        config.architectures = [type(model).__name__]
        config.save_pretrained(folder)
        save_weights(_stored(with_old_prefix(weights), dtype), folder / "model.safetensors")
        return
    model.save_config(folder)
    save_weights(_stored(model.state_dict(), dtype), folder / WEIGHTS)


def merged(encoder: Any) -> tuple[dict[str, Tensor], int]:
    """A text encoder's weights with learned words as rows of its table, and how many rows that has."""
    table = encoder.get_input_embeddings()
    weights = dict(encoder.state_dict())
    if hasattr(table, "rows"):
        stem = next(name for name in weights if name.endswith(LEARNED)).removesuffix(LEARNED)
        weights = {name: one for name, one in weights.items() if not name.startswith(f"{stem}token_embedding.")}
        weights[f"{stem}token_embedding.weight"] = table.weight
    return weights, int(table.num_embeddings)


def _stored(weights: Mapping[str, Tensor], dtype: str) -> dict[str, Tensor]:
    import torch

    kind = getattr(torch, dtype)
    return {
        name: (one.detach().to("cpu", kind) if one.is_floating_point() else one.detach().cpu()).contiguous()
        for name, one in weights.items()
    }
