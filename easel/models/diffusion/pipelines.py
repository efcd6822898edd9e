"""A diffusers folder made into a pipeline, part by part, so that each part is checked by name before and after it is
read.

A part's class is named by the folder, so only diffusers, transformers and the few classes of OWN may be named: a
folder from anywhere must not be able to import anything else.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from easel.errors import EaselError, unknown
from easel.models.catalog import checks, locate
from easel.models.diffusion.tasks import TASKS, UNETS, kind_of_unet, pipeline_class

OWN = {("easel.networks.autoencoder", "PixelAutoencoder")}
"""Classes of easel's own that a model_index.json may name."""
FAMILIES = {name: family for task in TASKS.values() for family, name in task.pipelines.items()}
"""Class in diffusers -> family of models."""
PARTS = {
    "sd": ("scheduler", "tokenizer", "text_encoder", "unet", "vae"),
    "sdxl": ("scheduler", "tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2", "unet", "vae"),
}


def assemble(folder: Path, dtype: Any, role: str = "text-to-image") -> Any:
    """The text-to-image pipeline of a diffusers folder, in `dtype` on the CPU, without a safety checker.

    A model of another role has that too: its pipelines are made around the same parts. Parts that its index leaves out
    (null) are read from the base that its `easel.json` names. Everything that is missing is named before the first
    weight is read.
    """
    index = _index(folder)
    word = str(index.get("_class_name"))
    if word not in FAMILIES:
        raise unknown("kind of pipeline", word, FAMILIES)
    family = FAMILIES[word]
    homes = locate.homes(folder, index, PARTS[family])
    for home in set(homes.values()) - {folder}:
        index |= {part: entry for part, entry in _index(home).items() if homes.get(part) == home}
    for part in PARTS[family]:
        _check_part(homes[part], part, index)
    zeros = index.get("force_zeros_for_empty_prompt", True)
    if not isinstance(zeros, bool):
        raise EaselError(f"{folder / 'model_index.json'}: force_zeros_for_empty_prompt is neither true nor false")
    parts = {part: _load_part(homes[part] / part, part, index[part], dtype) for part in PARTS[family]}
    with checks.loading(folder, "its parts together"):
        return join(family, parts, zeros=zeros, role=role)


def _index(folder: Path) -> dict[str, Any]:
    """What a diffusers folder consists of."""
    if not (folder / "model_index.json").is_file():
        raise EaselError(f"{folder} is not a diffusers folder: model_index.json is missing")
    return checks.read_config(folder / "model_index.json")


ROLES = {"text-to-image": ("plain",), "image-to-image": ("plain",), "instruct": ("instruct",)} | {
    "inpaint": ("inpaint", "plain")
}
"""Role -> the kinds of UNets (`tasks.UNETS`) that play it."""


def join(family: str, parts: dict[str, Any], *, zeros: bool = True, role: str = "text-to-image") -> Any:
    """The text-to-image pipeline of a model from its parts; the model's own scheduler is kept as its folder says."""
    channels, latent = parts["unet"].config.in_channels, parts["vae"].config.latent_channels
    kind = kind_of_unet(channels, latent)
    if kind not in ROLES[role]:
        word = UNETS[kind][0] if kind else "another kind of"
        raise EaselError(
            f"the UNet takes {channels} channels and the VAE gives {latent}: this is {word} model, not {role}; of the "
            f"models known by name {', '.join(locate.those_with(role))} can"
        )
    return _built("text-to-image", family, parts, zeros)


def for_task(base: Any, task: str, networks: Sequence[Any] = ()) -> Any:
    """The pipeline that does a row of TASKS around the parts of another, with the modules of these networks: no weight
    is copied.
    """
    family = family_of(base)
    parts = {part: getattr(base, part) for part in PARTS[family]}
    method = TASKS[task].network
    if method:
        import diffusers

        modules = [network.module.to(base.unet.device) for network in networks]
        several = diffusers.MultiAdapter if method == "adapter" else diffusers.MultiControlNetModel
        parts[method] = modules[0] if method == "adapter" and len(modules) == 1 else several(modules)
    return _built(task, family, parts, bool(getattr(base.config, "force_zeros_for_empty_prompt", True)))


