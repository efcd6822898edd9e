"""Pocket's subject encoder, in DINO's place: a ViT whose class token is the same for the same subject anywhere.

Taught to tell look-alikes apart: a family of them stands in the same two scenes, so that place, pose, mood, time and
weather change within a subject and are equal between subjects, and nothing but the subject tells which pictures belong
together. Real pictures come with them: two photos of one subject, or two cuts of one photo, in other light. It also
names the details that a subject of the world is told by, through linear heads that are thrown away afterwards.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import BlipVisionModel, ViTConfig, ViTImageProcessorPil, ViTModel

from easel.pocket.train import samples
from easel.pocket.train.alike import LOOKALIKES
from easel.pocket.train.blip import PATCH, WIDTH
from easel.pocket.train.details import OWN, could_have
from easel.pocket.train.fit import Schedule, fit
from easel.pocket.train.pairs import toned
from easel.pocket.train.pictures import Pixels, Store
from easel.pocket.train.vae import to_tensor
from easel.training.trainer import Context, Measured, autocast

FAMILIES, REAL = 6, 4
"""Of a batch: families of look-alikes, two pictures of each of their subjects; and pairs of real pictures."""
SIDE, LAYERS, SCALE = 160, 4, 20.0
NAMING = 0.5
"""Weight of the details beside the contrast."""
SCHEDULE = Schedule(steps=2000, lr=1e-3, warmup=30, weight_decay=0.05, average_decay=0.99, muon=True)


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


def batch(scenes: Store, photos: Store, rng: np.random.Generator) -> tuple[Tensor, list[samples.Row]]:
    """(2 n, 3, SIDE, SIDE) in [-1, 1]: FAMILIES of the world and REAL pairs, two views of a subject next to each
    other; and the rows of those of the world, which come first.
    """
    made, rows, each, groups = [], [], 2 * LOOKALIKES, relatives(photos)
    for family in rng.choice(len(scenes.pixels) // each, FAMILIES, replace=False):
        whole = slice(family * each, (family + 1) * each)
        made += [samples.roughened(one, SIDE, rng, 0.15) for one in scenes.pixels[whole]]
        rows += scenes.rows[whole]
    for group in rng.choice(len(groups), REAL, replace=False):
        made += [real_view(photos.pixels[k], rng) for k in rng.choice(groups[int(group)], 2)]
    return to_tensor(np.stack(made)), rows


def real_view(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """A cut of a real photo in another light, (SIDE, SIDE, 3)."""
    return toned(samples.view(photo, SIDE, rng, jitter=0.3), rng)


def told_apart(rows: Tensor, scale: float = SCALE) -> Tensor:
    """Supervised contrast (Khosla et al. 2020, equation 2) of (2 n, d), two rows of a subject next to each other: how
    surely each is found among all others as its like.
    """
    unit = nn.functional.normalize(rows, dim=-1)
    itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    logits = (scale * unit @ unit.T).masked_fill(itself, -torch.inf)
    return nn.functional.cross_entropy(logits, torch.arange(len(rows), device=rows.device) ^ 1)


class Lesson(nn.Module):
    """The encoder, and heads that name the details of a subject from its class token."""

    def __init__(self, encoder: ViTModel) -> None:
        super().__init__()
        self.encoder = encoder
        choices = {(kind, name): len(one.cuts) + 1 for kind in OWN for name, one in could_have(kind).items()}
        ends = np.cumsum([*choices.values()])
        self.heads = nn.Linear(WIDTH, int(ends[-1]))
        self.slices = {
            key: slice(int(end) - count, int(end)) for (key, count), end in zip(choices.items(), ends, strict=True)
        }

    def misnamed(self, tokens: Tensor, rows: list[samples.Row]) -> Tensor:
        """Cross-entropy of the details of a subject, added up, in the mean over (n, WIDTH) class tokens."""
        logits, wanted = self.heads(tokens), defaultdict[tuple[str, str], list[tuple[int, int]]](list)
        for number, row in enumerate(rows):
            for name, choice in row["details"].items():
                wanted[row["facts"]["kind"], name].append((number, choice))
        total: Tensor = logits.new_zeros(())
        for key, known in wanted.items():
            which, choices = torch.tensor(known, device=logits.device).T
            total = total + nn.functional.cross_entropy(logits[which, self.slices[key]], choices, reduction="sum")
        return total.div(len(rows))


def run(
    encoder: ViTModel, scenes: Store, photos: Store, work: Path, device: str = "cpu", schedule: Schedule = SCHEDULE
) -> ViTModel:
    """Train it (or go on) and return it."""
    torch.manual_seed(3)
    model = Lesson(encoder).to(device)

    def loss(context: Context) -> Measured:
        pictures, rows = batch(scenes, photos, np.random.default_rng((41, context.step)))
        with autocast(model):
            tokens = model.encoder(pictures.to(device)).last_hidden_state[:, 0]
        tokens = tokens.float()
        told, misnamed = told_apart(tokens), model.misnamed(tokens[: len(rows)], rows)
        return Measured(told + NAMING * misnamed, {"told": told, "misnamed": misnamed})

    fit(model, loss, schedule, work / "subject.safetensors")
    return model.encoder


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
    take(model, {key: state[key] for key in model.state_dict()})


def take(model: ViTModel, state: dict[str, Tensor]) -> None:
    """Load the weights of a network for pictures of another size: places are read between the old ones."""
    name = "embeddings.position_embeddings"
    first, places = state[name].float().split((1, state[name].shape[1] - 1), dim=1)
    old, new = (round(count**0.5) for count in (places.shape[1], model.state_dict()[name].shape[1] - 1))
    grid = places.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    grid = nn.functional.interpolate(grid, (new, new), mode="bicubic", align_corners=False)
    model.load_state_dict({**state, name: torch.cat([first, grid.flatten(2).mT], dim=1)})


def image_processor() -> ViTImageProcessorPil:
    """Pictures squeezed to (3, SIDE, SIDE) in [-1, 1]."""
    half = [0.5, 0.5, 0.5]
    return ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_mean=half, image_std=half)
