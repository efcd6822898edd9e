"""Pocket's CLIP (Radford et al. 2021): pictures and captions in one space. The picture tower starts as BLIP's
encoder.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BlipVisionModel, CLIPConfig, CLIPImageProcessorPil, CLIPModel

from easel.pocket.train import samples
from easel.pocket.train.blip import PATCH, SIDE, WIDTH
from easel.pocket.train.fit import Schedule, fit
from easel.pocket.train.text import WINDOW, ids
from easel.training.trainer import Context, Measured, autocast

BATCH = 64
SCHEDULE = Schedule(steps=900, lr=1e-3, warmup=60, weight_decay=0.05, average_decay=0.997, muon=True)


def config(tokenizer: Any) -> CLIPConfig:
    """Two towers of WIDTH channels."""
    tower = dict(hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_attention_heads=4, hidden_act="gelu")
    special = dict(bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id)
    special |= dict(pad_token_id=tokenizer.pad_token_id, vocab_size=len(tokenizer), max_position_embeddings=WINDOW)
    return CLIPConfig(
        text_config=tower | special | dict(num_hidden_layers=2, projection_dim=128),
        vision_config=tower | dict(num_hidden_layers=6, image_size=SIDE, patch_size=PATCH, projection_dim=128),
        projection_dim=128,
    )


@torch.no_grad()
def adopt(clip: CLIPModel, blip: BlipVisionModel) -> None:
    """Give CLIP's picture tower BLIP's weights; only ``pre_layrnorm`` has no counterpart and stays as it is."""
    to, of = clip.vision_model, blip
    to.embeddings.class_embedding.copy_(of.embeddings.class_embedding[0, 0])
    to.embeddings.patch_embedding.weight.copy_(of.embeddings.patch_embedding.weight)
    places = of.embeddings.position_embedding[0].clone()
    places[1:] += of.embeddings.patch_embedding.bias
    to.embeddings.position_embedding.weight.copy_(places)
    to.post_layernorm.load_state_dict(of.post_layernorm.state_dict())
    for new, old in zip(to.encoder.layers, of.encoder.layers, strict=True):
        for part in ("layer_norm1", "layer_norm2", "mlp"):
            getattr(new, part).load_state_dict(getattr(old, part).state_dict())
        new.self_attn.out_proj.load_state_dict(old.self_attn.projection.state_dict())
        weights, biases = old.self_attn.qkv.weight.chunk(3), old.self_attn.qkv.bias.chunk(3)
        for name, weight, bias in zip(("q_proj", "k_proj", "v_proj"), weights, biases, strict=True):
            getattr(new.self_attn, name).weight.copy_(weight)
            getattr(new.self_attn, name).bias.copy_(bias)


def contrast(a: Tensor, b: Tensor, scale: Tensor | float) -> Tensor:
    """Symmetric InfoNCE of rows that belong together, (n, d) each (Radford et al. 2021, figure 3)."""
    logits = nn.functional.normalize(a, dim=-1) @ nn.functional.normalize(b, dim=-1).T * scale
    own = torch.arange(len(a), device=a.device)
    return (nn.functional.cross_entropy(logits, own) + nn.functional.cross_entropy(logits.T, own)) / 2


def run(
    mix: samples.Mix,
    tokenizer: Any,
    vision: BlipVisionModel,
    work: Path,
    device: str = "cpu",
    schedule: Schedule = SCHEDULE,
) -> CLIPModel:
    """Train it (or go on) and return it."""
    torch.manual_seed(2)
    model = CLIPModel(config(tokenizer))
    adopt(model, vision)
    model.to(device)

    def loss(context: Context) -> Measured:
        pictures, rows, rng = mix.batch(31, context.step, BATCH)
        tokens, mask = (x.to(device) for x in ids(tokenizer, [samples.caption(row, rng) for row in rows], WINDOW))
        keep = int(mask.sum(1).max())  # causal attention: what stands after the end token changes nothing
        with autocast(model):
            seen = model.get_image_features(samples.views(pictures, SIDE, rng).to(device)).pooler_output
            read = model.get_text_features(tokens[:, :keep], mask[:, :keep]).pooler_output
        value = contrast(seen.float(), read.float(), model.logit_scale.exp().clamp(max=100))
        return Measured(value, {"scale": model.logit_scale.exp()})

    fit(model, loss, schedule, work / "clip.safetensors")
    return model


def image_processor() -> CLIPImageProcessorPil:
    """Pictures squeezed to (3, SIDE, SIDE) in [-1, 1]."""
    half, size = [0.5, 0.5, 0.5], {"height": SIDE, "width": SIDE}
    return CLIPImageProcessorPil(size=size, do_center_crop=False, crop_size=size, image_mean=half, image_std=half)