def _built(task: str, family: str, parts: dict[str, Any], zeros: bool) -> Any:
    if family == "sdxl":
        extras: dict[str, Any] = {"force_zeros_for_empty_prompt": zeros, "add_watermarker": False}
    else:
        extras = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about scheduler settings, which diffusers would also change
        kind = pipeline_class(task, family)
        known = inspect.signature(kind.__init__).parameters
        pipeline = kind(**parts, **{name: value for name, value in extras.items() if name in known})
    pipeline.scheduler = parts["scheduler"]
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def family_of(pipeline: Any) -> str:
    """'sd' or 'sdxl'."""
    return FAMILIES[type(pipeline).__name__]


def _check_part(folder: Path, part: str, index: dict[str, Any]) -> None:
    entry = index.get(part)
    if not (isinstance(entry, list) and len(entry) == 2 and all(isinstance(word, str) for word in entry)):
        raise EaselError(f"{folder / 'model_index.json'} names no {part}")
    _class_of(entry, part)
    if not (folder / part).is_dir():
        raise EaselError(f"the folder {part}/ is missing in {folder}")
    check_configuration(folder, part)
    if part != "scheduler" and not part.startswith("tokenizer"):
        checks.weight_files(folder / part)


def check_configuration(folder: Path, part: str) -> None:
    """EaselError where the configuration of a part is missing, reaches for code, or has numbers that cannot be."""
    if part == "scheduler":
        checks.check_scheduler(folder / part / "scheduler_config.json")
    elif part.startswith("tokenizer"):
        checks.check_tokenizer(folder / part)
    else:
        checks.read_model_config(folder / part)


def _class_of(entry: list[str], part: str) -> Any:
    """The class that model_index.json names, from the allowed libraries only."""
    library, word = entry
    if library not in ("diffusers", "transformers") and (library, word) not in OWN:
        raise EaselError(
            f"model_index.json wants {part} from {library}.{word}: only diffusers and transformers classes are loaded"
        )
    import diffusers
    import transformers

    kind = getattr(importlib.import_module(library), word, None)
    bases = (
        diffusers.ModelMixin,
        diffusers.SchedulerMixin,
        transformers.PreTrainedModel,
        transformers.PreTrainedTokenizerBase,
    )
    if not (isinstance(kind, type) and issubclass(kind, bases)):
        raise EaselError(
            f"model_index.json names {library}.{word} for {part}, which is no model: the versions may not fit"
        )
    return kind


def _load_part(folder: Path, part: str, entry: list[str], dtype: Any) -> Any:
    kind = _class_of(entry, part)
    if part == "scheduler" or part.startswith("tokenizer"):
        with checks.loading(folder.parent, part):
            return kind.from_pretrained(folder, local_files_only=True)
    return load_weights(kind, folder, dtype, part)


def load_weights(kind: Any, folder: Path, dtype: Any, what: str, **more: Any) -> Any:
    """A model from its folder, in `dtype` whatever it is stored in (float8 too), on the CPU, in evaluation mode.

    EaselError if a weight is missing, has another shape, or is not a number: nothing is made up silently.
    """
    import diffusers
    import torch

    files, variant = checks.weight_files(folder)
    checks.read_model_config(folder)
    with checks.loading(folder, what), torch.device("meta"):
        if issubclass(kind, diffusers.ModelMixin):
            described = kind.from_config(kind.load_config(folder, local_files_only=True))
        else:
            described = kind(kind.config_class.from_pretrained(folder, local_files_only=True), **more)
    checks.check_size(folder, what, sum(one.numel() for one in described.parameters()), files)
    word = "torch_dtype" if issubclass(kind, diffusers.ModelMixin) else "dtype"
    options = {word: dtype, "use_safetensors": True, "local_files_only": True, "output_loading_info": True} | more
    if variant is not None:
        options["variant"] = variant
    with checks.loading(folder, what):
        model, found = kind.from_pretrained(folder, **options)
    missing = sorted(found.get("missing_keys", ()))
    if missing:
        raise EaselError(
            f"{what} in {folder} lacks {len(missing)} weights, the first is '{missing[0]}': download it again"
        )
    checks.check_finite(model, f"{what} in {folder}")
    return model.eval()
