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

from easel.errors import EaselError
from easel.models.catalog import checks

if TYPE_CHECKING:
    from torch import Tensor

COMPONENTS = ("unet", "text_encoder", "text_encoder_2")
DOWN = re.compile(r"(\.lora_down|\.lora_A|\.lora\.down|_lora\.down|\.lora_linear_layer\.down)(\.\w+)?\.weight$")
OTHER_KINDS = {
    "hada_w1_a": "LoHa",
    "lokr_w1": "LoKr",
    "oft_blocks": "OFT",
    "dora_scale": "kohya DoRA",
    "lora_magnitude_vector": "DoRA",
}
"""What is inside the names of other kinds' tensors -> the kind."""
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
HEADER = "lora_adapter_metadata"
"""Where diffusers puts PEFT's configuration into the header of a file."""


@dataclass(frozen=True)
class Adapter:
    """A file as read: `unet.<module>.lora_A.weight` and so on in float32, and where its alphas were found."""

    weights: dict[str, Tensor]
    alpha_from: str


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
    import torch
    from safetensors.torch import load_file

    tensors = load_file(path)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
            raise EaselError(f"{path}: the tensor '{name}' has values that are not numbers: get the LoRA again")
    plain = {
        ADAPTER_NAME.sub(r".\1.\2", name.replace("base_model.model.", "")): tensor.float()
        for name, tensor in tensors.items()
    }
    alphas = {name.removesuffix(".alpha"): float(plain.pop(name)) for name in list(plain) if name.endswith(".alpha")}
    for stem, alpha in alphas.items():
        for up, down in ((f"{stem}{word}.weight", f"{stem}{_down(word)}.weight") for word in UP):
            if up in plain and down in plain:
                plain[up] = plain[up] * (alpha / plain[down].shape[0])
    if any(name.startswith(("lora_unet_", "lora_te")) for name in plain):
        # diffusers turns kohya's names into paths, in one of its three older spellings
        plain, _ = pipeline.lora_state_dict(plain, unet_config=pipeline.unet.config)[:2]
    weights = {_canonical(name, pipeline): tensor for name, tensor in plain.items()}
    if alphas:
        return Adapter(weights, "alpha from its own tensors")
    facts, place = _configuration(path)
    folded = _with_alpha(weights, facts)
    return (
        Adapter(folded, f"alpha from {place}") if facts else Adapter(weights, "no alpha, so its matrices as they are")
    )


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
        return dict(checks.read_json(file)), file.name
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


def _with_alpha(weights: Mapping[str, Tensor], facts: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights with the configuration's alpha over rank (over its root with rsLoRA) in the upper matrices."""
    made = dict(weights)
    for name in [name for name in weights if name.endswith(".lora_B.weight")]:
        component, _, rest = name.partition(".")
        module = rest.removesuffix(".lora_B.weight")
        own = {key.removeprefix(f"{component}."): value for key, value in facts.items()}
        down = weights.get(f"{component}.{module}.lora_A.weight")
        alpha = own.get("lora_alpha")
        for pattern, value in (own.get("alpha_pattern") or {}).items():
            if re.fullmatch(rf"(.*\.)?({pattern})", module):
                alpha = value
                break
        if alpha is None or down is None:
            continue
        rank = down.shape[0]
        made[name] = weights[name] * (float(alpha) / (math.sqrt(rank) if own.get("use_rslora") else rank))
    return made
