"""Write trained parts as standard folders, small: matrices in float8_e4m3fn, everything else in float16."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from easel.networks.autoencoder import PixelAutoencoder
from easel.pocket.train.unet import Painter, scheduler

POCKET = Path(__file__).parents[1] / "weights"
PERSONALIZE = {
    "lora": {
        "learning_rate": 1e-3,
        "steps": 120,
        "batch_size": 4,
        "rank": 8,
        "targets": ["all"],
        "prior_pictures": 16,
    },
    "full": {"learning_rate": 1e-4, "steps": 120, "batch_size": 4, "prior_pictures": 16},
    "textual-inversion": {"learning_rate": 0.05, "steps": 240, "batch_size": 4},
}
"""What the painter learns a subject with (`easel personalize`); it is small, so its rates are large."""


def shrink(tensor: Tensor) -> Tensor:
    """A matrix (2 or more dimensions) as float8_e4m3fn, anything else as float16; integers as they are."""
    if not tensor.is_floating_point():
        return tensor.contiguous()
    small = tensor.ndim >= 2 and min(tensor.shape[:2]) > 1
    limit = torch.finfo(torch.float8_e4m3fn).max
    return (tensor.clamp(-limit, limit).to(torch.float8_e4m3fn) if small else tensor.half()).contiguous()


def shrink_folder(folder: Path) -> None:
    """Rewrite every safetensors file below ``folder`` in place, and forget where parts were read from."""
    for path in sorted(folder.rglob("*.safetensors")):
        tensors = {name: shrink(tensor) for name, tensor in load_file(path).items()}
        save_file(tensors, path, {"format": "pt"})
    for path in sorted(folder.rglob("config.json")):
        config = json.loads(path.read_text())
        if config.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(config, indent=2) + "\n")


def write_transformers(name: str, model: Any, parts: list[Any], target: Path = POCKET) -> None:
    """A transformers folder: the model and its tokenizer or image processor."""
    folder = target / name
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial, safe_serialization=True)
    for part in parts:
        part.save_pretrained(partial)
    shrink_folder(partial)
    swap(partial, folder)


def write_diffusers(name: str, network: Any, target: Path = POCKET) -> None:
    """A folder of one network of diffusers."""
    folder = target / name
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    network.save_pretrained(partial, safe_serialization=True)
    shrink_folder(partial)
    swap(partial, folder)


def write_diffusion(painter: Painter, vae: PixelAutoencoder, tokenizer: Any, target: Path = POCKET) -> None:
    """A diffusers folder that StableDiffusionPipeline reads, and easel.json with the settings this model likes."""
    folder = target / "diffusion"
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=painter.text_encoder,
        tokenizer=tokenizer,
        unet=painter.unet,
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(partial, safe_serialization=True)
    add_prefix(partial / "text_encoder" / "model.safetensors")
    shrink_folder(partial)
    settings: dict[str, Any] = {"guidance_scale": 3.0, "strength": 0.3, "hires_strength": 0.3}
    settings |= {"strengths": {"malevich": 0.65, "banksy": 0.4}, "width": 256, "height": 256}
    settings |= {"personalize": PERSONALIZE}
    (partial / "easel.json").write_text(json.dumps(settings, indent=1) + "\n")
    swap(partial, folder)


def write_instruct(unet: UNet2DConditionModel, target: Path = POCKET) -> None:
    """A folder with the UNet alone: the other parts are the painter's, as its easel.json says."""
    folder = target / "instruct"
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    unet.save_pretrained(partial / "unet", safe_serialization=True)
    scheduler().save_pretrained(partial / "scheduler")
    index: dict[str, Any] = {part: [None, None] for part in ("vae", "text_encoder", "tokenizer")}
    index |= {"unet": ["diffusers", "UNet2DConditionModel"], "scheduler": ["diffusers", "DDIMScheduler"]}
    index["_class_name"] = "StableDiffusionInstructPix2PixPipeline"
    (partial / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    settings: dict[str, Any] = {"base": "pocket", "guidance_scale": 2.0, "image_guidance_scale": 1.2}
    settings |= {"width": 256, "height": 256}
    settings["untaught_styles"] = dict.fromkeys(("disneyland", "joy", "sadness", "panda-mask"), "instruct-pix2pix")
    (partial / "easel.json").write_text(json.dumps(settings, indent=1) + "\n")
    shrink_folder(partial)
    swap(partial, folder)


def add_prefix(path: Path) -> None:
    """transformers 5 saves a text encoder without ``text_model.``, which every other tool expects: put it back."""
    tensors = load_file(path)
    save_file(
        {k if k.startswith("text_model.") else f"text_model.{k}": v for k, v in tensors.items()}, path, {"format": "pt"}
    )


def swap(partial: Path, folder: Path) -> None:
    """Put a finished folder in the old one's place, its card kept."""
    card = folder / "README.md"
    if card.exists():
        shutil.copy(card, partial / "README.md")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
