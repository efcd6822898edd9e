"""LoRA files in the layouts that are about, read as one: diffusers (old and new), PEFT folders, and kohya's.

LoRA: Hu et al. 2021 (arXiv 2106.09685): W + scale * alpha / rank * up @ down. What a file says of alpha is folded into
the upper matrix, wherever it says it, so that scale 1 is the strength that it was trained for.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easel.errors import EaselError, shortened
from easel.models.catalog import checks

if TYPE_CHECKING:
    from torch import Tensor

COMPONENTS = ("unet", "text_encoder", "text_encoder_2")
DOWN = re.compile(r"(\.lora_down|\.lora_A|\.lora\.down|_lora\.down|\.lora_linear_layer\.down)(\.\w+)?\.weight$")
OTHER_KINDS = {
    "hada_w1_a": "LoHa",
    "lokr_w1": "LoKr",
    "oft_blocks": "OFT",
    ".w_norm": "LyCORIS norm",
    ".diff": "LyCORIS full",
    "glora_": "GLoRA",
    ".on_input": "LyCORIS IA3",
}
"""What is inside the names of other kinds' tensors -> the kind."""
KOHYA = {
    "unet": ("lora_unet_",),
    "text_encoder": ("lora_te_", "lora_te1_"),
    "text_encoder_2": ("lora_te2_",),
}
"""Component -> how kohya's names of its layers begin."""
ADAPTER_NAME = re.compile(r"\.(lora_[AB])\.(?!weight$|bias$)\w+\.(weight|bias)$")
"""PEFT's own name of an adapter inside a tensor's: lora_A.default.weight."""
UP = (".lora_up", ".lora_B", ".lora.up", "_lora.up", ".lora_linear_layer.up")
SPELLINGS = (
    (".lora_linear_layer.down", ".lora_A"),
    (".lora_linear_layer.up", ".lora_B"),
    (".lora.down", ".lora_A"),
    (".lora.up", ".lora_B"),
    ("_lora.down", ".lora_A"),
    ("_lora.up", ".lora_B"),
)
UNET_SPELLINGS = ((".to_out_lora.", ".to_out.0_lora."),)
TEXT_SPELLINGS = (
    (".to_q_lora.", ".q_proj_lora."),
    (".to_k_lora.", ".k_proj_lora."),
    (".to_v_lora.", ".v_proj_lora."),
    (".to_out_lora.", ".out_proj_lora."),
)
MAGNITUDE, KOHYA_MAGNITUDE = ".lora_magnitude_vector", ".dora_scale"
"""How the names of DoRA's magnitudes end, in PEFT's words and in kohya's."""
BUNDLED = "bundle_emb."
"""How the tensors of an embedding begin that a LyCORIS bundle has inside."""
MOST_ALPHA = 1e6
HEADER = "lora_adapter_metadata"
"""Where diffusers puts PEFT's configuration into the header of a file."""


@dataclass(frozen=True)
class Adapter:
    """A file as read: `unet.<module>.lora_A.weight` and so on in float32, and where its alphas were found."""

    weights: dict[str, Tensor]
    alpha_from: str
    left_out: str = ""
    """What else is in the file and is not loaded, in words."""


def check_kind(path: Path) -> None:
    """EaselError on a file that is pickled, damaged, or no LoRA."""
    names = checks.check_file(path)
    for word, kind in OTHER_KINDS.items():
        if any(word in name for name in names):
            raise EaselError(f"{path} is a {kind} adapter; only LoRA is read (merge it into a model, or train a LoRA)")
    kind = str(_configuration(path)[0].get("peft_type") or "LORA")
    if kind != "LORA":
        raise EaselError(f"{path} is a {kind} adapter by its adapter_config.json; only LoRA is read")
    if not any(DOWN.search(name) for name in names):
        raise EaselError(f"{path} holds no LoRA layers: a whole model goes to --model, not to --lora")


