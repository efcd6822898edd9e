"""A single .safetensors checkpoint in the original (LDM) layout, as A1111 keeps them: SD-1.x, SD-2.x and SDXL.

Such a file has weights only. Its configurations and tokenizer come from the hub cache or from a folder the person
names.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from easel.errors import EaselError
from easel.models.catalog import checks, locate
from easel.models.catalog.tables import ROWS
from easel.models.diffusion.pipelines import FAMILIES, PARTS, check_configuration, join
from easel.models.diffusion.schedulers import can_start_from_noise
from easel.models.diffusion.tasks import pipeline_class
from easel.recipes.knobs import listed

UNET = "model.diffusion_model."
VAE = "first_stage_model."


NOT_MODELS = (
    (("double_blocks.",), "a Flux model: easel reads SD-1.x, SD-2.x and SDXL"),
    (("joint_blocks.",), "a Stable Diffusion 3 model: easel reads SD-1.x, SD-2.x and SDXL"),
    (("lora",), "a LoRA, not a model: give it with --lora and keep --model"),
    (("hada_w", "lokr_w", "oft_blocks"), "a LyCORIS adapter (LoHa, LoKr or OFT), which easel does not read"),
    (
        ("control_model.", "controlnet_cond_embedding", "input_hint_block"),
        "a ControlNet, which guides a model and draws nothing by itself: give a whole model",
    ),
    (("adapter.body.",), "a T2I-Adapter, which guides a model and draws nothing by itself: give a whole model"),
    (("image_proj.", "ip_adapter."), "an IP-Adapter, which guides a model and draws nothing by itself: give a model"),
    (
        ("emb_params", "string_to_param", "clip_l", "clip_g"),
        "an embedding (textual inversion), which teaches a model a word: give a whole model",
    ),
    (("conditioner.embedders.0.model.",), "SDXL's refiner, which only redraws: give SDXL's base model"),
)
"""What is in the names of other files' tensors, and what these files are."""
PARTS_ALONE = (
    ((UNET, "input_blocks.", "down_blocks."), "a UNet"),
    (("cond_stage_model.", "conditioner.", "text_model.", "embeddings.", "encoder.layers."), "a text encoder"),
    ((VAE, "encoder.", "decoder."), "a VAE"),
)
"""How the names of a part's tensors begin, and what the part is."""
TEXT_ENCODERS = {
    "sd-1.5": "cond_stage_model.transformer.",
    "sdxl": "conditioner.embedders.0.transformer.",
}
"""Row of the catalogue -> the place of its CLIP text encoder in a file of that family."""
V_PREDICTION, ZERO_SNR = "v_pred", "ztsnr"
"""Empty tensors with which merges say what their model predicts, and that it was trained to zero terminal SNR."""


def row_of(path: Path, role: str = "text-to-image") -> str:
    """The catalogue word of the family a checkpoint belongs to ('sd-1.5', 'sd-2.1', 'sdxl'), told by its tensor names.

    EaselError says what any other file is, and where a model is of another role.
    """
    tensors = checks.check_file(path)
    for marks, kind in NOT_MODELS:
        if any(mark in key for key in tensors for mark in marks):
            raise EaselError(f"{path} is {kind}")
    if len(tensors) == 1 and len(next(iter(tensors.values()))["shape"]) <= 2 and "." not in next(iter(tensors)):
        raise EaselError(f"{path} is an embedding (textual inversion), which teaches a model a word: give a model")
    _refuse_part(path, tensors)
    if not any(key.startswith(VAE) for key in tensors):
        raise EaselError(f"{path} has no VAE ({VAE}* is missing): use a checkpoint with its VAE baked in")
    channels = tensors.get(f"{UNET}input_blocks.0.0.weight", {"shape": []})["shape"][1:2]
    if channels == [9] and role != "inpaint":
        raise EaselError(
            f"{path} is an inpainting model (its UNet takes 9 channels), which fills in a masked photo: use the model "
            "that it was made from"
        )
    if channels == [8] and role != "instruct":
        raise EaselError(
            f"{path} is an instruct-pix2pix model (its UNet takes 8 channels), which changes a photo as told: use the "
            "model that it was made from"
        )
    if any(key.startswith("conditioner.embedders.1.") for key in tensors):
        return "sdxl"
    if any(key.startswith("cond_stage_model.model.") for key in tensors):
        return "sd-2.1"
    if any(key.startswith(TEXT_ENCODERS["sd-1.5"]) for key in tensors):
        return "sd-1.5"
    raise EaselError(
        f"{path} has no text encoder that is known here: only SD-1.x, SD-2.x and SDXL checkpoints are read"
    )


