"""LoRA adapters in a pipeline: put in, proven to have arrived, switched, measured, and written.

LoRA: Hu et al. 2021 (arXiv 2106.09685): W + scale * alpha / rank * up @ down.
"""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easel.errors import EaselError, shortened
from easel.files import write_atomic
from easel.models.diffusion import inversion
from easel.models.diffusion.lora_formats import COMPONENTS, DOWN, KOHYA_MAGNITUDE, MAGNITUDE, check_kind, read
from easel.models.trained import in_order
from easel.recipes.knobs import lora_parts

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

BASE = "easel_base"
"""Where a file says which weights it was trained on (`fingerprint`)."""
SAMPLED, TABLE = 64, "token_embedding"


@dataclass(frozen=True)
class Spec:
    """A LoRA file and its two scales: of the UNet, and of the text encoders."""

    path: Path
    unet: float = 1.0
    text: float = 1.0


@dataclass(frozen=True)
class Loaded:
    """An adapter in a pipeline: its layers that found their place, of all in the file."""

    name: str
    spec: Spec
    matched: int
    total: int
    note: str


def parse(text: str) -> Spec:
    """`FILE[:unet[:text]]`, as recipes have it: `style.safetensors:0.8:0.5`; one scale is for both, none is 1.

    >>> parse("style.safetensors:0.8")
    Spec(path=PosixPath('style.safetensors'), unet=0.8, text=0.8)
    """
    try:
        file, unet, text_encoder = lora_parts(text)
    except ValueError as problem:
        raise EaselError(f"a LoRA is written FILE[:unet[:text]], but {shortened(problem)}") from problem
    return Spec(Path(file).expanduser(), unet, text_encoder)


def check(spec: Spec) -> Path:
    """The adapter's file, found whole; EaselError if it is not there, pickled, damaged, or of another kind."""
    path = spec.path
    if path.is_dir():
        inside = [path / "pytorch_lora_weights.safetensors", *sorted(path.glob("*.safetensors"))]
        path = next((file for file in inside if file.is_file()), path)
        if path.is_dir():
            raise EaselError(f"no .safetensors file in the LoRA folder {path}")
    if not path.is_file():
        grammar = "; a LoRA is written FILE[:unet[:text]] with numbers as scales" if ":" in str(path) else ""
        raise EaselError(f"no LoRA file {path}{grammar}")
    check_kind(path)
    return path


def words_of(spec: Spec) -> list[str]:
    """The file of a learned word that lies in a LoRA's folder and belongs to it, if there is one."""
    file = spec.path / inversion.FILE
    return [str(file)] if file.is_file() else []