def read(path: Path, pipeline: Any) -> Adapter:
    """The adapter in a file, its layers named as the pipeline's models name theirs."""
    tensors = _tensors_of(path)
    bundled = sorted({name.split(".")[1] for name in tensors if name.startswith(BUNDLED)})
    left_out = f"the embedding '{shortened(bundled[0])}' inside is left out" if bundled else ""
    plain = {
        ADAPTER_NAME.sub(r".\1.\2", name.replace("base_model.model.", "")): tensor.float()
        for name, tensor in tensors.items()
        if not name.startswith(BUNDLED)
    }
    has_alphas = _fold_own_alphas(plain, path)
    _join_thirds(plain, path)
    if any(name.startswith(("lora_unet_", "lora_te")) for name in plain):
        plain = _with_paths(plain, pipeline)
    weights = {_canonical(name, pipeline): tensor for name, tensor in plain.items()}
    _flatten_lengths(weights, path)
    if has_alphas:
        return Adapter(weights, "alpha from its own tensors", left_out)
    facts, place = _configuration(path)
    if not facts:
        return Adapter(weights, "no alpha, so its matrices as they are", left_out)
    return Adapter(_with_alpha(weights, facts, path), f"alpha from {place}", left_out)


def _tensors_of(path: Path) -> dict[str, Tensor]:
    """The tensors of a file. EaselError on whole numbers, and on values that are no numbers."""
    import torch
    from safetensors.torch import load_file

    tensors: dict[str, Tensor] = load_file(path)
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() and not name.endswith(".alpha"):
            raise EaselError(f"{path}: the tensor '{shortened(name, 120)}' holds whole numbers: only LoRA is read")
        if not bool(torch.isfinite(tensor.float()).all()):
            raise EaselError(f"{path}: the tensor '{name}' has values that are not numbers: get the LoRA again")
    return tensors


def _fold_own_alphas(plain: dict[str, Tensor], path: Path) -> bool:
    """Take the tensors called alpha out, each over the rank into its upper matrix; whether there were any."""
    names = [name for name in plain if name.endswith(".alpha")]
    for name in names:
        alpha, stem = plain.pop(name), name.removesuffix(".alpha")
        if alpha.numel() != 1:
            raise EaselError(f"{path}: '{shortened(name, 120)}' has {alpha.numel()} numbers, not one: get it again")
        for up, down in ((f"{stem}{word}.weight", f"{stem}{_down(word)}.weight") for word in UP):
            if up in plain and down in plain and plain[down].shape[:1].numel():
                plain[up] = plain[up] * (float(alpha) / plain[down].shape[0])
    return bool(names)


def _join_thirds(plain: dict[str, Tensor], path: Path) -> None:
    """LyCORIS parts a convolution in three (Tucker): its middle goes into the lower matrix, (rank, in, h, w)."""
    import torch

    for name in [name for name in plain if name.endswith(".lora_mid.weight")]:
        down = name.replace(".lora_mid.", ".lora_down.")
        middle, lower = plain.pop(name), plain.get(down)
        if lower is None or middle.ndim != 4 or lower.ndim != 4 or middle.shape[1] != lower.shape[0]:
            raise EaselError(f"{path}: '{shortened(name, 120)}' does not fit its other matrices: get the LoRA again")
        plain[down] = torch.einsum("ijhw,jc->ichw", middle, lower[:, :, 0, 0])


def _with_paths(plain: dict[str, Tensor], pipeline: Any) -> dict[str, Tensor]:
    """kohya's names as paths, which diffusers works out, in one of its three older spellings; it drops DoRA's lengths,
    so that they are taken out before and put in after.
    """
    lengths = {
        id(plain.get(name.replace(KOHYA_MAGNITUDE, ".lora_down.weight"))): plain.pop(name)
        for name in list(plain)
        if name.endswith(KOHYA_MAGNITUDE)
    }
    found = _by_own_names(plain, pipeline)
    if plain:
        found |= pipeline.lora_state_dict(plain, unet_config=pipeline.unet.config)[0]
    more = {DOWN.sub(MAGNITUDE, name): lengths[id(one)] for name, one in found.items() if id(one) in lengths}
    return found | more


def _by_own_names(plain: dict[str, Tensor], pipeline: Any) -> dict[str, Tensor]:
    """Take out the tensors whose names are diffusers' own paths with _ for each dot, which leads to one module; the
    others, by the blocks of the original layout, are left.
    """
    found: dict[str, Tensor] = {}
    for component, starts in KOHYA.items():
        model = getattr(pipeline, component, None)
        paths = [path for path, _ in model.named_modules()] if model is not None else []
        known = {path.replace("text_model.", "").replace(".", "_"): path for path in paths}
        for name in list(plain):
            stem, dot, rest = name.partition(".")
            start = next((one for one in starts if stem.startswith(one)), None)
            path = known.get(stem.removeprefix(start).removeprefix("text_model_")) if start and dot else None
            if path:
                matrix = rest.replace("lora_down", "lora_A").replace("lora_up", "lora_B")
                found[f"{component}.{path}.{matrix}"] = plain.pop(name)
    return found


