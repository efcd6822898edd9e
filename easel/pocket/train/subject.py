"""Pocket's subject encoder, in DINO's place: a ViT whose class token is the same for the same subject anywhere.

Taught by contrast of pairs: one subject of the world in two places, two photos of one real subject, or two cuts of
one photo.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import BlipVisionModel, ViTConfig, ViTImageProcessorPil, ViTModel

from easel.pocket.train import samples
from easel.pocket.train.blip import PATCH, SIDE, WIDTH
from easel.pocket.train.clip import contrast
from easel.pocket.train.fit import Schedule, fit
from easel.pocket.train.pictures import Pixels, Store
from easel.training.trainer import Context, Measured, autocast

BATCH, LAYERS, SCALE = 40, 4, 10.0
SCHEDULE = Schedule(steps=260, lr=6e-4, warmup=40, weight_decay=0.05, average_decay=0.995)


def network() -> ViTModel:
    """A ViT of WIDTH channels."""
    shape = dict(hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_attention_heads=4, num_hidden_layers=LAYERS)
    return ViTModel(ViTConfig(**shape, image_size=SIDE, patch_size=PATCH, layer_norm_eps=1e-5), add_pooling_layer=False)


def relatives(photos: Store) -> list[list[int]]:
    """Pictures of the store ``photos`` that show one subject: DreamBooth's by folder, others only with themselves."""
    groups: dict[str, list[int]] = {}
    for i, row in enumerate(photos.rows):
        path = Path(row["path"])
        groups.setdefault(str(path.parent) if row["folder"] == "dreambooth" else str(path), []).append(i)
    return list(groups.values())


def pairs(scenes: Store, photos: Store, rng: np.random.Generator) -> list[tuple[Pixels, Pixels]]:
    """BATCH pairs: three in four from the world, the rest real."""
    groups, made = relatives(photos), []
    world = rng.choice(len(scenes.pixels) // 2, BATCH * 3 // 4, replace=False)
    made += [(scenes.pixels[2 * i], scenes.pixels[2 * i + 1]) for i in world]
    for g in rng.choice(len(groups), BATCH - len(made), replace=False):
        one, two = rng.choice(groups[int(g)], 2)
        made.append((photos.pixels[one], photos.pixels[two]))
    return made


def run(
    scenes: Store,
    photos: Store,
    vision: BlipVisionModel,
    work: Path,
    device: str = "cpu",
    schedule: Schedule = SCHEDULE,
) -> ViTModel:
    """Train it (or go on), from BLIP's first layers, and return it."""
    torch.manual_seed(3)
    model = network()
    adopt(model, vision)
    model.to(device)

    def loss(context: Context) -> Measured:
        rng = np.random.default_rng((41, context.step))
        chosen = pairs(scenes, photos, rng)
        sides = [samples.views([pair[k] for pair in chosen], SIDE, rng, jitter=0.3).to(device) for k in (0, 1)]
        with autocast(model):
            one, two = (model(side).last_hidden_state[:, 0].float() for side in sides)
        return Measured(contrast(one, two, SCALE))

    fit(model, loss, schedule, work / "subject.safetensors")
    return model


NAMES = {
    "embeddings.class_embedding": "embeddings.cls_token",
    "embeddings.position_embedding": "embeddings.position_embeddings",
    "embeddings.patch_embedding": "embeddings.patch_embeddings.projection",
    "post_layernorm": "layernorm",
    "encoder.layers": "layers",
    "self_attn.projection": "attention.o_proj",
    "layer_norm1": "layernorm_before",
    "layer_norm2": "layernorm_after",
}
"""BLIP's word for a part -> ViT's."""


def adopt(model: ViTModel, blip: BlipVisionModel) -> None:
    """Begin with the first LAYERS layers of BLIP's picture encoder: the same arithmetic under other names."""
    state: dict[str, Tensor] = {}
    for key, tensor in blip.state_dict().items():
        name = key
        for old, new in NAMES.items():
            name = name.replace(old, new)
        if ".qkv." in key:
            for letter, rows in zip("qkv", tensor.chunk(3), strict=True):
                state[name.replace("self_attn.qkv", f"attention.{letter}_proj")] = rows
        else:
            state[name] = tensor
    model.load_state_dict({key: state[key] for key in model.state_dict()})


def image_processor() -> ViTImageProcessorPil:
    """Pictures squeezed to (3, SIDE, SIDE) in [-1, 1]."""
    half = [0.5, 0.5, 0.5]
    return ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_mean=half, image_std=half)
