"""Stable Diffusion 1.5's shapes with random weights, laid down as the hub has them: folders in float16 with
`.fp16.` in their names, a safety checker that is named and not there, and single files in the original layout.

Numbers stay finite since every matrix is drawn as torch draws a new layer's (uniform, at most one over the square root
of what goes into an output), every norm is 1, and every bias is 0. The convolutions in which a ControlNet begins at
zero are drawn as well: one that says nothing would prove nothing.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple


class Shape(NamedTuple):
    """What decides the sizes of everything."""

    widths: tuple[int, ...]
    """Channels of the UNet's blocks, and of its ControlNet's and adapter's."""
    text: tuple[int, int, int, int]
    """Width, inner width, layers and heads of the text encoder."""
    words: int
    """Tokens that the text encoder knows."""
    vae: tuple[int, ...]
    sample: int
    """Cells of a latent's side."""
    groups: int = 32
    """Of a norm's channels in the UNet and its ControlNet."""


REAL = Shape((320, 640, 1280, 1280), (768, 3072, 12, 12), 49_408, (128, 256, 512, 512), 64)
TINY = Shape((32, 64, 64, 64), (64, 128, 2, 4), 600, (32, 32, 32, 32), 8, 8)
"""So small that a test draws by every method in seconds."""
LAYERS = 2
"""Of each block."""
BASES = {"sd-1.5": ("StableDiffusionPipeline", 4), "sd-1.5-inpaint": ("StableDiffusionInpaintPipeline", 9)} | {
    "sd-1.5-instruct": ("StableDiffusionInstructPix2PixPipeline", 8)
}
"""Folder -> the class that its index names, and the channels that its UNet takes."""


def described(part: str, shape: Shape = REAL, channels: int = 4) -> Any:
    """'UNet' (which takes so many channels), 'VAE', 'ControlNet' or 'T2I-Adapter' without numbers."""
    import diffusers
    import torch

    heads: dict[str, Any] = {
        "cross_attention_dim": shape.text[0],
        "attention_head_dim": 8,
        "block_out_channels": shape.widths,
    }
    heads["norm_num_groups"] = shape.groups
    with torch.device("meta"):
        if part == "UNet":
            return diffusers.UNet2DConditionModel(sample_size=shape.sample, in_channels=channels, **heads)
        if part == "ControlNet":
            return diffusers.ControlNetModel(**heads)
        if part == "T2I-Adapter":
            return diffusers.T2IAdapter(1, list(shape.widths), 2, 8, "full_adapter")
        return diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=shape.vae,
            layers_per_block=LAYERS,
            latent_channels=4,
            sample_size=8 * shape.sample,
            scaling_factor=0.18215,
        )


def make(folder: Path, shape: Shape = REAL, *, files: bool = True) -> dict[str, int]:
    """Every model in folders of `folder`, and with `files` the plain one and its ControlNet as single files. Gives how
    many numbers each part has.
    """
    counts: dict[str, int] = {}
    for number, (name, (index, channels)) in enumerate(BASES.items()):
        base = folder / name
        counts[f"UNet of {name}"] = save(described("UNet", shape, channels), base / "unet", number)
        if number == 0:
            counts["VAE"] = save(described("VAE", shape), base / "vae", 10)
            counts["text encoder"] = _words(base, shape)
        else:  # on the hub they lie there again
            for part in ("vae", "text_encoder", "tokenizer", "scheduler"):
                (base / part).symlink_to(Path("..") / "sd-1.5" / part)
        (base / "model_index.json").write_text(json.dumps(_index(index), indent=1), encoding="utf-8")
    for number, name in enumerate(("canny", "depth")):
        counts["ControlNet"] = save(described("ControlNet", shape), folder / name, 20 + number)
    counts["T2I-Adapter"] = save(described("T2I-Adapter", shape), folder / "canny-adapter", 30)
    if files:
        _single_files(folder)
    return counts


def save(model: Any, folder: Path, seed: int) -> int:
    """Random weights for a model without any, in float16, with its config.json; gives how many numbers it has."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    model.save_config(folder)
    weights = random(model, seed)
    save_file(weights, folder / "diffusion_pytorch_model.fp16.safetensors", metadata={"format": "pt"})
    return sum(tensor.numel() for tensor in weights.values())


def random(model: Any, seed: int) -> dict[str, Any]:
    """A tensor in float16 for each of the model's."""
    import torch

    generator, made = torch.Generator().manual_seed(seed), {}
    for name, tensor in model.state_dict().items():
        if tensor.ndim > 1:
            bound = 1 / math.sqrt(tensor[0].numel())
            made[name] = torch.empty(tensor.shape).uniform_(-bound, bound, generator=generator).half()
        else:
            made[name] = torch.full(tensor.shape, float(name.endswith("weight")), dtype=torch.float16)
    return made


def _words(base: Path, shape: Shape) -> int:
    """Tokenizer, text encoder and scheduler. The tokenizer knows letters alone, the encoder all its words."""
    import torch
    from safetensors.torch import save_file
    from transformers import CLIPTextConfig, CLIPTextModel

    from tests import tiny

    tokenizer = tiny.words(base / "tokenizer")
    width, inner, layers, heads = shape.text
    config = CLIPTextConfig(
        vocab_size=shape.words, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, projection_dim=width, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    with torch.device("meta"):
        encoder = CLIPTextModel(config)
    config.save_pretrained(base / "text_encoder")
    weights = {f"text_model.{name}": tensor for name, tensor in random(encoder, 11).items()}
    save_file(weights, base / "text_encoder" / "model.fp16.safetensors", metadata={"format": "pt"})
    tiny.scheduler(base / "scheduler")
    return sum(tensor.numel() for tensor in weights.values())


def _index(name: str) -> dict[str, Any]:
    from tests import tiny

    return {"_class_name": name, "feature_extractor": ["transformers", "CLIPImageProcessor"], **tiny.SD_PARTS}


def _single_files(folder: Path) -> None:
    """sd-1.5.safetensors and canny.safetensors in the original layout, as A1111 keeps them."""
    from safetensors.torch import load_file, save_file

    from tests import tiny

    tiny.single_file(folder / "sd-1.5", folder / "sd-1.5.safetensors", LAYERS, variant=".fp16")
    net = load_file(folder / "canny" / "diffusion_pytorch_model.fp16.safetensors")
    named = {f"control_model.{tiny.ldm_controlnet_name(name, LAYERS)}": tensor for name, tensor in net.items()}
    save_file(named, folder / "canny.safetensors", metadata={"format": "pt"})
