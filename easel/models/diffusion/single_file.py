"""A single .safetensors checkpoint in the original (LDM) layout, as A1111 keeps them: SD-1.x, SD-2.x and SDXL.

Such a file has weights only. Its configurations and tokenizer come from the hub cache or from a folder the person
names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from easel.errors import EaselError, shortened
from easel.models.catalog import checks, locate
from easel.models.catalog.tables import ROWS
from easel.models.diffusion.pipelines import FAMILIES, PARTS, join
from easel.models.diffusion.tasks import pipeline_class

UNET = "model.diffusion_model."
VAE = "first_stage_model."


def row_of(path: Path) -> str:
    """The catalogue word of the family a checkpoint belongs to ('sd-1.5', 'sd-2.1', 'sdxl'), told by its tensor
    names.
    """
    keys = checks.check_file(path)
    if any("lora" in key for key in keys):
        raise EaselError(f"{path} is a LoRA, not a model: give it with --lora and keep --model")
    if not any(key.startswith(UNET) for key in keys):
        raise EaselError(
            f"{path} is no whole Stable Diffusion checkpoint (no {UNET}* in it): only SD-1.x, SD-2.x and SDXL are read"
        )
    if not any(key.startswith(VAE) for key in keys):
        raise EaselError(f"{path} has no VAE ({VAE}* is missing): use a checkpoint with its VAE baked in")
    if any(key.startswith("conditioner.embedders.1.") for key in keys):
        return "sdxl"
    if any(key.startswith("cond_stage_model.model.") for key in keys):
        return "sd-2.1"
    if any(key.startswith("cond_stage_model.transformer.") for key in keys):
        return "sd-1.5"
    raise EaselError(
        f"{path} has no text encoder that is known here: only SD-1.x, SD-2.x and SDXL checkpoints are read"
    )


def config_folder(path: Path, config: str | None) -> Path:
    """The folder with a checkpoint's configurations. EaselError names both ways to get one."""
    row = row_of(path)
    if config is not None:
        folder = Path(config).expanduser()
    else:
        try:
            folder = locate.find(row, "text-to-image").path
        except EaselError as error:
            raise EaselError(
                f"{path} has weights only; its configurations and tokenizer are not here: `easel models pull {row}` "
                "fetches them, or --config DIR names a diffusers folder of the same family"
            ) from error
    index = checks.read_json(folder / "model_index.json")
    family = "sdxl" if row == "sdxl" else "sd"
    if FAMILIES.get(str(index.get("_class_name"))) != family:
        raise EaselError(
            f"{path} is {ROWS[row].about}, but {folder} holds the configurations of {index.get('_class_name')}"
        )
    for part in PARTS[family]:
        if part.startswith("tokenizer"):
            checks.check_tokenizer(folder / part)
        else:
            checks.read_json(folder / part / ("scheduler_config.json" if part == "scheduler" else "config.json"))
    return folder


def assemble(path: Path, dtype: Any, config: str | None) -> Any:
    """The text-to-image pipeline of a checkpoint, in `dtype` on the CPU, without a safety checker."""
    folder = config_folder(path, config)
    family = "sdxl" if row_of(path) == "sdxl" else "sd"
    extra: dict[str, Any] = (
        {"safety_checker": None, "feature_extractor": None} if family == "sd" else {"add_watermarker": False}
    )
    try:
        kind = pipeline_class("text-to-image", family)
        loaded = kind.from_single_file(str(path), config=str(folder), local_files_only=True, torch_dtype=dtype, **extra)
    except (RuntimeError, ValueError, KeyError, TypeError, OSError, AttributeError) as error:
        raise EaselError(
            f"{path} does not load with the configurations of {folder}: {shortened(error, 200)}"
        ) from error
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        if getattr(loaded, part, None) is not None:
            _check_loaded(getattr(loaded, part).eval(), f"{part} of {path}")
    parts = {part: getattr(loaded, part) for part in PARTS[family]}
    return join(family, parts, zeros=bool(getattr(loaded.config, "force_zeros_for_empty_prompt", True)))


def _check_loaded(model: Any, what: str) -> None:
    empty = next((name for name, tensor in model.named_parameters() if tensor.device.type == "meta"), None)
    if empty is not None:
        raise EaselError(f"{what} lacks the weight '{empty}': the file is incomplete, or --config is of another model")
    checks.check_finite(model, what)