def _refuse_part(path: Path, tensors: Mapping[str, checks.TensorInfo]) -> None:
    """EaselError on a file that is a part of a model, or nothing of the kind."""
    if any(key.startswith(UNET) for key in tensors):
        if any(not key.startswith((UNET, "model_ema.", V_PREDICTION, ZERO_SNR)) for key in tensors):
            return
        found = ["a UNet"]
    else:
        kinds = ((name, [key for key in tensors if key.startswith(starts)]) for starts, name in PARTS_ALONE)
        found = [name for name, inside in kinds if 2 * len(inside) > len(tensors)]
    what = f"only {found[0]} of one" if found else f"no {UNET}* in it"
    raise EaselError(
        f"{path} is no whole Stable Diffusion checkpoint ({what}): only SD-1.x, SD-2.x and SDXL are read, with UNet, "
        "VAE and text encoder in one file"
    )


def says_of_itself(path: Path) -> dict[str, Any]:
    """What a checkpoint says about its scheduler, as settings of that: by tensors named so, or in its header."""
    from safetensors import safe_open

    tensors = checks.check_file(path)
    with safe_open(path, "pt") as opened:
        header = dict(opened.metadata() or {})
    told: dict[str, Any] = {}
    word = header.get("modelspec.predict_key", header.get("modelspec.prediction_type", ""))
    if V_PREDICTION in tensors or word in ("v", "v_prediction"):
        told["prediction_type"] = "v_prediction"
    if ZERO_SNR in tensors:
        told |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return told


def config_folder(path: Path, config: str | None, role: str = "text-to-image") -> Path:
    """The folder with a checkpoint's configurations. EaselError names both ways to get one."""
    row = row_of(path, role)
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
    index = checks.read_config(folder / "model_index.json")
    family = "sdxl" if row == "sdxl" else "sd"
    if FAMILIES.get(str(index.get("_class_name"))) != family:
        raise EaselError(
            f"{path} is {ROWS[row].about}, but {folder} holds the configurations of {index.get('_class_name')}"
        )
    for part in PARTS[family]:
        if not (folder / part).is_dir():
            raise EaselError(f"the folder {part}/ is missing in {folder}")
        check_configuration(folder, part)
    return folder


def assemble(path: Path, dtype: Any, config: str | None, role: str = "text-to-image") -> tuple[Any, tuple[str, ...]]:
    """The text-to-image pipeline of a checkpoint, in `dtype` on the CPU, without a safety checker; and what a person
    should know of it.
    """
    row, folder = row_of(path, role), config_folder(path, config, role)
    family = "sdxl" if row == "sdxl" else "sd"
    extra: dict[str, Any] = (
        {"safety_checker": None, "feature_extractor": None} if family == "sd" else {"add_watermarker": False}
    )
    with _for_channels(path, folder) as folder, checks.loading(path, f"with the configurations of {folder}"):
        _check_sizes(path, folder, family)
        encoder = _early_text_encoder(path, folder, row, dtype)
        if encoder is not None:
            extra["text_encoder"] = encoder
        kind = pipeline_class("text-to-image", family)
        loaded = kind.from_single_file(str(path), config=str(folder), local_files_only=True, torch_dtype=dtype, **extra)
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        if getattr(loaded, part, None) is not None:
            _check_loaded(getattr(loaded, part).eval(), f"{part} of {path}")
    parts = {part: getattr(loaded, part) for part in PARTS[family]}
    parts["scheduler"], notes = _told_scheduler(path, parts["scheduler"])
    zeros = bool(getattr(loaded.config, "force_zeros_for_empty_prompt", True))
    return join(family, parts, zeros=zeros, role=role), notes