def load(pipeline: Any, spec: Spec, name: str) -> Loaded:
    """Put an adapter into the pipeline's UNet and text encoders, at scale 1 until `switch` is called, and prove that
    every matrix arrived.

    EaselError if none of its layers finds a place, a shape does not fit (then it was made for another family of
    models), or the model holds other values than the file.
    """
    path = check(spec)
    try:
        adapter = read(path, pipeline)
        fitting = _fitting(adapter.weights, pipeline, path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # peft warns about a second adapter, which is what is wanted
            pipeline.load_lora_weights(fitting, adapter_name=name)
    except (ValueError, RuntimeError, KeyError, IndexError, AttributeError) as error:
        why = shortened(error, 160)
        raise EaselError(f"the LoRA {path} does not fit this model (was it made for another family?): {why}") from error
    _put_lengths(pipeline, fitting, name)
    _check_arrived(pipeline, fitting, name, path)
    total = sum(1 for key in adapter.weights if DOWN.search(key))
    matched = {part: _count(getattr(pipeline, part, None), name) for part in COMPONENTS}
    found = sum(matched.values())
    where = f"{matched['unet']} in the UNet, {found - matched['unet']} in the text encoder"
    scales = f"scales {spec.unet:g} and {spec.text:g}"
    note = f"LoRA {path.name}: {found} of {total} layers matched ({where}), {scales}, {adapter.alpha_from}"
    note += f"; {adapter.left_out}" if adapter.left_out else ""
    note += _changed_base(path, pipeline)
    return Loaded(name, spec, found, total, note)


def _changed_base(path: Path, pipeline: Any) -> str:
    """A clause where a file says which weights it was trained on, and these are others."""
    from safetensors import safe_open

    with safe_open(path, "pt") as opened:
        said = (opened.metadata() or {}).get(BASE)
    now = None if said is None else fingerprint(pipeline)
    if said is None or said == now:
        return ""
    return f"; it was trained on other weights ({shortened(said, 16)}) than this model's ({now}): it may not fit them"


def fingerprint(pipeline: Any) -> str:
    """12 hexadecimal letters that tell a model's weights from others: BLAKE2 of SAMPLED numbers, evenly spread, of each
    tensor of UNet and text encoders, in bfloat16 so that the format they are loaded in does not count; adapters and
    learned words aside.
    """
    import torch

    digest = hashlib.blake2b(digest_size=6)
    for part in COMPONENTS:
        model = getattr(pipeline, part, None)
        for name, tensor in model.named_parameters() if model is not None else ():
            if "lora_" in name or name.endswith(".learned.weight"):
                continue
            flat = tensor.detach().reshape(-1)
            some = flat[:: max(1, len(flat) // SAMPLED)].to("cpu", torch.bfloat16).contiguous()
            plain = name.replace(".base_layer", "").replace("text_model.", "").replace("token_embedding.table", TABLE)
            digest.update(f"{part}.{plain} {tuple(tensor.shape)}".encode() + some.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _fitting(weights: Mapping[str, Tensor], pipeline: Any, path: Path) -> dict[str, Tensor]:
    """The weights that have a place in the pipeline's models, in the shape that they have there.

    EaselError if none has a place, a shape does not fit, or half of a layer is missing.
    """
    kept: dict[str, Tensor] = {}
    for part in COMPONENTS:
        model = getattr(pipeline, part, None)
        layers = dict(model.named_modules()) if model is not None else {}
        for key in [key for key in weights if key.startswith(f"{part}.")]:
            module_path, _, matrix = key.removeprefix(f"{part}.").partition(".lora_")
            inner = "" if module_path in layers else "text_model."  # CLIP with a projection still has this level
            layer = layers.get(inner + module_path)
            weight = getattr(getattr(layer, "base_layer", layer), "weight", None)
            if weight is None:
                continue
            other = f"{part}.{module_path}.lora_{'B' if matrix.startswith('A') else 'A'}.weight"
            if other not in weights:
                raise EaselError(f"the LoRA {path} has only one of the two matrices of {module_path}: get it again")
            _check_shapes(path, module_path, weights[key], weights[other], is_down=matrix.startswith("A"))
            side, ours = (1, weights[key].shape[1]) if matrix.startswith("A") else (0, weights[key].shape[0])
            if weight.shape[side] != ours:
                raise EaselError(
                    f"the LoRA {path} was made for another family of models: "
                    f"{module_path} is {weight.shape[side]} wide here, {ours} there"
                )
            kept[f"{part}.{inner}{key.removeprefix(f'{part}.')}"] = _shaped(weights[key], weight.ndim)
    if not kept:
        raise EaselError(
            f"the LoRA {path} does not fit this model: none of its layers has a place (another family of models?)"
        )
    return kept


def _check_shapes(path: Path, module: str, matrix: Tensor, other: Tensor, *, is_down: bool) -> None:
    """EaselError unless a matrix and the other one of its layer have a rank in common, and 2 or 4 dimensions."""
    if matrix.ndim == 1 and not is_down:  # the bias of an upper matrix, or DoRA's magnitudes
        return
    down, up = (matrix, other) if is_down else (other, matrix)
    ranks = (down.shape[0] if down.ndim else 0, up.shape[1] if up.ndim > 1 else 0)
    if down.ndim not in (2, 4) or up.ndim not in (2, 4) or ranks[0] != ranks[1] or not ranks[0]:
        raise EaselError(
            f"the LoRA {path} is damaged: the matrices of {module} are {tuple(down.shape)} and {tuple(up.shape)}"
        )


def _shaped(matrix: Tensor, dimensions: int) -> Tensor:
    """A matrix as a 1x1 convolution where the model has one (kohya writes proj_in either way), and back."""
    if dimensions == 4 and matrix.ndim == 2:
        return matrix[:, :, None, None]
    if dimensions == 2 and matrix.ndim == 4 and matrix.shape[2:] == (1, 1):
        return matrix[:, :, 0, 0]
    return matrix


def _put_lengths(pipeline: Any, weights: Mapping[str, Tensor], name: str) -> None:
    """Put DoRA's lengths into the text encoders: diffusers makes places for them there, and fills those of the UNet
    alone.
    """
    for key, tensor in weights.items():
        part, _, rest = key.partition(".")
        if part != "unet" and MAGNITUDE in key:
            held = getattr(pipeline, part).get_submodule(rest.partition(MAGNITUDE)[0]).lora_magnitude_vector
            if name in held:
                held[name].weight.data.copy_(tensor)


def _check_arrived(pipeline: Any, weights: Mapping[str, Tensor], name: str, path: Path) -> None:
    """EaselError unless every tensor of the file is in the model, equal to the last bit, and counts once."""
    import torch

    for key, tensor in weights.items():
        part, _, rest = key.partition(".")
        module_path, _, matrix = rest.partition(".lora_")
        letter, _, kind = matrix.partition(".")
        layer = getattr(pipeline, part).get_submodule(module_path)
        held = getattr(layer, f"lora_{letter}", {})
        found = getattr(held[name], kind or "weight", None) if name in held else None
        if found is None or not torch.equal(found.detach().cpu(), tensor.to(found.dtype)):
            raise EaselError(f"the LoRA {path} did not arrive in the model: its '{key}' is not what the model holds")
        if layer.scaling[name] != 1:
            raise EaselError(
                f"the LoRA {path} did not arrive in the model: {module_path} would count {layer.scaling[name]:g} times"
            )


def _count(model: Any, name: str) -> int:
    """Layers of a model that hold the adapter `name`."""
    if model is None:
        return 0
    return sum(1 for module in model.modules() if name in (getattr(module, "lora_A", None) or {}))


TARGETS = {
    "unet": ("to_q", "to_k", "to_v", "to_out.0"),
    "text_encoder": ("q_proj", "k_proj", "v_proj", "out_proj"),
}
"""Part -> endings of the names of its attention's layers."""


@dataclass(frozen=True)
class Shape:
    """What a new adapter is like. `targets`: attention, all (linear layers and convolutions), or endings of names."""

    rank: int
    alpha: float
    targets: tuple[str, ...] = ("attention",)
    dora: bool = False


def attach(pipeline: Any, name: str, parts: Sequence[str], shape: Shape) -> int:
    """Lay a new adapter, which changes nothing yet, beside layers of these parts; all else in them is frozen.

    Its weights are float32 and ask for a gradient; the number of layers is given. EaselError where no layer is meant.
    """
    from peft import LoraConfig

    layers = 0
    for part in parts:
        model = getattr(pipeline, part)
        model.requires_grad_(False)
        chosen = _targets(model, part, shape.targets)
        if not chosen:
            continue
        layers += len(chosen)
        config = LoraConfig(
            r=shape.rank, lora_alpha=shape.alpha, target_modules=chosen, use_dora=shape.dora, bias="none"
        )
        model.add_adapter(config, adapter_name=name)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.data = weight.data.float()
    if not layers:
        raise EaselError(f"targets: no layer's name ends in {', '.join(shape.targets)}: use attention, all, or endings")
    return layers


def _targets(model: Any, part: str, asked: Sequence[str]) -> list[str]:
    from torch import nn

    able = [path for path, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    endings = [word for word in asked if word not in ("attention", "all")]
    endings += TARGETS["unet" if part == "unet" else "text_encoder"] if "attention" in asked else []
    return [path for path in able if "all" in asked or any(f".{path}".endswith(f".{end}") for end in endings)]


def switch(pipeline: Any, loras: Sequence[Loaded], active: Sequence[Loaded] | None = None) -> None:
    """Set every adapter to its own scales, those not in `active` (all by default) to zero."""
    from diffusers.utils.peft_utils import set_weights_and_activate_adapters

    on = {lora.name for lora in (loras if active is None else active)}
    for part in COMPONENTS:
        model = getattr(pipeline, part, None)
        own = [lora for lora in loras if _count(model, lora.name)]
        if own:
            scales = {
                lora.name: scale
                for lora in own
                if (scale := lora.spec.unet if part == "unet" else lora.spec.text) and lora.name in on
            }  # the others are left out: a DoRA at scale 0 would still bring its magnitudes
            set_weights_and_activate_adapters(model, list(scales), list(scales.values()))


@contextlib.contextmanager
def scaled(pipeline: Any, name: str, unet: float, text: float) -> Iterator[None]:
    """Have the adapter `name` count so many times as much until the block ends, in the UNet and the text encoders."""
    before = []
    for part in COMPONENTS:
        model = getattr(pipeline, part, None)
        for layer in model.modules() if model is not None else ():
            if name in (getattr(layer, "lora_A", None) or {}):
                before.append((layer.scaling, layer.scaling[name]))
                layer.scaling[name] *= unet if part == "unet" else text
    try:
        yield
    finally:
        for scaling, value in before:
            scaling[name] = value


def effect(lora: Loaded, plain: Image.Image, changed: Image.Image) -> str:
    """What the adapter did to a trial picture, in words: the mean absolute difference in levels of 255."""
    import numpy as np

    difference = float(np.abs(np.asarray(plain, dtype=np.float32) - np.asarray(changed, dtype=np.float32)).mean())
    if difference == 0:
        return f"LoRA {lora.spec.path.name} changes nothing at scales {lora.spec.unet:g} and {lora.spec.text:g}"
    return f"LoRA {lora.spec.path.name} changes a small trial picture by {difference:.1f} levels of 255 on average"


def with_old_prefix(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A CLIP text encoder's weights under the names every tool knows: `text_model.` in front, as transformers < 5.6
    saved them.
    """
    inside = ("embeddings.", "encoder.", "final_layer_norm.")
    return {f"text_model.{key}" if key.startswith(inside) else key: tensor for key, tensor in weights.items()}


def export(
    pipeline: Any, name: str, path: Path, layout: str = "diffusers", facts: Mapping[str, str] | None = None
) -> int:
    """Write the adapter `name` of a pipeline to a .safetensors file, atomically; the number of layers written.

    Args:
        layout: "diffusers" (`unet....lora.down.weight`, `text_encoder.text_model....`) or "kohya" (`lora_unet_...`,
            `lora_te_text_model_...` with `.alpha`), which A1111 and ComfyUI read.
        facts: words for the file's header.
    """
    if layout not in ("diffusers", "kohya"):
        raise EaselError(f"no LoRA layout called '{layout}': use one of diffusers, kohya")
    double = getattr(pipeline, "text_encoder_2", None) is not None
    kohya = {"unet": "lora_unet", "text_encoder": "lora_te1" if double else "lora_te", "text_encoder_2": "lora_te2"}
    weights: dict[str, Tensor] = {}
    layers = 0
    for part in COMPONENTS:
        for module_path, down, up, alpha, lengths in _layers(getattr(pipeline, part, None), name):
            layers += 1
            stem = module_path if part == "unet" else next(iter(with_old_prefix({module_path: down})))
            if layout == "kohya":
                key = f"{kohya[part]}_{stem.replace('.', '_')}"
                weights |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": alpha}
                if lengths is not None:  # a column, as LyCORIS has them where a length is a row's
                    weights[key + KOHYA_MAGNITUDE] = lengths.reshape(-1, *[1] * (down.ndim - 1))
            else:  # this layout has no alpha: it is folded into the upper matrix
                factor = float(alpha) / down.shape[0]
                word = "lora" if part == "unet" else "lora_linear_layer"
                weights |= {f"{part}.{stem}.{word}.down.weight": down, f"{part}.{stem}.{word}.up.weight": up * factor}
                if lengths is not None:
                    weights[f"{part}.{stem}{MAGNITUDE}"] = lengths
    if not layers:
        raise EaselError(f"there is no adapter called '{name}' to write")
    save_weights(weights, path, facts)
    return layers


def _layers(model: Any, name: str) -> list[tuple[str, Tensor, Tensor, Tensor, Tensor | None]]:
    """(module path, down, up, alpha, DoRA's lengths) of every layer with this adapter."""
    import torch

    found = []
    for path, module in model.named_modules() if model is not None else ():
        if name in (getattr(module, "lora_A", None) or {}):
            down, up = module.lora_A[name].weight.detach().cpu(), module.lora_B[name].weight.detach().cpu()
            held = module.lora_magnitude_vector
            lengths = held[name].weight.detach().cpu() if name in held else None
            found.append((path, down, up, torch.tensor(float(module.lora_alpha[name])), lengths))
    return found


def save_weights(weights: Mapping[str, Tensor], path: Path, facts: Mapping[str, str] | None = None) -> None:
    """Write a .safetensors file so that it is there whole or not at all; ``facts`` go into its header."""
    from safetensors.torch import save

    plain = {key: tensor.contiguous() for key, tensor in weights.items()}
    write_atomic(path, in_order(save(plain, metadata={"format": "pt", **(facts or {})})))