def _flatten_lengths(weights: dict[str, Tensor], path: Path) -> None:
    """DoRA (Liu et al. 2024, arXiv 2402.09353): a length for each row of the whole weight, (rows,)."""
    lengths = [name for name in weights if MAGNITUDE in name]
    if lengths and len(lengths) != sum(1 for name in weights if DOWN.search(name)):
        raise EaselError(f"{path} is DoRA in {len(lengths)} of its layers alone, which is not read: merge it")
    for name in lengths:
        shape, rows = tuple(weights[name].shape), weights[name].numel()
        if shape[:1] != (rows,) and (len(shape) < 4 or shape[1] != rows):
            raise EaselError(f"{path} is DoRA with lengths of shape {shape}, one a row is read: merge it into a model")
        weights[name.partition(MAGNITUDE)[0] + MAGNITUDE] = weights.pop(name).flatten()


def _down(up: str) -> str:
    return up.replace("up", "down").replace("lora_B", "lora_A")


def _canonical(name: str, pipeline: Any) -> str:
    """A tensor's name as `<component>.<module>.lora_A.weight`; without a component, the one that has such a module."""
    for component in COMPONENTS:
        if name.startswith(f"{component}."):
            return _spelled(name, component)
    for component in COMPONENTS:
        model = getattr(pipeline, component, None)
        found = _spelled(f"{component}.{name}", component)
        module = found.removeprefix(f"{component}.").partition(".lora_")[0]
        if model is not None and {module, f"text_model.{module}"} & {path for path, _ in model.named_modules()}:
            return found
    return name


def _spelled(name: str, component: str) -> str:
    plain = name.replace(".processor.", ".").replace(".text_model.", ".")
    for theirs, ours in (*(UNET_SPELLINGS if component == "unet" else TEXT_SPELLINGS), *SPELLINGS):
        plain = plain.replace(theirs, ours)
    return plain


def _configuration(path: Path) -> tuple[dict[str, Any], str]:
    """PEFT's configuration of an adapter, and where it was found: the folder's, or that in the file's header."""
    file = path.with_name("adapter_config.json")
    if path.name == "adapter_model.safetensors" and file.is_file():
        return checks.read_config(file), file.name
    from safetensors import safe_open

    with safe_open(path, "pt") as opened:
        text = (opened.metadata() or {}).get(HEADER)
    if text is None:
        return {}, ""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise EaselError(f"{path}: '{HEADER}' in its header is damaged: get the LoRA again") from problem
    return (found, "its header") if isinstance(found, dict) else ({}, "")


def _with_alpha(weights: Mapping[str, Tensor], facts: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The weights with the configuration's alpha over rank (over its root with rsLoRA) in the upper matrices.

    Raises EaselError on an alpha that is no number, and on a pattern of names that could take for ever to compare.
    """
    made = dict(weights)
    for name in [name for name in weights if name.endswith(".lora_B.weight")]:
        component, _, rest = name.partition(".")
        module = rest.removesuffix(".lora_B.weight")
        own = {key.removeprefix(f"{component}."): value for key, value in facts.items()}
        down = weights.get(f"{component}.{module}.lora_A.weight")
        alpha = own.get("lora_alpha")
        patterns = own.get("alpha_pattern") or {}
        if not isinstance(patterns, dict):
            raise EaselError(f"{path}: its alpha_pattern is no table: get the LoRA again")
        for pattern, value in patterns.items():
            if _matches(pattern, module, path):
                alpha = value
                break
        if alpha is None or down is None or not down.shape[:1].numel():
            continue
        if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not abs(alpha) <= MOST_ALPHA:
            raise EaselError(
                f"{path}: its alpha is {shortened(repr(alpha))}, which is no number that fits: get it again"
            )
        rank = down.shape[0]
        made[name] = weights[name] * (float(alpha) / (math.sqrt(rank) if own.get("use_rslora") else rank))
    return made


def _matches(pattern: str, module: str, path: Path) -> bool:
    """Whether a module is meant by a pattern of PEFT's, a regular expression with at most one repetition."""
    repetitions = sum(pattern.count(sign) for sign in "*+{")
    try:
        if len(pattern) > 300 or repetitions > 1:
            raise re.error("too much to compare")
        return re.fullmatch(rf"(.*\.)?({pattern})", module) is not None
    except re.error as problem:
        raise EaselError(
            f"{path}: its alpha_pattern '{shortened(pattern)}' cannot be used ({problem}): get the LoRA again"
        ) from problem