@contextmanager
def _for_channels(path: Path, folder: Path) -> Iterator[Path]:
    """The folder of configurations, or while the block lasts a copy of it whose UNet takes as many channels as the
    file's does: an instruct-pix2pix or inpainting model has the configurations of its base but for that.
    """
    channels = checks.check_file(path).get(f"{UNET}input_blocks.0.0.weight", {"shape": [0, 0]})["shape"][1]
    described = checks.read_json(folder / "unet" / "config.json")
    if channels == described.get("in_channels"):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="easel-configs-") as room:
        copy = Path(room) / folder.name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.safetensors", "*.bin", "*.ckpt", "*.msgpack"))
        (copy / "unet" / "config.json").write_text(json.dumps(described | {"in_channels": channels}), encoding="utf-8")
        yield copy


def _check_sizes(path: Path, folder: Path, family: str) -> None:
    """EaselError where the configurations describe far more than the file holds, before that is allocated."""
    import diffusers
    import torch

    with torch.device("meta"):
        models = [
            kind.from_config(kind.load_config(folder / part, local_files_only=True))
            for kind, part in ((diffusers.UNet2DConditionModel, "unet"), (diffusers.AutoencoderKL, "vae"))
        ]
        models += [_text_model(folder, part) for part in PARTS[family] if part.startswith("text_encoder")]
    described = sum(one.numel() for model in models for one in model.parameters())
    checks.check_size(path, f"with the configurations of {folder}", described, [path])


def _text_model(folder: Path, part: str) -> Any:
    import transformers

    kind = transformers.CLIPTextModelWithProjection if part == "text_encoder_2" else transformers.CLIPTextModel
    return kind(transformers.CLIPTextConfig.from_pretrained(folder / part, local_files_only=True))


def _early_text_encoder(path: Path, folder: Path, row: str, dtype: Any) -> Any:
    """The text encoder of a file whose names lack `text_model.`, as early merges have them; None where they have it."""
    before = TEXT_ENCODERS.get(row)
    keys = [key for key in checks.check_file(path) if before is not None and key.startswith(before)]
    if before is None or not keys or any(key.startswith(f"{before}text_model.") for key in keys):
        return None
    from safetensors import safe_open

    model = _text_model(folder, "text_encoder").to(dtype)
    wanted = {key.removeprefix("text_model."): key for key in model.state_dict()}
    with safe_open(path, "pt") as opened:
        found = {
            wanted[name]: opened.get_tensor(key).to(dtype)
            for key in keys
            if (name := key.removeprefix(before)) in wanted
        }
    missing = [key for key in wanted.values() if key not in found]
    if missing:
        raise EaselError(f"{path} lacks {len(missing)} weights of its text encoder, the first is '{missing[0]}'")
    model.load_state_dict(found)
    return model


def _told_scheduler(path: Path, scheduler: Any) -> tuple[Any, tuple[str, ...]]:
    """The scheduler with what the file says of itself, another one where the own cannot do that; and a note."""
    told = says_of_itself(path)
    if not told:
        return scheduler, ()
    import diffusers

    kind = type(scheduler)
    if told.get("rescale_betas_zero_snr") and not can_start_from_noise(kind):
        kind = diffusers.DDIMScheduler
    words = ["v-prediction"] if "prediction_type" in told else []
    words += ["zero terminal SNR"] if "rescale_betas_zero_snr" in told else []
    return kind.from_config(scheduler.config, **told), (f"{path.name} says that it was trained with {listed(words)}",)


def _check_loaded(model: Any, what: str) -> None:
    empty = next((name for name, tensor in model.named_parameters() if tensor.device.type == "meta"), None)
    if empty is not None:
        raise EaselError(f"{what} lacks the weight '{empty}': the file is incomplete, or --config is of another model")
    checks.check_finite(model, what)
