"""Pocket's depth net: DPT-Hybrid (Ranftl et al. 2021, arXiv 2103.13413) with a small BiT and four layers of attention.

It learns how near things are from scenes, whose depth is known exactly. Scenes are drawn and photos are not, so fine
texture of photos is laid over scenes now and then, another one for near and far (domain randomisation, after Tobin et
al. 2017).
"""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, l1_loss
from transformers import BitConfig, DPTConfig, DPTForDepthEstimation, DPTImageProcessorPil

from easel.pocket.train.fit import Schedule, fit
from easel.pocket.train.pictures import Pixels, Store
from easel.pocket.train.vae import to_tensor
from easel.training.trainer import Context, Measured, autocast, device_of

SIDE, BATCH = 192, 16
SCHEDULE = Schedule(steps=420, lr=1.5e-3, warmup=60, weight_decay=0.02, average_decay=0.99, muon=True)
ZOOM = 0.3
"""How much of a picture is cut away at most, along a side."""
TEXTURED = 0.5
"""Share of the scenes that get the texture of photos."""
SLOPES = 2.0
"""What the gradients count beside the depths themselves."""
Floats = NDArray[np.float32]


class Batch(NamedTuple):
    """Pictures (n, 3, SIDE, SIDE) in [-1, 1] and how near their places are (n, SIDE, SIDE), 0..1."""

    pictures: Tensor
    near: Tensor


def network() -> DPTForDepthEstimation:
    """A stem of three stages, four layers of attention at a sixteenth of the size, DPT's neck and head."""
    stem = BitConfig(
        embedding_size=24,
        hidden_sizes=[32, 64, 96],
        depths=[1, 2, 2],
        num_groups=8,
        global_padding="same",
        embedding_dynamic_padding=True,
        out_features=["stage1", "stage2", "stage3"],
    )
    cells = SIDE // 16
    config = DPTConfig(
        is_hybrid=True,
        backbone_config=stem,
        backbone_featmap_shape=[1, 96, cells, cells],
        image_size=SIDE,
        patch_size=16,
        hidden_size=96,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=192,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[32, 64, 96, 96],
        reassemble_factors=[1, 1, 1, 0.5],
        fusion_hidden_size=32,
    )
    model = DPTForDepthEstimation(config)
    torch.nn.init.constant_(model.head.head[-2].bias, 0.5)  # its ReLU must not begin dead
    return model


def batch(solids: Store, photos: Store, step: int) -> Batch:
    """The batch of a step, always the same: cut, mirrored, in another light and colour, some textured."""
    rng = np.random.default_rng((71, step))
    pictures, near = np.empty((BATCH, SIDE, SIDE, 3), np.uint8), np.empty((BATCH, SIDE, SIDE), np.float32)
    for i in range(BATCH):
        k = 2 * int(rng.integers(len(solids.pixels) // 2))
        picture, depth = solids.pixels[k].astype(np.float32), solids.pixels[k + 1][..., 0].astype(np.float32) / 255
        if rng.random() < TEXTURED:
            grain = [fine(photos.pixels[int(rng.integers(len(photos.pixels)))], rng) for _ in range(2)]
            picture += rng.uniform(0.2, 1.0) * np.where((depth > rng.random())[..., None], *grain)
        size = int(picture.shape[0] * (1 - ZOOM * rng.random()))
        y, x = rng.integers(0, picture.shape[0] - size + 1, 2)
        turn = -1 if rng.random() < 0.5 else 1
        cuts = [np.ascontiguousarray(one[y : y + size, x : x + size][:, ::turn]) for one in (picture, depth)]
        seen, near[i] = (cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for cut in cuts)
        pictures[i] = lit(np.asarray(seen, np.float32), rng)
    return Batch(to_tensor(pictures), torch.from_numpy(near))


def fine(photo: Pixels, rng: np.random.Generator) -> Floats:
    """What is fine in a photo, (256, 256, 3): what a blur takes away."""
    whole = photo.astype(np.float32)
    return np.asarray(whole - cv2.GaussianBlur(whole, (0, 0), float(rng.uniform(2, 12))), np.float32)


def lit(picture: Floats, rng: np.random.Generator) -> Pixels:
    """In another light: gain and tint, gamma, less colour, blur and noise, each by chance."""
    shown = np.clip(picture, 0, 255) / 255
    shown = shown ** np.exp(rng.normal(0, 0.3)) * np.exp(rng.normal(0, 0.12, 3) + rng.normal(0, 0.2))
    grey = shown.mean(axis=2, keepdims=True)
    shown = grey + (shown - grey) * rng.choice((0.0, 0.5, 1.0, 1.0, 1.3))
    if rng.random() < 0.3:
        shown = cv2.GaussianBlur(shown, (0, 0), float(rng.uniform(0.5, 1.5)))
    shown = shown + rng.normal(0, rng.choice((0.0, 0.02, 0.05)), shown.shape)
    return np.asarray(np.clip(255 * shown, 0, 255), np.uint8)


def slopes(error: Tensor) -> Tensor:
    """Mean gradient of an error (n, h, w) at four scales (Ranftl et al. 2022, arXiv 1907.01341, equation 11)."""
    total = error.new_zeros(())
    for _ in range(4):
        total = total + error.diff(dim=1).abs().mean() + error.diff(dim=2).abs().mean()
        error = avg_pool2d(error[:, None], 2)[:, 0]
    return total / 4


def run(
    solids: Store, photos: Store, work: Path, device: str = "cpu", schedule: Schedule = SCHEDULE
) -> DPTForDepthEstimation:
    """Train it (or go on) and return it."""
    torch.manual_seed(7)
    model = network().to(device, memory_format=torch.channels_last)

    def loss(context: Context) -> Measured:
        shown = batch(solids, photos, context.step)
        pictures, near = shown.pictures.to(device_of(model)), shown.near.to(device_of(model))
        with autocast(model):
            guessed = model(pictures).predicted_depth
        wrong = guessed.float() - near
        apart, steep = l1_loss(wrong, torch.zeros_like(wrong)), slopes(wrong)
        return Measured(apart + SLOPES * steep, {"depth": apart, "slopes": steep})

    fit(model, loss, schedule, work / "depth.safetensors")
    return model


def image_processor() -> DPTImageProcessorPil:
    """Pictures squeezed to (3, SIDE, SIDE) in [-1, 1]."""
    half = [0.5, 0.5, 0.5]
    return DPTImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_mean=half, image_std=half)
